// What can be reached by name, and what cannot, whatever the other side asks for.

import { inspect } from "node:util";
import { describe, expect, it } from "vitest";
import { RpcTarget } from "../../src/cap/dynamic/index.js";
import { CallRequest, NO_PROMISE_PIPELINING } from "../../src/hook/hook.js";
import { Payload } from "../../src/hook/payload.js";
import {
  METHOD_CALL,
  METHOD_GET,
  OBJECT_HI,
  OBJECT_LO,
  writeRequest,
} from "../../src/cap/dynamic/protocol.js";
import { placeOf } from "../../src/cap/dynamic/place.js";
import type { Referable } from "../../src/cap/dynamic/references.js";
import { failure, Pair } from "./kit.js";

class Base extends RpcTarget {
  inherited(): string {
    return "inherited";
  }
}

class Api extends Base {
  own = "own";
  #secret = "secret";
  ownFunction = (): string => "own function";
  ok(): string {
    return this.#secret.length > 0 ? "ok" : "";
  }
  get getter(): string {
    return "getter";
  }
  set setter(_value: string) {
    throw new Error("a setter ran");
  }
  static fixed(): string {
    return "static";
  }
  data(): object {
    return { a: 1, nested: { b: 2 }, list: [1, 2] };
  }
  pair(): object {
    return { "\ud800": 1, "\ufffd": 2 };
  }
  when(): Date {
    return new Date(0);
  }
  text(): string {
    return "text";
  }
  method(): () => string {
    return () => "called";
  }
}

/** Asks by raw message, past everything that a stub would refuse by itself. */
async function ask(pair: Pair<Api>, path: string[], method = METHOD_GET): Promise<unknown> {
  const hook = (placeOf(pair.api)!.root as unknown as Referable).live;
  const content = writeRequest(path, null, []);
  const results = hook.call(
    new CallRequest(OBJECT_HI, OBJECT_LO, method, new Payload(content), NO_PROMISE_PIPELINING),
  );
  return pair.run(
    new Promise((resolve, reject) => {
      results.observe({
        immediate: false,
        resultsSettled(settled) {
          settled.dropPipeline();
          if (settled.error !== null) reject(settled.error);
          else {
            const payload = settled.takePayload();
            payload.release();
            resolve(payload.content.byteLength);
          }
        },
      });
    }),
  );
}

/** A stub without types. */
interface Loose extends Disposable {
  (...args: unknown[]): Loose;
  readonly [name: string]: Loose;
}
const value = (promise: unknown): PromiseLike<unknown> => promise as never;

const HOSTILE = [
  ...Object.getOwnPropertyNames(Object.prototype),
  "then",
  "prototype",
  "own",
  "ownFunction",
  "#secret",
  "setter2",
  "fixed",
  "",
  "\u0000",
  "Symbol(capstan.RpcTarget)",
  "arguments",
  "caller",
  "bind",
  "apply",
];

describe("of a target", () => {
  it("methods and getters of its classes are reached", async () => {
    const pair = new Pair(new Api());
    expect(await pair.run(pair.api.ok())).toBe("ok");
    expect(await pair.run(pair.api.inherited())).toBe("inherited");
    expect(await pair.run(pair.api.getter)).toBe("getter");
    await pair.done();
  });

  it.each(HOSTILE)("%j is not, to get or to call", async (name) => {
    const pair = new Pair(new Api());
    for (const method of [METHOD_GET, METHOD_CALL]) {
      const error = await failure(ask(pair, [name], method));
      expect(error).toMatchObject({ type: "unimplemented" });
      expect(error.message).not.toMatch(/secret(?!")|own function/);
    }
    await pair.done();
  });

  it("a setter reads as nothing, and is not run", async () => {
    const pair = new Pair(new Api());
    await ask(pair, ["setter"]);
    expect(await failure(ask(pair, ["setter"], METHOD_CALL))).toMatchObject({
      type: "unimplemented",
    });
    await pair.done();
  });

  it("methods have no members", async () => {
    const pair = new Pair(new Api());
    for (const name of ["call", "apply", "bind", "constructor", "name", "prototype", "toString"])
      expect(await failure(ask(pair, ["ok", name], METHOD_CALL))).toMatchObject({
        type: "unimplemented",
      });
    await pair.done();
  });
});

describe("of a result", () => {
  it("own properties of plain objects and arrays are reached, and nothing else", async () => {
    const pair = new Pair(new Api());
    const api = pair.api as unknown as Loose;
    using data = api["data"]();
    expect(await pair.run(value(data["nested"]!["b"]!))).toBe(2);
    expect(await pair.run(value(data["list"]!["length"]!))).toBe(2);
    expect(await pair.run(value(data["missing"]!))).toBe(undefined);
    for (const name of ["filter", "push", "at"])
      expect(await failure(pair.run(value(data["list"]![name]!())))).toMatchObject({
        type: "unimplemented",
      });
    using when = api["when"]!();
    expect(await failure(pair.run(value(when["getTime"]!())))).toMatchObject({
      type: "unimplemented",
    });
    using text = api["text"]!();
    expect(await failure(pair.run(value(text["length"]!)))).toMatchObject({
      type: "unimplemented",
    });
    for (const one of [data, when, text]) one[Symbol.dispose]();
    await pair.done();
  });
});

describe("of a stub, here", () => {
  it("reserved names are undefined, and never asked for", async () => {
    const pair = new Pair(new Api());
    const stub = pair.api as unknown as Record<string, unknown>;
    for (const name of [...Object.getOwnPropertyNames(Object.prototype), "then", "toJSON"])
      expect(stub[name], name).toBe(undefined);
    expect(JSON.stringify({ stub })).toBe("{}");
    expect("ok" in stub).toBe(false);
    expect(Object.keys(stub)).toEqual([]);
    await pair.rest();
    expect(pair.heard()).toEqual([]);
    await pair.done();
  });

  it("a name with a lone surrogate is undefined: on its way it would become another name", async () => {
    const pair = new Pair(new Api());
    using promise = pair.api.pair();
    const result = promise as unknown as Record<string, PromiseLike<unknown> | undefined>;
    expect(await pair.run(result["\ufffd"]!)).toBe(2);
    expect(result["\ud800"]).toBe(undefined);
    expect(await pair.run(pair.api.pair())).toMatchObject({ "\ud800": 1, "\ufffd": 2 });
    promise[Symbol.dispose]();
    await pair.done();
  });

  it("nothing can be set", async () => {
    const pair = new Pair(new Api());
    const stub = pair.api as unknown as Record<string, unknown>;
    expect(() => (stub["x"] = 1)).toThrow(/cannot be changed/);
    expect(() => Object.setPrototypeOf(stub, {})).toThrow(/cannot be changed/);
    expect(() => delete stub["x"]).toThrow(/cannot be changed/);
    expect(() => Object.defineProperty(stub, "x", { value: 1 })).toThrow(/cannot be changed/);
    expect(() => Object.freeze(stub)).toThrow(/cannot be changed/);
    await pair.done();
  });

  it("a stub, or a promise, has no value until it is awaited, and says so", async () => {
    const pair = new Pair(new Api());
    using promise = pair.api.pair() as unknown as Disposable & Promise<unknown>;
    for (const reference of [pair.api, promise, pair.api.pair])
      for (const use of [
        () => String(reference),
        () => Number(reference),
        () => (reference as unknown as number) > 1,
      ])
        expect(use).toThrow(
          expect.objectContaining({
            code: "invalid-argument",
            message: expect.stringContaining("await it first") as string,
          }) as Error,
        );
    expect(inspect(pair.api)).toBe("[Function: a stub]");
    await pair.done();
  });

  it("many names do not fill the memory", async () => {
    const pair = new Pair(new Api());
    const stub = pair.api as unknown as Record<string, unknown>;
    const first = stub["n0"];
    expect(stub["n0"]).toBe(first);
    for (let i = 0; i < 1000; i++) void stub[`n${i}`];
    const place = placeOf(pair.api) as unknown as {
      below: { others: Map<string, object> };
    };
    expect(place.below.others.size).toBeLessThanOrEqual(32);
    await pair.done();
  });
});
