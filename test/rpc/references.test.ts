// Section 6, C-REF: imports, exports and the references counted between them.

import { expect, it } from "vitest";
import { limitsWith } from "../../src/base/limits.js";
import { CallRequest, type Hook } from "../../src/hook/hook.js";
import { identity } from "../../src/hook/identity.js";
import { Payload } from "../../src/hook/payload.js";
import { PromiseHook } from "../../src/hook/promise.js";
import { Content } from "../../src/wire/content.js";
import {
  call,
  content,
  type Method,
  outcome,
  payload,
  Recorder,
  tell,
} from "../support/objects.js";
import {
  answer,
  type Cap,
  hosted,
  none,
  promised,
  RawPeer,
  table,
  yours,
} from "../support/raw-peer.js";
import { World } from "../support/world.js";

/** Method 1 keeps the capabilities of its params, method 2 returns the object itself, method 3 keeps its calls open. */
function serving(options: ConstructorParameters<typeof RawPeer>[0] = {}) {
  const kept: Hook[] = [];
  const keep: Method = (c, value) => {
    for (const cap of c.params.caps) if (cap !== null) kept.push(cap.addRef());
    c.returns(payload(value));
  };
  const self: Method = (c) => c.returns(payload(0, c.self.addRef()));
  const peer = new RawPeer({
    ...options,
    methods: { 1: keep, 2: self, 3: () => {}, ...options.methods },
  });
  peer.bootstrap(99);
  peer.finish(99, false);
  /** Gives us `caps`. */
  const give = (...caps: Cap[]): Hook[] => {
    const before = kept.length;
    expect(peer.call(98, 0, { method: 1, caps })).toEqual(["return 98 results noFinish"]);
    return kept.slice(before);
  };
  return { peer, kept, give };
}

function ends(peer: RawPeer): void {
  expect(peer.over, "what ended the connection").toBe(null);
  peer.release(0);
  peer.done();
}

it("C-REF-01: each descriptor counts one reference, a Resolve counts none for its promise", () => {
  const peer = new RawPeer();
  const cap = peer.remote(hosted(7));
  const promise = new PromiseHook(peer.scheduler);
  const object = peer.object(new Recorder());
  tell(cap, 1, promise.addRef());
  expect(peer.drain()[0]).toMatch("caps=[senderPromise 0]");
  expect(peer.acts(() => promise.resolve(object.addRef()))).toEqual(["resolve 0 senderHosted 1"]);
  tell(cap, 2, object.addRef());
  expect(peer.drain()[0]).toMatch("caps=[senderHosted 1]");
  peer.release(0, 1);
  expect(peer.connection.stats().exports).toBe(1);
  peer.release(1, 1);
  expect(peer.connection.stats().exports).toBe(1);
  peer.release(1, 1);
  expect(peer.connection.stats().exports).toBe(0);
  peer.returns(0);
  peer.returns(1);
  promise.release();
  peer.acts(() => cap.release());
  peer.done();
});

it("C-REF-02: a settled capability keeps its id while the peer holds it, by whatever way it is sent", () => {
  const { peer } = serving();
  const cap = peer.remote(hosted(7));
  const object = peer.object(new Recorder());
  const promise = new PromiseHook(peer.scheduler);
  promise.resolve(object.addRef());
  tell(cap, 1, object.addRef());
  tell(cap, 2, promise.addRef());
  expect(peer.drain().map((line) => line.match(/caps.*/)![0])).toEqual([
    "caps=[senderHosted 1]",
    "caps=[senderHosted 1]",
  ]);
  peer.release(1, 2);
  peer.returns(0);
  peer.returns(1);
  promise.release();
  peer.acts(() => cap.release());
  ends(peer);
});

it("C-REF-03: one import id is one capability here, which adds up the references", () => {
  const { peer, give } = serving();
  const [a, b] = give(hosted(3), hosted(3));
  const [c] = give(hosted(3));
  expect(a === b && b === c).toBe(true);
  expect(peer.connection.stats().imports).toBe(1);
  for (const hook of [a, b, c]) hook!.release();
  expect(peer.drain()).toEqual(["release 3 x3"]);
  ends(peer);
});

it("C-REF-04: the last reference dropped sends one Release of all that was counted", () => {
  const { peer, give } = serving();
  const hooks = [...give(hosted(3)), ...give(hosted(3), hosted(3)), ...give(hosted(3))];
  for (const hook of hooks.slice(1)) expect(peer.acts(() => hook.release())).toEqual([]);
  expect(peer.acts(() => hooks[0]!.release())).toEqual(["release 3 x4"]);
  ends(peer);
});

it("C-REF-05: a descriptor that crosses with our Release begins a new import", () => {
  const { peer, give } = serving();
  const [old] = give(hosted(3), hosted(3));
  old!.release();
  expect(peer.acts(() => old!.release())).toEqual(["release 3 x2"]);
  const [fresh] = give(hosted(3));
  expect(fresh).not.toBe(old);
  tell(fresh!, 5);
  expect(peer.drain()).toEqual(["call 0 import 3 method=0 value=5"]);
  peer.returns(0);
  expect(peer.acts(() => fresh!.release())).toEqual(["release 3 x1"]);
  ends(peer);
});

it("C-REF-06: an id that is free again may name another object", () => {
  const { peer, give } = serving();
  const cap = peer.remote(hosted(7));
  const one = new Recorder();
  const two = new Recorder();
  tell(cap, 1, peer.object(one).addRef());
  expect(peer.drain()[0]).toMatch("senderHosted 1");
  peer.release(1, 1);
  tell(cap, 2, peer.object(two).addRef());
  expect(peer.drain()[0]).toMatch("senderHosted 1");
  peer.call(1, 1, { value: 5 });
  expect([one.seen, two.seen]).toEqual([[], [5]]);
  peer.release(1, 1);
  peer.returns(0);
  peer.returns(1);
  // And theirs: a capability that was released is not mistaken for the new one under its id.
  const [old] = give(hosted(3));
  old!.release();
  peer.drain();
  const [fresh] = give(hosted(3));
  expect(identity(old!, fresh!)).not.toBe("same");
  fresh!.release();
  cap.release();
  peer.drain();
  ends(peer);
});

it.each([
  ["more than it has", 0, 3],
  ["an unknown export", 5, 1],
])("C-REF-07: a Release of %s aborts", (_, id, count) => {
  const { peer } = serving();
  peer.aborted(peer.release(id, count), `export ${id}`);
});

it("C-REF-08: a Release of no reference changes nothing", () => {
  const { peer } = serving();
  expect(peer.release(0, 0)).toEqual([]);
  expect(peer.call(1, 0, { value: 4 })).toEqual(["return 1 results value=4 noFinish"]);
  ends(peer);
});

it("C-REF-09: counts beyond 32 bits do not wrap, and are released in pieces that fit", () => {
  const { peer, give } = serving();
  const [hook] = give(hosted(3));
  peer.connection.state.imports.get(3)!.wireRefs = 2 ** 32 + 4;
  give(hosted(3))[0]!.release();
  expect(peer.acts(() => hook!.release())).toEqual(["release 3 x4294967295", "release 3 x6"]);
  peer.connection.state.exports.get(0)!.refs = 2 ** 32 - 1;
  peer.call(1, 0, { method: 2 });
  peer.finish(1, false);
  peer.release(0, 2 ** 32 - 1);
  expect(peer.connection.stats().exports).toBe(1);
  ends(peer);
});

it("C-REF-10: an object that is released while it runs a call lives until that call ends", () => {
  const { peer } = serving();
  const cap = peer.remote(hosted(7));
  const object = new Recorder({ 3: () => {} });
  const hook = peer.object(object);
  tell(cap, 1, hook);
  peer.drain();
  peer.call(1, 0);
  peer.call(2, 1, { method: 3 });
  expect(hook.refCount).toBe(1);
  peer.release(1);
  expect([hook.refCount, object.droppedTimes]).toEqual([0, 0]);
  expect(peer.acts(() => object.calls[0]!.returns(payload(6)))).toEqual([
    "return 2 results value=6 noFinish",
  ]);
  expect(object.droppedTimes).toBe(1);
  peer.returns(0);
  peer.acts(() => cap.release());
  ends(peer);
});

it("C-REF-11: a message that cannot be written takes back every reference it counted", () => {
  const { peer } = serving({
    limits: limitsWith({ messageWords: 64 }),
    methods: { 4: (c) => c.returns(new Payload(huge, [object.addRef(), promise.addRef()])) },
  });
  const huge = new Content(new Uint8Array(1024));
  const object = peer.object(new Recorder());
  const promise = new PromiseHook(peer.scheduler);
  const cap = peer.remote(hosted(7));
  const seen = outcome(
    cap.call(new CallRequest(0, 1, 0, new Payload(huge, [object.addRef(), promise.addRef()]))),
  );
  expect(peer.drain()).toEqual([]);
  expect(seen.error?.code).toBe("message-too-large");
  expect(peer.connection.stats()).toMatchObject({ exports: 1, questions: 0 });
  expect(peer.call(1, 0, { method: 4 })[0]).toMatch(/^return 1 exception failed ".*a message of/);
  peer.finish(1);
  expect(peer.connection.stats()).toMatchObject({ exports: 1, answers: 0 });
  // The promise is not watched either: nothing is announced.
  expect(peer.acts(() => promise.resolve(object.addRef()))).toEqual([]);
  promise.release();
  peer.acts(() => cap.release());
  ends(peer);
});

it("C-REF-12: a capability twice in one payload balances when it is released", () => {
  const world = new World({
    a: {},
    b: { 1: (c) => c.returns(payload(0, c.self.addRef(), c.self.addRef())) },
  });
  const cap = world.bootstrap("a", "b");
  const object = world.object("a", new Recorder());
  const seen = outcome(call(cap, 1, 1, object.addRef(), object.addRef()));
  world.settle();
  expect(seen.caps[0]).toBe(seen.caps[1]);
  seen.caps[0]!.addRef();
  seen.release();
  world.settle();
  tell(seen.caps[0]!, 5);
  world.settle();
  expect(world.servers["b"]!.seen).toEqual([1, 5]);
  seen.caps[0]!.release();
  world.end();
});

it("C-REF-13: two pointers to one slot are one reference on the wire and two handles here", () => {
  const { peer } = serving();
  const cap = peer.remote(hosted(7));
  const both = content(1, 2);
  both.bytes[28] = 0; // The second pointer names slot 0 too.
  const results = call(cap, 0, 1);
  const first = results.pipeline([0]);
  const second = results.pipeline([1]);
  peer.drain();
  expect(peer.returns(0, { content: both, caps: [hosted(3)] })).toEqual(["finish 0"]);
  expect(first.resolved()).toBe(second.resolved());
  results.cancel();
  expect(peer.acts(() => first.release())).toEqual([]);
  tell(second, 5);
  expect(peer.drain()).toEqual(["call 0 import 3 method=0 value=5"]);
  peer.returns(0);
  expect(peer.acts(() => second.release())).toEqual(["release 3 x1"]);
  peer.acts(() => cap.release());
  ends(peer);
});

it("C-REF-14: slots that the content does not name count, and are released with the payload", () => {
  const { peer } = serving();
  expect(
    peer.call(1, 0, { method: 3, content: content(1, 0), caps: [hosted(3), promised(4)] }),
  ).toEqual([]);
  expect(peer.connection.stats().imports).toBe(2);
  expect(peer.acts(() => peer.server.calls[0]!.returns())).toEqual([
    "return 1 results noFinish",
    "release 3 x1",
    "release 4 x1",
  ]);
  ends(peer);
});

it("C-REF-15: a slot of kind none is the null capability", () => {
  const { peer } = serving();
  const cap = peer.remote(hosted(7));
  const results = call(cap, 0, 1);
  const piped = results.pipeline([0]);
  const seen = outcome(results);
  peer.drain();
  peer.returns(0, { caps: [none] });
  expect(seen.caps).toEqual([null]);
  const failed = tell(piped, 1);
  expect(peer.drain()).toEqual([]);
  expect(failed.error).toMatchObject({ type: "failed", code: "null-capability" });
  piped.release();
  peer.acts(() => cap.release());
  ends(peer);
});

it("C-REF-16: our own object comes home as itself, and no count changes", () => {
  const { peer, give } = serving();
  const cap = peer.remote(hosted(7));
  const object = peer.object(new Recorder());
  tell(cap, 1, object.addRef());
  peer.drain();
  const [home] = give(yours(1));
  expect(home).toBe(object);
  expect(identity(home!, object)).toBe("same");
  expect(peer.acts(() => home!.release())).toEqual([]);
  expect(peer.connection.state.exports.get(1)!.refs).toBe(1);
  peer.returns(0, { releaseParams: true });
  peer.acts(() => cap.release());
  ends(peer);
});

it("C-REF-17: an import goes back to its host as its own, and our Release follows behind it", () => {
  const { peer, give } = serving();
  const cap = peer.remote(hosted(7));
  const [theirs] = give(hosted(3));
  const results = call(cap, 0, 1, theirs!);
  expect(peer.drain()).toEqual([
    "call 0 import 7 method=0 value=1 caps=[receiverHosted 3]",
    "release 3 x1",
  ]);
  peer.returns(0);
  results.cancel();
  peer.acts(() => cap.release());
  ends(peer);
});

it("C-REF-18: what is passed back but not there breaks in its slot alone", () => {
  const { peer, give } = serving();
  const [a, b, c] = give(yours(44), answer(55, 0), yours(0));
  const broken = [tell(a!, 1), tell(b!, 2)];
  const fine = tell(c!, 3);
  peer.drain();
  expect(broken.map((one) => one.error?.code)).toEqual([
    "invalid-capability",
    "answer-unavailable",
  ]);
  expect(fine.value).toBe(3);
  for (const hook of [a, b, c]) hook!.release();
  expect(peer.over).toBe(null);
  ends(peer);
});

it.each(["Call", "Return"])(
  "C-REF-19: an unknown kind of descriptor in a %s aborts, and leaves nothing behind",
  (what) => {
    const { peer } = serving();
    const cap = peer.remote(hosted(7));
    tell(cap, 1, peer.object(new Recorder()).addRef());
    peer.drain();
    const caps = table([yours(1), hosted(3), { kind: 9, id: 1, path: [] }]);
    const lines = peer.send((w) =>
      what === "Call"
        ? w.call(1, 0, 0, [], 0, 0x7e57, 0, 0, 0, content(0), caps)
        : w.returnResults(0, false, false, content(0), caps),
    );
    cap.release();
    peer.aborted(lines, "a capability descriptor of unknown kind 9");
  },
);

it("C-REF-20: an import passed on to another peer is held until that peer releases it", () => {
  const kept: Hook[] = [];
  const keep: Method = (c) => {
    kept.push(c.params.caps[0]!.addRef());
    c.returns();
  };
  const world = new World({
    a: { 1: (c) => c.returns(payload(0, object.addRef())) },
    b: {},
    c: { 1: keep },
  });
  const recorder = new Recorder();
  const object = world.object("a", recorder);
  const seen = outcome(call(world.bootstrap("b", "a"), 1, 0));
  world.settle();
  const passed = outcome(call(world.bootstrap("b", "c"), 1, 0, seen.caps[0]!.addRef()));
  seen.release();
  world.settle();
  expect(passed.settled).toBe(true);
  expect(world.log.some((line) => line.startsWith("b>a release 1 "))).toBe(false);
  tell(kept[0]!, 5);
  world.settle();
  expect(recorder.seen).toEqual([5]);
  kept[0]!.release();
  world.settle();
  expect(
    world.log.filter((line) => line.includes("> release") || line.includes("release 1 ")),
  ).toContain("b>a release 1 x1");
  world.end();
});

it("C-REF-21: an import passed on again and again is one export there", () => {
  const world = new World({ a: {}, b: {}, c: { 1: () => {} } });
  const a = world.bootstrap("b", "a");
  const c = world.bootstrap("b", "c");
  world.settle();
  const calls = [1, 2, 3].map((i) => call(c, 1, i, a.addRef(), a.addRef()));
  world.settle();
  expect(world.vat("b").to("c").stats().exports).toBe(1);
  expect(world.vat("b").to("c").state.exports.values()[0]!.refs).toBe(6);
  for (const one of world.servers["c"]!.calls) one.returns();
  world.settle();
  expect(world.vat("b").to("c").stats().exports).toBe(0);
  for (const results of calls) results.cancel();
  world.end();
});

it("C-REF-22: the tables can be counted and checked from outside, and go back to nothing", () => {
  const { peer, give } = serving();
  const cap = peer.remote(promised(7));
  const [theirs] = give(hosted(3));
  peer.call(1, 0, { method: 3 });
  tell(cap, 1, peer.object(new Recorder()).addRef());
  const pending = tell(theirs!, 2);
  peer.drain();
  peer.resolve(7, yours(1));
  const full = {
    questions: 2,
    answers: 1,
    imports: 1,
    exports: 2,
    embargoes: 1,
    pipelineQuestions: 0,
  };
  expect(peer.connection.stats()).toMatchObject(full);
  for (const table of ["question", "answer", "import", "export", "embargoes"])
    expect(peer.connection.dump()).toMatch(table);
  const held = peer.connection.state.exports.get(0)!;
  held.refs = 0;
  expect(() => peer.connection.check()).toThrow("export 0 has no reference");
  held.refs = 1;
  peer.connection.state.heldResultBytes = 1;
  expect(() => peer.connection.check()).toThrow("bytes of results");
  peer.connection.state.heldResultBytes = 0;
  peer.disembargo(1, 1, 0);
  peer.returns(0, { releaseParams: true });
  peer.returns(1);
  expect(pending.settled).toBe(true);
  theirs!.release();
  cap.release();
  peer.drain();
  peer.acts(() => peer.server.calls.at(-1)!.returns());
  peer.release(0);
  expect(peer.connection.stats()).toMatchObject({
    questions: 0,
    answers: 0,
    imports: 0,
    exports: 0,
    embargoes: 0,
    pipelineQuestions: 0,
  });
  expect(peer.connection.idle).toBe(true);
  peer.done();
});
