// Section 11, C-TAI: calls that lead straight back to the peer, and results that stay where they are.

import { expect, it } from "vitest";
import { RpcError } from "../../src/base/errors.js";
import type { Hook } from "../../src/hook/hook.js";
import type { LocalCall } from "../../src/hook/local.js";
import { Mesh } from "../../src/vat/mesh.js";
import { call, outcome, payload, Recorder, request, tell } from "../support/objects.js";
import { answer, hosted, RawPeer } from "../support/raw-peer.js";

const boom = new RpcError("overloaded", "method-failed", "boom");

/** Method 1 tail calls method 7 of the capability it was given. */
const forward = (c: LocalCall, value: number): void => {
  const [target] = c.params.caps as Hook[];
  c.tailCall(target!, request(7, value));
};

/** A peer that has shown that it knows tail calls, by sending one and finishing it. */
function proven(methods: Record<number, (c: LocalCall, value: number) => void> = {}): RawPeer {
  const peer = new RawPeer({ methods: { 1: forward, ...methods } });
  peer.bootstrap(0);
  expect(peer.call(90, 0, { to: 1 })).toEqual(["return 90 resultsSentElsewhere"]);
  expect(peer.finish(90)).toEqual([]);
  peer.finish(0, false);
  return peer;
}

/** The peer gives back the bootstrap capability that it has kept since `proven`. */
function end(peer: RawPeer): void {
  peer.release(0);
  peer.done();
}

it("C-TAI-01: a tail call to the caller's own object is answered at once by takeFromOtherQuestion", () => {
  const peer = proven();
  expect(peer.call(1, 0, { method: 1, caps: [hosted(3)] })).toEqual([
    "call 0 import 3 method=7 toYourself",
    "return 1 takeFromOtherQuestion 0",
    "release 3 x1",
  ]);
  expect(peer.returnsTag(0, 3)).toEqual([]);
  expect(peer.finish(1)).toEqual(["finish 0"]);
  end(peer);
});

it("C-TAI-12: a tail call to the caller's own object leaves the pipeline as it was set before", () => {
  const early = new Recorder();
  const peer = proven({
    2: (c) => {
      c.setPipeline(payload(0, early.hook(c.scheduler)));
      forward(c, 0);
    },
  });
  // The results have to come by here: who took them elsewhere would not know of that pipeline.
  expect(peer.call(1, 0, { method: 2, caps: [hosted(3)] })).toEqual([
    "call 0 import 3 method=7",
    "release 3 x1",
  ]);
  expect(peer.call(2, answer(1, 0), { value: 1 })).toEqual(["return 2 results value=1 noFinish"]);
  peer.returns(0, { value: 5, caps: [hosted(4)] });
  expect(peer.call(4, answer(1, 0), { value: 2 })).toEqual(["return 4 results value=2 noFinish"]);
  expect(early.seen).toEqual([1, 2]);
  peer.finish(1);
  expect(early.droppedTimes).toBe(1);
  end(peer);
});

it("C-TAI-02: a redirected call runs, keeps its results, and says only that it is done", () => {
  const server = new Recorder();
  const peer = new RawPeer({
    methods: { 1: (c) => c.fails(boom), 2: (c) => c.returns(payload(9, server.hook(c.scheduler))) },
  });
  peer.bootstrap(0);
  expect(peer.call(1, answer(0), { method: 1, to: 1 })).toEqual(["return 1 resultsSentElsewhere"]);
  expect(peer.call(2, answer(0), { method: 2, to: 1 })).toEqual(["return 2 resultsSentElsewhere"]);
  expect(peer.connection.stats().heldResultBytes).toBeGreaterThan(0);
  expect(peer.call(3, answer(2, 0), { value: 8 })).toEqual(["return 3 results value=8 noFinish"]);
  expect(peer.call(4, answer(1, 0))).toEqual(['return 4 exception overloaded "boom"']);
  expect(server.seen).toEqual([8]);
  for (const id of [0, 1, 2, 4]) expect(peer.finish(id)).toEqual([]);
  expect(server.droppedTimes).toBe(1);
  peer.done();
});

/** A question 0 of ours, about which the peer will say that its results are those of its own question 5. */
function adopting(method: (c: LocalCall, value: number) => void) {
  const peer = new RawPeer({ methods: { 1: method } });
  peer.bootstrap(0);
  let import7!: Hook;
  const keeper = new Recorder({ 0: (c) => ((import7 = c.params.caps[0]!.addRef()), c.returns()) });
  const keeperPeer = peer; // the peer hands us its object 7 in a call on our bootstrap object
  Object.assign(keeperPeer.server, {
    methods: { 1: method, 0: (c: LocalCall) => keeper.dispatch(c) },
  });
  expect(peer.call(1, answer(0), { caps: [hosted(7)] })).toEqual(["return 1 results noFinish"]);
  return { peer, import7 };
}

it("C-TAI-03: takeFromOtherQuestion must name a live redirected call, once", () => {
  for (const [name, harm] of [
    ["an unknown question", (peer: RawPeer) => peer.returnsTag(0, 4, { other: 77 })],
    [
      "a call that keeps nothing",
      (peer: RawPeer) => {
        peer.call(5, answer(0), { method: 1 });
        return peer.returnsTag(0, 4, { other: 5 });
      },
    ],
    [
      "a finished call",
      (peer: RawPeer) => {
        peer.call(5, answer(0), { method: 1, to: 1 });
        peer.finish(5);
        return peer.returnsTag(0, 4, { other: 5 });
      },
    ],
    [
      "a call that was taken before",
      (peer: RawPeer) => {
        peer.call(5, answer(0), { method: 1, to: 1 });
        peer.returnsTag(1, 4, { other: 5 });
        return peer.returnsTag(0, 4, { other: 5 });
      },
    ],
  ] as const) {
    const { peer, import7 } = adopting((c) => c.returns(payload(1)));
    const one = outcome(call(import7, 0, 1));
    const two = outcome(call(import7, 0, 2));
    peer.drain();
    const lines = harm(peer);
    import7.release();
    expect(two.error?.type ?? one.error?.type, name).toBe("disconnected");
    peer.aborted(lines, /takeFromOtherQuestion names \d+/);
  }
});

it("C-TAI-04: a redirected call that still runs is adopted, with the calls pipelined on the outer one", () => {
  const home = new Recorder();
  const running: LocalCall[] = [];
  const { peer, import7 } = adopting((c) => void running.push(c));
  const results = call(import7, 0, 1);
  const r = outcome(results);
  const field = results.pipeline([0]);
  expect(peer.drain()).toEqual(["call 0 import 7 method=0 value=1"]);
  expect(peer.call(5, answer(0), { method: 1, to: 1 })).toEqual([]);
  expect(peer.returnsTag(0, 4, { other: 5 })).toEqual([]);
  tell(field, 3); // goes straight into the redirected call's pipeline
  peer.drain();
  expect(r.settled).toBe(false);
  running[0]!.returns(payload(42, home.hook(peer.scheduler)));
  expect(peer.drain()).toEqual(["return 5 resultsSentElsewhere", "finish 0"]);
  expect([r.value, home.seen]).toEqual([42, [3]]);
  for (const h of [field, import7]) h.release();
  r.release();
  peer.finish(5);
  peer.finish(0);
  expect(peer.said.at(-1)).toBe("release 7 x1");
  expect(home.droppedTimes).toBe(1);
  peer.drain();
  peer.done();
});

it("C-TAI-04: a call that would be answered by its own results fails, alone or by way of others", () => {
  for (const calls of [1, 3]) {
    const given = adopting((c) => c.tailCall(given.import7, request(0, 5)));
    const { peer, import7 } = given;
    // Each run at our side, 10, 11, ..., is answered by a question of ours, 0, 1, ..., and that by the next run.
    for (let i = 0; i < calls; i++) peer.call(10 + i, answer(0), { method: 1, to: 1 });
    for (let i = 0; i < calls; i++) {
      const other = 10 + ((i + 1) % calls);
      peer.returnsTag(i, 4, { other });
    }
    expect(peer.call(20, answer(10, 0), { value: 1 }).at(-1)).toMatch(
      /^return 20 exception failed "the call was to be answered by its own results"/,
    );
    expect(peer.connection.error).toBe(null);
    for (let id = 10; id < 10 + calls; id++) peer.finish(id);
    for (const id of [20, 0]) peer.finish(id);
    import7.release();
    peer.drain();
    peer.done();
  }
});

it("C-TAI-05: adopted results stay here; what was pipelined before waits for its embargo", () => {
  const home = new Recorder();
  const { peer, import7 } = adopting((c) => c.returns(payload(42, home.hook(c.scheduler))));
  const results = call(import7, 0, 1);
  const field = results.pipeline([0]);
  tell(field, 10);
  const r = outcome(results);
  expect(peer.drain()).toEqual([
    "call 0 import 7 method=0 value=1",
    "call 1 answer 0.0 method=0 value=10",
  ]);
  peer.call(5, answer(0), { method: 1, to: 1 });
  expect(peer.returnsTag(0, 4, { other: 5 })).toEqual([
    "disembargo senderLoopback 0 answer 0.0",
    "finish 0",
  ]);
  expect(r.value).toBe(42); // nothing of it was on the wire
  tell(field, 11);
  tell(r.caps[0]!, 12);
  peer.drain();
  expect(home.seen).toEqual([]);
  // The peer forwards the pipelined call into our own answer, then the Disembargo.
  expect(peer.call(6, answer(5, 0), { value: 10 })).toEqual(["return 6 results value=10 noFinish"]);
  peer.disembargo(answer(5, 0), 1, 0);
  peer.returns(1);
  expect(home.seen).toEqual([10, 11, 12]);
  for (const h of [field, import7]) h.release();
  r.release();
  peer.finish(5);
  peer.finish(0);
  peer.drain();
  peer.done();
});

it("C-TAI-06: when the redirected call failed, the outer one fails with that same error", () => {
  const { peer, import7 } = adopting((c) => c.fails(boom));
  const before = outcome(call(import7, 0, 1));
  peer.drain();
  peer.call(5, answer(0), { method: 1, to: 1 });
  expect(peer.returnsTag(0, 4, { other: 5 })).toEqual(["finish 0"]);
  expect(before.error).toBe(boom);
  import7.release();
  peer.finish(5);
  peer.finish(0);
  peer.drain();
  peer.done();
});

it("C-TAI-07: resultsSentElsewhere for an ordinary call, and results for a tail call, end the connection", () => {
  const one = adopting(() => {});
  call(one.import7, 0, 1).dropPipeline();
  one.import7.release();
  one.peer.drain();
  one.peer.aborted(one.peer.returnsTag(0, 3), /resultsSentElsewhere for question 0/);

  const two = proven();
  two.call(1, 0, { method: 1, caps: [hosted(3)] });
  two.aborted(two.returns(0), /results for question 0, which asked to keep them/);

  const three = proven();
  three.call(1, 0, { method: 1, caps: [hosted(3)] });
  three.call(91, 0, { method: 5, to: 1 });
  three.aborted(
    three.returnsTag(0, 4, { other: 91 }),
    /takeFromOtherQuestion for question 0, itself a tail call/,
  );
});

it("C-TAI-07: a tail call that is answered by an exception or canceled is over, no more", () => {
  for (const answered of [
    (peer: RawPeer) => peer.fails(0, "no"),
    (peer: RawPeer) => peer.returnsTag(0, 2),
  ]) {
    const peer = proven();
    peer.call(1, 0, { method: 1, caps: [hosted(3)] });
    expect(answered(peer)).toEqual([]);
    expect(peer.finish(1)).toEqual(["finish 0"]);
    end(peer);
  }
});

it("C-TAI-08: finishing the outer call finishes the tail call", () => {
  const peer = proven();
  peer.call(1, 0, { method: 1, caps: [hosted(3)] });
  expect(peer.finish(1)).toEqual(["finish 0 releaseResults"]);
  expect(peer.returnsTag(0, 3)).toEqual([]);
  end(peer);
});

it("C-TAI-08: giving the outer call up cancels the run it adopted, at once: C++ sends no Finish before it ends", () => {
  const running: LocalCall[] = [];
  const { peer, import7 } = adopting((c) => void running.push(c));
  const results = call(import7, 0, 1);
  const field = results.pipeline([0]);
  peer.drain();
  peer.call(5, answer(0), { method: 1, to: 1 });
  peer.returnsTag(0, 4, { other: 5 });
  results.cancel();
  expect(peer.drain()).toEqual(["finish 0 releaseResults"]);
  expect(running[0]!.canceled).toBe(false); // a pipelined capability is still held, and needs the run
  field.release();
  expect(peer.drain()).toEqual(["return 5 resultsSentElsewhere"]);
  expect(running[0]!.canceled).toBe(true);
  peer.finish(5);
  peer.finish(0);
  import7.release();
  running[0]!.returns();
  peer.drain();
  peer.done();
});

it("C-TAI-08: calls pipelined on the outer call that may still come back to us find the run going on", () => {
  for (const finishFirst of [false, true]) {
    const running: LocalCall[] = [];
    const { peer, import7 } = adopting((c) => void running.push(c));
    const results = call(import7, 0, 1);
    const field = results.pipeline([0]);
    const through = outcome(call(field, 3, 4));
    peer.drain();
    // C-TAI-10: the outer call may be finished even before the peer says whose results it has.
    if (finishFirst) {
      field.release();
      results.cancel();
    }
    peer.drain();
    peer.call(5, answer(0), { method: 1, to: 1 });
    peer.returnsTag(0, 4, { other: 5 });
    if (!finishFirst) {
      field.release();
      results.cancel();
    }
    peer.drain();
    expect(running[0]!.canceled).toBe(false);
    // Now it comes: the call that was pipelined on question 0, as one on answer 5.
    peer.call(6, answer(5, 0), { method: 3, value: 4, to: 1 });
    peer.returnsTag(1, 4, { other: 6 });
    if (!finishFirst) peer.disembargo(answer(5, 0), 1, 0);
    expect(running[0]!.canceled).toBe(false); // the call that came waits in it
    const end = new Recorder({ 3: (c, value) => c.returns(payload(value + 1)) });
    running[0]!.returns(payload(0, end.hook(peer.scheduler)));
    peer.drain();
    expect(through.value).toBe(5);
    peer.finish(5);
    peer.finish(6);
    peer.finish(0);
    import7.release();
    peer.drain();
    peer.done();
    expect(end.droppedTimes).toBe(1);
  }
});

it("C-TAI-08: the run ends when the last call that could come back has its Return", () => {
  const running: LocalCall[] = [];
  const { peer, import7 } = adopting((c) => void running.push(c));
  const results = call(import7, 0, 1);
  const field = results.pipeline([0]);
  const through = outcome(call(field, 3, 4));
  field.release();
  results.cancel();
  peer.drain();
  peer.call(5, answer(0), { method: 1, to: 1 });
  peer.returnsTag(0, 4, { other: 5 });
  expect(running[0]!.canceled).toBe(false);
  expect(peer.fails(1, "elsewhere")).toEqual(["finish 1", "return 5 resultsSentElsewhere"]);
  expect(through.error?.message).toMatch("elsewhere");
  expect(running[0]!.canceled).toBe(true);
  peer.finish(5);
  peer.finish(0);
  import7.release();
  running[0]!.returns();
  peer.drain();
  peer.done();
});

it("C-TAI-08: three vats deep, a cancellation reaches the run at home", () => {
  const mesh = new Mesh();
  const home = new Recorder({ 7: () => {} });
  const server = new Recorder({ 1: forward });
  const b = mesh.vat("b");
  Object.assign(b.options, { bootstrap: server.hook(b.scheduler) });
  const a = mesh.vat("a");
  mesh.link("a", "b");
  const cap = a.to("b").bootstrap();
  for (let round = 0; round < 2; round++) {
    // The first is a trial, the second a tail call at once.
    const results = call(cap, 1, 0, home.hook(a.scheduler));
    mesh.settle();
    expect(home.calls[round]!.canceled).toBe(false);
    results.cancel();
    mesh.settle();
    expect(home.calls[round]!.canceled).toBe(true);
    home.calls[round]!.returns();
  }
  cap.release();
  mesh.settle();
  mesh.assertEmpty();
});

it("C-TAI-09: a Finish of the redirected call before it is adopted cancels it; after, the taker has it", () => {
  const running: LocalCall[] = [];
  const before = adopting((c) => void running.push(c));
  before.peer.call(5, answer(0), { method: 1, to: 1 });
  expect(before.peer.finish(5)).toEqual(["return 5 resultsSentElsewhere"]);
  expect(running[0]!.canceled).toBe(true);
  before.peer.finish(0);
  before.import7.release();
  running[0]!.returns();
  before.peer.drain();
  before.peer.done();

  const after = adopting((c) => void running.push(c));
  const r = outcome(call(after.import7, 0, 1));
  after.peer.drain();
  after.peer.call(5, answer(0), { method: 1, to: 1 });
  after.peer.returnsTag(0, 4, { other: 5 });
  expect(after.peer.finish(5)).toEqual([]);
  expect(running[1]!.canceled).toBe(false);
  running[1]!.returns(payload(6));
  expect(after.peer.drain()).toEqual(["return 5 resultsSentElsewhere", "finish 0"]);
  expect(r.value).toBe(6);
  after.peer.finish(0);
  after.import7.release();
  after.peer.drain();
  after.peer.done();
});

it("C-TAI-10: results for a call given up before are dropped, and their Return is sent all the same", () => {
  const running: LocalCall[] = [];
  const { peer, import7 } = adopting((c) => void running.push(c));
  const results = call(import7, 0, 1);
  peer.drain();
  results.cancel();
  expect(peer.drain()).toEqual(["finish 0 releaseResults"]);
  peer.call(5, answer(0), { method: 1, to: 1 });
  expect(peer.returnsTag(0, 4, { other: 5 })).toEqual(["return 5 resultsSentElsewhere"]);
  expect(running[0]!.canceled).toBe(true);
  peer.finish(5);
  peer.finish(0);
  import7.release();
  running[0]!.returns();
  peer.drain();
  peer.done();
});

it("C-TAI-11: a tail call to an object here, or over another connection, sends no yourself", () => {
  const mesh = new Mesh();
  const far = new Recorder({ 7: (c) => c.returns(payload(70)) });
  const c = mesh.vat("c");
  Object.assign(c.options, { bootstrap: far.hook(c.scheduler) });
  const near = new Recorder({ 7: (x) => x.returns(payload(71)) });
  const b = mesh.vat("b");
  const a = mesh.vat("a");
  const targets: Hook[] = [];
  const server = new Recorder({
    1: (x) => x.tailCall(targets[0]!, request(7, 1)),
    2: (x) => x.tailCall(targets[1]!, request(7, 1)),
  });
  Object.assign(b.options, { bootstrap: server.hook(b.scheduler) });
  mesh.link("a", "b");
  mesh.link("b", "c");
  targets.push(b.to("c").bootstrap(), near.hook(b.scheduler));
  const cap = a.to("b").bootstrap();
  const seen: number[] = [];
  mesh.taps.push((m) => (seen.push(new DataView(m.buffer).getUint16(16, true)), m));
  const one = outcome(call(cap, 1, 0));
  const two = outcome(call(cap, 2, 0));
  mesh.settle();
  expect([one.value, two.value]).toEqual([70, 71]);
  expect(a.to("b").state.peerKnowsTailCalls || c.to("b").state.peerKnowsTailCalls).toBe(false);
  for (const h of [...targets, cap]) h.release();
  mesh.settle();
  mesh.assertEmpty();
});

it("C-TAI-13: the first tail call is a trial: its Return waits until the peer has shown that it knows them", () => {
  const peer = new RawPeer({ methods: { 1: forward }, tailCalls: "always" });
  peer.bootstrap(0);
  expect(peer.call(1, answer(0), { method: 1, caps: [hosted(3)] })).toEqual([
    "call 0 import 3 method=7 toYourself",
  ]);
  expect(peer.call(2, answer(1, 0), { value: 8 })).toEqual([]); // waits with it
  expect(peer.returnsTag(0, 3)).toEqual([
    "release 3 x1",
    "call 1 answer 0.0 method=0 value=8 toYourself",
    "return 2 takeFromOtherQuestion 1",
    "return 1 takeFromOtherQuestion 0",
  ]);
  // From now on at once.
  expect(peer.call(3, answer(0), { method: 1, caps: [hosted(4)] })).toEqual([
    "call 2 import 4 method=7 toYourself",
    "return 3 takeFromOtherQuestion 2",
    "release 4 x1",
  ]);
  peer.returnsTag(2, 3);
  peer.returnsTag(1, 3);
  for (const id of [0, 1, 2, 3]) peer.finish(id);
  peer.drain();
  peer.done();
});

it("C-TAI-13: a peer that echoes the tail call gets an ordinary one, and no tail call any more", () => {
  const peer = new RawPeer({ methods: { 1: forward }, tailCalls: "always" });
  const inner = new Recorder();
  peer.bootstrap(0);
  peer.server.calls.length = 0;
  const held = inner.hook(peer.scheduler);
  Object.assign(peer.server, {
    methods: {
      1: (c: LocalCall) => c.tailCall(c.params.caps[0]!, request(7, 5, held.addRef())),
    },
  });
  expect(peer.call(1, answer(0), { method: 1, caps: [hosted(3)] })).toEqual([
    "call 0 import 3 method=7 value=5 caps=[senderHosted 1] toYourself",
  ]);
  expect(peer.call(2, answer(1, 0), { value: 8 })).toEqual([]);
  expect(
    peer.unimplemented((w) => {
      w.call(
        0,
        0,
        3,
        [],
        0,
        0x7e57,
        7,
        0,
        1,
        payload(5).content,
        peer.connection.state.descriptors,
      );
    }),
  ).toEqual([
    "call 0 import 3 method=7 value=5 caps=[senderHosted 1]",
    "call 1 answer 0.0 method=0 value=8",
    "release 3 x1",
  ]);
  expect(peer.returns(0, { value: 6, caps: [hosted(9)] })).toEqual([
    "finish 0",
    "return 1 results value=6 caps=[receiverHosted 9]",
  ]);
  expect(peer.returns(1, { value: 8 })).toEqual(["finish 1", "return 2 results value=8 noFinish"]);
  expect(peer.call(3, answer(0), { method: 1, caps: [hosted(4)] })).toEqual([
    "call 1 import 4 method=7 value=5 caps=[senderHosted 1]",
    "release 4 x1",
  ]);
  peer.returns(1);
  for (const id of [0, 1, 3]) peer.finish(id);
  peer.release(1, 2);
  held.release();
  peer.drain();
  peer.done();
  expect(inner.droppedTimes).toBe(1);
});

it("C-TAI-13: a trial that is canceled, that fails, or that is lost, ends as such", () => {
  const start = (): RawPeer => {
    const peer = new RawPeer({ methods: { 1: forward }, tailCalls: "always" });
    peer.bootstrap(0);
    peer.call(1, answer(0), { method: 1, caps: [hosted(3)] });
    return peer;
  };
  const canceled = start();
  expect(canceled.finish(1)).toEqual(["finish 0 releaseResults", "return 1 canceled"]);
  expect(canceled.returnsTag(0, 3)).toEqual(["release 3 x1"]);
  canceled.finish(0);
  canceled.done();

  const failed = start();
  expect(failed.fails(0, "no")).toEqual([
    "finish 0",
    "release 3 x1",
    'return 1 exception failed "no"',
  ]);
  failed.finish(0);
  failed.finish(1);
  failed.done();

  const lost = start();
  lost.acts(() => lost.connection.disconnected(null));
  lost.done();
});

it("C-TAI-13: a peer that echoes a Return of a tail call gets no tail call any more", () => {
  const peer = proven();
  expect(peer.unimplemented((w) => w.returnOther(90, 3, false, false, 0))).toEqual([]);
  expect(peer.call(1, 0, { method: 1, caps: [hosted(3)] })).toEqual([
    "call 0 import 3 method=7",
    "release 3 x1",
  ]);
  peer.returns(0);
  end(peer);
});

it("C-TAI-14: tail calls are sent for reflected calls only, and only to a peer that has shown it knows them", () => {
  const unknown = new RawPeer({ methods: { 1: forward } });
  unknown.bootstrap(0);
  expect(unknown.call(1, answer(0), { method: 1, caps: [hosted(3)] })).toEqual([
    "call 0 import 3 method=7",
    "release 3 x1",
  ]);
  expect(unknown.returns(0, { value: 4 })).toContain("return 1 results value=4 noFinish");
  unknown.finish(0);
  unknown.drain();
  unknown.done();

  const never = new RawPeer({ methods: { 1: forward }, tailCalls: "never" });
  never.bootstrap(0);
  never.call(90, answer(0), { to: 1 });
  expect(never.call(1, answer(0), { method: 1, caps: [hosted(3)] })).toEqual([
    "call 0 import 3 method=7",
    "release 3 x1",
  ]);
  never.returns(0);
  for (const id of [90, 0]) never.finish(id);
  never.drain();
  never.done();

  // A call that this vat makes for itself is no tail call, however much the peer knows.
  const peer = proven({
    2: (c) => {
      outcome(c.params.caps[0]!.call(request(7, 1)));
      c.returns();
    },
  });
  expect(peer.call(1, 0, { method: 2, caps: [hosted(3)] })[0]).toBe(
    "call 0 import 3 method=7 value=1",
  );
  peer.returns(0);
  end(peer);
});

it("C-TAI-15: a reflected call that will not be pipelined on may come as a tail call or as an ordinary one", () => {
  const peer = proven();
  expect(peer.call(1, 0, { method: 1, caps: [hosted(3)], flags: 2 })).toEqual([
    "call 0 import 3 method=7 toYourself",
    "return 1 takeFromOtherQuestion 0",
    "release 3 x1",
  ]);
  peer.returnsTag(0, 3);
  peer.finish(1);
  end(peer);
  // And the other way: the peer's answer to such a call of ours.
  for (const reflect of ["tail", "proxy"] as const) {
    const { peer: other, import7 } = adopting((c) => c.returns(payload(6)));
    const r = outcome(import7.call(Object.assign(request(0, 1), { flags: 2 })));
    expect(other.drain()).toEqual(["call 0 import 7 method=0 value=1 noPipelining"]);
    if (reflect === "tail") {
      other.call(5, answer(0), { method: 1, to: 1 });
      other.returnsTag(0, 4, { other: 5 });
      other.finish(5);
    } else {
      other.call(5, answer(0), { method: 1 });
      other.returns(0, { value: 6 });
    }
    expect(r.value).toBe(6);
    import7.release();
    other.finish(0);
    other.drain();
    other.done();
  }
});
