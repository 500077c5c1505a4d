// Section 5, C-REL: who gives back the capabilities of params and results, and the hints that save messages.

import { expect, it } from "vitest";
import { RpcError } from "../../src/base/errors.js";
import { CallRequest, NO_PROMISE_PIPELINING, ONLY_PROMISE_PIPELINE } from "../../src/hook/hook.js";
import { PromiseHook } from "../../src/hook/promise.js";
import { call, type Method, outcome, payload, Recorder, tell } from "../support/objects.js";
import { answer, hosted, promised, RawPeer, yours } from "../support/raw-peer.js";
import { World } from "../support/world.js";

const ONLY = 4;
const NO_PIPELINE = 2;

const selfAndNumber: Method = (c, value) => c.returns(payload(value, c.self.addRef()));

/** A peer that holds export 0, our server: method 1 keeps its calls open, method 2 returns the server itself. */
function serving() {
  const peer = new RawPeer({ methods: { 1: () => {}, 2: selfAndNumber } });
  peer.bootstrap(99);
  peer.finish(99, false);
  return peer;
}

function ends(peer: RawPeer): void {
  expect(peer.over, "what ended the connection").toBe(null);
  peer.release(0);
  peer.done();
}

it("C-REL-01: releaseParamCaps gives back one reference for each object and promise in the params", () => {
  const peer = new RawPeer();
  const cap = peer.remote(hosted(7));
  const promise = new PromiseHook(peer.scheduler);
  const object = peer.object(new Recorder());
  tell(cap, 1, object.addRef(), promise.addRef());
  tell(cap, 2, object.addRef());
  expect(peer.drain()).toEqual([
    "call 0 import 7 method=0 value=1 caps=[senderHosted 0, senderPromise 1]",
    "call 1 import 7 method=0 value=2 caps=[senderHosted 0]",
  ]);
  expect(peer.returns(0, { releaseParams: true })).toEqual(["finish 0"]);
  expect(peer.connection.stats().exports).toBe(1);
  peer.returns(1, { releaseParams: true });
  promise.release();
  peer.acts(() => cap.release());
  peer.done();
});

it("C-REL-02: on the wire a zero bit means true for releaseParamCaps, releaseResultCaps and the workaround", () => {
  const peer = new RawPeer({ methods: { 1: (c) => c.returns(payload(0, c.self.addRef())) } });
  const cap = peer.remote(hosted(7));
  tell(cap, 1, peer.object(new Recorder()));
  peer.bootstrap(5);
  peer.call(6, answer(5), { method: 1 });
  expect(peer.connection.stats().exports).toBe(2);
  // A Return and a Finish all of zeros but their ids.
  const message = (tag: string, size: string) =>
    `0000000001000100 ${tag}00000000000000 00000000${size}`;
  peer.hex(message("03", "02000100"), "0000000000000000 0000000000000000 0000000000000000");
  expect(peer.connection.stats().exports).toBe(1);
  peer.hex(message("04", "01000000"), "0500000000000000");
  peer.hex(message("04", "01000000"), "0600000000000000");
  expect(peer.connection.stats().exports).toBe(0);
  expect(peer.drain()).toEqual([]);
  // Ours: Return.releaseParamCaps, Finish.releaseResultCaps and Finish's workaround false, so their bits are set.
  const ours = (tag: number) => peer.messages.find((m) => m[16] === tag)!;
  expect(ours(3)[36]! & 1).toBe(1);
  expect(ours(4)[36]! & 3).toBe(3);
  peer.acts(() => cap.release());
  peer.done();
});

it("C-REL-03: what is the peer's own, or nothing, is not counted", () => {
  const peer = new RawPeer();
  const cap = peer.remote(hosted(7));
  const pending = call(cap, 0, 0);
  const given = tell(
    cap,
    1,
    null,
    cap.addRef(),
    pending.pipeline([0]),
    peer.object(new Recorder()),
  );
  expect(peer.drain()).toEqual([
    "call 0 import 7 method=0",
    "call 1 import 7 method=0 value=1 caps=[none, receiverHosted 7, receiverAnswer 0.0, senderHosted 0]",
  ]);
  expect(peer.connection.stats().exports).toBe(1);
  expect(peer.returns(1, { releaseParams: true })).toEqual(["finish 1"]);
  expect(given.settled).toBe(true);
  expect(peer.connection.stats().exports).toBe(0);
  pending.cancel();
  cap.release();
  expect(peer.drain()).toEqual(["finish 0 releaseResults", "release 7 x1"]);
  peer.returnsTag(0, 2);
  peer.done();
});

it("C-REL-04: an export that stands k times in a table counts k times, and is given back k times", () => {
  const peer = serving();
  const cap = peer.remote(hosted(7));
  const object = peer.object(new Recorder());
  tell(cap, 1, object.addRef(), object.addRef(), object.addRef());
  expect(peer.drain()[0]).toMatch("caps=[senderHosted 1, senderHosted 1, senderHosted 1]");
  peer.release(1, 2);
  expect(peer.connection.stats().exports).toBe(2);
  // One of the three is left, so three more cannot be given back: the connection would abort.
  peer.release(1, 1);
  expect(peer.connection.stats().exports).toBe(1);
  peer.returns(0);
  tell(cap, 2, object.addRef(), object.addRef());
  peer.drain();
  peer.returns(0, { releaseParams: true });
  expect(peer.connection.stats().exports).toBe(1);
  peer.acts(() => cap.release());
  ends(peer);
});

it("C-REL-05: the params are given back behind the results, which may name them", () => {
  const peer = new RawPeer();
  const cap = peer.remote(hosted(7));
  const object = peer.object(new Recorder());
  const seen = outcome(call(cap, 0, 1, object.addRef()));
  peer.drain();
  expect(peer.returns(0, { caps: [yours(0)], releaseParams: true })).toEqual(["finish 0"]);
  expect(seen.caps[0]).toBe(object);
  seen.release();
  peer.acts(() => cap.release());
  peer.done();
});

it("C-REL-06: our Returns leave the params to Releases of their own", () => {
  const peer = serving();
  expect(peer.call(1, 0, { value: 3, caps: [hosted(3), promised(4), hosted(3)] })).toEqual([
    "return 1 results value=3 noFinish",
    "release 4 x1",
    "release 3 x2",
  ]);
  ends(peer);
});

it("C-REL-07: releaseParamCaps without params to release means nothing", () => {
  const peer = new RawPeer();
  const boot = peer.connection.bootstrap();
  peer.drain();
  expect(peer.returns(0, { releaseParams: true, caps: [hosted(7)] })).toEqual([
    "finish 0",
    "release 7 x1",
  ]);
  boot.release();
  const cap = peer.remote(hosted(7));
  tell(cap, 1);
  tell(cap, 2, null, cap.addRef());
  peer.drain();
  expect(peer.returns(0, { releaseParams: true })).toEqual(["finish 0"]);
  expect(peer.returns(1, { releaseParams: true })).toEqual(["finish 1"]);
  peer.acts(() => cap.release());
  peer.done();
});

it("C-REL-08: Finish with releaseResultCaps gives back each export of the Return once, before it or after it", () => {
  const peer = serving();
  const object = peer.object(new Recorder());
  peer.call(1, 0, { method: 1 });
  peer.call(2, 0, { method: 1 });
  const [after, before] = peer.server.calls;
  before!.cancelable = false;
  const results = () => payload(1, object.addRef(), object.addRef());
  expect(peer.acts(() => after!.returns(results()))[0]).toMatch("[senderHosted 1, senderHosted 1]");
  expect(peer.connection.stats().exports).toBe(2);
  peer.finish(1, true);
  expect(peer.connection.stats().exports).toBe(1);
  peer.finish(2, true);
  peer.acts(() => before!.returns(results()));
  expect(peer.connection.stats().exports).toBe(1);
  ends(peer);
});

it("C-REL-09: from a Return behind our Finish nothing is imported and nothing released", () => {
  const peer = new RawPeer();
  const cap = peer.remote(hosted(7));
  const results = call(cap, 0, 1);
  peer.drain();
  expect(peer.acts(() => results.cancel())).toEqual(["finish 0 releaseResults"]);
  expect(peer.returns(0, { caps: [hosted(8), hosted(7), promised(9)] })).toEqual([]);
  expect(peer.acts(() => cap.release())).toEqual(["release 7 x1"]);
  peer.done();
});

it("C-REL-10: after a Finish that keeps the results their references stay with the peer until it releases them", () => {
  const peer = serving();
  const object = peer.object(new Recorder());
  peer.call(1, 0, { method: 1 });
  peer.acts(() => peer.server.calls[0]!.returns(payload(1, object.addRef())));
  peer.finish(1, false);
  expect(peer.connection.stats()).toMatchObject({ answers: 0, exports: 2 });
  peer.call(2, 1, { value: 9 });
  peer.release(1);
  // Before the Return: then no capability is sent at all, so the peer has none to release.
  peer.call(3, 0, { method: 1 });
  peer.server.calls[1]!.cancelable = false;
  peer.finish(3, false);
  expect(peer.acts(() => peer.server.calls[1]!.returns(payload(1, object.addRef())))).toEqual([
    "return 3 canceled",
  ]);
  expect(peer.connection.stats().exports).toBe(1);
  expect(peer.said).toContain("return 2 results value=9 noFinish");
  ends(peer);
});

it("C-REL-11: imported results are ours after the Finish, until our Release", () => {
  const peer = new RawPeer();
  const cap = peer.remote(hosted(7));
  const seen = outcome(call(cap, 0, 1));
  peer.drain();
  expect(peer.returns(0, { caps: [hosted(8)] })).toEqual(["finish 0"]);
  tell(seen.caps[0]!, 2);
  expect(peer.drain()).toEqual(["call 0 import 8 method=0 value=2"]);
  peer.returns(0);
  expect(peer.acts(() => seen.release())).toEqual(["release 8 x1"]);
  peer.acts(() => cap.release());
  peer.done();
});

it("C-REL-12: every reference sent is given back exactly once, whatever becomes of calls and results", () => {
  const kept: { method: Method } = {
    method: (c, value) =>
      c.returns(
        payload(value, c.self.addRef(), ...c.params.caps.map((cap) => cap?.addRef() ?? null)),
      ),
  };
  const world = new World({ a: {}, b: { 1: kept.method, 3: () => {} } });
  const cap = world.bootstrap("a", "b");
  const object = world.object("a", new Recorder());
  const promise = new PromiseHook(world.vat("a").scheduler);
  for (let i = 0; i < 8; i++) {
    const results = call(
      cap,
      1,
      i,
      object.addRef(),
      i % 3 === 0 ? promise.addRef() : null,
      cap.addRef(),
    );
    const piped = results.pipeline([i % 4]);
    tell(piped, i);
    const seen = i % 2 === 0 ? outcome(results) : null;
    if (i % 4 === 3) world.settle();
    seen?.release();
    results.cancel();
    piped.release();
    const stopped = call(cap, 3, i, object.addRef());
    world.mesh.drain();
    stopped.cancel();
  }
  promise.resolve(object.addRef());
  world.settle();
  promise.release();
  world.settle();
  expect(world.count("senderHosted") + world.count("senderPromise")).toBeGreaterThan(16);
  world.end();
});

it("C-REL-13: a Return that needs no Finish gets none and frees its question", () => {
  const peer = new RawPeer();
  const cap = peer.remote(hosted(7));
  const seen = tell(cap, 1);
  peer.drain();
  expect(peer.returns(0, { value: 5, noFinish: true })).toEqual([]);
  expect([seen.value, peer.connection.stats().questions]).toEqual([5, 0]);
  peer.acts(() => cap.release());
  peer.done();
});

it("C-REL-14: noFinishNeeded with capabilities in the results is answered by a Finish all the same", () => {
  const peer = new RawPeer();
  const cap = peer.remote(hosted(7));
  const seen = outcome(call(cap, 0, 1));
  peer.drain();
  expect(peer.returns(0, { caps: [hosted(8)], noFinish: true })).toEqual(["finish 0"]);
  expect(peer.acts(() => seen.release())).toEqual(["release 8 x1"]);
  peer.acts(() => cap.release());
  peer.done();
});

it("C-REL-15: we set noFinishNeeded for results without capabilities alone, and take it with any Return", () => {
  const failing: Method = (c) => c.fails(new RpcError("failed", "method-failed", "no"));
  const peer = new RawPeer({
    methods: { 2: selfAndNumber, 3: failing, 4: (c) => c.returns(payload(4, null)) },
  });
  peer.bootstrap(99);
  peer.finish(99, false);
  expect(peer.call(1, 0, { value: 3 })).toEqual(["return 1 results value=3 noFinish"]);
  expect(peer.call(2, 0, { method: 2 })).toEqual(["return 2 results caps=[senderHosted 0]"]);
  expect(peer.call(3, 0, { method: 3 })).toEqual(['return 3 exception failed "no"']);
  expect(peer.call(4, 0, { method: 4 })).toEqual(["return 4 results value=4 caps=[none]"]);
  for (const id of [2, 3, 4]) peer.finish(id);
  const cap = peer.remote(hosted(7));
  const canceled = call(cap, 0, 1);
  const failed = tell(cap, 2);
  peer.drain();
  peer.acts(() => canceled.cancel());
  expect(peer.returnsTag(0, 2, { noFinish: true })).toEqual([]);
  expect(peer.fails(1, "no", { noFinish: true })).toEqual([]);
  expect(failed.error?.message).toBe("no");
  expect(peer.connection.stats().questions).toBe(0);
  peer.acts(() => cap.release());
  ends(peer);
});

it("C-REL-16: calls pipelined on an answer that needed no Finish get exceptions", () => {
  const peer = serving();
  expect(peer.call(1, 0, { value: 3 })).toEqual(["return 1 results value=3 noFinish"]);
  expect(peer.call(2, answer(1, 0))[0]).toMatch(
    /^return 2 exception failed "question 1 is not open/,
  );
  peer.finish(2);
  expect(peer.over).toBe(null);
  ends(peer);
});

it("C-REL-17: a call pipelined on one that promised not to be pipelined on fails alone", () => {
  const peer = serving();
  peer.call(1, 0, { method: 1, flags: NO_PIPELINE });
  expect(peer.call(2, answer(1, 0))[0]).toMatch(/^return 2 exception failed/);
  peer.finish(2); // so that nothing is kept for it either
  expect(
    peer.acts(() => peer.server.calls[0]!.returns(payload(5, peer.server.calls[0]!.self.addRef()))),
  ).toEqual(["return 1 results value=5 caps=[senderHosted 0]"]);
  expect(peer.connection.stats().heldResultBytes).toBe(0);
  expect(peer.call(3, answer(1, 0))[0]).toMatch(/^return 3 exception failed/);
  for (const id of [1, 3]) peer.finish(id);
  ends(peer);
});

it("C-REL-19: a call wanted for its pipeline alone gets no Return, whatever becomes of it", () => {
  const peer = serving();
  const server = peer.server;
  const object = new Recorder();
  const hook = peer.object(object);
  for (const [i, end] of [
    () => server.calls[0]!.returns(payload(0, hook.addRef())),
    () => server.calls[1]!.fails(new RpcError("failed", "method-failed", "no")),
    () => {},
  ].entries()) {
    const id = 2 ** 31 + i;
    expect(peer.call(id, 0, { method: 1, flags: ONLY })).toEqual([]);
    expect(peer.call(10 + i, answer(id, 0), { value: 100 + i })).toEqual([]);
    // Only the pipelined call is answered, and the answer stays for others until the Finish.
    expect(peer.acts(end).every((line) => line.startsWith(`return ${10 + i} `))).toBe(true);
    if (i === 0) peer.call(20, answer(id, 0), { value: 110 });
    expect(peer.finish(id).every((line) => line.startsWith(`return ${10 + i} `))).toBe(true);
    peer.finish(10 + i);
    expect(peer.connection.stats().answers).toBe(0);
  }
  expect(object.seen).toEqual([100, 110]);
  expect(server.calls.map((c) => c.canceled)).toEqual([false, false, true]);
  ends(peer);
});

it("C-REL-20: our call for the pipeline alone uses ids from 2^31 up, in turn, and is over with its Finish", () => {
  const peer = new RawPeer();
  const cap = peer.remote(hosted(7));
  for (let i = 0; i < 3; i++) {
    const id = 2 ** 31 + i;
    const results = cap.call(new CallRequest(0, 1, 0, payload(i), ONLY_PROMISE_PIPELINE));
    const piped = results.pipeline([0]);
    tell(piped, 5);
    expect(peer.drain()).toEqual([
      `call ${id} import 7 method=0${i === 0 ? "" : ` value=${i}`} onlyPipeline`,
      `call 0 answer ${id}.0 method=0 value=5`,
    ]);
    results.cancel();
    expect(peer.acts(() => piped.release())).toEqual([`finish ${id} releaseResults`]);
    expect(peer.connection.stats()).toMatchObject({ questions: 1, pipelineQuestions: 0 });
    peer.returns(0);
  }
  peer.acts(() => cap.release());
  peer.done();
});

it("C-REL-21: a Return that we did not want is not looked at, and the hint not used again", () => {
  const peer = new RawPeer();
  const cap = peer.remote(hosted(7));
  const only = () => cap.call(new CallRequest(0, 1, 0, payload(1), ONLY_PROMISE_PIPELINE));
  const first = only();
  expect(peer.drain()).toEqual([`call ${2 ** 31} import 7 method=0 value=1 onlyPipeline`]);
  expect(peer.returns(2 ** 31, { caps: [hosted(8), yours(99)] })).toEqual([]);
  expect(peer.connection.stats().imports).toBe(1);
  expect(peer.acts(() => first.cancel())).toEqual([`finish ${2 ** 31} releaseResults`]);
  const second = only();
  expect(peer.drain()).toEqual(["call 0 import 7 method=0 value=1"]);
  peer.acts(() => second.cancel());
  peer.returnsTag(0, 2);
  peer.acts(() => cap.release());
  peer.done();
});

it("C-REL-22: with sendResultsTo.yourself the hint of no Return is ignored", () => {
  const peer = serving();
  expect(peer.call(1, 0, { method: 2, flags: ONLY, to: 1 })).toEqual([
    "return 1 resultsSentElsewhere",
  ]);
  peer.finish(1);
  ends(peer);
});

it("C-REL-23: with both hints the call runs, nothing is answered and nothing can be pipelined", () => {
  const peer = serving();
  const id = 2 ** 31;
  expect(peer.call(id, 0, { method: 2, value: 6, flags: ONLY | NO_PIPELINE })).toEqual([]);
  expect(peer.server.seen).toEqual([6]);
  expect(peer.call(1, answer(id, 0), { value: 7 })[0]).toMatch(/^return 1 exception failed/);
  expect(peer.server.seen).toEqual([6]);
  expect(peer.finish(id)).toEqual([]);
  peer.finish(1);
  ends(peer);
});

it("C-REL-24: a peer that neither sets nor heeds a hint is served all the same", () => {
  const peer = serving();
  // It finishes what needs no Finish, and returns what needs no Return.
  expect(peer.call(1, 0, { value: 3 })).toEqual(["return 1 results value=3 noFinish"]);
  peer.finish(1);
  const cap = peer.remote(hosted(7));
  const plain = outcome(cap.call(new CallRequest(0, 1, 0, payload(1), NO_PROMISE_PIPELINING)));
  const only = cap.call(new CallRequest(0, 1, 0, payload(2), ONLY_PROMISE_PIPELINE));
  const piped = only.pipeline([0]);
  const seen = tell(piped, 3);
  expect(peer.drain()).toEqual([
    "call 0 import 7 method=0 value=1 noPipelining",
    `call ${2 ** 31} import 7 method=0 value=2 onlyPipeline`,
    `call 1 answer ${2 ** 31}.0 method=0 value=3`,
  ]);
  expect(peer.returns(0, { value: 10, caps: [hosted(8)] })).toEqual(["finish 0"]);
  expect(peer.returns(2 ** 31, { caps: [hosted(9)] })).toEqual([]);
  expect(peer.returns(1, { value: 30 })).toEqual(["finish 1"]);
  expect([plain.value, seen.value]).toEqual([10, 30]);
  plain.release();
  only.cancel();
  piped.release();
  cap.release();
  expect(peer.drain()).toEqual([
    "release 8 x1",
    `finish ${2 ** 31} releaseResults`,
    "release 7 x1",
  ]);
  ends(peer);
});
