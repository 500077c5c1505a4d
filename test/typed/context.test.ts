// Cancellation, and the context that a method of a typed server gets.

import { describe, expect, it } from "vitest";
import { RpcError, serve } from "../../src/typed.js";
import { Census, CounterServer, host, maker, scheduler, settle } from "./kit.js";
import * as f from "./schemas/features.capnp.js";

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
      delivery: "unknown",
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
      delivery: "unknown",
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

  it("a client for a tail call that is not made lets go at the end of the call", async () => {
    const census = new Census();
    const backend = host(f.Counter, new CounterServer(0, census));
    const front = host(f.Counter, {
      next(_params, context) {
        context.tailCall(backend);
        return { value: 1 };
      },
      reset() {},
    });
    await front.next();
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
