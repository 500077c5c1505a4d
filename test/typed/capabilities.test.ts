// Typed capabilities in params and results, and calls on results that are not there yet.

import { describe, expect, it } from "vitest";
import { LocalHook } from "../../src/hook/local.js";
import { any, Message, RpcError, serve } from "../../src/typed.js";
import { Census, CounterServer, host, maker, scheduler, settle } from "./kit.js";
import * as f from "./schemas/features.capnp.js";

describe("pipelining", () => {
  it("C-PIP-13: calls on results that are not there yet, at every depth", async () => {
    const census = new Census();
    const everything = maker(census);
    const made = everything.makeCounter({ start: 1 });
    const calls = [
      made.counter.next(),
      made.inner.counter.next(),
      made.inner.deeper.counter.next(),
      made.inner.group.counter.next(),
      made.inner.box.value.next(),
      made.inner.any.as(f.Counter).next(),
    ];
    const values = await Promise.allSettled(calls);
    expect(
      values.map((v) => (v.status === "fulfilled" ? v.value.value : (v.reason as RpcError).code)),
    ).toEqual([2, 102, 202, 302, 402, "null-capability"]);
    const inner = await made.inner;
    expect(inner).toBeInstanceOf(f.Holder);
    expect((await inner.counter.next()).value).toBe(103);
    made[Symbol.dispose]();
    await settle();
    expect(census.alive).toBe(0);
  });

  it("C-PIP-02: one path gives one client, before and after the results are there", async () => {
    const census = new Census();
    const made = maker(census).makeCounter({ start: 0 });
    const early = made.counter;
    expect(made.counter).toBe(early);
    const order = [early.next(), early.next()];
    await settle();
    order.push(made.counter.next());
    expect((await Promise.all(order)).map((r) => r.value)).toEqual([1, 2, 3]);
    expect(made.counter).toBe(early);
    expect((await made.inner.counter.next()).value).toBe(101);
    made[Symbol.dispose]();
    await settle();
    expect(census.alive).toBe(0);
  });

  it("one capability is one client, however often it is read, and another by another interface", async () => {
    const census = new Census();
    const everything = maker(census, {
      anything: ({ it }) => {
        const given = it.any.as(f.Counter);
        expect(it.any.as(f.Counter)).toBe(given);
        expect(it.any.as(f.NamedCounter)).not.toBe(given);
        expect(it.any.as(f.NamedCounter)).toBe(it.any.as(f.NamedCounter));
        return { it: { any: it.any } };
      },
    });
    const call = everything.anything({ it: { any: any(f.Counter, new CounterServer(0, census)) } });
    const early = call.it.any.as(f.Counter);
    expect(call.it.any.as(f.Counter)).toBe(early);
    const cast = call.it.any.as(f.NamedCounter);
    expect(call.it.any.as(f.NamedCounter)).toBe(cast);
    expect(cast._hook).toBe(early._hook); // one way to the object, so one order
    expect(
      (await Promise.all([early.next(), cast.next(), early.next()])).map((r) => r.value),
    ).toEqual([1, 2, 3]);
    const results = await call;
    expect(call.it.any.as(f.Named)._hook).toBe(early._hook); // and still, when it is known
    expect(results.it.any.as(f.Counter)).toBe(results.it.any.as(f.Counter));
    results[Symbol.dispose]();
    await settle();
    expect(census.alive).toBe(0);
  });

  it("awaiting a struct that the results have no room for gives one with no field set", async () => {
    const hook = new LocalHook({ dispatch: (call) => call.returns() }, scheduler());
    const made = new f.Everything(hook).makeCounter();
    const inner = await made.inner;
    expect(inner.hasCounter()).toBe(false);
    const deeper = await made.inner.deeper;
    expect(deeper).toBeInstanceOf(f.Holder);
    await expect(deeper.counter.next()).rejects.toMatchObject({ code: "null-capability" });
  });

  it("disposing the results ends the clients that were pipelined from them", async () => {
    const census = new Census();
    const call = maker(census).makeCounter();
    const early = call.counter;
    const deep = call.inner.deeper.counter;
    let late: f.Counter;
    {
      using results = await call;
      expect((await results.counter.next()).value).toBe(1);
      expect((await early.next()).value).toBe(2);
      late = call.inner.counter;
    }
    for (const client of [early, deep, late])
      expect(() => client.next()).toThrow(expect.objectContaining({ code: "capability-disposed" }));
    await settle();
    expect(census.alive).toBe(0);
  });

  it("C-PIP-04: calls pipelined on a call that fails get its error", async () => {
    const everything = host(f.Everything, {
      makeCounter() {
        throw new RpcError("overloaded", "limit-exceeded", "no more counters");
      },
    } as unknown as f.Everything.Server);
    const made = everything.makeCounter();
    await expect(made.counter.next()).rejects.toMatchObject({
      type: "overloaded",
      message: "no more counters",
    });
    await expect(made.inner.deeper.counter.next()).rejects.toMatchObject({ type: "overloaded" });
    await expect(made).rejects.toMatchObject({ type: "overloaded" });
  });

  it("C-PIP-03: a null struct on the way is a null capability", async () => {
    const everything = host(f.Everything, {
      makeCounter: () => ({}),
    } as unknown as f.Everything.Server);
    const made = everything.makeCounter();
    await expect(made.inner.deeper.counter.next()).rejects.toMatchObject({
      code: "null-capability",
    });
    const results = await made;
    expect(results.hasCounter()).toBe(false);
    await expect(results.counter.next()).rejects.toMatchObject({ code: "null-capability" });
    await expect(made.inner.counter.next()).rejects.toMatchObject({ code: "null-capability" });
  });

  it("a promised client can be passed on before it is known", async () => {
    const census = new Census();
    const everything = maker(census, {
      async callback({ target, times }: f.Everything_callback$Params) {
        let sum = 0;
        for (let i = 0; i < times; i++) sum += (await target.next()).value;
        return { sum };
      },
    });
    using made = everything.makeCounter({ start: 0 });
    const { sum } = await everything.callback({ target: made.counter, times: 3 });
    expect(sum).toBe(6);
  });
});

describe("capabilities in params and results", () => {
  it("an object that implements the interface becomes a capability", async () => {
    const census = new Census();
    const everything = maker(census, {
      async callback({ target }: f.Everything_callback$Params) {
        return { sum: (await target.next({ by: 40 })).value };
      },
    });
    const { sum } = await everything.callback({ target: new CounterServer(2, census), times: 1 });
    expect(sum).toBe(42);
    await settle();
    expect(census.alive).toBe(0);
  });

  it("params are lent: a client read from them ends with the call unless it is duplicated", async () => {
    const census = new Census();
    let kept: f.Counter | undefined;
    let owned: f.Counter | undefined;
    const everything = maker(census, {
      callback({ target }: f.Everything_callback$Params) {
        kept = target;
        owned = target.dup();
        return { sum: 0 };
      },
    });
    using counter = host(f.Counter, new CounterServer(0, census));
    await everything.callback({ target: counter, times: 0 });
    expect(() => kept!.next()).toThrow(expect.objectContaining({ code: "capability-disposed" }));
    expect((await owned!.next()).value).toBe(1);
    expect((await counter.next()).value).toBe(2); // the caller keeps its own
    owned![Symbol.dispose]();
    counter[Symbol.dispose]();
    await settle();
    expect(census.alive).toBe(0);
  });

  it("results are given: a client that is returned passes to the caller", async () => {
    const census = new Census();
    const inner = host(f.Counter, new CounterServer(7, census));
    const everything = host(f.Everything, {
      makeCounter: () => ({ counter: inner }),
    } as unknown as f.Everything.Server);
    {
      using results = await everything.makeCounter();
      expect((await results.counter.next()).value).toBe(8);
      expect(() => inner.next()).toThrow(expect.objectContaining({ code: "capability-disposed" }));
    }
    await settle();
    expect(census.alive).toBe(0);
    await expect(everything.makeCounter()).rejects.toMatchObject({ code: "capability-disposed" });
  });

  it("C-GCF-06: disposing results releases capabilities that nobody read", async () => {
    const census = new Census();
    const everything = maker(census);
    const results = await everything.makeCounter();
    expect(census.alive).toBe(5);
    const { counter } = results;
    const copy = counter.dup();
    results[Symbol.dispose]();
    results[Symbol.dispose]();
    expect(() => counter.next()).toThrow(expect.objectContaining({ code: "capability-disposed" }));
    await settle();
    expect(census.alive).toBe(1);
    await expect(results.inner.counter.next()).rejects.toMatchObject({
      code: "capability-disposed",
    });
    copy[Symbol.dispose]();
    await settle();
    expect(census.alive).toBe(0);
  });

  it("a client that was read outlives its results, and is disposed on its own", async () => {
    const census = new Census();
    const everything = host(f.Everything, {
      makeCounter: () => ({ counter: new CounterServer(0, census) }),
    } as unknown as f.Everything.Server);
    let counter: f.Counter = (await everything.makeCounter()).counter;
    expect((await counter.next()).value).toBe(1);
    counter[Symbol.dispose]();
    counter[Symbol.dispose](); // C-GCF-05
    await settle();
    expect(census.alive).toBe(0);
    counter = (await everything.makeCounter()).counter;
    expect(census.alive).toBe(1);
  });

  it("C-LOC-13: in lists, AnyPointer, generics and copied structs they work as in fields", async () => {
    const census = new Census();
    const everything = maker(census, {
      async anything({ it }: f.Everything_anything$Params) {
        const first = await it.any.as(f.Counter).next();
        expect(first.value).toBe(11);
        return { it }; // copied, capabilities and all
      },
    });
    const lists = new Message().initRoot(f.Lists);
    expect(() => lists.set({ caps: [new CounterServer()] })).toThrow(
      expect.objectContaining({ code: "invalid-state" }),
    );
    const call = everything.anything({
      it: (() => {
        const value: f.Anything.Init = {
          any: any(f.Counter, new CounterServer(10, census)),
          anyList: any(f.Bindings, { cap: { value: new CounterServer(20, census) } }),
          anyCap: host(f.Counter, new CounterServer(30, census)),
        };
        return value;
      })(),
    });
    const { it } = await call;
    expect((await it.any.as(f.Counter).next()).value).toBe(12);
    expect((await it.anyList.as(f.Bindings).cap.value.next()).value).toBe(21);
    expect((await it.anyCap.castAs(f.Counter).next()).value).toBe(31);
    it[Symbol.dispose]();
    await settle();
    expect(census.alive).toBe(1); // our own client holds the third
  });

  it("C-LOC-09: a server is dropped once, after its last reference and its last call", async () => {
    const dropped: string[] = [];
    let finish: () => void = () => {};
    const client = host(f.Counter, {
      next: () => new Promise((resolve) => (finish = () => resolve({ value: 1 }))),
      reset() {},
      [Symbol.dispose]: () => void dropped.push("dropped"),
    } as f.Counter.Server);
    const call = client.next();
    const copy = client.dup();
    client[Symbol.dispose]();
    copy[Symbol.dispose]();
    await settle();
    expect(dropped).toEqual([]);
    finish();
    expect((await call).value).toBe(1);
    expect(dropped).toEqual(["dropped"]);
  });

  it("C-LOC-08: an object served twice is two capabilities", async () => {
    const census = new Census();
    const server = new CounterServer(0, census);
    const a = serve(f.Counter, server);
    const b = serve(f.Counter, server);
    expect(a._hook).not.toBe(b._hook);
    a[Symbol.dispose]();
    await b.next();
    b[Symbol.dispose]();
  });
});
