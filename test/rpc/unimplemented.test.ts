// Section 12, C-UNI: messages that one side does not know.

import { describe, expect, it } from "vitest";
import { RpcError } from "../../src/base/errors.js";
import type { Hook } from "../../src/hook/hook.js";
import type { LocalCall } from "../../src/hook/local.js";
import { PromiseHook } from "../../src/hook/promise.js";
import { limitsWith } from "../../src/base/limits.js";
import { Content } from "../../src/wire/content.js";
import { Descriptors } from "../../src/wire/descriptors.js";
import type { IntroductionWriter } from "../../src/wire/introduction-writer.js";
import { call, outcome, payload, Recorder, tell } from "../support/objects.js";
import { answer, hosted, promised, RawPeer, yours } from "../support/raw-peer.js";

const NO_CAPS = new Descriptors();

/** The union tag of a one-segment message. */
function retag(message: Uint8Array, tag: number): void {
  new DataView(message.buffer, message.byteOffset).setUint16(16, tag, true);
}

/** A peer that has given us its capability 7, as an object or as a promise. */
function given(isPromise = false): { peer: RawPeer; cap: Hook } {
  let cap!: Hook;
  const peer = new RawPeer({
    methods: { 9: (c: LocalCall) => ((cap = c.params.caps[0]!.addRef()), c.returns()) },
  });
  peer.bootstrap(0);
  peer.call(1, answer(0), { method: 9, caps: [isPromise ? promised(7) : hosted(7)] });
  return { peer, cap };
}

function end(peer: RawPeer, ...hooks: Hook[]): void {
  for (const hook of hooks) hook.release();
  peer.finish(0);
  peer.drain();
  peer.done();
}

describe("C-UNI-01: what we do not know is echoed whole", () => {
  for (const tag of [15, 16, 99, 65535])
    it(`C-UNI-01: message ${tag}`, () => {
      const peer = new RawPeer();
      const sent = peer.encode((w) => w.resolveCap(5, 4, 6, [1, 2, 3]));
      retag(sent, tag);
      peer.draining = false;
      peer.bytes(sent);
      peer.scheduler.drain();
      const batch = peer.connection.state.outbox.take()!;
      const echo = Uint8Array.from(batch.chunks[0]!);
      batch.release();
      peer.draining = true;
      const view = new DataView(echo.buffer);
      expect(view.getUint16(16, true)).toBe(0);
      // The inner Message follows its pointer; its words are those that were sent.
      expect(echo.subarray(32)).toEqual(sent.subarray(16));
      peer.done();
    });

  it("C-UNI-01: an abort or an unimplemented is never echoed, whatever is in it", () => {
    const unimplemented = new RawPeer();
    unimplemented.aborted(
      unimplemented.send(
        (w) => w.finish(1, true, true),
        (m) => retag(m, 0),
      ),
      /does not implement message 1/,
    );
    const abort = new RawPeer();
    expect(
      abort.send(
        (w) => w.finish(1, true, true),
        (m) => retag(m, 1),
      ),
    ).toEqual([]);
    expect(abort.over?.code).toBe("peer-aborted");
    abort.done();
  });

  it("C-UNI-01: an echo over the message limit ends the connection by name", () => {
    const peer = new RawPeer({ limits: limitsWith({ messageWords: 20 }) });
    const big = new Content(new Uint8Array([3, 0, 0, 0, 0, 0, 0, 0]));
    const lines = peer.send(
      (w) => w.call(0, 1, 0, [1, 2, 3, 4, 5, 6], 0, 0, 0, 0, 0, big, NO_CAPS),
      (m) => retag(m, 15),
    );
    peer.aborted(lines, /over the limit of 20/);
  });

  it("C-UNI-01: what cannot be copied safely is not echoed: the connection ends", () => {
    const peer = new RawPeer();
    const lines = peer.send(
      (w) => w.release(1, 1),
      (m) => {
        retag(m, 15);
        m[24] = 0xf0; // the body pointer leaves the segment
      },
    );
    peer.aborted(lines, /bounds|segment/);
  });
});

it("C-UNI-02: the echo of a Call fails it as unimplemented, gives its params back, and owes no Finish", () => {
  const { peer, cap } = given();
  const param = new Recorder();
  const results = call(cap, 3, 4, param.hook(peer.scheduler));
  const field = results.pipeline([0]);
  const piped = tell(field, 5);
  const r = outcome(results);
  expect(peer.drain()).toHaveLength(2);
  expect(
    peer.unimplemented((w) => w.call(0, 0, 7, [], 0, 0x7e57, 3, 0, 0, Content.NULL, NO_CAPS)),
  ).toEqual([]);
  expect(r.error).toMatchObject({ type: "unimplemented", code: "peer-unimplemented" });
  expect(param.droppedTimes).toBe(1);
  expect(peer.fails(1, "no such question")).toEqual(["finish 1"]);
  expect(piped.error?.message).toBe("no such question");
  const late = tell(field, 6);
  peer.drain();
  expect(late.error).toMatchObject({ type: "unimplemented" });
  // A second echo names nothing any more.
  end2(peer, cap, field);
});

function end2(peer: RawPeer, ...hooks: Hook[]): void {
  for (const hook of hooks) hook.release();
  peer.drain();
  const lines = peer.unimplemented((w) => w.bootstrap(0));
  peer.aborted(lines, /the echo of a message with question 0, which is not open/);
}

it("C-UNI-02: the echo of a Bootstrap breaks what it promised", () => {
  const peer = new RawPeer();
  const cap = peer.connection.bootstrap();
  const r = tell(cap, 1);
  expect(peer.drain()).toEqual(["bootstrap 0", "call 1 answer 0 method=0 value=1"]);
  peer.unimplemented((w) => w.bootstrap(0));
  peer.fails(1, "what question?");
  expect(r.error?.message).toBe("what question?");
  const late = tell(cap, 2);
  peer.drain();
  expect(late.error).toMatchObject({ type: "unimplemented", code: "peer-unimplemented" });
  cap.release();
  peer.drain();
  peer.done();
});

it("C-UNI-02: the echo of a call whose results were given up is the end of it", () => {
  const { peer, cap } = given();
  call(cap, 3, 4).cancel();
  expect(peer.drain()).toEqual(["call 0 import 7 method=3 value=4", "finish 0 releaseResults"]);
  peer.unimplemented((w) => w.call(0, 0, 7, [], 0, 0x7e57, 3, 0, 0, Content.NULL, NO_CAPS));
  end(peer, cap);
});

it("C-UNI-03: the echo of a Resolve gives the replacement's reference back", () => {
  const end1 = new Recorder();
  const peer = new RawPeer({ methods: { 1: (c) => c.returns(payload(0, promise.addRef())) } });
  const promise = new PromiseHook(peer.scheduler);
  peer.bootstrap(0);
  peer.call(1, answer(0), { method: 1 });
  expect(peer.acts(() => promise.resolve(end1.hook(peer.scheduler)))).toEqual([
    "resolve 1 senderHosted 2",
  ]);
  peer.unimplemented((w) => w.resolveCap(1, 1, 2, []));
  expect(peer.connection.state.exports.get(2)).toBe(undefined);
  // What it knows is the promise, which goes on working.
  expect(peer.call(2, 1, { value: 6 })).toEqual(["return 2 results value=6 noFinish"]);
  promise.release();
  peer.finish(1);
  expect(end1.droppedTimes).toBe(1);
  end(peer);
});

it("C-UNI-03: a Resolve to something of the peer's counted nothing, and nothing is given back", () => {
  const peer = new RawPeer({
    methods: {
      1: (c) => (promise.resolve(c.params.caps[0]!.addRef()), c.returns(payload(0))),
      2: (c) => c.returns(payload(0, promise.addRef())),
    },
  });
  const promise = new PromiseHook(peer.scheduler);
  peer.bootstrap(0);
  peer.call(1, answer(0), { method: 2 });
  expect(peer.call(2, answer(0), { method: 1, caps: [hosted(4)] })).toContain(
    "resolve 1 receiverHosted 4",
  );
  peer.unimplemented((w) => w.resolveCap(1, 3, 4, []));
  promise.release();
  peer.finish(1);
  end(peer);
});

describe("C-UNI-04: the echo of what level 1 cannot do without ends the connection", () => {
  const needed: [string, (w: IntroductionWriter) => void][] = [
    ["release", (w) => w.release(0, 1)],
    ["finish", (w) => w.finish(0, true, false)],
    ["return", (w) => w.returnResults(1, false, true, Content.NULL, NO_CAPS)],
    [
      "exception",
      (w) => w.returnException(1, false, true, new RpcError("failed", "method-failed", "x")),
    ],
    ["receiverLoopback", (w) => w.disembargo(0, 7, [], 1, 0)],
  ];
  for (const [name, build] of needed)
    it(`C-UNI-04: ${name}`, () => {
      const { peer, cap } = given();
      cap.release();
      peer.drain();
      peer.aborted(peer.unimplemented(build), /does not implement message|Disembargo/);
    });
});

it("C-UNI-05: the echo of our Disembargo fails the calls that wait for it; the connection lives", () => {
  const home = new Recorder();
  const { peer, cap } = given(true);
  const first = tell(cap, 1);
  peer.drain();
  const object = home.hook(peer.scheduler);
  tell(cap, 2, object.addRef()); // so that the peer can name it
  expect(peer.drain()).toHaveLength(1);
  expect(peer.resolve(7, yours(1))).toEqual([
    "disembargo senderLoopback 0 import 7",
    "release 7 x1",
  ]);
  const waiting = tell(cap, 3);
  peer.drain();
  peer.unimplemented((w) => w.disembargo(0, 7, [], 0, 0));
  expect(waiting.error).toMatchObject({ type: "unimplemented", code: "peer-unimplemented" });
  const late = tell(cap, 4);
  peer.returns(0, { value: 1 });
  peer.returns(1, { releaseParams: true });
  expect(late.error?.type).toBe("unimplemented");
  expect(first.value).toBe(1);
  expect(home.seen).toEqual([]); // never out of order
  object.release();
  expect(home.droppedTimes).toBe(0);
  end(peer, cap);
  expect(home.droppedTimes).toBe(1);
});

describe("C-UNI-06: the echo of a message of level 3, which we never send, ends the connection", () => {
  const never: [string, (w: IntroductionWriter) => void][] = [
    ["provide", (w) => w.provide(0, 0, 0, [], Content.NULL)],
    ["accept", (w) => w.accept(0, Content.NULL, null)],
    ["thirdPartyAnswer", (w) => w.thirdPartyAnswer(0x4000_0000, Content.NULL)],
    ["join", (w) => w.join(0, 0, 0, [], Content.NULL)],
    ["disembargo.accept", (w) => w.disembargo(0, 0, [], 2, 0, new Uint8Array([1]))],
  ];
  for (const [name, build] of never)
    it(`C-UNI-06: ${name}`, () => {
      const peer = new RawPeer();
      peer.aborted(peer.unimplemented(build), /does not implement|did not send/);
    });
});

it("C-UNI-07: obsoleteSave and obsoleteDelete are echoed", () => {
  const peer = new RawPeer();
  for (const tag of [7, 9])
    expect(
      peer.send(
        (w) => w.release(3, 1),
        (m) => retag(m, tag),
      ),
    ).toEqual([`unimplemented message ${tag}`]);
  peer.done();
});

it("C-UNI-08: the messages of levels 3 and 4 are echoed", () => {
  const peer = new RawPeer();
  expect(peer.send((w) => w.provide(1, 0, 0, [], Content.NULL))).toEqual([
    "unimplemented message 10",
  ]);
  expect(peer.send((w) => w.accept(1, Content.NULL, new Uint8Array([1])))).toEqual([
    "unimplemented message 11",
  ]);
  expect(peer.send((w) => w.join(1, 0, 0, [], Content.NULL))).toEqual(["unimplemented message 12"]);
  expect(peer.send((w) => w.thirdPartyAnswer(0x4000_0000, Content.NULL))).toEqual([
    "unimplemented message 14",
  ]);
  expect(peer.send((w) => w.disembargo(0, 0, [], 2, 0, new Uint8Array([7])))).toEqual([
    "unimplemented disembargo accept 0 import 0",
  ]);
  peer.done();
});

it("C-UNI-09: a Call that sends its results elsewhere is echoed and not run", () => {
  const peer = new RawPeer();
  peer.bootstrap(0);
  for (const to of [2, 3, 9])
    expect(peer.call(1, answer(0), { to, caps: [hosted(4)] })).toEqual([
      "unimplemented call 1 answer 0 method=0 caps=[senderHosted 4]",
    ]);
  expect(peer.server.seen).toEqual([]);
  expect(peer.connection.stats().imports).toBe(0); // the params stay with their sender
  expect(peer.call(1, answer(0))).toEqual(["return 1 results noFinish"]); // and the id is free
  end(peer);
});

it("C-UNI-10: awaitFromThirdParty, which no call of ours allows, ends the connection", () => {
  const { peer, cap } = given();
  const r = outcome(call(cap, 0, 1));
  peer.drain();
  cap.release();
  const lines = peer.returnsTag(0, 5);
  expect(r.error?.type).toBe("disconnected");
  peer.aborted(lines, /awaitFromThirdParty/);
});

describe("C-UNI-11: an echo of what we never sent ends the connection", () => {
  const forged: [string, (w: IntroductionWriter) => void][] = [
    ["a call", (w) => w.call(5, 0, 0, [], 0, 0, 0, 0, 0, Content.NULL, NO_CAPS)],
    [
      "a pipeline-only call",
      (w) => w.call(0x8000_0000, 0, 0, [], 0, 0, 0, 4, 0, Content.NULL, NO_CAPS),
    ],
    ["a bootstrap", (w) => w.bootstrap(5)],
    ["a resolve of what is not exported", (w) => w.resolveCap(5, 1, 0, [])],
    ["a resolve of what is no promise", (w) => w.resolveCap(0, 1, 0, [])],
    ["a disembargo", (w) => w.disembargo(0, 0, [], 0, 5)],
    ["an abort", (w) => w.abort(new RpcError("failed", "method-failed", "x"))],
    ["something unknown", (w) => w.finish(1, true, true)],
  ];
  for (const [name, build] of forged)
    it(`C-UNI-11: ${name}`, () => {
      const peer = new RawPeer();
      peer.bootstrap(0); // export 0 is no promise
      peer.aborted(peer.unimplemented(build), /echo of|does not implement/);
    });

  it("C-UNI-11: one Resolve is echoed once; a second time it would release what is not its own", () => {
    const end1 = new Recorder();
    const peer = new RawPeer({
      methods: { 1: (c) => c.returns(payload(0, promise.addRef(), end2.addRef())) },
    });
    const promise = new PromiseHook(peer.scheduler);
    const end2 = end1.hook(peer.scheduler);
    peer.bootstrap(0);
    peer.call(1, answer(0), { method: 1 }); // promise 1, object 2
    peer.acts(() => promise.resolve(end2.addRef())); // object 2 again: two references
    peer.unimplemented((w) => w.resolveCap(1, 1, 2, []));
    expect(peer.connection.state.exports.get(2)?.refs).toBe(1);
    const lines = peer.unimplemented((w) => w.resolveCap(1, 1, 2, []));
    promise.release();
    end2.release();
    peer.aborted(lines, /echo of a Resolve/);
    expect(end1.droppedTimes).toBe(1);
  });
});

it("C-UNI-12: an echo of an echo ends the connection, however deep", () => {
  for (const depth of [2, 3, 40]) {
    const peer = new RawPeer();
    let inner = peer.encode((w) => w.bootstrap(0));
    for (let i = 0; i < depth; i++) inner = wrapped(inner);
    peer.aborted(peer.bytes(inner), /unimplemented/);
  }
});

/** `unimplemented` around a one-segment message. */
function wrapped(message: Uint8Array): Uint8Array {
  const out = new Uint8Array(message.length + 16);
  out.set(message.subarray(16), 32);
  const view = new DataView(out.buffer);
  view.setUint32(4, (out.length - 8) / 8, true);
  view.setUint32(12, 1 | (1 << 16), true); // root: Message
  // its body pointer is at word 2; the inner Message begins right behind it
  view.setUint32(28, 1 | (1 << 16), true);
  return out;
}
