// Section 7, C-RES: promises that cross the wire, and what they turn out to be.

import { describe, expect, it } from "vitest";
import { RpcError } from "../../src/base/errors.js";
import { CallRequest, type Hook } from "../../src/hook/hook.js";
import { PromiseHook } from "../../src/hook/promise.js";
import { brokenHook, nullHook } from "../../src/hook/results.js";
import {
  call,
  content,
  type Method,
  outcome,
  payload,
  Recorder,
  tell,
} from "../support/objects.js";
import { answer, hosted, none, promised, ServedPeer, yours } from "../support/raw-peer.js";
import { World } from "../support/world.js";

/** A peer with an object of its own, 7, and a promise and an object of ours. */
function meeting() {
  const peer = new ServedPeer();
  const cap = peer.remote(hosted(7));
  const promise = new PromiseHook(peer.scheduler);
  const recorder = new Recorder();
  const object = peer.object(recorder);
  return {
    peer,
    cap,
    promise,
    recorder,
    object,
    ends: () => {
      promise.release();
      cap.release();
      peer.drain();
      peer.ends();
    },
  };
}

const broken = (peer: ServedPeer, message = "broken") =>
  brokenHook(new RpcError("failed", "method-failed", message), peer.scheduler);

describe("a promise of ours", () => {
  it("C-RES-01: is followed by one Resolve, and by none when it was released first", () => {
    const { peer, cap, promise, object, ends } = meeting();
    expect(peer.get(cap, promise)).toBe("senderPromise 1");
    expect(peer.acts(() => promise.resolve(object.addRef()))).toEqual(["resolve 1 senderHosted 2"]);
    expect(peer.drain()).toEqual([]);
    peer.release(1);
    peer.release(2);
    const other = new PromiseHook(peer.scheduler);
    expect(peer.get(cap, other)).toMatch(/^senderPromise/);
    peer.release(2);
    expect(peer.acts(() => other.resolve(object.addRef()))).toEqual([]);
    other.release();
    ends();
  });

  it("C-RES-02: is sent again under the same id, counts once more, and resolves once", () => {
    const { peer, cap, promise, object, ends } = meeting();
    expect(peer.get(cap, promise, promise)).toBe("senderPromise 1, senderPromise 1");
    expect(peer.get(cap, promise)).toBe("senderPromise 1");
    expect(peer.acts(() => promise.resolve(object.addRef()))).toEqual(["resolve 1 senderHosted 2"]);
    peer.release(1, 3);
    peer.release(2);
    ends();
  });

  it("C-RES-03: is not sent any more once it has resolved: its resolution is", () => {
    const { peer, cap, promise, object, ends } = meeting();
    peer.get(cap, promise);
    peer.acts(() => promise.resolve(object.addRef()));
    expect(peer.get(cap, promise)).toBe("senderHosted 2");
    peer.release(1);
    peer.release(2, 2);
    ends();
  });

  it("C-RES-05: leaks nothing when its Release and its Resolve cross", () => {
    const { peer, cap, promise, object, ends } = meeting();
    peer.get(cap, promise);
    peer.draining = false;
    promise.resolve(object.addRef());
    peer.release(1);
    peer.draining = true;
    expect(peer.drain()).toEqual([]);
    const other = new PromiseHook(peer.scheduler);
    peer.get(cap, other);
    expect(peer.acts(() => other.resolve(object.addRef()))).toEqual(["resolve 1 senderHosted 2"]);
    peer.release(1);
    peer.release(2);
    expect(peer.connection.stats().exports).toBe(1);
    other.release();
    ends();
  });

  it("C-RES-06: that is released before it resolves is not watched any longer", () => {
    const { peer, cap, promise, ends } = meeting();
    peer.get(cap, promise);
    expect(promise.refCount).toBe(2);
    peer.release(1);
    expect(promise.refCount).toBe(1);
    expect(peer.acts(() => promise.reject(new RpcError("failed", "method-failed", "no")))).toEqual(
      [],
    );
    ends();
  });

  it("C-RES-08: resolved to null is announced as broken", () => {
    const { peer, cap, promise, ends } = meeting();
    peer.get(cap, promise);
    expect(peer.acts(() => promise.resolve(nullHook(peer.scheduler)))[0]).toMatch(
      /^resolve 1 failed "called a null capability/,
    );
    peer.release(1);
    ends();
  });

  it("C-RES-11: resolved to itself breaks", () => {
    const { peer, cap, promise, ends } = meeting();
    const second = new PromiseHook(peer.scheduler);
    peer.get(cap, promise);
    promise.resolve(second.addRef());
    expect(peer.acts(() => second.resolve(promise.addRef()))).toEqual([
      'resolve 1 failed "the promise was resolved to itself"',
    ]);
    peer.release(1);
    second.release();
    ends();
  });

  it("C-RES-15: is described as what it is known to be by then", () => {
    const { peer, cap, promise, object, ends } = meeting();
    const second = new PromiseHook(peer.scheduler);
    promise.resolve(second.addRef());
    second.resolve(object.addRef());
    expect(peer.get(cap, promise)).toBe("senderHosted 1");
    const third = new PromiseHook(peer.scheduler);
    third.resolve(cap.addRef());
    expect(peer.get(cap, third)).toBe("receiverHosted 7");
    peer.release(1);
    second.release();
    third.release();
    ends();
  });

  it("C-RES-16: that resolves to another promise of ours waits for that one", () => {
    const { peer, cap, promise, object, ends } = meeting();
    const second = new PromiseHook(peer.scheduler);
    peer.get(cap, promise);
    expect(peer.acts(() => promise.resolve(second.addRef()))).toEqual([]);
    // Both are one promise now, under one id.
    expect(peer.get(cap, second)).toBe("senderPromise 1");
    expect(peer.acts(() => second.resolve(object.addRef()))).toEqual(["resolve 1 senderHosted 2"]);
    peer.release(1, 2);
    peer.release(2);
    second.release();
    ends();
  });

  it("C-RES-18: leads where its Resolve said for good, whatever that becomes", () => {
    const { peer, cap, promise, object, recorder, ends } = meeting();
    const [theirs] = peer.give(promised(3));
    peer.get(cap, promise);
    expect(peer.acts(() => promise.resolve(theirs!.addRef()))).toEqual([
      "resolve 1 receiverHosted 3",
    ]);
    expect(peer.get(cap, object)).toBe("senderHosted 2");
    expect(peer.resolve(3, yours(2))).toEqual(["disembargo senderLoopback 0 import 3"]);
    expect(peer.call(1, 1, { value: 5 })).toEqual(["call 0 import 3 method=0 value=5"]);
    expect(recorder.seen).toEqual([]);
    peer.returns(0, { value: 6 });
    // The peer's own Disembargo follows the same way.
    expect(peer.disembargo(1, 0, 44)).toEqual(["disembargo receiverLoopback 44 import 3"]);
    peer.disembargo(2, 1, 0);
    theirs!.release();
    peer.release(2);
    expect(peer.release(1)).toEqual(["release 3 x1"]);
    expect(peer.said).toContain("return 1 results value=6 noFinish");
    ends();
  });

  it("C-RES-24: that is broken goes out as a promise, and its Resolve follows the message", () => {
    const peer = new ServedPeer({
      methods: { 5: (c) => c.returns(payload(0, broken(peer, "two"))) },
    });
    const cap = peer.remote(hosted(7));
    const given = tell(cap, 1, broken(peer, "one"));
    expect(peer.drain()).toEqual([
      "call 0 import 7 method=0 value=1 caps=[senderPromise 1]",
      'resolve 1 failed "one"',
    ]);
    expect(peer.call(1, 0, { method: 5 })).toEqual([
      "return 1 results caps=[senderPromise 2]",
      'resolve 2 failed "two"',
    ]);
    peer.returns(0, { releaseParams: true });
    expect(given.settled).toBe(true);
    peer.finish(1);
    peer.acts(() => cap.release());
    peer.ends();
  });

  it("C-RES-25: that is null takes no reference and is null to the peer", () => {
    const peer = new ServedPeer({
      methods: { 5: (c) => c.returns(payload(0, nullHook(peer.scheduler))) },
    });
    const cap = peer.remote(hosted(7));
    const promise = new PromiseHook(peer.scheduler);
    promise.resolve(nullHook(peer.scheduler));
    expect(peer.get(cap, nullHook(peer.scheduler), promise)).toBe("none, none");
    expect(peer.call(1, 0, { method: 5 })).toEqual(["return 1 results caps=[none]"]);
    expect(peer.connection.stats().exports).toBe(1);
    peer.finish(1);
    promise.release();
    peer.acts(() => cap.release());
    peer.ends();
  });
});

describe("a promise of theirs", () => {
  it("C-RES-02: may be called hosted the second time, and is still the promise", () => {
    const { peer, ends } = meeting();
    const [first] = peer.give(promised(3));
    const [second] = peer.give(hosted(3));
    expect(second).toBe(first);
    expect(peer.resolve(3, hosted(4))).toEqual(["release 3 x2"]);
    tell(second!, 5);
    expect(peer.drain()).toEqual(["call 0 import 4 method=0 value=5"]);
    peer.returns(0);
    for (const hook of [first, second]) hook!.release();
    expect(peer.drain()).toEqual(["release 4 x1"]);
    ends();
  });

  it("C-RES-04: resolved after we released it has its replacement released", () => {
    const { peer, ends } = meeting();
    const [hook] = peer.give(promised(3));
    expect(peer.acts(() => hook!.release())).toEqual(["release 3 x1"]);
    expect(peer.resolve(3, hosted(4))).toEqual(["release 4 x1"]);
    expect(peer.resolve(3, yours(0))).toEqual([]);
    expect(peer.breaks(3, "no")).toEqual([]);
    ends();
  });

  it("C-RES-05: resolved before we released it leaves only the replacement to release", () => {
    const { peer, ends } = meeting();
    const [hook] = peer.give(promised(3));
    expect(peer.resolve(3, hosted(4))).toEqual(["release 3 x1"]);
    expect(peer.acts(() => hook!.release())).toEqual(["release 4 x1"]);
    ends();
  });

  it("C-RES-07: resolved to an exception fails every call, without a Disembargo", () => {
    const { peer, ends } = meeting();
    const [hook] = peer.give(promised(3));
    const early = tell(hook!, 1);
    peer.drain();
    expect(peer.breaks(3, new RpcError("overloaded", "remote-exception", "gone"))).toEqual([
      "release 3 x1",
    ]);
    const late = tell(hook!, 2);
    expect(peer.drain()).toEqual([]);
    expect(late.error).toMatchObject({ type: "overloaded", message: "gone" });
    peer.fails(0, "gone");
    expect(early.error?.message).toBe("gone");
    hook!.release();
    ends();
  });

  it("C-RES-08: resolved to no capability at all aborts", () => {
    const { peer, cap, promise } = meeting();
    const [hook] = peer.give(promised(3));
    hook!.addRef();
    const lines = peer.resolve(3, none);
    for (const one of [hook!, hook!, cap, promise]) one.release();
    peer.aborted(lines, "Resolve of promise 3 to no capability at all");
  });

  it("C-RES-09: a Resolve for what was no promise aborts", () => {
    const { peer, cap, promise } = meeting();
    const [hook] = peer.give(hosted(3));
    const lines = peer.resolve(3, yours(0));
    for (const one of [hook!, cap, promise]) one.release();
    peer.aborted(lines, "Resolve for import 3, but it is no promise");
  });

  it("C-RES-10: a second Resolve aborts, and what it brought is released", () => {
    const { peer, cap, promise, object } = meeting();
    peer.get(cap, object);
    const [hook] = peer.give(promised(3));
    // The peer is told that its promise is the result: the way to it stays, so the first Resolve does not end the import.
    expect(peer.call(1, 0, { method: 4, caps: [promised(3)] })).toEqual([
      "return 1 results caps=[receiverHosted 3]",
    ]);
    peer.resolve(3, hosted(4));
    const lines = peer.resolve(3, yours(1));
    for (const one of [hook!, cap, promise]) one.release();
    peer.aborted(lines, "Resolve for import 3, but it resolved before");
  });

  it("C-RES-11: resolved to itself aborts", () => {
    const { peer, cap, promise } = meeting();
    const [hook] = peer.give(promised(3));
    const lines = peer.resolve(3, promised(3));
    for (const one of [hook!, cap, promise]) one.release();
    peer.aborted(lines, "Resolve of promise 3 to itself");
  });

  it("C-RES-14: resolved to a promise that has resolved before still leads on", () => {
    const { peer, ends } = meeting();
    const [first, second] = peer.give(promised(3), promised(5));
    peer.call(1, 0, { method: 4, caps: [promised(3)] });
    peer.resolve(3, hosted(4));
    expect(peer.resolve(5, promised(3))).toEqual(["release 5 x1"]);
    tell(second!, 6);
    // Import 3 is still there, and the peer knows where it leads.
    expect(peer.drain()).toEqual(["call 0 import 3 method=0 value=6"]);
    peer.returns(0);
    for (const hook of [first, second]) hook!.release();
    expect(peer.drain()).toEqual(["release 4 x1"]);
    expect(peer.finish(1)).toEqual(["release 3 x3"]);
    ends();
  });

  it.each(["receiverHosted", "receiverAnswer"])(
    "C-RES-20: resolved to %s is embargoed if it was called before",
    (kind) => {
      const { peer, cap, object, recorder, ends } = meeting();
      peer.get(cap, object);
      peer.call(1, 0, { method: 4, caps: [yours(1)] });
      const home = kind === "receiverHosted" ? yours(1) : answer(1, 0);
      const [used, unused] = peer.give(promised(3), promised(4));
      tell(used!, 1);
      peer.drain();
      expect(peer.resolve(3, home)).toEqual([
        "disembargo senderLoopback 0 import 3",
        "release 3 x1",
      ]);
      expect(peer.resolve(4, home)).toEqual(["release 4 x1"]);
      tell(used!, 2);
      tell(unused!, 3);
      expect(peer.drain()).toEqual([]);
      expect(recorder.seen).toEqual([3]);
      // Call 1 comes back reflected, then the Disembargo.
      peer.call(2, 1, { value: 1 });
      peer.disembargo(1, 1, 0);
      expect(recorder.seen).toEqual([3, 1, 2]);
      peer.returns(0);
      for (const hook of [used, unused]) hook!.release();
      peer.finish(1);
      peer.release(1);
      ends();
    },
  );

  it("C-RES-21: resolved to something of its own host needs no embargo, but remembers that it was called", () => {
    const { peer, cap, object, recorder, ends } = meeting();
    peer.get(cap, object);
    const [hook] = peer.give(promised(3));
    tell(hook!, 1);
    peer.drain();
    expect(peer.resolve(3, promised(4))).toEqual(["release 3 x1"]);
    expect(peer.resolve(4, yours(1))).toEqual([
      "disembargo senderLoopback 0 import 4",
      "release 4 x1",
    ]);
    tell(hook!, 2);
    peer.call(1, 1, { value: 1 });
    peer.disembargo(1, 1, 0);
    expect(recorder.seen).toEqual([1, 2]);
    peer.returns(0);
    hook!.release();
    peer.release(1);
    ends();
  });

  it("C-RES-22: is known to be resolved only once its embargo is lifted", () => {
    const { peer, cap, object, ends } = meeting();
    peer.get(cap, object);
    const [hook] = peer.give(promised(3));
    tell(hook!, 1);
    peer.drain();
    const resolved: Hook[] = [];
    const follow = () => {
      const end = hook!.resolved();
      if (end.isPromise) end.watch({ hookResolved: follow });
      else resolved.push(end);
    };
    follow();
    peer.resolve(3, yours(1));
    expect([hook!.isPromise, resolved]).toEqual([true, []]);
    peer.call(1, 1, { value: 1 });
    peer.disembargo(1, 1, 0);
    expect([hook!.isPromise, resolved]).toEqual([false, [object]]);
    peer.returns(0);
    hook!.release();
    peer.release(1);
    ends();
  });

  it("C-RES-23: a request built before the resolution goes by what is known when it is sent, and in its turn", () => {
    const { peer, cap, object, recorder, ends } = meeting();
    peer.get(cap, object);
    const [hook] = peer.give(promised(3));
    const built = new CallRequest(0, 1, 0, payload(2));
    tell(hook!, 1);
    peer.drain();
    peer.resolve(3, yours(1));
    const seen = outcome(hook!.call(built));
    expect(peer.drain()).toEqual([]);
    peer.call(1, 1, { value: 1 });
    peer.disembargo(1, 1, 0);
    expect(recorder.seen).toEqual([1, 2]);
    expect(seen.value).toBe(2);
    peer.returns(0);
    hook!.release();
    peer.release(1);
    ends();
  });

  it("C-RES-26: lives on while somebody waits for its resolution, though nobody holds it", () => {
    const { peer, ends } = meeting();
    const [hook] = peer.give(promised(3));
    let told = 0;
    const watcher = { hookResolved: () => told++ };
    hook!.watch(watcher);
    expect(peer.acts(() => hook!.release())).toEqual([]);
    expect(peer.resolve(3, hosted(4))).toEqual(["release 3 x1", "release 4 x1"]);
    expect(told).toBe(1);
    // Who gives up waiting lets go of it.
    const [other] = peer.give(promised(3));
    other!.watch(watcher);
    other!.release();
    expect(peer.acts(() => other!.unwatch(watcher))).toEqual(["release 3 x1"]);
    expect(told).toBe(1);
    ends();
  });
});

describe("chains and circles", () => {
  it("C-RES-17: in a chain of exported promises each resolves once, and calls arrive once and in order", () => {
    const world = new World({
      a: {},
      b: { 1: (c, value) => c.returns(payload(0, chain[value]!.addRef())) },
    });
    const { scheduler } = world.vat("b");
    const chain = [0, 1, 2].map(() => new PromiseHook(scheduler));
    const recorder = new Recorder();
    const end = world.object("b", recorder);
    const b = world.bootstrap("a", "b");
    const seen = [0, 1, 2].map((i) => outcome(call(b, 1, i)));
    world.settle();
    let next = 0;
    const say = () => {
      for (const one of seen) tell(one.caps[0]!, next++);
    };
    say();
    chain[0]!.resolve(chain[1]!.addRef());
    say();
    world.step("a", "b");
    chain[1]!.resolve(chain[2]!.addRef());
    world.mesh.drain();
    say();
    world.step("a", "b");
    chain[2]!.resolve(end.addRef());
    world.mesh.drain();
    say();
    world.settle();
    say();
    world.settle();
    expect(world.count("> resolve") + world.count("b>a resolve")).toBe(3);
    expect(recorder.seen).toHaveLength(15);
    for (const i of [0, 1, 2]) {
      const mine = recorder.seen.filter((value) => value % 3 === i);
      expect(mine).toEqual([...mine].sort((x, y) => x - y));
      expect(mine).toHaveLength(5);
    }
    expect(new Set(seen.map((one) => one.caps[0]!.resolved())).size).toBe(1);
    for (const one of seen) one.release();
    for (const promise of chain) promise.release();
    world.end();
  });

  it("C-RES-19: calls pipelined on an answer go where its Return said for good, whatever that becomes", () => {
    const { peer, cap, object, recorder, ends } = meeting();
    peer.get(cap, object);
    const [theirs] = peer.give(promised(3));
    expect(peer.call(1, 0, { method: 4, caps: [promised(3)] })).toEqual([
      "return 1 results caps=[receiverHosted 3]",
    ]);
    peer.resolve(3, yours(1));
    expect(peer.call(2, answer(1, 0), { value: 5 })).toEqual(["call 0 import 3 method=0 value=5"]);
    expect(recorder.seen).toEqual([]);
    peer.returns(0);
    theirs!.release();
    peer.disembargo(1, 1, 0);
    expect(peer.finish(1)).toEqual(["release 3 x2"]);
    peer.release(1);
    ends();
  });

  it("C-RES-12: a promise of ours and one of theirs that are each other break, and nothing goes round for ever", () => {
    const { peer, cap, promise, ends } = meeting();
    const [theirs] = peer.give(promised(3));
    peer.get(cap, promise);
    const early = tell(theirs!, 1);
    expect(peer.drain()).toEqual(["call 0 import 3 method=0 value=1"]);
    expect(peer.acts(() => promise.resolve(theirs!.addRef()))).toEqual([
      "resolve 1 receiverHosted 3",
    ]);
    // Given back at once, though held: the two vats would hold each other for ever.
    expect(peer.resolve(3, yours(1))).toEqual(["release 3 x1"]);
    expect(theirs!.brokenBy?.code).toBe("promise-cycle");
    // Its own Disembargo, should it send one, is answered; our call, which it sends round as it must, ends here.
    expect(peer.disembargo(1, 0, 44)).toEqual(["disembargo receiverLoopback 44 import 3"]);
    expect(peer.call(1, 1, { value: 1 })).toEqual([
      'return 1 exception failed "the promise was resolved to itself"',
    ]);
    peer.fails(0, "circle");
    expect(early.error?.message).toBe("circle");
    peer.finish(1);
    theirs!.release();
    expect(peer.release(1)).toEqual([]);
    ends();
  });

  it("C-RES-12: a promise that is in the answer to a call, whose result is that promise, breaks", () => {
    const { peer, cap, promise, ends } = meeting();
    const results = call(cap, 0, 0, promise.addRef());
    const piped = results.pipeline([0]);
    expect(peer.drain()).toEqual(["call 0 import 7 method=0 caps=[senderPromise 1]"]);
    expect(peer.acts(() => promise.resolve(piped.addRef()))).toEqual([
      "resolve 1 receiverAnswer 0.0",
    ]);
    const seen = outcome(results);
    expect(peer.returns(0, { caps: [yours(1)] })).toEqual(["finish 0"]);
    expect(piped.brokenBy?.code).toBe("promise-cycle");
    expect(tell(seen.caps[0]!, 1).settled).toBe(false);
    peer.drain();
    seen.release();
    piped.release();
    expect(peer.release(1)).toEqual([]);
    ends();
  });

  it("C-RES-12: in two vats the race ends whichever message comes first", () => {
    const keep =
      (kept: Hook[]): Method =>
      (c) => {
        kept.push(c.params.caps[0]!.addRef());
        c.returns();
      };
    for (let order = 0; order < 64; order++) {
      const atA: Hook[] = [];
      const atB: Hook[] = [];
      const world = new World({ a: { 1: keep(atA) }, b: { 1: keep(atB) } });
      const ofA = new PromiseHook(world.vat("a").scheduler);
      const ofB = new PromiseHook(world.vat("b").scheduler);
      call(world.bootstrap("a", "b"), 1, 0, ofA.addRef()).cancel();
      call(world.bootstrap("b", "a"), 1, 0, ofB.addRef()).cancel();
      world.settle();
      const early = [tell(atA[0]!, 1), tell(atB[0]!, 2)];
      if (order & 1) world.settle();
      ofA.resolve(atA[0]!.addRef());
      if (order & 2) world.step("a", "b");
      ofB.resolve(atB[0]!.addRef());
      const late = [tell(atA[0]!, 3), tell(atB[0]!, 4)];
      let bits = order >> 2;
      world.mesh.settle(
        (ends) => ends[(bits = (bits >> 1) | ((bits & 1) << 3)) & 1 && ends.length > 1 ? 1 : 0]!,
        1000,
      );
      for (const one of [...early, ...late])
        expect(one.error?.code ?? one.error?.message).toBeDefined();
      for (const hook of [atA[0]!, atB[0]!, ofA, ofB]) hook.release();
      world.end();
    }
  });

  it("C-RES-13: a circle through one field of a result leaves the other fields whole", () => {
    const { peer, cap, promise, ends } = meeting();
    const results = call(cap, 0, 0, promise.addRef());
    const round = results.pipeline([0]);
    const whole = results.pipeline([1]);
    peer.drain();
    expect(peer.acts(() => promise.resolve(round.addRef()))).toEqual([
      "resolve 1 receiverAnswer 0.0",
    ]);
    results.cancel();
    expect(peer.returns(0, { caps: [yours(1), hosted(4)], content: content(0, 2) })).toEqual([
      "finish 0",
    ]);
    expect(round.brokenBy?.code).toBe("promise-cycle");
    tell(whole, 5);
    expect(peer.drain()).toEqual(["call 0 import 4 method=0 value=5"]);
    peer.returns(0);
    round.release();
    whole.release();
    expect(peer.drain()).toEqual(["release 4 x1"]);
    expect(peer.release(1)).toEqual([]);
    ends();
  });
});
