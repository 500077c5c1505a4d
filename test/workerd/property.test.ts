// Values nobody thought of, with Node's own V8 at the other end, in both directions.

import fc from "fast-check";
import { expect, it } from "vitest";
import { isSimpleList } from "../../src/cap/dynamic/values/index.js";
import { encodeSimpleList } from "../../src/workerd/v8-value/index.js";
import { anyText, anyValue } from "../support/any-value.js";
import { decode, difference, encode, nodeReads, nodeWrites, roundTrip } from "./help.js";

/** Checks `arrived` against what structuredClone makes of the value. */
function arrivesBy(way: (value: unknown) => unknown, seed: number): void {
  fc.assert(
    fc.property(anyValue, (value) => {
      expect(difference(way(value), structuredClone(value))).toBeNull();
    }),
    { seed, numRuns: 2500 },
  );
}

it("what V8 writes is read as V8 reads it", () => {
  arrivesBy((value) => decode(nodeWrites(value)), 7);
});

it("V8 reads what is written", () => {
  arrivesBy((value) => nodeReads(encode(value)), 8);
});

it("what is written is read", () => {
  arrivesBy((value) => roundTrip(value), 9);
});

it("what V8 has read it writes again the same way as what was never sent", () => {
  fc.assert(
    fc.property(anyValue, (value) => {
      const once = decode(encode(value));
      expect(encode(once)).toEqual(encode(value));
    }),
    { seed: 10, numRuns: 1000 },
  );
});

it("lists of simple values have the same bytes by the short way", () => {
  const simple = fc.oneof(fc.double(), fc.integer(), anyText, fc.boolean(), fc.constant(null));
  fc.assert(
    fc.property(fc.array(simple, { maxLength: 16 }).filter(isSimpleList), (list) => {
      expect(encodeSimpleList(list)).toEqual(encode(list));
    }),
    { seed: 11, numRuns: 1000 },
  );
});

it("errors, through V8's own form, and through workerd's", () => {
  const classes = [Error, TypeError, RangeError, SyntaxError, EvalError, ReferenceError, URIError];
  const error = fc
    .tuple(fc.constantFrom(...classes), anyText, fc.option(anyValue), anyText)
    .map(([type, message, cause, stack]) => {
      const made = new type(message, cause === null ? {} : { cause });
      made.stack = stack;
      return made;
    });
  const same = (a: unknown, b: Error): void => {
    expect(difference(a, b)).toBeNull();
  };
  fc.assert(
    fc.property(error, (error) => {
      const [theirs, ours] = [decode(nodeWrites(error)) as Error, roundTrip(error) as Error];
      same(theirs, structuredClone(error));
      expect(theirs.stack).toBe(error.stack);
      // An empty message arrives as none.
      if (error.message !== "") same(ours, structuredClone(error));
      else expect(ours.message).toBe("");
    }),
    { seed: 11, numRuns: 1000 },
  );
});
