// ReadableStreams by reference: what comes through, how fast, and how it ends.

import { expect, it } from "vitest";
import { RpcTarget, type RpcStub } from "../../../src/cap/dynamic/index.js";
import { Counter, failure, Pair } from "../kit.js";
import { all, Producer, streamOf } from "./kit.js";

class Api extends RpcTarget {
  received: ReadableStream | null = null;
  producer = new Producer(0);
  readonly counter = new Counter();
  take(stream: ReadableStream): number {
    this.received = stream;
    return 1;
  }
  collect(stream: ReadableStream): Promise<unknown[]> {
    return all(stream);
  }
  nested(value: { deep: ReadableStream[] }): Promise<unknown[]> {
    return all(value.deep[0]!);
  }
  give(): ReadableStream {
    return this.producer.stream;
  }
  inside(): { title: string; body: ReadableStream } {
    return { title: "it", body: this.producer.stream };
  }
  counters(): ReadableStream<{ counter: Counter }> {
    return streamOf({ counter: this.counter });
  }
  refuse(_stream: ReadableStream): never {
    throw new RangeError("not this");
  }
}

it("comes as an argument with each of its values, in order, once", async () => {
  const pair = new Pair(new Api());
  const chunks = [1, "two", { three: new Date(3) }, undefined, null, new Map([[4, 5n]])];
  expect(await pair.run(pair.api.collect(streamOf(...chunks)))).toEqual(chunks);
  await pair.done();
});

it("comes as a result, and nested in arguments and results", async () => {
  const pair = new Pair(new Api());
  pair.target.producer = new Producer(3);
  const stream = await pair.run(pair.api.give());
  expect(await pair.run(all(stream))).toEqual([0, 1, 2]);
  pair.target.producer = new Producer(2);
  const { title, body } = await pair.run(pair.api.inside());
  expect([title, await pair.run(all(body))]).toEqual(["it", [0, 1]]);
  expect(await pair.run(pair.api.nested({ deep: [streamOf("x")] }))).toEqual(["x"]);
  await pair.done();
});

it("comes as bytes: of one byte, of none, of more than fits one write", async () => {
  const pair = new Pair(new Api());
  const large = Uint8Array.from({ length: 200_000 }, (_, i) => i * 7);
  const chunks = [Uint8Array.of(9), new Uint8Array(0), large, Buffer.from("node")];
  const got = (await pair.run(pair.api.collect(streamOf(...chunks)))) as Uint8Array[];
  expect(got.map((chunk) => chunk.length)).toEqual([1, 65_536, 65_536, 65_536, 3392, 4]);
  expect(Buffer.concat(got).equals(Buffer.concat(chunks))).toBe(true);
  await pair.done();
});

it("carries references in its chunks, which are given", async () => {
  const pair = new Pair(new Api());
  const stream = await pair.run(pair.api.counters());
  const [chunk] = (await pair.run(all(stream))) as [{ counter: RpcStub<Counter> } & Disposable];
  expect(await pair.run(chunk.counter.add(4))).toBe(4);
  expect(pair.target.counter.disposed).toBe(0);
  chunk[Symbol.dispose]();
  await pair.rest();
  expect(pair.target.counter.disposed).toBe(1);
  await pair.done();
});

it("sends no message a chunk to the reader's side but the chunk and its answer", async () => {
  const pair = new Pair(new Api());
  pair.target.producer = new Producer(40);
  const stream = await pair.run(pair.api.give());
  pair.heard();
  expect(await pair.run(all(stream))).toHaveLength(40);
  const said = pair.heard();
  expect(said.filter((one) => one === "host call")).toHaveLength(42); // 40, the watch, the end
  expect(said.filter((one) => one === "guest call")).toHaveLength(1);
  await pair.done();
});

it("fails at the reader as it fails at the source, after what came before", async () => {
  const pair = new Pair(new Api());
  pair.target.producer = new Producer(2, new RangeError("dry"));
  const stream = await pair.run(pair.api.give());
  const reader = stream.getReader();
  expect(await pair.run(reader.read())).toMatchObject({ value: 0 });
  expect(await pair.run(reader.read())).toMatchObject({ value: 1 });
  const error = await failure(pair.run(reader.read()));
  expect(error).toBeInstanceOf(RangeError);
  expect(error.message).toBe("dry");
  await pair.done();
});

it("is canceled at the source with the reader's reason, read or unread", async () => {
  const pair = new Pair(new Api());
  for (const reads of [0, 1]) {
    const producer = (pair.target.producer = new Producer(1000));
    const stream = await pair.run(pair.api.give());
    const reader = stream.getReader();
    for (let i = 0; i < reads; i++) await pair.run(reader.read());
    await pair.run(reader.cancel({ why: "enough" }));
    await pair.rest();
    expect(producer.canceled).toMatchObject({ why: "enough" });
  }
  await pair.done();
});

it("is canceled at a source that has nothing to write", async () => {
  const pair = new Pair(new Api());
  const producer = (pair.target.producer = new Producer(Infinity, undefined, true));
  const stream = await pair.run(pair.api.give());
  const reader = stream.getReader();
  const read = reader.read();
  await pair.rest();
  await pair.run(reader.cancel("bored"));
  expect(await read).toMatchObject({ done: true });
  await pair.rest();
  expect(producer.canceled).toBe("bored");
  await pair.done();
});

it("is refused with its path when it is locked or was read from, and then nothing is sent", async () => {
  const pair = new Pair(new Api());
  const good = streamOf(1);
  const locked = streamOf(1);
  locked.getReader();
  const refused = (one: unknown): unknown => {
    try {
      return pair.api.nested({ deep: [good, one as ReadableStream] });
    } catch (error) {
      return (error as Error).message;
    }
  };
  expect(refused(locked)).toMatch("args[0].deep[1] cannot be sent: it is locked");
  const read = streamOf(1, 2);
  const reader = read.getReader();
  await reader.read();
  reader.releaseLock();
  expect(refused(read)).toMatch("args[0].deep[1] cannot be sent: it was read from");
  // What stood beside it is its owner's still.
  expect(await all(good)).toEqual([1]);
  await pair.done();
});

it("cannot be sent twice: it has one reader", async () => {
  const pair = new Pair(new Api());
  const stream = streamOf(1);
  expect(await pair.run(pair.api.collect(stream))).toEqual([1]);
  expect(() => pair.api.collect(stream)).toThrow("args[0] cannot be sent");
  await pair.done();
});

it("goes on after the call that brought it", async () => {
  const pair = new Pair(new Api());
  expect(await pair.run(pair.api.take(streamOf(1, 2)))).toBe(1);
  await pair.rest();
  expect(await pair.run(all(pair.target.received!))).toEqual([1, 2]);
  await pair.done();
});

it("is canceled when the method fails that did not touch it", async () => {
  const pair = new Pair(new Api());
  const producer = new Producer(10);
  expect(await failure(pair.run(pair.api.refuse(producer.stream)))).toMatchObject({
    message: "not this",
  });
  await pair.rest();
  expect(producer.canceled).toMatchObject({ code: "stream-dropped" });
  await pair.done();
});

it("breaks at both sides when the call is given up", async () => {
  const pair = new Pair(new Api());
  const producer = new Producer(Infinity, undefined, true);
  const controller = new AbortController();
  const options = { signal: controller.signal };
  const call = failure(pair.api.with(options).collect(producer.stream));
  await pair.rest();
  controller.abort();
  await pair.rest();
  expect(await call).toMatchObject({ code: "call-canceled" });
  expect(producer.canceled).toMatchObject({ code: "call-canceled" });
  await pair.done();
});

it("breaks with the connection, at both sides, and is no short success", async () => {
  const pair = new Pair(new Api());
  const producer = (pair.target.producer = new Producer(Infinity, undefined, true));
  const stream = await pair.run(pair.api.give());
  const read = failure(stream.getReader().read());
  await pair.rest();
  pair.net.cut("guest", "host");
  await pair.rest();
  expect(await read).toMatchObject({ type: "disconnected", code: "connection-lost" });
  expect(producer.canceled).toMatchObject({ type: "disconnected" });
  pair.api[Symbol.dispose]();
});

it("breaks when the result that holds it is disposed, begun or not", async () => {
  const pair = new Pair(new Api());
  for (const begun of [false, true]) {
    const producer = (pair.target.producer = new Producer(Infinity, undefined, begun));
    const result = await pair.run(pair.api.inside());
    const reader = result.body.getReader();
    const read = begun ? failure(reader.read()) : null;
    await pair.rest();
    result[Symbol.dispose]();
    await pair.rest();
    expect(await (read ?? failure(reader.read()))).toMatchObject({ code: "stream-dropped" });
    expect(producer.canceled).toMatchObject({ code: "stream-dropped" });
  }
  await pair.done();
});
