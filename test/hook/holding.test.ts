// What a host needs of the layers below it: calls that wait to be let in, a membrane that holds back what crosses it, and the
// origin of a call.

import { beforeEach, describe, expect, it } from "vitest";
import { RpcError } from "../../src/base/errors.js";
import type { Entrant, Origin } from "../../src/base/origin.js";
import { Scheduler } from "../../src/base/scheduler.js";
import { ONLY_PROMISE_PIPELINE } from "../../src/hook/hook.js";
import { LocalHook } from "../../src/hook/local.js";
import { type CrossingResults, type Direction, Membrane } from "../../src/hook/membrane.js";
import { PromiseHook } from "../../src/hook/promise.js";
import { call, outcome, payload, Recorder, request, tell } from "../support/objects.js";

let scheduler: Scheduler;

beforeEach(() => {
  scheduler = new Scheduler();
  scheduler.onError = (error) => {
    throw error;
  };
});

describe("calls that must be let in", () => {
  const waiting: Entrant[] = [];
  beforeEach(() => {
    waiting.length = 0;
    scheduler.entry = { admit: (call) => void waiting.push(call) };
  });

  it("run when they are, in the order in which they are; one that was canceled does not", () => {
    const server = new Recorder();
    const hook = server.hook(scheduler);
    const results = [tell(hook, 1), tell(hook, 2)];
    const canceled = call(hook, 0, 3);
    scheduler.drain();
    canceled.cancel();
    expect([server.seen, waiting.length]).toEqual([[], 3]);
    for (const one of waiting) one.enter();
    scheduler.drain();
    expect(server.seen).toEqual([1, 2]);
    expect(results.map(({ value }) => value)).toEqual([1, 2]);
    hook.release();
  });

  it("fail when they are refused", () => {
    const server = new Recorder();
    const hook = server.hook(scheduler);
    const result = tell(hook, 1);
    scheduler.drain();
    const no = new RpcError("failed", "internal-error", "no");
    waiting[0]!.fails(no);
    waiting[0]!.enter();
    scheduler.drain();
    expect([result.error, server.seen]).toEqual([no, []]);
    hook.release();
  });

  it("wait behind a stream call that was let in before them", () => {
    let end = (): void => {};
    const server = new Recorder({
      1: (c) => {
        c.streaming();
        end = () => c.returns();
      },
    });
    const hook = server.hook(scheduler);
    outcome(call(hook, 1, 1));
    const second = tell(hook, 2);
    scheduler.drain();
    for (const one of waiting.splice(0)) one.enter();
    scheduler.drain();
    expect(server.seen).toEqual([1]);
    end();
    scheduler.drain();
    for (const one of waiting.splice(0)) one.enter();
    scheduler.drain();
    expect([server.seen, second.value]).toEqual([[1, 2], 2]);
    hook.release();
  });

  it("are not those on what runs no code of the object", () => {
    const hook = new LocalHook(
      { passive: true, dispatch: (c) => c.returns(payload(5)) },
      scheduler,
    );
    const result = tell(hook, 1);
    scheduler.drain();
    expect([result.value, waiting]).toEqual([5, []]);
    hook.release();
  });

  it("carry where they come from", () => {
    const server = new Recorder();
    const hook = server.hook(scheduler);
    const origin: Origin = { scheduler };
    const made = request(0, 1);
    made.origin = origin;
    outcome(hook.call(made));
    scheduler.drain();
    expect(waiting[0]!.origin).toBe(origin);
    waiting[0]!.enter();
    scheduler.drain();
    hook.release();
  });
});

describe("a membrane that holds back what crosses it", () => {
  const crossing: { direction: Direction; results: CrossingResults | null; pass: () => void }[] =
    [];
  const held = (inside = scheduler): Membrane =>
    new Membrane(
      { crosses: (direction, results, pass) => void crossing.push({ direction, results, pass }) },
      scheduler,
      true,
      inside,
    );
  beforeEach(() => void (crossing.length = 0));

  it("hands results on when they may cross, and says whose they are", () => {
    const boom = new RpcError("failed", "method-failed", "boom");
    const server = new Recorder({ 1: (c) => c.fails(boom) });
    const object = server.hook(scheduler);
    const hook = held().wrap(object);
    const origin: Origin = { scheduler };
    const made = request(0, 1);
    made.origin = origin;
    const first = outcome(hook.call(made));
    const second = outcome(call(hook, 1, 2));
    scheduler.drain();
    expect([first.settled, second.settled]).toEqual([false, false]);
    expect(crossing.map(({ direction, results }) => [direction, results])).toEqual([
      ["outward", { origin, error: null }],
      ["outward", { origin: null, error: boom }],
    ]);
    for (const { pass } of crossing) pass();
    scheduler.drain();
    expect([first.value, second.error]).toEqual([1, boom]);
    hook.release();
    object.release();
  });

  it("fails what is held back when it is revoked, and hands nothing on after", () => {
    const object = new Recorder().hook(scheduler);
    const membrane = held();
    const hook = membrane.wrap(object);
    const result = tell(hook, 1);
    scheduler.drain();
    expect([membrane.callCount, membrane.heldOutside]).toEqual([1, 1]);
    membrane.revoke();
    crossing[0]!.pass();
    scheduler.drain();
    expect(result.error?.code).toBe("capability-revoked");
    expect([membrane.callCount, membrane.heldOutside]).toEqual([0, 0]);
    hook.release();
    object.release();
  });

  it("lets a promise go on as what it has become only when that may cross", () => {
    const server = new Recorder();
    const promise = new PromiseHook(scheduler);
    const hook = held().wrap(promise);
    promise.resolve(server.hook(scheduler));
    scheduler.drain();
    expect([hook.next, crossing[0]!.direction, crossing[0]!.results]).toEqual([
      null,
      "outward",
      null,
    ]);
    crossing[0]!.pass();
    expect(hook.next).not.toBeNull();
    hook.release();
    promise.release();
    scheduler.drain();
    expect(server.droppedTimes).toBe(1);
  });

  it("hears of the end of every call, of those whose results nobody wants too", () => {
    const server = new Recorder();
    const object = server.hook(scheduler);
    const hook = held().wrap(object);
    const made = request(0, 1);
    made.flags = ONLY_PROMISE_PIPELINE;
    outcome(hook.call(made));
    scheduler.drain();
    expect(server.calls[0]!.flags).toBe(0);
    crossing[0]!.pass();
    hook.release();
    object.release();
  });

  it("sends a call by a way of the policy's, within the wrapping", () => {
    const server = new Recorder();
    const object = server.hook(scheduler);
    const ways: PromiseHook[] = [];
    const membrane = new Membrane(
      {
        way: (_direction, target) => {
          const way = new PromiseHook(target.scheduler);
          ways.push(way);
          return way;
        },
      },
      scheduler,
    );
    const hook = membrane.wrap(object);
    const result = tell(hook, 1);
    scheduler.drain();
    expect(server.seen).toEqual([]);
    ways[0]!.resolve(object.addRef());
    scheduler.drain();
    expect(result.value).toBe(1);
    hook.release();
    object.release();
  });

  it("gives each side capabilities with the scheduler of that side", () => {
    const inside = new Scheduler();
    const membrane = held(inside);
    const object = new Recorder().hook(inside);
    const stranger = new Recorder().hook(scheduler);
    const [out, into] = [membrane.wrap(object), membrane.cross(stranger, "outward")];
    expect([out.scheduler, into.scheduler]).toEqual([scheduler, inside]);
    for (const hook of [out, into, object, stranger]) hook.release();
    inside.drain();
    scheduler.drain();
  });
});
