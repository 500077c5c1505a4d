// What of the errors in a value is for whom, asked of the bytes that a value was encoded as.

import { describe, expect, it } from "vitest";
import {
  type ErrorPolicy,
  type ErrorRedactor,
  type LeavingError,
  RpcError,
  WITHHELD,
} from "../../../src/base/errors.js";
import {
  decodeValue,
  encodeValue,
  toldBytes,
  type ValueLimits,
} from "../../../src/cap/dynamic/values/index.js";
import { OutOfStock, TYPES } from "../classes.js";
import { difference, limits, NO_REFS } from "./help.js";

const OPEN: ErrorPolicy = { sendTrace: true, redact: null };
const under = (redact: ErrorRedactor, sendTrace = false): ErrorPolicy => ({ sendTrace, redact });

/** What arrives of `value` where `policy` holds. */
function told<T>(value: T, policy: ErrorPolicy | null, most?: ValueLimits): T {
  const options = { types: TYPES, ...(most === undefined ? {} : { limits: most }) };
  const bytes = toldBytes(encodeValue(value, NO_REFS, options), policy);
  return decodeValue(bytes, NO_REFS, undefined, { types: TYPES }) as T;
}

function errorAt<E extends Error>(error: E, stack: string): E {
  error.stack = stack;
  return error;
}

describe("stacks of errors in values", () => {
  it("C-DIS-13: go to those who may see them, of each error in the value", () => {
    const cause = errorAt(new TypeError("inner"), "inner place");
    const value = {
      list: [errorAt(new Error("one"), "place one")],
      map: new Map([["e", errorAt(new AggregateError([cause], "all", { cause }), "place all")]]),
      own: Object.assign(errorAt(new Error("own"), "own place"), { more: cause }),
    };
    const open = told(value, OPEN);
    expect(open.list[0]!.stack).toBe("place one");
    expect(open.map.get("e")!.stack).toBe("place all");
    expect((open.map.get("e")!.cause as Error).stack).toBe("inner place");
    expect(open.map.get("e")!.errors[0]).toBe(open.map.get("e")!.cause);
    expect(open.own.more).toBe(open.map.get("e")!.cause);
    for (const policy of [null, { sendTrace: false, redact: null }]) {
      const closed = told(value, policy);
      for (const error of [closed.list[0], closed.map.get("e"), closed.own, closed.own.more])
        expect(error!.stack ?? "").not.toMatch(/place/);
    }
  });

  it("are, of an RpcError, the trace it came with", () => {
    const error = new RpcError("failed", "remote-exception", "x", { trace: "there" });
    expect(told({ error }, OPEN).error.trace).toBe("there");
    for (const policy of [null, { sendTrace: false, redact: null }])
      expect(told({ error }, policy).error).toMatchObject({ trace: "", code: "remote-exception" });
  });

  it("C-HOS-19: that cannot be read are none", () => {
    const error = new Error("x");
    Object.defineProperty(error, "stack", {
      get: () => {
        throw new Error("trap");
      },
    });
    expect(told({ error }, OPEN).error.message).toBe("x");
  });
});

describe("the redaction of errors in values", () => {
  it("is asked once of each error, with what there is of it", () => {
    const seen: LeavingError[] = [];
    const cause = errorAt(new OutOfStock("tea"), "inner place");
    const error = Object.assign(errorAt(new RangeError("outer", { cause }), "place"), { code: 7 });
    const look = (leaving: LeavingError): object => {
      seen.push(leaving);
      return {};
    };
    const value = [error, error, { cause }];
    const arrived = told(value, under(look, true)) as unknown as [Error, Error];
    expect(seen).toHaveLength(2);
    expect(seen[0]).toEqual({
      type: "failed",
      code: "method-failed",
      message: "outer",
      trace: "place",
      details: [],
      properties: ["cause", "code"],
      cause: error,
    });
    expect(seen[0]!.cause).toBe(error);
    expect(seen[1]).toMatchObject({
      message: "no tea left",
      properties: ["item"],
      trace: "inner place",
    });
    expect(arrived[0]).toBe(arrived[1]);
    expect(arrived[0]).toBeInstanceOf(RangeError);
    expect(arrived[0]).toMatchObject({ message: "outer", code: 7, stack: "place" });
    expect(arrived[0].cause).toBeInstanceOf(OutOfStock);
  });

  it("shows no stack where none is sent, and takes none from it but what it returns", () => {
    const traces: string[] = [];
    const error = errorAt(new Error("x"), "place");
    told(
      [error],
      under(({ trace }) => (traces.push(trace), {})),
    );
    expect(traces).toEqual([""]);
    expect(
      told(
        [error],
        under(() => ({ trace: "elsewhere" })),
      )[0]!.stack,
    ).toBe("elsewhere");
  });

  it("changes messages, and keeps the properties it names", () => {
    const shared = { deep: true };
    const error = Object.assign(new OutOfStock("tea", { cause: "c" }), {
      first: shared,
      toString: "odd",
    });
    const [arrived, last] = told(
      [error, shared] as const,
      under(() => ({ message: "said \ud800", properties: ["item", "stack", "none"] })),
    );
    expect(arrived).toBeInstanceOf(OutOfStock);
    expect(arrived.message).toBe("said \ud800");
    expect(Object.entries(arrived)).toEqual([["item", "tea"]]);
    expect(Object.hasOwn(arrived, "cause")).toBe(false);
    // What was first met in a property that is gone is still what it was.
    expect(last).toEqual({ deep: true });
  });

  it("leaves a message that is no text as it is only where nobody redacts", () => {
    const error = Object.assign(new Error(), { message: { secret: 1 } as unknown as string });
    expect(told([error], OPEN)[0]!.message).toEqual({ secret: 1 });
    expect(
      told(
        [error],
        under(() => ({})),
      )[0]!.message,
    ).toBe("");
  });

  it("by null, or by what throws or makes no sense, leaves the standard class", () => {
    const secret = Object.assign(new OutOfStock("secret", { cause: "secret" }), { own: "secret" });
    const odd = { message: 5 } as unknown as object;
    for (const redact of [() => null, () => undefined, () => odd, () => expect.fail("odd")]) {
      const policy = under(redact as unknown as ErrorRedactor, true);
      const [one, two] = told([secret, new DOMException("secret", "AbortError")] as const, policy);
      expect(Object.getPrototypeOf(one)).toBe(RangeError.prototype);
      expect(one.message).toBe(WITHHELD);
      expect(Object.keys(one)).toEqual([]);
      expect(Object.hasOwn(one, "cause")).toBe(false);
      expect(one.stack ?? "").not.toMatch(/secret|tell\.test/);
      expect(two).toBeInstanceOf(DOMException);
      expect(two).toMatchObject({ name: "AbortError", message: WITHHELD });
    }
  });

  it("says less where what it says does not fit", () => {
    const error = errorAt(new Error("short"), "s".repeat(500));
    const most = limits({ bytes: 200 });
    expect(told([error], OPEN, most)[0]!.message).toBe(WITHHELD);
    expect(told([error], null, most)[0]!.message).toBe("short");
  });

  it("sends the memory that there was when the value was encoded", () => {
    const buffer = Uint8Array.from([0, 1, 2, 3, 4, 5, 6, 7]).buffer;
    const value = () => ({
      error: new Error("x"),
      alone: new Uint8Array([9, 8]),
      window: new Uint16Array(buffer, 2, 2),
      buffer,
    });
    const encoded = value();
    const bytes = encodeValue(encoded, NO_REFS);
    const expected = structuredClone(value());
    encoded.alone.fill(0);
    new Uint8Array(buffer).fill(0);
    structuredClone(buffer, { transfer: [buffer] });
    const arrived = decodeValue(toldBytes(bytes, OPEN), NO_REFS) as typeof expected;
    expect(difference({ ...arrived, error: 0 }, { ...expected, error: 0 })).toBeNull();
    expect(arrived.window.buffer).toBe(arrived.buffer);
  });
});

it("bytes of values without errors are the same for all", () => {
  for (const value of [1, [1], { a: new Map() }]) {
    const bytes = encodeValue(value, NO_REFS);
    expect(toldBytes(bytes, OPEN)).toBe(bytes);
  }
});
