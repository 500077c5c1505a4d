// Scenarios about amounts: one large message, a long stream, many calls at once.

import { RpcError } from "capstan/node";
import { mustFail, type Run, type Scenario } from "./scenario.js";
import { expect, memoryUse } from "./support.js";

const PART_SIZE = 1 << 20;

/** 50 parts of one mebibyte there and back. */
async function bulk(run: Run): Promise<void> {
  const count = 50;
  using server = run.interop();
  using answer = await server.bulk((params) => {
    const parts = params.initParts(count);
    const part = new Uint8Array(PART_SIZE);
    for (let i = 0; i < count; i++) {
      for (let j = 0; j < PART_SIZE; j++) part[j] = (i * 31 + j) % 251;
      parts.set(i, part);
    }
  });
  const { parts } = answer;
  expect(parts.length, count, "number of parts");
  for (let i = 0; i < count; i++) {
    const part = parts.get(count - 1 - i);
    expect(part.length, PART_SIZE, "size of a part");
    for (let j = 0; j < PART_SIZE; j++)
      if (part[j] !== (i * 31 + j) % 251) expect(part[j], (i * 31 + j) % 251, `byte ${j} of ${i}`);
  }
}

/**
 * 256 MiB in chunks of 64 KiB, with no more care than to wait for each write as the stream tells. Neither side may grow by
 * 48 MB over what it was at the start.
 */
async function upload(run: Run): Promise<void> {
  const total = 256 << 20;
  const limit = 48_000_000;
  const chunkSize = 64 << 10;
  using server = run.interop();
  const serverMemory = async (): Promise<{ resident: number; peak: number }> => {
    const { resident, peak } = (await server.memory()).memory;
    return { resident: Number(resident), peak: Number(peak) };
  };
  const serverBefore = await serverMemory();
  const ownBefore = memoryUse();
  const start = performance.now();

  // The library refers to a chunk until it is sent: these are never changed, and all that grows beside them is its own.
  const chunks = Array.from({ length: 256 }, (_, value) => new Uint8Array(chunkSize).fill(value));
  using open = server.openSink();
  const { sink } = open;
  let sum = 0n;
  for (let sent = 0; sent < total; sent += chunkSize) {
    const value = (sent / chunkSize) & 0xff;
    sum += BigInt(value * chunkSize);
    await sink.write({ chunk: chunks[value]! });
  }
  const done = await sink.done();
  expect(done.bytes, BigInt(total), "bytes");
  expect(done.sum, sum, "sum of the bytes");

  const seconds = (performance.now() - start) / 1000;
  const serverGrowth = (await serverMemory()).peak - serverBefore.resident;
  const ownGrowth = memoryUse().peak - ownBefore.resident;
  run.notes.push(`client grew by ${Math.floor(ownGrowth / 2 ** 20)} MiB`);
  run.notes.push(`server grew by ${Math.floor(serverGrowth / 2 ** 20)} MiB`);
  run.notes.push(`${Math.floor(total / seconds / 1e6)} MB/s`);
  if (ownGrowth >= limit)
    throw new Error(`the client kept too much in memory: ${run.notes.join(", ")}`);
  if (serverGrowth >= limit)
    throw new Error(`the server kept too much in memory: ${run.notes.join(", ")}`);
}

/** A write fails in the middle: the writer learns of it, from a later write or at the latest from done(). */
async function streamError(run: Run): Promise<void> {
  using server = run.interop();
  using open = server.openSink({ failAfter: 10_000 });
  const { sink } = open;
  try {
    for (let i = 0; i < 50; i++) await sink.write({ chunk: new Uint8Array(1000) });
  } catch (error) {
    if (!RpcError.is(error)) throw error;
    expect(error.type, "overloaded", "error of a write");
  }
  await mustFail(sink.done(), "overloaded", "sink is full");
}

/** 10,000 calls, none of which is answered before all have arrived. */
async function manyCalls(run: Run): Promise<void> {
  const total = 10_000;
  using server = run.interop();
  const answers = Array.from({ length: total }, async (_, index) =>
    expect((await server.barrier({ index, total })).index, index, "answer"),
  );
  await Promise.all(answers);
}

export const FLOW_SCENARIOS: Record<string, Scenario> = {
  bulk,
  upload,
  "stream-error": streamError,
  "many-calls": manyCalls,
};
