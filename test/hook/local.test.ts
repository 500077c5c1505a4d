// Section 20, C-LOC: objects of this vat, called by this vat.

import { afterEach, beforeEach, expect, it } from "vitest";
import { RpcError } from "../../src/base/errors.js";
import { Scheduler } from "../../src/base/scheduler.js";
import { CallRequest } from "../../src/hook/hook.js";
import { identity } from "../../src/hook/identity.js";
import { LocalHook } from "../../src/hook/local.js";
import { Payload } from "../../src/hook/payload.js";
import { PromiseHook } from "../../src/hook/promise.js";
import { brokenHook, nullHook } from "../../src/hook/results.js";
import { Content } from "../../src/wire/content.js";
import { call, content, outcome, payload, Recorder, request, tell } from "../support/objects.js";

let scheduler: Scheduler;

beforeEach(() => {
  scheduler = new Scheduler();
  scheduler.onError = (error) => {
    throw error;
  };
});

afterEach(() => {
  scheduler.drain();
  expect(scheduler.pending).toBe(0);
});

const boom = new RpcError("overloaded", "method-failed", "boom");

it("C-LOC-02: results that an immediate observer leaves are there later, though they were built in scratch", () => {
  const scratch = new Uint8Array(16).fill(1);
  scratch.set([0, 0, 0, 0, 1, 0, 0, 0]);
  const expected = [...scratch];
  const hook = new LocalHook(
    { dispatch: (one) => one.returns(new Payload(new Content(scratch, null, true))) },
    scheduler,
  );
  const results = hook.call(request(0, 1));
  results.observe({ immediate: true, resultsSettled: () => {} });
  scheduler.drain();
  scratch.fill(9);
  expect([...results.takePayload().content.bytes]).toEqual(expected);
  results.dropPipeline();
  hook.release();
});

it("C-LOC-02: a server may retain something better than a copy of its params, at once", () => {
  const borrowed = new Content(new Uint8Array(8), null, true);
  const own = new Payload(Content.EMPTY_STRUCT);
  const seen: unknown[] = [];
  const hook = new LocalHook(
    {
      retain: ({ params }) => {
        seen.push(params.content);
        return own;
      },
      dispatch: (one) => {
        seen.push(one.params);
        one.returns();
      },
    },
    scheduler,
  );
  expect(hook.readsAtOnce).toBe(true);
  const results = hook.call(new CallRequest(0, 1, 0, new Payload(borrowed)));
  expect(seen).toEqual([borrowed]);
  scheduler.drain();
  expect(seen[1]).toBe(own);
  results.cancel();
  hook.release();
});

it("C-LOC-01: a call is dispatched later, never inside itself, and in the order of the calls", () => {
  const server = new Recorder();
  const hook = server.hook(scheduler);
  const seen = [tell(hook, 1), tell(hook, 2)];
  expect(server.seen).toEqual([]);
  scheduler.drain();
  seen.push(tell(hook, 3));
  expect(server.seen).toEqual([1, 2]);
  scheduler.drain();
  expect(server.seen).toEqual([1, 2, 3]);
  expect(seen.map((o) => o.value)).toEqual([1, 2, 3]);
  hook.release();
});

it("C-LOC-02: what the caller writes into its scratch after the call does not reach the method", () => {
  const server = new Recorder();
  const hook = server.hook(scheduler);
  const scratch = content(7).bytes.slice();
  hook.call(new CallRequest(0, 1, 0, new Payload(new Content(scratch, null, true)))).dropResponse();
  scratch.fill(0xff);
  scheduler.drain();
  expect(server.seen).toEqual([7]);
  hook.release();
});

it("C-LOC-02: what a method writes into its scratch after it returned does not reach the caller", () => {
  const scratch = content(9).bytes.slice();
  const server = new Recorder({
    1: (c) => {
      c.returns(new Payload(new Content(scratch, null, true)));
      scratch.fill(0xff);
    },
  });
  const hook = server.hook(scheduler);
  const r = outcome(call(hook, 1, 0));
  scheduler.drain();
  expect(r.value).toBe(9);
  hook.release();
});

it("C-LOC-03: a throw, a typed error and a cancellation mean the same as over a connection", () => {
  const server = new Recorder({
    1: () => {
      throw new Error("plain");
    },
    2: (c) => c.fails(boom),
    3: () => {},
    4: (c) => {
      c.cancelable = false;
    },
  });
  const hook = server.hook(scheduler);
  const plain = outcome(call(hook, 1, 0));
  const typed = outcome(call(hook, 2, 0));
  let canceled = 0;
  const held = new Recorder();
  const ended = call(hook, 3, 0, held.hook(scheduler));
  const stubborn = call(hook, 4, 0);
  scheduler.drain();
  expect(plain.error).toMatchObject({ type: "failed", code: "method-failed", message: "plain" });
  expect(typed.error).toBe(boom);
  server.calls[2]!.onCancel = () => canceled++;
  ended.cancel();
  stubborn.cancel();
  scheduler.drain();
  expect([canceled, server.calls[2]!.canceled, server.calls[3]!.canceled]).toEqual([
    1,
    true,
    false,
  ]);
  expect(held.droppedTimes).toBe(1); // the params go with the call
  expect(stubborn.settled).toBe(false);
  server.calls[3]!.returns();
  scheduler.drain();
  expect(stubborn.settled).toBe(true);
  hook.release();
  server.calls[2]!.fails(boom); // its method ends at last
  scheduler.drain();
  expect(server.droppedTimes).toBe(1);
});

it("C-LOC-03: a method may release its params before it ends, once", () => {
  const server = new Recorder({
    1: (c) => {
      c.releaseParams();
      c.releaseParams();
    },
  });
  const hook = server.hook(scheduler);
  const held = new Recorder();
  const results = call(hook, 1, 0, held.hook(scheduler));
  scheduler.drain();
  expect(held.droppedTimes).toBe(1);
  server.calls[0]!.returns();
  results.cancel();
  hook.release();
});

it("C-LOC-03: pipelined calls flow to an early pipeline before the return, and stay there", () => {
  const early = new Recorder();
  const late = new Recorder();
  const server = new Recorder({ 1: (c) => c.setPipeline(payload(0, early.hook(scheduler))) });
  const hook = server.hook(scheduler);
  const results = call(hook, 1, 0);
  const field = results.pipeline([0]);
  tell(field, 1);
  scheduler.drain();
  expect(early.seen).toEqual([1]);
  expect(() => server.calls[0]!.setPipeline(payload(0))).toThrow(/setPipeline may be called once/);
  server.calls[0]!.returns(payload(0, late.hook(scheduler)));
  scheduler.drain();
  tell(field, 2);
  const again = results.pipeline([0]);
  tell(again, 3);
  scheduler.drain();
  expect([early.seen, late.seen]).toEqual([[1, 2, 3], []]);
  for (const h of [field, again, hook]) h.release();
  results.cancel();
  scheduler.drain();
  expect([early.droppedTimes, late.droppedTimes]).toEqual([1, 1]);
});

it("C-LOC-03: a call whose early pipeline is used and dropped is canceled like any other", () => {
  const early = new Recorder();
  const server = new Recorder({ 1: (c) => c.setPipeline(payload(0, early.hook(scheduler))) });
  const hook = server.hook(scheduler);
  const results = call(hook, 1, 0);
  const field = results.pipeline([0]);
  scheduler.drain();
  results.cancel();
  field.release();
  expect(server.calls[0]!.canceled).toBe(true);
  server.calls[0]!.returns();
  scheduler.drain();
  expect(early.droppedTimes).toBe(1);
  hook.release();
});

it("C-LOC-06: calls on a null capability fail, later, and it counts as resolved", () => {
  const hook = nullHook(scheduler);
  const held = new Recorder();
  const results = call(hook, 0, 1, held.hook(scheduler));
  expect(results.settled).toBe(false);
  expect(hook.isPromise).toBe(false);
  const piped = tell(results.pipeline([0]), 2);
  const r = outcome(results);
  scheduler.drain();
  expect(r.error).toMatchObject({ code: "null-capability", delivery: "not-sent" });
  expect(piped.error).toBe(r.error);
  expect(held.droppedTimes).toBe(1);
  hook.release();
});

it("C-LOC-07: calls on a broken capability and what they pipeline fail with its error", () => {
  const hook = brokenHook(boom, scheduler);
  const results = call(hook, 0, 1);
  const before = results.pipeline([3]);
  const r = outcome(results);
  const piped = tell(before, 2);
  scheduler.drain();
  const after = results.pipeline([4]);
  const late = tell(after, 5);
  scheduler.drain();
  expect([r.error, piped.error, late.error]).toEqual([boom, boom, boom]);
  for (const h of [before, after, hook]) h.release();
});

it("C-LOC-08: one server wrapped twice is two capabilities; a method hands itself out as one", () => {
  const server = new Recorder({ 1: (c) => c.returns(payload(0, c.self.addRef())) });
  const one = server.hook(scheduler);
  const two = server.hook(scheduler);
  expect(identity(one, two)).toBe("different");
  const r = outcome(call(one, 1, 0));
  scheduler.drain();
  expect(identity(one, r.caps[0]!)).toBe("same");
  one.release();
  scheduler.drain();
  expect(server.droppedTimes).toBe(0);
  r.release(); // handing itself out keeps nothing alive for good
  scheduler.drain();
  expect(server.droppedTimes).toBe(1);
  two.release();
});

it("C-LOC-08: identity is unknown for promises, nulls, broken references and strangers", () => {
  const local = new Recorder().hook(scheduler);
  const promise = new PromiseHook(scheduler);
  const broken = brokenHook(boom, scheduler);
  expect(identity(promise, promise)).toBe("same");
  expect(identity(promise, local)).toBe("unknown");
  expect(identity(broken, broken)).toBe("unknown");
  expect(identity(nullHook(scheduler), nullHook(scheduler))).toBe("unknown");
  promise.resolve(local.addRef());
  expect(identity(promise, local)).toBe("same");
  promise.release();
  local.release();
});

it("C-LOC-09: the drop hook runs once, as a job, after the last reference and the last running call", () => {
  const server = new Recorder({ 1: () => {} });
  const hook = server.hook(scheduler);
  const results = call(hook, 1, 0);
  scheduler.drain();
  hook.release();
  scheduler.drain();
  expect(server.droppedTimes).toBe(0);
  server.calls[0]!.returns();
  expect(server.droppedTimes).toBe(0); // never inside what let go of it
  scheduler.drain();
  expect(server.droppedTimes).toBe(1);
  results.cancel();
  scheduler.drain();
  expect(server.droppedTimes).toBe(1);
});

it("C-LOC-09: an object handed out again before its drop hook's turn lives on", () => {
  const server = new Recorder();
  const hook = server.hook(scheduler);
  hook.release();
  hook.addRef();
  scheduler.drain();
  expect(server.droppedTimes).toBe(0);
  hook.release();
  scheduler.drain();
  expect(server.droppedTimes).toBe(1);
});

it("C-LOC-09: a drop hook that throws stops nothing", () => {
  const errors: string[] = [];
  scheduler.onError = (error) => errors.push(error.message);
  const other = new Recorder();
  new LocalHook(
    {
      dispatch() {},
      dropped() {
        throw new Error("in dropped");
      },
    },
    scheduler,
  ).release();
  other.hook(scheduler).release();
  scheduler.drain();
  expect(errors).toEqual(["in dropped"]);
  expect(other.droppedTimes).toBe(1);
});

it("C-LOC-13: a capability is found wherever pointers lead, nested structs included", () => {
  const inner = new Recorder();
  // root {0 data, 2 pointers}: pointer 1 -> struct {0, 1}: pointer 0 -> capability 0
  const words = new BigUint64Array(4);
  words[0] = 2n << 48n;
  words[2] = 1n << 48n;
  words[3] = 3n;
  const nested = new Content(new Uint8Array(words.buffer));
  const server = new Recorder({
    1: (c) => c.returns(new Payload(nested, [inner.hook(scheduler)])),
  });
  const hook = server.hook(scheduler);
  const results = call(hook, 1, 0);
  const deep = results.pipeline([1, 0]);
  const absent = results.pipeline([0]);
  const wrong = results.pipeline([1]);
  const outcomes = [tell(deep, 4), tell(absent, 5), tell(wrong, 6)];
  scheduler.drain();
  expect(inner.seen).toEqual([4]);
  expect(outcomes.map((o) => o.error?.code)).toEqual([
    undefined,
    "null-capability",
    "not-a-capability",
  ]);
  for (const h of [deep, absent, wrong, hook]) h.release();
  results.cancel();
  scheduler.drain();
  expect(inner.droppedTimes).toBe(1);
});

it("C-LOC-14: an object calls itself, calls its caller, and drops its own last reference, without a deadlock", () => {
  const log: string[] = [];
  const caller = new Recorder({ 5: (c) => (log.push("caller"), c.returns()) });
  const back = caller.hook(scheduler);
  const server = new Recorder({
    1: (c) => {
      log.push("begin");
      const self = c.self;
      self.call(request(2, 0)).observe({
        immediate: false,
        resultsSettled: (r) => {
          log.push("self answered");
          r.cancel();
          c.params.caps[0]!.call(request(5, 0)).observe({
            immediate: false,
            resultsSettled: (inner) => (inner.cancel(), c.returns(payload(1))),
          });
        },
      });
      self.release(); // its last reference: the running call keeps the object
      log.push("end");
    },
    2: (c) => (log.push("self"), c.returns()),
  });
  const hook = server.hook(scheduler);
  const r = outcome(call(hook, 1, 0, back));
  scheduler.drain();
  expect(log).toEqual(["begin", "end", "self", "self answered", "caller"]);
  expect(r.value).toBe(1);
  expect([server.droppedTimes, caller.droppedTimes]).toEqual([1, 1]);
});

it("C-PIP-11: a call passed on ten thousand times is pipelined on, and given up, like any other", () => {
  let left = 10_000;
  const server: Recorder = new Recorder({
    1: (c) => {
      if (--left > 0) c.tailCall(c.self, request(1, 0));
    },
  });
  const hook = server.hook(scheduler);
  const results = call(hook, 1, 0);
  const early = results.pipeline([0]);
  scheduler.drain();
  expect(left).toBe(0);
  const late = results.pipeline([0]);
  expect(late).toBe(early);
  const seen = outcome(call(late, 0, 1));
  for (const field of [early, late]) field.release();
  results.cancel();
  scheduler.drain();
  expect(server.calls.at(-1)!.canceled).toBe(false); // what is pipelined on it waits still
  server.calls.at(-1)!.returns(payload(0, hook.addRef()));
  scheduler.drain();
  expect(seen.value).toBe(1);

  left = 10_000;
  const given = call(hook, 1, 0);
  scheduler.drain();
  given.cancel();
  expect(server.calls.at(-1)!.canceled).toBe(true);
  server.calls.at(-1)!.returns();
  hook.release();
  scheduler.drain();
  expect(server.droppedTimes).toBe(1);
});

it("an object that was called has started, whatever is known of the call that it failed with", () => {
  const lost = new RpcError("disconnected", "connection-lost", "gone", { delivery: "not-sent" });
  const broken = brokenHook(lost, scheduler);
  const server = new Recorder({
    1: (c) => c.fails(lost),
    2: (c) => c.tailCall(broken, request(0, 0)),
  });
  const hook = server.hook(scheduler);
  const seen = [outcome(call(hook, 1, 0)), outcome(call(hook, 2, 0))];
  scheduler.drain();
  for (const { error } of seen)
    expect(error).toMatchObject({ code: "connection-lost", message: "gone", delivery: "started" });
  hook.release();
});

it("C-GCF-05: a reference released twice is refused here and reaches nobody", () => {
  const hook = new Recorder().hook(scheduler);
  hook.release();
  expect(() => hook.release()).toThrow(/released twice/);
});

it("C-GCF-06: results nobody looks into give their capabilities back when they are disposed", () => {
  const inner = new Recorder();
  const server = new Recorder({ 1: (c) => c.returns(payload(0, inner.hook(scheduler))) });
  const hook = server.hook(scheduler);
  const results = call(hook, 1, 0);
  scheduler.drain();
  expect(inner.droppedTimes).toBe(0);
  results.cancel();
  scheduler.drain();
  expect(inner.droppedTimes).toBe(1);
  hook.release();
});
