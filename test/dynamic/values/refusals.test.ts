// What cannot be sent is refused with the path that leads to it, and with what to do; limits are named.

import { describe, expect, it } from "vitest";
import { RpcError } from "../../../src/base/errors.js";
import { decodeValue, encodeValue, ValueTypes } from "../../../src/cap/dynamic/values/index.js";
import { limits, NO_REFS } from "./help.js";

class Socket {
  readonly open = true;
}
class List extends Array<number> {}
class Dates extends Date {}
const detached = new Uint8Array(8);
structuredClone(detached.buffer, { transfer: [detached.buffer] });

function failure(run: () => unknown): RpcError {
  try {
    run();
  } catch (error) {
    if (error instanceof RpcError) return error;
    throw error;
  }
  throw new Error("it did not fail");
}

const refused = (args: unknown): RpcError =>
  failure(() => encodeValue(args, NO_REFS, { root: "args" }));

const REFUSED: [name: string, args: unknown, path: string, why: RegExp][] = [
  [
    "an instance",
    [{ user: { socket: new Socket() } }],
    "args[0].user.socket",
    /instance of Socket: extend RpcTarget/,
  ],
  ["a function", [1, { done() {} }], "args[1].done", /functions do not go by reference here/],
  ["a class", [Socket], "args[0]", /functions/],
  ["a symbol", [{ "a b": [Symbol("x")] }], 'args[0]["a b"][0]', /a symbol means nothing/],
  ["a promise", { p: Promise.resolve(1) }, "args.p", /await it first/],
  ["a WeakMap", [new WeakMap()], "args[0]", /instance of WeakMap/],
  ["a generator", [(function* () {})()], "args[0]", /prototype of its own/],
  ["a subclass of Array", [[List.of(1)]], "args[0][0]", /instance of List/],
  ["a subclass of Date", [new Dates()], "args[0]", /instance of Dates/],
  ["a prototype of one's own", [Object.create({ a: 1 })], "args[0]", /instance of Object/],
  ["shared memory", [new SharedArrayBuffer(1)], "args[0]", /shared memory/],
  [
    "a view on shared memory",
    { é: new Uint8Array(new SharedArrayBuffer(1)) },
    "args.é",
    /shared memory/,
  ],
  ["transferred memory", [detached], "args[0]", /its memory is gone/],
  ["a transferred buffer", [detached.buffer], "args[0]", /its memory is gone/],
  ["a symbol in a box", [Object(Symbol("x"))], "args[0]", /instance of Symbol/],
  [
    "a value of a Map",
    [new Map<unknown, unknown>([["k", new Socket()]])],
    'args[0].get("k")',
    /Socket/,
  ],
  [
    "a value of a Map by an object",
    [new Map([[{}, new Socket()]])],
    "args[0].values()[0]",
    /Socket/,
  ],
  [
    "a key of a Map",
    [
      new Map([
        [1, 1],
        [new Socket(), 2],
      ] as [unknown, 1][]),
    ],
    "args[0].keys()[1]",
    /Socket/,
  ],
  ["an item of a Set", [new Set([1, new Socket()])], "args[0].values()[1]", /Socket/],
  [
    "the cause of an error",
    [new Error("x", { cause: { s: new Socket() } })],
    "args[0].cause.s",
    /Socket/,
  ],
  [
    "an error's property",
    [Object.assign(new Error("x"), { s: Symbol.iterator })],
    "args[0].s",
    /symbol/,
  ],
  ["behind a hole", [Object.assign([, new Socket()], { x: 1 })], "args[0][1]", /Socket/], // oxlint-disable-line no-sparse-arrays
  ["an array's property", [Object.assign([1], { x: Symbol.iterator })], "args[0].x", /symbol/],
  [
    "a getter that throws",
    [
      {
        get a() {
          throw new Error("mine");
        },
      },
    ],
    "args[0].a",
    /reading it threw/,
  ],
  [
    "a proxy that throws",
    [
      new Proxy(
        {},
        {
          ownKeys() {
            throw new Error("mine");
          },
        },
      ),
    ],
    "args[0]",
    /reading it threw/,
  ],
  ["a proxy of a Map", [new Proxy(new Map(), {})], "args[0]", /it is a proxy/],
  ["a proxy of a view", [new Proxy(new Uint8Array(1), {})], "args[0]", /it is a proxy/],
  ["what looks like a Date", [Object.create(Date.prototype)], "args[0]", /only looks like/],
  ["a body that was read", [usedResponse()], "args[0]", /body was read/],
  ["an error response", [Response.error()], "args[0]", /error response/],
  ["a body with no taker", [new Response("x")], "args[0].body", /ReadableStream/],
];

function usedResponse(): Response {
  const response = new Response("x");
  response.text().catch(() => {});
  return response;
}

describe("refused", () => {
  it.each(REFUSED)("%s", (_, args, path, why) => {
    const error = refused(args);
    expect(error).toMatchObject({ type: "failed", code: "unsendable-value" });
    expect(error.message.split(" cannot be sent: ")[0]).toBe(path);
    expect(error.message).toMatch(why);
  });

  it("keeps what user code threw as the cause, and passes an RpcError", () => {
    const mine = new Error("mine");
    const args = {
      get a() {
        throw mine;
      },
    };
    expect(refused(args).cause).toBe(mine);
    const own = new RpcError("failed", "call-canceled", "mine");
    expect(
      refused({
        get a() {
          throw own;
        },
      }),
    ).toBe(own);
  });

  it("an object whose codec gives the object itself", () => {
    class Node {}
    const types = new ValueTypes({
      codecs: [{ name: "Node", class: Node, encode: (node) => [node], decode: () => new Node() }],
    });
    const error = failure(() => encodeValue([new Node()], NO_REFS, { types }));
    expect(error.message).toBe(
      "value[0][0] cannot be sent: an object with a codec cannot contain itself",
    );
  });

  it("two codecs of one name", () => {
    const codec = { name: "A", class: Socket, encode: () => 1, decode: () => new Socket() };
    expect(failure(() => new ValueTypes({ codecs: [codec, codec] })).code).toBe("invalid-argument");
    const type = { name: "E", class: TypeError };
    expect(failure(() => new ValueTypes({ errors: [type, type] })).code).toBe("invalid-argument");
  });
});

describe("limits", () => {
  const nested = (depth: number, leaf: unknown = 0): unknown => {
    let value: unknown = leaf;
    for (let i = 0; i < depth; i++) value = i % 2 === 0 ? [value] : { value };
    return value;
  };
  const over = (value: unknown, name: string, changes: Parameters<typeof limits>[0]): void => {
    const error = failure(() => encodeValue(value, NO_REFS, { limits: limits(changes) }));
    expect(error).toMatchObject({ type: "overloaded", code: "limit-exceeded" });
    expect(error.message).toContain(`${name} is ${changes[name as "depth"]}`);
  };

  it("depth, both ways, at the same number", () => {
    for (const leaf of [0, undefined, new Uint8Array(1)]) {
      const full = typeof leaf === "object" ? 4 : 5;
      const bytes = encodeValue(nested(full, leaf), NO_REFS, { limits: limits({ depth: 5 }) });
      expect(decodeValue(bytes, NO_REFS, limits({ depth: 5 }))).toEqual(nested(full, leaf));
      over(nested(full + 1, leaf), "depth", { depth: 5 });
    }
    const deep = encodeValue(nested(6), NO_REFS);
    expect(failure(() => decodeValue(deep, NO_REFS, limits({ depth: 5 }))).code).toBe(
      "limit-exceeded",
    );
    const value = nested(500, undefined);
    expect(decodeValue(encodeValue(value, NO_REFS), NO_REFS)).toEqual(value);
    over(nested(100_000), "depth", { depth: 500 });
  });

  it("nodes, both ways, at the same number", () => {
    for (const value of [
      [1, { a: "b" }],
      [1, undefined, -0],
      [new Map([[1, 2]])],
      [new Array(20), "x"],
    ]) {
      let most = 1;
      const small = (): boolean => {
        try {
          encodeValue(value, NO_REFS, { limits: limits({ nodes: most }) });
          return false;
        } catch {
          return true;
        }
      };
      while (small()) most++;
      expect(most).toBeLessThan(50);
      const bytes = encodeValue(value, NO_REFS);
      expect(decodeValue(bytes, NO_REFS, limits({ nodes: most }))).toEqual(value);
      expect(
        failure(() => decodeValue(bytes, NO_REFS, limits({ nodes: most - 1 }))).message,
      ).toContain(`nodes is ${most - 1}`);
    }
  });

  it("a value without an end stops at nodes or depth", () => {
    const endless: unknown = new Proxy(
      {},
      {
        ownKeys: () => ["a"],
        get: () => endless2(),
        getOwnPropertyDescriptor: () => ({ value: 1, enumerable: true, configurable: true }),
      },
    );
    function endless2(): unknown {
      return new Proxy(
        {},
        {
          ownKeys: () => ["a", "b"],
          get: () => endless2(),
          getOwnPropertyDescriptor: () => ({ value: 1, enumerable: true, configurable: true }),
        },
      );
    }
    over(endless, "depth", { depth: 10 });
    over(endless, "nodes", { nodes: 1000, depth: 400 });
  });

  it("bytes, both ways", () => {
    over("x".repeat(100), "bytes", { bytes: 99 });
    over([1, "é".repeat(60)], "bytes", { bytes: 100 });
    over(new Uint8Array(100), "bytes", { bytes: 99 });
    over(2n ** 4000n, "bytes", { bytes: 99 });
    const bytes = encodeValue("x".repeat(100), NO_REFS);
    expect(failure(() => decodeValue(bytes, NO_REFS, limits({ bytes: 99 }))).code).toBe(
      "limit-exceeded",
    );
  });
});
