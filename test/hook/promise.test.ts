// Section 20, C-LOC: promises of this vat; C-TAI as far as no wire is needed.

import { beforeEach, expect, it } from "vitest";
import { RpcError } from "../../src/base/errors.js";
import { Scheduler } from "../../src/base/scheduler.js";
import type { LocalCall } from "../../src/hook/local.js";
import { PromiseHook } from "../../src/hook/promise.js";
import { brokenHook } from "../../src/hook/results.js";
import { call, outcome, payload, Recorder, request, tell } from "../support/objects.js";

let scheduler: Scheduler;

beforeEach(() => {
  scheduler = new Scheduler();
  scheduler.onError = (error) => {
    throw error;
  };
});

it("C-LOC-04: queued calls go out inside the resolution, before any later call and before the observers", () => {
  const end = new Recorder();
  const promise = new PromiseHook(scheduler);
  const log: string[] = [];
  promise.watch({ hookResolved: () => log.push(`resolved after ${end.seen.length}`) });
  tell(promise, 1);
  tell(promise, 2);
  expect(promise.queued).toBe(2);
  const target = end.hook(scheduler);
  promise.resolve(target.addRef());
  tell(target, 3); // called straight on the target, but later
  tell(promise, 4);
  scheduler.drain();
  expect(end.seen).toEqual([1, 2, 3, 4]);
  expect(log).toEqual(["resolved after 2"]);
  expect(promise.queued).toBe(0);
  promise.release();
  target.release();
  scheduler.drain();
  expect(end.droppedTimes).toBe(1);
});

it("C-LOC-04: the first resolution counts, a later one is let go of", () => {
  const one = new Recorder();
  const two = new Recorder();
  const promise = new PromiseHook(scheduler);
  promise.resolve(one.hook(scheduler));
  promise.resolve(two.hook(scheduler));
  tell(promise, 1);
  scheduler.drain();
  expect([one.seen, two.seen, two.droppedTimes]).toEqual([[1], [], 1]);
  promise.release();
});

it("C-LOC-05: a chain of resolved promises is shortened to its end, and not before it is resolved", () => {
  const end = new Recorder();
  const promises = Array.from({ length: 20 }, () => new PromiseHook(scheduler));
  const first = promises[0]!;
  tell(first, 0);
  for (let i = 0; i < 19; i++) {
    promises[i]!.resolve(promises[i + 1]!.addRef());
    expect(first.resolved()).toBe(promises[i + 1]);
    tell(first, i + 1);
  }
  expect(end.seen).toEqual([]);
  const target = end.hook(scheduler);
  promises[19]!.resolve(target);
  expect(first.resolved()).toBe(target);
  expect(first.next).toBe(target);
  tell(first, 20);
  scheduler.drain();
  expect(end.seen).toEqual(Array.from({ length: 21 }, (_, i) => i));
  for (const promise of promises) promise.release();
  scheduler.drain();
  expect(end.droppedTimes).toBe(1);
});

it("C-LOC-07: a rejected promise fails what waits in it with the same error, and what comes later", () => {
  const promise = new PromiseHook(scheduler);
  const boom = new RpcError("failed", "method-failed", "boom");
  const held = new Recorder();
  const results = call(promise, 0, 1, held.hook(scheduler));
  const piped = results.pipeline([0]);
  const below = tell(piped, 2);
  const waiting = outcome(results);
  promise.reject(boom);
  const later = tell(promise, 3);
  scheduler.drain();
  expect([waiting.error, below.error, later.error]).toEqual([boom, boom, boom]);
  expect(held.droppedTimes).toBe(1);
  piped.release();
  promise.release();
});

it("C-LOC-03: a call that waits in a promise is canceled there: it is never made", () => {
  const end = new Recorder();
  const promise = new PromiseHook(scheduler);
  const held = new Recorder();
  const results = call(promise, 0, 1, held.hook(scheduler));
  tell(promise, 2);
  results.cancel();
  scheduler.drain();
  expect(held.droppedTimes).toBe(1);
  promise.resolve(end.hook(scheduler));
  scheduler.drain();
  expect(end.seen).toEqual([2]);
  promise.release();
});

it("C-LOC-03: a call made through a promise is canceled when the last pipelined capability is dropped", () => {
  const server = new Recorder({ 1: () => {} });
  const promise = new PromiseHook(scheduler);
  const results = call(promise, 1, 1);
  const field = results.pipeline([0]); // made before the resolution ...
  promise.resolve(server.hook(scheduler));
  scheduler.drain();
  const other = results.pipeline([1]); // ... and after
  results.cancel();
  scheduler.drain();
  expect(server.calls[0]!.canceled).toBe(false);
  field.release();
  expect(server.calls[0]!.canceled).toBe(false);
  other.release();
  expect(server.calls[0]!.canceled).toBe(true);
  promise.release();
});

it("C-LOC-03: results given up while a capability pipelined through a promise is held still reach that capability", () => {
  const inner = new Recorder();
  const server = new Recorder({ 1: () => {} });
  const promise = new PromiseHook(scheduler);
  const results = call(promise, 1, 1);
  outcome(results);
  promise.resolve(server.hook(scheduler));
  const field = results.pipeline([0]);
  tell(field, 7);
  scheduler.drain();
  results.cancel();
  server.calls[0]!.returns(payload(0, inner.hook(scheduler)));
  scheduler.drain();
  expect(inner.seen).toEqual([7]);
  field.release();
  promise.release();
  scheduler.drain();
  expect(inner.droppedTimes).toBe(1);
});

it("C-LOC-05: a promise resolved to itself breaks, by one step or by two", () => {
  const one = new PromiseHook(scheduler);
  one.resolve(one.addRef());
  const r = tell(one, 1);
  const a = new PromiseHook(scheduler);
  const b = new PromiseHook(scheduler);
  a.resolve(b.addRef());
  b.resolve(a.addRef());
  const s = tell(a, 1);
  scheduler.drain();
  expect([r.error?.code, s.error?.code]).toEqual(["promise-cycle", "promise-cycle"]);
});

it("C-GCF-03: a call in a promise that nobody holds any more is made when the promise resolves", () => {
  const end = new Recorder();
  const promise = new PromiseHook(scheduler);
  const r = tell(promise, 5);
  promise.release();
  scheduler.drain();
  promise.resolve(end.hook(scheduler));
  scheduler.drain();
  expect(end.seen).toEqual([5]);
  expect(r.value).toBe(5);
  expect(end.droppedTimes).toBe(1);
});

it("C-TAI-11: the caller of a method that tail calls cannot tell the difference", () => {
  const inner = new Recorder();
  const far = new Recorder({ 2: (c) => c.returns(payload(42, inner.hook(scheduler))) });
  const farHook = far.hook(scheduler);
  const server = new Recorder({ 1: (c) => c.tailCall(farHook, request(2, 8)) });
  const hook = server.hook(scheduler);
  const results = call(hook, 1, 1);
  const field = results.pipeline([0]);
  const piped = tell(field, 3);
  const r = outcome(results);
  scheduler.drain();
  expect([far.seen, r.value, inner.seen, piped.value]).toEqual([[8], 42, [3], 3]);
  for (const h of [field, hook, farHook]) h.release();
  r.release();
  scheduler.drain();
  expect([inner.droppedTimes, far.droppedTimes, server.droppedTimes]).toEqual([1, 1, 1]);
});

it("C-TAI-11: a failed or canceled tail call is that to the first caller too", () => {
  const boom = new RpcError("overloaded", "method-failed", "boom");
  const far = new Recorder({ 2: () => {} });
  const farHook = far.hook(scheduler);
  const broken = brokenHook(boom, scheduler);
  const server = new Recorder({
    1: (c) => c.tailCall(farHook, request(2, 8)),
    3: (c) => c.tailCall(broken, request(2, 8)),
  });
  const hook = server.hook(scheduler);
  const failed = outcome(call(hook, 3, 1));
  const canceled = call(hook, 1, 1);
  scheduler.drain();
  expect(failed.error).toBe(boom);
  canceled.cancel();
  expect(far.calls[0]!.canceled).toBe(true);
  far.calls[0]!.fails(boom);
  for (const h of [broken, hook, farHook]) h.release();
  scheduler.drain();
  expect([far.droppedTimes, server.droppedTimes]).toEqual([1, 1]);
});

it("C-TAI-12: a tail call after the results is refused and gives its params back", () => {
  const held = new Recorder();
  let thrown: unknown = null;
  const server = new Recorder({
    1: (c) => {
      c.returns(payload(1));
      try {
        c.tailCall(c.self, request(2, 0, held.hook(scheduler)));
      } catch (error) {
        thrown = error;
      }
    },
  });
  const hook = server.hook(scheduler);
  const r = outcome(call(hook, 1, 0));
  scheduler.drain();
  expect(thrown).toMatchObject({ code: "invalid-state" });
  expect(r.value).toBe(1);
  expect([server.seen.length, held.droppedTimes]).toEqual([1, 1]);
  hook.release();
});

it("C-TAI-12: an early pipeline stays as it was set when a tail call follows", () => {
  const early = new Recorder();
  const late = new Recorder();
  const far = new Recorder({ 2: (c) => c.returns(payload(5, late.hook(scheduler))) });
  const farHook = far.hook(scheduler);
  const server = new Recorder({
    1: (c) => {
      c.setPipeline(payload(0, early.hook(scheduler)));
      c.tailCall(farHook, request(2, 0));
    },
  });
  const hook = server.hook(scheduler);
  const results = call(hook, 1, 0);
  const field = results.pipeline([0]);
  tell(field, 1);
  const r = outcome(results);
  scheduler.drain();
  tell(field, 2);
  scheduler.drain();
  expect([early.seen, late.seen, r.value]).toEqual([[1, 2], [], 5]);
  for (const h of [field, hook, farHook]) h.release();
  r.release();
  scheduler.drain();
  expect([early.droppedTimes, late.droppedTimes]).toEqual([1, 1]);
});

it("C-CAN-05: a call pipelined on a finished one, and waiting for it, keeps it going", () => {
  const end = new Recorder();
  let running!: LocalCall;
  const root = new Recorder({ 1: (c) => void (running = c) });
  const hook = root.hook(scheduler);
  const promise = new PromiseHook(scheduler);
  // child().child().tell(), each given up as soon as the next is made, as every caller does who wants the end of a chain.
  const one = call(promise, 1, 0);
  const fieldOne = one.pipeline([0]);
  const two = call(fieldOne, 1, 0);
  one.cancel();
  fieldOne.release();
  const fieldTwo = two.pipeline([0]);
  const three = outcome(call(fieldTwo, 7, 7));
  two.cancel();
  fieldTwo.release();
  promise.resolve(hook.addRef());
  scheduler.drain();
  expect(running.canceled).toBe(false);
  running.returns(payload(0, hook.addRef()));
  scheduler.drain();
  expect(running.canceled).toBe(false);
  running.returns(payload(0, end.hook(scheduler)));
  scheduler.drain();
  expect(end.seen).toEqual([7]);
  expect(three.settled).toBe(true);
  promise.release();
  hook.release();
  scheduler.drain();
  expect([root.droppedTimes, end.droppedTimes]).toEqual([1, 1]);
});

it("C-CAN-01: when the last call that waits in a chain is given up, all of it is canceled", () => {
  let running!: LocalCall;
  const root = new Recorder({ 1: (c) => void (running = c) });
  const hook = root.hook(scheduler);
  const one = call(hook, 1, 0);
  const field = one.pipeline([0]);
  const two = call(field, 7, 7);
  one.cancel();
  field.release();
  scheduler.drain();
  expect(running.canceled).toBe(false);
  two.cancel();
  scheduler.drain();
  expect(running.canceled).toBe(true);
  running.returns();
  hook.release();
  scheduler.drain();
  expect(root.droppedTimes).toBe(1);
});
