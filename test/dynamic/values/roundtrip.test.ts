// Each kind of value arrives as structuredClone would give it, or, where that alters or refuses, as docs/js-values.md says.

import { readFileSync } from "node:fs";
import vm from "node:vm";
import { describe, expect, it } from "vitest";
import { decodeValue, encodeValue, toldBytes } from "../../../src/cap/dynamic/values/index.js";
import { Kind } from "../../../src/cap/dynamic/values/kinds.js";
import { difference, NO_REFS, roundTrip } from "./help.js";

const self: unknown[] = [1];
self.push(self, { self });
const shared = { a: 1 };
const buffer = Uint8Array.from({ length: 64 }, (_, i) => i).buffer;
const holes = Object.assign(new Array<unknown>(5), { 1: undefined, 2: 3 });
const extras = Object.assign(["a", "b"], { index: 7, "01": 1, "-1": 2, "4294967295": 3 });
const hostile = JSON.parse(
  '{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}},"then":1,"toJSON":2,"hasOwnProperty":3,"":4}',
) as object;
const cyclicMap = new Map<unknown, unknown>([["k", -0]]);
cyclicMap.set(cyclicMap, new Set([cyclicMap]));
const resizable = new (ArrayBuffer as unknown as new (
  length: number,
  options: { maxByteLength: number },
) => ArrayBuffer)(4, { maxByteLength: 16 });
const lastIndexed = /x/gy;
lastIndexed.lastIndex = 3;
const dictionary = Object.assign(Object.create(null), { toString: 1 }) as object;

const VALUES: Record<string, unknown> = {
  undefined: undefined,
  null: null,
  true: true,
  false: false,
  zero: 0,
  "minus zero": -0,
  integers: [
    1,
    -1,
    31,
    32,
    -32,
    -33,
    127,
    128,
    255,
    256,
    65535,
    65536,
    -129,
    -32769,
    2 ** 31,
    -(2 ** 31),
  ],
  "large integers": [2 ** 32 - 1, 2 ** 32, 2 ** 53, -(2 ** 53), 1e300, 2 ** 63],
  floats: [0.1, -1.5, 5e-324, Number.MAX_VALUE, Number.NaN, Infinity, -Infinity],
  bigints: [
    0n,
    -1n,
    2n ** 63n - 1n,
    -(2n ** 63n),
    2n ** 64n - 1n,
    2n ** 64n,
    -(2n ** 63n) - 1n,
    3n ** 999n,
    -(7n ** 500n),
  ],
  strings: [
    "",
    "a",
    "é",
    "日本",
    "😀",
    "\0",
    "x".repeat(31),
    "x".repeat(32),
    "y".repeat(300),
    "é".repeat(70_000),
  ],
  "lone surrogates": ["\ud800", "a\udc00b", "\udc00\ud800", { "\ud800": 1 }],
  "nested plain": { a: [{ b: { c: [] } }, {}], d: "e" },
  "undefined inside": [undefined, { a: undefined }],
  "minus zero inside": { a: -0, b: [-0] },
  holes,
  "only holes": new Array<unknown>(3),
  extras,
  "array without holes but with a name": Object.assign([1], { x: 2 }),
  "array with a hole and a name": Object.assign([, 1], { x: 2 }), // oxlint-disable-line no-sparse-arrays
  "hostile names": hostile,
  "integer names": { 2: "b", 1: "a", x: 1 },
  date: new Date(1234567890123),
  "date before 1970": new Date(-1.5e12),
  "invalid date": new Date(Number.NaN),
  regexp: /a[/]b\n/giu,
  lastIndex: lastIndexed,
  map: new Map<unknown, unknown>([
    [1, 2],
    ["1", { a: 1 }],
    [Number.NaN, undefined],
    [{}, []],
  ]),
  set: new Set<unknown>([1, "1", Number.NaN, {}, undefined]),
  "cyclic map": cyclicMap,
  "array buffer": buffer,
  "empty buffer": new ArrayBuffer(0),
  "resizable buffer": resizable,
  "views on one buffer": [
    new Int8Array(buffer, 1, 2),
    new Uint8Array(buffer, 2),
    new Uint8ClampedArray(buffer),
    new Int16Array(buffer, 2),
    new Uint16Array(buffer, 4, 1),
    new Int32Array(buffer, 4),
    new Uint32Array(buffer, 8),
    new Float32Array(buffer, 12),
    new Float64Array(buffer, 16, 3),
    new BigInt64Array(buffer, 24),
    new BigUint64Array(buffer, 0, 1),
    new DataView(buffer, 3, 5),
  ],
  "a view and its buffer": [new Uint8Array(buffer, 8, 8), buffer],
  "a buffer and its view": { buffer, view: new Uint16Array(buffer, 8, 8) },
  "whole views": [
    new Float64Array([1, -0, Number.NaN]),
    new BigInt64Array([-1n]),
    new DataView(new ArrayBuffer(3)),
  ],
  "empty view": new Uint8Array(0),
  // oxlint-disable-next-line no-new-wrappers
  boxes: [new Number(-0), new String("x\ud800"), new Boolean(false), Object(5n), Object(2n ** 99n)],
  cycle: self,
  "shared object": [shared, { shared }, shared],
  "shared array": [holes, holes],
  "shared date and regexp": ((d, r) => [d, d, r, r])(new Date(5), /x/),
  "many objects, then a shared one": [
    ...Array.from({ length: 40 }, (_, i) => ({ i })),
    shared,
    [shared],
  ],
  error: new Error("broken"),
  "errors of standard classes": [
    new TypeError("a"),
    new RangeError("b"),
    new SyntaxError("c"),
    new EvalError("d"),
    new ReferenceError("e"),
    new URIError("f"),
  ],
  "error without a message": new Error(), // oxlint-disable-line unicorn/error-message
  "null prototype": dictionary,
  accessors: {
    get a() {
      return [1];
    },
  },
  proxies: new Proxy({ a: new Proxy([1, 2], {}) }, {}),
};

describe("like structuredClone", () => {
  it.each(Object.keys(VALUES))("%s", (name) => {
    const value = VALUES[name];
    // A proxy is the one thing here that structuredClone refuses.
    const wanted: unknown = name === "proxies" ? { a: [1, 2] } : structuredClone(value);
    expect(difference(roundTrip(value), wanted)).toBeNull();
    expect(difference(roundTrip([{ deep: value }]), [{ deep: wanted }])).toBeNull();
    expect(Object.getPrototypeOf({})).not.toHaveProperty("polluted");
  });

  it("values of another realm", () => {
    const foreign: unknown = vm.runInNewContext(`
      const b = new ArrayBuffer(4);
      ({ a: [1, , { b: Object.create(null) }], d: new Date(3), r: /x/g, m: new Map([[1, new Set([2])]]),
         u: new Uint16Array(b), v: new DataView(b), b, box: new String("x") })`);
    expect(difference(roundTrip(foreign), structuredClone(foreign))).toBeNull();
    const error = vm.runInNewContext(`new Error("x")`) as Error;
    expect(difference(roundTrip(error), new Error("x"))).toBeNull();
  });

  it("shares memory between views as before", () => {
    const [a, b] = roundTrip([new Uint8Array(buffer, 0, 4), new Uint32Array(buffer, 0, 1)]) as [
      Uint8Array,
      Uint32Array,
    ];
    a.fill(255);
    expect(b[0]).toBe(0xffffffff);
    expect(new Uint8Array(buffer)[3]).toBe(3);
  });
});

describe("beyond structuredClone", () => {
  it("a view alone takes its own bytes along and no others", () => {
    const arrived = roundTrip(new Uint16Array(buffer, 8, 2)) as Uint16Array;
    expect([...arrived]).toEqual([...new Uint16Array(buffer, 8, 2)]);
    expect(arrived.buffer.byteLength).toBe(4);
    // Node keeps small Buffers of different owners in one ArrayBuffer, so even two of them stand for themselves.
    const two = [Buffer.from("ab"), Buffer.from("cd")];
    const bytes = encodeValue(two, NO_REFS);
    expect(bytes.length).toBeLessThan(40);
    const [ab, cd] = roundTrip(two) as [Uint8Array, Uint8Array];
    expect(difference([ab, cd], [new Uint8Array([97, 98]), new Uint8Array([99, 100])])).toBeNull();
  });

  it("errors keep cause, errors, properties and names, cyclic ones too", () => {
    class NotFound extends TypeError {
      readonly status = 404;
      override name = "NotFound";
    }
    const error = new NotFound("gone", { cause: { why: [1n] } });
    const arrived = roundTrip(error) as TypeError & { status: number };
    expect(Object.getPrototypeOf(arrived)).toBe(TypeError.prototype);
    expect(arrived).toMatchObject({
      name: "NotFound",
      message: "gone",
      status: 404,
      cause: { why: [1n] },
    });
    expect(Object.keys(arrived)).toEqual(["status"]);

    const loop = new Error("loop");
    loop.cause = new AggregateError([loop, "x"], "all");
    const back = roundTrip(loop) as Error & { cause: AggregateError };
    expect(back.cause).toBeInstanceOf(AggregateError);
    expect(back.cause.errors).toEqual([back, "x"]);
    expect(back.cause.errors[0]).toBe(back);
    expect(Object.keys(back.cause)).toEqual([]);

    const plain = roundTrip(new Error("x", { cause: undefined })) as Error;
    expect(Object.hasOwn(plain, "cause")).toBe(true);
    expect(Object.hasOwn(roundTrip(new Error("x")) as Error, "cause")).toBe(false);
  });

  it("a DOMException stays one", () => {
    const arrived = roundTrip(new DOMException("stop", "AbortError")) as DOMException;
    expect(arrived).toBeInstanceOf(DOMException);
    expect([arrived.message, arrived.name, arrived.code]).toEqual(["stop", "AbortError", 20]);
  });

  it("the stack of an error is told only to those whom it is for", () => {
    const error = new Error("x");
    error.stack = "secret place";
    const bytes = encodeValue(error, NO_REFS);
    expect(new TextDecoder().decode(bytes)).not.toContain("secret");
    expect((decodeValue(bytes, NO_REFS) as Error).stack ?? "").not.toContain("values");
    const told = toldBytes(bytes, { sendTrace: true, redact: null });
    expect((decodeValue(told, NO_REFS) as Error).stack).toBe("secret place");
  });

  it("reads every property once, and sends what it read", () => {
    let reads = 0;
    const inner = {
      get a(): unknown {
        return ++reads;
      },
    };
    const changing = new Proxy([undefined, 0], {
      get: (t, k) => (k === "1" ? ++reads : Reflect.get(t, k)),
    });
    expect(roundTrip({ inner, date: new Date(1), changing })).toEqual({
      inner: { a: 1 },
      date: new Date(1),
      changing: [undefined, 2],
    });
    expect(reads).toBe(2);
  });

  it("a getter that changes the value while it is read cannot tear it", () => {
    const bytes = new Uint8Array([1, 2, 3]);
    const value = {
      bytes,
      get later(): number {
        structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
        return 1;
      },
    };
    expect(() => roundTrip(value)).toThrow("the value cannot be sent: a getter in it took memory");
  });

  it("an encoding inside a getter is its own", () => {
    const outer = {
      a: {
        get b() {
          return roundTrip([{ c: [-0] }]);
        },
      },
    };
    expect(difference(roundTrip(outer), { a: { b: [{ c: [-0] }] } })).toBeNull();
  });

  it("the bytes are those of docs/js-values.md", () => {
    expect([...encodeValue([1, { a: "b" }], NO_REFS)]).toEqual([
      0x92, 1, 0x81, 0xa1, 0x61, 0xa1, 0x62,
    ]);
    expect([...encodeValue(undefined, NO_REFS)]).toEqual([0xc1, 0x91, 0]);
    const o = {};
    expect([...encodeValue([o, o], NO_REFS)]).toEqual([0xc1, 0x93, 5, 0x91, 6, 0x92, 4, 1]);
    const bytes78 = encodeValue(new Uint8Array([7, 8]), NO_REFS);
    expect([...bytes78]).toEqual([0xc1, 0x95, 15, 1, 0x92, 14, 2, 0, 2, 7, 8]);
    // What others may send and we do not: float 32, byte strings, roomy lengths.
    const bytes = [
      0x95, 0xca, 0x3f, 0xc0, 0, 0, 0xc4, 2, 7, 8, 0xdc, 0, 1, 0xd9, 1, 0x61, 0xcb, 0x80, 0, 0, 0,
      0, 0, 0, 0, 0xcf, 0, 0, 0, 0, 0, 0, 0, 1,
    ];
    const value = decodeValue(Buffer.from(bytes), NO_REFS);
    expect(difference(value, [1.5, new Uint8Array([7, 8]), ["a"], -0, 1n])).toBeNull();
  });

  it("docs/js-values.md has a row for each kind", () => {
    const text = readFileSync(new URL("../../../docs/js-values.md", import.meta.url), "utf8");
    const rows = [...text.matchAll(/^\| (\d+) \| `\[(\d+)/gm)].map((row) => [row[1], row[2]]);
    expect(rows).toEqual(Object.values(Kind).map((kind) => [`${kind}`, `${kind}`]));
  });

  it("a value shares no memory with its bytes, and bytes stay as they were", () => {
    const bytes = encodeValue(["x", new Uint8Array([1, 2])], NO_REFS);
    const copy = Buffer.from(bytes);
    const value = decodeValue(copy, NO_REFS);
    for (let i = 0; i < 100; i++) encodeValue([i, "filler"], NO_REFS);
    expect(Buffer.compare(bytes, copy)).toBe(0);
    copy.fill(0);
    expect(value).toEqual(["x", new Uint8Array([1, 2])]);
    expect(Object.keys(new Uint8Array(0))).toEqual([]);
    expect(Object.hasOwn(copy, "dataView")).toBe(false);
  });
});
