// C-FLO through stubs: chunks as small and as large as they come, windows with no room, a peer that is lost in the middle.
// Bytes are real, time is not.

import { afterEach, beforeEach, expect, it } from "vitest";
import { RpcStub, RpcTarget, serve } from "../../src/cap/dynamic/index.js";
import { type Limits, limitsWith } from "../../src/base/limits.js";
import { type LinkOptions, TestVats } from "../../src/testing.js";
import { failure } from "../dynamic/kit.js";
import { Consumer, Producer } from "../dynamic/streams/kit.js";
import { expectNoResidue, resources } from "../support/residue.js";

const MIB = 1024 * 1024;
const LARGE = 64 * MIB;
/** What else is in the value counts, too. */
const LARGEST_VALUE = LARGE - 64;
/** What a message of 64 MiB, and one more on its way, need. */
const RAISED = {
  messageWords: 16 * MIB,
  traversalWords: 16 * MIB,
  outgoingBytes: 4 * LARGE,
  incomingCallBytes: 4 * LARGE,
};

class Api extends RpcTarget {
  consumer = new Consumer();
  producer = new Producer(0);
  open(): WritableStream {
    return this.consumer.stream;
  }
  give(): ReadableStream {
    return this.producer.stream;
  }
}

class Lab {
  readonly net = new TestVats();
  readonly api = new Api();
  readonly stub: RpcStub<Api>;
  /** Called before each step of {@link run}. */
  each: () => unknown = () => {};

  constructor(link: LinkOptions, limits: Partial<Limits> = {}) {
    const { net, api } = this;
    const options = { limits: limitsWith(limits) };
    const host = net.vat("host", {
      ...options,
      bootstrap: () => serve(api, { scheduler: host.scheduler }),
    });
    net.vat("guest", options);
    net.link("guest", "host", link);
    this.stub = net.bootstrap("guest", "host", RpcStub<Api>);
  }

  /** Lets time go by, and programs go on each `step` ms, until `promise` has settled. */
  async run<T>(promise: PromiseLike<T>, step = 1): Promise<T> {
    let settled = false;
    const note = (): void => void (settled = true);
    const asked = Promise.resolve(promise);
    asked.then(note, note);
    for (let i = 0; !settled && i < 100_000; i++) {
      this.each();
      await new Promise((resolve) => setImmediate(resolve));
      this.net.advance(step);
    }
    return asked;
  }

  get inFlight(): number {
    const { net } = this;
    return net.vats.get("guest")!.to("host").stats().questions;
  }

  async end(): Promise<void> {
    this.stub[Symbol.dispose]();
    for (let i = 0; i < 6; i++) await this.run(new Promise((resolve) => setImmediate(resolve)), 50);
    this.net.assertEmpty();
  }
}

let before: Map<string, number>;
beforeEach(() => {
  before = resources();
});
afterEach(() => expectNoResidue(before));

/** Bytes that differ, so that one that is lost or swapped shows. */
function pattern(length: number): Uint8Array<ArrayBuffer> {
  const words = new Uint32Array(length / 4);
  for (let i = 0; i < words.length; i++) words[i] = Math.imul(i, 2654435761);
  return new Uint8Array(words.buffer);
}

it("C-FLO-03: 64 MiB written in one chunk arrive whole, in pieces, at nine tenths of the link", async () => {
  const bandwidth = 200_000;
  const lab = new Lab({ delay: 2, bandwidth }, RAISED);
  const large = pattern(LARGE);
  const writer = (await lab.run(lab.stub.open())).getWriter();
  const start = lab.net.now;
  let most = 0;
  lab.each = () => (most = Math.max(most, lab.inFlight));
  await lab.run(writer.write(large), 0.05);
  await lab.run(writer.close(), 0.05);
  const { chunks, closed } = lab.api.consumer;
  expect(closed).toBe(true);
  expect(chunks).toHaveLength(LARGE / 65_536);
  expect(Buffer.concat(chunks as Uint8Array[]).equals(large)).toBe(true);
  expect(LARGE / (lab.net.now - start) / bandwidth).toBeGreaterThan(0.9);
  // A pipeful is 12 pieces, and the start-up has at most 4.1 of them.
  expect(most).toBeLessThan(60);
  await lab.end();
});

it("C-FLO-03: 64 MiB in one message pass in either direction, with the limits raised", async () => {
  const lab = new Lab({ delay: 2, bandwidth: 1_000_000 }, RAISED);
  const large = pattern(LARGEST_VALUE);
  const writer = (await lab.run(lab.stub.open())).getWriter();
  await lab.run(writer.write({ large }));
  await lab.run(writer.write("small"));
  await lab.run(writer.close());
  const [chunk, small] = lab.api.consumer.chunks as [{ large: Uint8Array }, string];
  expect(Buffer.from(chunk.large.buffer, chunk.large.byteOffset, LARGEST_VALUE).equals(large)).toBe(
    true,
  );
  expect(small).toBe("small");

  lab.api.producer = new Producer(2, undefined, false, (n) => (n === 0 ? { large } : "small"));
  const reader = (await lab.run(lab.stub.give())).getReader();
  const first = (await lab.run(reader.read())).value as { large: Uint8Array };
  expect(Buffer.compare(first.large, large)).toBe(0);
  expect(await lab.run(reader.read())).toEqual({ done: false, value: "small" });
  expect(await lab.run(reader.read())).toEqual({ done: true, value: undefined });
  await lab.end();
});

it.each([
  ["messageWords", LARGEST_VALUE],
  ["bytes", LARGE],
])(
  "C-FLO-03: one over the limit %s is refused at the writer, who is told which",
  async (name, size) => {
    const lab = new Lab({ delay: 2 });
    const writer = (await lab.run(lab.stub.open())).getWriter();
    writer.closed.catch(() => {});
    const writing = writer.write({ large: new Uint8Array(size) }).then(() => writer.close());
    const error = await failure(lab.run(writing));
    expect(error.message).toContain(name);
    await lab.run(new Promise((resolve) => setImmediate(resolve)), 50);
    await lab.run(new Promise((resolve) => setImmediate(resolve)), 50);
    expect(lab.api.consumer.aborted).toMatchObject({ message: error.message });
    await lab.end();
  },
);

it.each([
  ["bytes", (n: number) => Uint8Array.of(n)],
  ["values", (n: number) => n % 256],
])("C-FLO-03: chunks of one byte come in order, once (%s)", async (_, make) => {
  const lab = new Lab({ delay: 5, bandwidth: 1000 });
  const count = 3000;
  const writer = (await lab.run(lab.stub.open())).getWriter();
  const writing = (async () => {
    for (let i = 0; i < count; i++) await writer.write(make(i));
    await writer.close();
  })();
  await lab.run(writing);
  const expected = Uint8Array.from({ length: count }, (_, i) => i);
  const flat = lab.api.consumer.chunks.flatMap((chunk) =>
    chunk instanceof Uint8Array ? [...chunk] : [chunk],
  );
  expect(Uint8Array.from(flat as number[])).toEqual(expected);
  expect(flat).toHaveLength(count);

  lab.api.producer = new Producer(count, undefined, false, make);
  let got = 0;
  const reading = (async () => {
    for await (const chunk of await lab.stub.give())
      for (const byte of chunk instanceof Uint8Array ? chunk : [chunk as number])
        expect(byte).toBe(got++ % 256);
  })();
  await lab.run(reading);
  expect(got).toBe(count);
  await lab.end();
});

it("C-FLO-03: without a window one chunk is under way at a time, and all arrive", async () => {
  const lab = new Lab({ delay: 5 }, { streamWindow: 1 });
  const consumer = (lab.api.consumer = new Consumer(true));
  const writer = (await lab.run(lab.stub.open())).getWriter();
  let written = 0;
  const writing = (async () => {
    for (let i = 0; i < 20; i++) {
      await writer.write(new Uint8Array(2000).fill(i));
      written++;
    }
    await writer.close();
  })();
  const pause = (): Promise<unknown> =>
    lab.run(new Promise((resolve) => setImmediate(resolve)), 100);
  for (let taken = 0; taken < 20; taken++) {
    for (let i = 0; i < 6; i++) await pause();
    expect(consumer.chunks).toHaveLength(taken + 1);
    // Two messages may always be under way: the one that is taken, and the next.
    expect(written).toBeLessThanOrEqual(taken + 2);
    consumer.take();
  }
  await lab.run(writing);
  expect(consumer.chunks.map((chunk) => (chunk as Uint8Array)[0])).toEqual(
    Array.from({ length: 20 }, (_, i) => i),
  );
  await lab.end();
});

it("C-FLO-21: a peer lost in the middle of 64 MiB is an error at both sides, and nothing is kept", async () => {
  const lab = new Lab({ delay: 2, bandwidth: 100_000 }, RAISED);
  const writer = (await lab.run(lab.stub.open())).getWriter();
  writer.closed.catch(() => {});
  const written = failure(writer.write(pattern(LARGE)));
  await lab.run(new Promise((resolve) => setImmediate(resolve)), 100);
  for (let i = 0; i < 20; i++) await lab.run(new Promise((resolve) => setImmediate(resolve)), 10);
  const { chunks } = lab.api.consumer;
  expect(chunks.length).toBeGreaterThan(10);
  lab.net.cut("guest", "host");
  expect(await lab.run(written)).toMatchObject({ type: "disconnected" });
  const got = chunks.length;
  expect(got).toBeLessThan(LARGE / 65_536);
  await lab.run(new Promise((resolve) => setImmediate(resolve)), 100);
  expect(chunks).toHaveLength(got);
  expect(lab.api.consumer.closed).toBe(false);
  expect(lab.api.consumer.aborted).toMatchObject({ type: "disconnected" });
  await lab.end();
});
