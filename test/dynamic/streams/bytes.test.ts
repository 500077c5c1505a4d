// ReadableStreams of bytes: what can be read into memory of the reader's here can be read so at the other side.

import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { RpcError } from "../../../src/base/errors.js";
import { RpcStub, RpcTarget, serve } from "../../../src/cap/dynamic/index.js";
import { processScheduler } from "../../../src/cap/scheduler.js";
import { receiveReadable } from "../../../src/cap/stream/readable.js";
import { Source } from "../../../src/cap/stream/source.js";
import { LocalHook } from "../../../src/hook/local.js";
import { emptyPayload, type Payload } from "../../../src/hook/payload.js";
import { connect, listen, type Listener, type Session } from "../../../src/node.js";
import { RAW_MEMORY } from "../../../src/transport/read-into.node.js";
import { expectNoResidue, resources } from "../../support/residue.js";
import { failure, Pair } from "../kit.js";
import { all, Producer, streamOf } from "./kit.js";

/** A stream of bytes that gives these chunks and then ends, or fails. */
function bytesOf(chunks: Uint8Array[], error?: unknown): ReadableStream<Uint8Array> {
  const left = [...chunks];
  return new ReadableStream({
    type: "bytes",
    pull(controller) {
      const chunk = left.shift();
      if (chunk !== undefined) return controller.enqueue(chunk.slice());
      if (error !== undefined) return controller.error(error);
      controller.close();
      controller.byobRequest?.respond(0);
    },
  });
}

const counted = (length: number): Uint8Array => Uint8Array.from({ length }, (_, i) => i * 7);

class Api extends RpcTarget {
  stream: ReadableStream = bytesOf([]);
  canceled: unknown = "not canceled";
  give(): ReadableStream {
    return this.stream;
  }
  /** Sizes of what was read into memory of `size` bytes at a time, and the bytes. */
  async read(stream: ReadableStream, size: number): Promise<{ sizes: number[]; bytes: number[] }> {
    const reader = stream.getReader({ mode: "byob" });
    const sizes: number[] = [];
    const bytes: number[] = [];
    for (let memory = new ArrayBuffer(size); ;) {
      const { done, value } = await reader.read(new Uint8Array(memory));
      if (done) return { sizes, bytes };
      sizes.push(value.length);
      bytes.push(...value);
      memory = value.buffer;
    }
  }
  size(request: Request): Promise<{ sizes: number[]; bytes: number[] }> {
    return this.read(request.body!, 4);
  }
  kinds(...streams: ReadableStream[]): boolean[] {
    return streams.map((stream) => {
      try {
        stream.getReader({ mode: "byob" }).releaseLock();
        return true;
      } catch {
        return false;
      } finally {
        void stream.cancel();
      }
    });
  }
}

it("is read into memory of the reader's, in arguments and results, to its last byte", async () => {
  const pair = new Pair(new Api());
  const large = counted(100_000);
  for (const size of [3, 4096, 70_000]) {
    const { sizes, bytes } = await pair.run(
      pair.api.read(bytesOf([counted(2), large, counted(5)]), size),
    );
    expect(Uint8Array.from(bytes)).toEqual(
      Uint8Array.from([...counted(2), ...large, ...counted(5)]),
    );
    expect(Math.max(...sizes)).toBe(Math.min(size, 65_536));
  }
  pair.target.stream = bytesOf([counted(9)]);
  const reader = (await pair.run(pair.api.give())).getReader({ mode: "byob" });
  const first = await pair.run(reader.read(new Uint16Array(2)));
  expect(first.value).toEqual(new Uint16Array(counted(4).buffer));
  const second = await pair.run(reader.read(new Uint8Array(50)));
  expect(second.value).toEqual(counted(9).subarray(4));
  // At the end the memory comes back.
  const end = await pair.run(reader.read(new Uint8Array(50)));
  expect(end.done).toBe(true);
  expect(end.value!.buffer.byteLength).toBe(50);
  await pair.done();
});

it("is read like any other, too, and skips chunks of no bytes", async () => {
  const pair = new Pair(new Api());
  pair.target.stream = bytesOf([counted(2), counted(70_000)]);
  const got = (await pair.run(all(await pair.run(pair.api.give())))) as Uint8Array[];
  expect(Buffer.concat(got)).toEqual(Buffer.concat([counted(2), counted(70_000)]));
  await pair.done();
});

it("bodies and Blobs' streams are of bytes; one that was not made so is not, whatever its chunks are", async () => {
  const pair = new Pair(new Api());
  const request = new Request("http://x/", { method: "POST", body: "abcdef" });
  const { sizes, bytes } = await pair.run(pair.api.size(request));
  expect(sizes).toEqual([4, 2]);
  expect(Buffer.from(bytes).toString()).toBe("abcdef");
  const streams = [new Response("x").body!, new Blob(["x"]).stream(), streamOf(counted(3))];
  expect(await pair.run(pair.api.kinds(...streams))).toEqual([true, true, false]);
  await pair.done();
});

it("comes home as it went, and goes on as such", async () => {
  const pair = new Pair(new Api());
  pair.target.stream = bytesOf([counted(6)]);
  const stream = await pair.run(pair.api.give());
  const { sizes } = await pair.run(pair.api.read(stream, 4));
  expect(sizes).toEqual([4, 2]);
  await pair.done();
});

it("fails and is canceled like any other, also in a read", async () => {
  const pair = new Pair(new Api());
  pair.target.stream = bytesOf([counted(3)], new RangeError("no more"));
  const reader = (await pair.run(pair.api.give())).getReader({ mode: "byob" });
  expect((await pair.run(reader.read(new Uint8Array(8)))).value).toEqual(counted(3));
  expect(await failure(pair.run(reader.read(new Uint8Array(8))))).toBeInstanceOf(RangeError);

  let canceled: unknown = "not canceled";
  pair.target.stream = new ReadableStream({
    type: "bytes",
    pull: () => new Promise(() => {}),
    cancel: (reason) => {
      canceled = reason;
    },
  });
  const waiting = (await pair.run(pair.api.give())).getReader({ mode: "byob" });
  const read = waiting.read(new Uint8Array(8));
  await pair.rest();
  await pair.run(waiting.cancel("enough"));
  expect(await pair.run(read)).toMatchObject({ done: true });
  await pair.rest();
  expect(canceled).toBe("enough");
  await pair.done();
});

it("that ends within an element of what is read fails there, and at the source is over", async () => {
  const pair = new Pair(new Api());
  pair.target.stream = bytesOf([counted(3)]);
  const reader = (await pair.run(pair.api.give())).getReader({ mode: "byob" });
  reader.closed.catch(() => {});
  expect((await pair.run(reader.read(new Uint16Array(4)))).value).toHaveLength(1);
  expect(await failure(pair.run(reader.read(new Uint16Array(4))))).toBeInstanceOf(TypeError);
  await pair.done();
});

it("a chunk can be taken away with its memory, without harm to others that came with it", async () => {
  const before = resources();
  const api = new Api();
  // More than one read of a socket brings.
  const sizes = [100, 40_000, 100, 50_000, 100];
  api.stream = bytesOf(sizes.map((size, i) => new Uint8Array(size).fill(i)));
  const listener = await listen("ws://127.0.0.1:0", { bootstrap: serve(api) });
  const session = await connect(listener.url);
  const got: Uint8Array[] = [];
  const stream: ReadableStream = await session.bootstrap(RpcStub<Api>).give();
  for await (const chunk of stream as ReadableStream<Uint8Array<ArrayBuffer>>) {
    const { buffer, byteOffset, length } = chunk;
    got.push(new Uint8Array(structuredClone(buffer, { transfer: [buffer] }), byteOffset, length));
  }
  const expected = Buffer.concat(sizes.map((size, i) => Buffer.alloc(size, i)));
  expect(Buffer.concat(got).equals(expected)).toBe(true);
  await session.close();
  await listener.close();
  await expectNoResidue(before);
});

describe("C-FRM-21: memory of messages over a WebSocket", () => {
  const CHUNKS = 40;
  const SIZE = 65_536;
  const chunk = (i: number): Uint8Array => new Uint8Array(SIZE).fill(i + 1);
  const before = resources();
  let api: Api;
  let listener: Listener;
  let session: Session;
  let recycled: number;
  const open = async (): Promise<ReadableStream<Uint8Array<ArrayBuffer>>> =>
    await session.bootstrap(RpcStub<Api>).give();

  beforeEach(async () => {
    api = new Api();
    api.stream = bytesOf(Array.from({ length: CHUNKS }, (_, i) => chunk(i)));
    listener = await listen("ws://127.0.0.1:0", { bootstrap: serve(api) });
    session = await connect(listener.url);
    recycled = 0;
    const { recycle } = RAW_MEMORY;
    vi.spyOn(RAW_MEMORY, "recycle").mockImplementation((buffer) => {
      if (buffer.byteLength > SIZE) recycled++;
      // Whoever still reads it shall see.
      new Uint8Array(buffer).fill(0xee);
      recycle(buffer);
    });
  });
  afterEach(async () => {
    vi.restoreAllMocks();
    await session.close();
    await listener.close();
    await expectNoResidue(before);
  });

  for (const size of [7000, SIZE, 200_000])
    it(`serves again when all of it was read into ${size} bytes of the reader's`, async () => {
      const reader = (await open()).getReader({ mode: "byob" });
      let memory = new ArrayBuffer(size);
      let at = 0;
      for (;;) {
        const { done, value } = await reader.read(new Uint8Array(memory));
        if (done) break;
        for (const byte of value) if (byte !== Math.floor(at++ / SIZE) + 1) expect.fail(`at ${at}`);
        memory = value.buffer;
      }
      expect(at).toBe(CHUNKS * SIZE);
      // Not of those that came in one frame with another message.
      expect(recycled).toBeGreaterThan(CHUNKS - 5);
    });

  it("is the reader's for good when the reader brings none, also the rest of a chunk begun otherwise", async () => {
    const stream = await open();
    const into = stream.getReader({ mode: "byob" });
    const first = await into.read(new Uint8Array(1000));
    expect(first.value).toEqual(chunk(0).subarray(0, 1000));
    into.releaseLock();
    const kept: Uint8Array[] = [];
    for await (const bytes of stream) kept.push(bytes);
    expect(kept[0]!.length).toBe(SIZE - 1000);
    expect(kept).toHaveLength(CHUNKS);
    kept.forEach((bytes, i) => expect(bytes.every((byte) => byte === i + 1)).toBe(true));
    expect(recycled).toBe(0);
  });

  it("serves no other while a chunk of it is half read when the reader cancels", async () => {
    const reader = (await open()).getReader({ mode: "byob" });
    await reader.read(new Uint8Array(1000));
    await reader.cancel("enough");
    expect(recycled).toBe(0);
  });
});

it("a chunk that is no bytes breaks it at both sides", async () => {
  const scheduler = processScheduler();
  const values = {
    pack: (): Payload => emptyPayload(),
    unpack: (_payload: Payload, _: unknown, received: (value: unknown) => void) => {
      received("no bytes");
      return () => {};
    },
    failure: (reason: unknown) => RpcError.from(reason),
    shown: (error: RpcError): unknown => error,
  };
  const producer = new Producer(3);
  const source = new LocalHook(new Source(producer.stream.getReader(), values), scheduler);
  const { stream } = receiveReadable(source, values, true);
  expect(await failure(stream.getReader().read())).toMatchObject({ code: "invalid-payload" });
  await new Promise((resolve) => setTimeout(resolve, 5));
  expect(producer.canceled).not.toBe("not canceled");
  expect(producer.asked).toBe(1);
});
