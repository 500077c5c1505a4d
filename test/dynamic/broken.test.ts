// Stubs that say that they broke: once, for good, with the cause.

import { expect, it, vi } from "vitest";
import { brokenHook, processScheduler, revocable, RpcError } from "../../src/index.js";
import { RpcStub, RpcTarget, serve } from "../../src/cap/dynamic/index.js";
import { drainedScheduler } from "../../src/cap/scheduler.js";
import { Counter, failure, Pair } from "./kit.js";

class Api extends RpcTarget {
  make(): Counter {
    return new Counter();
  }
  never(): Promise<number> {
    return new Promise(() => {});
  }
  async neverMade(): Promise<Counter> {
    return new Promise(() => {});
  }
}

it("every stub of a connection that is lost breaks once, and stays broken", async () => {
  const pair = new Pair(new Api());
  const counter = await pair.run(pair.api.make());
  const told: string[] = [];
  pair.api.onRpcBroken((error) => told.push(`api ${error.code}`));
  counter.onRpcBroken((error) => told.push(`counter ${error.message}`));
  using promise = pair.api.neverMade();
  promise.onRpcBroken((error) => told.push(`promise ${error.type}`));
  const waiting = failure(pair.api.never());
  await pair.rest();
  expect(told).toEqual([]);
  pair.net.cut("guest", "host");
  await pair.rest();
  expect(told.sort()).toEqual([
    "api connection-lost",
    "counter the link guest-host was cut",
    "promise disconnected",
  ]);
  expect(await waiting).toMatchObject({
    type: "disconnected",
    method: "never",
    delivery: "unknown",
  });
  const error = await failure(pair.run(counter.add(1)));
  expect(error).toMatchObject({ type: "disconnected", delivery: "not-sent", method: "add" });
  expect(await failure(pair.run(promise.add(1)))).toMatchObject({ type: "disconnected" });
  const late: string[] = [];
  counter.onRpcBroken((reason) => late.push(reason.code));
  await pair.rest();
  expect(late).toEqual(["connection-lost"]);
  for (const stub of [counter, pair.api, promise]) stub[Symbol.dispose]();
});

it("nobody is told after the registration or the stub was disposed", async () => {
  const pair = new Pair(new Api());
  const counter = await pair.run(pair.api.make());
  const other = await pair.run(pair.api.make());
  const told: string[] = [];
  const registration = counter.onRpcBroken(() => told.push("counter"));
  other.onRpcBroken(() => told.push("other"));
  await pair.rest();
  registration[Symbol.dispose]();
  other[Symbol.dispose]();
  const state = pair.net.vats.get("guest")!.to("host").state;
  expect(state.watchers.size).toBe(0);
  pair.net.cut("guest", "host");
  await pair.rest();
  expect(told).toEqual([]);
  counter[Symbol.dispose]();
  pair.api[Symbol.dispose]();
});

it("a listener that throws concerns nobody else", async () => {
  const pair = new Pair(new Api());
  const told: string[] = [];
  pair.net.vats.get("guest")!.scheduler.onError = (error) => told.push(error.message);
  pair.api.onRpcBroken(() => {
    throw new Error("oops");
  });
  pair.api.onRpcBroken((error) => told.push(error.code));
  await pair.rest();
  pair.net.cut("guest", "host");
  await pair.rest();
  expect(told.sort()).toEqual(["connection-lost", "oops"]);
  pair.api[Symbol.dispose]();
});

it("what a listener throws, or the end of an object, is written to the console", async () => {
  const written = vi.spyOn(console, "error").mockImplementation(() => {});
  try {
    const oops = new Error("oops");
    const tooLate = new RpcError("failed", "invalid-state", "too late");
    const throwing = new (class extends RpcTarget {
      [Symbol.dispose](): void {
        throw oops;
      }
    })();
    const broken = new RpcStub<Counter>(brokenHook(tooLate, processScheduler()));
    const told: string[] = [];
    broken.onRpcBroken((error) => {
      throw error;
    });
    broken.onRpcBroken(() => told.push("the next one"));
    new RpcStub(throwing)[Symbol.dispose]();
    for (let i = 0; i < 5; i++) await Promise.resolve();
    expect(told).toEqual(["the next one"]);
    const [first, second] = written.mock.calls;
    expect(first).toEqual([expect.stringMatching(/^capstan: /), tooLate]);
    expect((second![1] as RpcError).cause).toBe(oops);
    broken[Symbol.dispose]();
  } finally {
    written.mockRestore();
  }
});

it("what the console makes of it stops nothing: there may be no picture of what was thrown", () => {
  const written = vi.spyOn(console, "error").mockImplementation((_text, error) => {
    throw error;
  });
  try {
    const scheduler = drainedScheduler();
    const log: string[] = [];
    scheduler.post({
      run() {
        throw new Error("oops");
      },
    });
    scheduler.post({ run: () => void log.push("next") });
    scheduler.drain();
    expect(log).toEqual(["next"]);
    expect(written).toHaveBeenCalledOnce();
  } finally {
    written.mockRestore();
  }
});

it("a stub breaks when what guards it is revoked", async () => {
  const hook = serve(new Counter());
  const guarded = revocable(hook);
  using stub = new RpcStub<Counter>(guarded.hook);
  expect(await stub.add(2)).toBe(2);
  const told = new Promise<RpcError>((resolve) => stub.onRpcBroken(resolve));
  await Promise.resolve();
  guarded.revoke();
  expect(await told).toMatchObject({ code: "capability-revoked" });
  expect(await failure(stub.add(1))).toMatchObject({ code: "capability-revoked" });
  hook.release();
});

it("a stub that is broken from the start says so, later and once", async () => {
  const error = new RpcError("failed", "invalid-state", "born broken");
  using stub = new RpcStub<Counter>(brokenHook(error, processScheduler()));
  let told = 0;
  stub.onRpcBroken(() => told++);
  expect(told).toBe(0);
  await Promise.resolve();
  await Promise.resolve();
  expect(told).toBe(1);
});
