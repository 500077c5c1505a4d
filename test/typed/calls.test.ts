// Typed clients and servers, over hooks of one process.

import { describe, expect, it } from "vitest";
import {
  any,
  AnyPointer,
  Client,
  Message,
  Pipeline,
  RpcError,
  serve,
  Text,
  whenResolved,
} from "../../src/typed.js";
import { Census, CounterServer, host, NamedCounterServer, scheduler, settle } from "./kit.js";
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

/** Makes counters; everything else is unimplemented. */
function maker(census: Census, extra: Partial<f.Everything.Server> = {}): f.Everything {
  return host(f.Everything, {
    makeCounter({ start }: f.Everything_makeCounter$Params) {
      const counter = new CounterServer(start, census);
      return {
        counter,
        inner: {
          counter: new CounterServer(start + 100, census),
          deeper: { counter: new CounterServer(start + 200, census), group: { counter: null } },
          group: { counter: new CounterServer(start + 300, census) },
          box: { value: new CounterServer(start + 400, census) },
        },
      };
    },
    ...extra,
  } as f.Everything.Server);
}

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

describe("cancellation", () => {
  function hanging(context: {
    signal?: AbortSignal;
    cancelable?: boolean;
    finish?: () => void;
    calls: number;
  }) {
    return host(f.Counter, {
      next(_params, call) {
        context.calls++;
        if (context.cancelable === false) call.cancelable = false;
        context.signal = call.signal;
        return new Promise((resolve) => (context.finish = () => resolve({ value: 5 })));
      },
      reset() {},
    });
  }

  it("C-CAN-03: a signal of the caller's fires the callee's, once", async () => {
    const seen: Parameters<typeof hanging>[0] = { calls: 0 };
    const counter = hanging(seen);
    const caller = new AbortController();
    const call = counter.next({}, { signal: caller.signal });
    await settle();
    let fired = 0;
    seen.signal!.addEventListener("abort", () => fired++);
    caller.abort(new Error("enough"));
    await expect(call).rejects.toMatchObject({
      code: "call-canceled",
      cause: expect.any(Error) as Error,
    });
    await settle();
    expect(fired).toBe(1);
    expect(seen.signal!.reason).toMatchObject({ code: "call-canceled" });
    seen.finish!();
    await settle();
  });

  it("disposing a call that is not answered cancels it", async () => {
    const seen: Parameters<typeof hanging>[0] = { calls: 0 };
    const call = hanging(seen).next();
    const asked = call.then(
      () => "value",
      (error: RpcError) => error.code,
    );
    await settle();
    call[Symbol.dispose]();
    call[Symbol.dispose]();
    expect(await asked).toBe("call-canceled");
    await settle();
    expect(seen.signal!.aborted).toBe(true);
  });

  it("C-CAN-02: a pipelined client of its own reference keeps the call alive", async () => {
    const census = new Census();
    let aborted = false;
    const everything = host(f.Everything, {
      async makeCounter(_params: f.Everything_makeCounter$Params, call: { signal: AbortSignal }) {
        call.signal.addEventListener("abort", () => (aborted = true));
        await settle();
        return { counter: new CounterServer(0, census) };
      },
    } as unknown as f.Everything.Server);
    const call = everything.makeCounter();
    const counter = call.counter.dup();
    call[Symbol.dispose]();
    expect((await counter.next()).value).toBe(1);
    expect(aborted).toBe(false);
    counter[Symbol.dispose]();
    await settle();
    expect(census.alive).toBe(0);
  });

  it("C-CAN-04: a method may opt out", async () => {
    const seen: Parameters<typeof hanging>[0] = { calls: 0, cancelable: false };
    const caller = new AbortController();
    const call = hanging(seen).next({}, { signal: caller.signal });
    await settle();
    caller.abort();
    await expect(call).rejects.toMatchObject({ code: "call-canceled" });
    await settle();
    expect(seen.signal!.aborted).toBe(false);
    seen.finish!();
  });

  it("a signal that has fired, or a deadline that has passed, makes no call", async () => {
    const seen: Parameters<typeof hanging>[0] = { calls: 0 };
    const counter = hanging(seen);
    await expect(counter.next({}, { signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: "call-canceled",
      delivery: "not-sent",
    });
    await expect(counter.next({}, { deadline: Date.now() - 1 })).rejects.toMatchObject({
      code: "deadline-exceeded",
      delivery: "not-sent",
    });
    await expect(counter.next({}, { deadline: new Date(Number.NaN) })).rejects.toMatchObject({
      code: "invalid-argument",
    });
    await settle();
    expect(seen.calls).toBe(0);
  });

  it("a deadline ends the call, and its timer ends with the call", async () => {
    const seen: Parameters<typeof hanging>[0] = { calls: 0 };
    const counter = hanging(seen);
    await expect(counter.next({}, { deadline: Date.now() + 20 })).rejects.toMatchObject({
      code: "deadline-exceeded",
    });
    await settle();
    expect(seen.signal!.aborted).toBe(true);
    const timers = process.getActiveResourcesInfo().filter((kind) => kind === "Timeout").length;
    const call = counter.next({}, { deadline: new Date(Date.now() + 3_600_000) });
    await settle();
    expect(process.getActiveResourcesInfo().filter((kind) => kind === "Timeout").length).toBe(
      timers + 1,
    );
    seen.finish!();
    expect((await call).value).toBe(5);
    expect(process.getActiveResourcesInfo().filter((kind) => kind === "Timeout").length).toBe(
      timers,
    );
  });

  it("the listener on the signal is taken off when the call is answered", async () => {
    const signal = new AbortController().signal;
    let listeners = 0;
    const add = signal.addEventListener.bind(signal);
    const remove = signal.removeEventListener.bind(signal);
    signal.addEventListener = ((...args: Parameters<typeof add>) => (
      listeners++,
      add(...args)
    )) as typeof add;
    signal.removeEventListener = ((...args: Parameters<typeof remove>) => (
      listeners--,
      remove(...args)
    )) as typeof remove;
    await host(f.Counter, new CounterServer()).next({}, { signal });
    expect(listeners).toBe(0);
  });
});

describe("the context of a call", () => {
  it("C-TAI-01: a tail call answers in place of the method", async () => {
    const census = new Census();
    const backend = host(f.Counter, new CounterServer(40, census));
    const front = host(f.Counter, {
      next(params, context) {
        return context.tailCall(backend).next({ by: params.by + 1 });
      },
      async reset(_params, context) {
        return context.tailCall(backend).reset();
      },
    });
    expect((await front.next({ by: 1 })).value).toBe(42);
    await front.reset();
    expect((await backend.next()).value).toBe(1);
    backend[Symbol.dispose]();
    await settle();
    expect(census.alive).toBe(0);
  });

  it("a client for a tail call makes one call", async () => {
    const backend = host(f.Counter, new CounterServer());
    const seen: unknown[] = [];
    const front = host(f.Counter, {
      next(_params, context) {
        const tail = context.tailCall(backend);
        void tail.next({ by: 3 });
        seen.push(
          tail.next({ by: 100 }).then(
            () => "value",
            (error: RpcError) => error.code,
          ),
        );
      },
      reset() {},
    });
    expect((await front.next()).value).toBe(3);
    expect(await seen[0]).toBe("invalid-state");
    expect((await backend.next({ by: 0 })).value).toBe(3);
  });

  it("C-PIP-07: a pipeline that is set early lets calls flow before the results", async () => {
    const census = new Census();
    let finish: () => void = () => {};
    const everything = host(f.Everything, {
      async makeCounter(_params, context) {
        using counter = serve(f.Counter, new CounterServer(0, census), { scheduler: scheduler() });
        context.setPipeline({ counter: counter.dup() });
        expect(() => context.setPipeline({})).toThrow(RpcError);
        await new Promise<void>((resolve) => (finish = resolve));
        return { counter: counter.dup() };
      },
    } as Partial<f.Everything.Server> as f.Everything.Server);
    const made = everything.makeCounter();
    expect((await made.counter.next()).value).toBe(1);
    let settled = false;
    const done = made.then(() => (settled = true));
    await settle();
    expect(settled).toBe(false);
    finish();
    await done;
    made[Symbol.dispose]();
    await settle();
    expect(census.alive).toBe(0);
  });

  it("results may be given before the method ends", async () => {
    let finish: () => void = () => {};
    let ended = false;
    const counter = host(f.Counter, {
      async next(_params, context) {
        context.results({ value: 9 });
        expect(() => context.results({ value: 10 })).toThrow(
          expect.objectContaining({ code: "invalid-state" }),
        );
        await new Promise<void>((resolve) => (finish = resolve));
        ended = true;
        return { value: 11 };
      },
      reset() {},
    });
    expect((await counter.next()).value).toBe(9);
    expect(ended).toBe(false);
    finish();
    await settle();
    expect(ended).toBe(true);
  });

  it("a method may return a function that fills the results", async () => {
    const counter = host(f.Counter, {
      next:
        ({ by }) =>
        (results: f.Counter_next$Results) => {
          results.value = by * 2;
        },
      reset() {},
    });
    expect((await counter.next({ by: 21 })).value).toBe(42);
  });

  it("C-LIF-27: params are released early when the method says so", async () => {
    const census = new Census();
    let finish: () => void = () => {};
    const everything = host(f.Everything, {
      async callback({ target }, context) {
        await target.next();
        context.releaseParams();
        expect(() => target.next()).toThrow(RpcError);
        await new Promise<void>((resolve) => (finish = resolve));
        return { sum: 1 };
      },
    } as Partial<f.Everything.Server> as f.Everything.Server);
    const call = everything.callback({ target: new CounterServer(0, census) });
    await settle();
    expect(census.alive).toBe(0);
    finish();
    expect((await call).sum).toBe(1);
  });

  it("C-LOC-08: a method hands out the capability it was called on, as the same one", async () => {
    const census = new Census();
    let kept: f.Counter | undefined;
    const everything = host(f.Everything, {
      makeCounter(_params, context) {
        const lent = context.self(f.Counter);
        kept = lent;
        return { counter: context.self(f.Counter) };
      },
      next: () => ({ value: 77 }),
      [Symbol.dispose]: () => census.leave(),
    } as Partial<f.Everything.Server> as f.Everything.Server);
    census.enter();
    const results = await everything.makeCounter();
    expect((await results.counter.next()).value).toBe(77);
    expect(() => kept!.next()).toThrow(expect.objectContaining({ code: "capability-disposed" }));
    everything[Symbol.dispose]();
    await settle();
    expect(census.alive).toBe(1);
    results[Symbol.dispose]();
    await settle();
    expect(census.alive).toBe(0);
  });

  it("C-LOC-14: a server may call itself and its caller", async () => {
    const census = new Census();
    const self: { client?: f.Everything } = {};
    const everything = maker(census, {
      async callback({ target, times }: f.Everything_callback$Params) {
        if (times === 0) return { sum: 0 };
        const { value } = await target.next();
        const { sum } = await self.client!.callback({ target, times: times - 1 });
        return { sum: sum + value };
      },
    });
    self.client = everything;
    expect(
      (await everything.callback({ target: new CounterServer(0, census), times: 4 })).sum,
    ).toBe(10);
    await settle();
    expect(census.alive).toBe(0);
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
