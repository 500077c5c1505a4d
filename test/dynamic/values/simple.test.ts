// The short way of plain values gives the bytes that the long way gives, and leaves it all that is not so plain.

import { expect, it } from "vitest";
import {
  encodeSimple,
  encodeValue,
  isSimple,
  isSimpleList,
} from "../../../src/cap/dynamic/values/index.js";

const NO_REFERENCES = { reference: () => undefined };
const short = (value: unknown, args: boolean): number[] | null => {
  if (!(args ? isSimpleList(value as unknown[]) : isSimple(value))) return null;
  const span = encodeSimple(value);
  return [...span.bytes.subarray(span.from, span.to)];
};
const long = (value: unknown): number[] => [...encodeValue(value, NO_REFERENCES)];

const PLAIN = [0, 7, -7, 1.5, 2 ** 40, NaN, Infinity, "", "text", "Grüße", true, false, null];

it("plain values and lists of them are encoded alike", () => {
  for (const value of PLAIN) expect(short(value, false), String(value)).toEqual(long(value));
  expect(short(PLAIN, true)).toEqual(long(PLAIN));
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
