// E-order: what is called on one reference arrives in order, through promises, resolutions and embargoes.

import { describe, expect, it } from "vitest";
import { RpcStub, RpcTarget } from "../../src/cap/dynamic/index.js";
import { Counter, Pair } from "./kit.js";

class Api extends RpcTarget {
  readonly log: string[] = [];
  release: () => void = () => {};
  say(word: string): void {
    this.log.push(word);
  }
  echo<V>(value: V): V {
    return value;
  }
  async echoLater(value: RpcStub<Counter>): Promise<RpcStub<Counter>> {
    const kept = value.dup();
    await new Promise<void>((resolve) => (this.release = resolve));
    return kept;
  }
  wrap(counter: RpcStub<Counter>): { counter: RpcStub<Counter> } {
    return { counter: counter.dup() };
  }
  async progress(report: RpcStub<(n: number) => void>): Promise<string> {
    for (let i = 1; i <= 3; i++) void report(i);
    return "done";
  }
  progressAtOnce(report: RpcStub<(n: number) => void>): string {
    for (let i = 1; i <= 3; i++) void report(i);
    return "done";
  }
  get self(): this {
    return this;
  }
}

describe("calls on one stub", () => {
  it("arrive as they were written, awaited or not, with promises or without", async () => {
    const target = new Api();
    const pair = new Pair(target);
    const { api } = pair;
    void api.say("a");
    const b = api.say("b");
    using word = api.echo("c");
    void api.say(word as never);
    void api.self.say("d");
    const e = api.say("e");
    await pair.run(Promise.all([b, e]));
    expect(target.log).toEqual(["a", "b", "c", "d", "e"]);
    word[Symbol.dispose]();
    await pair.rest();
    pair.api[Symbol.dispose]();
  });

  it("made by a method arrive before its answer", async () => {
    const pair = new Pair(new Api());
    for (const method of ["progress", "progressAtOnce"] as const) {
      const log: (number | string)[] = [];
      const report = (n: number): void => void log.push(n);
      log.push(await pair.run(pair.api[method](report)));
      expect(log).toEqual([1, 2, 3, "done"]);
    }
    await pair.done();
  });
});

// The guest's own object goes to the host and comes back. What was called on the promise of it goes all the way round;
// what is called on it once it is home must not overtake that.
describe("a promise that turns out to be an object of ours", () => {
  it("keeps the order of calls through the promise and calls on what it gave", async () => {
    const pair = new Pair(new Api());
    const mine = new Counter();
    using promise = pair.api.echoLater(mine as never);
    void promise.add(1);
    void promise.add(2);
    await pair.rest();
    expect(mine.log).toEqual([]);
    const value = promise.then((counter) => counter.add(4));
    void promise.add(3);
    pair.net.advance(200);
    pair.target.release();
    await pair.run(value);
    await pair.rest();
    expect(mine.log).toEqual([1, 2, 3, 4]);
    promise[Symbol.dispose]();
    await pair.done();
  });

  it("what was called while the value was on its way comes before what is called on the value", async () => {
    const pair = new Pair(new Api());
    const mine = new Counter();
    using promise = pair.api.echoLater(mine as never);
    void promise.add(1);
    const value = promise.then((counter) => counter.add(3));
    await pair.rest();
    pair.target.release();
    const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 0));
    await turn();
    pair.net.advance(120);
    void promise.add(2);
    await turn();
    pair.net.advance(40);
    // The value is here, and waits.
    void promise.add(4);
    await pair.run(value);
    await pair.rest();
    expect(mine.log).toEqual([1, 2, 4, 3]);
    promise[Symbol.dispose]();
    await pair.done();
  });

  it("embargoes: a stub of the promise, called before and after it resolves, keeps one order", async () => {
    const pair = new Pair(new Api());
    const mine = new Counter();
    using promise = pair.api.echoLater(mine as never);
    using stub = promise.dup();
    void stub.add(1);
    await pair.rest();
    pair.target.release();
    void stub.add(2);
    // Messages of both directions cross while the resolution is on its way.
    for (let n = 3; n < 20; n++) {
      void stub.add(n);
      await new Promise((resolve) => setTimeout(resolve, 0));
      pair.net.advance(10);
    }
    await pair.rest();
    expect(mine.log).toEqual(Array.from({ length: 19 }, (_, i) => i + 1));
    stub[Symbol.dispose]();
    promise[Symbol.dispose]();
    await pair.done();
  });

  it("a path into a result, and the stub that came in it, keep one order", async () => {
    const pair = new Pair(new Api());
    const theirs = new Counter();
    using home = new RpcStub(theirs);
    using promise = pair.api.wrap(home);
    void promise.counter.add(1);
    const { counter } = await pair.run(promise);
    void promise.counter.add(2);
    void counter.add(3);
    void promise.counter.add(4);
    await pair.rest();
    expect(theirs.log).toEqual([1, 2, 3, 4]);
    promise[Symbol.dispose]();
    home[Symbol.dispose]();
    await pair.done();
  });
});

it("a promise resolved at a third vat keeps the order of what was called on it", async () => {
  class Middle extends RpcTarget {
    release: () => void = () => {};
    counter: RpcStub<Counter> | null = null;
    take(counter: RpcStub<Counter>): void {
      this.counter = counter.dup();
    }
    async later(): Promise<RpcStub<Counter>> {
      await new Promise<void>((resolve) => (this.release = resolve));
      return this.counter!.dup();
    }
    drop(): void {
      this.counter![Symbol.dispose]();
    }
  }
  const pair = new Pair(new Middle());
  const counter = new Counter();
  using local = new RpcStub(counter);
  await pair.run(pair.api.take(local));
  using promise = pair.api.later();
  const sums = [promise.add(1), promise.add(1)];
  await pair.rest();
  pair.target.release();
  sums.push(promise.add(1), promise.add(1));
  expect(await pair.run(Promise.all(sums))).toEqual([1, 2, 3, 4]);
  promise[Symbol.dispose]();
  await pair.run(pair.api.drop());
  local[Symbol.dispose]();
  await pair.done();
});
