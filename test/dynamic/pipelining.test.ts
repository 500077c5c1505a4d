// Pipelining: what is called before it is there, and what that costs.

import { describe, expect, it } from "vitest";
import { RpcStub, RpcTarget } from "../../src/cap/dynamic/index.js";
import { Counter, failure, Pair } from "./kit.js";

class Api extends RpcTarget {
  readonly log: number[] = [];
  last: Counter | null = null;
  calls = 0;
  make(): Counter {
    this.calls++;
    return (this.last = new Counter(this.log));
  }
  release: () => void = () => {};
  async slowly(): Promise<Counter> {
    await new Promise<void>((resolve) => (this.release = resolve));
    return this.make();
  }
  record(): { user: { name: string; counter: Counter }; list: Counter[]; size: number } {
    return { user: { name: "ada", counter: this.make() }, list: [this.make()], size: 3 };
  }
  number(value: number): number {
    return value;
  }
  sum(...values: (number | { n: number })[]): number {
    return values.reduce<number>((sum, one) => sum + (typeof one === "number" ? one : one.n), 0);
  }
  addTo(counter: RpcStub<Counter> | Counter, by: number): unknown {
    return counter.add(by);
  }
  adder(by: number): (x: number) => number {
    return (x) => x + by;
  }
  big(): string {
    return "x".repeat(5000);
  }
  bad(): Counter {
    throw new Error("no counter");
  }
}

describe("calls on results that are not there yet", () => {
  it("travel with the call they are made on: any depth, one round trip, one Return", async () => {
    const pair = new Pair(new Api());
    const { net, api } = pair;
    const start = net.now;
    using counter = api.make();
    using self = counter.self();
    using again = self.self();
    expect(await pair.run(again.add(4))).toBe(4);
    expect(net.now - start).toBe(100);
    expect(pair.heard()).toEqual([
      "guest call",
      "guest call",
      "guest call",
      "guest call",
      "host return",
    ]);
    for (const one of [counter, self, again]) one[Symbol.dispose]();
    await pair.rest();
    expect(pair.heard()).toEqual(["guest finish", "guest finish", "guest finish"]);
    await pair.done();
  });

  it("reach members of plain values, to any depth", async () => {
    const pair = new Pair(new Api());
    using record = pair.api.record();
    const name = pair.run(record.user.name);
    const count = pair.run(record.user.counter.add(2));
    const first = pair.run(record.list[0]!.add(7));
    expect(await name).toBe("ada");
    expect(await count).toBe(2);
    expect(await first).toBe(7);
    expect(pair.heard().filter((line) => line === "host return")).toHaveLength(3);
    record[Symbol.dispose]();
    await pair.done();
  });

  it("call the promise itself, when it is one of a function", async () => {
    const pair = new Pair(new Api());
    using adder = pair.api.adder(5);
    expect(await pair.run(adder(1))).toBe(6);
    adder[Symbol.dispose]();
    await pair.done();
  });

  it("wait for a method that takes its time", async () => {
    const target = new Api();
    const pair = new Pair(target);
    using counter = pair.api.slowly();
    const one = counter.add(1);
    const two = counter.add(2);
    await pair.rest();
    expect(target.log).toEqual([]);
    target.release();
    expect(await pair.run(Promise.all([one, two]))).toEqual([1, 3]);
    counter[Symbol.dispose]();
    await pair.done();
  });

  it("fail with the failure of the call they were made on", async () => {
    const pair = new Pair(new Api());
    using counter = pair.api.bad();
    expect(await failure(pair.run(counter.add(1)))).toMatchObject({ message: "no counter" });
    expect(await failure(pair.run(counter))).toMatchObject({ message: "no counter" });
    counter[Symbol.dispose]();
    await pair.done();
  });
});

describe("awaiting is what asks for a value", () => {
  it("a result that is only called through never travels", async () => {
    const pair = new Pair(new Api());
    using record = pair.api.record();
    expect(await pair.run(record.size)).toBe(3);
    // Asked for later, it is asked for once.
    pair.heard();
    const [one, two] = await pair.run(Promise.all([record, record]));
    expect(one).toBe(two);
    expect(one.user.name).toBe("ada");
    expect(pair.heard().filter((line) => line !== "guest finish")).toEqual([
      "guest call",
      "host return",
    ]);
    expect(await pair.run(one.user.counter.add(1))).toBe(1);
    record[Symbol.dispose]();
    await pair.done();
  });

  it("awaited and called through in one turn: the call is made once", async () => {
    const target = new Api();
    const pair = new Pair(target);
    const start = pair.net.now;
    using promise = pair.api.make();
    const [counter, count] = await pair.run(Promise.all([promise, promise.add(3)]));
    expect(count).toBe(3);
    expect(pair.net.now - start).toBe(100);
    expect(await pair.run(counter.add(1))).toBe(4);
    expect(target.calls).toBe(1);
    promise[Symbol.dispose]();
    await pair.done();
  });

  it("asking for one value decides nothing about the other calls of the turn", async () => {
    const pair = new Pair(new Api());
    const counter = pair.api.make();
    const sum = counter.add(1);
    const other = pair.api.number(7);
    const [stub] = await pair.run(Promise.all([counter, sum, other]));
    await pair.rest();
    // Of the call that was called through, and of the value that holds a reference: the others wanted a value alone.
    expect(pair.heard().filter((line) => line === "guest finish")).toHaveLength(2);
    stub[Symbol.dispose]();
    await pair.done();
  });

  it("a small value that nobody asked for in time comes along, a large one waits until it is asked for", async () => {
    const pair = new Pair(new Api());
    const small = pair.api.number(7);
    const big = pair.api.big();
    await pair.rest();
    pair.heard();
    const start = pair.net.now;
    expect(await pair.run(small)).toBe(7);
    expect(pair.net.now).toBe(start);
    expect(pair.heard()).toEqual([]);
    expect(await pair.run(big)).toHaveLength(5000);
    expect(pair.heard()).toEqual(["guest call", "host return"]);
    big[Symbol.dispose]();
    await pair.done();
  });

  it("two calls of one turn that are awaited one after the other take one round trip", async () => {
    const pair = new Pair(new Api());
    const start = pair.net.now;
    const one = pair.api.number(1);
    const two = pair.api.number(2);
    expect(await pair.run(one)).toBe(1);
    expect(await pair.run(two)).toBe(2);
    expect(pair.net.now - start).toBe(100);
    await pair.done();
  });

  it("what is awaited first can be called through later", async () => {
    const pair = new Pair(new Api());
    using promise = pair.api.record();
    const value = pair.run(promise);
    await Promise.resolve();
    await Promise.resolve();
    // Sent by now, without a way to pipeline on it: the call waits for the value here.
    const early = promise.user.counter.add(1);
    const record = await value;
    const late = promise.user.counter.add(2);
    expect(await pair.run(Promise.all([early, late, record.user.counter.add(3)]))).toEqual([
      1, 3, 6,
    ]);
    promise[Symbol.dispose]();
    await pair.done();
  });
});

describe("promises as arguments", () => {
  it("arrive as their values, anywhere in the value, in one round trip", async () => {
    const pair = new Pair(new Api());
    const { api, net } = pair;
    const start = net.now;
    using two = api.number(2);
    using record = api.record();
    expect(await pair.run(api.sum(1, two, { n: two }, { n: record.size }))).toBe(8);
    expect(net.now - start).toBe(100);
    two[Symbol.dispose]();
    record[Symbol.dispose]();
    expect(pair.heard().filter((line) => line === "host return")).toHaveLength(1);
    await pair.done();
  });

  it("of objects are the objects, at home, and stubs elsewhere", async () => {
    const target = new Api();
    const pair = new Pair(target);
    using counter = pair.api.make();
    expect(await pair.run(pair.api.addTo(counter, 5))).toBe(5);
    const mine = new Counter();
    expect(await pair.run(pair.api.addTo(mine, 6))).toBe(6);
    counter[Symbol.dispose]();
    await pair.done();
  });

  it("that fail, fail the call", async () => {
    const pair = new Pair(new Api());
    using bad = pair.api.bad();
    expect(await failure(pair.run(pair.api.sum(bad as never)))).toMatchObject({
      message: "no counter",
    });
    bad[Symbol.dispose]();
    await pair.done();
  });

  it("hold up their own call alone", async () => {
    const target = new Api();
    const pair = new Pair(target);
    using slow = pair.api.slowly();
    using made = pair.api.make();
    const behind = pair.api.addTo(slow, 1);
    const passing = made.add(9);
    await pair.run(passing);
    target.release();
    await pair.run(behind);
    expect(target.log).toEqual([9, 1]);
    slow[Symbol.dispose]();
    made[Symbol.dispose]();
    await pair.done();
  });
});

it("C-PIP-11: a chain of 2000 calls does not grow the stack", async () => {
  const pair = new Pair(new Api());
  pair.net.checking = false;
  const steps = [pair.api.make()];
  for (let i = 0; i < 2000; i++) steps.push(steps.at(-1)!.self());
  expect(await pair.run(steps.at(-1)!.add(1))).toBe(1);
  for (const step of steps) step[Symbol.dispose]();
  await pair.done();
});

it("C-PIP-13: works on local stubs as well", async () => {
  using api = new RpcStub(new Api());
  using record = api.record();
  expect(await record.user.counter.add(2)).toBe(2);
  expect(await record.user.name).toBe("ada");
  expect(await api.sum(record.size, api.number(4))).toBe(7);
});
