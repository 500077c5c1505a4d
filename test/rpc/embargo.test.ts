// Section 8, C-EMB: order across a resolution that leads back home. The properties C-EMB-24 to 29 are in test/model.

import { describe, expect, it } from "vitest";
import type { Hook } from "../../src/hook/hook.js";
import { identity } from "../../src/hook/identity.js";
import { PromiseHook } from "../../src/hook/promise.js";
import { unwrap } from "../../src/hook/unwrap.js";
import { call, type Method, outcome, payload, Recorder, tell } from "../support/objects.js";
import { answer, hosted, none, promised, ServedPeer, yours } from "../support/raw-peer.js";
import { World } from "../support/world.js";

/** The peer holds 0, our server, and 1, an object of ours; we hold 7, an object of its. */
function meeting() {
  const peer = new ServedPeer();
  const cap = peer.remote(hosted(7));
  const recorder = new Recorder();
  const object = peer.object(recorder);
  expect(peer.get(cap, object)).toBe("senderHosted 1");
  return {
    peer,
    cap,
    recorder,
    object,
    ends: () => {
      cap.release();
      peer.release(1);
      peer.drain();
      peer.ends();
    },
  };
}

describe("our embargo", () => {
  it("C-EMB-01: calls on a promise that came home wait for the echo, behind those that go round", () => {
    const { peer, recorder, ends } = meeting();
    const [hook] = peer.give(promised(3));
    tell(hook!, 1);
    expect(peer.drain()).toEqual(["call 0 import 3 method=0 value=1"]);
    expect(peer.resolve(3, yours(1))).toEqual([
      "disembargo senderLoopback 0 import 3",
      "release 3 x1",
    ]);
    const late = [tell(hook!, 2), tell(hook!, 3)];
    expect(peer.drain()).toEqual([]);
    expect(recorder.seen).toEqual([]);
    peer.call(1, 1, { value: 1 });
    expect(recorder.seen).toEqual([1]);
    expect(peer.disembargo(1, 1, 0)).toEqual([]);
    expect(recorder.seen).toEqual([1, 2, 3]);
    tell(hook!, 4);
    expect(peer.drain()).toEqual([]);
    expect(recorder.seen).toEqual([1, 2, 3, 4]);
    expect(late.map((one) => one.value)).toEqual([2, 3]);
    peer.returns(0);
    hook!.release();
    ends();
  });

  it("C-EMB-02: a promise that was never called through needs none", () => {
    const { peer, recorder, ends } = meeting();
    const [hook] = peer.give(promised(3));
    expect(peer.resolve(3, yours(1))).toEqual(["release 3 x1"]);
    tell(hook!, 1);
    peer.drain();
    expect(recorder.seen).toEqual([1]);
    hook!.release();
    ends();
  });

  it("C-EMB-02: a promise described to its own host was used", () => {
    const { peer, cap, recorder, ends } = meeting();
    const [hook] = peer.give(promised(3));
    expect(peer.get(cap, hook!)).toBe("receiverHosted 3");
    expect(peer.resolve(3, yours(1))).toEqual([
      "disembargo senderLoopback 0 import 3",
      "release 3 x1",
    ]);
    tell(hook!, 2);
    peer.call(1, 1, { value: 1 });
    peer.disembargo(1, 1, 0);
    expect(recorder.seen).toEqual([1, 2]);
    hook!.release();
    ends();
  });

  it.each(["receiverHosted", "receiverAnswer"])(
    "C-EMB-03: %s in results is embargoed at the path that was pipelined on",
    (kind) => {
      const { peer, cap, recorder, ends } = meeting();
      peer.call(1, 0, { method: 4, caps: [yours(1)] });
      const home = kind === "receiverHosted" ? yours(1) : answer(1, 0);
      const results = call(cap, 0, 0);
      const piped = results.pipeline([0]);
      tell(piped, 1);
      const seen = outcome(results);
      peer.drain();
      expect(peer.returns(0, { caps: [home] })).toEqual([
        "disembargo senderLoopback 0 answer 0.0",
        "finish 0",
      ]);
      // Also for who takes the capability out of the results: it has seen the answer.
      tell(seen.caps[0]!, 2);
      tell(piped, 3);
      peer.drain();
      expect(recorder.seen).toEqual([]);
      peer.call(2, 1, { value: 1 });
      peer.disembargo(1, 1, 0);
      expect(recorder.seen).toEqual([1, 2, 3]);
      peer.returns(1);
      seen.release();
      piped.release();
      peer.finish(1);
      ends();
    },
  );

  it("C-EMB-04: paths of a result that were not used go straight", () => {
    const { peer, cap, recorder, ends } = meeting();
    const results = call(cap, 0, 0);
    const used = results.pipeline([0]);
    const unused = results.pipeline([1]);
    tell(used, 1);
    const seen = outcome(results);
    peer.drain();
    expect(peer.returns(0, { caps: [yours(1), yours(1), yours(0)] })).toEqual([
      "disembargo senderLoopback 0 answer 0.0",
      "finish 0",
    ]);
    tell(used, 2);
    tell(unused, 3);
    tell(seen.caps[1]!, 4);
    tell(seen.caps[2]!, 5);
    peer.drain();
    expect(recorder.seen).toEqual([3, 4]);
    expect(peer.server.seen.at(-1)).toBe(5);
    peer.call(1, 1, { value: 1 });
    peer.disembargo(1, 1, 0);
    expect(recorder.seen).toEqual([3, 4, 1, 2]);
    peer.returns(1);
    for (const hook of [used, unused]) hook.release();
    seen.release();
    ends();
  });

  it("C-EMB-05: the Disembargo follows the calls before it, and the Finish or Release follows the Disembargo", () => {
    const { peer, cap, ends } = meeting();
    const [hook] = peer.give(promised(3));
    const results = call(cap, 0, 0);
    const piped = results.pipeline([0]);
    peer.drain();
    peer.draining = false;
    tell(hook!, 1);
    tell(piped, 2);
    piped.release();
    results.cancel();
    peer.resolve(3, yours(1));
    peer.returns(0, { caps: [yours(1)] });
    hook!.release();
    peer.draining = true;
    expect(peer.drain()).toEqual([
      "call 1 import 3 method=0 value=1",
      "call 2 answer 0.0 method=0 value=2",
      "finish 0 releaseResults",
      "disembargo senderLoopback 0 import 3",
      "release 3 x1",
    ]);
    peer.returns(1);
    peer.returns(2);
    peer.disembargo(1, 1, 0);
    // And with the results still wanted.
    const more = call(cap, 0, 0);
    const again = more.pipeline([0]);
    tell(again, 3);
    const seen = outcome(more);
    expect(peer.drain()).toEqual([
      "call 2 import 7 method=0",
      "call 1 answer 2.0 method=0 value=3",
    ]);
    expect(peer.returns(2, { caps: [yours(1)] })).toEqual([
      "disembargo senderLoopback 0 answer 2.0",
      "finish 2",
    ]);
    peer.returns(1);
    peer.disembargo(1, 1, 0);
    seen.release();
    again.release();
    ends();
  });

  it("C-EMB-06: embargo ids are unique while they live, and come again after the echo", () => {
    const { peer, recorder, ends } = meeting();
    const hooks = peer.give(promised(3), promised(4), promised(5));
    for (const hook of hooks) tell(hook, 0);
    peer.drain();
    expect(peer.resolve(3, yours(1))[0]).toBe("disembargo senderLoopback 0 import 3");
    expect(peer.resolve(4, yours(1))[0]).toBe("disembargo senderLoopback 1 import 4");
    peer.disembargo(1, 1, 0);
    expect(peer.resolve(5, yours(1))[0]).toBe("disembargo senderLoopback 0 import 5");
    tell(hooks[1]!, 1);
    tell(hooks[2]!, 2);
    peer.disembargo(1, 1, 0);
    expect(recorder.seen).toEqual([2]);
    peer.disembargo(1, 1, 1);
    expect(recorder.seen).toEqual([2, 1]);
    for (const id of [0, 1, 2]) peer.returns(id);
    for (const hook of hooks) hook.release();
    ends();
  });

  it.each(["an exception", "null"])(
    "C-EMB-14: a resolution to %s needs none: later calls fail at once",
    (what) => {
      const { peer, cap, ends } = meeting();
      const [hook] = peer.give(promised(3));
      const results = call(cap, 0, 0);
      const piped = results.pipeline([0]);
      tell(hook!, 1);
      tell(piped, 2);
      results.cancel();
      peer.drain();
      if (what === "null") {
        expect(peer.returns(0, { caps: [none] })).toEqual(["finish 0"]);
        expect(peer.breaks(3, "null")).toEqual(["release 3 x1"]);
      } else {
        expect(peer.fails(0, "gone")).toEqual(["finish 0"]);
        expect(peer.breaks(3, "gone")).toEqual(["release 3 x1"]);
      }
      const late = [tell(hook!, 3), tell(piped, 4)];
      expect(peer.drain()).toEqual([]);
      expect(late.map((one) => one.error?.type)).toEqual(["failed", "failed"]);
      expect(peer.connection.stats()).toMatchObject({ questions: 2, embargoes: 0 });
      peer.returns(1);
      peer.returns(2);
      hook!.release();
      piped.release();
      ends();
    },
  );

  it("C-EMB-15: calls that wait when the connection is lost fail, and are not delivered", () => {
    const { peer, cap, recorder } = meeting();
    const [hook] = peer.give(promised(3));
    tell(hook!, 1);
    peer.drain();
    peer.resolve(3, yours(1));
    const late = tell(hook!, 2);
    peer.connection.disconnected(null);
    peer.drain();
    const after = tell(hook!, 3);
    peer.drain();
    expect([late.error?.type, after.error?.type]).toEqual(["disconnected", "disconnected"]);
    expect(recorder.seen).toEqual([]);
    hook!.release();
    cap.release();
    peer.done();
  });

  it("C-EMB-16: a promise dropped meanwhile cancels what waits; the echo is taken all the same", () => {
    const { peer, recorder, ends } = meeting();
    const [hook] = peer.give(promised(3));
    tell(hook!, 1);
    peer.drain();
    peer.resolve(3, yours(1));
    const waiting = call(hook!, 0, 2, peer.object(new Recorder()).addRef());
    const kept = tell(hook!, 3);
    peer.acts(() => waiting.cancel());
    hook!.release();
    expect(peer.connection.stats().embargoes).toBe(1);
    peer.disembargo(1, 1, 0);
    expect(peer.connection.stats().embargoes).toBe(0);
    expect(recorder.seen).toEqual([3]);
    expect(kept.value).toBe(3);
    peer.returns(0);
    ends();
  });

  it("C-EMB-17: results taken from a call that was sent back are embargoed where they were pipelined on", () => {
    const { peer, cap, recorder, ends } = meeting();
    const results = call(cap, 0, 0);
    const piped = results.pipeline([0]);
    tell(piped, 1);
    const seen = outcome(results);
    expect(peer.drain()).toEqual([
      "call 0 import 7 method=0",
      "call 1 answer 0.0 method=0 value=1",
    ]);
    expect(peer.call(5, 0, { method: 4, caps: [yours(1)], to: 1 })).toEqual([
      "return 5 resultsSentElsewhere",
    ]);
    expect(peer.returnsTag(0, 4, { other: 5 })[0]).toBe("disembargo senderLoopback 0 answer 0.0");
    tell(piped, 2);
    peer.drain();
    expect(recorder.seen).toEqual([]);
    peer.call(6, answer(5, 0), { value: 1 });
    peer.disembargo(1, 1, 0);
    expect(recorder.seen).toEqual([1, 2]);
    peer.finish(5);
    peer.returns(1);
    expect(seen.settled).toBe(true);
    seen.release();
    piped.release();
    ends();
  });

  it("C-EMB-20: what came home but leads back to the peer is embargoed too, and never shortened", () => {
    const { peer, cap, recorder, ends } = meeting();
    const ours = new PromiseHook(peer.scheduler);
    expect(peer.get(cap, ours)).toBe("senderPromise 2");
    const [theirs, other] = peer.give(promised(3), promised(4));
    tell(theirs!, 1);
    peer.drain();
    expect(peer.acts(() => ours.resolve(other!.addRef()))).toEqual(["resolve 2 receiverHosted 4"]);
    expect(peer.resolve(3, yours(2))).toEqual([
      "disembargo senderLoopback 0 import 3",
      "release 3 x1",
    ]);
    tell(theirs!, 2);
    expect(peer.drain()).toEqual([]);
    // Their promise 4 is an object of ours. Call 1 still goes round by 4, so call 2 must not go straight.
    const home = peer.resolve(4, yours(1));
    expect(home[0]).toBe("disembargo senderLoopback 1 import 4");
    expect(peer.call(1, 2, { value: 1 })).toEqual(["call 1 import 4 method=0 value=1"]);
    expect(peer.disembargo(2, 1, 0)).toEqual(["call 2 import 4 method=0 value=2"]);
    expect(recorder.seen).toEqual([]);
    peer.call(2, 1, { value: 1 });
    peer.call(3, 1, { value: 2 });
    peer.disembargo(1, 1, 1);
    expect(recorder.seen).toEqual([1, 2]);
    peer.returns(1);
    peer.returns(2);
    peer.returns(0);
    for (const hook of [theirs!, other!, ours]) hook.release();
    peer.release(2);
    ends();
  });

  it("C-EMB-22: the object behind a capability is found only once its embargo is lifted", () => {
    const { peer, recorder, ends } = meeting();
    const [hook] = peer.give(promised(3));
    tell(hook!, 1);
    peer.drain();
    const found: unknown[] = [];
    unwrap(hook!, (server) => found.push(server));
    peer.resolve(3, yours(1));
    expect(found).toEqual([]);
    peer.call(1, 1, { value: 1 });
    peer.disembargo(1, 1, 0);
    expect(found).toEqual([recorder]);
    peer.returns(0);
    hook!.release();
    ends();
  });
});

describe("the peer's embargo", () => {
  it("C-EMB-02: is answered also for a promise that no call went through", () => {
    const { peer, cap, ends } = meeting();
    const ours = new PromiseHook(peer.scheduler);
    peer.get(cap, ours);
    const [theirs] = peer.give(hosted(3));
    expect(peer.acts(() => ours.resolve(theirs!))).toEqual(["resolve 2 receiverHosted 3"]);
    expect(peer.disembargo(2, 0, 8)).toEqual(["disembargo receiverLoopback 8 import 3"]);
    ours.release();
    expect(peer.release(2)).toEqual(["release 3 x1"]);
    ends();
  });

  it("C-EMB-07: is answered behind all that was forwarded before it, under its id, to the peer's own capability", () => {
    const { peer, cap, ends } = meeting();
    const ours = new PromiseHook(peer.scheduler);
    peer.get(cap, ours);
    const [theirs] = peer.give(hosted(3));
    peer.call(1, 2, { value: 1 });
    peer.call(2, 2, { value: 2 });
    expect(peer.acts(() => ours.resolve(theirs!))).toEqual([
      "call 0 import 3 method=0 value=1",
      "call 1 import 3 method=0 value=2",
      "resolve 2 receiverHosted 3",
    ]);
    peer.draining = false;
    peer.call(3, 2, { value: 3 });
    peer.disembargo(2, 0, 0xffff_fff0);
    peer.draining = true;
    expect(peer.drain()).toEqual([
      "call 2 import 3 method=0 value=3",
      "disembargo receiverLoopback 4294967280 import 3",
    ]);
    for (const id of [0, 1, 2]) peer.returns(id);
    // For an answer: its Return named the peer's own capability.
    expect(peer.call(4, 0, { method: 4, caps: [hosted(5)] })).toEqual([
      "return 4 results caps=[receiverHosted 5]",
    ]);
    expect(peer.disembargo(answer(4, 0), 0, 9)).toEqual(["disembargo receiverLoopback 9 import 5"]);
    expect(peer.finish(4)).toEqual(["release 5 x1"]);
    ours.release();
    expect(peer.release(2)).toEqual(["release 3 x1"]);
    ends();
  });

  it("C-EMB-08: waits for the first resolution that leads back, not for what that becomes", () => {
    const { peer, cap, ends } = meeting();
    const ours = new PromiseHook(peer.scheduler);
    peer.get(cap, ours);
    const [theirs] = peer.give(promised(3));
    expect(peer.acts(() => ours.resolve(theirs!))).toEqual(["resolve 2 receiverHosted 3"]);
    // Promise 3 is open: its host may be waiting for this very answer.
    expect(peer.disembargo(2, 0, 8)).toEqual(["disembargo receiverLoopback 8 import 3"]);
    ours.release();
    expect(peer.release(2)).toEqual(["release 3 x1"]);
    ends();
  });

  it("C-EMB-09: for what does not lead back to the peer aborts", () => {
    const misdeeds: ((peer: ServedPeer) => string[])[] = [
      (peer) => peer.disembargo(1, 0, 8),
      (peer) => (peer.call(20, 0, { method: 2 }), peer.disembargo(answer(20, 0), 0, 8)),
      (peer) => peer.disembargo(55, 0, 8),
      (peer) => peer.disembargo(answer(55), 0, 8),
    ];
    for (const misbehave of misdeeds) {
      const { peer, cap } = meeting();
      const lines = misbehave(peer);
      cap.release();
      peer.aborted(lines, /Disembargo/);
    }
    // A promise that turns out to be an object of ours, asked about before it was known and after.
    for (const early of [true, false]) {
      const { peer, cap, object } = meeting();
      const ours = new PromiseHook(peer.scheduler);
      peer.get(cap, ours);
      if (early) expect(peer.disembargo(2, 0, 8)).toEqual([]);
      let lines = peer.acts(() => ours.resolve(object.addRef()));
      if (!early) lines = peer.disembargo(2, 0, 8);
      ours.release();
      cap.release();
      peer.aborted(lines, "does not lead back to its sender");
    }
  });

  it("C-EMB-10: waits for a promise that has not resolved, and for a call that has not returned", () => {
    const { peer, cap, ends } = meeting();
    const ours = new PromiseHook(peer.scheduler);
    peer.get(cap, ours);
    const [theirs] = peer.give(hosted(3));
    expect(peer.disembargo(2, 0, 8)).toEqual([]);
    expect(peer.acts(() => ours.resolve(theirs!.addRef()))).toEqual([
      "resolve 2 receiverHosted 3",
      "disembargo receiverLoopback 8 import 3",
    ]);
    peer.call(1, 0, { method: 3 });
    expect(peer.disembargo(answer(1, 0), 0, 9)).toEqual([]);
    expect(peer.acts(() => peer.server.calls.at(-1)!.returns(payload(0, theirs!)))).toEqual([
      "return 1 results caps=[receiverHosted 3]",
      "disembargo receiverLoopback 9 import 3",
    ]);
    peer.finish(1);
    ours.release();
    expect(peer.release(2)).toEqual(["release 3 x1"]);
    ends();
  });

  it("C-EMB-12: with an unknown context, or that of level 3, is echoed as not implemented", () => {
    const { peer, ends } = meeting();
    expect(peer.disembargo(1, 2, 8)).toEqual(["unimplemented disembargo accept 8 import 1"]);
    expect(peer.disembargo(1, 9, 8)).toEqual(["unimplemented disembargo 9 8 import 1"]);
    expect(peer.over).toBe(null);
    ends();
  });

  it("C-EMB-13: in the shape of the old schema is not taken for something else", () => {
    const { peer, ends } = meeting();
    // Disembargo of one pointer: `accept` without data is tag 2, `provide` with a number tag 3.
    const old = (tag: string) =>
      peer.hex(
        "0000000001000100 0d00000000000000 0000000001000100",
        `07000000${tag}000000 0000000001000100`,
        "0100000000000000 0000000000000000",
      );
    expect(old("02")).toEqual(["unimplemented disembargo accept 7 import 1"]);
    expect(old("03")).toEqual(["unimplemented disembargo 3 7 import 1"]);
    ends();
  });

  it("C-EMB-19: and the calls before it follow what the promise was announced as, though that moved on", () => {
    const { peer, cap, recorder, ends } = meeting();
    const ours = new PromiseHook(peer.scheduler);
    peer.get(cap, ours);
    const [theirs] = peer.give(promised(3));
    tell(theirs!, 9);
    peer.drain();
    peer.acts(() => ours.resolve(theirs!));
    peer.resolve(3, yours(1));
    peer.disembargo(1, 1, 0);
    expect(peer.call(1, 2, { value: 1 })).toEqual(["call 1 import 3 method=0 value=1"]);
    expect(peer.disembargo(2, 0, 8)).toEqual(["disembargo receiverLoopback 8 import 3"]);
    expect(recorder.seen).toEqual([]);
    peer.returns(1);
    peer.returns(0);
    ours.release();
    expect(peer.release(2)).toEqual(["release 3 x1"]);
    ends();
  });

  it("C-EMB-21: the way that such calls take is the object itself to whoever compares or unwraps", () => {
    const { peer, cap, recorder, object, ends } = meeting();
    const ours = new PromiseHook(peer.scheduler);
    peer.get(cap, ours);
    // The peer names the promise by the answer it came in, before and after it resolves.
    peer.call(1, 0, { method: 4, caps: [yours(2)] });
    const [before] = peer.give(answer(1, 0));
    const early: unknown[] = [];
    unwrap(before!, (server) => early.push(server));
    expect(identity(before!, object)).toBe("unknown");
    expect(peer.acts(() => ours.resolve(object.addRef()))).toEqual(["resolve 2 senderHosted 1"]);
    const [after] = peer.give(answer(1, 0));
    expect(identity(before!, object)).toBe("same");
    expect(identity(after!, object)).toBe("same");
    expect(early).toEqual([recorder]);
    // A bare way to a promise of the peer's may be the same object as another.
    const [first, second] = peer.give(promised(3), hosted(4));
    peer.call(2, 0, { method: 4, caps: [promised(3)] });
    const [bare] = peer.give(answer(2, 0));
    expect(identity(bare!, second!)).toBe("unknown");
    for (const hook of [before!, after!, first!, second!, bare!, ours]) hook.release();
    peer.finish(1);
    peer.finish(2);
    peer.release(2);
    peer.release(1);
    peer.drain();
    ends();
  });
});

describe("the echo", () => {
  it.each(["that is unknown", "that came before"])("C-EMB-11: of an embargo %s aborts", (what) => {
    const { peer, cap } = meeting();
    const [hook] = peer.give(promised(3));
    tell(hook!, 1);
    peer.drain();
    peer.resolve(3, yours(1));
    if (what === "that came before") peer.disembargo(1, 1, 0);
    const lines = peer.disembargo(1, 1, what === "that is unknown" ? 1 : 0);
    hook!.release();
    cap.release();
    peer.aborted(lines, /Disembargo.receiverLoopback for unknown embargo/);
  });
});

/** A chooser of which message comes next, from a seed. */
function chooser(seed: number) {
  let state = seed * 2654435761 + 1;
  return (below: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

describe("round more than one corner", () => {
  it("C-EMB-18: a promise that comes home and goes away again meanwhile keeps its calls in order", () => {
    let embargoes = 0;
    for (let seed = 0; seed < 200; seed++) {
      const choose = chooser(seed);
      const kept: Record<string, Hook[]> = { a: [], b: [] };
      const keep =
        (vat: string): Method =>
        (c) => {
          kept[vat]!.push(c.params.caps[0]!.addRef());
          c.returns();
        };
      const world = new World({ a: { 1: keep("a") }, b: { 1: keep("b") } });
      const recorder = new Recorder();
      const home = world.object("a", recorder);
      // P of b's, Q of a's, R of b's: P becomes Q, Q becomes R, R becomes an object of a's.
      const p = new PromiseHook(world.vat("b").scheduler);
      const q = new PromiseHook(world.vat("a").scheduler);
      const r = new PromiseHook(world.vat("b").scheduler);
      const b = world.bootstrap("a", "b");
      const a = world.bootstrap("b", "a");
      for (const hook of [p, r]) call(a, 1, 0, hook.addRef()).cancel();
      for (const hook of [q, home]) call(b, 1, 0, hook.addRef()).cancel();
      world.settle();
      const [atP, atR] = kept["a"]!;
      const [bQ, bHome] = kept["b"]!;
      let next = 0;
      const steps = [
        () => p.resolve(bQ!.addRef()),
        () => q.resolve(atR!.addRef()),
        () => r.resolve(bHome!.addRef()),
      ];
      for (let move = 0; move < 40; move++) {
        const ends = (world.mesh.drain(), world.mesh.deliverable());
        const what = choose(4);
        if (what === 0) tell(atP!, next++);
        else if (what === 1 && steps.length > 0 && choose(3) === 0)
          steps.splice(choose(steps.length), 1)[0]!();
        else if (ends.length > 0) world.mesh.deliver(ends[choose(ends.length)]!);
      }
      for (const step of steps) step();
      tell(atP!, next++);
      world.mesh.settle((ends) => ends[choose(ends.length)]!);
      tell(atP!, next++);
      world.mesh.settle((ends) => ends[choose(ends.length)]!);
      expect(recorder.seen, `seed ${seed}`).toEqual(Array.from({ length: next }, (_, i) => i));
      embargoes += Number(world.count("a>b disembargo senderLoopback") > 1);
      for (const hook of [atP!, atR!, bQ!, bHome!, p, q, r]) hook.release();
      world.end();
    }
    expect(embargoes).toBeGreaterThan(10);
  });

  it("C-EMB-23: order holds round a loop of two connections", () => {
    let both = 0;
    for (let seed = 0; seed < 200; seed++) {
      const choose = chooser(seed);
      let promise: PromiseHook | null = null;
      const world: World = new World({
        a: {},
        b: { 1: (c) => c.returns(payload(0, c1.addRef())) },
        c: {
          1: (c) => {
            promise = new PromiseHook(world.vat("c").scheduler);
            c.returns(payload(0, promise.addRef()));
          },
          2: (c) => {
            promise!.resolve(c.params.caps[0]!.addRef());
            c.returns();
          },
        },
      });
      const c1 = world.bootstrap("b", "c");
      const recorder = new Recorder();
      const home = world.object("a", recorder);
      const results = call(world.bootstrap("a", "b"), 1, 0);
      const far = results.pipeline([0]);
      results.cancel();
      const made = call(far, 1, 0);
      const hook = made.pipeline([0]);
      made.cancel();
      let next = 0;
      let resolved = false;
      for (let move = 0; move < 60; move++) {
        const ends = (world.mesh.drain(), world.mesh.deliverable());
        const what = choose(4);
        if (what === 0) tell(hook, next++);
        else if (what === 1 && !resolved && promise !== null) {
          resolved = true;
          call(far, 2, 0, home.addRef()).cancel();
        } else if (ends.length > 0) world.mesh.deliver(ends[choose(ends.length)]!);
      }
      if (!resolved) call(far, 2, 0, home.addRef());
      world.mesh.settle((ends) => ends[choose(ends.length)]!);
      tell(hook, next++);
      world.mesh.settle((ends) => ends[choose(ends.length)]!);
      expect(recorder.seen, `seed ${seed}`).toEqual(Array.from({ length: next }, (_, i) => i));
      both += Number(
        world.count("a>b disembargo senderLoopback") > 0 &&
          world.count("b>c disembargo senderLoopback") > 0,
      );
      hook.release();
      far.release();
      promise!.release();
      world.end();
    }
    expect(both).toBeGreaterThan(10);
  });
});
