// Values nobody thought of: whatever fast-check makes arrives as structuredClone would give it.

import fc from "fast-check";
import { expect, it } from "vitest";
import { anyValue } from "../../support/any-value.js";
import { difference, roundTrip } from "./help.js";

it("arrives as structuredClone gives it", () => {
  fc.assert(
    fc.property(anyValue, (value) => {
      expect(difference(roundTrip(value), structuredClone(value))).toBeNull();
    }),
    { seed: 7, numRuns: 10_000 },
  );
});

it("plain values without sharing", () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      expect(difference(roundTrip(value), structuredClone(value))).toBeNull();
    }),
    { seed: 8, numRuns: 5000 },
  );
});
