// What is forgotten instead of disposed: the collector's, as a last resort; and never without bounds.

import { afterEach, expect, it } from "vitest";
import { type Leak, leaks, RpcTarget, watchStubs } from "../../src/cap/dynamic/index.js";
import { limitsWith } from "../../src/base/limits.js";
import { RpcStub, serve } from "../../src/cap/dynamic/index.js";
import { reportCollected } from "../../src/hook/collect.js";
import { TestVats } from "../../src/testing.js";
import { gc } from "../hostile/memory.js";
import { Counter, Pair } from "./kit.js";

class Api extends RpcTarget {
  made = 0;
  release: () => void = () => {};
  make(): Counter {
    this.made++;
    return new Counter();
  }
  async wait(): Promise<string> {
    await new Promise<void>((resolve) => (this.release = resolve));
    this.made++;
    return "x".repeat(5000);
  }
}

afterEach(() => reportCollected(null));

async function collect(pair: { net: TestVats }): Promise<void> {
  for (let i = 0; i < 5; i++) {
    gc();
    await new Promise((resolve) => setTimeout(resolve, 2));
    pair.net.advance(200);
  }
}

it("C-GCF-01: stubs and promises that are forgotten are given back, and reported", async () => {
  const pair = new Pair(new Api());
  let reported = 0;
  reportCollected(() => reported++);
  await (async () => {
    await pair.run(pair.api.make());
    expect(await pair.run(pair.api.make().self().add(1))).toBe(1);
  })();
  // An engine may keep what it handled last a while longer.
  for (let i = 0; i < 10 && reported < 3; i++) {
    await pair.run(pair.api.make().add(1) as PromiseLike<number>);
    await collect(pair);
  }
  expect(reported).toBeGreaterThanOrEqual(3);
  await collect(pair);
  await pair.done();
});

it("what is forgotten is reported to whoever watches stubs, with where it was made, and what is disposed is not", async () => {
  const found: Leak[] = [];
  const pair = new Pair(new Api());
  watchStubs({ onCollected: (leak) => found.push(leak) });
  try {
    await (async () => {
      for (let i = 0; i < 20; i++) {
        await pair.run(pair.api.make());
        const disposed = await pair.run(pair.api.make());
        disposed[Symbol.dispose]();
      }
    })();
    for (let i = 0; i < 10 && found.length < 15; i++) await collect(pair);
    expect(found.length).toBeGreaterThanOrEqual(15);
    expect(found.length).toBeLessThanOrEqual(20);
    for (const { kind, peer, age, stack } of found) {
      expect(kind).toBe("stub");
      expect(peer).toBeDefined();
      expect(age).toBeGreaterThanOrEqual(0);
      expect(stack).toMatch(/forgotten\.test\.ts:\d+/);
    }
    expect(leaks().length).toBeLessThanOrEqual(20 - found.length);
  } finally {
    watchStubs(false);
  }
  for (let i = 0; i < 10; i++) await collect(pair);
  await pair.done();
});

it("C-GCF-03: a call whose promise is forgotten runs to its end", async () => {
  const target = new Api();
  const pair = new Pair(target);
  (() => void pair.api.wait())();
  await pair.rest();
  await collect(pair);
  expect(target.made).toBe(0);
  target.release();
  await pair.rest();
  expect(target.made).toBe(1);
  await collect(pair);
  await pair.done();
});

it("results that are called through and forgotten leave the peer's table of answers half free", async () => {
  const net = new TestVats();
  const limits = limitsWith({ answers: 20 });
  const host = net.vat("host", {
    limits,
    bootstrap: () => serve(new Api(), { scheduler: host.scheduler }),
  });
  net.vat("guest", { limits });
  net.link("guest", "host");
  using api = net.bootstrap("guest", "host", RpcStub<Api>);
  const kept = [];
  for (let i = 0; i < 60; i++) {
    const counter = api.make();
    kept.push(counter);
    expect(await net.run(counter.add(i))).toBe(i);
  }
  const { state } = net.vats.get("guest")!.to("host");
  expect(state.pipelineQuestions.size).toBe(10);
  for (const [i, counter] of kept.entries()) expect(await net.run(counter.add(1))).toBe(i + 1);
  for (const counter of kept) counter[Symbol.dispose]();
  api[Symbol.dispose]();
  net.advance(100);
  net.assertEmpty();
});
