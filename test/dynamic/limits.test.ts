// Calls that can be managed: signals, deadlines, the context of a method.

import { getEventListeners } from "node:events";
import { describe, expect, it } from "vitest";
import { callContext, type CallContext, RpcStub, RpcTarget } from "../../src/cap/dynamic/index.js";
import { Counter, failure, Pair } from "./kit.js";

class Api extends RpcTarget {
  context: CallContext | null = null;
  aborted: unknown[] = [];
  ended = 0;
  release: () => void = () => {};
  inner: RpcStub<Api> | null = null;
  echo(value: number): number {
    return value;
  }
  async wait(): Promise<string> {
    const context = callContext();
    this.context = context;
    context.signal.addEventListener("abort", () => this.aborted.push(context.signal.reason));
    await new Promise<void>((resolve) => (this.release = resolve));
    this.ended++;
    return "done";
  }
  async stubborn(): Promise<string> {
    callContext().cancelable = false;
    return this.wait();
  }
  async late(): Promise<CallContext> {
    await Promise.resolve();
    return callContext();
  }
  left(): number {
    const { deadline } = callContext();
    return deadline === undefined ? -1 : deadline - Date.now();
  }
  make(): Counter {
    callContext();
    return new Counter();
  }
  nested(): PromiseLike<number> {
    return new RpcStub(this).with(callContext()).left();
  }
  async relayed(): Promise<string> {
    using self = new RpcStub<Api>(this);
    return await self.with(callContext()).wait();
  }
}

describe("a signal", () => {
  it("that aborted before: nothing is sent", async () => {
    const pair = new Pair(new Api());
    const call = pair.api.with({ signal: AbortSignal.abort(new Error("no")) }).echo(1);
    const error = await failure(call);
    expect(error).toMatchObject({ code: "call-canceled", delivery: "not-sent", method: "echo" });
    expect(error.cause).toMatchObject({ message: "no" });
    await pair.rest();
    expect(pair.heard()).toEqual([]);
    await pair.done();
  });

  it("that aborts in the same turn: nothing is sent", async () => {
    const pair = new Pair(new Api());
    const controller = new AbortController();
    const call = pair.api.with({ signal: controller.signal }).echo(1);
    const failed = failure(call);
    controller.abort();
    expect(await failed).toMatchObject({ code: "call-canceled", delivery: "not-sent" });
    await pair.rest();
    expect(pair.heard()).toEqual([]);
    await pair.done();
  });

  it("that aborts while the method runs reaches its context", async () => {
    const target = new Api();
    const pair = new Pair(target);
    const controller = new AbortController();
    const failed = failure(pair.api.with({ signal: controller.signal }).wait());
    await pair.rest();
    controller.abort(new Error("enough"));
    const error = await failed;
    expect(error).toMatchObject({ code: "call-canceled", delivery: "unknown", method: "wait" });
    expect(error.cause).toMatchObject({ message: "enough" });
    await pair.rest();
    expect(target.aborted).toHaveLength(1);
    expect(target.aborted[0]).toMatchObject({ code: "call-canceled" });
    target.release();
    await pair.done();
  });

  it("is inherited through the context", async () => {
    const target = new Api();
    const pair = new Pair(target);
    const controller = new AbortController();
    const stub = pair.api.with({ signal: controller.signal });
    const failed = failure(stub.with({ deadline: Date.now() + 60_000 }).relayed());
    await pair.rest();
    expect(target.context!.deadline).toBeDefined();
    controller.abort();
    expect(await failed).toMatchObject({ code: "call-canceled" });
    await pair.rest();
    expect(target.aborted).toHaveLength(1);
    target.release();
    await pair.done();
  });

  it("is let go of when the call is over", async () => {
    const pair = new Pair(new Api());
    const { signal } = new AbortController();
    let listeners = 0;
    const add = signal.addEventListener.bind(signal);
    const remove = signal.removeEventListener.bind(signal);
    signal.addEventListener = (...args: Parameters<typeof add>): void => {
      listeners++;
      add(...args);
    };
    signal.removeEventListener = (...args: Parameters<typeof remove>): void => {
      listeners--;
      remove(...args);
    };
    const stub = pair.api.with({ signal });
    await pair.run(stub.echo(1));
    using counter = stub.make();
    await pair.run(counter.add(1));
    await failure(pair.run(stub.late()));
    void stub.echo(2);
    await pair.rest();
    expect(listeners).toBe(0);
    counter[Symbol.dispose]();
    await pair.done();
  });

  it("is listened to once, however many calls it ends", async () => {
    const target = new Api();
    const pair = new Pair(target);
    const controller = new AbortController();
    const { signal } = controller;
    const stub = pair.api.with({ signal });
    const answered = stub.echo(1);
    const waiting = Array.from({ length: 20 }, () => failure(stub.wait()));
    expect(getEventListeners(signal, "abort")).toHaveLength(1);
    expect(await pair.run(answered)).toBe(1);
    expect(getEventListeners(signal, "abort")).toHaveLength(1);
    controller.abort();
    for (const call of waiting) expect(await call).toMatchObject({ code: "call-canceled" });
    expect(getEventListeners(signal, "abort")).toHaveLength(0);
    await pair.rest();
    expect(target.aborted).toHaveLength(20);
    target.release();
    await pair.done();
  });

  it("that aborts after the answer leaves what was given alone", async () => {
    const pair = new Pair(new Api());
    const controller = new AbortController();
    using counter = pair.api.with({ signal: controller.signal }).make();
    expect(await pair.run(counter.add(1))).toBe(1);
    controller.abort();
    expect(await pair.run(counter.add(1))).toBe(2);
    counter[Symbol.dispose]();
    await pair.done();
  });
});

describe("a deadline", () => {
  it("that is past: nothing is sent", async () => {
    const pair = new Pair(new Api());
    const error = await failure(pair.api.with({ deadline: Date.now() - 1 }).echo(1));
    expect(error).toMatchObject({ code: "deadline-exceeded", delivery: "not-sent" });
    expect(await failure(pair.api.with({ deadline: Number.NaN }).echo(1))).toMatchObject({
      code: "invalid-argument",
    });
    await pair.rest();
    expect(pair.heard()).toEqual([]);
    await pair.done();
  });

  it("ends the call here, and reaches the method as a cancellation", async () => {
    const target = new Api();
    const pair = new Pair(target);
    const failed = failure(pair.api.with({ deadline: Date.now() + 60 }).wait());
    await pair.rest();
    expect(await failed).toMatchObject({ code: "deadline-exceeded", delivery: "unknown" });
    await pair.rest();
    expect(target.aborted).toHaveLength(1);
    target.release();
    await pair.done();
  });

  it("travels as the time that is left, and is inherited through the context", async () => {
    const pair = new Pair(new Api());
    const stub = pair.api.with({ deadline: Date.now() + 10_000 });
    for (const left of [await pair.run(stub.left()), await pair.run(stub.nested())]) {
      expect(left).toBeLessThanOrEqual(10_001);
      expect(left).toBeGreaterThan(5_000);
    }
    expect(await pair.run(pair.api.left())).toBe(-1);
    const far = pair.api.with({ deadline: new Date(8.64e15) });
    expect(await pair.run(far.left())).toBeGreaterThan(2 ** 31);
    await pair.done();
  });
});

describe("a method", () => {
  it("may finish undisturbed by its caller's giving up", async () => {
    const target = new Api();
    const pair = new Pair(target);
    const call = pair.api.stubborn();
    const failed = failure(call);
    await pair.rest();
    call[Symbol.dispose]();
    await failed;
    await pair.rest();
    expect(target.aborted).toEqual([]);
    expect(target.context!.signal.aborted).toBe(false);
    target.release();
    await pair.rest();
    expect(target.ended).toBe(1);
    await pair.done();
  });

  it("asks for its context before its first await", async () => {
    const pair = new Pair(new Api());
    expect(await failure(pair.run(pair.api.late()))).toMatchObject({
      message: expect.stringMatching(/before its first await/) as string,
    });
    expect(() => callContext()).toThrow(expect.objectContaining({ code: "invalid-state" }));
    await pair.done();
  });

  it("hears of a caller that is gone", async () => {
    const target = new Api();
    const pair = new Pair(target);
    const failed = failure(pair.api.wait());
    await pair.rest();
    pair.net.cut("guest", "host");
    expect(await failed).toMatchObject({ type: "disconnected", delivery: "unknown" });
    await pair.rest();
    expect(target.aborted).toHaveLength(1);
    target.release();
    pair.api[Symbol.dispose]();
  });
});
