// Typed clients and servers, over hooks of one process: calls, errors, generics.

import { describe, expect, it } from "vitest";
import { openBuilder } from "../../src/cap/typed/runtime/builder.js";
import {
  AnyPointer,
  type Client,
  Message,
  promised,
  type Pipeline,
  RpcError,
  Text,
  whenResolved,
} from "../../src/typed.js";
import {
  Census,
  CounterServer,
  host,
  maker,
  NamedCounterServer,
  scheduler,
  settle,
} from "./kit.js";
import * as f from "./schemas/features.capnp.js";

describe("a call", () => {
  it("takes a plain object and gives the results struct", async () => {
    const counter = host(f.Counter, new CounterServer(10));
    const results = await counter.next({ by: 5 });
    expect(results.value).toBe(15);
    expect(results).toBeInstanceOf(f.Counter_next$Results);
  });

  it("takes nothing, a callback that fills the params, or a struct to copy", async () => {
    const counter = host(f.Counter, new CounterServer());
    expect((await counter.next()).value).toBe(1); // the default of `by`
    expect((await counter.next((params) => (params.by = 9))).value).toBe(10);
    const params = new Message().initRoot(f.Counter_next$Params);
    params.by = 90;
    expect((await counter.next(params)).value).toBe(100);
  });

  it("C-LOC-01: is never dispatched inside the call, and calls keep their order", async () => {
    const server = new CounterServer();
    const counter = host(f.Counter, server);
    const calls = [1, 2, 3].map((by) => counter.next({ by }));
    expect(server.value).toBe(0);
    expect((await Promise.all(calls)).map((r) => r.value)).toEqual([1, 3, 6]);
  });

  it("C-LOC-02: params and results belong to nobody else", async () => {
    const kept: f.Point[] = [];
    const shapes = host(f.Everything, {
      inPlace(params: f.Point) {
        kept.push(params);
        return params;
      },
    } as Partial<f.Everything.Server> as f.Everything.Server);
    const point = new Message().initRoot(f.Point);
    point.set({ x: 1, label: "first" });
    const call = shapes.inPlace(point);
    point.x = 2;
    const results = await call;
    expect(results.toObject()).toEqual({ x: 1, y: 0, label: "first" });
    expect(() => (results.x = 3)).toThrow(expect.objectContaining({ code: "invalid-state" }));
    await shapes.inPlace({ x: 7 });
    expect(kept[0]!.x).toBe(1);
  });

  it("a struct kept from the params callback is dead once the call is made", async () => {
    const counter = host(f.Counter, new CounterServer());
    let kept: f.Counter_next$Params | undefined;
    await counter.next((params) => {
      params.by = 2;
      kept = params;
    });
    expect(() => (kept!.by = 1000)).toThrow(expect.objectContaining({ code: "invalid-state" }));
    expect(() => kept!.by).toThrow(RpcError);
    expect((await counter.next({ by: 1 })).value).toBe(3);
  });

  it("uses one scratch message per level of nesting, over and over", () => {
    const one = scheduler();
    const outer = openBuilder(one, false);
    const inner = openBuilder(one, false);
    inner.close();
    outer.close();
    for (let i = 0; i < 3; i++) {
      const again = openBuilder(one, false);
      expect(again).toBe(outer);
      again.close();
    }
  });

  it("made inside the params callback of another does not mix with it", async () => {
    const server = new CounterServer();
    const counter = host(f.Counter, server);
    let inner: Pipeline<f.Counter_next$Results> | undefined;
    const outer = counter.next((params) => {
      params.by = 1;
      inner = counter.next({ by: 100 });
      expect(params.by).toBe(1);
      params.by = 2;
    });
    expect((await inner!).value).toBe(100);
    expect((await outer).value).toBe(102);
  });

  it("a params callback that throws makes no call and leaves nothing behind", async () => {
    const census = new Census();
    const everything = host(f.Everything, {} as f.Everything.Server);
    expect(() =>
      everything.callback((params) => {
        params.target = new CounterServer(0, census);
        throw new RangeError("mine");
      }),
    ).toThrow(RangeError);
    await settle();
    expect(census.alive).toBe(0);
  });

  it("may be awaited twice, and its value is one object", async () => {
    const counter = host(f.Counter, new CounterServer());
    const call = counter.next({ by: 1 });
    const first = await call;
    expect(await call).toBe(first);
    await expect(call.finally(() => {})).resolves.toBe(first);
  });

  it("that nobody awaits is made all the same", async () => {
    const server = new CounterServer();
    const counter = host(f.Counter, server);
    void counter.next({ by: 4 });
    await settle();
    expect(server.value).toBe(4);
  });

  it("two clients dispatch to inherited methods by the interface that declares them", async () => {
    const server = new NamedCounterServer();
    const client = host(f.NamedCounter, server);
    await client.rename({ name: "Ada" });
    expect((await client.name()).name).toBe("Ada");
    expect((await client.next({ by: 3 })).value).toBe(3);
    using named: f.Named = client.castAs(f.Named);
    expect((await named.name()).name).toBe("Ada");
    const counter: f.Counter = client; // a subtype
    expect((await counter.next({ by: 1 })).value).toBe(4);
  });
});

describe("errors", () => {
  const failing = (thrown: unknown) =>
    host(f.Counter, {
      next() {
        throw thrown;
      },
      async reset() {
        await settle();
        throw thrown;
      },
    });

  it("C-DIS-15: anything thrown becomes failed with a safe message", async () => {
    const cases: [unknown, RegExp][] = [
      [new Error("no luck"), /^no luck$/],
      ["a string", /a string/],
      [undefined, /undefined/],
      [null, /./],
      [{ secret: 1 }, /an object that is no Error/],
    ];
    for (const [thrown, message] of cases) {
      const counter = failing(thrown);
      for (const call of [counter.next(), counter.reset()]) {
        const error: unknown = await call.then(
          () => null,
          (reason: unknown) => reason,
        );
        expect(error).toBeInstanceOf(RpcError);
        expect(error).toMatchObject({ type: "failed", code: "method-failed" });
        expect((error as RpcError).message).toMatch(message);
      }
    }
  });

  it("an RpcError passes as it is", async () => {
    const thrown = new RpcError("overloaded", "limit-exceeded", "later");
    await expect(failing(thrown).next()).rejects.toMatchObject({
      type: "overloaded",
      message: "later",
    });
  });

  it("C-LOC-03: an unknown interface or method is unimplemented, named", async () => {
    const counter = host(f.Counter, {} as f.Counter.Server);
    await expect(counter.next()).rejects.toMatchObject({
      type: "unimplemented",
      code: "method-unimplemented",
      message: expect.stringMatching(
        /Counter \(interface 0x[0-9a-f]{16}\) has no method 0/,
      ) as string,
    });
    await expect(counter.castAs(f.Named).name()).rejects.toMatchObject({
      type: "unimplemented",
      message: expect.stringMatching(
        /Counter does not implement interface 0x[0-9a-f]{16}/,
      ) as string,
    });
  });

  it("results that do not fit fail the call, and say why", async () => {
    const counter = host(f.Counter, { next: () => ({ value: 2 ** 40 }), reset() {} });
    await expect(counter.next()).rejects.toMatchObject({
      code: "invalid-argument",
      message: /Int32/,
    });
  });

  it("C-DIS-19: a rejected call that nobody awaits is no unhandled rejection", async () => {
    const seen: unknown[] = [];
    const listener = (reason: unknown): void => void seen.push(reason);
    process.on("unhandledRejection", listener);
    void failing(new Error("x")).next();
    await settle();
    process.off("unhandledRejection", listener);
    expect(seen).toEqual([]);
  });
});

describe("generic interfaces and methods", () => {
  it("read and write by the types they are bound to", async () => {
    const entries = new Map<string, number>();
    const server: f.Map.Server<string, f.Point> = {
      get({ key }) {
        const x = entries.get(key);
        return x === undefined ? { found: false } : { value: { x }, found: true };
      },
      put({ key, value }) {
        const old = entries.get(key);
        entries.set(key, value.x);
        return old === undefined ? {} : { old: { value: { x: old } } };
      },
      entries: () => ({ list: [...entries].map(([key, x]) => ({ key, value: { x } })) }),
      sub: () => ({ map: server }),
    };
    const map = host(f.Map.of(Text, f.Point), server);
    expect((await map.get({ key: "a" })).found).toBe(false);
    expect((await map.put({ key: "a", value: { x: 1 } })).hasOld()).toBe(false);
    const { old } = await map.put({ key: "a", value: { x: 2 } });
    expect(old.value.x).toBe(1);
    const sub = map.sub().map;
    expect((await sub.get({ key: "a" })).value.x).toBe(2);
    const { list } = await sub.entries();
    expect(list.map((entry) => [entry.key, entry.value.x])).toEqual([["a", 2]]);
  });

  it("an interface that inherits a bound one has its types", async () => {
    const map = host(f.TextMap, {
      get: ({ key }) => ({ value: { label: key }, found: true }),
      put: () => ({}),
      entries: () => ({}),
      sub: () => ({}),
      size: () => ({ size: 3 }),
    });
    expect((await map.get({ key: "k" })).value.label).toBe("k");
    expect((await map.size()).size).toBe(3);
    const parent: f.Map<string, f.Point> = map.castAs(f.Map.of(Text, f.Point));
    expect((await parent.get({ key: "p" })).value.label).toBe("p");
  });

  it("a generic method takes its types with the call", async () => {
    const generic = host(f.Generic, {
      identity: ({ value }) => ({ value }),
      swap: ({ pair }) => ({ pair: { first: pair.second, second: pair.first } }),
      box: (box) => box,
    });
    expect((await generic.identity({ value: "t" }, { types: [Text] })).value).toBe("t");
    expect((await generic.identity({ value: { x: 3 } }, { types: [f.Point] })).value.x).toBe(3);
    expect((await generic.identity({ value: "any" })).value.text).toBe("any");
    const { pair } = await generic.swap(
      { pair: { first: "a", second: { y: 2 } } },
      { types: [Text, f.Point] },
    );
    expect([pair.first.y, pair.second]).toEqual([2, "a"]);
    const box = await generic.box({ value: "b", next: { value: "c" } }, { types: [Text] });
    expect([box.value, box.next.value]).toEqual(["b", "c"]);
    const counter = generic.identity({ value: new CounterServer(1) }, { types: [f.Counter] }).value;
    expect((await counter.next()).value).toBe(2);
    expect(AnyPointer._capnp.displayName).toBe("AnyPointer");
  });
});

describe("a client", () => {
  it("C-GCF-05: disposed twice is nothing, used after is an error without a message sent", async () => {
    const census = new Census();
    const counter = host(f.Counter, new CounterServer(0, census));
    counter[Symbol.dispose]();
    counter[Symbol.dispose]();
    for (const use of [() => counter.next(), () => counter.dup(), () => counter.castAs(f.Named)])
      expect(use).toThrow(expect.objectContaining({ code: "capability-disposed" }));
    await settle();
    expect(census.alive).toBe(0);
  });

  it("C-LOC-04: of a promise queues calls in order, and goes on with what the promise gives", async () => {
    const census = new Census();
    let resolve: (client: f.Counter) => void = () => {};
    const counter = promised(f.Counter, new Promise<f.Counter>((r) => (resolve = r)));
    const calls = [1, 2, 3].map((by) => counter.next({ by }));
    const real = host(f.Counter, new CounterServer(0, census));
    resolve(real);
    expect((await Promise.all(calls)).map((r) => r.value)).toEqual([1, 3, 6]);
    expect((await counter.next()).value).toBe(7);
    expect(() => real.next()).toThrow(expect.objectContaining({ code: "capability-disposed" }));
    counter[Symbol.dispose]();
    await settle();
    expect(census.alive).toBe(0);
    const broken = promised(f.Counter, Promise.reject(new Error("no such counter")));
    await expect(broken.next()).rejects.toMatchObject({ message: "no such counter" });
    const disposed = promised(f.Counter, Promise.resolve(real));
    await expect(disposed.next()).rejects.toMatchObject({ code: "capability-disposed" });
  });

  it("of a promise says when it is known, or broken", async () => {
    const census = new Census();
    using made = maker(census).makeCounter();
    const { counter } = made;
    await whenResolved(counter);
    const failed = host(f.Everything, {} as f.Everything.Server).makeCounter();
    await expect(whenResolved(failed.counter)).rejects.toMatchObject({ type: "unimplemented" });
  });

  it("a subtype is accepted where its supertype is expected, another interface is not", () => {
    const take = (counter: f.Counter): Client => counter;
    take(host(f.NamedCounter, new NamedCounterServer()));
    // @ts-expect-error -- a Named has no method next
    take(host(f.Named, { name: () => ({}) }));
    // @ts-expect-error -- a server must have every method
    host(f.Counter, { next: () => ({}) });
    // @ts-expect-error -- results must fit
    host(f.Counter, { next: () => ({ value: "1" }), reset() {} });
  });
});
