// Section 22, C-IOP: what C++ 0.9.2 and 1.4 were seen to send, byte for byte, and that all of it is accepted here.
// interop/ runs the real programs; this holds what they say, whichever of them is installed.

import { expect, it } from "vitest";
import { RpcError } from "../../src/base/errors.js";
import { DEFAULT_LIMITS } from "../../src/base/limits.js";
import { Framer } from "../../src/wire/framer.js";
import { call, outcome, payload, Recorder, tell } from "../support/objects.js";
import { answer, BARE, hosted, none, promised, RawPeer, ServedPeer } from "../support/raw-peer.js";

/** What every message begins with: the root pointer, to a struct of one word and one pointer. */
const ROOT = "0000000001000100";
/** Message's tag, and the pointer to a body of these sizes. */
const bootstrapBody = "0800000000000000 0000000001000100";
const callBody = "0200000000000000 0000000003000300";
const returnBody = "0300000000000000 0000000002000100";
const finishBody = "0400000000000000 0000000001000000";
const disembargoBody = "0d00000000000000 0000000001000200";
const ZERO = "0000000000000000";

/** A word of two little-endian halves. */
function word(low: number, high = 0): string {
  const view = new DataView(new ArrayBuffer(8));
  view.setUint32(0, low, true);
  view.setUint32(4, high, true);
  return Buffer.from(view.buffer).toString("hex");
}

/** A Finish whose second half word is as captured. */
const finish = (id: number, bits: number): string[] => [ROOT, finishBody, word(id, bits)];

/**
 * A Call of method `method` of the test interface on import 0, with an empty params struct and no capabilities.
 * @param flags the bits of the third data word.
 */
const plainCall = (id: number, method: number, flags = 0): string[] => [
  ROOT,
  callBody,
  word(id, method),
  word(0x7e57),
  word(flags),
  "0800000001000100", // target
  "0c00000000000200", // params
  ZERO,
  ZERO, // importedCap 0
  ZERO,
  "fcffffff00000000", // content: the empty struct
  ZERO, // capTable: null
];

it("C-IOP-01: a frame a write and many frames in one are the same to us", () => {
  const peer = new RawPeer({ methods: { 1: (c, value) => c.returns(payload(value)) } });
  const frames = [
    peer.encode((w) => w.bootstrap(0)),
    peer.encode((w) => w.finish(0, false, false)),
    peer.encode((w) => w.release(0, 1)),
  ];
  for (const frame of frames) expect(new DataView(frame.buffer).getUint32(0, true)).toBe(0);
  for (const writes of [frames, [Buffer.concat(frames)]]) {
    const framer = new Framer(DEFAULT_LIMITS);
    for (const bytes of writes)
      framer.push(Uint8Array.from(bytes), (frame) => peer.connection.handle(frame, 0));
    expect(framer.end()).toBeNull();
    expect(peer.drain()).toEqual(["return 0 results bare 0 caps=[senderHosted 0]"]);
  }
  peer.done();
});

it("C-IOP-02: the Bootstrap of C++, five words", () => {
  const peer = new RawPeer();
  expect(peer.hex(ROOT, bootstrapBody, word(6), ZERO)).toEqual([
    "return 6 results bare 0 caps=[senderHosted 0]",
  ]);
  // Ours is the same message.
  const hook = peer.connection.bootstrap();
  peer.drain();
  const ours = peer.messages.at(-1)!;
  expect(Buffer.from(ours).toString("hex")).toBe(
    `0000000005000000${[ROOT, bootstrapBody, word(0), ZERO].join("").replaceAll(" ", "")}`,
  );
  peer.returns(0, { caps: [none], content: BARE });
  hook.release();
  peer.finish(6);
  peer.drain();
  peer.done();
});

it("C-IOP-04: the answer to a Bootstrap says releaseParamCaps, of which there are none; others do not", () => {
  const peer = new RawPeer();
  const remote = peer.connection.bootstrap();
  expect(peer.drain()).toEqual(["bootstrap 0"]);
  const returned = (id: number, bits: number): string[] => [
    ROOT,
    returnBody,
    word(id, bits), // releaseParamCaps is true when its bit is 0
    ZERO,
    "0000000000000200",
    "0300000000000000", // content: capability 0
    "0100000017000000", // capTable: a composite list of two words
    "0400000001000100", // of one element
    word(1, 9), // senderHosted 9
    ZERO,
  ];
  expect(peer.hex(...returned(0, 0))).toEqual(["finish 0"]);
  // A call with a capability in its params, which no other Return of C++ gives back.
  const result = tell(remote, 1, peer.object(new Recorder()));
  expect(peer.drain()).toEqual(["call 0 import 9 method=0 value=1 caps=[senderHosted 0]"]);
  expect(peer.hex(...returned(0, 1))).toEqual(["finish 0"]);
  expect(peer.connection.stats().exports).toBe(1);
  expect(peer.release(0)).toEqual([]);
  result.release();
  remote.release();
  expect(peer.drain()).toEqual(["release 9 x2"]);
  peer.done();
});

it("C-IOP-05: a Return that needs no Finish gets none; with capabilities or an error one follows", () => {
  const peer = new RawPeer();
  const cap = peer.remote(hosted(7));
  const results = [tell(cap, 1), tell(cap, 2), tell(cap, 3), tell(cap, 4)];
  peer.drain();
  expect(peer.returns(0, { value: 5, noFinish: true })).toEqual([]);
  expect(peer.returns(1, { value: 6 })).toEqual(["finish 1"]);
  expect(peer.fails(2, new RpcError("overloaded", "remote-exception", "no"))).toEqual(["finish 2"]);
  expect(peer.returns(3, { value: 7, caps: [hosted(8)] })).toEqual(["finish 3"]);
  expect(results.map((one) => one.value)).toEqual([5, 6, undefined, 7]);
  // The id is free at once: without a Finish there is nothing to wait for.
  tell(cap, 9);
  expect(peer.drain()).toEqual([expect.stringMatching(/^call \d import 7 method=0 value=9$/)]);
  expect(peer.connection.stats().questions).toBe(1);
  peer.returns(Number(peer.said.at(-1)!.split(" ")[1]), { noFinish: true });
  for (const one of results) one.release();
  cap.release();
  expect(peer.drain().sort()).toEqual(["release 7 x1", "release 8 x1"]);
  peer.done();
});

it("C-IOP-06: the Finishes of 1.4 (03, and 02 to cancel) and of 0.9.2 (01 and 00)", () => {
  for (const [ordinary, cancel] of [
    [3, 2],
    [1, 0],
  ] as const) {
    const running: (() => void)[] = [];
    const peer = new RawPeer({
      methods: {
        1: (c) => c.returns(payload(0, c.self.addRef())),
        3: (c) => {
          c.onCancel = () => running.push(() => c.returns());
        },
      },
    });
    peer.bootstrap(0);
    // releaseResultCaps false: the capability stays the peer's.
    expect(peer.hex(...finish(0, ordinary))).toEqual([]);
    expect(peer.connection.stats().exports).toBe(1);
    // releaseResultCaps true: the reference in the results is given back by it.
    expect(peer.call(1, 0, { method: 1 })).toEqual(["return 1 results caps=[senderHosted 0]"]);
    expect(peer.hex(...finish(1, cancel))).toEqual([]);
    expect(peer.connection.stats().exports).toBe(1);
    expect(peer.call(2, 0, { method: 3 })).toEqual([]);
    expect(peer.hex(...finish(2, cancel))).toEqual([expect.stringMatching(/^return 2 /)]);
    expect(running.length).toBe(1);
    running[0]!();
    expect(peer.release(0)).toEqual([]);
    peer.done();
  }
});

it("C-IOP-07: a Call with noPromisePipelining keeps nothing to pipeline on; 0.9.2, which does not know it, may", () => {
  for (const [hints, expected] of [
    [2, 'return 2 exception failed "'],
    [0, "return 2 results value=8 noFinish"],
  ] as const) {
    const peer = new ServedPeer();
    expect(peer.hex(...plainCall(1, 2, hints))).toEqual(["return 1 results caps=[senderHosted 0]"]);
    expect(peer.call(2, answer(1, 0), { value: 8 })[0]).toContain(expected);
    peer.finish(1);
    peer.finish(2);
    peer.ends();
  }
});

it("C-IOP-08: the empty struct as params, and null as results", () => {
  const seen: Uint8Array[] = [];
  const peer = new ServedPeer({
    methods: {
      5: (c) => {
        seen.push(c.params.content.bytes.slice());
        c.returns();
      },
    },
  });
  expect(peer.hex(...plainCall(1, 5))).toEqual(["return 1 results noFinish"]);
  expect(Buffer.from(seen[0]!).toString("hex")).toBe("fcffffff00000000");
  const cap = peer.remote(hosted(7));
  const result = outcome(call(cap, 1, 1));
  peer.drain();
  expect(peer.hex(ROOT, returnBody, word(0, 1), ZERO, "0000000000000200", ZERO, ZERO)).toEqual([
    "finish 0",
  ]);
  expect([result.settled, result.error, result.caps]).toEqual([true, null, []]);
  peer.acts(() => cap.release());
  peer.ends();
});

it("C-IOP-09: a null capability is a null pointer without a table; a broken one a promise that fails at once", () => {
  const broken = new RpcError("failed", "remote-exception", "broken from the start");
  const peer = new ServedPeer({
    methods: {
      5: (c) => {
        expect(c.params.caps).toEqual([]);
        c.returns();
      },
    },
  });
  // Params: a struct of one pointer, which is null.
  expect(peer.hex(...plainCall(1, 5).slice(0, -2), "0400000000000100", ZERO, ZERO)).toEqual([
    "return 1 results noFinish",
  ]);
  // Both in one write: no job runs between them.
  peer.draining = false;
  peer.call(2, 0, { method: 1, caps: [promised(4)] });
  peer.breaks(4, broken);
  peer.draining = true;
  expect(peer.drain()).toEqual(["release 4 x1", "return 2 results noFinish"]);
  const result = tell(peer.kept[0]!, 1);
  expect(peer.drain()).toEqual([]);
  expect(result.error!.message).toContain("broken from the start");
  peer.kept[0]!.release();
  peer.ends();
});

it("C-IOP-11: the embargo round of C++ has id 0, and its Finish comes only behind it", () => {
  const peer = new ServedPeer();
  // Method 4 returns what it is given: an object of the peer's, on which the peer has pipelined.
  peer.draining = false;
  peer.call(1, 0, { method: 4, caps: [hosted(7)] });
  peer.call(2, answer(1, 0), { value: 5 });
  peer.draining = true;
  expect(peer.drain()).toEqual([
    "call 0 import 7 method=0 value=5",
    "return 1 results caps=[receiverHosted 7]",
  ]);
  const disembargo = [
    ROOT,
    disembargoBody,
    word(0, 0), // senderLoopback 0
    "0400000001000100", // target
    ZERO,
    word(0, 1), // promisedAnswer
    "0000000001000100",
    word(1), // question 1
    "010000000f000000", // transform: a composite list of one word
    "0400000001000000",
    "0100000000000000", // getPointerField 0
  ];
  expect(peer.hex(...disembargo)).toEqual(["disembargo receiverLoopback 0 import 7"]);
  expect(peer.returns(0, { value: 6, noFinish: true })).toEqual([
    "return 2 results value=6 noFinish",
  ]);
  expect(peer.hex(...finish(1, 3))).toEqual(["release 7 x1"]);
  peer.ends();
});

it("C-IOP-12: what came back is answered by takeFromOtherQuestion (0.9.2), or by a copy (1.4)", () => {
  for (const old of [true, false]) {
    const peer = new ServedPeer({ methods: { 5: (c) => c.returns(payload(42)) } });
    const cap = peer.remote(hosted(7));
    const result = outcome(call(cap, 1, 1));
    peer.drain();
    if (old) {
      expect(peer.call(5, 0, { method: 5, to: 1 })).toEqual(["return 5 resultsSentElsewhere"]);
      expect(peer.returnsTag(0, 4, { other: 5 })).toEqual(["finish 0"]);
      expect(peer.finish(5)).toEqual([]);
    } else {
      expect(peer.call(5, 0, { method: 5 })).toEqual(["return 5 results value=42 noFinish"]);
      expect(peer.returns(0, { value: 42, noFinish: true })).toEqual([]);
    }
    expect(result.value).toBe(42);
    peer.acts(() => cap.release());
    peer.ends();
  }
});

it("C-IOP-15: a descriptor whose attachedFd is 0 on the wire has none", () => {
  const peer = new ServedPeer();
  const descriptor = (first: string) => [
    ...plainCall(1, 1).slice(0, -2),
    "0400000000000100", // content: a struct of one pointer
    "0500000017000000", // capTable: a composite list of two words
    "0300000000000000", // capability 0
    "0400000001000100", // one element
    first,
    ZERO,
  ];
  // The method echoes the first word, which is the capability's pointer.
  expect(peer.hex(...descriptor("0100000009000000"))).toEqual([
    "return 1 results value=3 noFinish",
  ]);
  tell(peer.kept[0]!, 3);
  expect(peer.drain()).toEqual(["call 0 import 9 method=0 value=3"]);
  peer.returns(0, { noFinish: true });
  expect(peer.acts(() => peer.kept[0]!.release())).toEqual(["release 9 x1"]);
  // The byte beside the tag of what we describe is 0 as well.
  const cap = peer.remote(hosted(7));
  const object = peer.object(new Recorder());
  expect(peer.get(cap, object)).toBe("senderHosted 1");
  const ours = peer.messages.filter((message) => message[16] === 2).at(-1)!;
  expect(Buffer.from(ours).toString("hex")).toContain(`${word(1, 1)}${ZERO}`);
  peer.release(1);
  peer.acts(() => cap.release());
  peer.ends();
});
