// Streams that nobody ends: forgotten, left behind by a peer, or sent by one that misbehaves.

import { expect, it } from "vitest";
import { RpcTarget } from "../../../src/cap/dynamic/index.js";
import {
  ONE_CAPABILITY,
  SOURCE_HI,
  SOURCE_LO,
  SOURCE_PIPE,
} from "../../../src/cap/stream/protocol.js";
import { Source } from "../../../src/cap/stream/source.js";
import type { Values } from "../../../src/cap/stream/values.js";
import { CallRequest } from "../../../src/hook/hook.js";
import { LocalHook } from "../../../src/hook/local.js";
import { emptyPayload, Payload } from "../../../src/hook/payload.js";
import { RpcError } from "../../../src/base/errors.js";
import { Scheduler } from "../../../src/base/scheduler.js";
import { gc } from "../../hostile/memory.js";
import { failure, Pair } from "../kit.js";
import { all, Consumer, Producer, streamOf } from "./kit.js";

class Api extends RpcTarget {
  producer = new Producer(Infinity);
  consumer = new Consumer();
  give(): ReadableStream {
    return this.producer.stream;
  }
  open(): WritableStream {
    return this.consumer.stream;
  }
  nothing(): null {
    return null;
  }
  counted(): ReadableStream<number> {
    return streamOf(1, 2, 3);
  }
  pass(stream: ReadableStream): ReadableStream {
    return stream;
  }
}

async function collected(pair: Pair<Api>, done: () => boolean): Promise<void> {
  for (let i = 0; i < 40 && !done(); i++) {
    // An engine may keep what it handled last a while longer.
    await pair.run(pair.api.nothing());
    gc();
    await new Promise((resolve) => setTimeout(resolve, 2));
    pair.net.advance(200);
  }
}

it("C-GCF-01: a stream that is forgotten is canceled at its source, unread or begun", async () => {
  const pair = new Pair(new Api());
  for (const reads of [0, 1]) {
    const producer = (pair.target.producer = new Producer(Infinity));
    await (async () => {
      const reader = (await pair.run(pair.api.give())).getReader();
      if (reads > 0) await pair.run(reader.read());
    })();
    await collected(pair, () => producer.canceled !== "not canceled");
    expect(producer.canceled).toMatchObject({ code: "stream-dropped" });
  }
  await pair.done();
});

it("C-GCF-01: a writer that is forgotten aborts the stream at its owner", async () => {
  const pair = new Pair(new Api());
  await (async () => {
    const writer = (await pair.run(pair.api.open())).getWriter();
    await pair.run(writer.write(1));
  })();
  await collected(pair, () => pair.target.consumer.aborted !== "not aborted");
  expect(pair.target.consumer.aborted).toMatchObject({ code: "stream-dropped" });
  expect(pair.target.consumer.closed).toBe(false);
  await pair.done();
});

it("one that is being read is not collected, however long that takes", async () => {
  const pair = new Pair(new Api());
  let controller: ReadableStreamDefaultController | null = null;
  const start = (given: ReadableStreamDefaultController): void => {
    controller = given;
  };
  pair.target.producer = { stream: new ReadableStream({ start }) } as unknown as Producer;
  const read = await (async () => [(await pair.run(pair.api.give())).getReader().read()])();
  let rounds = 0;
  await collected(pair, () => rounds++ === 10);
  controller!.enqueue("late");
  expect(await pair.run(read[0]!)).toMatchObject({ value: "late" });
  await collected(
    pair,
    () => pair.net.vats.get("host")!.ends.get("guest")!.connection.stats().exports === 1,
  );
  await pair.done();
});

it("a result that was never looked at lets its source go", async () => {
  const pair = new Pair(new Api());
  const { producer } = pair.target;
  pair.api.give()[Symbol.dispose]();
  await pair.rest();
  const promise = pair.api.give();
  await pair.run(promise);
  promise[Symbol.dispose]();
  await pair.rest();
  expect(producer.canceled).toMatchObject({ code: "stream-dropped" });
  await pair.done();
});

it("a stream comes home, and a promise of one is an argument", async () => {
  const pair = new Pair(new Api());
  const home = await pair.run(pair.api.pass(streamOf("a", "b")));
  expect(await pair.run(all(home))).toEqual(["a", "b"]);
  const counted = pair.api.counted();
  const twice = await pair.run(pair.api.pass(counted));
  expect(await pair.run(all(twice))).toEqual([1, 2, 3]);
  counted[Symbol.dispose]();
  await pair.done();
});

/** Values that nobody looks at. */
const values: Values = {
  pack: emptyPayload,
  unpack: () => () => {},
  failure: (reason) => RpcError.from(reason),
  shown: (error) => error,
};

function settled(hook: LocalHook, request: CallRequest): Promise<string> {
  const results = hook.call(request);
  results.dropPipeline();
  hook.scheduler.drain();
  return Promise.resolve(results.error?.message ?? "no error");
}

it("a source has one reader, wants a sink, and knows no other method", async () => {
  const scheduler = new Scheduler();
  const hook = new LocalHook(new Source(streamOf(1).getReader(), values), scheduler);
  const pipe = (payload: Payload): CallRequest =>
    new CallRequest(SOURCE_HI, SOURCE_LO, SOURCE_PIPE, payload);
  expect(await settled(hook, pipe(emptyPayload()))).toMatch("no sink");
  expect(await settled(hook, new CallRequest(1, 2, 3, emptyPayload()))).toMatch("no such method");
  const sink = (): LocalHook => new LocalHook({ dispatch: () => {} }, scheduler);
  void settled(hook, pipe(new Payload(ONE_CAPABILITY, [sink()])));
  expect(await settled(hook, pipe(new Payload(ONE_CAPABILITY, [sink()])))).toMatch("one reader");
});

it("a chunk that is no value breaks the stream at both sides", async () => {
  const pair = new Pair(new Api());
  // What msgpackr never writes.
  let spoil = false;
  pair.net.taps.push((message) => {
    if (!spoil) return message;
    const text = Buffer.from(message.buffer, message.byteOffset, message.byteLength);
    const at = text.indexOf("spoil");
    if (at > 0) text[at - 1] = 0xc1;
    return message;
  });
  const writer = (await pair.run(pair.api.open())).getWriter();
  const closed = failure(writer.closed);
  spoil = true;
  writer.write("spoil").catch(() => {});
  await pair.rest();
  expect(await closed).toMatchObject({ code: "invalid-payload" });
  expect(pair.target.consumer.aborted).toMatchObject({ code: "invalid-payload" });
  await pair.done();
});
