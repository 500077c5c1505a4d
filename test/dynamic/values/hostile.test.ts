// The decoder on bytes of a stranger: a value, or our error; never a crash, a hang, a polluted prototype or much memory.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { RpcError } from "../../../src/base/errors.js";
import {
  decodeValue,
  DEFAULT_VALUE_LIMITS,
  encodeValue,
} from "../../../src/cap/dynamic/values/index.js";
import { limits, Table } from "./help.js";

const source = { revive: (kind: number, index: number): object => ({ kind, index }) };
const KNOWN = new Set(["invalid-payload", "limit-exceeded"]);

/** Decodes; gives the code of the failure, or "" for a value. */
function attempt(bytes: Uint8Array, budget = DEFAULT_VALUE_LIMITS): string {
  try {
    decodeValue(bytes, source, budget);
    return "";
  } catch (error) {
    if (!(error instanceof RpcError) || !KNOWN.has(error.code)) throw error;
    return error.code;
  }
}

function unpolluted(): void {
  const names = (o: object): number => Object.getOwnPropertyNames(o).length;
  expect([{}, [], new Map(), new Error("x")].map((o) => Object.keys(o).length)).toEqual([
    0, 0, 0, 0,
  ]);
  expect([Object.prototype, Array.prototype, Error.prototype].map(names)).toEqual(prototypes);
  for (const key in {}) throw new Error(`Object.prototype has ${key}`);
}
const prototypes = [Object.prototype, Array.prototype, Error.prototype].map(
  (o) => Object.getOwnPropertyNames(o).length,
);

const x = (...bytes: number[]): Uint8Array => new Uint8Array(bytes);
const text = (s: string): number[] => [0xa0 + s.length, ...new TextEncoder().encode(s)];

describe("one by one", () => {
  const PROTO = text("__proto__");
  const MALFORMED: [string, Uint8Array][] = [
    ["nothing", x()],
    ["a cut array", x(0x92, 1)],
    ["a cut string", x(0xa5, 0x61)],
    ["a cut length", x(0xdb, 0, 0)],
    ["a cut float", x(0xcb, 0, 0)],
    ["a cut byte string", x(0xc4, 9, 1)],
    ["two items", x(1, 2)],
    ["an array of four billion", x(0xdd, 0xff, 0xff, 0xff, 0xff)],
    ["a map of four billion", x(0xdf, 0xff, 0xff, 0xff, 0xff)],
    ["a string of four billion", x(0xdb, 0xff, 0xff, 0xff, 0xff)],
    ["an extension", x(0xd4, 0x72, 0x40, 0x90)],
    ["a timestamp", x(0xd6, 0xff, 0, 0, 0, 0)],
    ["the unused token", x(0x91, 0xc1)],
    ["a key that is no string", x(0x81, 1, 1)],
    ["a key __proto__", x(0x81, ...PROTO, 0x80)],
    ["a roomy key __proto__", x(0x81, 0xd9, 9, ...PROTO.slice(1), 0x80)],
    ["an extended nothing", x(0xc1)],
    ["a map in the extended form", x(0xc1, 0x80)],
    ["a byte string in the extended form", x(0xc1, 0xc4, 0)],
    ["a node without a kind", x(0xc1, 0x90)],
    ["a node whose kind is text", x(0xc1, 0x91, ...text("a"))],
    ["a node whose kind is a node", x(0xc1, 0x91, 0x91, 0)],
    ["an unknown kind", x(0xc1, 0x91, 22)],
    ["a negative kind", x(0xc1, 0x91, 0xff)],
    ["a broken kind", x(0xc1, 0x91, 0xca, 0x40, 0xb0, 0, 0)],
    ["undefined with a part", x(0xc1, 0x92, 0, 1)],
    ["a bigint of no digits", x(0xc1, 0x92, 2, ...text("-"))],
    ["a bigint of other digits", x(0xc1, 0x92, 2, ...text("0x1"))],
    ["half a unit", x(0xc1, 0x92, 3, 1, 0)],
    ["units past the tail", x(0xc1, 0x92, 3, 4, 0, 0)],
    ["a tail that nobody claims", x(0xc1, 0x91, 0, 7)],
    ["again, before anything", x(0xc1, 0x92, 4, 0)],
    ["again, of a negative number", x(0xc1, 0x92, 5, 0x92, 4, 0xff)],
    ["a name without a value", x(0xc1, 0x92, 6, ...text("a"))],
    ["a name that is an object", x(0xc1, 0x93, 6, 0x91, 5, 1)],
    ["an index past the length", x(0xc1, 0x94, 7, 1, 1, 1)],
    ["an index as a name", x(0xc1, 0x94, 7, 1, ...text("5"), 1)],
    ["length as a name", x(0xc1, 0x94, 7, 1, ...text("length"), 1)],
    ["a reference to a negative slot", x(0xc1, 0x93, 8, 0, 0xff)],
    ["a reference to half a slot", x(0xc1, 0x93, 8, 0, 0xca, 0x3f, 0, 0, 0)],
    ["a date of text", x(0xc1, 0x92, 9, ...text("now"))],
    ["a box of nothing", x(0xc1, 0x92, 10, 0xc0)],
    ["a box of itself", x(0xc1, 0x92, 10, 0x92, 4, 0)],
    ["a regular expression with a wrong flag", x(0xc1, 0x93, 13, ...text("a"), ...text("?"))],
    ["a regular expression that is none", x(0xc1, 0x93, 13, ...text("("), 0xa0)],
    ["a buffer past the tail", x(0xc1, 0x92, 14, 5)],
    ["a buffer of a terabyte", x(0xc1, 0x92, 14, 0xcb, 0x42, 0x70, 0, 0, 0, 0, 0, 0)],
    ["a view past its buffer", x(0xc1, 0x95, 15, 1, 0x92, 14, 2, 1, 2, 7, 7)],
    ["a view of an unknown type", x(0xc1, 0x95, 15, 12, 0x92, 14, 0, 0, 0)],
    ["an unaligned view", x(0xc1, 0x95, 15, 3, 0x92, 14, 3, 1, 1, 7, 7, 7)],
    ["a view on no buffer", x(0xc1, 0x95, 15, 1, 0x91, 5, 0, 0)],
    ["a view on itself", x(0xc1, 0x95, 15, 1, 0x92, 4, 0, 0, 0)],
    ["an error without a class", x(0xc1, 0x91, 16)],
    ["a URL that is none", x(0xc1, 0x92, 17, ...text("a"))],
    ["a header that is none", x(0xc1, 0x93, 18, ...text("a b"), 0xa0)],
    ["a Request without parts", x(0xc1, 0x91, 19)],
    ["a Response of status 9", x(0xc1, 0x95, 20, 9, 0xa0, 0x91, 18, 0xc0)],
    ["a class that nobody registered", x(0xc1, 0x93, 21, ...text("A"), 1)],
  ];

  it.each(MALFORMED)("%s", (_, bytes) => {
    expect(attempt(bytes)).toBe("invalid-payload");
    unpolluted();
  });

  it("names that lead to a prototype become own properties", () => {
    const bytes = x(0xc1, 0x93, 6, ...PROTO, 0x93, 6, ...text("polluted"), 1);
    const value = decodeValue(bytes, source) as object;
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
    expect(Object.getOwnPropertyNames(value)).toEqual(["__proto__"]);
    const error = decodeValue(
      x(0xc1, 0x97, 16, ...text("Error"), 0xa0, ...PROTO, 0x91, 6, ...text("constructor"), 1),
      source,
    ) as object;
    expect(Object.getPrototypeOf(error)).toBe(Error.prototype);
    expect(Object.hasOwn(error, "__proto__")).toBe(true);
    const array = decodeValue(x(0xc1, 0x94, 7, 0, ...PROTO, 0x91, 6), source) as object;
    expect(Object.getPrototypeOf(array)).toBe(Array.prototype);
    unpolluted();
  });

  it("classes of errors are looked up nowhere else", () => {
    for (const name of ["constructor", "__proto__", "Function", "toString"]) {
      const error = decodeValue(x(0xc1, 0x93, 16, ...text(name), ...text(name)), source) as object;
      expect(Object.getPrototypeOf(error)).toBe(Error.prototype);
    }
  });
});

describe("budgets", () => {
  const repeat = (head: number[], unit: number[], count: number): Uint8Array => {
    const bytes = new Uint8Array(head.length + unit.length * count);
    bytes.set(head);
    for (let i = 0; i < count; i++) bytes.set(unit, head.length + i * unit.length);
    return bytes;
  };
  const size = (n: number): number[] => [0xdd, n >>> 24, (n >> 16) & 255, (n >> 8) & 255, n & 255];

  it("a million levels end at depth, whatever they are made of", () => {
    expect(attempt(repeat([], [0x91], 1_000_000))).toBe("limit-exceeded");
    expect(attempt(repeat([], [0x81, 0xa1, 0x61], 1_000_000))).toBe("limit-exceeded");
    expect(attempt(repeat([0xc1], [0x92, 5], 1_000_000))).toBe("limit-exceeded");
    expect(attempt(repeat([0xc1], [0x92, 16], 1_000_000))).toBe("limit-exceeded");
    const deep = repeat([], [0x91], 501);
    deep[500] = 0;
    expect(attempt(deep)).toBe("");
  });

  it("nodes bound the memory: no value is much dearer than that", () => {
    const maps = repeat([0xc1, ...size(200_001), 5], [0x91, 11], 200_000);
    const objects = repeat(size(2_000_000), [0x80], 2_000_000);
    const holes = x(0xc1, 0x92, 7, 0xce, 0x01, 0xff, 0xff, 0xff);
    const growth = x(0xc1, 0x93, 14, 0, 0xce, 0x7f, 0xff, 0xff, 0xff);
    for (const bytes of [maps, objects, holes, growth])
      expect(attempt(bytes)).toBe("limit-exceeded");
    const before = process.memoryUsage().heapUsed;
    const most = decodeValue(repeat(size(900_000), [0x80], 900_000), source);
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(150e6);
    expect(most).toHaveLength(900_000);
  });

  it("the dearest value within the budgets is made in seconds", () => {
    const started = performance.now();
    expect(
      attempt(repeat([0xc1, ...size(80_001), 5], [0x92, 17, ...text("http://a/")], 80_000)),
    ).toBe("");
    const errors = repeat([0xc1, ...size(80_001), 5], [0x93, 16, ...text("Error"), 0xa0], 80_000);
    expect(attempt(errors)).toBe("");
    expect(performance.now() - started).toBeLessThan(10_000);
  });
});

describe("fuzz", () => {
  const small = limits({ depth: 40, nodes: 20_000, bytes: 1 << 20 });
  const seeds = (): Uint8Array[] => {
    const shared = { a: [1, "two", -0] };
    const buffer = new ArrayBuffer(16);
    const values = [
      [1, { a: "b", c: [null, true, 1.5, 2n ** 40n] }, "x".repeat(200)],
      [undefined, -0, 2n ** 80n, "\ud800", new Date(5), /a/g, Object(1)],
      [shared, shared, new Map<unknown, unknown>([[shared, new Set([1])]])],
      [new Uint8Array(buffer), new DataView(buffer, 2, 3), new Float64Array(2), buffer],
      Object.assign([1, , 3], { name: "x" }), // oxlint-disable-line no-sparse-arrays
      new AggregateError([new TypeError("a", { cause: shared })], "all"),
      [
        new URL("http://a/b"),
        new Headers({ a: "b" }),
        new Response(null),
        new Request("http://a/"),
        () => 1,
      ],
      JSON.parse('{"__proto__":{"constructor":1},"then":2}'),
    ];
    return values.map((value) => encodeValue(value, new Table()).slice());
  };

  it("random bytes", () => {
    const head = fc.constantFrom([], [0xc1], [0xc1, 0x95], [0xc1, 0xdc, 0, 9]);
    fc.assert(
      fc.property(head, fc.uint8Array({ maxLength: 200 }), (head, rest) => {
        attempt(new Uint8Array([...head, ...rest]), small);
      }),
      { seed: 3, numRuns: 20_000 },
    );
    unpolluted();
  });

  it("random trees of nodes", () => {
    const leaf = fc.oneof(
      fc.integer({ min: -1, max: 24 }),
      fc.constantFrom(
        "a",
        "",
        "__proto__",
        "length",
        "constructor",
        "message",
        "Error",
        "g",
        "GET",
        "http://a/",
      ),
      fc.constantFrom(null, true, 1.5, 2 ** 40, Number.NaN),
    );
    const { tree } = fc.letrec((tie) => ({
      tree: fc.oneof(
        { depthSize: "small" },
        leaf,
        fc.tuple(fc.nat(22), fc.array(tie("tree"), { maxLength: 7 })),
      ),
    }));
    const write = (node: unknown): number[] => {
      if (Array.isArray(node)) {
        const [kind, parts] = node as [number, unknown[]];
        return [0x91 + parts.length, kind, ...parts.flatMap(write)];
      }
      // One of our own encodings of a primitive is MessagePack like any other.
      return [...encodeValue(node, new Table())];
    };
    let made = 0;
    fc.assert(
      fc.property(tree, fc.uint8Array({ maxLength: 8 }), (tree, tail) => {
        if (attempt(new Uint8Array([0xc1, ...write(tree), ...tail]), small) === "") made++;
      }),
      { seed: 4, numRuns: 20_000 },
    );
    expect(made).toBeGreaterThan(100);
    unpolluted();
  });

  it("valid encodings with a few bytes changed, cut or put in", () => {
    const valid = seeds();
    const change = fc.record({ at: fc.nat(400), to: fc.nat(255), how: fc.nat(3) });
    let made = 0;
    fc.assert(
      fc.property(
        fc.nat(valid.length - 1),
        fc.array(change, { minLength: 1, maxLength: 4 }),
        (which, changes) => {
          let bytes = [...valid[which]!];
          for (const { at, to, how } of changes) {
            const i = at % bytes.length;
            if (how === 0) bytes = bytes.slice(0, i + 1);
            else if (how === 1) bytes.splice(i, 1, to, to);
            else bytes[i] = to;
          }
          if (attempt(new Uint8Array(bytes), small) === "") made++;
        },
      ),
      { seed: 5, numRuns: 20_000 },
    );
    expect(made).toBeGreaterThan(100);
    unpolluted();
  });

  it("every cut of a valid encoding", () => {
    for (const bytes of seeds())
      for (let length = 0; length < bytes.length; length++)
        expect(attempt(bytes.subarray(0, length))).toBe("invalid-payload");
  });
});
