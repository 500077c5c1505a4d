// Section 20, C-LOC-10 to 12: revocable capabilities and membranes.

import { beforeEach, expect, it } from "vitest";
import { RpcError } from "../../src/base/errors.js";
import { Scheduler } from "../../src/base/scheduler.js";
import type { Hook } from "../../src/hook/hook.js";
import { identity } from "../../src/hook/identity.js";
import { Membrane, type MembranePolicy, revocable } from "../../src/hook/membrane.js";
import { PromiseHook } from "../../src/hook/promise.js";
import { brokenHook, nullHook } from "../../src/hook/results.js";
import { call, outcome, payload, Recorder, tell } from "../support/objects.js";

let scheduler: Scheduler;

beforeEach(() => {
  scheduler = new Scheduler();
  scheduler.onError = (error) => {
    throw error;
  };
});

const boom = new RpcError("failed", "capability-revoked", "cut off");

it("C-LOC-10: revoking fails running and later calls, drops the object, and leaves a broken reference", () => {
  const server = new Recorder({ 1: () => {} });
  const { hook, revoke } = revocable(server.hook(scheduler));
  server.hook(scheduler); // another wrapper of the same server is not concerned
  const running = outcome(call(hook, 1, 1));
  scheduler.drain();
  let told = 0;
  hook.watch({ hookResolved: () => told++ });
  revoke(boom);
  revoke(); // once
  const late = tell(hook, 2);
  scheduler.drain();
  expect([running.error, late.error]).toEqual([boom, boom]);
  expect(server.calls[0]!.canceled).toBe(true);
  expect(server.seen).toEqual([1]);
  expect(hook.brokenBy).toBe(boom);
  expect(told).toBe(1);
  hook.release();
});

it("C-LOC-10: a revoked object is dropped although references to the revoker live on", () => {
  const server = new Recorder();
  const object = server.hook(scheduler);
  const { hook, revoke } = revocable(object);
  object.release();
  revoke();
  scheduler.drain();
  expect(server.droppedTimes).toBe(1);
  const r = tell(hook, 1);
  scheduler.drain();
  expect(r.error?.code).toBe("capability-revoked");
  hook.release();
});

it("C-LOC-10: what was passed through a revocable capability is not revoked with it", () => {
  const inner = new Recorder();
  const server = new Recorder({ 1: (c) => c.returns(payload(0, inner.hook(scheduler))) });
  const object = server.hook(scheduler);
  const { hook, revoke } = revocable(object);
  const results = call(hook, 1, 1);
  const field = results.pipeline([0]);
  const r = outcome(results);
  scheduler.drain();
  revoke();
  tell(r.caps[0]!, 1);
  tell(field, 2);
  scheduler.drain();
  expect(inner.seen).toEqual([1, 2]);
  for (const h of [field, hook, object]) h.release();
  r.release();
});

function inside(policy: MembranePolicy = {}) {
  const kept: Hook[] = [];
  const inner = new Recorder();
  const innerHook = inner.hook(scheduler);
  const server = new Recorder({
    1: (c) => c.returns(payload(1, innerHook.addRef())), // gives out what is inside
    2: (c) => {
      kept.push(c.params.caps[0]!.addRef()); // keeps what comes from outside
      c.returns(payload(2, c.params.caps[0]!.addRef())); // and gives it back
    },
  });
  const object = server.hook(scheduler);
  const membrane = new Membrane(policy, scheduler);
  const view = membrane.wrap(object);
  return { membrane, view, object, server, inner, innerHook, kept };
}

it("C-LOC-11: results, pipelines and params are wrapped, and the policy sees each call by interface and method", () => {
  const seen: string[] = [];
  const { view, innerHook, inner, kept } = inside({
    call(direction, _target, interfaceId, method) {
      seen.push(`${direction} ${interfaceId.toString(16)} ${method}`);
    },
  });
  const results = call(view, 1, 0);
  const field = results.pipeline([0]);
  tell(field, 3);
  const r = outcome(results);
  scheduler.drain();
  tell(r.caps[0]!, 4);
  scheduler.drain();
  expect(inner.seen).toEqual([3, 4]);
  expect(identity(r.caps[0]!, innerHook)).toBe("unknown"); // no join through a membrane
  expect(seen).toEqual(["inward 7e57 1", "inward 7e57 0", "inward 7e57 0"]);
  const outer = new Recorder();
  const out = outcome(call(view, 2, 0, outer.hook(scheduler)));
  scheduler.drain();
  tell(kept[0]!, 9); // from the inside out
  scheduler.drain();
  expect(outer.seen).toEqual([9]);
  expect(seen.slice(3)).toEqual(["inward 7e57 2", "outward 7e57 0"]);
  out.release();
  r.release();
  field.release();
});

it("C-LOC-11: a capability that comes back across is the original again, both ways", () => {
  const { view, innerHook, server, kept } = inside();
  const outer = new Recorder().hook(scheduler);
  const out = outcome(call(view, 2, 0, outer.addRef()));
  scheduler.drain();
  expect(out.caps[0]).toBe(outer); // out -> in -> out
  expect(kept[0]).not.toBe(outer);
  const r = outcome(call(view, 1, 0));
  scheduler.drain();
  const back = outcome(call(view, 2, 0, r.caps[0]!.addRef()));
  scheduler.drain();
  expect(server.calls).toHaveLength(3);
  expect(kept[1]).toBe(innerHook); // in -> out -> in
  expect(back.caps[0]).toBe(r.caps[0]); // and one wrapper for one object
  for (const o of [out, r, back]) o.release();
  for (const h of kept) h.release();
  outer.release();
});

it("C-LOC-11: the policy refuses a call, or sends it elsewhere; one that throws refuses", () => {
  const other = new Recorder();
  const { view, server } = inside({
    call(_d, _t, _i, method) {
      if (method === 5) return boom;
      if (method === 6) throw new Error("policy");
      if (method === 7) return other.hook(scheduler);
      return undefined;
    },
  });
  const held = new Recorder();
  const refused = outcome(call(view, 5, 0, held.hook(scheduler)));
  const threw = outcome(call(view, 6, 0));
  const sent = outcome(call(view, 7, 70));
  scheduler.drain();
  expect(refused.error).toBe(boom);
  expect(held.droppedTimes).toBe(1);
  expect(threw.error?.message).toBe("policy");
  expect([sent.value, other.seen, server.seen, other.droppedTimes]).toEqual([70, [70], [], 1]);
});

it("C-LOC-11: a policy that returns what it must not refuses: `false`, null, a promise", () => {
  for (const [returned, kind] of [
    [false, "false"],
    [true, "true"],
    [null, "null"],
    [Promise.resolve(), "an object of another kind"],
    [new Error("no"), "an object of another kind"],
  ]) {
    const { view, server } = inside({ call: () => returned as unknown as undefined });
    const refused = outcome(call(view, 5, 0));
    scheduler.drain();
    expect(refused.error).toMatchObject({ type: "failed", code: "invalid-argument" });
    expect(refused.error!.message).toContain(`an RpcError or a hook, not ${String(kind)}`);
    expect(server.seen).toEqual([]);
  }
});

it("C-LOC-11: an async policy that rejects refuses, and its rejection is nobody's to handle", async () => {
  const unhandled: unknown[] = [];
  const listener = (reason: unknown): void => void unhandled.push(reason);
  process.on("unhandledRejection", listener);
  const { view } = inside({ call: () => Promise.reject(new Error("no")) as unknown as undefined });
  const refused = outcome(call(view, 5, 0));
  scheduler.drain();
  expect(refused.error).toMatchObject({ code: "invalid-argument" });
  await new Promise((resolve) => setImmediate(resolve));
  process.off("unhandledRejection", listener);
  expect(unhandled).toEqual([]);
});

it("a membrane without a policy, or a scheduler, is refused", () => {
  const make = Membrane as unknown as new (policy?: unknown, scheduler?: unknown) => Membrane;
  for (const args of [[], [5, scheduler], [null, scheduler], [{}], [{}, {}]])
    expect(() => new make(...args)).toThrow(
      expect.objectContaining({ code: "invalid-argument" }) as Error,
    );
});

it("C-LOC-11: revoking breaks every wrapper, cancels what runs, and lets go of both sides", () => {
  const { membrane, view, object, innerHook, server, inner, kept } = inside();
  const outer = new Recorder({ 9: () => {} });
  const r = outcome(call(view, 1, 0));
  const o = outcome(call(view, 2, 0, outer.hook(scheduler)));
  scheduler.drain();
  o.release();
  const running = outcome(call(kept[0]!, 9, 1));
  scheduler.drain();
  const before = inner.seen.length;
  membrane.revoke(boom);
  const late = [tell(view, 1), tell(r.caps[0]!, 2), tell(kept[0]!, 3)];
  scheduler.drain();
  expect(late.map((l) => l.error)).toEqual([boom, boom, boom]);
  expect(running.error).toBe(boom);
  expect(outer.calls[0]!.canceled).toBe(true);
  expect(inner.seen).toHaveLength(before);
  outer.calls[0]!.returns();
  r.release();
  for (const h of [view, object, innerHook, ...kept]) h.release();
  scheduler.drain();
  expect([server, inner, outer].map((s) => s.droppedTimes)).toEqual([1, 1, 1]);
});

it("C-LOC-11: a call through a membrane is canceled when its last pipelined capability is dropped", () => {
  const server = new Recorder({ 1: () => {} });
  const membrane = new Membrane({}, scheduler);
  const object = server.hook(scheduler);
  const view = membrane.wrap(object);
  const results = call(view, 1, 0);
  const field = results.pipeline([0]);
  outcome(results);
  scheduler.drain();
  results.cancel();
  expect(server.calls[0]!.canceled).toBe(false);
  const inner = new Recorder();
  const other = call(view, 1, 0);
  const kept = other.pipeline([0]);
  tell(kept, 3);
  outcome(other);
  scheduler.drain();
  other.cancel();
  server.calls[1]!.returns(payload(0, inner.hook(scheduler))); // results nobody wants, a capability somebody does
  scheduler.drain();
  expect(inner.seen).toEqual([3]);
  field.release();
  expect(server.calls[0]!.canceled).toBe(true);
  for (const h of [kept, view, object]) h.release();
  scheduler.drain();
  expect(inner.droppedTimes).toBe(1);
});

it("C-LOC-12: whoever asks what a promise became gets the same wrapped capability", () => {
  const { view, innerHook, membrane } = inside();
  const promise = new PromiseHook(scheduler);
  const one = membrane.wrap(promise);
  const two = membrane.wrap(promise);
  expect(one).toBe(two);
  const found: Hook[] = [];
  one.watch({ hookResolved: () => found.push(one.resolved()) });
  two.watch({ hookResolved: () => found.push(two.resolved()) });
  tell(one, 1);
  promise.resolve(innerHook.addRef());
  scheduler.drain();
  const direct = membrane.wrap(innerHook);
  expect(found).toEqual([direct, direct]);
  for (const h of [one, two, direct, promise, view]) h.release();
});

it("C-LOC-12: a promise inside that becomes something of the outside is unwrapped", () => {
  const { membrane, view, kept } = inside();
  const outer = new Recorder();
  const outerHook = outer.hook(scheduler);
  outcome(call(view, 2, 0, outerHook.addRef())).release();
  scheduler.drain();
  const promise = new PromiseHook(scheduler);
  const wrapped = membrane.wrap(promise);
  tell(wrapped, 1);
  promise.resolve(kept[0]!.addRef());
  tell(wrapped, 2);
  scheduler.drain();
  tell(wrapped, 3);
  scheduler.drain();
  expect(wrapped.resolved()).toBe(outerHook);
  expect(outer.seen).toEqual([1, 2, 3]);
  membrane.revoke(boom); // and what is outside was never the membrane's to break
  tell(outerHook, 4);
  scheduler.drain();
  expect(outer.seen).toEqual([1, 2, 3, 4]);
});

it("C-LOC-11: null and broken capabilities pass as they are", () => {
  const { membrane } = inside();
  const broken = brokenHook(boom, scheduler);
  const none = nullHook(scheduler);
  expect(membrane.wrap(broken)).toBe(broken);
  expect(membrane.wrap(none)).toBe(none);
});
