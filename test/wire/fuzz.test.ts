// Role: the fuzz gate. Any bytes at all: a message or our own error, within the budget, and no more memory than the input.
// CAPSTAN_FUZZ_RUNS sets the number of runs of each property (2000 by default), CAPSTAN_FUZZ_SEED their seed.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { RpcError } from "../../src/base/errors.js";
import { limitsWith } from "../../src/base/limits.js";
import { Content } from "../../src/wire/content.js";
import { Frame, parseFrame } from "../../src/wire/frame.js";
import { Framer } from "../../src/wire/framer.js";
import { MessageReader } from "../../src/wire/message-reader.js";
import { PackedFramer } from "../../src/wire/packing.js";
import { followPath } from "../../src/wire/path.js";
import { type StructReader, StructReader as Struct } from "../../src/wire/struct.js";
import { PayloadCopier } from "../../src/wire/validate.js";
import { fromHex, framed, written } from "./help.js";
import { readFileSync } from "node:fs";

const runs = {
  numRuns: Number(process.env["CAPSTAN_FUZZ_RUNS"] ?? 2000),
  seed: Number(process.env["CAPSTAN_FUZZ_SEED"] ?? 5),
};
const minutes = 60_000 * (process.env["CAPSTAN_FUZZ_RUNS"] === undefined ? 1 : 120);

const limits = limitsWith({ messageWords: 4096, traversalWords: 20_000, capTable: 256 });
const reader = new MessageReader(limits);

const vectors = (
  JSON.parse(readFileSync(new URL("../spec/vectors.json", import.meta.url), "utf8")) as {
    hex: string;
  }[]
).map(({ hex }) => fromHex(hex));

/** Runs `act`; whether it went through. Anything thrown but our own error fails the test. */
function survives(act: () => void): boolean {
  try {
    act();
    return true;
  } catch (thrown) {
    if (thrown instanceof RpcError) return false;
    throw thrown;
  }
}

const seen = { frames: 0, messages: 0, contents: 0, refused: 0 };

function useFrame(frame: Frame): void {
  seen.frames++;
  if (survives(() => reader.read(frame))) useMessage(reader, frame.length);
}

function useMessage(m: MessageReader, size: number): void {
  seen.messages++;
  expect(m.capCount).toBeLessThanOrEqual(limits.capTable);
  let steps = m.path.length;
  for (let i = 0; i < m.capCount; i++) steps += m.capPath(i).length;
  expect(steps).toBeLessThanOrEqual(limits.capTable);
  survives(() => {
    const error = m.takeException();
    expect(error.message.length).toBeLessThanOrEqual(limits.reasonLength + 1);
    const kept = error.details.reduce((n, detail) => n + detail.data.length, 0);
    expect(kept).toBeLessThanOrEqual(size);
  });
  survives(() => m.takeEmbargo());
  let content = Content.NULL;
  if (survives(() => (content = m.takeContent()))) {
    if (content !== Content.NULL && content !== Content.EMPTY_STRUCT) {
      seen.contents++;
      expect(content.bytes.length).toBeLessThanOrEqual(size + 8);
      useContent(content);
    }
  } else seen.refused++;
  survives(() => {
    const inner = m.inner();
    if (inner !== null) useMessage(inner, size);
  });
  survives(() => written((w) => w.unimplemented(frameNow), limits));
}

let frameNow = new Frame();

/** A validated content can be walked as any schema would, by any reader, without a bound missed. */
function useContent(content: Content): void {
  // What was validated once is valid: it can be copied again. That may lose a gap that a far pointer to an empty struct
  // had left, but after that it is the same for ever.
  const copier = new PayloadCopier(limits);
  const again = copier.renumber(content, (index) => index);
  expect(again.bytes.length).toBeLessThanOrEqual(content.bytes.length);
  expect(copier.renumber(again, (index) => index).bytes).toEqual(again.bytes);
  for (const path of [[], [0], [1], [0, 0], [2, 1, 0]]) survives(() => followPath(content, path));
  survives(() => walk(Struct.of(content), 200));
}

function walk(s: StructReader, budget: number): number {
  s.u64(0);
  s.f64(8);
  s.bool(77);
  for (let i = 0; i < 4 && budget > 0; i++) {
    budget--;
    for (const read of [
      () => s.text(i),
      () => s.data(i),
      () => s.capability(i),
      () => (budget = walk(s.struct(i), budget)),
      () => {
        const list = s.list(i);
        for (let k = 0; k < list.length && budget > 0; k++) budget = walk(list.at(k), budget - 1);
      },
    ])
      survives(read);
  }
  return budget;
}

function useBytes(bytes: Uint8Array): void {
  survives(() => {
    parseFrame(bytes, frameNow, limits);
    useFrame(frameNow);
  });
}

/** Words that are pointers more often than chance would have it. */
const small = fc.integer({ min: -4, max: 12 });
const wordArb = fc.oneof(
  {
    weight: 4,
    arbitrary: fc
      .tuple(small, fc.nat(3), fc.nat(4))
      .map(([o, d, p]): [number, number] => [o << 2, d | (p << 16)]),
  },
  {
    weight: 3,
    arbitrary: fc
      .tuple(small, fc.nat(7), fc.nat(9))
      .map(([o, s, n]): [number, number] => [(o << 2) | 1, s | (n << 3)]),
  },
  {
    weight: 2,
    arbitrary: fc
      .tuple(fc.nat(10), fc.boolean(), fc.nat(3))
      .map(([o, d, s]): [number, number] => [(o << 3) | (d ? 4 : 0) | 2, s]),
  },
  { weight: 1, arbitrary: fc.nat(5).map((i): [number, number] => [3, i]) },
  { weight: 2, arbitrary: fc.constant<[number, number]>([0, 0]) },
  {
    weight: 3,
    arbitrary: fc.tuple(fc.nat(16), fc.nat(6)).map(([a, b]): [number, number] => [a, b]),
  },
  { weight: 1, arbitrary: fc.tuple(fc.integer(), fc.integer()) },
);
const segmentArb = fc.array(wordArb, { maxLength: 24 }).map((list) => {
  const view = new DataView(new ArrayBuffer(list.length * 8));
  list.forEach(([lo, hi], i) => {
    view.setInt32(i * 8, lo, true);
    view.setInt32(i * 8 + 4, hi, true);
  });
  return new Uint8Array(view.buffer);
});

/** An envelope of ours in segment 0 whose content is the start of hostile words. */
const envelope = fc
  .tuple(fc.constantFrom(2, 3), fc.array(segmentArb, { minLength: 1, maxLength: 4 }))
  .map(([tag, [first, ...rest]]) => {
    const head =
      tag === 2
        ? "0000000001000100 0200000000000000 0000000003000300 0100000003000000 efcdab8967452381 0000000000000000 0800000001000100 0c00000000000200 0000000000000000 0000000000000000 0000000000000000"
        : "0000000001000100 0300000000000000 0000000002000100 0100000001000000 0000000000000000 0000000000000200";
    const start = fromHex(head);
    const segment = new Uint8Array(start.length + first!.length + 16);
    segment.set(start);
    segment.set(first!, start.length);
    return framed(segment, ...rest);
  });

const mutated = fc
  .tuple(
    fc.constantFrom(...vectors),
    fc.array(fc.tuple(fc.nat(400), fc.nat(255)), { minLength: 1, maxLength: 6 }),
  )
  .map(([vector, edits]) => {
    const bytes = vector.slice();
    for (const [at, value] of edits) bytes[at % bytes.length] = value;
    return bytes;
  });

describe("C-VAL-30: fuzz gate", () => {
  it("C-VAL-30: any bytes", { timeout: minutes }, () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => useBytes(bytes)),
      runs,
    );
  });

  it("C-VAL-30: golden vectors with bytes changed", { timeout: minutes }, () => {
    const before = seen.messages;
    fc.assert(
      fc.property(mutated, (bytes) => useBytes(bytes)),
      runs,
    );
    expect(seen.messages - before).toBeGreaterThan(runs.numRuns / 20);
  });

  it("C-VAL-30: hostile words as a whole message", { timeout: minutes }, () => {
    const before = seen.messages;
    fc.assert(
      fc.property(fc.array(segmentArb, { minLength: 1, maxLength: 4 }), (segments) =>
        useBytes(framed(...segments)),
      ),
      runs,
    );
    expect(seen.messages - before).toBeGreaterThan(runs.numRuns / 20);
  });

  it("C-VAL-30: hostile words as a content", { timeout: minutes }, () => {
    const { contents, refused } = seen;
    fc.assert(
      fc.property(envelope, (bytes) => useBytes(bytes)),
      runs,
    );
    // Both outcomes are common, or the generator is no good.
    expect(seen.contents - contents).toBeGreaterThan(runs.numRuns / 20);
    expect(seen.refused - refused).toBeGreaterThan(runs.numRuns / 20);
  });

  it("C-VAL-30: any bytes as a stream, and as a packed one", { timeout: minutes }, () => {
    const chunks = fc.array(fc.oneof(fc.uint8Array({ maxLength: 60 }), mutated), { maxLength: 8 });
    fc.assert(
      fc.property(chunks, (list) => {
        for (const framer of [new Framer(limits), new PackedFramer(limits)]) {
          let fed = 0;
          survives(() => {
            for (const chunk of list) {
              fed += chunk.length;
              framer.push(chunk, (frame) => {
                frameNow = frame;
                useFrame(frame);
              });
              const most = framer instanceof Framer ? fed : 4096 * 8 + 4096;
              expect(framer.pendingBytes).toBeLessThanOrEqual(most);
            }
          });
          frameNow = new Frame();
          framer.end();
        }
      }),
      runs,
    );
  });
});
