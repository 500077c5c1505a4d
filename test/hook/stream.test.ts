// Section 17, C-FLO, as far as it holds for objects of this vat: stream calls, and unwrapping behind them.

import { beforeEach, expect, it } from "vitest";
import { RpcError } from "../../src/base/errors.js";
import { Scheduler } from "../../src/base/scheduler.js";
import { Membrane } from "../../src/hook/membrane.js";
import { PromiseHook } from "../../src/hook/promise.js";
import { brokenHook } from "../../src/hook/results.js";
import type { Server } from "../../src/hook/local.js";
import { unwrap } from "../../src/hook/unwrap.js";
import { call, outcome, payload, Recorder, request, tell } from "../support/objects.js";

let scheduler: Scheduler;

beforeEach(() => {
  scheduler = new Scheduler();
  scheduler.onError = (error) => {
    throw error;
  };
});

const boom = new RpcError("failed", "method-failed", "boom");

/** Method 1 is a stream method, and ends when told; method 0 answers at once. */
function streaming() {
  const server = new Recorder({ 1: (c) => c.streaming() });
  return { server, hook: server.hook(scheduler) };
}

it("C-FLO-09: stream calls run one at a time, and every later call waits for them", () => {
  const { server, hook } = streaming();
  call(hook, 1, 1).dropPipeline();
  call(hook, 1, 2).dropPipeline();
  tell(hook, 3);
  call(hook, 1, 4).dropPipeline();
  scheduler.drain();
  expect(server.seen).toEqual([1]);
  tell(hook, 5);
  scheduler.drain();
  server.calls[0]!.returns();
  scheduler.drain();
  expect(server.seen).toEqual([1, 2]);
  server.calls[1]!.returns();
  scheduler.drain();
  expect(server.seen).toEqual([1, 2, 3, 4]);
  server.calls[3]!.returns();
  scheduler.drain();
  expect(server.seen).toEqual([1, 2, 3, 4, 5]);
  hook.release();
});

it("C-FLO-09: a stream method that tail calls keeps the others waiting until those results are there", () => {
  const far = new Recorder({ 2: () => {} });
  const farHook = far.hook(scheduler);
  const server = new Recorder({
    1: (c) => {
      c.streaming();
      c.tailCall(farHook, request(2, 0));
    },
  });
  const hook = server.hook(scheduler);
  const r = outcome(call(hook, 1, 1));
  tell(hook, 2);
  scheduler.drain();
  expect(server.seen).toEqual([1]);
  far.calls[0]!.returns();
  scheduler.drain();
  expect(server.seen).toEqual([1, 2]);
  expect(r.settled).toBe(true);
  hook.release();
  farHook.release();
  scheduler.drain();
  expect([far.droppedTimes, server.droppedTimes]).toEqual([1, 1]);
});

it("C-FLO-10: a stream method that fails makes every later call fail with the same error", () => {
  const { server, hook } = streaming();
  const first = outcome(call(hook, 1, 1));
  const waiting = tell(hook, 2);
  scheduler.drain();
  server.calls[0]!.fails(boom);
  const later = tell(hook, 3);
  const stream = outcome(call(hook, 1, 4));
  scheduler.drain();
  expect([first, waiting, later, stream].map((o) => o.error)).toEqual([boom, boom, boom, boom]);
  expect(server.seen).toEqual([1]);
  hook.release();
});

it("C-FLO-10: so does one that throws, or whose tail call fails", () => {
  const broken = brokenHook(boom, scheduler);
  const server = new Recorder({
    1: (c) => {
      c.streaming();
      throw new Error("thrown");
    },
    2: (c) => {
      c.streaming();
      c.tailCall(broken, request(0, 0));
    },
  });
  for (const [method, message] of [
    [1, "thrown"],
    [2, "boom"],
  ] as const) {
    const hook = server.hook(scheduler);
    call(hook, method, 1).dropPipeline();
    const later = tell(hook, 2);
    scheduler.drain();
    expect(later.error?.message).toBe(message);
    hook.release();
  }
});

it("C-FLO-11: the answer to an ordinary call after stream calls says that they are done", () => {
  const { server, hook } = streaming();
  call(hook, 1, 1).dropPipeline();
  call(hook, 1, 2).dropPipeline();
  const end = tell(hook, 3);
  scheduler.drain();
  expect(end.settled).toBe(false);
  server.calls[0]!.returns();
  scheduler.drain();
  expect(end.settled).toBe(false);
  server.calls[1]!.returns();
  scheduler.drain();
  expect(end.settled).toBe(true);
  hook.release();
});

it("C-FLO-14: a local stream call settles when its method returns, and not before", () => {
  const { server, hook } = streaming();
  expect(hook.flow).toBe(null); // no window: the answer is the brake
  const write = outcome(call(hook, 1, 1));
  scheduler.drain();
  expect(write.settled).toBe(false);
  server.calls[0]!.returns();
  scheduler.drain();
  expect(write.settled).toBe(true);
  hook.release();
});

it("C-FLO-13: stream calls under way are completed after the capability and the results are dropped", () => {
  const { server, hook } = streaming();
  call(hook, 1, 1).cancel(); // before its turn: an ordinary cancellation
  const write = call(hook, 1, 2);
  call(hook, 1, 3).dropPipeline();
  scheduler.drain();
  write.cancel();
  hook.release();
  expect(server.calls[0]!.canceled).toBe(false);
  server.calls[0]!.returns();
  scheduler.drain();
  expect(server.seen).toEqual([2, 3]);
  expect(server.droppedTimes).toBe(0);
  server.calls[1]!.returns();
  scheduler.drain();
  expect(server.droppedTimes).toBe(1);
});

it("C-FLO-16: unwrapping an object waits until its stream calls are done", () => {
  const { server, hook } = streaming();
  const found: (Server | null)[] = [];
  call(hook, 1, 1).dropPipeline();
  call(hook, 1, 2).dropPipeline();
  unwrap(hook, (s) => found.push(s)); // before even the first had its turn
  scheduler.drain();
  expect(found).toEqual([]);
  server.calls[0]!.returns();
  scheduler.drain();
  expect(found).toEqual([]);
  server.calls[1]!.returns();
  scheduler.drain();
  expect(found).toEqual([server]);
  unwrap(hook, (s) => found.push(s));
  scheduler.drain();
  expect(found).toEqual([server, server]);
  hook.release();
  scheduler.drain();
  expect(server.droppedTimes).toBe(1);
});

it("C-FLO-16: unwrapping follows promises, and finds nothing behind a membrane or in a broken reference", () => {
  const { server, hook } = streaming();
  const promise = new PromiseHook(scheduler);
  const view = new Membrane({}, scheduler).wrap(hook);
  const found: (Server | null)[] = [];
  for (const h of [promise, view, brokenHook(boom, scheduler)]) unwrap(h, (s) => found.push(s));
  scheduler.drain();
  expect(found).toEqual([null, null]);
  tell(promise, 7);
  promise.resolve(hook.addRef());
  scheduler.drain();
  expect(found).toEqual([null, null, server]);
  expect(server.seen).toEqual([7]);
  for (const h of [promise, view, hook]) h.release();
  scheduler.drain();
  expect(server.droppedTimes).toBe(1);
});

it("C-FLO-14: a stream call with results keeps them for its caller", () => {
  const { server, hook } = streaming();
  const r = outcome(call(hook, 1, 1));
  scheduler.drain();
  server.calls[0]!.returns(payload(5));
  scheduler.drain();
  expect(r.value).toBe(5);
  hook.release();
});
