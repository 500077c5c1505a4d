// What a vat in between refuses to pass on is a hole in the stream: its end, which gets through behind the hole, is no end.

import { describe, expect, it } from "vitest";
import { RpcError } from "../../src/base/errors.js";
import { limitsWith } from "../../src/base/limits.js";
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
  BYTES_LO,
  BYTES_WRITE,
  bytesParams,
  countParams,
  SINK_HI,
  SUBSTREAM_PARAMS,
  BYTES_SUBSTREAM,
} from "../../src/cap/stream/protocol.js";
import { CallRequest, type Hook } from "../../src/hook/hook.js";
import { LocalHook } from "../../src/hook/local.js";
import { Membrane } from "../../src/hook/membrane.js";
import { Payload } from "../../src/hook/payload.js";
import { TestVats } from "../../src/testing.js";
import { serve as serveTyped } from "../../src/typed.js";
import { ByteStream } from "../dynamic/foreign/byte-stream.capnp.js";
import { failure } from "../dynamic/kit.js";
import { all, Consumer } from "../dynamic/streams/kit.js";

/** Two writes that are not sent as one, a pause, and the end. */
class Far extends RpcTarget {
  consumer = new Consumer();
  controller!: ReadableStreamDefaultController;
  open(): WritableStream {
    return this.consumer.stream;
  }
  give(bytes: boolean): ReadableStream {
    return new ReadableStream({
      ...(bytes && { type: "bytes" as never }),
      start: (controller) => {
        this.controller = controller as ReadableStreamDefaultController;
      },
    });
  }
}

/** Both have `write` as their first method. */
const STREAMS = new Set([BYTES_HI, SINK_HI]);

class Raw {
  readonly hook: Hook;
  constructor(hook: Hook) {
    this.hook = hook;
  }
}

/** Far from both, with room for one call to either beside the one that asks when a sink breaks. */
const TIGHT = limitsWith({ questions: 2 });
const [FAR, NEAR] = [50, 2];
const LIMIT: unknown = expect.stringContaining("limit questions");

/** A guest and a host, and a vat in between that has room for so little that a write of two is refused. */
class Three {
  readonly net = new TestVats();
  readonly far = new Far();
  readonly api: RpcStub<Far>;

  /** @param slow the peer whose line to the middle is the long one. @param wrap what the middle passes on. */
  constructor(slow: "guest" | "host", wrap?: (hook: Hook) => Hook) {
    const { net, far } = this;
    const host = net.vat("host", { bootstrap: () => serve(far, { scheduler: host.scheduler }) });
    net.vat("middle", {
      ...(wrap === undefined && { limits: TIGHT }),
      bootstrap: () => {
        const { hook } = net.bootstrap("middle", "host", Raw);
        if (wrap === undefined) return hook;
        const wrapped = wrap(hook);
        hook.release();
        return wrapped;
      },
    });
    net.vat("guest");
    net.link("middle", "host", { delay: slow === "host" ? FAR : NEAR });
    net.link("guest", "middle", { delay: slow === "guest" ? FAR : NEAR });
    this.api = net.bootstrap("guest", "middle", RpcStub<Far>);
    net.advance(1000);
  }

  async rest(): Promise<void> {
    for (let i = 0; i < 8; i++) {
      await new Promise((resolve) => setTimeout(resolve, 0));
      this.net.advance(200);
    }
  }

  /** Lets microtasks run, and then so much time go by that a call over the short line is answered and one over the long is not. */
  async pause(): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, 0));
    this.net.advance(5 * NEAR);
    await new Promise((resolve) => setTimeout(resolve, 0));
  }

  async done(): Promise<void> {
    this.api[Symbol.dispose]();
    await this.rest();
    this.net.assertEmpty();
  }
}

const KINDS: [string, () => unknown][] = [
  ["bytes", () => new Uint8Array(5000).fill(1)],
  ["values", () => ({ n: 1 })],
  ["bytes that are gathered", () => new Uint8Array(10).fill(1)],
];

describe.each(KINDS)("C-FLO-22: a vat in between refuses a write of %s", (_, chunk) => {
  /** Writes, and closes while a write is on its way to be refused. */
  async function write(three: Three): Promise<RpcError> {
    const stream = await three.net.run(three.api.open());
    await three.rest();
    const writer = stream.getWriter();
    writer.closed.catch(() => {});
    writer.write(chunk()).catch(() => {});
    await new Promise((resolve) => setTimeout(resolve, 0));
    writer.write(chunk()).catch(() => {});
    await three.pause();
    const closed = failure(writer.close());
    const error = await three.net.run(closed);
    await three.rest();
    return error;
  }

  it("and passes the end on: what is written to is aborted, not closed", async () => {
    const three = new Three("guest");
    expect(await write(three)).toMatchObject({ type: "overloaded", message: LIMIT });
    const { consumer } = three.far;
    expect(consumer.chunks).toHaveLength(1);
    expect(consumer.closed).toBe(false);
    expect(consumer.aborted).toMatchObject({ code: "stream-dropped" });
    await three.done();
  });

  it("by a membrane, which passes the end on", async () => {
    let writes = 0;
    const refusal = new RpcError("failed", "method-failed", "not that one");
    const call = (_way: unknown, _target: unknown, id: bigint, method: number) =>
      STREAMS.has(Number(id >> 32n) | 0) && method === BYTES_WRITE && ++writes === 2
        ? refusal
        : undefined;
    const three = new Three("guest", (hook) => new Membrane({ call }, hook.scheduler).wrap(hook));
    expect(await write(three)).toMatchObject({ message: "not that one" });
    const { consumer } = three.far;
    expect(writes).toBe(2);
    expect(consumer.chunks).toHaveLength(1);
    expect(consumer.closed).toBe(false);
    expect(consumer.aborted).toMatchObject({ code: "stream-dropped" });
    await three.done();
  });

  it("and passes the end on: the reader fails with the reason of the refusal", async () => {
    const three = new Three("host");
    const bytes = chunk() instanceof Uint8Array;
    const stream = await three.net.run(three.api.give(bytes));
    const read = failure(all(stream));
    await three.rest();
    const { controller } = three.far;
    controller.enqueue(chunk());
    await new Promise((resolve) => setTimeout(resolve, 0));
    controller.enqueue(chunk());
    await three.pause();
    controller.close();
    expect(await three.net.run(read)).toMatchObject({ type: "overloaded", message: LIMIT });
    await three.done();
  });
});

it("C-FLO-22: a vat that pipes by a substream, and refuses a write to it, is told, as both ends are", async () => {
  const [net, far, consumer] = [new TestVats(), new Far(), new Consumer()];
  const source = net.vat("source", {
    bootstrap: () => serve(far, { scheduler: source.scheduler }),
  });
  // Beside a write: whether the sink breaks is asked here, and at the source.
  const middle = net.vat("middle", { limits: limitsWith({ questions: 3 }) });
  const sink = net.vat("sink", {
    bootstrap: () => serveWritable(consumer.stream, { scheduler: sink.scheduler }),
  });
  net.link("middle", "source", { delay: FAR });
  net.link("middle", "sink", { delay: NEAR });
  const api = net.bootstrap("middle", "source", RpcStub<Far>);
  const writable = writableOf(net.bootstrap("middle", "sink", Raw).hook);
  const stream = await net.run(api.give(true));
  const piped = failure(stream.pipeTo(writable));
  const rest = async (time: number): Promise<void> => {
    await new Promise((resolve) => setTimeout(resolve, 0));
    net.advance(time);
  };
  for (let i = 0; i < 5; i++) await rest(200);
  expect(middle.to("sink").stats().questions).toBe(2);
  far.controller.enqueue(new Uint8Array(5000));
  await rest(0);
  far.controller.enqueue(new Uint8Array(5000));
  await rest(5 * NEAR);
  far.controller.close();
  expect(await net.run(piped)).toMatchObject({ type: "overloaded", message: LIMIT });
  for (let i = 0; i < 5; i++) await rest(200);
  expect(consumer.chunks).toHaveLength(1);
  expect(consumer.closed).toBe(false);
  expect(consumer.aborted).toMatchObject({ type: "overloaded", message: LIMIT });
  api[Symbol.dispose]();
  await rest(200);
  net.assertEmpty();
});

describe("C-FLO-22: the end of a stream says how much was written", () => {
  function call(hook: Hook, method: number, params: Payload): Promise<Payload> {
    const results = hook.call(new CallRequest(BYTES_HI, BYTES_LO, method, params));
    results.dropPipeline();
    return new Promise((resolve, reject) => {
      results.observe({
        immediate: false,
        resultsSettled() {
          const { error } = results;
          if (error === null) return resolve(results.takePayload());
          results.cancel();
          reject(error);
        },
      });
    });
  }
  const write = (hook: Hook, length: number) =>
    call(hook, BYTES_WRITE, new Payload(bytesParams(new Uint8Array(length))));
  const end = (hook: Hook, count: number) => call(hook, BYTES_END, new Payload(countParams(count)));

  it("and it is none if less came, also where numbers are large", async () => {
    for (const count of [4, 2 ** 32, 2 ** 40 + 3]) {
      const consumer = new Consumer();
      const hook = serveWritable(consumer.stream);
      await write(hook, 3);
      expect(await failure(end(hook, count))).toMatchObject({
        code: "stream-dropped",
        message: expect.stringContaining("a write was lost on its way") as unknown,
      });
      expect(consumer.closed).toBe(false);
      expect(consumer.aborted).toMatchObject({ code: "stream-dropped" });
      hook.release();
    }
  });

  it("unless it does not say, or somebody else wrote to it, too", async () => {
    for (const count of [0, 3]) {
      const consumer = new Consumer();
      const hook = serveWritable(consumer.stream);
      await write(hook, 3);
      await end(hook, count);
      expect(consumer.closed).toBe(true);
      hook.release();
    }
    const consumer = new Consumer();
    const hook = serveWritable(consumer.stream);
    await write(hook, 3);
    const writer = writableOf(hook).getWriter();
    await writer.write(new Uint8Array(2));
    await writer.write("value");
    await writer.close();
    expect(consumer.chunks).toHaveLength(3);
    expect(consumer.closed).toBe(true);
  });

  it("which is nothing to those who know ByteStream alone, and nothing is asked of them", async () => {
    const written: number[] = [];
    let ended = 0;
    const theirs = serveTyped(ByteStream, {
      write: ({ bytes }) => void written.push(bytes.length),
      end: () => void ended++,
    } as Partial<ByteStream.Server> as ByteStream.Server);
    const writer = writableOf(theirs._hook!.addRef()).getWriter();
    await writer.write(new Uint8Array(5000));
    await writer.close();
    expect(written).toEqual([5000]);
    expect(ended).toBe(1);
    theirs[Symbol.dispose]();

    const consumer = new Consumer();
    using ours = new ByteStream(serveWritable(consumer.stream));
    await ours.write({ bytes: new Uint8Array(7) });
    await ours.end();
    expect(consumer.chunks).toEqual([new Uint8Array(7)]);
    expect(consumer.closed).toBe(true);
  });

  it("and a substream of which less came has not ended", async () => {
    const consumer = new Consumer();
    const hook = serveWritable(consumer.stream);
    let told = 0;
    const callback = new LocalHook(
      {
        dispatch: (asked) => {
          told++;
          asked.returns();
        },
      },
      hook.scheduler,
    );
    const results = await call(hook, BYTES_SUBSTREAM, new Payload(SUBSTREAM_PARAMS, [callback]));
    const substream = results.caps[0]!;
    await write(substream, 3);
    expect(await failure(end(substream, 4))).toMatchObject({ code: "stream-dropped" });
    expect(told).toBe(0);
    await end(substream, 3);
    expect(told).toBe(1);
    results.release();
    hook.release();
  });
});
