// What a peer can do to the stream itself (C-FRM), to the texts it sends, and to the end of its connection.

import { describe, expect, it } from "vitest";
import { RpcError } from "../../src/base/errors.js";
import { limitsWith } from "../../src/base/limits.js";
import type { Hook } from "../../src/hook/hook.js";
import type { LocalCall } from "../../src/hook/local.js";
import { Membrane } from "../../src/hook/membrane.js";
import { Connection } from "../../src/rpc/connection.js";
import { Scheduler } from "../../src/base/scheduler.js";
import { Content } from "../../src/wire/content.js";
import { Descriptors } from "../../src/wire/descriptors.js";
import { Framer } from "../../src/wire/framer.js";
import { MessageWriter } from "../../src/wire/message-writer.js";
import { Outbox } from "../../src/wire/outbox.js";
import { packMessage } from "../../src/wire/packing.js";
import { call, outcome, Recorder } from "../support/objects.js";
import { callWith, far, frame, struct, word } from "./assembler.js";
import { live, MB } from "./memory.js";
import { Victim } from "./victim.js";

const NO_CAPS = new Descriptors();
const boom = new RpcError("failed", "method-failed", "boom");

function u32(...values: number[]): Uint8Array {
  return new Uint8Array(Uint32Array.from(values).buffer);
}

function joined(...parts: Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

describe("C-HOS-01: a bad frame ends its connection, by name, and no other", () => {
  const frames: [string, string, Uint8Array, RegExp][] = [
    [
      "C-FRM-04",
      "a segment count that wraps to none",
      u32(0xffff_ffff, 1, 0, 0),
      /limit segments: a frame of 4294967296/,
    ],
    ["C-FRM-05", "600 segments", u32(599, 0), /limit segments: a frame of 600/],
    [
      "C-FRM-06",
      "a segment over the limit",
      u32(0, 9 * 1024 * 1024),
      /limit messageWords: a frame of 9437184/,
    ],
    [
      "C-FRM-06",
      "segments that overflow 32 bits together",
      u32(1, 0xffff_ffff, 0xffff_ffff, 0),
      /limit messageWords: a frame of 8589934590/,
    ],
    [
      "C-FRM-12",
      "text",
      new TextEncoder().encode("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
      /limit segments/,
    ],
    ["C-FRM-12", "a TLS greeting", Uint8Array.of(0x16, 3, 1, 2, 0, 1, 0, 1), /limit segments/],
    ["C-FRM-09", "nothing but zeros", new Uint8Array(64), /(?:root) pointer|unimplemented/],
  ];
  for (const [clause, what, bytes, reason] of frames)
    for (const step of [bytes.length, 1])
      it(`${clause}: ${what}, ${step === 1 ? "byte by byte" : "at once"}`, () => {
        const victim = new Victim();
        const lines: string[] = [];
        for (let at = 0; at < bytes.length; at += step)
          lines.push(...victim.push(bytes.subarray(at, at + step)));
        victim.aborted(lines, reason);
      });

  it("C-FRM-12: a packed stream is refused or waits for more; it is never taken for something else", () => {
    const victim = new Victim();
    const message = victim.encode((w) => w.bootstrap(0));
    const lines = victim.push(packMessage([message]));
    expect(lines.filter((line) => !line.startsWith("abort"))).toEqual([]);
    victim.unharmed();
  });

  it("C-FRM-03: an end inside a frame is an end, and the part is not looked at", () => {
    const victim = new Victim();
    const message = victim.encode((w) => w.bootstrap(0));
    for (const length of [1, 7, 8, 20, message.length - 1]) {
      const one = new Victim();
      expect(one.push(message.subarray(0, length))).toEqual([]);
      one.hangUp();
      expect(one.connection.error).toMatchObject({ type: "disconnected" });
      expect(one.connection.error!.message).toMatch(/premature/);
      one.unharmed();
    }
    victim.unharmed();
  });

  it("C-FRM-07: a frame that promises 64 MiB takes memory only as it comes", () => {
    const victims = Array.from({ length: 40 }, () => new Victim());
    const before = live();
    for (const victim of victims)
      victim.push(joined(u32(0, 8 * 1024 * 1024), new Uint8Array(5000)));
    expect(live() - before).toBeLessThan(32 * MB); // of 2.5 GB that were promised
    for (const victim of victims) victim.unharmed();
  });
});

it("C-HOS-20: what came before a malformed message in one chunk takes effect, in order; then the end", () => {
  const victim = new Victim();
  victim.send((w) => w.bootstrap(0));
  const chunk = joined(
    victim.encode((w) => w.call(1, 0, 0, [], 0, 0x7e57, 0, 0, 0, Content.NULL, NO_CAPS)),
    callWith(2, struct(1000, 1, 1)),
    victim.encode((w) => w.call(3, 0, 0, [], 0, 0x7e57, 0, 0, 0, Content.NULL, NO_CAPS)),
    frame([struct(1000, 1, 1)]),
    victim.encode((w) => w.call(4, 0, 0, [], 0, 0x7e57, 0, 0, 0, Content.NULL, NO_CAPS)),
  );
  const lines = victim.push(chunk);
  expect(lines.map((line) => line.split(" ").slice(0, 3).join(" "))).toEqual([
    "return 1 results",
    "return 2 exception",
    "return 3 results",
    'abort failed "a',
  ]);
  expect(victim.server.seen).toHaveLength(3); // the honest peer's and two of these
  victim.unharmed();
});

it("C-HOS-20: a bad frame after good ones in one chunk, too", () => {
  const victim = new Victim();
  const lines = victim.push(
    joined(
      victim.encode((w) => w.bootstrap(0)),
      u32(0xffff_ffff, 0),
      victim.encode((w) => w.bootstrap(1)),
    ),
  );
  expect(lines[0]).toMatch(/^return 0 results/);
  victim.aborted(lines, /limit segments/);
});

describe("C-HOS-16: giant texts", () => {
  const giant = "x".repeat(4_000_000);

  it("C-HOS-16: in an Abort they are cut", () => {
    const victim = new Victim();
    victim.send((w) => w.abort(new RpcError("failed", "method-failed", giant, { trace: giant })));
    const { error } = victim.connection;
    expect(error!.message.length).toBeLessThan(9000);
    expect(error!.trace.length).toBeLessThan(9000);
    victim.unharmed();
  });

  it("C-HOS-16: in an answer they are cut, and in what is passed on", () => {
    const victim = new Victim({ limits: limitsWith({ reasonLength: 100 }) });
    const cap = victim.connection.bootstrap();
    const r = outcome(call(cap, 0, 1));
    victim.mesh.drain();
    victim.told();
    const before = live();
    victim.send((w) =>
      w.returnException(1, false, true, new RpcError("failed", "method-failed", giant)),
    );
    expect(r.error!.message).toBe(`${"x".repeat(100)}…`);
    expect(live() - before).toBeLessThan(2 * MB);
    cap.release();
    victim.unharmed();
  });

  it("C-HOS-16: our own are cut to what a message holds", () => {
    const victim = new Victim({
      limits: limitsWith({ messageWords: 1000 }),
      methods: {
        1: () => {
          throw new Error(giant);
        },
      },
    });
    victim.send((w) => w.bootstrap(0));
    const [line] = victim.send((w) => w.call(1, 0, 0, [], 0, 0, 1, 0, 0, Content.NULL, NO_CAPS));
    expect(line).toMatch(/^return 1 exception failed "x+/);
    expect(line!.length).toBeLessThan(8200);
    victim.unharmed();
  });
});

it("C-HOS-17: bytes that change after they were handed over change nothing, shared memory included", () => {
  const victim = new Victim();
  const body = ((): Content => {
    const bytes = new Uint8Array(16);
    new DataView(bytes.buffer).setUint32(4, 1, true);
    bytes[8] = 42;
    return new Content(bytes);
  })();
  const kept: LocalCall[] = [];
  Object.assign(victim.server, { methods: { 1: (c: LocalCall) => void kept.push(c) } });
  victim.send((w) => w.bootstrap(0));
  for (const shared of [false, true]) {
    const message = victim.encode((w) => w.call(1, 0, 0, [], 0, 0x7e57, 1, 0, 0, body, NO_CAPS));
    const memory = shared ? new SharedArrayBuffer(message.length) : new ArrayBuffer(message.length);
    const chunk = new Uint8Array(memory);
    chunk.set(message);
    victim.push(chunk);
    chunk.fill(0xff);
    expect(kept.at(-1)!.params.content.bytes[8]).toBe(42);
    kept.at(-1)!.returns();
    victim.mesh.drain();
    victim.told();
  }
  victim.unharmed();
});

it("C-HOS-18: peers that connect and vanish in mid-call, a thousand times, leave nothing", () => {
  const scheduler = new Scheduler();
  const errors: unknown[] = [];
  scheduler.onError = (error) => errors.push(error);
  const kept: LocalCall[] = [];
  const server = new Recorder({ 1: (c) => void kept.push(c) });
  server.seen.push = () => 0; // what it saw is not to be kept
  server.calls.push = () => 0;
  const hook = server.hook(scheduler);
  const own = new Outbox();
  const writer = new MessageWriter(own, limitsWith({}));
  const table = new Descriptors();
  table.add(2, 7, []);
  writer.bootstrap(0);
  writer.call(1, 1, 0, [], 0, 0x7e57, 1, 0, 0, Content.NULL, table);
  writer.call(2, 1, 1, [0], 0, 0x7e57, 0, 0, 0, Content.NULL, NO_CAPS);
  const batch = own.take()!;
  const bytes = joined(...batch.chunks.map((chunk) => chunk.slice()), u32(0, 5));
  batch.release();
  const storm = (times: number): void => {
    for (let i = 0; i < times; i++) {
      const outbox = new Outbox();
      let ended = 0;
      const connection = new Connection({
        scheduler,
        outbox,
        bootstrap: hook,
        shutdown: () => ended++,
      });
      const framer = new Framer(limitsWith({}));
      framer.push(bytes, (f) => {
        connection.handle(f, i);
        scheduler.drain();
      });
      const ours = connection.bootstrap();
      call(ours, 0, 1).dropPipeline();
      connection.disconnected(framer.end());
      scheduler.drain();
      ours.release();
      scheduler.drain();
      outbox.drop();
      expect([ended, connection.idle]).toEqual([1, true]);
      for (const c of kept.splice(0)) c.returns();
      scheduler.drain();
    }
  };
  storm(200); // warm
  const before = live();
  storm(1000);
  expect(live() - before).toBeLessThan(1 * MB);
  expect(errors).toEqual([]);
  expect(scheduler.pending).toBe(0);
  hook.release();
  scheduler.drain();
  expect(server.droppedTimes).toBe(1);
});

describe("C-HOS-19: what user code throws while the system asks it something", () => {
  it("C-HOS-19: a policy, a bootstrap factory, a getter of a thrown value, a drop hook", () => {
    const hostile = new Proxy(new Error("x"), {
      get() {
        throw new Error("from a getter");
      },
      getPrototypeOf() {
        throw new Error("from a prototype");
      },
      has() {
        throw new Error("from has");
      },
    });
    const scheduler = new Scheduler();
    const errors: string[] = [];
    scheduler.onError = (error) => errors.push(error.message);
    const throwing = (): never => {
      throw hostile;
    };
    const server = new Recorder({ 1: throwing });
    const membrane = new Membrane({ call: throwing }, scheduler);
    const guarded = membrane.wrap(server.hook(scheduler));
    const outcomes = [outcome(call(guarded, 0, 1)), outcome(call(server.hook(scheduler), 1, 1))];
    const outbox = new Outbox();
    const connection = new Connection({
      scheduler,
      outbox,
      bootstrap: throwing,
      sendTrace: true,
      shutdown: () => {},
    });
    const framer = new Framer(limitsWith({}));
    const own = new Outbox();
    new MessageWriter(own, limitsWith({})).bootstrap(0);
    const batch = own.take()!;
    framer.push(batch.chunks[0]!.slice(), (f) => connection.handle(f, 1));
    batch.release();
    scheduler.drain();
    expect(outcomes.map((o) => o.error?.type)).toEqual(["failed", "failed"]);
    expect(connection.error).toBe(null);
    expect(outbox.count).toBe(1); // an exception for the Bootstrap
    expect(errors).toEqual([]);
    connection.disconnected(null);
    outbox.drop();
  });
});

describe("C-HOS-11: messages a peer has no right to change nothing before they end its connection", () => {
  const rights: [string, (w: MessageWriter) => void, RegExp][] = [
    [
      "a Return to no question",
      (w) => w.returnResults(9, true, false, Content.NULL, NO_CAPS),
      /Return for question 9/,
    ],
    [
      "an exception to no question",
      (w) => w.returnException(9, true, false, boom),
      /Return for question 9/,
    ],
    ["a lifted embargo that is none", (w) => w.disembargo(0, 0, [], 1, 3), /unknown embargo 3/],
    ["an embargo on what is no promise", (w) => w.disembargo(0, 0, [], 0, 3), /no promise/],
    ["an embargo on what is not exported", (w) => w.disembargo(0, 44, [], 0, 3), /export 44/],
    ["an embargo on what is not asked", (w) => w.disembargo(1, 44, [], 0, 3), /question 44/],
    [
      "a call to what is not exported",
      (w) => w.call(5, 0, 44, [], 0, 0, 0, 0, 0, Content.NULL, NO_CAPS),
      /export 44/,
    ],
    ["a release of what is not exported", (w) => w.release(44, 1), /export 44/],
    [
      "a release of more than there is",
      (w) => w.release(0, 0xffff_ffff),
      /4294967295 references to export 0/,
    ],
    ["a question that is open", (w) => w.bootstrap(0), /question 0, which is open/],
    ["takeFromOtherQuestion", (w) => w.returnOther(9, 4, false, false, 0), /Return for question 9/],
  ];
  for (const [what, build, reason] of rights)
    it(`C-HOS-11: ${what}`, () => {
      const victim = new Victim();
      victim.send((w) => w.bootstrap(0));
      const before = JSON.stringify({
        ...victim.connection.stats(),
        messagesIn: 0,
        messagesOut: 0,
        outboxBytes: 0,
      });
      expect(before).toContain('"exports":1');
      victim.aborted(victim.send(build), reason);
      expect(victim.server.seen).toEqual([1, 5]); // only the honest peer's
    });
});

describe("C-HOS-12: messages of higher levels have defined answers", () => {
  it("C-HOS-12: thirdPartyHosted is its vine, with or without an id", () => {
    let cap!: Hook;
    const victim = new Victim({
      methods: { 1: (c) => ((cap = c.params.caps[0]!.addRef()), c.returns()) },
    });
    victim.send((w) => w.bootstrap(0));
    const caps = new Descriptors();
    caps.add(5, 33, []);
    victim.send((w) => w.call(1, 0, 0, [], 0, 0x7e57, 1, 0, 0, Content.NULL, caps));
    const r = outcome(call(cap, 0, 4));
    victim.mesh.drain();
    expect(victim.told()).toEqual(["call 0 import 33 method=0 value=4"]);
    cap.release();
    victim.mesh.drain();
    expect(victim.told()).toEqual(["release 33 x1"]);
    victim.hangUp();
    victim.mesh.drain();
    expect(r.error?.type).toBe("disconnected");
    victim.unharmed();
  });

  it("C-HOS-12: a null ThirdPartyCapDescriptor names vine 0", () => {
    let seen = 0;
    const victim = new Victim({
      methods: { 1: (c) => ((seen = c.params.caps.length), c.returns()) },
    });
    victim.send((w) => w.bootstrap(0));
    const lines = victim.push(
      frame([
        struct(0, 1, 1),
        word(2),
        struct(0, 3, 3),
        word(1, 1),
        word(0x7e57),
        0n,
        struct(2, 1, 1),
        struct(3, 0, 2),
        0n,
        0n,
        0n,
        0n,
        word(1, 7 + 2 * 8),
        word(4, 0x10001),
        word(5),
        0n,
      ]),
    );
    expect(lines).toEqual(["return 1 results noFinish", "release 0 x1"].sort().reverse());
    expect(seen).toBe(1);
    victim.unharmed();
  });

  it("C-HOS-12: results to a third party, and awaiting them from one", () => {
    const victim = new Victim();
    victim.send((w) => w.bootstrap(0));
    expect(
      victim.send((w) => w.call(1, 0, 0, [], 0, 0x7e57, 0, 1, 2, Content.NULL, NO_CAPS))[0],
    ).toMatch(/^unimplemented call 1/);
    const cap = victim.connection.bootstrap();
    victim.mesh.drain();
    victim.told();
    cap.release();
    victim.mesh.drain();
    victim.told();
    victim.aborted(
      victim.send((w) => w.returnOther(0, 5, false, false, 0)),
      /awaitFromThirdParty/,
    );
  });

  it("C-HOS-12: a descriptor of unknown kind cannot be accounted for", () => {
    const victim = new Victim();
    victim.send((w) => w.bootstrap(0));
    const caps = new Descriptors();
    caps.add(1, 5, []);
    caps.add(77, 5, []);
    victim.aborted(
      victim.send((w) => w.call(1, 0, 0, [], 0, 0x7e57, 0, 0, 0, Content.NULL, caps)),
      /unknown kind 77/,
    );
  });

  it("C-HOS-12: params behind a far pointer that crosses into the envelope are just read", () => {
    const victim = new Victim();
    victim.send((w) => w.bootstrap(0));
    // The content is the Call struct itself.
    expect(victim.push(callWith(1, far(0, 2)))[0]).toMatch(/^return 1 (exception|results)/);
    victim.unharmed();
  });
});
