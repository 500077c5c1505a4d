// WritableStreams by reference: what comes through, how it ends, and who learns of it.

import { expect, it } from "vitest";
import { RpcStub, RpcTarget } from "../../../src/cap/dynamic/index.js";
import { Counter, failure, Pair } from "../kit.js";
import { all, Consumer, streamOf } from "./kit.js";

class Api extends RpcTarget {
  consumer = new Consumer();
  given: WritableStream | null = null;
  open(): WritableStream {
    return this.consumer.stream;
  }
  async fill(into: WritableStream, ...chunks: unknown[]): Promise<void> {
    const writer = into.getWriter();
    for (const chunk of chunks) await writer.write(chunk);
    await writer.close();
  }
  keep(value: { into: WritableStream }): void {
    this.given = value.into;
  }
  /** What comes before the stream fails. */
  async untilFailure(stream: ReadableStream): Promise<unknown[]> {
    const chunks: unknown[] = [];
    try {
      for await (const chunk of stream) chunks.push(chunk);
    } catch (reason) {
      chunks.push(reason);
    }
    return chunks;
  }
  /** Both ends of a pipe: what is written comes out doubled. */
  doubling(): TransformStream<number, number> {
    return new TransformStream<number, number>({
      transform: (n, controller) => controller.enqueue(2 * n),
    });
  }
  async through(pipe: TransformStream): Promise<unknown[]> {
    return all(streamOf(1, 2).pipeThrough(pipe));
  }
}

it("takes every chunk as it was written, and its end", async () => {
  const pair = new Pair(new Api());
  const consumer = new Consumer();
  const chunks = [1, Uint8Array.of(1, 2), { a: [undefined] }];
  await pair.run(pair.api.fill(consumer.stream, ...chunks));
  expect(consumer.chunks).toEqual(chunks);
  expect(consumer.closed).toBe(true);
  await pair.done();
});

it("comes in a result, and copies bytes when they are written", async () => {
  const pair = new Pair(new Api());
  const writer = (await pair.run(pair.api.open())).getWriter();
  const bytes = new Uint8Array(10_000).fill(1);
  await pair.run(writer.write(bytes));
  bytes.fill(2);
  await pair.run(writer.write(null));
  await pair.run(writer.close());
  expect(pair.target.consumer.chunks).toEqual([new Uint8Array(10_000).fill(1), null]);
  expect(pair.target.consumer.closed).toBe(true);
  await pair.done();
});

it("gathers the small chunks of a turn, whatever else is written keeps its place", async () => {
  const pair = new Pair(new Api());
  const writer = (await pair.run(pair.api.open())).getWriter();
  const reused = new Uint8Array(3);
  const { chunks } = pair.target.consumer;
  pair.heard();
  const writing = (async () => {
    for (let i = 0; i < 100; i++) await writer.write(reused.fill(i));
    await writer.write("between");
    await writer.write(reused.fill(100));
  })();
  await pair.run(writing);
  await pair.rest();
  // No end was written yet: the turn's end sends them.
  expect(chunks).toEqual([
    Uint8Array.from({ length: 300 }, (_, i) => Math.floor(i / 3)),
    "between",
    Uint8Array.of(100, 100, 100),
  ]);
  // The first asks to be told when the stream breaks.
  expect(pair.heard().filter((said) => said === "guest call")).toHaveLength(4);
  await pair.run(writer.write(reused.fill(7)));
  await pair.run(writer.close());
  expect(chunks.at(-1)).toEqual(Uint8Array.of(7, 7, 7));
  await pair.done();
});

it("gathers up to 4 KiB, and a chunk of more than 1 KiB goes by itself", async () => {
  const pair = new Pair(new Api());
  const writer = (await pair.run(pair.api.open())).getWriter();
  const sizes = [...Array<number>(5).fill(1024), 1025, 0, 1, 1];
  const writing = (async () => {
    for (const [i, size] of sizes.entries()) await writer.write(new Uint8Array(size).fill(i));
    await writer.close();
  })();
  await pair.run(writing);
  const got = pair.target.consumer.chunks as Uint8Array[];
  expect(got.map((chunk) => chunk.length)).toEqual([4096, 1024, 1025, 2]);
  const bytes = sizes.flatMap((size, i) => Array<number>(size).fill(i));
  expect(Buffer.concat(got).equals(Uint8Array.from(bytes))).toBe(true);
  await pair.done();
});

it("what was gathered comes before the failure of its source", async () => {
  const pair = new Pair(new Api());
  const chunks = [Uint8Array.of(1), Uint8Array.of(2)];
  const source = new ReadableStream<Uint8Array>({
    pull(controller) {
      if (chunks.length > 0) controller.enqueue(chunks.shift()!);
      else controller.error(new RangeError("no more"));
    },
  });
  const got = await pair.run(pair.api.untilFailure(source));
  expect(got).toEqual([Uint8Array.of(1, 2), new RangeError("no more")]);
  await pair.done();
});

it("what is gathered when the connection is lost is lost with it, and the writer learns of that", async () => {
  const pair = new Pair(new Api());
  const writer = (await pair.run(pair.api.open())).getWriter();
  writer.closed.catch(() => {});
  void writer.write(Uint8Array.of(1));
  pair.net.cut("guest", "host");
  await pair.rest();
  expect(await failure(writer.write(Uint8Array.of(2)))).toMatchObject({ type: "disconnected" });
  await pair.done();
});

it("gives the references in its chunks away", async () => {
  const pair = new Pair(new Api());
  const writer = (await pair.run(pair.api.open())).getWriter();
  const counter = new Counter();
  const stub = new RpcStub(counter, { scheduler: pair.net.vats.get("guest")!.scheduler });
  await pair.run(writer.write({ stub }));
  await pair.run(writer.close());
  expect(() => stub.count).not.toThrow();
  expect(() => stub.add(1)).toThrow("disposed");
  const [chunk] = pair.target.consumer.chunks as [{ stub: RpcStub<Counter> } & Disposable];
  expect(await pair.run(chunk.stub.add(2))).toBe(2);
  chunk[Symbol.dispose]();
  await pair.rest();
  expect(counter.disposed).toBe(1);
  await pair.done();
});

it("is aborted with the writer's reason", async () => {
  const pair = new Pair(new Api());
  const writer = (await pair.run(pair.api.open())).getWriter();
  await pair.run(writer.write(1));
  await pair.run(writer.abort(new RangeError("no more")));
  await pair.rest();
  expect(pair.target.consumer.aborted).toBeInstanceOf(RangeError);
  expect(pair.target.consumer.closed).toBe(false);
  await pair.done();
});

it("fails at the writer as it fails at its owner, though nothing is written", async () => {
  const pair = new Pair(new Api());
  const stream = await pair.run(pair.api.open());
  const writer = stream.getWriter();
  const closed = failure(writer.closed);
  await pair.rest();
  pair.target.consumer.fail(new RangeError("full"));
  await pair.rest();
  expect(await closed).toBeInstanceOf(RangeError);
  expect(await failure(writer.write(1))).toMatchObject({ message: "full" });
  await pair.done();
});

it("fails at the writer when what is written cannot travel, and is aborted at its owner", async () => {
  const pair = new Pair(new Api());
  const writer = (await pair.run(pair.api.open())).getWriter();
  writer.closed.catch(() => {});
  expect(await failure(pair.run(writer.write({ a: Symbol("no") })))).toMatchObject({
    code: "unsendable-value",
    message: expect.stringContaining("chunk.a cannot be sent") as unknown,
  });
  await pair.rest();
  expect(pair.target.consumer.aborted).toMatchObject({ code: "unsendable-value" });
  await pair.done();
});

it("is aborted at its owner when the writer is lost, or disposes of it, and never closed", async () => {
  const pair = new Pair(new Api());
  const disposed = await pair.run(pair.api.open());
  (disposed as WritableStream & Disposable)[Symbol.dispose]();
  await pair.rest();
  expect(pair.target.consumer.aborted).toMatchObject({ code: "stream-dropped" });

  pair.target.consumer = new Consumer(true);
  const writer = (await pair.run(pair.api.open())).getWriter();
  const closed = failure(writer.closed);
  writer.write("never taken").catch(() => {});
  await pair.rest();
  pair.net.cut("guest", "host");
  await pair.rest();
  // The consumer hangs in a write, and hears of it none the less.
  pair.target.consumer.take();
  await pair.rest();
  expect(pair.target.consumer.aborted).toMatchObject({ code: "stream-dropped" });
  expect(pair.target.consumer.closed).toBe(false);
  expect(await closed).toMatchObject({ type: "disconnected" });
  pair.api[Symbol.dispose]();
});

it("is aborted when the call is given up that it was lent for, and goes on after one that ended", async () => {
  const pair = new Pair(new Api());
  const kept = new Consumer();
  await pair.run(pair.api.keep({ into: kept.stream }));
  const writer = pair.target.given!.getWriter();
  await pair.run(writer.write(1));
  await pair.run(writer.close());
  expect(kept).toMatchObject({ chunks: [1], closed: true });

  const slow = new Consumer(true);
  const call = pair.api.fill(slow.stream, 1, 2, 3);
  const failed = failure(call);
  await pair.rest();
  expect(slow.chunks).toEqual([1]);
  call[Symbol.dispose]();
  slow.take();
  await pair.rest();
  expect(await failed).toMatchObject({ code: "call-canceled" });
  expect(slow.aborted).toMatchObject({ code: "call-canceled" });
  expect(slow.chunks).toEqual([1]);
  await pair.done();
});

it("goes with its readable end as a pair", async () => {
  const pair = new Pair(new Api());
  const { readable, writable } = await pair.run(pair.api.doubling());
  const writing = streamOf(1, 2, 3).pipeTo(writable);
  expect(await pair.run(all(readable))).toEqual([2, 4, 6]);
  await pair.run(writing);
  const shouting = new TransformStream<number, string>({
    transform: (n, controller) => controller.enqueue(`${n}!`),
  });
  expect(await pair.run(pair.api.through(shouting))).toEqual(["1!", "2!"]);
  await pair.done();
});
