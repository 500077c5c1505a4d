// Section 10, C-CAN: callers who give up.

import { expect, it } from "vitest";
import { CallRequest, ONLY_PROMISE_PIPELINE } from "../../src/hook/hook.js";
import type { LocalCall } from "../../src/hook/local.js";
import { PromiseHook } from "../../src/hook/promise.js";
import { call, outcome, payload, Recorder, tell } from "../support/objects.js";
import { answer, hosted, promised, ServedPeer, yours } from "../support/raw-peer.js";
import { World } from "../support/world.js";

it("C-CAN-01: a call that nobody wants is finished, and its id held until the Return", () => {
  const peer = new ServedPeer();
  const cap = peer.remote(hosted(7));
  const results = call(cap, 0, 1);
  const piped = results.pipeline([0]);
  peer.drain();
  results.dropResponse();
  results.dropPipeline();
  expect(peer.drain()).toEqual([]);
  expect(peer.acts(() => piped.release())).toEqual(["finish 0 releaseResults"]);
  const next = tell(cap, 2);
  expect(peer.drain()).toEqual(["call 1 import 7 method=0 value=2"]);
  expect(peer.connection.stats().questions).toBe(2);
  peer.returnsTag(0, 2);
  peer.returns(1, { value: 2 });
  expect(next.value).toBe(2);
  peer.acts(() => cap.release());
  peer.ends();
});

it("C-CAN-01: the end of the connection frees the id as well", () => {
  const peer = new ServedPeer();
  const cap = peer.remote(hosted(7));
  const results = call(cap, 0, 1);
  peer.drain();
  results.cancel();
  peer.drain();
  peer.connection.disconnected(null);
  cap.release();
  peer.done();
});

it("C-CAN-02: a pipelined capability that is held keeps the call going", () => {
  const peer = new ServedPeer();
  const cap = peer.remote(hosted(7));
  const results = call(cap, 0, 1);
  const piped = results.pipeline([0]);
  results.cancel();
  expect(peer.drain()).toEqual(["call 0 import 7 method=0 value=1"]);
  const seen = tell(piped, 2);
  expect(peer.drain()).toEqual(["call 1 answer 0.0 method=0 value=2"]);
  expect(peer.returns(0, { caps: [hosted(8)] })).toEqual(["finish 0"]);
  peer.returns(1, { value: 2 });
  expect(seen.value).toBe(2);
  expect(peer.acts(() => piped.release())).toEqual(["release 8 x1"]);
  // In our own calls, a capability that the peer passed back.
  peer.call(1, 0, { method: 3 });
  const [held] = peer.give(answer(1, 0));
  expect(peer.finish(1)).toEqual([]);
  expect(peer.server.calls[0]!.canceled).toBe(false);
  expect(peer.acts(() => held!.release())).toEqual(["return 1 canceled"]);
  expect(peer.server.calls[0]!.canceled).toBe(true);
  peer.acts(() => cap.release());
  peer.ends();
});

it("C-CAN-03: a method is told of the Finish, its params are released and the call is canceled", () => {
  const peer = new ServedPeer();
  peer.call(1, 0, { method: 3, caps: [hosted(3)] });
  const running = peer.server.calls[0]!;
  let told = 0;
  running.onCancel = () => told++;
  const lines = peer.finish(1);
  expect([...lines].sort()).toEqual(["release 3 x1", "return 1 canceled"]);
  expect([told, running.canceled]).toEqual([1, true]);
  expect(peer.acts(() => running.returns(payload(5, running.self.addRef())))).toEqual([]);
  peer.ends();
});

it("C-CAN-04: a method that will not be canceled runs on, and is answered for when it is done, if ever", () => {
  const peer = new ServedPeer();
  for (const id of [1, 2]) {
    peer.call(id, 0, { method: 3, caps: [hosted(3)] });
    peer.server.calls.at(-1)!.cancelable = false;
    expect(peer.finish(id)).toEqual([]);
  }
  const [done, never] = peer.server.calls;
  expect([done!.canceled, never!.canceled]).toEqual([false, false]);
  expect(peer.acts(() => done!.returns(payload(5)))).toEqual(["return 1 canceled"]);
  expect(peer.connection.stats()).toMatchObject({ answers: 1, imports: 1 });
  // Its id stays taken for as long.
  const lines = peer.call(2, 0);
  expect(never!.canceled).toBe(false);
  peer.aborted(lines, "Call with question 2, which is open");
});

it("C-CAN-05: a call goes on for what is pipelined on it, and later calls on a canceled one fail", () => {
  const peer = new ServedPeer();
  peer.call(1, 0, { method: 3 });
  peer.call(2, answer(1, 0), { value: 5 });
  const running = peer.server.calls[0]!;
  // Call 2, not finished by its owner, holds the pipeline.
  expect(peer.finish(1)).toEqual([]);
  expect(running.canceled).toBe(false);
  expect(peer.acts(() => running.returns(payload(0, running.self.addRef())))).toEqual([
    "return 1 canceled",
    "return 2 results value=5 noFinish",
  ]);
  // Nobody holds it: it is canceled, and a call on it gets an exception, never `canceled`.
  peer.call(3, 0, { method: 3 });
  peer.call(4, answer(3, 0), { value: 6 });
  expect(peer.finish(4)).toEqual(["return 4 canceled"]);
  expect(peer.finish(3)).toEqual(["return 3 canceled"]);
  expect(peer.call(5, answer(3, 0), { value: 7 })[0]).toMatch(/^return 5 exception failed/);
  peer.finish(5);
  expect(peer.server.seen).toEqual([0, 5, 0]);
  peer.ends();
});

it("C-CAN-06: with the workaround a call has its turn before it is canceled, without it none", () => {
  const stubborn: LocalCall[] = [];
  const peer = new ServedPeer({
    methods: {
      5: (c) => {
        c.cancelable = false;
        stubborn.push(c);
      },
    },
  });
  peer.draining = false;
  peer.call(1, 0, { method: 5, value: 1 });
  peer.finish(1, true, true);
  peer.call(2, 0, { method: 3, value: 2 });
  peer.finish(2, true, true);
  peer.call(3, 0, { method: 5, value: 3 });
  peer.finish(3, true, false);
  peer.draining = true;
  const lines = peer.drain();
  expect(peer.server.seen).toEqual([1, 2]);
  expect([...lines].sort()).toEqual(["return 2 canceled", "return 3 canceled"]);
  expect(peer.acts(() => stubborn[0]!.returns(payload(1)))).toEqual(["return 1 canceled"]);
  peer.ends();
});

it("C-CAN-06: with the workaround a call has its turn, too, that waits for a promise or behind a stream call", () => {
  const running: LocalCall[] = [];
  const peer = new ServedPeer({
    methods: {
      1: (c) => {
        c.streaming();
        running.push(c);
      },
    },
  });
  // Its own first result is the object itself: calls on it wait for the return.
  peer.call(1, 0, { method: 3 });
  peer.call(2, answer(1, 0), { value: 2, method: 3 });
  peer.call(3, answer(1, 0), { value: 3, method: 3 });
  expect(peer.finish(2, true, true)).toEqual([]);
  expect(peer.finish(3, true, false)).toEqual(["return 3 canceled"]);
  const first = peer.server.calls[0]!;
  expect(
    [...peer.acts(() => first.returns(payload(0, first.self.addRef())))].filter((line) =>
      line.startsWith("return 2"),
    ),
  ).toEqual(["return 2 canceled"]);
  expect(peer.server.seen).toEqual([0, 2]);
  peer.finish(1);
  // Behind a stream call.
  peer.call(4, 0, { method: 1, value: 4 });
  peer.call(5, 0, { method: 3, value: 5 });
  peer.call(6, 0, { method: 3, value: 6 });
  expect(peer.finish(5, true, true)).toEqual([]);
  expect(peer.finish(6, true, false)).toEqual(["return 6 canceled"]);
  const lines = peer.acts(() => running[0]!.returns());
  expect(lines.filter((line) => line.startsWith("return 5"))).toEqual(["return 5 canceled"]);
  expect(peer.server.seen).toEqual([0, 2, 4, 5]);
  peer.ends();
});

it("C-CAN-07: no Finish of ours asks for the workaround, but those for what a lost peer had asked for", () => {
  const peer = new ServedPeer();
  const cap = peer.remote(hosted(7));
  const canceled = call(cap, 0, 1);
  const returned = outcome(call(cap, 0, 2));
  tell(cap, 3);
  const only = cap.call(new CallRequest(0, 1, 0, payload(4), ONLY_PROMISE_PIPELINE));
  peer.drain();
  canceled.cancel();
  only.cancel();
  peer.drain();
  peer.returns(1, { caps: [hosted(8)] });
  peer.fails(2, "no");
  peer.returnsTag(0, 2);
  returned.release();
  peer.acts(() => cap.release());
  const finishes = peer.said.filter((line) => line.startsWith("finish"));
  // Five: the Bootstrap that fetched `cap` is one.
  expect(finishes).toHaveLength(5);
  expect(finishes.filter((line) => line.includes("workaround"))).toEqual([]);
  peer.ends();

  // What `b` has passed on for `a` may have calls behind it that are not of `a`.
  const world = new World({
    a: {},
    b: { 1: (c) => c.returns(payload(0, far.addRef())) },
    c: { 1: () => {} },
  });
  const far = world.bootstrap("b", "c");
  world.settle();
  const b = world.bootstrap("a", "b");
  const proxied = outcome(call(b, 1, 0));
  world.settle();
  const passedOn = outcome(call(proxied.caps[0]!, 1, 5));
  world.settle();
  const said = world.log.length;
  world.vat("b").to("a").close();
  world.settle();
  expect(passedOn.error).toMatchObject({ type: "disconnected" });
  expect(world.log.slice(said).filter((line) => line.startsWith("b>c finish"))).toEqual([
    expect.stringContaining("workaround"),
  ]);
  proxied.release();
  passedOn.release();
  world.end();
});

it("C-CAN-08: a canceled call gives its params back, though its method never ran", () => {
  const peer = new ServedPeer();
  const promise = new PromiseHook(peer.scheduler);
  const cap = peer.remote(hosted(7));
  expect(peer.get(cap, promise)).toBe("senderPromise 1");
  // It waits for a promise, so no method has seen it.
  peer.call(1, 1, { caps: [hosted(3), promised(4), yours(0)] });
  expect([...peer.finish(1)].sort()).toEqual(["release 3 x1", "release 4 x1", "return 1 canceled"]);
  // Before its turn.
  peer.draining = false;
  peer.call(2, 0, { method: 3, caps: [hosted(3)] });
  peer.finish(2);
  peer.draining = true;
  expect([...peer.drain()].sort()).toEqual(["release 3 x1", "return 2 canceled"]);
  expect(peer.server.seen).toEqual([]);
  peer.release(1);
  promise.release();
  peer.acts(() => cap.release());
  peer.ends();
});

it("C-CAN-09: a call canceled while it waits here is not made, and leaves nothing behind", () => {
  const peer = new ServedPeer();
  const cap = peer.remote(hosted(7));
  const object = peer.object(new Recorder());
  const promise = new PromiseHook(peer.scheduler);
  const waiting = call(promise, 0, 1, object.addRef());
  const kept = tell(promise, 2);
  peer.acts(() => waiting.cancel());
  expect(object.refCount).toBe(1);
  promise.resolve(cap.addRef());
  expect(peer.drain()).toEqual(["call 0 import 7 method=0 value=2"]);
  peer.returns(0, { value: 2 });
  expect(kept.value).toBe(2);
  // Behind an embargo.
  const [hook] = peer.give(promised(3));
  tell(hook!, 3);
  peer.drain();
  peer.resolve(3, yours(0));
  const behind = call(hook!, 0, 4, object.addRef());
  peer.acts(() => behind.cancel());
  expect(object.refCount).toBe(1);
  peer.disembargo(0, 1, 0);
  expect(peer.server.seen).not.toContain(4);
  peer.returns(0);
  hook!.release();
  promise.release();
  peer.acts(() => cap.release());
  peer.ends();
});

it("C-CAN-10: a Return that crosses with the Finish is let pass", () => {
  const world = new World({
    a: {},
    b: { 1: (c) => c.returns(payload(5, c.self.addRef(), c.self.addRef())) },
  });
  const b = world.bootstrap("a", "b");
  world.settle();
  const results = call(b, 1, 0);
  expect(world.step("a", "b")).toMatch(/^a>b call/);
  results.cancel();
  world.mesh.drain();
  expect(world.step("b", "a")).toMatch(/^b>a return 0 results/);
  expect(world.step("a", "b")).toBe("a>b finish 0 releaseResults");
  expect(world.vat("a").to("b").stats()).toMatchObject({ questions: 0, imports: 1 });
  world.end();
});

it("C-CAN-11: canceling a call that is passed on cancels it where it went, wherever it is by then", () => {
  for (const when of ["running", "on its way"]) {
    const world = new World({
      a: {},
      b: { 1: (c) => c.returns(payload(0, far.addRef())) },
      c: { 2: () => {} },
    });
    const far = world.bootstrap("b", "c");
    const proxied = outcome(call(world.bootstrap("a", "b"), 1, 0));
    world.settle();
    const results = call(proxied.caps[0]!, 2, 0, world.object("a", new Recorder()).addRef());
    const queued = new PromiseHook(world.vat("a").scheduler);
    const through = call(queued, 2, 1);
    queued.resolve(proxied.caps[0]!.addRef());
    if (when === "running") world.settle();
    results.cancel();
    through.cancel();
    world.settle();
    if (when === "running") {
      expect(world.servers["c"]!.calls.map((c) => c.canceled)).toEqual([true, true]);
      expect(world.log.filter((line) => line.startsWith("b>c finish"))).toHaveLength(3);
    }
    expect(world.vat("b").to("c").stats().questions).toBe(0);
    queued.release();
    proxied.release();
    world.end();
  }
});

it("C-CAN-12: a stream call is not canceled, neither by its caller nor by who drops the object", () => {
  const streams: LocalCall[] = [];
  const peer = new ServedPeer();
  const cap = peer.remote(hosted(7));
  const sink = new Recorder({
    1: (c) => {
      c.streaming();
      streams.push(c);
    },
  });
  expect(peer.get(cap, peer.object(sink))).toBe("senderHosted 1");
  peer.call(1, 1, { method: 1, value: 1 });
  peer.call(2, 1, { method: 1, value: 2 });
  peer.finish(1);
  peer.release(1);
  expect(streams[0]!.canceled).toBe(false);
  expect(peer.acts(() => streams[0]!.returns())).toEqual(["return 1 canceled"]);
  expect(sink.seen).toEqual([1, 2]);
  expect(peer.acts(() => streams[1]!.returns())).toEqual(["return 2 results noFinish"]);
  peer.acts(() => cap.release());
  peer.ends();
});

it("C-CAN-13: what a method throws when it is told concerns nobody", () => {
  const peer = new ServedPeer();
  peer.call(1, 0, { method: 3 });
  peer.call(2, 0, { method: 3 });
  peer.server.calls[0]!.onCancel = () => {
    throw new Error("cleaning up went wrong");
  };
  expect(peer.finish(1)).toEqual(["return 1 canceled"]);
  expect(peer.finish(2)).toEqual(["return 2 canceled"]);
  expect(peer.over).toBe(null);
  peer.ends();
});

it("C-CAN-14: canceling twice, from within, and at any moment comes to the same", () => {
  const peer = new ServedPeer({
    methods: {
      // Canceled by its own method, as an aborting caller in the same vat may do.
      5: (c) => {
        c.cancel();
        c.cancel();
        c.returns(payload(1));
      },
    },
  });
  const cap = peer.remote(hosted(7));
  const results = call(cap, 0, 1);
  const piped = results.pipeline([0]);
  let settled = 0;
  results.observe({
    immediate: false,
    resultsSettled(r) {
      settled++;
      r.cancel();
      piped.release();
      r.cancel();
    },
  });
  peer.drain();
  expect(peer.returns(0, { caps: [hosted(8)] })).toEqual(["finish 0", "release 8 x1"]);
  expect(settled).toBe(1);
  const again = call(cap, 0, 2);
  peer.drain();
  again.cancel();
  again.cancel();
  again.dropResponse();
  expect(peer.drain()).toEqual(["finish 0 releaseResults"]);
  peer.returnsTag(0, 2);
  again.cancel();
  expect(peer.drain()).toEqual([]);
  // The callee's side: from inside the dispatch, and from inside the notice.
  expect(peer.call(1, 0, { method: 5 })).toHaveLength(1);
  peer.finish(1);
  peer.call(2, 0, { method: 3 });
  const running = peer.server.calls.at(-1)!;
  let told = 0;
  running.onCancel = () => {
    told++;
    running.cancel();
    running.returns(payload(9));
  };
  expect(peer.finish(2)).toEqual(["return 2 canceled"]);
  peer.finish(2);
  expect(told).toBe(1);
  peer.acts(() => cap.release());
  peer.ends();
});
