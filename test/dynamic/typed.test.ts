// Typed clients in dynamic values, and stubs in typed structs: each layer takes what the other hands out.

import { describe, expect, it } from "vitest";
import type { Scheduler } from "../../src/base/scheduler.js";
import { RpcStub, RpcTarget } from "../../src/cap/dynamic/index.js";
import type { Holder } from "../../src/index.js";
import { castAs, serve as serveTyped } from "../../src/typed.js";
import { Census, CounterServer, maker, settle } from "../typed/kit.js";
import * as f from "../typed/schemas/features.capnp.js";
import { Counter, failure, Pair } from "./kit.js";

class Api extends RpcTarget {
  readonly census = new Census();
  kept: f.Counter | null = null;
  scheduler: Scheduler | null = null;
  make(): f.Counter {
    return serveTyped(f.Counter, new CounterServer(10, this.census), {
      scheduler: this.scheduler!,
    });
  }
  list(): { counters: f.Counter[] } {
    return { counters: [this.make(), this.make()] };
  }
  get own(): f.Counter {
    return (this.kept ??= this.make());
  }
  async bump(lent: Holder, by: number): Promise<number> {
    const counter = castAs(lent, f.Counter);
    const { value } = await counter.next({ by });
    counter[Symbol.dispose]();
    return value;
  }
  plain(): Counter {
    return new Counter();
  }
}

function pairOf(): Pair<Api> {
  const pair = new Pair(new Api());
  pair.target.scheduler = pair.host.scheduler;
  return pair;
}

describe("a typed client in a dynamic value", () => {
  it("arrives as a stub that can be cast back, as the result and inside of one", async () => {
    const pair = pairOf();
    const stub = await pair.run(pair.api.make());
    expect(stub).toBeInstanceOf(RpcStub);
    const counter = castAs(stub, f.Counter);
    expect((await pair.run(counter.next({ by: 5 }))).value).toBe(15);
    stub[Symbol.dispose]();
    expect((await pair.run(counter.next({ by: 1 }))).value).toBe(16);
    counter[Symbol.dispose]();
    const { counters } = await pair.run(pair.api.list());
    const second = castAs(counters[1]!, f.Counter);
    expect((await pair.run(second.next({ by: 2 }))).value).toBe(12);
    second[Symbol.dispose]();
    for (const one of counters) one[Symbol.dispose]();
    await pair.done();
    await settle();
    expect(pair.target.census.alive).toBe(0);
  });

  it("can be cast, and called, before it is there", async () => {
    const pair = pairOf();
    const call = pair.api.make();
    const counter = castAs(call, f.Counter);
    const next = counter.next({ by: 1 });
    expect((await pair.run(next)).value).toBe(11);
    counter[Symbol.dispose]();
    call[Symbol.dispose]();
    await pair.done();
    await settle();
    expect(pair.target.census.alive).toBe(0);
  });

  it("is lent as an argument: it stays its owner's", async () => {
    const pair = pairOf();
    const census = new Census();
    const mine = serveTyped(f.Counter, new CounterServer(0, census), {
      scheduler: pair.guest.scheduler,
    });
    expect(await pair.run(pair.api.bump(mine, 3))).toBe(3);
    expect(await pair.run(pair.api.bump(mine, 4))).toBe(7);
    await pair.rest();
    expect(census.alive).toBe(1);
    mine[Symbol.dispose]();
    await pair.done();
    await settle();
    expect(census.alive).toBe(0);
  });

  it("is given with a result, and stays a property's owner's no more", async () => {
    const pair = pairOf();
    const stub = await pair.run(pair.api.own);
    expect(pair.target.kept!._hook).toBeNull();
    stub[Symbol.dispose]();
    await pair.done();
    await settle();
    expect(pair.target.census.alive).toBe(0);
  });

  it("that was disposed is refused, and nothing is sent", async () => {
    const pair = pairOf();
    const mine = serveTyped(f.Counter, new CounterServer(), {
      scheduler: pair.guest.scheduler,
    });
    mine[Symbol.dispose]();
    expect(() => pair.api.bump(mine, 1)).toThrow(
      expect.objectContaining({ code: "capability-disposed" }),
    );
    await pair.rest();
    expect(pair.heard()).toEqual([]);
    await pair.done();
  });

  it("does not answer the calls of a stub, and a target not those of a typed client", async () => {
    const pair = pairOf();
    const stub = (await pair.run(pair.api.make())) as unknown as RpcStub<Counter>;
    expect(await failure(pair.run(stub.add(1)))).toMatchObject({ type: "unimplemented" });
    stub[Symbol.dispose]();
    const plain = await pair.run(pair.api.plain());
    const cast = castAs(plain, f.Counter);
    expect(await failure(pair.run(cast.next({ by: 1 })))).toMatchObject({ type: "unimplemented" });
    cast[Symbol.dispose]();
    plain[Symbol.dispose]();
    await pair.done();
    await settle();
  });

  it("makes a stub in this process, too", async () => {
    const census = new Census();
    const mine = serveTyped(f.Counter, new CounterServer(0, census));
    const stub = new RpcStub<Holder>(mine);
    mine[Symbol.dispose]();
    const back = castAs(stub, f.Counter);
    expect((await back.next({ by: 2 })).value).toBe(2);
    back[Symbol.dispose]();
    stub[Symbol.dispose]();
    await settle();
    expect(census.alive).toBe(0);
  });
});

describe("a stub in a typed struct", () => {
  it("is lent in a field of an interface, and in one of any type", async () => {
    const census = new Census();
    const seen: unknown[] = [];
    const everything = maker(census, {
      anything: async ({ it }) => {
        const target = new RpcStub<Counter>(it.any.as(f.Counter) as never);
        seen.push(await target.add(4));
        target[Symbol.dispose]();
        return {};
      },
      callback: async ({ target }) => {
        const typed = new RpcStub<Counter>(target as never);
        const sum = await typed.add(5);
        typed[Symbol.dispose]();
        return { sum };
      },
    });
    const counter = new Counter();
    const stub = new RpcStub(counter);
    await everything.anything({ it: { any: stub } });
    expect(seen).toEqual([4]);
    // The type of a field of an interface is that of its clients; castAs makes one of a stub, and at run time either will do.
    expect((await everything.callback({ target: stub as never, times: 1 })).sum).toBe(9);
    expect(await stub.add(1)).toBe(10);
    await settle();
    expect(counter.disposed).toBe(0);
    stub[Symbol.dispose]();
    everything[Symbol.dispose]();
    await settle();
    expect(counter.disposed).toBe(1);
    expect(census.alive).toBe(0);
  });

  it("is given away in results; a disposed one is refused", async () => {
    const census = new Census();
    const counter = new Counter();
    const stub = new RpcStub(counter);
    const everything = maker(census, { anything: () => ({ it: { any: stub } }) });
    const call = everything.anything({ it: {} });
    const results = await call;
    expect(() => stub.add(1)).toThrow(expect.objectContaining({ code: "capability-disposed" }));
    using back = new RpcStub<Counter>(results.it.any.as(f.Counter) as never);
    expect(await back.add(2)).toBe(2);
    results[Symbol.dispose]();
    expect(() => everything.anything({ it: { any: stub } })).toThrow(
      expect.objectContaining({ code: "capability-disposed" }),
    );
    back[Symbol.dispose]();
    everything[Symbol.dispose]();
    await settle();
    expect(counter.disposed).toBe(1);
  });
});
