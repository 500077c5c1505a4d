// Calls: what is called, what travels, how much of it.

import { describe, expect, it } from "vitest";
import { RpcPromise, RpcStub, RpcTarget, targetOf } from "../../src/cap/dynamic/index.js";
import { Counter, failure, Pair } from "./kit.js";

class Api extends RpcTarget {
  readonly seen: unknown[] = [];
  counter = new Counter();
  echo<V>(value: V): V {
    return value;
  }
  many(...values: unknown[]): number {
    return values.length;
  }
  note(value: unknown): void {
    this.seen.push(value);
  }
  async later(value: number): Promise<number> {
    await Promise.resolve();
    return value + 1;
  }
  fail(message: string): never {
    throw new RangeError(message);
  }
  make(): Counter {
    return new Counter();
  }
  get nested(): { deep: { counter: Counter; list: string[] } } {
    return { deep: { counter: this.counter, list: ["a", "b"] } };
  }
  get answer(): Promise<number> {
    return Promise.resolve(42);
  }
  adder(by: number): (x: number) => number {
    return (x) => x + by;
  }
  async apply(f: RpcStub<(x: number) => number>, x: number): Promise<number> {
    return f(x);
  }
}

describe("a call", () => {
  it("that is awaited is one Call and one Return, and takes one round trip", async () => {
    const pair = new Pair(new Api());
    const { net, api } = pair;
    const before = net.now;
    expect(await pair.run(api.echo("hello"))).toBe("hello");
    expect(net.now - before).toBe(100);
    expect(pair.heard()).toEqual(["guest call", "host return"]);
    expect(await pair.run(api.later(1))).toBe(2);
    expect(await pair.run(api.many(1, undefined, null, [], {}))).toBe(5);
    expect(await pair.run(api.many())).toBe(0);
    expect(await pair.run(api.note(1))).toBe(undefined);
    await pair.done();
  });

  it("is made when it is written, whatever becomes of its result, and in that order", async () => {
    const target = new Api();
    const pair = new Pair(target);
    const { api } = pair;
    void api.note(1);
    const second = api.note(2);
    void api.note(3);
    await pair.run(second);
    await pair.rest();
    expect(target.seen).toEqual([1, 2, 3]);
    await pair.done();
  });

  it("takes its arguments as they are when it is written", async () => {
    const pair = new Pair(new Api());
    const list = [1];
    const answer = pair.api.echo(list);
    list.push(2);
    expect(await pair.run(answer)).toEqual([1]);
    await pair.done();
  });

  it("fails with what the method threw: its message, what was called, and that it ran", async () => {
    const pair = new Pair(new Api());
    const error = await failure(pair.run(pair.api.fail("out of range")));
    expect(error).toMatchObject({
      type: "failed",
      code: "remote-exception",
      message: "out of range",
      method: "fail",
      delivery: "started",
    });
    await pair.done();
  });

  it("of what is not there, or is no function, is unimplemented", async () => {
    const pair = new Pair(new Api());
    const api = pair.api as unknown as RpcStub<{ nothing(): void; nested(): void } & RpcTarget>;
    expect(await failure(pair.run(api.nothing()))).toMatchObject({ type: "unimplemented" });
    expect(await failure(pair.run(api.nested()))).toMatchObject({
      type: "unimplemented",
      message: "nested is not a function",
    });
    await pair.done();
  });

  it("with an argument that cannot travel throws, with the path, and nothing is sent", async () => {
    const pair = new Pair(new Api());
    const { api } = pair;
    expect(() => api.note({ user: { socket: new WeakMap() } })).toThrow(/args\[0\]\.user\.socket/);
    await pair.rest();
    expect(pair.heard()).toEqual([]);
    await pair.done();
  });

  it("whose result cannot travel fails, with the path", async () => {
    class Bad extends RpcTarget {
      bad(): unknown {
        return { map: new WeakMap(), counter: new Counter() };
      }
    }
    const pair = new Pair(new Bad());
    const error = await failure(pair.run(pair.api.bad()));
    expect(error.message).toMatch(/result\.map/);
    await pair.done();
  });
});

describe("a property", () => {
  it("is asked for when it is awaited, each time anew", async () => {
    const target = new Api();
    const pair = new Pair(target);
    const { count } = pair.api.nested.deep.counter;
    expect(await pair.run(count)).toBe(0);
    expect(pair.heard()).toEqual(["guest call", "host return"]);
    target.counter.add(4);
    expect(await pair.run(count)).toBe(4);
    expect(await pair.run(pair.api.answer)).toBe(42);
    expect(await pair.run(pair.api.nested.deep.list[1]!)).toBe("b");
    await pair.done();
  });

  it("that is a method arrives as a function, bound to its object", async () => {
    const target = new Api();
    const pair = new Pair(target);
    using note = await pair.run(pair.api.note as unknown as RpcPromise<Api["note"]>);
    await pair.run(note("x"));
    expect(target.seen).toEqual(["x"]);
    note[Symbol.dispose]();
    await pair.done();
  });
});

describe("functions and targets", () => {
  it("go by reference in both directions", async () => {
    const pair = new Pair(new Api());
    using addTwo = await pair.run(pair.api.adder(2));
    expect(await pair.run(addTwo(5))).toBe(7);
    expect(await pair.run(pair.api.apply((x) => x * 10, 4))).toBe(40);
    // Passed back home it leads straight to the function, so this never leaves the host.
    await pair.rest();
    pair.heard();
    expect(await pair.run(pair.api.apply(addTwo, 1))).toBe(3);
    expect(pair.heard()).toEqual(["guest call", "host return"]);
    addTwo[Symbol.dispose]();
    await pair.done();
  });

  it("are stubs where they arrive: instances of RpcStub, and no promises", async () => {
    const pair = new Pair(new Api());
    const promise = pair.api.make();
    expect(promise).toBeInstanceOf(RpcPromise);
    using counter = await pair.run(promise);
    expect(counter).toBeInstanceOf(RpcStub);
    expect(counter).not.toBeInstanceOf(RpcPromise);
    expect((counter as { then?: unknown }).then).toBe(undefined);
    expect(await pair.run(counter.add(3))).toBe(3);
    counter[Symbol.dispose]();
    await pair.done();
  });

  it("come home as stubs that lead straight to the objects, which targetOf gives", async () => {
    class Home extends RpcTarget {
      readonly seen: (object | undefined)[] = [];
      readonly counter = new Counter();
      get(): Counter {
        return this.counter;
      }
      take(counter: RpcStub<Counter>): void {
        this.seen.push(targetOf(counter));
      }
      pass(values: RpcStub<Counter | (() => number)>[]): unknown {
        return values;
      }
    }
    const target = new Home();
    const pair = new Pair(target);
    const mine = new Counter();
    const f = (): number => 1;
    using back = (await pair.run(pair.api.pass([mine, f] as never))) as object[] & Disposable;
    expect(back.map(targetOf)).toEqual([mine, f]);
    await pair.rest();
    pair.heard();
    expect(await pair.run((back[0] as RpcStub<Counter>).add(2))).toBe(2);
    expect(pair.heard()).toEqual([]);
    using theirs = await pair.run(pair.api.get());
    expect(targetOf(theirs)).toBe(undefined);
    expect(targetOf({})).toBe(undefined);
    await pair.run(pair.api.take(theirs));
    expect(target.seen).toEqual([target.counter]);
    back[Symbol.dispose]();
    theirs[Symbol.dispose]();
    await pair.done();
  });
});

describe("a local stub", () => {
  it("behaves as one from afar", async () => {
    const target = new Api();
    using stub = new RpcStub(target);
    expect(await stub.echo(5)).toBe(5);
    expect(await stub.make().add(2)).toBe(2);
    expect(await stub.nested.deep.counter.count).toBe(0);
    const error = await failure(stub.fail("no"));
    expect(error).toMatchObject({ code: "method-failed", message: "no", method: "fail" });
    expect(error.cause).toBeInstanceOf(RangeError);
  });

  it("is made of what goes by reference only", () => {
    expect(() => new RpcStub({} as never)).toThrow(/extends RpcTarget/);
    expect(() => new (RpcPromise as unknown as new () => unknown)()).toThrow(TypeError);
  });
});
