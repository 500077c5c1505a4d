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
