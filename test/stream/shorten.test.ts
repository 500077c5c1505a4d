// Path shortening: bytes that come from one peer and are piped to another go by a substream, and a peer that knows of none
// gets them as ever. Three vats: the source's, the middle, the sink's.

import { expect, it } from "vitest";
import { DEFAULT_LIMITS } from "../../src/base/limits.js";
import { RpcError } from "../../src/base/errors.js";
import {
  RpcStub,
  RpcTarget,
  serve,
  serveWritable,
  writableOf,
} from "../../src/cap/dynamic/index.js";
import {
  BYTES_END,
  BYTES_HI,
  BYTES_SUBSTREAM,
  BYTES_WRITE,
  ONE_CAPABILITY,
  readBytes,
  readCount,
  readSubstream,
} from "../../src/cap/stream/protocol.js";
import { receiveReadable } from "../../src/cap/stream/readable.js";
import type { Values } from "../../src/cap/stream/values.js";
import { Substream } from "../../src/cap/stream/substream.js";
import type { Hook } from "../../src/hook/hook.js";
import { type LocalCall, LocalHook } from "../../src/hook/local.js";
import { emptyPayload, Payload } from "../../src/hook/payload.js";
import { TestVats } from "../../src/testing.js";
import { Frame, parseFrame } from "../../src/wire/frame.js";
import { MessageReader } from "../../src/wire/message-reader.js";
import { MessageTag } from "../../src/wire/descriptors.js";
import { failure } from "../dynamic/kit.js";
import { Consumer } from "../dynamic/streams/kit.js";

const CHUNK = 10_000;

class Giver extends RpcTarget {
  chunks = 3;
  error: unknown;
  canceled: unknown = "not canceled";
  silent = false;
  wrapped(): { stream: ReadableStream<Uint8Array> } {
    return { stream: this.give() };
  }
  give(): ReadableStream<Uint8Array> {
    let n = 0;
    return new ReadableStream({
      type: "bytes",
      pull: async (controller) => {
        if (n < this.chunks) return controller.enqueue(new Uint8Array(CHUNK).fill(++n));
        if (this.silent) await new Promise(() => {});
        if (this.error !== undefined) return controller.error(this.error);
        controller.close();
      },
      cancel: (reason) => {
        this.canceled = reason;
      },
    });
  }
}

class Raw {
  readonly hook: Hook;
  constructor(hook: Hook) {
    this.hook = hook;
  }
}

/** A ByteStream as others have it: without substreams, or with such as have a limit of their own. */
class Foreign {
  readonly #limit: number | null;
  readonly writes: number[] = [];
  ended = 0;
  /** What the end said was written. */
  told = -1;
  substreams = 0;
  constructor(limit: number | null) {
    this.#limit = limit;
  }
  readonly dispatch = (call: LocalCall): void => {
    const isBytes = call.interfaceHi === BYTES_HI;
    if (isBytes && call.methodId === BYTES_WRITE) {
      call.streaming();
      this.writes.push(readBytes(call.params.content).length);
      return call.returns();
    }
    if (isBytes && call.methodId === BYTES_END) {
      this.ended++;
      this.told = readCount(call.params.content);
      return call.returns();
    }
    if (!isBytes || call.methodId !== BYTES_SUBSTREAM || this.#limit === null)
      return call.fails(new RpcError("unimplemented", "method-unimplemented", "no such method"));
    this.substreams++;
    const callback = call.params.caps[readSubstream(call.params.content).callback]!;
    const substream = new Substream(call.self.addRef(), callback.addRef(), this.#limit, (asked) =>
      asked.fails(new RpcError("unimplemented", "method-unimplemented", "no such method")),
    );
    call.returns(new Payload(ONE_CAPABILITY, [new LocalHook(substream, call.scheduler)]));
  };
}

/** What the middle said to the sink's vat: writes, ends and requests for substreams. */
class Lab {
  readonly net = new TestVats();
  readonly giver = new Giver();
  readonly said: string[] = [];
  readonly api: RpcStub<Giver>;
  readonly writable: WritableStream<Uint8Array>;

  constructor(sink: (lab: Lab) => Hook) {
    const { net } = this;
    const source = net.vat("source", {
      bootstrap: () => serve(this.giver, { scheduler: source.scheduler }),
    });
    net.vat("middle");
    net.vat("sink", { bootstrap: () => sink(this) });
    net.link("middle", "source", { delay: 10 });
    net.link("middle", "sink", { delay: 10 });
    const frame = new Frame();
    const reader = new MessageReader(DEFAULT_LIMITS);
    net.taps.push((message, from, to) => {
      parseFrame(message, frame, DEFAULT_LIMITS);
      reader.read(frame);
      if (from === "middle" && to === "sink" && reader.tag === MessageTag.call)
        if ((reader.interfaceHi | 0) === BYTES_HI)
          this.said.push(["write", "end", "getSubstream"][reader.methodId]!);
      return message;
    });
    this.api = net.bootstrap("middle", "source", RpcStub<Giver>);
    this.writable = writableOf(net.bootstrap("middle", "sink", Raw).hook);
    net.advance(100);
  }

  get scheduler() {
    return this.net.vats.get("sink")!.scheduler;
  }

  async pipe(options?: StreamPipeOptions): Promise<void> {
    const stream = await this.net.run(this.api.give());
    await this.net.run(stream.pipeTo(this.writable, options));
  }

  async rest(): Promise<void> {
    for (let i = 0; i < 6; i++) {
      await new Promise((resolve) => setTimeout(resolve, 0));
      this.net.advance(100);
    }
  }

  async done(): Promise<void> {
    this.api[Symbol.dispose]();
    await this.rest();
    this.net.assertEmpty();
  }
}

const ours = (consumer: Consumer) => (lab: Lab) =>
  serveWritable(consumer.stream, { scheduler: lab.scheduler });

it("C-FLO-22: bytes go by a substream of the sink, which is closed behind them", async () => {
  const consumer = new Consumer();
  const lab = new Lab(ours(consumer));
  await lab.pipe();
  expect((consumer.chunks as Uint8Array[]).map(({ length, 0: n }) => [length, n])).toEqual([
    [CHUNK, 1],
    [CHUNK, 2],
    [CHUNK, 3],
  ]);
  expect(consumer.closed).toBe(true);
  // The end of the substream, and that of the sink.
  expect(lab.said).toEqual(["getSubstream", "write", "write", "write", "end", "end"]);
  await lab.done();
});

it("C-FLO-22: with preventClose the sink goes on, behind what the substream brought", async () => {
  const consumer = new Consumer();
  const lab = new Lab(ours(consumer));
  const writer = lab.writable.getWriter();
  await lab.net.run(writer.write(Uint8Array.of(7)));
  writer.releaseLock();
  await lab.pipe({ preventClose: true });
  expect(consumer.closed).toBe(false);
  await lab.pipe();
  expect((consumer.chunks as Uint8Array[]).map((chunk) => chunk[0])).toEqual([7, 1, 2, 3, 1, 2, 3]);
  expect(consumer.closed).toBe(true);
  await lab.done();
});

it("the end of the sink counts what the substream brought", async () => {
  const foreign = new Foreign(10 * CHUNK);
  const lab = new Lab(({ scheduler }) => new LocalHook(foreign, scheduler));
  const writer = lab.writable.getWriter();
  await lab.net.run(writer.write(Uint8Array.of(7)));
  writer.releaseLock();
  await lab.pipe();
  expect(foreign).toMatchObject({
    writes: [1, CHUNK, CHUNK, CHUNK],
    told: 3 * CHUNK + 1,
    substreams: 1,
  });
  await lab.done();
});

it("a sink that knows no substreams is written to as ever", async () => {
  const foreign = new Foreign(null);
  const lab = new Lab(({ scheduler }) => new LocalHook(foreign, scheduler));
  await lab.pipe();
  expect(foreign).toMatchObject({ writes: [CHUNK, CHUNK, CHUNK], ended: 1 });
  expect(lab.said.slice(0, 2)).toEqual(["getSubstream", "write"]);
  await lab.done();
});

it("C-FLO-22: a substream that reaches a limit of the peer's goes on in the next", async () => {
  const foreign = new Foreign(CHUNK + 500);
  const lab = new Lab(({ scheduler }) => new LocalHook(foreign, scheduler));
  await lab.pipe();
  expect(foreign.writes.reduce((sum, bytes) => sum + bytes, 0)).toBe(3 * CHUNK);
  expect(foreign).toMatchObject({ ended: 1, substreams: 3 });
  await lab.done();
});

it("C-FLO-22: a source that fails aborts the sink with its reason, and the pipe", async () => {
  const consumer = new Consumer();
  const lab = new Lab(ours(consumer));
  lab.giver.error = new RangeError("no more");
  expect(await failure(lab.pipe())).toMatchObject({ message: "no more" });
  await lab.rest();
  expect(consumer.chunks).toHaveLength(3);
  expect(consumer.closed).toBe(false);
  expect(consumer.aborted).toMatchObject({ message: "no more" });
  expect(lab.said).toContain("getSubstream");
  await lab.done();
});

it("C-FLO-22: a sink that fails cancels the source with its reason, and the pipe", async () => {
  const consumer = new Consumer();
  const lab = new Lab(ours(consumer));
  lab.giver.silent = true;
  const piped = failure(lab.pipe());
  await lab.rest();
  expect(consumer.chunks).toHaveLength(3);
  consumer.fail(new RangeError("no room"));
  expect(await lab.net.run(piped)).toMatchObject({ message: "no room" });
  await lab.rest();
  expect(lab.giver.canceled).toMatchObject({ message: "no room" });
  await lab.done();
});

it.each(["source", "sink"])(
  "C-FLO-21: when the %s's vat is lost the other end learns of it",
  async (lost) => {
    const consumer = new Consumer();
    const lab = new Lab(ours(consumer));
    lab.giver.silent = true;
    const piped = failure(lab.pipe());
    await lab.rest();
    expect(lab.said).toContain("getSubstream");
    lab.net.cut("middle", lost);
    expect(await lab.net.run(piped)).toMatchObject({ type: "disconnected" });
    await lab.rest();
    expect(consumer.closed).toBe(false);
    expect(consumer.aborted).toMatchObject({ type: "disconnected" });
    expect(lab.giver.canceled).toMatchObject({ type: "disconnected" });
    await lab.done();
  },
);

it("with a signal, or a stream that was begun, bytes go through here", async () => {
  const consumer = new Consumer();
  const lab = new Lab(ours(consumer));
  const controller = new AbortController();
  await lab.pipe({ signal: controller.signal, preventClose: true });
  const stream = await lab.net.run(lab.api.give());
  const reader = stream.getReader();
  await lab.net.run(reader.read());
  reader.releaseLock();
  await lab.net.run(stream.pipeTo(lab.writable));
  expect(consumer.chunks).toHaveLength(5);
  expect(lab.said).not.toContain("getSubstream");
  await lab.done();
});

it("to dispose the result that the stream came in ends the pipe, and both ends learn of it", async () => {
  const consumer = new Consumer();
  const lab = new Lab(ours(consumer));
  lab.giver.silent = true;
  const result = await lab.net.run(lab.api.wrapped());
  const piped = failure(result.stream.pipeTo(lab.writable));
  await lab.rest();
  expect(consumer.chunks).toHaveLength(3);
  (result as unknown as Disposable)[Symbol.dispose]();
  expect(await lab.net.run(piped)).toMatchObject({ code: "stream-dropped" });
  await lab.rest();
  expect(consumer.closed).toBe(false);
  expect(consumer.aborted).toMatchObject({ code: "stream-dropped" });
  expect(lab.giver.canceled).toMatchObject({ code: "stream-dropped" });
  await lab.done();
});

it("C-FLO-22: a source that says it is done, and ended nothing, is no short success", async () => {
  const consumer = new Consumer();
  const lab = new Lab(ours(consumer));
  const { scheduler } = lab.net.vats.get("middle")!;
  const source = new LocalHook({ dispatch: (call) => call.returns() }, scheduler);
  const values: Values = {
    pack: emptyPayload,
    unpack: () => () => {},
    failure: (reason) => RpcError.from(reason),
    shown: (error) => error,
  };
  const { stream } = receiveReadable(source, values, true);
  const piped = failure(lab.net.run(stream.pipeTo(lab.writable)));
  expect(await piped).toMatchObject({ code: "stream-dropped" });
  await lab.rest();
  expect(consumer.closed).toBe(false);
  expect(consumer.aborted).toMatchObject({ code: "stream-dropped" });
  await lab.done();
});
