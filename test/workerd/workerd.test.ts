// The codec against the real workerd, by its debug port: values sent to a Durable Object and echoed, made there and described there.

/* oxlint-disable no-sparse-arrays -- holes are values too */

import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Hook } from "../../src/hook/hook.js";
import {
  decodeV8,
  encodeV8,
  type ExternalKind,
  type ExternalSink,
  type ExternalSlot,
  type ExternalSource,
  fillBlobs,
} from "../../src/workerd/v8-value/index.js";
import { RpcError } from "../../src/base/errors.js";
import { missingWorkerd } from "../runtimes/workerd.js";
import { anyValue } from "../support/any-value.js";
import { expectNoResidue, resources } from "../support/residue.js";
import { bytesOf, decode, difference, encode } from "./help.js";
import { type External, ExternalTag, type RemoteValues, type Value, Workerd } from "./kit.js";

/** Functions go as hooks that serve them. */
class Outgoing implements ExternalSink {
  readonly entries: External[] = [];
  private readonly serve: (run: (...args: unknown[]) => unknown) => Hook;

  constructor(serve: (run: (...args: unknown[]) => unknown) => Hook) {
    this.serve = serve;
  }

  external(value: object): ExternalSlot | undefined {
    if (typeof value !== "function") return undefined;
    const cap = this.serve(value as () => unknown);
    return { kind: "stub", index: this.entries.push({ tag: ExternalTag.rpcTarget, cap }) - 1 };
  }
}

/** What came: for each external an object that says what it is. */
class Incoming implements ExternalSource {
  private static readonly TAGS = new Map<number, ExternalKind>([
    [ExternalTag.rpcTarget, "stub"],
    [ExternalTag.writableStream, "writableStream"],
    [ExternalTag.readableStream, "readableStream"],
    [ExternalTag.serviceToken, "serviceStub"],
  ]);
  private readonly entries: External[];

  constructor(entries: readonly External[]) {
    this.entries = [...entries];
  }

  get left(): number {
    return this.entries.length;
  }

  take(kind: ExternalKind): unknown {
    const entry = this.entries.shift();
    if (entry === undefined || Incoming.TAGS.get(entry.tag) !== kind)
      throw new RpcError("failed", "invalid-payload", `no ${kind} is next`);
    entry.cap?.release();
    return kind === "readableStream" ? new ReadableStream() : { kind };
  }
}

// skip: where npm has no workerd; missingWorkerd prints the reason
describe.skipIf(missingWorkerd() !== null)("with workerd", () => {
  const before = resources();
  let workerd: Workerd;
  let main: RemoteValues;
  let older: RemoteValues;
  let dropped = 0;

  beforeAll(async () => {
    workerd = await Workerd.start();
    main = workerd.open("main");
    older = workerd.open("older");
  });
  afterAll(async () => {
    main.close();
    older.close();
    expect(await workerd.close()).toEqual({ exports: 0, questions: 0, answers: 0 });
    await expectNoResidue(before);
  });

  const serve = (run: (...args: unknown[]) => unknown): Hook =>
    main.serve(
      (args) => encode(run(...(decode(args) as unknown[]))),
      () => dropped++,
    );

  async function pack(args: unknown[]): Promise<Value> {
    const out = new Outgoing(serve);
    const encoded = encodeV8(args, out, { root: "args" });
    await fillBlobs(encoded);
    return { bytes: encoded.bytes, externals: encoded.externals.map((i) => out.entries[i]!) };
  }

  async function call(on: RemoteValues, method: string, ...args: unknown[]): Promise<unknown> {
    const { bytes, externals } = await on.call(method, await pack(args));
    return decodeV8(bytes, new Incoming(externals));
  }

  const resizable = (length: number, maxByteLength: number): ArrayBuffer =>
    new (ArrayBuffer as unknown as new (n: number, o: object) => ArrayBuffer)(length, {
      maxByteLength,
    });

  describe("values come back as they went", () => {
    const memory = new Uint8Array([1, 2, 3, 4, 5, 6, 7, 8]).buffer;
    const growing = resizable(16, 32);
    const ECHOED: [string, unknown][] = [
      ["nothing", undefined],
      ["null and booleans", [null, true, false]],
      ["integers", [0, -0, 1, -1, 2 ** 31 - 1, -(2 ** 31), 2 ** 31, 2 ** 53]],
      ["numbers", [1.5, Number.NaN, Infinity, -Infinity, 5e-324]],
      ["bigints", [0n, -1n, 2n ** 64n, -(3n ** 999n)]],
      [
        "text",
        ["", "abc", "\u00e9\u00ff", "\u0100", "a\u0100", "\u{1f600}", "\ud800", "x".repeat(70_000)],
      ],
      ["objects", { a: 1, 5: 2, __proto__: null, "": {} }],
      ["own names of prototypes", JSON.parse('{"__proto__":{"a":1},"constructor":2,"then":3}')],
      [
        "holes and names",
        [[, 1, ,], Object.assign([1, 2], { x: 3 }), Object.assign([, 1], { y: 1 })],
      ],
      ["a long array of holes", Object.assign([], { 100_000: 1 })],
      ["dates", [new Date(1e12), new Date(Number.NaN)]],
      ["boxes", [Object(true), Object(-0), Object("\u0100"), Object(2n)]],
      ["regular expressions", [/a\/b/, /x/dgimsuy, new RegExp("x", "v")]],
      [
        "maps and sets",
        [
          new Map<unknown, unknown>([
            [{}, new Set([1])],
            ["k", new Map()],
          ]),
        ],
      ],
      ["buffers", [memory, new ArrayBuffer(0), resizable(2, 5)]],
      [
        "views",
        [
          Int8Array,
          Uint8Array,
          Uint8ClampedArray,
          Int16Array,
          Uint16Array,
          Int32Array,
          Uint32Array,
          Float32Array,
          Float64Array,
          BigInt64Array,
          BigUint64Array,
        ].map((View) => new View(memory)),
      ],
      ["views of one buffer", [new DataView(memory, 1, 3), new Uint8Array(memory, 2), memory]],
      [
        "views of a resizable buffer",
        [
          new Uint8Array(growing, 3),
          new Uint8Array(growing, 3, 2),
          new DataView(growing, 4),
          growing,
        ],
      ],
    ];
    it.each(ECHOED)("%s", async (_, value) => {
      for (const on of [main, older])
        expect(difference(await call(on, "echo", value), structuredClone(value))).toBeNull();
    });

    it("shared parts and loops", async () => {
      const loop: unknown[] = [1];
      loop.push({ loop, map: new Map([[loop, loop]]) }, loop);
      expect(difference(await call(main, "echo", loop), structuredClone(loop))).toBeNull();
    });

    it("whatever fast-check makes", async () => {
      const lists = fc.sample(fc.array(anyValue, { minLength: 30, maxLength: 30 }), {
        seed: 12,
        numRuns: 25,
      });
      for (const list of lists)
        expect(difference(await call(main, "echo", list), structuredClone(list))).toBeNull();
    });

    it("five hundred levels, and thirty megabytes", async () => {
      let deep: unknown = [];
      for (let i = 0; i < 497; i++) deep = [deep];
      expect(difference(await call(main, "echo", deep), deep)).toBeNull();
      const bytes = new Uint8Array(30 << 20).fill(7);
      expect((await call(main, "echo", bytes)) as Uint8Array).toHaveLength(30 << 20);
    });

    it("errors, with their class, cause, errors and properties", async () => {
      const errors = [
        Object.assign(new TypeError("t", { cause: new Error("c") }), { code: { n: 1 } }),
        new AggregateError([new RangeError("a"), 1], "all"),
        new SyntaxError("s"),
        new EvalError("e"),
        new URIError("u"),
        new ReferenceError("r"),
        Object.defineProperty(new Error("m"), "name", { value: "Mine" }),
      ];
      const back = (await call(main, "echo", errors)) as Error[];
      back.forEach((error, i) => {
        const sent = errors[i]!;
        expect(error).toEqual(sent);
        expect([error.name, error.cause]).toEqual([sent.name, sent.cause]);
        expect(Object.getPrototypeOf(error)).toBe(Object.getPrototypeOf(sent));
      });
      expect(back[0]).toMatchObject({ code: { n: 1 } });
      expect((back[1] as AggregateError).errors).toEqual([new RangeError("a"), 1]);
    });

    it("errors by V8's own form, from a Worker of an older date", async () => {
      const error = new TypeError("t", { cause: { n: 1 } });
      const back = (await call(older, "echo", error)) as Error;
      expect([back, back.cause, back.stack]).toEqual([error, { n: 1 }, "TypeError: t"]);
    });
  });

  describe("the same is seen there", () => {
    it("errors have neither our stack nor our paths", async () => {
      const error = Object.assign(new TypeError("t"), { code: "E" });
      const seen = (await call(main, "describe", error)) as Record<string, unknown>;
      expect(seen).toMatchObject({
        constructor: "TypeError",
        name: "TypeError",
        message: "t",
        stack: "TypeError: t",
        own: { code: "E" },
      });
    });

    it("a DOMException", async () => {
      const seen = await call(main, "describe", new DOMException("m", "AbortError"));
      expect(seen).toEqual({ dom: "AbortError", message: "m", code: 20 });
    });

    it("Headers, with several cookies", async () => {
      const headers = new Headers([
        ["Set-Cookie", "a=1"],
        ["Set-Cookie", "b=2"],
        ["Via", "x"],
        ["X-\u0041", "\u00e9"],
      ]);
      expect(await call(main, "describe", headers)).toEqual({ headers: [...headers] });
    });

    it("a Request and a Response", async () => {
      const request = new Request("https://a.test/b?c", {
        method: "DELETE",
        redirect: "manual",
        cache: "no-store",
        headers: { "x-a": "1" },
      });
      expect(await call(main, "describe", request)).toEqual({
        url: "https://a.test/b?c",
        method: "DELETE",
        headers: [["x-a", "1"]],
        redirect: "manual",
        body: "",
      });
      const response = new Response(null, { status: 418, statusText: "Mine", headers: { a: "b" } });
      expect(await call(main, "describe", response)).toEqual({
        status: 418,
        statusText: "Mine",
        headers: [["a", "b"]],
        body: "",
      });
    });

    it("a Blob", async () => {
      const blob = new Blob(["a", new Uint8Array([0, 255])], { type: "text/x" });
      const seen = await call(main, "describe", blob);
      expect(seen).toEqual({ type: "text/x", bytes: new Uint8Array([0x61, 0, 255]) });
      const back = (await call(main, "echo", blob)) as Blob;
      expect([back.type, new Uint8Array(await back.arrayBuffer())]).toEqual([
        "text/x",
        new Uint8Array([0x61, 0, 255]),
      ]);
    });

    it("a signal that has fired", async () => {
      const seen = await call(main, "describe", AbortSignal.abort(new RangeError("enough")));
      expect(seen).toEqual({ aborted: true, reason: "RangeError: enough" });
    });
  });

  describe("what is made there is read here", () => {
    const make = (name: string): Promise<unknown> => call(main, "make", name);

    it("stubs, streams and services, each with its external", async () => {
      expect(await make("stub")).toEqual({ kind: "stub" });
      expect(await make("writable")).toEqual({ kind: "writableStream" });
      expect(await make("readable")).toBeInstanceOf(ReadableStream);
      expect(await make("service")).toEqual({ kind: "serviceStub" });
      expect(await make("stubs")).toEqual({
        a: { kind: "stub" },
        b: { kind: "stub" },
        c: [{ kind: "stub" }],
      });
      const [one, same] = (await make("shared")) as [object, object];
      expect(one).toBe(same);
      const mixed = (await make("mixed")) as {
        f: unknown;
        s: unknown;
        again: Map<number, unknown>;
      };
      expect([mixed.f, mixed.s instanceof ReadableStream, mixed.again.get(1)]).toEqual([
        { kind: "stub" },
        true,
        { kind: "stub" },
      ]);
    });

    it("Headers, Requests, Responses, Blobs", async () => {
      const headers = (await make("headers")) as Headers;
      expect([...headers]).toEqual([
        ["content-type", "text/plain"],
        ["set-cookie", "a=1"],
        ["set-cookie", "b=2"],
        ["x-mine", "\u00e9"],
      ]);
      const request = (await make("request")) as Request;
      expect([request.url, request.method, request.headers.get("x-a")]).toEqual([
        "https://a.test/b?c",
        "PUT",
        "1",
      ]);
      expect(((await make("requestBody")) as Request).body).toBeInstanceOf(ReadableStream);
      const response = (await make("response")) as Response;
      expect([response.status, response.headers.get("x-a"), response.body]).toEqual([
        204,
        "1",
        null,
      ]);
      const manual = (await make("responseManual")) as Response & {
        cf: unknown;
        encodeBody: unknown;
      };
      expect([manual.cf, manual.encodeBody, manual.body instanceof ReadableStream]).toEqual([
        { y: [1] },
        "manual",
        true,
      ]);
      const blob = (await make("blob")) as Blob;
      expect([blob.type, blob.size]).toEqual(["text/x", 3]);
    });

    it("errors, with the stack they have there", async () => {
      for (const on of [main, older]) {
        const error = (await call(on, "make", "error")) as Error;
        expect([error instanceof TypeError, error.message, error.cause]).toEqual([
          true,
          "wrong",
          { n: 1 },
        ]);
        expect(error.stack).toContain("worker.js");
      }
      expect(await make("error")).toMatchObject({ code: "E1" });
      expect(await make("named")).toMatchObject({ name: "MyError", code: 7 });
      expect(await make("aggregate")).toMatchObject({ message: "all", errors: [new Error("a")] });
      const dom = (await make("domException")) as DOMException;
      expect([dom.name, dom.message, dom.code]).toEqual(["AbortError", "dom", 20]);
    });

    it("what this runtime has no place for is refused by name", async () => {
      await expect(make("shared_memory")).rejects.toMatchObject({ code: "invalid-payload" });
      if (!("Float16Array" in globalThis))
        await expect(make("float16")).rejects.toThrow("no Float16Array");
      else expect(await make("float16")).toHaveLength(2);
    });
  });

  it("functions go, are called there with values, and come back as stubs", async () => {
    const seen: unknown[] = [];
    const f = (...args: unknown[]): unknown => {
      seen.push(...args);
      return { sum: 3n, when: new Date(5) };
    };
    const gone = dropped;
    expect(await call(main, "call", f, [1, new Map([["k", undefined]])])).toEqual({
      sum: 3n,
      when: new Date(5),
    });
    expect(difference(seen, [[1, new Map([["k", undefined]])]])).toBeNull();
    expect(await call(main, "all", f, 1, [f, () => 2])).toEqual([
      { kind: "stub" },
      1,
      [{ kind: "stub" }, { kind: "stub" }],
    ]);
    await expect.poll(() => dropped - gone, { timeout: 20_000 }).toBe(3);
  });

  describe("versions and forms that workerd takes are those that are read", () => {
    const VECTORS: [string, string, boolean][] = [
      // V8 wrote flags of views in version 13 too, by mistake: this one takes no view without, and 0 is padding where there are none.
      ["13", "ff0d41024204010203045642010200490e240002", true],
      ["14", "ff0e41024204010203045642010200490e240002", true],
      ["15", "ff0f41024204010203045642010200490e240002", true],
      ["16", "ff1041024204010203045642010200490e240002", true],
      ["12", "ff0c4101490e240001", false],
      ["17", "ff114101490e240001", false],
      ["no header", "4101490e240001", false],
      ["UTF-8 that is none", "ff0f4101530263ff240001", true],
      ["a count of objects", "ff0f3f0541013f00490e240001", true],
      ["a name twice", "ff0f41016f2201614902220161490" + "47b02240001", false],
      ["shared memory", "ff0f41017500240001", false],
      ["an unknown host object", "ff0f41015c63240001", false],
      [
        "an error that is its own cause",
        "ff0f41015c0a012201786f220563617573655e017b01240001",
        false,
      ],
      [
        "a Request with redirect: error",
        "ff0f41015c0509687474703a2f2f612f6f2208726564697265637422056572726f727b01240001",
        false,
      ],
      [
        "a Request with a cache mode",
        "ff0f41015c0509687474703a2f2f612f6f2205636163686522067265" + "6c6f61647b01240001",
        false,
      ],
      ["an error whose message is a number", "ff0f41015c0a0149026f7b00240001", false],
    ];
    it.each(VECTORS)("%s", async (_, hex, taken) => {
      const bytes = bytesOf(hex);
      const answer = main.call("describe", { bytes, externals: [] });
      if (!taken) {
        await expect(answer).rejects.toBeInstanceOf(RpcError);
        return;
      }
      await answer;
      const echo = await main.call("echo", { bytes, externals: [] });
      expect(difference(decode(echo.bytes), (decode(bytes) as unknown[])[0])).toBeNull();
    });

    it("a value of more levels than its stack holds", async () => {
      const levels = 20_000;
      const bytes = Uint8Array.from([
        0xff,
        15,
        ...Array.from({ length: levels }, () => [0x41, 1]).flat(),
        0x30,
        ...Array.from({ length: levels }, () => [0x24, 0, 1]).flat(),
      ]);
      await expect(main.call("describe", { bytes, externals: [] })).rejects.toThrow("call stack");
    });
  });
});
