// The clauses of flow control that the other files here do not name: what a window counts, order at the reading end, and calls
// withheld over a limit, through stubs.

import { afterEach, beforeEach, expect, it } from "vitest";
import { RpcStub, RpcTarget } from "../../../src/cap/dynamic/index.js";
import { limitsWith } from "../../../src/base/limits.js";
import { expectNoResidue, resources } from "../../support/residue.js";
import { failure, Pair } from "../kit.js";
import { Consumer } from "./kit.js";

const KIB = 1024;

class Api extends RpcTarget {
  consumer = new Consumer(true);
  readonly log: unknown[] = [];
  private readonly waiting: (() => void)[] = [];

  open(): WritableStream {
    return this.consumer.stream;
  }
  /** Ends when it is told to. */
  hold(what: unknown): Promise<void> {
    this.log.push(typeof what === "object" ? "large" : what);
    return new Promise((resolve) => this.waiting.push(resolve));
  }
  /** Calls back at once. */
  async ask(back: RpcStub<() => number>): Promise<number> {
    return await back();
  }
  let(count: number): void {
    for (const resolve of this.waiting.splice(0, count)) resolve();
  }
}

let before: Map<string, number>;
beforeEach(() => {
  before = resources();
});
afterEach(() => expectNoResidue(before));

/** How many chunks of `bytes` a writer gets rid of while nobody takes any. */
async function fits(pair: Pair<Api>, bytes: number): Promise<number> {
  const consumer = (pair.target.consumer = new Consumer(true));
  const writer = (await pair.run(pair.api.open())).getWriter();
  let written = 0;
  let over = false;
  const writing = (async () => {
    // A chunk that is accepted is one that there was room for.
    while (!over) {
      await writer.write(new Uint8Array(bytes));
      written++;
    }
  })();
  await pair.rest();
  await pair.rest();
  const most = written;
  over = true;
  for (let i = 0; i <= most + 2; i++) {
    consumer.take();
    await pair.rest();
  }
  await pair.run(writing);
  const closed = writer.close();
  for (let i = 0; i < 3; i++) {
    consumer.take();
    await pair.rest();
  }
  await pair.run(closed);
  return most;
}

it("C-FLO-04, C-FLO-06: a window of 64 KiB at the start counts what a call takes, from when it is sent until it has returned", async () => {
  const pair = new Pair(new Api());
  // What is in flight may be the window and one chunk; a message is a little more than its chunk.
  expect(await fits(pair, 32 * KIB)).toBe(2);
  expect(await fits(pair, 8 * KIB)).toBe(8);
  // Nothing is counted of those streams any more, and a new one begins anew.
  expect(await fits(pair, 32 * KIB)).toBe(2);
  await pair.done();
});

it("C-FLO-04: the window at the start is the one that is asked for", async () => {
  const limits = limitsWith({ streamWindow: 256 * KIB });
  const pair = new Pair(new Api(), { guest: { limits } });
  expect(await fits(pair, 32 * KIB)).toBe(8);
  await pair.done();
});

it("C-FLO-09: chunks are taken one at a time, however many have come, and whatever they are", async () => {
  const pair = new Pair(new Api());
  const { consumer } = pair.target;
  const writer = (await pair.run(pair.api.open())).getWriter();
  const chunks = [1, new Uint8Array(5000), "two", new Uint8Array(9), { n: 3 }];
  // In one turn, so that what is gathered and what is sent at once are next to each other.
  const written = chunks.map((chunk) => writer.write(chunk));
  const closed = writer.close();
  await pair.run(Promise.all(written));
  for (let i = 0; i < chunks.length; i++) {
    await pair.rest();
    expect(consumer.chunks).toEqual(chunks.slice(0, i + 1));
    expect(consumer.closed).toBe(false);
    consumer.take();
  }
  await pair.run(closed);
  expect(consumer.closed).toBe(true);
  await pair.done();
});

it("C-FLO-10: a chunk that is refused poisons the stream: what was sent behind it is refused for the same reason, and none is taken", async () => {
  const pair = new Pair(new Api());
  const taken: unknown[] = [];
  pair.target.consumer = {
    stream: new WritableStream({
      write(chunk) {
        taken.push(chunk);
        if (chunk === 2) throw new RangeError("not two");
      },
    }),
  } as Consumer;
  const writer = (await pair.run(pair.api.open())).getWriter();
  writer.closed.catch(() => {});
  // All are on their way before the second is refused.
  const written = [1, 2, 3, 4].map((n) => writer.write(n));
  await Promise.allSettled(written);
  await pair.rest();
  expect(taken).toEqual([1, 2]);
  for (const late of [writer.write(5), writer.closed])
    expect(await failure(late)).toMatchObject({ message: "not two" });
  expect(taken).toEqual([1, 2]);
  await pair.done();
});

it("C-FLO-13: who waits for room is told when the connection is lost", async () => {
  const pair = new Pair(new Api());
  const writer = (await pair.run(pair.api.open())).getWriter();
  writer.closed.catch(() => {});
  const written = Array.from({ length: 12 }, () => writer.write(new Uint8Array(32 * KIB)));
  for (const one of written) one.catch(() => {});
  await pair.rest();
  const blocked = failure(written.at(-1)!);
  pair.net.cut("guest", "host");
  await pair.rest();
  expect(await blocked).toMatchObject({ type: "disconnected" });
  await pair.done();
});

it("C-FLO-17, C-FLO-18: over the limit calls wait for others to return, in order; answers to calls from there get through", async () => {
  const limits = limitsWith({ incomingCallBytes: 100 * KIB });
  const pair = new Pair(new Api(), { host: { limits } });
  const { target } = pair;
  const large = new Uint8Array(40 * KIB);
  const held = Array.from({ length: 6 }, (_, i) => [pair.api.hold(large), pair.api.hold(i)]).flat();
  await pair.rest();
  const dispatched = target.log.length;
  expect(dispatched).toBeLessThan(held.length);
  expect(target.log).toEqual(["large", 0, "large", 1, "large", 2].slice(0, dispatched));
  target.let(2);
  await pair.rest();
  expect(target.log.length).toBeGreaterThan(dispatched);
  while (target.log.length < held.length) {
    target.let(1);
    await pair.rest();
  }
  target.let(12);
  await pair.run(Promise.all(held));
  expect(target.log).toEqual([0, 1, 2, 3, 4, 5].flatMap((i) => ["large", i]));
  await pair.done();
});

it("C-FLO-18: a method that calls back while calls are withheld gets its answer: nothing waits for itself", async () => {
  const limits = limitsWith({ incomingCallBytes: 100 * KIB });
  const pair = new Pair(new Api(), { host: { limits } });
  const asked = pair.api.ask(new RpcStub(() => 7, { scheduler: pair.guest.scheduler }) as never);
  const large = new Uint8Array(60 * KIB);
  const held = Array.from({ length: 5 }, () => pair.api.hold(large));
  await pair.rest();
  expect(pair.target.log.length).toBeLessThan(5);
  expect(await pair.run(asked)).toBe(7);
  while (pair.target.log.length < 5) {
    pair.target.let(1);
    await pair.rest();
  }
  pair.target.let(5);
  await pair.run(Promise.all(held));
  await pair.done();
});
