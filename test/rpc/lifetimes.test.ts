// Section 4, C-LIF: the lives of questions and answers, and the ids they are named by.

import { expect, it } from "vitest";
import { RpcError } from "../../src/base/errors.js";
import { limitsWith } from "../../src/base/limits.js";
import { CallRequest, ONLY_PROMISE_PIPELINE } from "../../src/hook/hook.js";
import type { LocalCall } from "../../src/hook/local.js";
import { Payload } from "../../src/hook/payload.js";
import { PromiseHook } from "../../src/hook/promise.js";
import type { MessageWriter } from "../../src/wire/message-writer.js";
import { Content } from "../../src/wire/content.js";
import { call, outcome, payload, Recorder, request, tell } from "../support/objects.js";
import { answer, hosted, NULL, promised, RawPeer, table, yours } from "../support/raw-peer.js";
import { World } from "../support/world.js";

/** A peer that holds export 0, our server, whose method 1 keeps its calls open. */
function holding(options: ConstructorParameters<typeof RawPeer>[0] = {}) {
  const calls: LocalCall[] = [];
  const keep = (c: LocalCall) => {
    calls.push(c);
  };
  const peer = new RawPeer({ ...options, methods: { ...options.methods, 1: keep } });
  peer.bootstrap(99);
  peer.finish(99, false);
  return { peer, calls };
}

function ends(peer: RawPeer): void {
  expect(peer.over, "what ended the connection").toBe(null);
  peer.release(0);
  peer.done();
}

it("C-LIF-01: ids of questions stay below 2^30, those without a Return begin at 2^31", () => {
  const peer = new RawPeer();
  const cap = peer.remote(hosted(7));
  const calls = [call(cap, 0, 1), call(cap, 0, 2)];
  const only = cap.call(request(0, 3));
  const pipelined = new CallRequest(0, 1, 0, payload(4), ONLY_PROMISE_PIPELINE);
  const hinted = cap.call(pipelined);
  const ids = peer.drain().map((line) => Number(line.split(" ")[1]));
  expect(new Set(ids).size).toBe(4);
  expect(ids.slice(0, 3).every((id) => id < 2 ** 30)).toBe(true);
  expect(ids[3]).toBeGreaterThanOrEqual(2 ** 31);
  for (const results of [...calls, only, hinted]) results.cancel();
  cap.release();
  peer.drain();
  for (const id of ids.slice(0, 3)) peer.returnsTag(id, 2);
  peer.done();
});

it("C-LIF-02: a question's id is used again after Return and Finish, in either order, and not before", () => {
  const peer = new RawPeer({
    methods: { 1: (c) => c.returns(payload(0, pending.pipeline([0]))) },
  });
  const cap = peer.remote(hosted(7));
  // Return, then Finish: the path into the answer is in the peer's hands, so the Finish must wait.
  const pending = call(cap, 0, 1);
  expect(peer.drain()).toEqual(["call 0 import 7 method=0 value=1"]);
  peer.bootstrap(0);
  expect(peer.call(1, answer(0), { method: 1 })).toEqual([
    "return 1 results caps=[receiverAnswer 0.0]",
  ]);
  pending.cancel();
  expect(peer.returns(0, { caps: [hosted(8)] })).toEqual(["release 8 x1"]);
  const second = call(cap, 0, 2);
  expect(peer.drain()).toEqual(["call 1 import 7 method=0 value=2"]);
  expect(peer.finish(1)).toEqual(["finish 0"]);
  const third = call(cap, 0, 3);
  expect(peer.drain()).toEqual(["call 0 import 7 method=0 value=3"]);
  // Finish, then Return.
  expect(peer.acts(() => third.cancel())).toEqual(["finish 0 releaseResults"]);
  const fourth = call(cap, 0, 4);
  expect(peer.drain()).toEqual(["call 2 import 7 method=0 value=4"]);
  peer.returnsTag(0, 2);
  const fifth = call(cap, 0, 5);
  expect(peer.drain()).toEqual(["call 0 import 7 method=0 value=5"]);
  for (const results of [second, fourth, fifth]) results.cancel();
  cap.release();
  peer.drain();
  for (const id of [0, 1, 2]) peer.returnsTag(id, 2);
  peer.finish(0);
  peer.done();
});

it("C-LIF-03: both directions have a question 0 at once", () => {
  const { peer, calls } = holding();
  const cap = peer.remote(hosted(7));
  const ours = tell(cap, 1);
  expect(peer.drain()).toEqual(["call 0 import 7 method=0 value=1"]);
  peer.call(0, 0, { method: 1, value: 2 });
  expect(peer.returns(0, { value: 10 })).toEqual(["finish 0"]);
  expect(ours.value).toBe(10);
  expect(peer.acts(() => calls[0]!.returns(payload(20)))).toEqual([
    "return 0 results value=20 noFinish",
  ]);
  peer.acts(() => cap.release());
  ends(peer);
});

it.each(["Call", "Bootstrap"])("C-LIF-04: a %s with the id of a live answer aborts", (what) => {
  for (const returned of [false, true]) {
    const { peer } = holding({ methods: { 2: (c) => c.returns(payload(0, c.self.addRef())) } });
    peer.call(5, 0, { method: returned ? 2 : 1 });
    const lines = what === "Call" ? peer.call(5, 0) : peer.bootstrap(5);
    peer.aborted(lines, `${what} with question 5, which is open`);
  }
});

it("C-LIF-05: an id may come again right behind its Finish", () => {
  const { peer } = holding({ methods: { 2: (c) => c.returns(payload(0, c.self.addRef())) } });
  for (let i = 0; i < 3; i++) {
    expect(peer.call(5, 0, { method: 2 })).toEqual(["return 5 results caps=[senderHosted 0]"]);
    expect(peer.finish(5)).toEqual([]);
  }
  ends(peer);
});

it("C-LIF-06: a Finish for an answer that is not there is ignored", () => {
  const { peer } = holding();
  expect(peer.call(5, 0, { value: 3 })).toEqual(["return 5 results value=3 noFinish"]);
  expect(peer.finish(5)).toEqual([]);
  expect(peer.finish(4_000_000_000)).toEqual([]);
  ends(peer);
});

it("C-LIF-07: a second Finish changes nothing", () => {
  const { peer, calls } = holding();
  const object = peer.object(new Recorder());
  peer.call(5, 0, { method: 1 });
  calls[0]!.cancelable = false;
  expect(peer.finish(5, true)).toEqual([]);
  expect(peer.finish(5, false)).toEqual([]);
  expect(peer.finish(5, true)).toEqual([]);
  expect(peer.connection.stats().answers).toBe(1);
  expect(peer.acts(() => calls[0]!.returns(payload(0, object.addRef())))).toEqual([
    "return 5 canceled",
  ]);
  ends(peer);
});

it("C-LIF-08: a Return for a question that is not open aborts", () => {
  const peer = new RawPeer();
  peer.aborted(peer.returns(3), "Return for question 3, which is not open");
});

it("C-LIF-08: a second Return for one question aborts", () => {
  const peer = new RawPeer({
    methods: { 1: (c) => c.returns(payload(0, pending.pipeline([0]))) },
  });
  const cap = peer.remote(hosted(7));
  const pending = call(cap, 0, 1);
  peer.bootstrap(0);
  peer.call(1, answer(0), { method: 1 });
  pending.cancel();
  peer.returns(0, { value: 1 });
  cap.release();
  peer.aborted(peer.returns(0, { value: 1 }), "a second Return for question 0");
});

it("C-LIF-09: results without a payload, or with a null content, are results of nothing but defaults", () => {
  const peer = new RawPeer();
  const cap = peer.remote(hosted(7));
  const one = tell(cap, 1);
  const two = tell(cap, 2);
  peer.drain();
  expect(peer.returnsTag(0, 0)).toEqual(["finish 0"]);
  expect(peer.returns(1, { content: NULL })).toEqual(["finish 1"]);
  expect([one.settled, one.error, one.value]).toEqual([true, null, 0]);
  expect([two.settled, two.error, two.value]).toEqual([true, null, 0]);
  peer.acts(() => cap.release());
  peer.done();
});

it("C-LIF-10: an exception comes with all it has, to the call and to everything pipelined on it", () => {
  const peer = new RawPeer();
  const cap = peer.remote(hosted(7));
  const results = call(cap, 0, 1);
  const piped = results.pipeline([0]);
  const early = tell(piped, 2);
  const seen = outcome(results);
  peer.drain();
  const details = [{ id: 0x1234n, data: Uint8Array.of(1, 2) }];
  const error = new RpcError("overloaded", "remote-exception", "too busy", {
    details,
    trace: "here",
  });
  expect(peer.fails(0, error)).toEqual(["finish 0"]);
  const late = tell(piped, 3);
  expect(peer.drain()).toEqual([]);
  const expected = { type: "overloaded", message: "too busy", trace: "here", details };
  expect(seen.error).toMatchObject(expected);
  expect(late.error).toMatchObject(expected);
  expect(piped.resolved().brokenBy).toMatchObject(expected);
  // What went out before is answered by the peer, which has the same exception (C-PIP-05).
  peer.fails(1, error, { noFinish: true });
  expect(early.error).toMatchObject(expected);
  piped.release();
  peer.acts(() => cap.release());
  peer.done();
});

it("C-LIF-11: an exception is owed a Finish unless it says otherwise", () => {
  const peer = new RawPeer();
  const cap = peer.remote(hosted(7));
  const outcomes = [tell(cap, 1), tell(cap, 2)];
  peer.drain();
  expect(peer.fails(0, "no")).toEqual(["finish 0"]);
  expect(peer.fails(1, "no", { noFinish: true })).toEqual([]);
  expect(outcomes.map((one) => one.error?.message)).toEqual(["no", "no"]);
  expect(peer.connection.stats().questions).toBe(0);
  peer.acts(() => cap.release());
  peer.done();
});

it("C-LIF-12: Return.canceled frees a question we finished, and aborts for one we did not", () => {
  const peer = new RawPeer();
  const cap = peer.remote(hosted(7));
  const given = call(cap, 0, 1);
  tell(cap, 2);
  given.cancel();
  peer.drain();
  expect(peer.returnsTag(0, 2)).toEqual([]);
  expect(peer.connection.stats().questions).toBe(1);
  cap.release();
  peer.aborted(peer.returnsTag(1, 2), "Return.canceled for question 1, which was not finished");
});

it("C-LIF-13: a Return of an unknown kind fails its question and is echoed", () => {
  const peer = new RawPeer();
  const cap = peer.remote(hosted(7));
  const seen = tell(cap, 1, peer.object(new Recorder()));
  peer.drain();
  expect(peer.returnsTag(0, 9, { releaseParams: true })).toEqual([
    "unimplemented return 0 tag9 releaseParams",
    "finish 0 releaseResults",
  ]);
  expect(seen.error).toMatchObject({ type: "unimplemented", code: "peer-unimplemented" });
  peer.acts(() => cap.release());
  peer.done();
});

it("C-LIF-14: what one message resolves is resolved before the next is looked at", () => {
  const world = new World({
    a: {},
    b: {
      1: (c) => c.returns(payload(0, promise.addRef())),
      2: (c) => {
        promise.resolve(object.addRef());
        c.returns();
      },
    },
  });
  const promise = new PromiseHook(world.vat("b").scheduler);
  const object = world.object("b", new Recorder());
  const cap = world.bootstrap("a", "b");
  const first = outcome(call(cap, 1, 0));
  world.settle();
  call(cap, 2, 0).cancel();
  const again = outcome(call(cap, 1, 0));
  world.settle();
  // The second answer was made after the promise had resolved: it names the object itself.
  expect(world.log.filter((line) => line.includes("results caps"))).toEqual([
    "b>a return 1 results caps=[senderPromise 1]",
    "b>a return 0 results caps=[senderHosted 2]",
  ]);
  promise.release();
  first.release();
  again.release();
  world.end();
});

it("C-LIF-15: a method runs as a job, never inside the message; what it throws is its own answer", () => {
  const peer = new RawPeer({
    methods: {
      2: () => {
        throw new RangeError("out of range");
      },
    },
  });
  peer.bootstrap(0);
  peer.draining = false;
  peer.call(1, answer(0), { method: 2, caps: [hosted(4)] });
  expect(peer.server.calls).toHaveLength(0);
  peer.draining = true;
  const lines = peer.drain();
  expect(peer.server.calls).toHaveLength(1);
  expect(lines).toEqual(['return 1 exception failed "out of range"', "release 4 x1"]);
  peer.finish(1);
  peer.finish(0);
  expect(peer.over).toBe(null);
  peer.done();
});

it("C-LIF-16: calls on one object are dispatched in the order they came, by whatever name it was called", () => {
  const { peer } = holding({ methods: { 2: (c) => c.returns(payload(0, c.self.addRef())) } });
  peer.call(5, 0, { method: 2, value: 100 });
  peer.draining = false;
  for (let i = 0; i < 10; i++) peer.call(10 + i, i % 2 === 0 ? 0 : answer(5, 0), { value: i });
  peer.draining = true;
  peer.drain();
  expect(peer.server.seen.slice(1)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  peer.finish(5);
  ends(peer);
});

it("C-LIF-17: calls on one reference go out in order, whatever their params hold and though one cannot be sent", () => {
  const peer = new RawPeer({ limits: limitsWith({ messageWords: 64 }) });
  const cap = peer.remote(hosted(7));
  const promise = new PromiseHook(peer.scheduler);
  const huge = new Payload(new Content(new Uint8Array(1024)));
  const outcomes = [
    tell(cap, 1, promise.addRef()),
    outcome(cap.call(new CallRequest(0, 1, 0, huge))),
    tell(cap, 2),
    tell(cap, 3, promise.addRef()),
  ];
  expect(peer.drain()).toEqual([
    "call 0 import 7 method=0 value=1 caps=[senderPromise 0]",
    "call 1 import 7 method=0 value=2",
    "call 2 import 7 method=0 value=3 caps=[senderPromise 0]",
  ]);
  expect(outcomes[1]!.error).toMatchObject({ code: "message-too-large", delivery: "not-sent" });
  for (const id of [0, 1, 2]) peer.returns(id, { releaseParams: true });
  promise.release();
  peer.acts(() => cap.release());
  peer.done();
});

it("C-LIF-18: a Call to an export that is not there aborts and names it", () => {
  const peer = new RawPeer();
  peer.aborted(
    peer.call(1, 17, { caps: [hosted(3)] }),
    "Call to export 17, which the peer does not hold",
  );
});

it("C-LIF-18: a null target is export 0", () => {
  const { peer } = holding();
  const write = (w: MessageWriter) => w.call(4, 0, 0, [], 0, 0x7e57, 0, 0, 0, NULL, table([]));
  // The Call's pointer 0 stands behind frame header, root pointer, Message and three data words.
  const untargeted = (message: Uint8Array) => {
    expect(new DataView(message.buffer).getUint32(56, true)).toBe(2 << 2);
    message.fill(0, 56, 64);
  };
  expect(peer.send(write, untargeted)).toEqual(["return 4 results noFinish"]);
  expect(peer.server.seen).toEqual([0]);
  ends(peer);
  const other = new RawPeer();
  other.aborted(other.send(write, untargeted), "Call to export 0, which");
});

it("C-LIF-19: a Call to an answer that is not there, or is over, fails alone", () => {
  const { peer } = holding();
  expect(peer.call(1, answer(55), { caps: [hosted(3)] })).toEqual([
    "release 3 x1",
    'return 1 exception failed "question 55 is not open any more, or its results hold no such capability"',
  ]);
  peer.call(2, 0, { value: 8 });
  expect(peer.call(3, answer(2, 0))[0]).toMatch(
    /^return 3 exception failed "question 2 is not open/,
  );
  peer.finish(1);
  peer.finish(3);
  expect(peer.over).toBe(null);
  ends(peer);
});

it("C-LIF-20: a Call to an unknown kind of target is echoed, and its params stay the peer's", () => {
  const { peer } = holding();
  const lines = peer.send(
    (w) => w.call(4, 0, 0, [], 0, 0x7e57, 0, 0, 0, NULL, table([hosted(3)])),
    // MessageTarget follows the words of the Call: its tag is the upper half of its data word.
    (message) => new DataView(message.buffer).setUint16(8 + 8 * 9 + 4, 7, true),
  );
  expect(lines).toEqual(["unimplemented call 4 target7 method=0 caps=[senderHosted 3]"]);
  expect(peer.connection.stats().imports).toBe(0);
  ends(peer);
});

it("C-LIF-23: a method that runs on after the Finish is answered for, and its exports are given back", () => {
  const { peer, calls } = holding();
  const object = peer.object(new Recorder());
  for (const [i, release] of [true, false].entries()) {
    peer.call(5, 0, { method: 1 });
    calls[i]!.cancelable = false;
    expect(peer.finish(5, release)).toEqual([]);
    expect(peer.acts(() => calls[i]!.returns(payload(1, object.addRef())))).toEqual([
      "return 5 canceled",
    ]);
    expect(peer.connection.stats().exports).toBe(1);
  }
  ends(peer);
});

it("C-LIF-24: capabilities of results that cross with their Finish are dropped on both sides", () => {
  const { peer, calls } = holding();
  const object = peer.object(new Recorder());
  peer.call(5, 0, { method: 1 });
  expect(peer.acts(() => calls[0]!.returns(payload(1, object.addRef())))).toEqual([
    "return 5 results value=1 caps=[senderHosted 1]",
  ]);
  expect(peer.finish(5, true)).toEqual([]);
  expect(peer.connection.stats().exports).toBe(1);
  // The caller: nothing is imported from a Return behind its Finish, so nothing is released either.
  const cap = peer.remote(hosted(7));
  const results = call(cap, 0, 1);
  peer.drain();
  expect(peer.acts(() => results.cancel())).toEqual(["finish 0 releaseResults"]);
  expect(peer.returns(0, { caps: [hosted(8), promised(9), yours(0)] })).toEqual([]);
  expect(peer.connection.stats().imports).toBe(1);
  peer.acts(() => cap.release());
  ends(peer);
});

it("C-LIF-25: Return, cancel and failure race to one outcome, and the loser keeps nothing", () => {
  const { peer, calls } = holding({ limits: limitsWith({ messageWords: 64 }) });
  const object = peer.object(new Recorder());
  // Canceled, then returned.
  peer.call(1, 0, { method: 1 });
  expect(peer.finish(1)).toEqual(["return 1 canceled"]);
  expect(peer.acts(() => calls[0]!.returns(payload(0, object.addRef())))).toEqual([]);
  // Returned, then failed, then returned again.
  peer.call(2, 0, { method: 1 });
  const lines = peer.acts(() => {
    calls[1]!.returns(payload(2));
    calls[1]!.fails(new RpcError("failed", "method-failed", "too late"));
    calls[1]!.returns(payload(3, object.addRef()));
  });
  expect(lines).toEqual(["return 2 results value=2 noFinish"]);
  // Results that cannot be sent become an exception; what they exported is taken back.
  peer.call(3, 0, { method: 1 });
  const huge = new Content(Uint8Array.from({ length: 1024 }));
  expect(peer.acts(() => calls[2]!.returns(new Payload(huge, [object.addRef()])))[0]).toMatch(
    /^return 3 exception failed ".*a message of \d+ words is over the limit/,
  );
  expect(peer.connection.stats().exports).toBe(1);
  peer.finish(3);
  // The caller: its cancel crosses with the results.
  const cap = peer.remote(hosted(7));
  const results = call(cap, 0, 1);
  const settled: unknown[] = [];
  results.observe({ immediate: false, resultsSettled: (r) => settled.push(r.error?.code) });
  peer.drain();
  results.cancel();
  peer.drain();
  peer.returns(0, { value: 5 });
  expect(settled).toEqual(["call-canceled"]);
  peer.acts(() => cap.release());
  ends(peer);
});

it("C-LIF-26: when sending fails the connection ends: no id is used again, and each call says what is known of it", () => {
  const { peer, calls } = holding();
  const cap = peer.remote(hosted(7));
  const sent = tell(cap, 1);
  peer.call(1, 0, { method: 1 });
  peer.drain();
  const unsent = tell(cap, 2);
  peer.connection.disconnected(new RpcError("disconnected", "connection-lost", "write failed"));
  const late = tell(cap, 3);
  peer.scheduler.drain();
  expect([sent.error, unsent.error, late.error].map((e) => [e?.type, e?.delivery])).toEqual([
    ["disconnected", "unknown"],
    ["disconnected", "not-sent"],
    ["disconnected", "not-sent"],
  ]);
  expect(calls[0]!.canceled).toBe(true);
  calls[0]!.returns();
  cap.release();
  expect(peer.drain()).toEqual(["call 1 import 7 method=0 value=2"]);
  peer.done();
});

it("C-LIF-27: params given up early are released at once, and stay on the account until the Return", () => {
  const { peer, calls } = holding();
  peer.call(1, 0, { method: 1, caps: [hosted(3)] });
  const charged = peer.connection.stats().incomingCallBytes;
  expect(charged).toBeGreaterThan(0);
  expect(peer.acts(() => calls[0]!.releaseParams())).toEqual(["release 3 x1"]);
  expect(peer.connection.stats().incomingCallBytes).toBe(charged);
  expect(peer.acts(() => calls[0]!.returns())).toEqual(["return 1 results noFinish"]);
  expect(peer.connection.stats().incomingCallBytes).toBe(0);
  ends(peer);
});

it("C-LIF-28: with all tables empty the connection is idle and says nothing", () => {
  const world = new World({ a: {}, b: {} });
  const to = world.vat("a").to("b");
  expect(to.idle).toBe(true);
  const cap = to.bootstrap();
  expect(to.idle).toBe(false);
  tell(cap, 1);
  world.settle();
  expect(to.idle).toBe(false);
  cap.release();
  world.settle();
  expect([to.idle, world.vat("b").to("a").idle]).toEqual([true, true]);
  const said = world.log.length;
  for (let i = 0; i < 3; i++) world.settle();
  expect(world.log).toHaveLength(said);
  world.end();
  expect(world.log).toHaveLength(said);
});
