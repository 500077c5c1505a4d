// Section 9, C-PIP: calls on results that are not there yet.

import { expect, it } from "vitest";
import { RpcError } from "../../src/base/errors.js";
import type { Hook } from "../../src/hook/hook.js";
import type { LocalCall } from "../../src/hook/local.js";
import { Payload } from "../../src/hook/payload.js";
import { PromiseHook } from "../../src/hook/promise.js";
import type { Results } from "../../src/hook/results.js";
import type { MessageWriter } from "../../src/wire/message-writer.js";
import { call, content, outcome, payload, Recorder, tell } from "../support/objects.js";
import { answer, hosted, none, NULL, ServedPeer, table } from "../support/raw-peer.js";
import { World } from "../support/world.js";

/** Sends a message whose one pipeline step, "pointer 9", becomes `step`, its two halves a tag and an index. */
function withStep(
  peer: ServedPeer,
  write: (w: MessageWriter) => void,
  tag: number,
  index = 0,
): string[] {
  return peer.send(write, (message) => {
    const view = new DataView(message.buffer);
    let at = 0;
    while (view.getUint32(at, true) !== (1 | (9 << 16))) at += 4;
    view.setUint16(at, tag, true);
    view.setUint16(at + 2, index, true);
  });
}

it("C-PIP-01: calls on an answer that is not there yet wait, and arrive in order at what it brings", () => {
  const peer = new ServedPeer();
  const recorder = new Recorder();
  const object = peer.object(recorder);
  peer.call(1, 0, { method: 3 });
  for (const i of [1, 2, 3]) expect(peer.call(10 + i, answer(1, 0), { value: i })).toEqual([]);
  expect(peer.acts(() => peer.server.calls[0]!.returns(payload(0, object.addRef())))).toEqual([
    "return 1 results caps=[senderHosted 1]",
    "return 11 results value=1 noFinish",
    "return 12 results value=2 noFinish",
    "return 13 results value=3 noFinish",
  ]);
  expect(recorder.seen).toEqual([1, 2, 3]);
  peer.finish(1);
  peer.ends();
});

it("C-PIP-02: a path is the pointers in it, noops left out, and equal paths are one capability", () => {
  const peer = new ServedPeer();
  const cap = peer.remote(hosted(7));
  const results = call(cap, 0, 0);
  const one = results.pipeline([3, 1]);
  const same = results.pipeline([3, 1]);
  const other = results.pipeline([1, 3]);
  expect(one === same && one !== other).toBe(true);
  tell(one, 1);
  tell(other, 2);
  expect(peer.drain()).toEqual([
    "call 0 import 7 method=0",
    "call 1 answer 0.3.1 method=0 value=1",
    "call 2 answer 0.1.3 method=0 value=2",
  ]);
  for (const hook of [one, same, other]) hook.release();
  results.cancel();
  peer.drain();
  for (const id of [0, 1, 2]) peer.returnsTag(id, id === 0 ? 2 : 0);
  // The peer's path: noop, pointer 0.
  const recorder = new Recorder();
  const object = peer.object(recorder);
  peer.call(1, 0, { method: 3 });
  peer.call(2, answer(1, 0), { value: 1 });
  const write = (w: MessageWriter) =>
    w.call(3, 1, 1, [9, 0], 0, 0x7e57, 0, 0, 0, content(2), table([]));
  expect(withStep(peer, write, 0)).toEqual([]);
  peer.call(4, answer(1, 0), { value: 3 });
  peer.acts(() => peer.server.calls[0]!.returns(payload(0, object.addRef())));
  expect(recorder.seen).toEqual([1, 2, 3]);
  peer.finish(1);
  peer.acts(() => cap.release());
  peer.ends();
});

it("C-PIP-03: a path through a pointer that is null is the null capability", () => {
  const peer = new ServedPeer();
  const object = peer.object(new Recorder());
  for (const [id, path] of [
    [1, [5]],
    [2, [1]],
    [3, [1, 2]],
  ] as const) {
    peer.call(id, 0, { method: 3 });
    peer.call(10 + id, answer(id, ...path));
    const results = new Payload(content(0, 2), [object.addRef()]);
    results.content.bytes.fill(0, 24);
    expect(peer.acts(() => peer.server.calls.at(-1)!.returns(results))).toEqual([
      `return ${id} results caps=[senderHosted 1]`,
      `return ${10 + id} exception failed "called a null capability: nothing was put in that field"`,
    ]);
    expect(peer.call(20 + id, answer(id, ...path))[0]).toMatch("called a null capability");
    for (const q of [id, 10 + id, 20 + id]) peer.finish(q);
  }
  // On our side too.
  const cap = peer.remote(hosted(7));
  const results = call(cap, 0, 0);
  const piped = results.pipeline([1]);
  results.cancel();
  peer.drain();
  peer.returns(0, { content: NULL, caps: [none] });
  const seen = tell(piped, 1);
  peer.drain();
  expect(seen.error).toMatchObject({ type: "failed", code: "null-capability" });
  piped.release();
  peer.acts(() => cap.release());
  peer.ends();
});

it("C-PIP-04: a path that ends at no capability fails; one into an exception fails with that exception", () => {
  const peer = new ServedPeer();
  peer.call(1, 0, { method: 3 });
  peer.call(2, answer(1));
  const object = peer.object(new Recorder());
  expect(peer.acts(() => peer.server.calls[0]!.returns(payload(0, object.addRef())))[1]).toMatch(
    /^return 2 exception failed "the root of the content is not a capability"/,
  );
  expect(peer.call(3, answer(1, 0, 0))[0]).toMatch(
    /^return 3 exception failed ".*is not a struct"/,
  );
  peer.call(4, 0, { method: 3 });
  peer.call(5, answer(4, 0));
  const error = new RpcError("overloaded", "method-failed", "too much");
  expect(peer.acts(() => peer.server.calls[1]!.fails(error))).toEqual([
    'return 4 exception overloaded "too much"',
    'return 5 exception overloaded "too much"',
  ]);
  for (const id of [1, 2, 3, 4, 5]) peer.finish(id);
  peer.ends();
});

it("C-PIP-05: calls on a failed answer get its exception for as long as it is not finished", () => {
  const peer = new ServedPeer();
  peer.call(1, 0, { method: 3 });
  peer.acts(() =>
    peer.server.calls[0]!.fails(new RpcError("overloaded", "method-failed", "too much")),
  );
  expect(peer.call(2, answer(1, 0))).toEqual(['return 2 exception overloaded "too much"']);
  expect(peer.call(3, answer(2, 4))).toEqual(['return 3 exception overloaded "too much"']);
  peer.finish(1);
  expect(peer.call(4, answer(1, 0))[0]).toMatch(
    /^return 4 exception failed "question 1 is not open/,
  );
  for (const id of [2, 3, 4]) peer.finish(id);
  peer.ends();
});

it("C-PIP-06: an operation that is not known is never ignored", () => {
  const peer = new ServedPeer();
  const object = peer.object(new Recorder());
  peer.call(1, 0, { method: 3 });
  peer.acts(() => peer.server.calls[0]!.returns(payload(0, object.addRef())));
  const target = (w: MessageWriter) =>
    w.call(2, 1, 1, [0, 9], 0, 0x7e57, 0, 0, 0, content(5), table([]));
  expect(withStep(peer, target, 7)[0]).toMatch(
    /^return 2 exception unimplemented "the path to this capability/,
  );
  const param = (w: MessageWriter) =>
    w.call(3, 0, 0, [], 0, 0x7e57, 1, 0, 0, content(0, 1), table([answer(1, 0, 9)]));
  expect(withStep(peer, param, 7)).toEqual(["return 3 results noFinish"]);
  const seen = tell(peer.kept[0]!, 1);
  peer.drain();
  expect(seen.error?.type).toBe("unimplemented");
  const disembargo = (w: MessageWriter) => w.disembargo(1, 1, [0, 9], 0, 4);
  expect(withStep(peer, disembargo, 7)).toEqual([
    "unimplemented disembargo senderLoopback 4 answer 1.0",
  ]);
  peer.kept[0]!.release();
  peer.finish(1);
  peer.finish(2);
  peer.ends();
});

it("C-PIP-07: a pipeline set early takes calls before the Return, and results that disagree break", () => {
  const peer = new ServedPeer();
  const [one, two] = [new Recorder(), new Recorder()];
  const [first, second] = [peer.object(one), peer.object(two)];
  peer.call(1, 0, { method: 3 });
  peer.call(2, answer(1, 0), { value: 1 });
  const made = peer.server.calls[0]!;
  expect(
    peer.acts(() => made.setPipeline(payload(0, first.addRef(), first.addRef(), first.addRef()))),
  ).toEqual(["return 2 results value=1 noFinish"]);
  expect(peer.call(3, answer(1, 0), { value: 2 })).toEqual(["return 3 results value=2 noFinish"]);
  // The results agree about field 1 only; field 0 was used, so it stays, and field 2 breaks.
  peer.acts(() => made.returns(payload(0, second.addRef(), first.addRef(), second.addRef())));
  for (let i = 0; i < 2; i++) {
    expect(peer.call(4, answer(1, 0), { value: 3 + i })).toEqual([
      `return 4 results value=${3 + i} noFinish`,
    ]);
    expect(peer.call(5, answer(1, 1), { value: 5 + i })).toEqual([
      `return 5 results value=${5 + i} noFinish`,
    ]);
    expect(peer.call(6, answer(1, 2), { value: 9 })[0]).toMatch(
      /^return 6 exception failed "the results name another/,
    );
    peer.finish(6);
  }
  expect([one.seen, two.seen]).toEqual([[1, 2, 3, 5, 4, 6], []]);
  peer.finish(1);
  peer.ends();
});

it("C-PIP-07: calls that wait in an early promise come before those on what the results name in its place", () => {
  for (const byPromise of [false, true]) {
    const peer = new ServedPeer();
    const recorder = new Recorder();
    const object = peer.object(recorder);
    const scheduler = object.scheduler;
    const early = new PromiseHook(scheduler);
    const other = new PromiseHook(scheduler);
    peer.call(1, 0, { method: 3 });
    peer.call(2, answer(1, 0), { value: 1 });
    const made = peer.server.calls[0]!;
    expect(peer.acts(() => made.setPipeline(payload(0, early.addRef())))).toEqual([]);
    const named = byPromise ? other : object;
    expect(peer.acts(() => made.returns(payload(0, named.addRef())))).toEqual([
      "return 1 results caps=[senderPromise 1]",
    ]);
    expect(peer.call(3, 1, { value: 2 })).toEqual([]);
    expect(peer.call(4, answer(1, 0), { value: 3 })).toEqual([]);
    peer.acts(() => other.resolve(object.addRef()));
    peer.acts(() => early.resolve(object.addRef()));
    expect(recorder.seen).toEqual([1, 2, 3]);
    for (const hook of [early, other]) hook.release();
    peer.finish(1);
    peer.release(2);
    peer.ends();
  }
});

it("C-PIP-08: pipelining on a call that is passed on is passed on too, at once", () => {
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
  const results = call(proxied.caps[0]!, 1, 5);
  const piped = results.pipeline([2]);
  tell(piped, 6);
  const said = world.log.length;
  world.settle();
  // No answer has come from c, and both calls are there.
  expect(world.log.slice(said)).toEqual([
    "a>b call 1 import 1 method=1 value=5",
    "b>c call 0 import 0 method=1 value=5",
    "a>b call 0 answer 1.2 method=0 value=6",
    "b>c call 1 answer 0.2 method=0 value=6",
  ]);
  world.servers["c"]!.calls[0]!.returns(payload(0));
  world.settle();
  results.cancel();
  piped.release();
  proxied.release();
  world.end();
});

it("C-PIP-09: a result that is passed back to its maker is found, before its Return and after it, by its path", () => {
  const peer = new ServedPeer();
  const recorder = new Recorder();
  const object = peer.object(recorder);
  peer.call(1, 0, { method: 3 });
  const [before] = peer.give(answer(1, 1));
  tell(before!, 1);
  peer.acts(() => peer.server.calls[0]!.returns(payload(0, null, object.addRef())));
  const [after] = peer.give(answer(1, 1));
  tell(after!, 2);
  tell(before!, 3);
  peer.drain();
  expect(recorder.seen).toEqual([1, 2, 3]);
  expect(after!.resolved()).toBe(object);
  expect(before!.resolved()).toBe(object);
  peer.finish(1);
  tell(before!, 4);
  peer.drain();
  expect(recorder.seen).toEqual([1, 2, 3, 4]);
  before!.release();
  after!.release();
  peer.ends();
});

it("C-PIP-10: a call on a question that was finished fails alone", () => {
  const peer = new ServedPeer();
  peer.call(1, 0, { method: 2 });
  peer.finish(1);
  expect(peer.call(2, answer(1, 0))[0]).toMatch(
    /^return 2 exception failed "question 1 is not open/,
  );
  peer.finish(2);
  expect(peer.over).toBe(null);
  peer.ends();
});

it("C-PIP-11: a chain of ten thousand pipelined calls neither overflows the stack nor takes for ever", () => {
  const DEPTH = 10_000;
  const first: LocalCall[] = [];
  const methods = {
    1: (c: LocalCall) => c.returns(payload(0, c.self.addRef())),
    2: (c: LocalCall) => void first.push(c),
    3: (c: LocalCall) => c.returns(payload(0, far.addRef())),
  };
  const world = new World({ a: {}, b: methods, c: methods });
  world.mesh.checking = false;
  const far = world.bootstrap("b", "c");
  const b = world.bootstrap("a", "b");
  world.settle();
  const proxied = outcome(call(b, 3, 0));
  world.settle();
  const chain = (start: Hook, method: number) => {
    let results: Results = call(start, method, 0);
    let hook = results.pipeline([0]);
    results.cancel();
    for (let i = 1; i < DEPTH; i++) {
      results = call(hook, 1, i);
      hook.release();
      hook = results.pipeline([0]);
      if (i < DEPTH - 1) results.cancel();
    }
    hook.release();
    return outcome(results);
  };
  // Through b to c, where it waits; at b, where it waits; at b, to be canceled; and here, in a promise.
  for (const [start, end] of [
    [proxied.caps[0]!, (c: LocalCall) => c.returns(payload(0, c.self.addRef()))],
    [b, (c: LocalCall) => c.returns(payload(0, c.self.addRef()))],
    [b, (c: LocalCall) => c.returns(payload(0, far.addRef()))],
    [b, (c: LocalCall) => c.fails(new RpcError("failed", "method-failed", "no"))],
  ] as const) {
    const seen = chain(start, 2);
    world.settle();
    expect(seen.settled).toBe(false);
    end(first.shift()!);
    world.settle();
    expect(seen.settled).toBe(true);
    seen.release();
    world.settle();
  }
  const promise = new PromiseHook(world.vat("a").scheduler);
  const queued = chain(promise, 1);
  promise.resolve(b.addRef());
  world.settle();
  expect(queued.error).toBe(null);
  queued.release();
  promise.release();
  proxied.release();
  world.end();
});

it("C-PIP-11: a chain that waits is given up from its end, however long it is", () => {
  const DEPTH = 10_000;
  const peer = new ServedPeer();
  peer.call(1, 0, { method: 3 });
  for (let id = 2; id < DEPTH; id++) {
    peer.call(id, answer(id - 1, 0));
    // The call that is pipelined on it keeps it.
    expect(peer.finish(id - 1)).toEqual([]);
  }
  const lines = peer.finish(DEPTH - 1);
  expect(peer.connection.error).toBe(null);
  expect(lines).toHaveLength(DEPTH - 1);
  expect(lines.every((line) => line.endsWith("canceled"))).toBe(true);
  expect(peer.server.calls[0]!.canceled).toBe(true);
  peer.server.calls[0]!.returns();
  peer.ends();
});

it("C-PIP-12: dropping the pipeline or the response before the Return lets go of that half alone", () => {
  const peer = new ServedPeer();
  const cap = peer.remote(hosted(7));
  // The pipeline is dropped, the response kept.
  const kept = call(cap, 0, 1);
  kept.dropPipeline();
  const seen = outcome(kept);
  expect(peer.drain()).toEqual(["call 0 import 7 method=0 value=1"]);
  expect(peer.returns(0, { value: 9, caps: [hosted(8)] })).toEqual(["finish 0"]);
  expect(seen.value).toBe(9);
  expect(peer.acts(() => seen.release())).toEqual(["release 8 x1"]);
  // The response is dropped, a pipelined capability kept.
  const dropped = call(cap, 0, 2);
  const piped = dropped.pipeline([0]);
  dropped.cancel();
  expect(peer.drain()).toEqual(["call 0 import 7 method=0 value=2"]);
  expect(peer.returns(0, { caps: [hosted(8), hosted(9)] })).toEqual(["finish 0", "release 9 x1"]);
  tell(piped, 3);
  expect(peer.drain()).toEqual(["call 0 import 8 method=0 value=3"]);
  peer.returns(0);
  expect(peer.acts(() => piped.release())).toEqual(["release 8 x1"]);
  peer.acts(() => cap.release());
  peer.ends();
});

it("C-PIP-13: calls in one vat are pipelined as calls between vats are, on unresolved promises too", () => {
  const world = new World({ a: {} });
  const recorder = new Recorder();
  const object = world.object("a", recorder);
  const here = new Recorder({ 1: (c) => c.returns(payload(1, object.addRef())), 2: () => {} });
  const hook = world.object("a", here);
  const promise = new PromiseHook(hook.scheduler);
  const results = call(promise, 1, 1);
  const piped = results.pipeline([0]);
  const twice = results.pipeline([0]);
  expect(piped).toBe(twice);
  tell(piped, 1);
  tell(piped, 2);
  world.mesh.drain();
  expect(recorder.seen).toEqual([]);
  promise.resolve(hook.addRef());
  tell(piped, 3);
  world.mesh.drain();
  expect(recorder.seen).toEqual([1, 2, 3]);
  expect(piped.resolved()).toBe(object);
  const failing = call(promise, 2, 0);
  const lost = tell(failing.pipeline([0]), 4);
  world.mesh.drain();
  here.calls.at(-1)!.fails(new RpcError("overloaded", "method-failed", "no"));
  world.mesh.drain();
  expect(lost.error).toMatchObject({ type: "overloaded", message: "no" });
  results.cancel();
  for (const one of [piped, twice, promise]) one.release();
  world.end();
});
