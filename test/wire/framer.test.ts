// Role: framing: any chunking gives the same messages, and no header makes us allocate or accept what we should not.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DEFAULT_LIMITS, limitsWith } from "../../src/base/limits.js";
import type { Frame } from "../../src/wire/frame.js";
import { Frame as FrameClass, parseFrame } from "../../src/wire/frame.js";
import type { FrameMemory } from "../../src/wire/frame-memory.js";
import { Framer } from "../../src/wire/framer.js";
import { MessageTag } from "../../src/wire/descriptors.js";
import { concat, errorOf, framed, fromHex, readBack, toHex, words, written } from "./help.js";

function cut(bytes: Uint8Array, sizes: readonly number[]): Uint8Array[] {
  const chunks: Uint8Array[] = [];
  let at = 0;
  for (let i = 0; at < bytes.length; i++) {
    const size = Math.max(1, sizes[i % sizes.length] ?? 1);
    chunks.push(bytes.subarray(at, at + size));
    at += size;
  }
  return chunks;
}

/** Each frame's segments as hex. */
function frames(chunks: Iterable<Uint8Array>, framer = new Framer(DEFAULT_LIMITS)): string[] {
  const found: string[] = [];
  for (const chunk of chunks) {
    // A transport's buffer may begin anywhere in its memory.
    const moved = new Uint8Array(chunk.length + 3).subarray(3);
    moved.set(chunk);
    framer.push(moved, (frame) => found.push(segments(frame)));
    // And may be used again at once: nothing may be kept of it.
    moved.fill(0xee);
  }
  return found;
}

function segments(frame: Frame): string {
  const all: string[] = [];
  for (let i = 0; i < frame.segments; i++)
    all.push(toHex(frame.bytes.subarray(frame.segStart[i], frame.segEnd[i])));
  return all.join("|");
}

const word = (n: number): Uint8Array => words([n, 0]);
const stream = [
  framed(word(1)),
  framed(word(2), concat([word(3), word(4)])),
  framed(new Uint8Array(0), word(5), new Uint8Array(0)),
  framed(concat(Array.from({ length: 900 }, (_, i) => word(i)))),
  framed(new Uint8Array(0)),
  framed(word(6), word(7), word(8), word(9)),
];
const expected = stream.flatMap((bytes) => frames([bytes]));

describe("Framer", () => {
  it("C-FRM-01: one byte at a time, odd chunks and many frames per chunk give the same messages", () => {
    const all = concat(stream);
    expect(expected.length).toBe(stream.length);
    expect(expected[1]).toBe("0200000000000000|03000000000000000400000000000000");
    expect(frames([all])).toEqual(expected);
    for (const size of [1, 2, 3, 5, 7, 8, 9, 13, 100, 4097])
      expect(frames(cut(all, [size]))).toEqual(expected);
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1 }), (sizes) => {
        expect(frames(cut(all, sizes))).toEqual(expected);
      }),
      { seed: 1, numRuns: 200 },
    );
  });

  it("C-FRM-02: the hole in the header of an even number of segments may hold anything", () => {
    const bytes = fromHex("01000000 01000000 01000000 deadbeef 1100000000000000 2200000000000000");
    expect(frames([bytes])).toEqual(["1100000000000000|2200000000000000"]);
    expect(frames(cut(bytes, [1]))).toEqual(["1100000000000000|2200000000000000"]);
  });

  it("C-FRM-03: the end is orderly only between frames", () => {
    const whole = framed(word(1), word(2));
    for (let n = 0; n <= whole.length; n++) {
      const framer = new Framer(DEFAULT_LIMITS);
      const seen = frames([whole.subarray(0, n)], framer);
      expect(seen.length).toBe(n === whole.length ? 1 : 0);
      expect(framer.pendingBytes).toBe(n === whole.length ? 0 : n);
      const error = framer.end();
      if (n === 0 || n === whole.length) expect(error).toBeNull();
      else {
        expect(error!.type).toBe("disconnected");
        expect(error!.message).toContain("premature end");
      }
    }
  });

  it("C-FRM-04: a segment count that wraps to zero is refused", () => {
    const bytes = fromHex("ffffffff 00000000 0000000000000000");
    for (const chunks of [[bytes], cut(bytes, [1])]) {
      const framer = new Framer(DEFAULT_LIMITS);
      const error = errorOf(() => frames(chunks, framer));
      expect(error.code).toBe("malformed-frame");
      expect(error.message).toContain("4294967296 segments");
      // And nothing after it is read.
      expect(errorOf(() => framer.push(framed(word(1)), () => {}))).toBe(error);
    }
  });

  it("C-FRM-05: up to 512 segments are taken, more are refused", () => {
    const of = (n: number): Uint8Array =>
      framed(...Array.from({ length: n }, (_, i) => (i % 5 === 4 ? new Uint8Array(0) : word(i))));
    for (const n of [1, 2, 3, 510, 511, 512])
      for (const size of [1 << 20, 7]) expect(frames(cut(of(n), [size])).length).toBe(1);
    expect(errorOf(() => frames([of(513)])).code).toBe("malformed-frame");
    expect(errorOf(() => frames(cut(of(513), [3]))).message).toContain("513 segments");
    const few = limitsWith({ segments: 2 });
    expect(errorOf(() => frames([of(3)], new Framer(few))).message).toContain("limit of 2");
  });

  it("C-FRM-06: a frame over the limit is refused from its header, summed without wrapping", () => {
    const limits = limitsWith({ messageWords: 10 });
    const exact = framed(concat(Array.from({ length: 10 }, () => word(1))));
    expect(frames([exact], new Framer(limits)).length).toBe(1);
    const head = fromHex("00000000 0b000000");
    for (const chunks of [[head], cut(head, [1])])
      expect(errorOf(() => frames(chunks, new Framer(limits))).message).toContain("11 words");
    // Two segments of 2^31 words are 2^32: nothing in 32 bits.
    const wrap = fromHex("01000000 00000080 00000080 00000000");
    expect(errorOf(() => frames([wrap])).message).toContain("4294967296 words");
  });

  it("C-FRM-07: a promised size is not allocated before its bytes come", () => {
    const allocated: number[] = [];
    const Real = Uint8Array;
    const spy = new Proxy(Real, {
      construct(target, args: unknown[], newTarget) {
        if (typeof args[0] === "number") allocated.push(args[0]);
        return Reflect.construct(target, args, newTarget) as object;
      },
    });
    const framer = new Framer(DEFAULT_LIMITS);
    const megabyte = new Real(1 << 20);
    globalThis.Uint8Array = spy;
    try {
      framer.push(fromHex("00000000 00008000"), () => {});
      framer.push(new Real(100), () => {});
      expect(Math.max(...allocated)).toBeLessThanOrEqual(1024);
      for (let i = 0; i < 3; i++) framer.push(megabyte, () => {});
    } finally {
      globalThis.Uint8Array = Real;
    }
    expect(framer.pendingBytes).toBe(8 + 100 + 3 * (1 << 20));
    expect(Math.max(...allocated)).toBeLessThanOrEqual(2 * framer.pendingBytes);
    // Growing by doubling, not by one buffer a chunk.
    expect(allocated.length).toBeLessThan(12);
  });

  it("C-FRM-07: a large message ends in a buffer of its own size", () => {
    const bytes = framed(new Uint8Array(300_000));
    const framer = new Framer(DEFAULT_LIMITS);
    let size = 0;
    for (const chunk of cut(bytes, [1000])) framer.push(chunk, (f) => (size = f.bytes.length));
    expect(size).toBe(bytes.length);
    expect(framer.pendingBytes).toBe(0);
  });

  it("C-FRM-08: empty segments are framing like any other; without a root there is no message", () => {
    const empty = new Uint8Array(0);
    expect(frames([framed(empty)])).toEqual([""]);
    expect(frames([framed(empty, word(1), empty)])).toEqual(["|0100000000000000|"]);
    const error = errorOf(() => readBack(framed(empty, word(1))));
    expect(error.code).toBe("malformed-message");
    expect(error.message).toContain("no root pointer");
  });

  it("C-FRM-12: packed bytes fed to the unpacked reader never come out as a message", () => {
    // The packed form of a bootstrap: its first bytes promise more segments than any limit.
    const packed = fromHex("1005500111 0108 500111 0105 0000");
    const framer = new Framer(DEFAULT_LIMITS);
    expect(errorOf(() => frames([packed], framer)).code).toBe("malformed-frame");
  });

  it("C-HOS-20: frames before a malformed one in the same chunk are handed over first", () => {
    const seen: string[] = [];
    const framer = new Framer(DEFAULT_LIMITS);
    const bytes = concat([framed(word(1)), framed(word(2)), fromHex("ffffffff00000000")]);
    errorOf(() => framer.push(bytes, (frame) => seen.push(segments(frame))));
    expect(seen).toEqual(["0100000000000000", "0200000000000000"]);
  });

  it("C-FRM-21: a whole frame is a view on its chunk, and small straddling ones share one buffer", () => {
    const framer = new Framer(DEFAULT_LIMITS);
    const chunk = concat([framed(word(1)), framed(word(2))]);
    const buffers = new Set<ArrayBufferLike>();
    framer.push(chunk, (frame) => buffers.add(frame.bytes.buffer));
    expect([...buffers]).toEqual([chunk.buffer]);
    buffers.clear();
    for (const part of cut(concat([chunk, chunk]), [5]))
      framer.push(part, (frame) => buffers.add(frame.bytes.buffer));
    expect(buffers.size).toBe(1);
  });

  it("C-HOS-17: shared memory is copied before it is read", () => {
    const shared = new Uint8Array(new SharedArrayBuffer(16));
    shared.set(framed(word(7)));
    const framer = new Framer(DEFAULT_LIMITS);
    framer.push(shared, (frame) => {
      shared.fill(0);
      expect(segments(frame)).toBe("0700000000000000");
    });
    expect.assertions(1);
  });
});

/** Memory with room behind, as a socket's, that says what was asked of it. */
function roomyMemory(room: number): FrameMemory & { readonly given: Uint8Array[] } {
  const given: Uint8Array[] = [];
  return {
    given,
    allocate(bytes) {
      const memory = new Uint8Array(bytes < 16_384 ? bytes : bytes + room).fill(0xdd);
      given.push(memory);
      return memory;
    },
    recycle() {},
  };
}

/** Feeds `bytes` as a socket does: to the framer's space where it has one, else from one buffer that is used again. */
function feed(framer: Framer, bytes: Uint8Array, sizes: readonly number[]): string[] {
  const found: string[] = [];
  const onFrame = (frame: Frame): void => {
    found.push(segments(frame));
    expect(frame.start + frame.length).toBe(frame.segEnd[frame.segments - 1]);
  };
  const shared = new Uint8Array(64 * 1024);
  const view = new DataView(shared.buffer);
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const space = framer.space;
    const to = space ?? shared;
    expect(to.length).toBeGreaterThan(0);
    const n = Math.min(Math.max(1, sizes[i % sizes.length] ?? 1), to.length, bytes.length - at);
    to.set(bytes.subarray(at, at + n));
    at += n;
    if (space === null) framer.pushPart(shared, view, n, onFrame);
    else framer.filled(n, onFrame);
    shared.fill(0xee);
  }
  return found;
}

describe("Framer, read into", () => {
  const big = (n: number, size: number): Uint8Array => {
    const body = new Uint8Array(size).fill(n);
    return framed(body);
  };
  const mixed = [
    ...stream,
    big(1, 16 * 1024),
    big(2, 70_000 & -8),
    framed(word(1)),
    big(3, 300_000),
    big(4, 70_000 & -8),
    big(5, 70_000 & -8),
    framed(word(2), word(3)),
  ];
  const all = concat(mixed);
  const want = mixed.flatMap((one) => frames([one]));

  it("has room for the next read of a large frame, wherever the read before it ended", () => {
    const large = big(1, 20_000);
    for (const before of [[], [framed(new Uint8Array(1000))], [framed(new Uint8Array(4080))]]) {
      const skip = concat(before).length;
      const bytes = concat([...before, large]);
      const found = frames([...before, large]);
      // The message before leaves the kept buffer at its own size.
      for (const first of [8, 504, 512, 520, 1000, 1008, 1016, 4080, 4088, 4096]) {
        const sizes = skip === 0 ? [first, 1e6] : [skip - 8, 8, first, 1e6];
        expect(feed(new Framer(DEFAULT_LIMITS), bytes, sizes)).toEqual(found);
      }
    }
  });

  it("does not take a header for a frame, however many segments a raised limit lets it have", () => {
    const bodies = Array.from({ length: 9000 }, (_, i) =>
      word(i).subarray(0, i % 900 === 0 ? 8 : 0),
    );
    const bytes = concat([framed(...bodies), framed(word(1))]);
    const limits = { ...DEFAULT_LIMITS, segments: 9000 };
    const found = feed(new Framer(limits, roomyMemory(4096)), bytes, [100, 20_000, 1e6]);
    expect(found.length).toBe(2);
    expect(found[0]!.length).toBeGreaterThan(10 * 16);
    const over = new Framer({ ...limits, messageWords: 9 }, roomyMemory(4096));
    expect(errorOf(() => feed(over, bytes, [100, 1e6])).code).toBe("malformed-frame");
  });

  it("C-FRM-01: gives the same messages, whatever the reads bring and the memory's room", () => {
    for (const room of [0, 1, 8, 100, 4096, 200_000])
      for (const size of [1000, 4096, 65_536, 1_000_000])
        expect(feed(new Framer(DEFAULT_LIMITS, roomyMemory(room)), all, [size])).toEqual(want);
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 90_000 }), { minLength: 1, maxLength: 20 }),
        fc.integer({ min: 0, max: 9000 }),
        (sizes, room) => {
          expect(feed(new Framer(DEFAULT_LIMITS, roomyMemory(room)), all, sizes)).toEqual(want);
        },
      ),
      { seed: 2, numRuns: 60 },
    );
  });

  it("C-FRM-21: large frames in a row each end in memory of their own, with nothing copied but the beginning", () => {
    const memory = roomyMemory(4096);
    const framer = new Framer(DEFAULT_LIMITS, memory);
    const buffers: ArrayBufferLike[] = [];
    const frame = big(7, 65_536);
    const bytes = concat([frame, frame, frame, frame]);
    let at = 0;
    let reads = 0;
    const shared = new Uint8Array(64 * 1024);
    const onFrame = (f: Frame): void => {
      expect(f.memory).toBe(memory);
      buffers.push(f.bytes.buffer);
    };
    while (at < bytes.length) {
      const to = framer.space ?? shared;
      const n = Math.min(to.length, bytes.length - at);
      to.set(bytes.subarray(at, at + n));
      at += n;
      reads++;
      if (to === shared) framer.pushPart(shared, new DataView(shared.buffer), n, onFrame);
      else framer.filled(n, onFrame);
    }
    expect(new Set(buffers).size).toBe(4);
    expect(reads).toBe(5); // One to find out, then one for each.
    expect(framer.pendingBytes).toBe(0);
    expect(framer.space).toBeNull();
  });

  it("C-FRM-07: the memory of a huge frame grows with what came", () => {
    const memory = roomyMemory(4096);
    const framer = new Framer(DEFAULT_LIMITS, memory);
    feed(framer, concat([fromHex("00000000 00008000"), new Uint8Array(1000)]), [1008]);
    for (let total = 0; total < 3 << 20;) {
      const space = framer.space!;
      expect(memory.given.at(-1)!.length).toBeLessThanOrEqual(2 * framer.pendingBytes + 140_000);
      total += space.length;
      framer.filled(space.length, () => expect.unreachable());
    }
  });

  it("C-HOS-20: frames before a malformed one in the room behind are handed over, and nothing after", () => {
    const bytes = concat([
      big(1, 70_000 & -8),
      framed(word(9)),
      fromHex("ffffffff00000000"),
      big(2, 8),
    ]);
    const framer = new Framer(DEFAULT_LIMITS, roomyMemory(4096));
    const found: string[] = [];
    const onFrame = (frame: Frame): void => void found.push(segments(frame));
    framer.push(bytes.subarray(0, 60_000), onFrame);
    const space = framer.space!;
    const rest = bytes.subarray(60_000);
    space.set(rest);
    expect(errorOf(() => framer.filled(rest.length, onFrame)).code).toBe("malformed-frame");
    expect(found.length).toBe(2);
    expect(found[1]).toBe("0900000000000000");
    expect(framer.space).toBeNull();
    expect(errorOf(() => framer.push(framed(word(1)), onFrame)).code).toBe("malformed-frame");
  });
});

describe("parseFrame", () => {
  const frame = new FrameClass();

  it("C-FRM-19: takes exactly one frame", () => {
    const bytes = written((w) => w.bootstrap(5));
    parseFrame(bytes, frame, DEFAULT_LIMITS);
    expect(frame.length).toBe(bytes.length);
    expect(toHex(frame.copy())).toBe(toHex(bytes));
    expect(readBack(bytes).tag).toBe(MessageTag.bootstrap);
    for (const extra of [1, 8, bytes.length]) {
      const longer = concat([bytes, new Uint8Array(extra)]);
      const error = errorOf(() => parseFrame(longer, frame, DEFAULT_LIMITS));
      expect(error.code).toBe("malformed-frame");
      expect(error.message).toContain(`${extra} bytes after`);
    }
    for (let n = 0; n < bytes.length; n++)
      expect(errorOf(() => parseFrame(bytes.subarray(0, n), frame, DEFAULT_LIMITS)).code).toBe(
        "malformed-frame",
      );
    const limits = limitsWith({ messageWords: 4 });
    expect(errorOf(() => parseFrame(bytes, frame, limits)).message).toContain("limit of 4");
  });
});
