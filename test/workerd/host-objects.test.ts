// What workerd adds to V8's format: externals in order, errors, and the classes of fetch; by bytes as workerd sends them.

import { describe, expect, it } from "vitest";
import { RpcError } from "../../src/base/errors.js";
import { decodeV8, encodeV8, fillBlobs } from "../../src/workerd/v8-value/index.js";
import {
  bytesOf,
  decode,
  difference,
  encode,
  Externals,
  failure,
  hexOf,
  NONE,
  roundTrip,
  roundTripWith,
} from "./help.js";

const f = (): number => 1;
const g = (): number => 2;

describe("externals", () => {
  it("one for each object, in the order in which the bytes name them", () => {
    const externals = new Externals();
    const { readable, writable } = new TransformStream();
    const { signal } = new AbortController();
    const value = {
      a: f,
      b: [readable, f],
      c: new Map<unknown, unknown>([[g, writable]]),
      d: signal,
    };
    const { bytes, externals: order } = encodeV8(value, externals, { root: "args[0]" });
    expect(order).toEqual([0, 1, 2, 3, 4]);
    expect(externals.kinds).toEqual([
      "stub",
      "readableStream",
      "stub",
      "writableStream",
      "abortSignal",
    ]);
    expect(externals.paths).toEqual(
      ["a", "b[0]", "c.keys()[0]", "c.values()[0]", "d"].map((path) => `args[0].${path}`),
    );
    externals.arrange(order);
    expect(difference(decodeV8(bytes, externals), value)).toBeNull();
    expect(externals.left).toBe(0);
  });

  it("as workerd writes them", () => {
    const externals = new Externals();
    expect(hexOf(encodeV8(f, externals).bytes)).toBe("ff0f5c01");
    expect(hexOf(encodeV8([f, f], externals).bytes)).toBe("ff0f41025c015e01240002");
    expect(hexOf(encodeV8({ a: f, b: g, c: [f] }, externals).bytes)).toBe(
      "ff0f6f2201615c012201625c0122016341015e012400017b03",
    );
    expect(hexOf(encodeV8(new AbortController().signal, externals).bytes)).toBe("ff0f5c0900005f");
  });

  it("what an ErrorPolicy keeps back is not among them", () => {
    const externals = new Externals();
    const errors = {
      sendTrace: false,
      redact: () => ({ message: "told", properties: ["kept"] }),
    };
    const error = Object.assign(new Error("secret"), { hidden: f, kept: g });
    const { bytes, externals: order } = encodeV8([error, f], externals, { errors });
    expect([externals.objects, order]).toEqual([
      [f, g],
      [1, 0],
    ]);
    externals.arrange(order);
    const [told, last] = decodeV8(bytes, externals) as [Error & { kept: unknown }, unknown];
    expect([told.message, told.kept, Object.keys(told), last]).toEqual(["told", g, ["kept"], f]);
  });

  it("one too many, one too few, and one of another kind are refused", () => {
    const { bytes } = encodeV8([f], new Externals());
    const give = (kinds: readonly string[]): unknown => {
      let at = 0;
      return decodeV8(bytes, {
        take: (kind) => {
          if (kinds[at++] !== kind) throw new RpcError("failed", "invalid-payload", `no ${kind}`);
          return f;
        },
        get left() {
          return kinds.length - at;
        },
      });
    };
    expect(give(["stub"])).toEqual([f]);
    expect(failure(() => give([])).message).toBe("no stub");
    expect(failure(() => give(["readableStream"])).message).toBe("no stub");
    expect(failure(() => give(["stub", "stub"])).message).toContain("1 externals came along");
  });

  it("a stub of a service", () => {
    const service = {};
    const kinds: string[] = [];
    let left = 1;
    const value = decodeV8(bytesOf("ff0f5c0b"), {
      take: (kind) => (kinds.push(kind), left--, service),
      get left() {
        return left;
      },
    });
    expect([value, kinds]).toEqual([service, ["serviceStub"]]);
  });
});

describe("errors", () => {
  const error = Object.assign(new TypeError("wrong", { cause: { n: 1 } }), { code: "E1" });

  it("as workerd writes them, without the stack", () => {
    const bytes = encode(error);
    expect(hexOf(bytes)).toBe(
      "ff0f5c0a02220577726f6e676f220563617573656f22016e49027b012204636f6465220245317b02",
    );
    const arrived = decode(bytes) as Error;
    expect(difference(arrived, error)).toBeNull();
    expect(arrived.stack).toBe("TypeError: wrong");
  });

  it("workerd's own, with its stack", () => {
    const hex =
      "ff0f5c0a0022074d794572726f7222046d696e656f2205737461636b220373746b2204636f6465490e7b02";
    const arrived = decode(bytesOf(hex)) as Error & { code: number };
    expect([arrived.name, arrived.message, arrived.stack, arrived.code]).toEqual([
      "MyError",
      "mine",
      "stk",
      7,
    ]);
    expect([Object.keys(arrived), Object.getPrototypeOf(arrived)]).toEqual([
      ["code"],
      Error.prototype,
    ]);
  });

  it.each([Error, TypeError, RangeError, ReferenceError, SyntaxError, EvalError, URIError])(
    "%o by its class",
    (type) => {
      expect(difference(roundTrip(new type("m")), new type("m"))).toBeNull();
      expect(difference(roundTrip(new type()), new type())).toBeNull();
    },
  );

  it("of a name of their own, of many errors, of this project", () => {
    class Mine extends RangeError {
      override name = "Mine";
    }
    const mine = roundTrip(new Mine("m")) as Error;
    expect([mine.name, mine.message, mine instanceof RangeError]).toEqual(["Mine", "m", false]);
    const many = new AggregateError([new Error("a"), 2], "all");
    expect(difference(roundTrip(many), many)).toBeNull();
    const rpc = roundTrip(new RpcError("overloaded", "queue-full", "later", { trace: "secret" }));
    expect(rpc).toMatchObject({
      name: "RpcError",
      type: "overloaded",
      code: "queue-full",
    });
    // What it knows of the call that it came by is nobody else's.
    expect(Object.keys(rpc as object).sort()).toEqual(["code", "type"]);
  });

  it("a class of errors that only the sender has is kept as a name", () => {
    for (const [kind, name] of [
      [6, "WasmCompileError"],
      [13, "SuppressedError"],
    ] as const) {
      const arrived = decode(Uint8Array.of(0xff, 15, 0x5c, 10, kind, 0x22, 1, 0x6d, 0x6f, 0x7b, 0));
      expect([(arrived as Error).name, Object.prototype.toString.call(arrived)]).toEqual([
        name,
        "[object Error]",
      ]);
    }
  });

  it("an error that is its own cause is read, in both forms, and not written, since workerd cannot read it", () => {
    const inV8 = decode(bytesOf("ff0f726d220178635e002e")) as Error;
    expect(inV8.cause).toBe(inV8);
    const inWorkerd = decode(bytesOf("ff0f5c0a012201786f220563617573655e007b01")) as Error;
    expect(inWorkerd.cause).toBe(inWorkerd);
    expect(failure(() => encode({ e: inWorkerd }))).toMatchObject({
      code: "unsendable-value",
      message: expect.stringMatching(
        /^value\.e\.cause cannot be sent: it is part of itself/,
      ) as string,
    });
  });

  it("the policy says what is told", () => {
    const withTrace = { sendTrace: true, redact: null };
    expect((roundTrip(error, { errors: withTrace }) as Error).stack).toBe(error.stack);
    const nothing = { sendTrace: true, redact: () => null };
    const told = roundTrip({ error }, { errors: nothing }) as { error: Error };
    expect(difference(told.error, new TypeError("the reason is not for this peer"))).toBeNull();
  });

  it("a DOMException, in both forms", () => {
    const dom = new DOMException("dom", "AbortError");
    expect(hexOf(encode(dom))).toBe("ff0f5c080a41626f72744572726f7203646f6d00");
    const arrived = roundTrip(dom) as DOMException;
    expect([arrived.name, arrived.message, arrived.code, arrived instanceof DOMException]).toEqual([
      "AbortError",
      "dom",
      20,
      true,
    ]);
    const stack = (decode(bytesOf("ff0f5c080145016d0173")) as Error).stack;
    expect(stack).toBe("s");
    const old = decode(bytesOf("ff0f5c070145726d22016d2e")) as DOMException;
    expect([old.name, old.message, old instanceof DOMException]).toEqual(["E", "m", true]);
  });
});

describe("the classes of fetch", () => {
  it("Headers, as workerd writes them", () => {
    const headers = new Headers([
      ["Set-Cookie", "a=1"],
      ["Set-Cookie", "b=2"],
      ["X-Mine", "\u00e9"],
    ]);
    expect(hexOf(encode(headers))).toBe("ff0f5c0403032903613d312903623d320006782d6d696e6502c3a9");
    expect([...(roundTrip(headers) as Headers)]).toEqual([...headers]);
  });

  it("a Request with a body, which is an external, and without", () => {
    const externals = new Externals();
    const request = new Request("https://a.test/b", {
      method: "PUT",
      headers: { "x-a": "1" },
      body: "text",
      redirect: "manual",
      cache: "no-store",
    });
    const arrived = roundTripWith(externals, { request }) as { request: Request };
    expect(externals.kinds).toEqual(["readableStream"]);
    expect(externals.paths).toEqual(["value.request.body"]);
    const { url, method, redirect, cache, body } = arrived.request;
    expect([url, method, redirect, cache]).toEqual([
      "https://a.test/b",
      "PUT",
      "manual",
      "no-store",
    ]);
    expect([...arrived.request.headers]).toEqual([...request.headers]);
    expect(body).toBeInstanceOf(ReadableStream);
    const plain = roundTrip(new Request("https://a.test/")) as Request;
    expect([plain.method, plain.body]).toEqual(["GET", null]);
  });

  it("a Request of workerd's, with what has no place in one here", async () => {
    const hex = hexOf(
      encode({
        method: "POST",
        headers: new Headers({ a: "b" }),
        body: undefined,
        fetcher: undefined,
        cf: { x: [1] },
        encodeResponseBody: "manual",
      }),
    ).slice(4);
    const request = decode(bytesOf(`ff0f5c050f68747470733a2f2f612e746573742f${hex}`)) as Request;
    expect(request).toMatchObject({ cf: { x: [1] }, encodeResponseBody: "manual", method: "POST" });
    expect(await request.text()).toBe("");
  });

  it("a Response with a body and without", () => {
    const externals = new Externals();
    const response = new Response("text", { status: 201, statusText: "Mine", headers: { a: "b" } });
    const arrived = roundTripWith(externals, response) as Response;
    expect(externals.paths).toEqual(["value.body"]);
    expect([arrived.status, arrived.statusText, arrived.headers.get("a")]).toEqual([
      201,
      "Mine",
      "b",
    ]);
    expect((roundTrip(new Response(null, { status: 204 })) as Response).status).toBe(204);
  });

  it("a Blob, whose bytes come later", async () => {
    const blob = new Blob(["a", new Uint8Array([0, 255])], { type: "text/x" });
    encode("x".repeat(500));
    const encoded = encodeV8({ blob, after: 1 }, NONE);
    expect(encoded.blobs.map(({ path }) => path)).toEqual(["value.blob"]);
    // Nothing of what was encoded before stands in the place.
    expect(hexOf(encoded.bytes)).toContain("06746578742f7803000000");
    await fillBlobs(encoded);
    expect(hexOf(encoded.bytes)).toContain("5c0f06746578742f78036100ff");
    const arrived = decodeV8(encoded.bytes, NONE) as { blob: Blob; after: number };
    expect([
      arrived.blob.type,
      ...new Uint8Array(await arrived.blob.arrayBuffer()),
      arrived.after,
    ]).toEqual(["text/x", 0x61, 0, 255, 1]);
  });

  it("a Blob that cannot be read any more is told of by its path", async () => {
    const blob = new Blob(["abc"]);
    const encoded = encodeV8([blob], NONE, { root: "args" });
    blob.arrayBuffer = () => Promise.reject(new Error("gone"));
    await expect(fillBlobs(encoded)).rejects.toMatchObject({
      code: "unsendable-value",
      message: "args[0] cannot be sent: it cannot be read",
    });
    blob.arrayBuffer = () => Promise.resolve(new ArrayBuffer(2));
    await expect(fillBlobs(encoded)).rejects.toMatchObject({ code: "unsendable-value" });
  });

  it("signals that have fired go by value, with their reason; one that never fires needs no external", () => {
    const reason = new RangeError("enough");
    const fired = roundTrip(AbortSignal.abort(reason)) as AbortSignal;
    expect([fired.aborted, difference(fired.reason, reason)]).toEqual([true, null]);
    const never = decode(bytesOf("ff0f5c0900015f")) as AbortSignal;
    expect([never instanceof AbortSignal, never.aborted]).toEqual([true, false]);
  });
});
