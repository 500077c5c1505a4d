// The short way of plain values gives the bytes that the long way gives, and leaves it all that is not so plain.

import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import { expect, it } from "vitest";
import { pack, unpack } from "../../../src/cap/dynamic/values/pack.js";
import { encodeSmall } from "../../../src/cap/dynamic/values/simple.js";
import {
  decodeSimple,
  decodeSpan,
  DEFAULT_VALUE_LIMITS,
  encodeSimple,
  isSimple,
  isSimpleList,
  NOT_SIMPLE,
  spanOf,
} from "../../../src/cap/dynamic/values/index.js";

const short = (value: unknown, args: boolean): number[] | null => {
  if (!(args ? isSimpleList(value as unknown[]) : isSimple(value))) return null;
  const span = encodeSimple(value);
  return [...span.bytes.subarray(span.from, span.to)];
};
const long = (value: unknown): number[] => [...pack(-1, value, [], 0)];

const PLAIN = [
  0,
  7,
  -7,
  127,
  128,
  255,
  256,
  65_535,
  65_536,
  2 ** 32 - 1,
  -32,
  -33,
  -128,
  -129,
  -32_768,
  -32_769,
  1.5,
  2 ** 40,
  NaN,
  Infinity,
  "",
  "text",
  "Grüße",
  true,
  false,
  null,
];

it("plain values and lists of them are encoded alike", () => {
  for (const value of PLAIN) expect(short(value, false), String(value)).toEqual(long(value));
  expect(short(PLAIN.slice(0, 12), true)).toEqual(long(PLAIN.slice(0, 12)));
  expect(short(PLAIN.slice(12), true)).toEqual(long(PLAIN.slice(12)));
  expect(short([], true)).toEqual(long([]));
});

it("what needs a second look goes the long way", () => {
  const others = [-0, undefined, 5n, "\ud800", "x".repeat(2000), [], {}, new Date(), () => {}];
  for (const value of others) {
    expect(short(value, false), typeof value).toBe(null);
    expect(short([1, value], true), typeof value).toBe(null);
  }
  const holes = [1, 2];
  holes.length = 4;
  expect(short(holes, true)).toBe(null);
  expect(short(new Array(17).fill(1), true)).toBe(null);
});

const leaf = fc.oneof(
  fc.integer(),
  fc.double(),
  fc.string({ unit: "grapheme", maxLength: 40 }),
  fc.constantFrom(true, false, null, 2 ** 31, -(2 ** 31), 2 ** 32, 2 ** 53, -0),
);
const { tree } = fc.letrec((tie) => ({
  tree: fc.oneof(
    { maxDepth: 4 },
    leaf,
    fc.array(tie("tree"), { maxLength: 17 }),
    fc.dictionary(fc.string({ maxLength: 34 }), tie("tree"), { maxKeys: 17 }),
  ),
}));

it("small trees have the bytes of the long way, and come out of them as they do there", () => {
  let small = 0;
  fc.assert(
    fc.property(tree, (value) => {
      // What msgpackr reads under the name does not matter here: scan.ts lets no such key through.
      fc.pre(!JSON.stringify(value).includes("__proto__"));
      const bytes = pack(-1, value, [], 0);
      const span = encodeSmall(value);
      if (span !== null) {
        small++;
        expect([...span.bytes.subarray(span.from, span.to)]).toEqual([...bytes]);
      }
      const read = decodeSimple(spanOf(bytes));
      if (read !== NOT_SIMPLE) expect(read).toStrictEqual(unpack(bytes, 0, bytes.length));
    }),
    { numRuns: 500 },
  );
  expect(small, "the short way was taken").toBeGreaterThan(100);
});

const NONE = {
  revive(): never {
    throw new Error("no references");
  },
};

it("damaged bytes are read as the long way reads them, or refused as it refuses them", () => {
  // Other limits than the default ones, though equal, take the long way.
  const alike = { ...DEFAULT_VALUE_LIMITS };
  const tokens = fc.oneof(fc.constantFrom(0x5f, 0x80, 0x81, 0x91, 0xa0, 0xbf), fc.nat(255));
  const damage = fc.array(fc.tuple(fc.nat(), tokens), { minLength: 1, maxLength: 3 });
  let read = 0;
  fc.assert(
    fc.property(tree, damage, fc.boolean(), (value, changes, cut) => {
      const bytes = pack(-1, value, [], 0);
      for (const [at, byte] of changes) bytes[at % bytes.length] = byte;
      const to = cut ? changes[0]![0] % bytes.length : bytes.length;
      const outcome = (limits = DEFAULT_VALUE_LIMITS): unknown => {
        try {
          return [decodeSpan({ bytes, from: 0, to }, NONE, limits)];
        } catch (error) {
          return (error as Error).message;
        }
      };
      const found = outcome();
      if (typeof found !== "string") read++;
      expect(isDeepStrictEqual(found, outcome(alike)), [...bytes.subarray(0, to)].join()).toBe(
        true,
      );
    }),
    { numRuns: 1000 },
  );
  expect(read, "some were values still").toBeGreaterThan(100);
});

it("reads the small records and lists that calls carry, made anew each time", () => {
  const value = { sum: 7, of: [3, 4], note: "ok", none: null, at: { x: 1.5, y: -2 } };
  const span = spanOf(new Uint8Array(long(value)));
  const read = decodeSimple(span);
  expect(read).toStrictEqual(value);
  expect(decodeSimple(span)).not.toBe(read);
});

it("leaves to the long way what it does not know: which then says what is wrong", () => {
  const bytes = (...all: number[]): number[] => all;
  const deep = [...new Array<number>(9).fill(0x91), 1];
  const unknown = {
    nothing: [],
    "bytes behind it": bytes(1, 2),
    "a list that ends early": bytes(0x92, 1),
    "a text that ends early": bytes(0xa3, 0x61),
    "a float that ends early": bytes(0xcb, 1),
    "an integer that ends early": bytes(0xcd, 1),
    "a key that is no text": bytes(0x81, 1, 1),
    "a key that ends early": bytes(0x81, 0xa3, 0x61),
    "the key __proto__": bytes(0x81, 0xa9, ...new TextEncoder().encode("__proto__"), 0xc0),
    "negative zero": bytes(0xcb, 0x80, 0, 0, 0, 0, 0, 0, 0),
    "another letter": bytes(0xa2, 0xc3, 0xa9),
    "the extended form": bytes(0xc1, 1),
    "an extension": bytes(0xd4, 1, 1),
    depth: deep,
  };
  for (const [name, all] of Object.entries(unknown))
    expect(decodeSimple(spanOf(new Uint8Array(all))), name).toBe(NOT_SIMPLE);
});
