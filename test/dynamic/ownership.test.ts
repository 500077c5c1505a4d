// Who owns what: params are lent, results are given, at both sides and for every kind of reference.

import { afterEach, describe, expect, it } from "vitest";
import {
  leaks,
  RpcStub,
  RpcTarget,
  sameObject,
  targetOf,
  watchStubs,
} from "../../src/cap/dynamic/index.js";
import { Counter, failure, Pair } from "./kit.js";

class Api extends RpcTarget {
  readonly made: Counter[] = [];
  kept: RpcStub<Counter> | null = null;
  held: RpcStub<Counter> | null = null;
  make(): Counter {
    const counter = new Counter();
    this.made.push(counter);
    return counter;
  }
  two(): { a: Counter; list: Counter[] } {
    return { a: this.make(), list: [this.make()] };
  }
  /** Keeps what is lent, as one must. */
  keep(counter: RpcStub<Counter>): void {
    this.kept = counter.dup();
  }
  /** Keeps what is lent, as one must not. */
  hold(counter: RpcStub<Counter>): void {
    this.held = counter;
  }
  useKept(): Promise<number> {
    return this.kept!.add(1);
  }
  async useHeld(): Promise<number> {
    return this.held!.add(1);
  }
  drop(): void {
    this.kept?.[Symbol.dispose]();
    this.kept = null;
  }
  /** Gives away the one stub it has. */
  give(): RpcStub<Counter> {
    return this.kept!;
  }
  pass(counter: RpcStub<Counter>): unknown {
    return counter;
  }
  plain(): { a: number } {
    return { a: 1 };
  }
}

describe("params are lent", () => {
  it("a stub in them ends with the call, a dup of it does not", async () => {
    const target = new Api();
    const pair = new Pair(target);
    const mine = new Counter();
    await pair.run(pair.api.hold(mine as never));
    const error = await failure(pair.run(pair.api.useHeld()));
    expect(error.message).toMatch(/this stub was disposed before/);
    await pair.rest();
    expect(mine.disposed).toBe(1);
    const kept = new Counter();
    await pair.run(pair.api.keep(kept as never));
    await pair.rest();
    expect(kept.disposed).toBe(0);
    expect(await pair.run(pair.api.useKept())).toBe(1);
    await pair.run(pair.api.drop());
    await pair.rest();
    expect(kept.disposed).toBe(1);
    await pair.done();
  });

  it("a stub that is lent stays its owner's", async () => {
    const pair = new Pair(new Api());
    using counter = await pair.run(pair.api.make());
    using same = (await pair.run(pair.api.pass(counter as never))) as RpcStub<Counter>;
    expect(await pair.run(counter.add(1))).toBe(1);
    same[Symbol.dispose]();
    counter[Symbol.dispose]();
    await pair.done();
  });

  it("an object that is lent once more, after its last stub was gone, is known anew", async () => {
    const pair = new Pair(new Api());
    const counter = new Counter();
    for (let times = 1; times <= 2; times++) {
      await pair.run(pair.api.keep(counter as never));
      expect(await pair.run(pair.api.useKept())).toBe(times);
      await pair.run(pair.api.drop());
      await pair.rest();
      expect(counter.disposed).toBe(times);
    }
    await pair.done();
  });

  it("a local stub keeps an object that is lent again and again", async () => {
    const pair = new Pair(new Api());
    const counter = new Counter();
    const stub = new RpcStub(counter);
    await pair.run(pair.api.hold(stub));
    await pair.run(pair.api.hold(counter as never));
    await pair.rest();
    expect(counter.disposed).toBe(0);
    stub[Symbol.dispose]();
    await pair.rest();
    await Promise.resolve();
    expect(counter.disposed).toBe(1);
    await pair.done();
  });
});

describe("results are given", () => {
  it("to who awaits them, with all that is in them", async () => {
    const target = new Api();
    const pair = new Pair(target);
    {
      using two = await pair.run(pair.api.two());
      expect(await pair.run(two.list[0]!.add(1))).toBe(1);
    }
    await pair.rest();
    expect(target.made.map((one) => one.disposed)).toEqual([1, 1]);
    using plain = await pair.run(pair.api.plain());
    expect(plain).toEqual({ a: 1 });
    await pair.done();
  });

  it("a part of them can be kept by a dup", async () => {
    const target = new Api();
    const pair = new Pair(target);
    let kept: RpcStub<Counter>;
    {
      using two = await pair.run(pair.api.two());
      kept = two.a.dup();
    }
    await pair.rest();
    expect(target.made.map((one) => one.disposed)).toEqual([0, 1]);
    expect(await pair.run(kept.add(2))).toBe(2);
    kept[Symbol.dispose]();
    await pair.done();
  });

  it("disposing the promise disposes what it gave", async () => {
    const target = new Api();
    const pair = new Pair(target);
    const promise = pair.api.make();
    const counter = await pair.run(promise);
    promise[Symbol.dispose]();
    promise[Symbol.dispose]();
    expect(() => counter.add(1)).toThrow(/disposed/);
    await pair.rest();
    expect(target.made[0]!.disposed).toBe(1);
    await pair.done();
  });

  it("a stub that a method returns is its stub no more", async () => {
    const target = new Api();
    const pair = new Pair(target);
    const mine = new Counter();
    await pair.run(pair.api.keep(mine as never));
    const given = await pair.run(pair.api.give());
    expect(targetOf(given)).toBe(mine);
    given[Symbol.dispose]();
    expect(() => target.kept!.add(1)).toThrow(/disposed/);
    await pair.rest();
    expect(mine.disposed).toBe(1);
    await pair.done();
  });

  it("a result that comes too late is given back", async () => {
    const target = new Api();
    const pair = new Pair(target);
    const promise = pair.api.make();
    const waiting = failure(promise);
    await Promise.resolve();
    await Promise.resolve();
    pair.net.advance(60);
    promise[Symbol.dispose]();
    expect(await waiting).toMatchObject({ code: "call-canceled" });
    await pair.rest();
    expect(target.made[0]!.disposed).toBe(1);
    await pair.done();
  });
});

describe("disposing", () => {
  it("twice does nothing; using a stub after that fails here, without a message", async () => {
    const pair = new Pair(new Api());
    const counter = await pair.run(pair.api.make());
    await pair.rest();
    pair.heard();
    counter[Symbol.dispose]();
    counter[Symbol.dispose]();
    expect(() => counter.add(1)).toThrow(
      expect.objectContaining({
        code: "capability-disposed",
        delivery: "not-sent",
        method: "add",
      }),
    );
    expect(() => pair.api.pass(Symbol("no") as never)).toThrow(
      expect.objectContaining({ code: "unsendable-value", delivery: "not-sent", method: "pass" }),
    );
    expect(() => counter.dup()).toThrow(/disposed/);
    expect(() => pair.api.pass(counter as never)).toThrow(/disposed/);
    await pair.rest();
    expect(pair.heard()).toEqual(["guest release"]);
    await pair.done();
  });

  it("a call before it is made: nothing is sent, and who awaits it hears so", async () => {
    const pair = new Pair(new Api());
    const promise = pair.api.make();
    const waiting = failure(promise);
    promise[Symbol.dispose]();
    expect(await waiting).toMatchObject({ code: "call-canceled", delivery: "not-sent" });
    await pair.rest();
    expect(pair.heard()).toEqual([]);
    await pair.done();
  });

  it("a promise that something was called on: those calls are made all the same", async () => {
    const pair = new Pair(new Api());
    let sum: PromiseLike<number>;
    {
      using counter = pair.api.make();
      sum = counter.add(3);
    }
    expect(await pair.run(sum)).toBe(3);
    await pair.done();
  });

  it("a stub or a promise that was just passed: the call takes it along", async () => {
    const target = new Api();
    const pair = new Pair(target);
    const counter = await pair.run(pair.api.make());
    const promise = pair.api.make();
    const kept = pair.api.keep(counter);
    counter[Symbol.dispose]();
    const same = pair.api.pass(promise as never);
    promise[Symbol.dispose]();
    await pair.run(kept);
    const result = (await pair.run(same)) as RpcStub<Counter>;
    expect(await pair.run(result.add(4))).toBe(4);
    result[Symbol.dispose]();
    await pair.run(pair.api.drop());
    await pair.done();
  });

  it("a promise with its value, that was just passed: the call takes it along", async () => {
    const target = new Api();
    const pair = new Pair(target);
    const promise = pair.api.make();
    await pair.run(promise);
    const kept = pair.api.keep(promise as never);
    promise[Symbol.dispose]();
    await pair.run(kept);
    expect(await pair.run(pair.api.useKept())).toBe(1);
    await pair.run(pair.api.drop());
    await pair.done();
  });

  it("a promise with its value: to pass it fails here, and the other calls of the turn are made", async () => {
    const pair = new Pair(new Api());
    const promise = pair.api.make();
    await pair.run(promise);
    promise[Symbol.dispose]();
    const before = pair.api.plain();
    expect(() => pair.api.keep(promise as never)).toThrow(
      expect.objectContaining({ code: "capability-disposed" }),
    );
    const after = pair.api.plain();
    expect(await pair.run(Promise.all([before, after]))).toEqual([{ a: 1 }, { a: 1 }]);
    await pair.done();
  });

  it("a promise that has its value since, in the same turn: the call it was passed to fails, no other", async () => {
    const pair = new Pair(new Api());
    const promise = pair.api.make();
    const other = pair.api.make();
    const known = Promise.all([promise, other]);
    await Promise.resolve();
    await Promise.resolve();
    pair.net.advance(60);
    const passed = failure(pair.api.pass([other, promise] as never));
    const on = failure(promise.add(1));
    const after = pair.api.plain();
    pair.net.advance(60);
    promise[Symbol.dispose]();
    await known;
    for (const error of [await passed, await on])
      expect(error).toMatchObject({ code: "capability-disposed", delivery: "not-sent" });
    expect(await pair.run(after)).toEqual({ a: 1 });
    other[Symbol.dispose]();
    await pair.done();
  });

  it("a stub while calls on it are under way leaves them alone", async () => {
    const pair = new Pair(new Api());
    const counter = await pair.run(pair.api.make());
    const sum = counter.add(2);
    counter[Symbol.dispose]();
    expect(await pair.run(sum)).toBe(2);
    await pair.done();
  });
});

describe("identity", () => {
  it("of one object, passed twice in a value, is one stub; in two values, two stubs of one object", async () => {
    const target = new Api();
    const pair = new Pair(target);
    class Twice extends RpcTarget {
      counter = new Counter();
      both(): Counter[] {
        return [this.counter, this.counter];
      }
    }
    const other = new Pair(new Twice());
    const first = await other.run(other.api.both());
    const second = await other.run(other.api.both());
    expect(first[0]).toBe(first[1]);
    expect(first[0]).not.toBe(second[0]);
    expect(sameObject(first[0]!, second[0]!)).toBe("same");
    const copy = first[0]!.dup();
    first[Symbol.dispose]();
    second[Symbol.dispose]();
    expect(await other.run(copy.add(1))).toBe(1);
    using one = await pair.run(pair.api.make());
    using two = await pair.run(pair.api.make());
    expect(sameObject(one, two)).toBe("different");
    expect(sameObject(one, copy)).toBe("unknown");
    for (const stub of [one, two, copy]) stub[Symbol.dispose]();
    await pair.done();
    await other.done();
  });
});

describe("watching stubs", () => {
  afterEach(() => watchStubs(false));

  it("tells of those that nobody disposed, with where they were made", async () => {
    const pair = new Pair(new Api());
    watchStubs();
    const counter = await pair.run(pair.api.make());
    const others = leaks().filter(({ kind }) => kind === "stub");
    expect(others).toHaveLength(1);
    expect(others[0]!.age).toBeGreaterThanOrEqual(0);
    expect(others[0]!.peer).toBe("host");
    expect(others[0]!.stack).toContain("ownership.test.ts");
    const mine = counter.dup();
    expect(leaks().some(({ stack }) => stack?.includes("ownership.test.ts"))).toBe(true);
    mine[Symbol.dispose]();
    counter[Symbol.dispose]();
    expect(leaks()).toEqual([]);
    await pair.done();
  });

  it("tells of promises that were called through, and are held at the other side", async () => {
    const pair = new Pair(new Api());
    watchStubs({ stacks: 0 });
    const counter = pair.api.make();
    await pair.run(counter.add(1));
    await pair.run(pair.api.plain());
    expect(leaks()).toMatchObject([{ kind: "promise", peer: "host", stack: undefined }]);
    counter[Symbol.dispose]();
    expect(leaks()).toEqual([]);
    await pair.done();
  });

  it("notes where one of so many was made, and lists all of them", () => {
    watchStubs({ stacks: 3 });
    const stubs = Array.from({ length: 9 }, () => new RpcStub(new Counter()));
    const found = leaks();
    expect(found).toHaveLength(9);
    const noted = found.filter(({ stack }) => stack !== undefined);
    expect(noted).toHaveLength(3);
    for (const { stack } of noted) expect(stack).toContain("ownership.test");
    for (const stub of stubs) stub[Symbol.dispose]();
    expect(leaks()).toEqual([]);
  });

  it("names nobody for what is an object of this process, whatever it came through", async () => {
    const pair = new Pair(new Api());
    watchStubs();
    using local = new RpcStub(new Counter());
    expect(leaks()).toMatchObject([{ kind: "stub", peer: undefined }]);
    await pair.run(pair.api.keep(local));
    expect(leaks().map(({ kind, peer }) => [kind, peer])).toEqual([
      ["stub", undefined],
      ["stub", "guest"],
    ]);
    pair.target.kept![Symbol.dispose]();
    local[Symbol.dispose]();
    await pair.done();
  });

  it("lets the error of a stub that is used too late name the line that disposed it", async () => {
    const pair = new Pair(new Api());
    watchStubs();
    const counter = await pair.run(pair.api.make());
    counter[Symbol.dispose]();
    expect(() => counter.add()).toThrow(/ownership\.test\.ts:\d+[\s\S]*stub\.dup\(\)/);
    await pair.done();
  });
});
