// What the model of test/model/ found, each as the smallest program that shows it. The programs say more than their
// titles: run one with `mesh.taps` set to see the messages. Ids and keys are explained in test/model/ops.ts.

import { expect, it } from "vitest";
import type { Hook } from "../../src/hook/hook.js";
import { Membrane } from "../../src/hook/membrane.js";
import { PromiseHook } from "../../src/hook/promise.js";
import { Mesh } from "../../src/vat/mesh.js";
import type { Ground, Op } from "../model/ops.js";
import { call, three } from "../model/kit.js";
import { replay } from "../model/shrink.js";
import { call as callOn, outcome, payload, Recorder, tell } from "../support/objects.js";

const two: Ground = { vats: 2, links: [[0, 1]], tailCalls: "always" };
const line: Ground = {
  vats: 3,
  links: [
    [0, 1],
    [1, 2],
  ],
  tailCalls: "always",
};
const bootstrap = (id: number, vat: number, peer: number): Op => ({
  op: "bootstrap",
  id,
  vat,
  peer,
});
const tail = (of: number, id: number, on: number, method: number, args: number[] = []): Op => ({
  op: "tail",
  call: of,
  id,
  on,
  method,
  args,
});
const pipeline = (of: number): Op => ({ op: "pipeline", call: of, slot: 0 });
const promise = (id: number, vat: number): Op => ({ op: "promise", id, vat });
const resolve = (of: number, to: number): Op => ({ op: "resolve", promise: of, to });
const deliver = (from: number, to: number): Op => ({ op: "deliver", from, to });
const give = (of: number, ...caps: number[]): Op => ({ op: "answer", call: of, caps });
const drop = (of: number): Op => ({ op: "drop", call: of, response: true, pipeline: true });
const settle: Op = { op: "settle" };

it("C-EMB-25: a call that waits for a promise, and passes that promise on, lets nobody overtake what waits behind it", () => {
  replay(line, [
    bootstrap(4, 2, 1),
    call(6, 38, 4, [38], 7),
    promise(9, 2),
    call(8, 38, 0, [78, 78, 78]),
    promise(14, 1),
    { op: "object", id: 17, vat: 2 },
    resolve(9, 142),
    settle,
    promise(28, 1),
    give(7, 230),
    call(34, 118, 0),
    call(40, 230, 3, [118], 41),
    resolve(14, 56),
    resolve(28, 69),
  ]);
});

it("C-EMB-20: calls on a promise of ours that came home stay behind those that still go round by what it was announced as", () => {
  replay({ ...line, tailCalls: "observed" }, [
    bootstrap(1, 0, 1),
    bootstrap(2, 1, 0),
    promise(6, 0),
    call(5, 14, 3, [14, 54], 7),
    deliver(0, 1),
    call(16, 14, 7, [], 17),
    deliver(1, 0),
    deliver(1, 0),
    pipeline(16),
    pipeline(5),
    deliver(0, 1),
    call(24, 40, 0),
    deliver(1, 0),
    call(33, 40, 0),
    deliver(0, 1),
    resolve(6, 128),
    resolve(17, 22),
  ]);
});

it("C-RES-21: that a pipelined capability was called through counts for the promise in its place, though it was dropped", () => {
  replay(two, [
    bootstrap(1, 0, 1),
    bootstrap(2, 1, 0),
    deliver(0, 1),
    call(6, 14, 7, [], 7),
    pipeline(6),
    deliver(0, 1),
    resolve(7, 22),
    deliver(1, 0),
    call(10, 48, 0),
    { op: "release", ref: 48 },
    deliver(1, 0),
    deliver(1, 0),
    deliver(1, 0),
    call(18, 48, 0),
  ]);
});

it("C-RES-16: a promise that resolves to one that went to its host and came back is announced when that resolves", () => {
  replay(three, [
    bootstrap(1, 0, 1),
    bootstrap(3, 1, 2),
    bootstrap(5, 0, 2),
    call(12, 14, 0, [46]),
    settle,
    call(18, 99, 0, [30]),
    settle,
    promise(22, 2),
    call(21, 147, 0, [14, 182]),
    settle,
    { op: "watch", ref: 172, id: 35 },
    promise(44, 1),
    call(43, 99, 0, [14, 358, 358]),
    settle,
    resolve(22, 349),
  ]);
});

it("C-LIF-02: a way into an answer that is over names nothing, even when its id is used again", () => {
  const wrong = new Recorder();
  const kept: Hook[] = [];
  const server = new Recorder({
    1: (c) => c.returns(payload(0, c.params.caps[0]!.addRef())),
    2: (c) => (kept.push(c.params.caps[0]!.addRef()), c.returns()),
    3: () => {},
  });
  const mesh = new Mesh();
  const b = mesh.vat("b");
  Object.assign(b.options, { bootstrap: server.hook(b.scheduler) });
  const a = mesh.vat("a");
  mesh.link("a", "b");
  const cap = a.to("b").bootstrap();
  mesh.settle();
  const promise = new PromiseHook(a.scheduler);
  const over = callOn(cap, 0, 1);
  const piped = over.pipeline([0]);
  const back = outcome(callOn(cap, 1, 2, promise.addRef()));
  mesh.drain();
  promise.resolve(piped); // announced as the way into an answer
  over.observe({ immediate: false, resultsSettled: (results) => results.cancel() });
  mesh.settle(); // which has no capability, so that the question is freed
  const again = [3, 4, 5].map((value) => outcome(callOn(cap, 3, value)));
  outcome(callOn(cap, 2, 6, back.caps[0]!.addRef()));
  mesh.settle();
  const told = tell(kept[0]!, 7);
  for (const c of server.calls)
    if (c.methodId === 3) c.returns(payload(0, wrong.hook(b.scheduler)));
  mesh.settle();
  expect(wrong.seen).toEqual([]);
  expect(told.error).not.toBe(null);
  for (const one of [...again, back, ...kept, promise, cap]) one.release();
  mesh.settle();
  mesh.assertEmpty();
});

it("C-RES-11: a promise resolved to itself breaks, though it went to a peer and came back, or through a membrane", () => {
  const mesh = new Mesh();
  const kept: Hook[] = [];
  const server = new Recorder({ 1: (c) => c.returns(payload(0, c.params.caps[0]!.addRef())) });
  const b = mesh.vat("b");
  Object.assign(b.options, { bootstrap: server.hook(b.scheduler) });
  const a = mesh.vat("a");
  mesh.link("a", "b");
  const cap = a.to("b").bootstrap();
  const membrane = new Membrane({}, a.scheduler);
  for (const around of ["peer", "membrane"]) {
    const promise = new PromiseHook(a.scheduler);
    if (around === "membrane") kept.push(membrane.wrap(promise));
    else {
      const seen = outcome(callOn(cap, 1, 0, promise.addRef()));
      mesh.settle();
      kept.push(seen.caps[0]!);
    }
    const told = tell(promise, 1);
    promise.resolve(kept.pop()!);
    mesh.settle();
    expect(promise.brokenBy?.code).toBe("promise-cycle");
    expect(told.error?.code).toBe("promise-cycle");
    promise.release();
  }
  cap.release();
  mesh.settle();
  mesh.assertEmpty();
});

it("C-TAI-08: a tail call adopted for nothing but its pipeline goes on for calls that are still on their way", () => {
  replay(two, [
    bootstrap(1, 0, 1),
    bootstrap(3, 1, 0),
    call(5, 14, 0, [14]),
    settle,
    call(13, 43, 2, [43], 14),
    call(17, 14, 4, [14], 18),
    call(19, 30, 0),
    pipeline(13),
    settle,
    drop(13),
    tail(19, 21, 14, 0),
    settle,
    give(21),
    call(41, 104, 0),
    call(42, 30, 7, [], 43),
    settle,
    tail(18, 49, 43, 0),
    give(49, 336),
    tail(14, 52, 144, 0),
    settle,
    resolve(43, 14),
    deliver(0, 1),
    deliver(0, 1),
    give(52, 144),
  ]);
});

it("C-TAI-04: what is pipelined on a tail call is no promise to wait for: nobody here is told how it resolves", () => {
  replay(two, [
    bootstrap(1, 0, 1),
    { op: "object", id: 6, vat: 0 },
    call(5, 14, 2, [54], 7),
    pipeline(5),
    call(8, 14, 0, [40, 40]),
    settle,
    { op: "fail", call: 7 },
    settle,
    { op: "watch", ref: 68, id: 23 },
  ]);
});

it("C-REL-19: a call without a Return ends by no tail call, since no Return could say whose results to take", () => {
  replay(three, [
    bootstrap(4, 2, 1),
    bootstrap(6, 2, 0),
    call(25, 38, 3, [54], 26, "pipelineOnly"),
  ]);
});

it("C-FLO-17: a capability that is given back behind calls withheld does not pass them", () => {
  replay({ ...three, tight: true }, [
    bootstrap(2, 1, 0),
    bootstrap(3, 1, 2),
    bootstrap(5, 0, 2),
    bootstrap(6, 2, 0),
    call(10, 46, 0, [], 0, "pipelineOnly"),
    call(15, 30, 0, [22, 22, 22]),
    settle,
    call(37, 54, 4, [125], 38),
    settle,
    call(52, 296, 0),
  ]);
});

it("C-PIP-07: an embargo on results whose pipeline was set before is echoed by what the Return said", () => {
  replay(three, [
    bootstrap(1, 0, 1),
    bootstrap(5, 0, 2),
    call(16, 46, 0, [14, 14]),
    pipeline(16),
    settle,
    call(27, 128, 0),
    { op: "early", call: 16, caps: [132] },
  ]);
});

it("C-EMB-26: what was withheld when the connection is lost is lost as a whole, though a later call is still needed", () => {
  replay({ ...two, tight: true }, [
    bootstrap(1, 0, 1),
    call(7, 14, 0),
    promise(11, 0),
    call(10, 14, 0),
    call(14, 14, 0, [94]),
    pipeline(14),
    resolve(11, 112),
    settle,
    { op: "cut", a: 0, b: 1 },
  ]);
});

it("C-EMB-18, C-RES-19: a path into our answer that the peer resolves to leads on where the Return says, not where its promise goes", () => {
  replay({ ...three, tailCalls: "always" }, [
    bootstrap(2, 1, 0),
    promise(18, 1),
    call(23, 150, 0, [150, 150, 150]),
    pipeline(23),
    settle,
    call(37, 22, 3, [184], 38, "pipelineOnly"),
    { op: "resolve", promise: 18, to: 22, more: true },
    call(59, 22, 0),
    deliver(1, 0),
    deliver(1, 0),
    deliver(1, 0),
    deliver(1, 0),
    { op: "answer", call: 23, caps: [189] },
    call(73, 299, 0),
  ]);
});

it("C-EMB-25: such a path is a promise until the calls that waited in it are made: what is passed on meanwhile is not called before", () => {
  replay(line, [
    bootstrap(3, 1, 2),
    bootstrap(4, 2, 1),
    promise(9, 2),
    call(7, 38, 7, [30, 78, 78], 10),
    promise(15, 2),
    settle,
    call(25, 61, 0),
    call(29, 78, 7, [], 30),
    pipeline(29),
    call(33, 126, 0),
    call(39, 78, 3, [126], 40),
    resolve(9, 56),
    resolve(15, 232),
    settle,
    resolve(10, 30),
    settle,
    resolve(30, 38),
  ]);
});

it("C-FLO-17, C-RES-18: calls withheld on one promise by two of its names go the same way, where the peer was told that it leads", () => {
  replay({ ...two, tight: true }, [
    bootstrap(1, 0, 1),
    bootstrap(2, 1, 0),
    call(3, 14, 7, [], 4),
    { op: "call", id: 11, on: 22, method: 7, args: [], child: 12, then: 13 },
    pipeline(11),
    call(18, 88, 0),
    call(21, 88, 0),
    settle,
    resolve(4, 22),
    resolve(12, 24),
  ]);
});

it("C-FLO-17: the same round through three vats, behind a call that waits for the promise itself", () => {
  replay({ ...three, tight: true }, [
    bootstrap(2, 1, 0),
    promise(8, 1),
    call(7, 22, 7, [], 9),
    call(10, 22, 0, [70, 22, 70]),
    pipeline(7),
    call(16, 56, 0),
    settle,
    call(49, 56, 0),
    settle,
    resolve(9, 85),
    resolve(8, 22),
  ]);
});

it("C-EMB-26: what a lost peer had asked for is given up from the latest call on: none arrives behind one that was canceled", () => {
  replay({ ...three, tight: true }, [
    bootstrap(2, 1, 0),
    bootstrap(3, 1, 2),
    bootstrap(4, 2, 1),
    call(8, 22, 7, [], 9),
    call(14, 22, 4, [22], 15),
    call(16, 38, 0),
    call(17, 30, 0, [22]),
    settle,
    call(22, 38, 1),
    { op: "answer", call: 16, caps: [30] },
    settle,
    call(34, 64, 0, [14]),
    { op: "call", id: 47, on: 128, method: 1, args: [139], child: 0, then: 48 },
    call(50, 376, 0),
    { op: "answer", call: 15, caps: [] },
    settle,
    { op: "pipeline", call: 15, slot: 2 },
    { op: "cut", a: 1, b: 2 },
    deliver(1, 0),
    resolve(9, 122),
  ]);
});

it("a path into our answer that leads nowhere, since its pipeline was set without it, resolves all the same", () => {
  replay({ ...two, tailCalls: "never" }, [
    promise(3, 0),
    call(4, 30, 0, [30, 30]),
    promise(21, 1),
    bootstrap(23, 1, 0),
    { op: "object", id: 25, vat: 1 },
    resolve(21, 206),
    call(37, 190, 0, [30, 174], 0, "noPipeline"),
    settle,
    resolve(3, 300),
    settle,
    call(94, 36, 2, [174], 96),
    call(157, 30, 7, [], 158),
    settle,
    { op: "watch", ref: 1256, id: 182 },
    call(183, 190, 0),
    call(218, 30, 2, [30], 220),
    { op: "pipeline", call: 218, slot: 2 },
    settle,
    { op: "early", call: 220, caps: [30] },
    { op: "early", call: 183, caps: [30, 30, 1746] },
    { op: "answer", call: 183, caps: [] },
    settle,
    { op: "answer", call: 96, caps: [30, 1466] },
    resolve(158, 753),
  ]);
});

it("C-PIP-07: results that name an object by another promise than the pipeline set before agree with it, as far as is known", () => {
  replay(three, [
    bootstrap(1, 0, 1),
    bootstrap(5, 0, 2),
    bootstrap(6, 2, 0),
    call(7, 14, 0, [46]),
    settle,
    { op: "wrap", id: 18, ref: 54 },
    call(23, 150, 7, [], 24),
    call(37, 59, 0),
    pipeline(37),
    pipeline(23),
    call(42, 296, 0),
    deliver(2, 0),
    deliver(1, 0),
    deliver(0, 2),
    deliver(0, 2),
    { op: "early", call: 37, caps: [184] },
    { op: "answer", call: 37, caps: [] },
  ]);
});

it("C-EMB-26: what a lost peer asked for and was passed on has its turn: a call that waits behind it is not made without it", () => {
  replay({ ...three, tailCalls: "never", tight: true }, [
    bootstrap(2, 1, 0),
    bootstrap(3, 1, 2),
    call(7, 30, 0),
    { op: "call", id: 14, on: 22, method: 1, args: [30], child: 0, then: 15 },
    pipeline(14),
    call(32, 112, 0),
    settle,
    { op: "cut", a: 0, b: 1 },
  ]);
});
