// What cannot be carried is refused with its path, and nothing of it is altered.

/* oxlint-disable no-sparse-arrays -- holes are values too */

import { describe, expect, it } from "vitest";
import { encodeV8 } from "../../src/workerd/v8-value/index.js";
import { encode, Externals, failure, limits, NONE } from "./help.js";

class Point {
  x = 1;
}
const own = Object.assign(new DOMException("m", "E"), { extra: 1 });
const cyclic = new Error("x");
cyclic.cause = [cyclic];
const badMessage = new Error("x");
Object.defineProperty(badMessage, "message", { value: 7 });
const detached = new ArrayBuffer(4);
structuredClone(detached, { transfer: [detached] });

describe("unsendable-value", () => {
  const REFUSED: [string, unknown, string, string][] = [
    ["a symbol", { a: [Symbol("s")] }, "value.a[0]", "a symbol means nothing"],
    ["a function that nobody takes", { f: () => 1 }, "value.f", "functions do not go by reference"],
    ["an instance of a class", [new Point()], "value[0]", "an instance of Point"],
    ["a promise", { p: Promise.resolve(1) }, "value.p", "await it first"],
    ["a WeakMap", [new WeakMap()], "value[0]", "an instance of WeakMap"],
    ["a proxy of a Date", [new Proxy(new Date(), {})], "value[0]", "it is a proxy"],
    ["shared memory", [new SharedArrayBuffer(4)], "value[0]", "shared memory"],
    ["a view of it", { v: new Uint8Array(new SharedArrayBuffer(4)) }, "value.v", "shared memory"],
    ["memory that is gone", { b: detached }, "value.b", "its memory is gone"],
    ["a URL", { "a b": new URL("http://a/") }, 'value["a b"]', "send its href"],
    ["a URL in a Map", new Map([[1, new URL("http://a/")]]), "value.values()[0]", "send its href"],
    ["a URL as a key", new Map([[new URL("http://a/"), 1]]), "value.keys()[0]", "send its href"],
    ["a URL in a Set", new Set([1, new URL("http://a/")]), "value.values()[1]", "send its href"],
    [
      "a URL in a hole",
      Object.assign([, 1], { x: new URL("http://a/") }),
      "value.x",
      "send its href",
    ],
    [
      "a URL as a cause",
      new Error("x", { cause: new URL("http://a/") }),
      "value.cause",
      "send its href",
    ],
    ["a File", [new File(["a"], "b")], "value[0]", "an instance of File"],
    ["FormData", { form: new FormData() }, "value.form", "an instance of FormData"],
    ["URLSearchParams", [new URLSearchParams("a=b")], "value[0]", "an instance of URLSearchParams"],
    [
      "a stream that nobody takes",
      [new ReadableStream()],
      "value[0]",
      "an instance of ReadableStream",
    ],
    [
      "a signal that nobody takes",
      [new AbortController().signal],
      "value[0]",
      "an instance of AbortSignal",
    ],
    ["the reason of a signal", AbortSignal.abort({ a: Symbol("s") }), "value.reason.a", "a symbol"],
    [
      "a body that nobody takes",
      { r: new Response("x") },
      "value.r.body",
      "an instance of ReadableStream",
    ],
    ["an error response", [Response.error()], "value[0]", "an error response"],
    [
      "credentials",
      [new Request("http://a/", { credentials: "omit" })],
      "value[0].credentials",
      'make it with "same-origin"',
    ],
    [
      "a mode",
      [new Request("http://a/", { mode: "no-cors" })],
      "value[0].mode",
      'make it with "cors"',
    ],
    [
      "redirect: error",
      [new Request("http://a/", { redirect: "error" })],
      "value[0].redirect",
      'make it with "follow"',
    ],
    [
      "a cache mode",
      [new Request("http://a/", { cache: "reload" })],
      "value[0].cache",
      'make it with "default"',
    ],
    [
      "integrity",
      [new Request("http://a/", { integrity: "sha256-x" })],
      "value[0].integrity",
      'make it with ""',
    ],
    ["an error in itself", { e: cyclic }, "value.e.cause[0]", "it is part of itself"],
    ["a message that is no string", [badMessage], "value[0].message", "message is no string"],
    ["properties of a DOMException", [own], "value[0].extra", "no properties of a DOMException"],
    [
      "half a character in its name",
      [new DOMException("m", "\ud800")],
      "value[0].name",
      "well-formed",
    ],
    [
      "half a character in its message",
      [new DOMException("\ud800")],
      "value[0].message",
      "well-formed",
    ],
  ];

  it.each(REFUSED)("%s", (_, value, path, why) => {
    const { type, code, message } = failure(() => encode(value));
    expect([type, code]).toEqual(["failed", "unsendable-value"]);
    expect(message).toContain(`${path} cannot be sent: `);
    expect(message).toContain(why);
  });

  it("the path begins where it is said to", () => {
    const { message } = failure(() => encode([{ a: Symbol("s") }], { root: "args" }));
    expect(message).toContain("args[0].a cannot be sent");
  });

  it("a getter that throws, and one that takes memory away", () => {
    const thrown = new Error("mine");
    const bad = {
      get a() {
        throw thrown;
      },
    };
    expect(failure(() => encode([bad]))).toMatchObject({ code: "unsendable-value", cause: thrown });
    const buffer = new ArrayBuffer(8);
    const thief = {
      buffer,
      view: new Uint8Array(buffer),
      get then() {
        return structuredClone(1, { transfer: [buffer] });
      },
    };
    expect(failure(() => encode({ first: thief }))).toMatchObject({
      code: "unsendable-value",
      message: expect.stringContaining("took its memory away") as string,
    });
  });

  it("what the sink throws is thrown", () => {
    const mine = failure(() => encode(Symbol("s")));
    const sink = {
      external: () => {
        throw mine;
      },
    };
    expect(failure(() => encodeV8([() => 1], sink))).toBe(mine);
  });
});

describe("limit-exceeded", () => {
  const nested = (levels: number): unknown => {
    let value: unknown = [];
    for (let i = 1; i < levels; i++) value = i % 2 === 0 ? [value] : { a: value };
    return value;
  };
  let reason: unknown = "innermost";
  for (let i = 0; i < 20; i++) reason = AbortSignal.abort([reason]);

  const OVER: [string, unknown, Partial<typeof NO_CHANGE>, string][] = [
    ["depth", nested(501), {}, "depth is 500"],
    ["depth of reasons", reason, {}, "depth is 500"],
    ["nodes", Array.from({ length: 11 }, () => 1), { nodes: 10 }, "nodes is 10"],
    ["holes", new Array(1_000_001), {}, "nodes is 1000000"],
    ["room to grow", growing(33 << 20), {}, "bytes is 33554432"],
    ["room to grow, in nodes", growing(1 << 20), { nodes: 1000 }, "nodes is 1000"],
    ["text", "x".repeat(101), { bytes: 100 }, "bytes is 100"],
    ["text of two bytes", "\u0100".repeat(60), { bytes: 100 }, "bytes is 100"],
    ["bytes", new Uint8Array(101), { bytes: 100 }, "bytes is 100"],
    ["bytes of a Blob", new Blob([new Uint8Array(101)]), { bytes: 100 }, "bytes is 100"],
    ["a bigint", 2n ** 801n, { bytes: 100 }, "bytes is 100"],
  ];
  it.each(OVER)("%s", (_, value, changes, why) => {
    const error = failure(() => encode(value, { limits: limits(changes) }));
    expect([error.type, error.code]).toEqual(["overloaded", "limit-exceeded"]);
    expect(error.message).toContain(why);
  });

  it("up to the limit it goes", () => {
    expect(encode(nested(500)).length).toBeGreaterThan(1000);
    expect(encode("x".repeat(96), { limits: limits({ bytes: 100 }) })).toHaveLength(100);
  });

  function growing(maxByteLength: number): ArrayBuffer {
    const Resizable = ArrayBuffer as unknown as new (n: number, o: object) => ArrayBuffer;
    return new Resizable(0, { maxByteLength });
  }
});
const NO_CHANGE = limits({});

it("a property is read once, whatever reads it", () => {
  let reads = 0;
  const value = {
    get a() {
      return ++reads;
    },
  };
  encodeV8([value, value], NONE);
  expect(reads).toBe(1);
  const externals = new Externals();
  encodeV8(
    {
      get f() {
        reads++;
        return () => reads;
      },
    },
    externals,
  );
  expect([reads, externals.objects.length]).toEqual([2, 1]);
});
