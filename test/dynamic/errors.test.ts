// What methods throw, as it arrives: registered classes as themselves, all else as RpcError; stacks by opt-in alone.

import { afterEach, describe, expect, it } from "vitest";
import { captureErrorStacks, type LeavingError, limitsWith, RpcError } from "../../src/index.js";
import { errorDetail, RpcStub, RpcTarget, ValueTypes } from "../../src/cap/dynamic/index.js";
import { Money, OutOfStock, TYPES } from "./classes.js";
import { failure, Pair, type PairOptions } from "./kit.js";

class Unknown extends Error {}
class Shop extends RpcTarget {
  thrown: unknown;
  constructor(thrown: unknown) {
    super();
    this.thrown = thrown;
  }
  buy(): number {
    throw this.thrown;
  }
  async later(): Promise<Shop> {
    await Promise.resolve();
    throw this.thrown;
  }
  list(): number[] {
    return [1, 2];
  }
  async pass(call: RpcStub<() => number>): Promise<number> {
    return call();
  }
  get stock(): number {
    throw this.thrown;
  }
}

function pairOf(thrown: unknown, options: PairOptions = {}): Pair<Shop> {
  return new Pair(new Shop(thrown), {
    ...options,
    guest: { types: TYPES, ...options.guest },
    serve: { types: TYPES, ...options.serve },
  });
}

const soldOut = (): OutOfStock =>
  new OutOfStock("tea", { left: new Money(3n), cause: new TypeError("why") });

afterEach(() => captureErrorStacks(false));

describe("an error of a registered class", () => {
  it("arrives as that, with message, cause and properties, and the facts of the call beside it", async () => {
    const pair = pairOf(soldOut());
    for (const [name, call] of [
      ["buy", pair.api.buy()],
      ["later", pair.api.later() as PromiseLike<unknown>],
      ["stock", pair.api.stock],
    ] as const) {
      const error = (await failure(pair.run(call))) as unknown as OutOfStock;
      expect(error).toBeInstanceOf(OutOfStock);
      expect(error.message).toBe("no tea left");
      expect(error.sorry).toBe("sorry: no tea left");
      expect(error.left).toEqual(new Money(3n));
      expect(error.left).toBeInstanceOf(Money);
      expect(error.cause).toBeInstanceOf(TypeError);
      expect(RpcError.is(error)).toBe(false);
      expect(RpcError.of(error)).toMatchObject({
        type: "failed",
        code: "remote-exception",
        delivery: "started",
        method: name,
        message: "no tea left",
        trace: "",
      });
      expect(error.stack ?? "").not.toMatch(/errors\.test|soldOut/);
    }
    await pair.done();
  });

  it("arrives through a local stub as a copy, and the error itself is the cause of the facts", async () => {
    const thrown = soldOut();
    using api = new RpcStub(new Shop(thrown), { types: TYPES });
    const error: unknown = await failure(api.buy());
    expect(error).toBeInstanceOf(OutOfStock);
    expect(error).not.toBe(thrown);
    expect(RpcError.of(error)).toMatchObject({ code: "method-failed", method: "buy" });
    expect(RpcError.of(error)!.cause).toBe(thrown);
  });

  it("fails what is pipelined on the call as well, and passes through callbacks and map", async () => {
    const pair = pairOf(soldOut());
    using later = pair.api.later();
    expect(await failure(pair.run(later.buy()))).toBeInstanceOf(OutOfStock);
    later[Symbol.dispose]();
    const thrown = soldOut();
    const through = pair.api.pass(() => {
      throw thrown;
    });
    expect(await failure(pair.run(through))).toBeInstanceOf(OutOfStock);
    using list = pair.api.list();
    const mapped = list.map(() => pair.api.buy());
    expect(await failure(pair.run(mapped))).toBeInstanceOf(OutOfStock);
    list[Symbol.dispose]();
    await pair.done();
  });

  it("leaves out what cannot be sent or does not fit, and is itself all the same", async () => {
    const pair = pairOf(
      new OutOfStock("tea", {
        left: () => 1,
        cause: "x".repeat(20_000),
        note: "y".repeat(5000),
      }),
    );
    const error = (await failure(pair.run(pair.api.buy()))) as unknown as OutOfStock;
    expect(error).toBeInstanceOf(OutOfStock);
    expect(Object.assign({}, error)).toEqual({ item: "tea", note: "y".repeat(5000) });
    expect(error.cause).toBeUndefined();
    await pair.done();
  });

  it("whose message alone is over the limit arrives as an RpcError", async () => {
    const limits = limitsWith({ errorBytes: 300 });
    const pair = pairOf(new OutOfStock("z".repeat(400)), { serve: { types: TYPES, limits } });
    const error = await failure(pair.run(pair.api.buy()));
    expect(error).toMatchObject({
      code: "remote-exception",
      message: `no ${"z".repeat(400)} left`,
    });
    await pair.done();
  });

  it("is bounded where it arrives, too", async () => {
    const limits = limitsWith({ errorBytes: 64 });
    const pair = pairOf(new OutOfStock("t".repeat(100)), { guest: { limits } });
    expect(await failure(pair.run(pair.api.buy()))).toMatchObject({ code: "remote-exception" });
    await pair.done();
  });

  it("that only one side knows is an RpcError with its message", async () => {
    const one = pairOf(soldOut(), { guest: { types: new ValueTypes({}) } });
    const error = await failure(one.run(one.api.buy()));
    expect(error).toMatchObject({ code: "remote-exception", message: "no tea left" });
    expect(error.details).toHaveLength(1);
    expect(RpcError.of(error)).toBe(error);
    await one.done();
    const other = pairOf(soldOut(), { serve: { types: new ValueTypes({}) } });
    expect(await failure(other.run(other.api.buy()))).toMatchObject({
      code: "remote-exception",
      details: [],
    });
    await other.done();
  });

  it("may not be an RpcError: its facts would be the peer's word", () => {
    class Mine extends RpcError {}
    expect(() => new ValueTypes({ errors: [{ name: "Mine", class: Mine as never }] })).toThrow(
      /is an RpcError/,
    );
  });
});

describe("all else that is thrown", () => {
  it("C-DIS-15: arrives as an RpcError, with a safe message and without a stack", async () => {
    const hostile = new Proxy(new Error("x"), {
      get: () => {
        throw new Error("trap");
      },
      getPrototypeOf: () => {
        throw new Error("trap");
      },
    });
    for (const [thrown, message] of [
      [new Unknown("plain"), /^plain$/],
      ["text", /^the method threw text$/],
      [undefined, /^the method threw undefined$/],
      [hostile, /cannot be described/],
    ] as const) {
      const pair = pairOf(thrown);
      const error = await failure(pair.run(pair.api.buy()));
      expect(RpcError.is(error)).toBe(true);
      expect(error).toMatchObject({ code: "remote-exception", delivery: "started", trace: "" });
      expect(error.message).toMatch(message);
      await pair.done();
    }
  });

  it("C-DIS-10, C-DIS-16: an RpcError keeps its type, and the connection lives", async () => {
    for (const type of ["failed", "overloaded", "disconnected", "unimplemented"] as const) {
      const pair = pairOf(new RpcError(type, "method-failed", "mine"));
      expect(await failure(pair.run(pair.api.buy()))).toMatchObject({ type, message: "mine" });
      expect(await pair.run(pair.api.list())).toEqual([1, 2]);
      await pair.done();
    }
  });

  it("C-DIS-12, C-DIS-14: passes through a vat in between with its message and details as they were", async () => {
    // The host does not know the class: what it cannot read it hands on as it came.
    const pair = pairOf(null, { serve: { types: new ValueTypes({}) } });
    const inner = new RpcStub(new Shop(soldOut()), { types: TYPES });
    const through = pair.api.pass(inner.buy as unknown as () => number);
    const error: unknown = await failure(pair.run(through));
    expect(error).toMatchObject({ message: "no tea left" });
    expect(error).toBeInstanceOf(OutOfStock);
    inner[Symbol.dispose]();
    await pair.done();
  });

  it("C-DIS-19: what nobody awaits is silent", async () => {
    const heard: unknown[] = [];
    const listen = (reason: unknown): void => void heard.push(reason);
    process.on("unhandledRejection", listen);
    const pair = pairOf(soldOut());
    void pair.api.buy();
    using later = pair.api.later();
    void later.buy();
    await pair.rest();
    later[Symbol.dispose]();
    await pair.rest();
    expect(heard).toEqual([]);
    process.off("unhandledRejection", listen);
    await pair.done();
  });
});

describe("stacks", () => {
  it("of the caller: none by default", async () => {
    const pair = pairOf(soldOut());
    const thrown = await failure(pair.run(pair.api.buy()));
    expect(thrown.stack ?? "").not.toMatch(/errors\.test/);
    await pair.done();
  });

  it("of the caller, by opt-in: where the call was made, under the error's own message", async () => {
    captureErrorStacks(true);
    const registered = pairOf(soldOut());
    const plain = pairOf("text");
    function asks(pair: Pair<Shop>): PromiseLike<number> {
      return pair.api.buy();
    }
    for (const [pair, first] of [
      [registered, /^RangeError: no tea left\n/],
      [plain, /^RpcError: the method threw text\n/],
    ] as const) {
      const error = await failure(pair.run(asks(pair)));
      expect(error.stack).toMatch(first);
      expect(error.stack).toMatch(/asks.*errors\.test/);
      error.stack = "mine";
      expect(error.stack).toBe("mine");
      await pair.done();
    }
  });

  it("of the caller: a sample", async () => {
    using api = new RpcStub(new Shop("text"));
    captureErrorStacks({ every: 4 });
    const errors = await Promise.all(Array.from({ length: 8 }, () => failure(api.buy())));
    const noted = errors.filter((error) => /errors\.test/.test(error.stack ?? ""));
    // The errors themselves are in the same sample as the calls.
    expect(noted.length).toBeGreaterThan(0);
    expect(noted.length).toBeLessThan(8);
    for (const every of [0, 1.5, Number.NaN])
      expect(() => captureErrorStacks({ every })).toThrow(RangeError);
  });

  it("are made into text when they are read, not before", async () => {
    captureErrorStacks(true);
    const before = Object.getOwnPropertyDescriptor(Error, "prepareStackTrace");
    let formatted = 0;
    Object.defineProperty(Error, "prepareStackTrace", {
      configurable: true,
      value: (_error: unknown, frames: unknown[]) => {
        formatted++;
        return frames.map((frame) => `    at ${String(frame)}`).join("\n");
      },
    });
    try {
      using api = new RpcStub(new Shop("x"));
      const error = await failure(api.buy());
      expect(formatted).toBe(0);
      expect(error.stack).toMatch(/ {4}at /);
      expect(formatted).toBeGreaterThan(0);
    } finally {
      if (before === undefined) Reflect.deleteProperty(Error, "prepareStackTrace");
      else Object.defineProperty(Error, "prepareStackTrace", before);
    }
  });

  it("C-DIS-13: of the callee, only where its session sends traces", async () => {
    const silent = pairOf(soldOut());
    expect(RpcError.of(await failure(silent.run(silent.api.buy())))!.trace).toBe("");
    await silent.done();
    const open = pairOf(soldOut(), { host: { sendTrace: true } });
    expect(RpcError.of(await failure(open.run(open.api.buy())))!.trace).toMatch(/soldOut/);
    await open.done();
  });
});

describe("the redaction hook", () => {
  it("sees what is to leave, and what was thrown", async () => {
    const seen: LeavingError[] = [];
    const thrown = soldOut();
    const redactError = (leaving: LeavingError): object => {
      seen.push(leaving);
      return {};
    };
    const pair = pairOf(thrown, { host: { redactError, sendTrace: true } });
    expect(await failure(pair.run(pair.api.buy()))).toBeInstanceOf(OutOfStock);
    expect(seen).toHaveLength(1);
    expect(seen[0]).toMatchObject({ type: "failed", message: "no tea left", cause: thrown });
    expect(seen[0]!.details).toHaveLength(1);
    expect(seen[0]!.trace).toMatch(/soldOut/);
    await pair.done();
  });

  it("shows no trace where none is sent", async () => {
    const traces: string[] = [];
    const redactError = ({ trace }: LeavingError): null => {
      traces.push(trace);
      return null;
    };
    const pair = pairOf(soldOut(), { host: { redactError } });
    await failure(pair.run(pair.api.buy()));
    expect(traces).toEqual([""]);
    await pair.done();
  });

  it("changes each part, and the error of a registered class too", async () => {
    const redactError = ({ cause, trace }: LeavingError): object => {
      const { item } = cause as OutOfStock;
      const shown = Object.assign(new OutOfStock(item), { message: "none" });
      return {
        message: "none",
        trace: trace.replace(/[\s\S]*/, "elsewhere"),
        details: [errorDetail(shown, TYPES)!],
      };
    };
    const pair = pairOf(soldOut(), { host: { redactError, sendTrace: true } });
    const error = (await failure(pair.run(pair.api.buy()))) as unknown as OutOfStock;
    expect(error).toMatchObject({ message: "none", item: "tea" });
    expect(error.left).toBeUndefined();
    expect(RpcError.of(error)).toMatchObject({ message: "none", trace: "elsewhere" });
    await pair.done();
  });

  it("drops all but the type; so does one that throws", async () => {
    for (const redactError of [
      () => null,
      () => {
        throw new Error("odd");
      },
    ]) {
      const thrown = new RpcError("overloaded", "method-failed", "secret", {
        trace: "secret",
        details: [{ id: 1n, data: new Uint8Array(1) }],
      });
      const pair = pairOf(thrown, { host: { redactError, sendTrace: true } });
      const error = await failure(pair.run(pair.api.buy()));
      expect(error).toMatchObject({ type: "overloaded", trace: "", details: [] });
      expect(error.message).not.toMatch(/secret/);
      await pair.done();
    }
  });
});
