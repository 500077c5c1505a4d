// Params and results of plain values: no bytes while nobody reads them, the right ones for whoever does.

import { expect, it } from "vitest";
import type { RpcError } from "../../src/base/errors.js";
import { RpcStub, RpcTarget } from "../../src/cap/dynamic/index.js";
import { PlainRequest, PlainResult } from "../../src/cap/dynamic/plain.js";
import { MAX_PATH, readRequest, readResult, WANT_VALUE } from "../../src/cap/dynamic/protocol.js";
import { decodeSpan } from "../../src/cap/dynamic/values/index.js";
import { Money, TYPES } from "./classes.js";
import { Pair } from "./kit.js";

const NONE = {
  revive(): never {
    throw new Error("no references");
  },
};

it("whoever reads a plain request finds what was asked", () => {
  const plain = PlainRequest.of(["rooms", "open"], [1, "two", null])!;
  plain.want = WANT_VALUE;
  plain.timeout = 77;
  const { path, args, want, timeout, references } = readRequest(plain.own().content);
  expect({ path, want, timeout }).toEqual({
    path: ["rooms", "open"],
    want: WANT_VALUE,
    timeout: 77,
  });
  expect(decodeSpan(args!, NONE)).toEqual([1, "two", null]);
  expect(references.kinds).toEqual([]);
  expect(plain.content, "made once").toBe(plain.content);
});

it("whoever reads a plain result finds its value, and may keep it", () => {
  for (const value of [7, "x".repeat(500), false, null, undefined]) {
    const plain = PlainResult.of(value)!;
    const { content } = plain.own();
    PlainResult.of("y".repeat(600))!.content.own(); // what is borrowed would be overwritten
    const { value: span, hasValue } = readResult(content);
    expect(hasValue).toBe(true);
    expect(span === null ? undefined : decodeSpan(span, NONE)).toBe(value);
    expect(content.borrowed).toBe(false);
  }
});

it("what holds a reference, or is too long, is not plain", () => {
  expect(PlainRequest.of([], [{}])).toBe(null);
  expect(PlainRequest.of(new Array<string>(MAX_PATH + 1).fill("a"), null)).toBe(null);
  expect(PlainResult.of({})).toBe(null);
  expect(PlainResult.of(() => {})).toBe(null);
});

it("a plain call on an object here keeps its order among others", async () => {
  const seen: unknown[] = [];
  class Log extends RpcTarget {
    note(value: unknown): unknown {
      seen.push(value);
      return seen.length;
    }
  }
  using log = new RpcStub(new Log());
  const answers = [log.note(1), log.note({ two: 2 }), log.note(3), log.note([4])];
  expect(seen).toEqual([]);
  expect(await Promise.all(answers)).toEqual([1, 2, 3, 4]);
  expect(seen).toEqual([1, { two: 2 }, 3, [4]]);
});

it("what a codec or a prototype of its own makes more than plain takes the long way, beside plain values", async () => {
  class List extends Array<unknown> {}
  const list = List.from([1, 2]);
  for (const one of [new Money(1n), list, Object(1), 1n]) {
    expect(PlainRequest.of([], [1, one])).toBe(null);
    expect(PlainResult.of(one)).toBe(null);
  }
  expect(PlainRequest.of([], list)).toBe(null);

  const given: unknown[] = [];
  class Till extends RpcTarget {
    add(amount: Money, cents: number): Money {
      given.push(amount);
      return new Money(amount.cents + BigInt(cents));
    }
  }
  using till = new RpcStub(new Till(), { types: TYPES });
  const five = new Money(5n);
  const sum = await till.add(five, 2);
  expect(sum).toBeInstanceOf(Money);
  expect(sum.cents).toBe(7n);
  expect(given[0]).toBeInstanceOf(Money);
  expect(given[0], "a copy").not.toBe(five);
});

it("a name that a frozen Object.prototype does not let be set fails its own call, no more", async () => {
  class Api extends RpcTarget {
    take(value: unknown): unknown {
      return value;
    }
    async give(): Promise<unknown> {
      return { toString: 1 };
    }
  }
  const pair = new Pair(new Api());
  const everybody: object = Object.prototype;
  const own = Object.getOwnPropertyDescriptor(everybody, "toString")!;
  const taken = pair.api.take({ toString: 1 }).then(
    () => "taken",
    (error: RpcError) => error.message,
  );
  const given = pair.api.give().then(
    () => "given",
    (error: RpcError) => error.message,
  );
  const after = pair.api.take(1);
  // As Object.freeze does, which could not be undone.
  Object.defineProperty(everybody, "toString", { ...own, writable: false });
  try {
    expect(await pair.run(Promise.all([taken, given, after]))).toEqual([
      expect.stringMatching(/a part of it cannot be made/),
      expect.stringMatching(/cannot be sent/),
      1,
    ]);
  } finally {
    Object.defineProperty(everybody, "toString", own);
  }
  await pair.done();
});
