// Standard Schemas of methods: applied before user code runs, and before results leave.

import { describe, expect, it } from "vitest";
import {
  RpcTarget,
  type StandardSchema,
  validateFunction,
  validateMethods,
} from "../../src/cap/dynamic/index.js";
import { Counter, failure, Pair } from "./kit.js";

/** A schema of `check`: it gives the value, or the paths at which it is wrong. */
function schema<T>(
  check: (value: unknown) => { value: T } | PropertyKey[][],
  later = false,
): StandardSchema<T> {
  const validate = (value: unknown) => {
    const outcome = check(value);
    return "value" in outcome
      ? { value: outcome.value }
      : { issues: outcome.map((path) => ({ message: `bad ${String(value)}`, path })) };
  };
  return {
    "~standard": {
      version: 1,
      vendor: "test",
      validate: later ? async (value) => validate(value) : validate,
    },
  };
}

const oneNumber = (later = false): StandardSchema<readonly unknown[]> =>
  schema((value) => {
    const list = value as unknown[];
    return typeof list[0] === "number" ? { value: [list[0] * 2] } : [[0, "deep"], [0]];
  }, later);

class Api extends RpcTarget {
  runs = 0;
  readonly made: Counter[] = [];
  now(n: number): number {
    this.runs++;
    return n;
  }
  later(n: number): number {
    this.runs++;
    return n;
  }
  answers(value: unknown): unknown {
    return value;
  }
  make(): Counter {
    const counter = new Counter();
    this.made.push(counter);
    return counter;
  }
  free(value: unknown): unknown {
    return value;
  }
  async visit(f: (n: number) => unknown): Promise<unknown> {
    return f("text" as never);
  }
}

const never = schema<never>(() => [[]]);
validateMethods(Api, {
  now: { params: oneNumber() },
  later: { params: oneNumber(true) },
  answers: {
    result: schema((v) => (typeof v === "string" ? { value: v.length } : [["a", 0]]), true),
  },
  make: { result: never },
});

describe("a method with schemas", () => {
  it("gets what the schema gives, and is not run when it gives nothing", async () => {
    const pair = new Pair(new Api());
    for (const method of ["now", "later"] as const) {
      expect(await pair.run(pair.api[method](4))).toBe(8);
      pair.target.runs = 0;
      const error = await failure(pair.run(pair.api[method]("secret" as never)));
      expect(error).toMatchObject({
        type: "failed",
        message: "validation failed at args[0].deep, args[0]",
        method,
      });
      expect(error.message).not.toMatch(/secret/);
      expect(pair.target.runs).toBe(0);
    }
    await pair.done();
  });

  it("answers with what the schema gives", async () => {
    const pair = new Pair(new Api());
    expect(await pair.run(pair.api.answers("abc"))).toBe(3);
    expect(await failure(pair.run(pair.api.answers(5)))).toMatchObject({
      message: "validation failed at result.a[0]",
    });
    await pair.done();
  });

  it("whose result does not pass gives back what was in it", async () => {
    const pair = new Pair(new Api());
    expect(await failure(pair.run(pair.api.make()))).toMatchObject({
      message: "validation failed at result",
    });
    await pair.done();
    expect(pair.target.made[0]!.disposed).toBe(1);
  });

  it("leaves others alone", async () => {
    const pair = new Pair(new Api());
    expect(await pair.run(pair.api.free("x"))).toBe("x");
    await pair.done();
  });
});

it("a function may have schemas too", async () => {
  const pair = new Pair(new Api());
  let runs = 0;
  const f = validateFunction((n: number) => (runs += n), { params: oneNumber() });
  expect(await failure(pair.run(pair.api.visit(f)))).toMatchObject({
    message: "validation failed at args[0].deep, args[0]",
  });
  expect(runs).toBe(0);
  await pair.done();
});

it("a class has schemas for methods of its own only", () => {
  class Sub extends Api {}
  expect(() => validateMethods(Sub, { now: {} })).toThrow(/no method now of its own/);
});
