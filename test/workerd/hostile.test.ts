// The decoder on bytes of a stranger: a value, or our error within the budget; never a crash, a polluted prototype or much memory.

/* oxlint-disable no-sparse-arrays -- holes are values too */

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { RpcError } from "../../src/base/errors.js";
import { decodeV8, DEFAULT_V8_LIMITS, encodeV8 } from "../../src/workerd/v8-value/index.js";
import { bytesOf, difference, Externals, failure, limits, nodeReads, nodeWrites } from "./help.js";

const KNOWN = new Set(["invalid-payload", "limit-exceeded"]);

/** Gives what is asked for, and says that nothing is left. */
const source = {
  left: 0,
  take: (kind: string): unknown =>
    kind === "readableStream"
      ? new ReadableStream()
      : kind === "abortSignal"
        ? new AbortController().signal
        : { kind },
};

/**
 * Decodes; gives the code of the failure, or "" for a value. Anything else that is thrown is a fault, and so is a value that V8
 * reads otherwise from the same bytes, where it can: there are no host objects for it, and no version 16.
 */
function attempt(bytes: Uint8Array, budget = DEFAULT_V8_LIMITS): string {
  try {
    const value = decodeV8(bytes, source, budget);
    if (bytes.length < 1000 && bytes[1]! < 16 && !bytes.includes(0x5c))
      expect(difference(value, nodeReads(bytes))).toBeNull();
    return "";
  } catch (error) {
    if (!(error instanceof RpcError) || !KNOWN.has(error.code)) throw error;
    return error.code;
  }
}

const PROTOTYPES = [Object, Array, Error, Map, Set, Headers, Request, Response].map(
  (type) => type.prototype as object,
);
const names = (): number[] => PROTOTYPES.map((o) => Reflect.ownKeys(o).length);
const before = names();
function unpolluted(): void {
  expect(names()).toEqual(before);
  for (const key in {}) throw new Error(`Object.prototype has ${key}`);
  expect(Object.keys([])).toEqual([]);
}

const text = (s: string): number[] => [0x22, s.length, ...Buffer.from(s, "latin1")];
const raw = (s: string): number[] => [s.length, ...Buffer.from(s, "latin1")];
const v15 = (...bytes: (number | number[])[]): Uint8Array =>
  Uint8Array.of(0xff, 15, ...bytes.flat());
const tag = (s: string): number => s.charCodeAt(0);

describe("one by one", () => {
  const MALFORMED: [string, Uint8Array][] = [
    ["nothing", new Uint8Array()],
    ["no header", Uint8Array.of(0x49, 2)],
    ["a header alone", v15()],
    [
      "an endless version",
      Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff),
    ],
    ["two values", v15(0x49, 2, 0x49, 4)],
    ["padding alone", v15(0, 0, 0)],
    ["a cut varint", v15(0x49, 0x80)],
    ["an integer of 33 bits", v15(0x49, 0xff, 0xff, 0xff, 0xff, 0x1f)],
    ["a cut double", v15(0x4e, 0, 0)],
    ["a cut string", v15(0x22, 5, 0x61)],
    ["a string of four billion", v15(0x22, 0xff, 0xff, 0xff, 0xff, 0x0f)],
    ["half a unit", v15(0x63, 3, 0, 0, 0)],
    ["a bigint of half a billion bytes", v15(0x5a, 0xff, 0xff, 0xff, 0xff, 0x0f)],
    ["-0n", v15(0x5a, 1)],
    ["an object without an end", v15(tag("o"), text("a"), 0x5f)],
    ["a name without a value", v15(tag("o"), text("a"), tag("{"), 1)],
    ["a name twice", v15(tag("o"), text("a"), 0x5f, text("a"), 0x5f, tag("{"), 2)],
    ["a name twice, once as a number", v15(tag("o"), 0x49, 2, 0x5f, text("1"), 0x5f, tag("{"), 2)],
    [
      "__proto__ twice",
      v15(tag("o"), text("__proto__"), 0x5f, text("__proto__"), 0x5f, tag("{"), 2),
    ],
    ["a name that is an object", v15(tag("o"), tag("o"), tag("{"), 0, 0x5f, tag("{"), 1)],
    ["a name that is null", v15(tag("o"), 0x30, 0x5f, tag("{"), 1)],
    ["a name that is a bigint", v15(tag("o"), 0x5a, 0, 0x5f, tag("{"), 1)],
    ["a count that is wrong", v15(tag("o"), text("a"), 0x5f, tag("{"), 2)],
    ["the end of another", v15(tag("o"), tag("$"), 0)],
    ["an array longer than its bytes", v15(tag("A"), 0xff, 0xff, 0xff, 0x0f)],
    ["an array of other lengths", v15(tag("A"), 1, 0x5f, tag("$"), 0, 2)],
    ["an index past a dense array", v15(tag("A"), 1, 0x5f, 0x49, 4, 0x5f, tag("$"), 1, 1)],
    ["an index that is there", v15(tag("A"), 1, 0x5f, 0x49, 0, 0x5f, tag("$"), 1, 1)],
    ["an index past a sparse array", v15(tag("a"), 1, 0x49, 2, 0x5f, tag("@"), 1, 1)],
    ["the same as text", v15(tag("a"), 1, text("1"), 0x5f, tag("@"), 1, 1)],
    ["the greatest index", v15(tag("a"), 1, text("4294967294"), 0x5f, tag("@"), 1, 1)],
    ["the name length", v15(tag("a"), 1, text("length"), 0x49, 2, tag("@"), 1, 1)],
    ["a hole in an object", v15(tag("o"), text("a"), 0x2d, tag("{"), 1)],
    ["a hole alone", v15(0x2d)],
    ["a reference before anything", v15(0x5e, 0)],
    ["a reference past all", v15(tag("A"), 1, 0x5e, 1, tag("$"), 0, 1)],
    ["a view alone", v15(tag("V"), tag("B"), 0, 0, 0)],
    ["a view of itself", v15(0x5e, 0, tag("V"), tag("B"), 0, 0, 0)],
    [
      "a view of an object",
      v15(tag("A"), 1, tag("o"), tag("{"), 0, tag("V"), tag("B"), 0, 0, 0, tag("$"), 0, 1),
    ],
    ["a view past its buffer", v15(tag("B"), 2, 1, 2, tag("V"), tag("B"), 1, 2, 0)],
    [
      "a view of a terabyte",
      Uint8Array.of(
        0xff,
        16,
        tag("B"),
        0,
        tag("V"),
        tag("B"),
        0,
        0xff,
        0xff,
        0xff,
        0xff,
        0xff,
        0x3f,
        0,
      ),
    ],
    ["an unaligned view", v15(tag("B"), 4, 1, 2, 3, 4, tag("V"), tag("w"), 1, 2, 0)],
    ["half an element", v15(tag("B"), 4, 1, 2, 3, 4, tag("V"), tag("w"), 0, 3, 0)],
    ["an unknown view", v15(tag("B"), 0, tag("V"), tag("x"), 0, 0, 0)],
    ["an unknown flag of a view", v15(tag("B"), 0, tag("V"), tag("B"), 0, 0, 4)],
    ["a view that follows what does not change", v15(tag("B"), 0, tag("V"), tag("B"), 0, 0, 1)],
    [
      "a view with flags of version 13",
      Uint8Array.of(0xff, 13, tag("B"), 0, tag("V"), tag("B"), 0, 0, 0, 7),
    ],
    ["a buffer past the end", v15(tag("B"), 5, 1)],
    ["a buffer longer than it may be", v15(tag("~"), 2, 1, 1, 2)],
    ["shared memory", v15(tag("u"), 0)],
    ["transferred memory", v15(tag("t"), 0)],
    ["a shared object", v15(tag("p"), 0)],
    ["a module of WebAssembly", v15(tag("w"), 0)],
    ["a memory of WebAssembly", v15(tag("m"), 2)],
    ["an unknown tag", v15(tag("Y"))],
    ["a kind of before version 13", v15(tag("M"), 0)],
    ["a RegExp that is none", v15(tag("R"), text("("), 0)],
    ["a flag of V8's own", v15(tag("R"), text("a"), 64)],
    ["an unknown flag", v15(tag("R"), text("a"), 0x80, 4)],
    ["flags that exclude each other", v15(tag("R"), text("a"), 0x90, 2)],
    ["a RegExp of a number", v15(tag("R"), 0x49, 2, 0)],
    ["a string object of a number", v15(tag("s"), 0x49, 2)],
    ["a Map without a value", v15(tag(";"), 0x5f, tag(":"), 1)],
    ["a Map of another count", v15(tag(";"), 0x5f, 0x5f, tag(":"), 1)],
    ["a Set of another count", v15(tag("'"), 0x5f, tag(","), 2)],
    ["an error without an end", v15(tag("r"), tag("m"), text("x"))],
    ["an error of an unknown part", v15(tag("r"), tag("x"), tag("."))],
    ["an error of two classes", v15(tag("r"), tag("T"), tag("R"), tag("."))],
    ["an error whose message is a number", v15(tag("r"), tag("m"), 0x49, 2, tag("."))],
    [
      "an error whose message comes too late",
      v15(tag("r"), tag("s"), text("s"), tag("m"), text("x"), tag(".")),
    ],
    ["host object 0", v15(0x5c, 0)],
    ["an unknown host object", v15(0x5c, 99)],
    ["a bucket", v15(0x5c, 13)],
    ["a socket", v15(0x5c, 16)],
    ["a native error whose message is a number", v15(0x5c, 10, 1, 0x49, 2, tag("o"), tag("{"), 0)],
    ["a native error without properties", v15(0x5c, 10, 1, text("x"), 0x5f)],
    ["a native error named by itself", v15(0x5c, 10, 0, 0x5e, 0, text("x"), tag("o"), tag("{"), 0)],
    [
      "an AggregateError of no list",
      v15(0x5c, 10, 12, text("x"), tag("o"), text("errors"), 0x5f, tag("{"), 1),
    ],
    ["a DOMException without a message", v15(0x5c, 8, raw("E"))],
    ["an old DOMException without an error", v15(0x5c, 7, raw("E"), 0x5f)],
    ["a signal without a reason", v15(0x5c, 9, 1, 0)],
    ["a header of number 48", v15(0x5c, 4, 3, 1, 48, raw("x"))],
    ["a header that is none", v15(0x5c, 4, 3, 1, 0, raw("a b"), raw("x"))],
    ["a header with a line end", v15(0x5c, 4, 3, 1, 0, raw("a"), raw("x\r\nb: c"))],
    ["four billion headers", v15(0x5c, 4, 3, 0xff, 0xff, 0xff, 0xff, 0x0f)],
    ["a Request of no URL", v15(0x5c, 5, raw("a"), tag("o"), tag("{"), 0)],
    ["a Request of no init", v15(0x5c, 5, raw("http://a/"), 0x5f)],
    ["a Request of itself", v15(0x5c, 5, raw("http://a/"), 0x5e, 0)],
    [
      "a Request with a secret part",
      v15(0x5c, 5, raw("http://a/"), tag("o"), text("fetcher"), 0x49, 2, tag("{"), 1),
    ],
    [
      "a Request with a body of text",
      v15(0x5c, 5, raw("http://a/"), tag("o"), text("body"), text("x"), tag("{"), 1),
    ],
    [
      "a GET with a body",
      v15(0x5c, 5, raw("http://a/"), tag("o"), text("body"), 0x5c, 3, tag("{"), 1),
    ],
    [
      "a Request with headers of text",
      v15(0x5c, 5, raw("http://a/"), tag("o"), text("headers"), text("x"), tag("{"), 1),
    ],
    [
      "a method with a space",
      v15(0x5c, 5, raw("http://a/"), tag("o"), text("method"), text("G T"), tag("{"), 1),
    ],
    [
      "a method that is an object",
      v15(0x5c, 5, raw("http://a/"), tag("o"), text("method"), tag("o"), tag("{"), 0, tag("{"), 1),
    ],
    [
      "a signal that is none",
      v15(0x5c, 5, raw("http://a/"), tag("o"), text("signal"), tag("o"), tag("{"), 0, tag("{"), 1),
    ],
    ["a Response of status 9", v15(0x5c, 6, 0x30, tag("o"), text("status"), 0x49, 18, tag("{"), 1)],
    [
      "a Response of status text",
      v15(0x5c, 6, 0x30, tag("o"), text("status"), text("x"), tag("{"), 1),
    ],
    [
      "a Response of a text that is a number",
      v15(0x5c, 6, 0x30, tag("o"), text("statusText"), 0x49, 2, tag("{"), 1),
    ],
    ["a Response with a body of text", v15(0x5c, 6, text("x"), tag("o"), tag("{"), 0)],
    [
      "a Response with a WebSocket",
      v15(0x5c, 6, 0x30, tag("o"), text("webSocket"), tag("o"), tag("{"), 0, tag("{"), 1),
    ],
    [
      "a Response 204 with a body",
      v15(0x5c, 6, 0x5c, 3, tag("o"), text("status"), 0x49, 0x98, 3, tag("{"), 1),
    ],
    ["a Blob past the end", v15(0x5c, 15, raw("t"), 9, 1)],
  ];

  it.each(MALFORMED)("%s", (_, bytes) => {
    expect(attempt(bytes)).toBe("invalid-payload");
    unpolluted();
  });

  it("what is wrong is said, and where", () => {
    const { message } = failure(() => decodeV8(v15(0x41, 1, 0x63, 3, 0, 0, 0, 0x24, 0, 1), source));
    expect(message).toBe("the value is malformed: a string has half a unit, at byte 6");
  });

  it("names that lead to a prototype become own properties", () => {
    const evil = [tag("o"), text("polluted"), 0x54, tag("{"), 1];
    const object = decodeV8(
      v15(tag("o"), text("__proto__"), ...evil, text("constructor"), 0x54, tag("{"), 2),
      source,
    );
    expect(Object.getPrototypeOf(object)).toBe(Object.prototype);
    expect(Object.getOwnPropertyNames(object)).toEqual(["__proto__", "constructor"]);
    for (const bytes of [
      v15(tag("a"), 0, text("__proto__"), ...evil, tag("@"), 1, 0),
      v15(tag("A"), 0, text("__proto__"), ...evil, tag("$"), 1, 0),
    ]) {
      const array = decodeV8(bytes, source) as object;
      expect([
        Object.getPrototypeOf(array) === Array.prototype,
        Object.hasOwn(array, "__proto__"),
      ]).toEqual([true, true]);
    }
    const error = decodeV8(
      v15(0x5c, 10, 1, text("m"), tag("o"), text("__proto__"), ...evil, tag("{"), 1),
      source,
    ) as object;
    expect([
      Object.getPrototypeOf(error) === Error.prototype,
      Object.hasOwn(error, "__proto__"),
    ]).toEqual([true, true]);
    const request = attempt(
      v15(0x5c, 5, raw("http://a/"), tag("o"), text("__proto__"), ...evil, tag("{"), 1),
    );
    expect(request).toBe("invalid-payload");
    unpolluted();
  });
});

describe("budgets", () => {
  const repeat = (head: number[], unit: number[], count: number): Uint8Array => {
    const bytes = new Uint8Array(head.length + unit.length * count);
    bytes.set(head);
    for (let i = 0; i < count; i++) bytes.set(unit, head.length + i * unit.length);
    return bytes;
  };
  const varint = (n: number): number[] =>
    n > 127 ? [(n % 128) + 128, ...varint(Math.floor(n / 128))] : [n];
  const array = (n: number): number[] => [0xff, 15, 0x41, ...varint(n)];

  it("a million levels end at depth, whatever they are made of", () => {
    const LEVELS: number[][] = [
      [0x41, 1],
      [tag("o"), ...text("a")],
      [tag("a"), 1, 0x49, 0],
      [tag(";")],
      [tag("'")],
      [tag("r"), tag("c")],
      [0x5c, 10, 0],
      [0x5c, 9, 0, 0],
      [0x5c, 6],
      [0x5c, 5, ...raw("http://a/")],
      [0x5c, 7, 0],
    ];
    for (const level of LEVELS)
      expect(attempt(repeat([0xff, 15], level, 1_000_000))).toBe("limit-exceeded");
  });

  it("a million counts and any padding are no levels", () => {
    expect(attempt(new Uint8Array([...repeat([0xff, 15], [tag("?"), 0], 100_000), 0x5f]))).toBe("");
    expect(attempt(new Uint8Array([...repeat([0xff, 15], [0], 100_000), 0x5f]))).toBe("");
  });

  it("nodes bound the memory: nothing is made of a size that is only claimed", () => {
    const OVER = [
      repeat(array(2_000_000), [tag("o"), tag("{"), 0], 2_000_000),
      repeat(array(200_000), [tag(";"), tag(":"), 0], 200_000),
      repeat(array(2_000_000), [0x2d], 2_000_000),
      repeat(array(200_000), [tag("B"), 0], 200_000),
      repeat(array(200_000), [0x5c, 15, 0, 0], 200_000),
      v15(tag("a"), varint(4_294_967_295)),
      v15(tag("a"), varint(1_000_001)),
      v15(tag("~"), 0, varint(2 ** 32 - 1)),
      v15(tag("~"), 0, varint(33 << 20)),
      new Uint8Array(DEFAULT_V8_LIMITS.bytes + 1),
      repeat([0xff, 15, tag("o")], [0x4e, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 0x5f], 0),
    ].slice(0, -1);
    for (const bytes of OVER) expect(attempt(bytes)).toBe("limit-exceeded");
    expect(attempt(v15(tag("~"), 0, varint(1 << 20)), limits({ nodes: 1000 }))).toBe(
      "limit-exceeded",
    );
    const roomy = limits({ nodes: 1e9 });
    expect(attempt(v15(tag("~"), 0, varint(33 << 20)), roomy)).toBe("limit-exceeded");
    const headers = repeat([0xff, 15, 0x5c, 4, 3, 20], [16, 1, 0x61], 20);
    expect(attempt(headers)).toBe("");
    expect(attempt(headers, limits({ nodes: 100 }))).toBe("limit-exceeded");
    const held = process.memoryUsage().arrayBuffers;
    for (let i = 0; i < 100; i++) {
      expect(attempt(v15(tag("B"), varint(1 << 30)))).toBe("invalid-payload");
      expect(attempt(v15(tag("A"), varint(1 << 30)))).toBe("invalid-payload");
    }
    expect(process.memoryUsage().arrayBuffers - held).toBeLessThan(100 << 20);
  });

  it("the dearest value within the budgets stays in proportion to them", () => {
    const head = array(900_000);
    const end = [tag("$"), 0, ...varint(900_000)];
    const bytes = new Uint8Array(head.length + 3 * 900_000 + end.length);
    bytes.set(repeat(head, [tag("o"), tag("{"), 0], 900_000));
    bytes.set(end, bytes.length - end.length);
    const heap = process.memoryUsage().heapUsed;
    const most = decodeV8(bytes, source) as unknown[];
    expect(most).toHaveLength(900_000);
    expect(process.memoryUsage().heapUsed - heap).toBeLessThan(400e6);
  });
});

describe("fuzz", () => {
  const small = limits({ depth: 40, nodes: 20_000, bytes: 1 << 20 });
  const seeds = (): Uint8Array[] => {
    const shared = { a: [1, "two", -0] };
    const buffer = new ArrayBuffer(16);
    const growing = new (ArrayBuffer as unknown as new (n: number, o: object) => ArrayBuffer)(8, {
      maxByteLength: 64,
    });
    const values = [
      [1, { a: "b", c: [null, true, 1.5, 2n ** 40n] }, "x".repeat(200), "\u0100"],
      [undefined, -0, 2n ** 80n, "\ud800", new Date(5), /a/g, Object(1), Object("s"), Object(2n)],
      [shared, shared, new Map<unknown, unknown>([[shared, new Set([1])]])],
      [new Uint8Array(buffer), new DataView(buffer, 2, 3), new Float64Array(2), buffer],
      [new Uint8Array(growing, 2), growing],
      Object.assign([1, , 3], { name: "x" }),
      new AggregateError([new TypeError("a", { cause: shared })], "all"),
      [new Headers({ a: "b", "content-type": "c" }), new DOMException("a", "b"), new Blob(["abc"])],
      [new Response(null, { status: 204 }), new Request("http://a/", { headers: { a: "b" } })],
      [new Request("http://a/", { method: "POST", body: "x" }), new Response("x")],
      [() => 1, AbortSignal.abort("x"), new AbortController().signal],
      JSON.parse('{"__proto__":{"constructor":1},"then":2}') as unknown,
    ];
    return [
      ...values.map((value) => encodeV8(value, new Externals()).bytes),
      ...values.slice(0, 6).map(nodeWrites),
      nodeWrites(new RangeError("x", { cause: [1] })),
      bytesOf("ff0d410242040102030456420102490e240002"),
      bytesOf("ff1041017e0408414243445642010003240001"),
    ];
  };

  it("random bytes", () => {
    const head = fc.constantFrom<number[]>(
      [],
      [0xff, 15],
      [0xff, 16, 0x41, 3],
      [0xff, 13, 0x6f],
      [0xff, 15, 0x5c],
    );
    fc.assert(
      fc.property(head, fc.uint8Array({ maxLength: 200 }), (head, rest) => {
        attempt(new Uint8Array([...head, ...rest]), small);
      }),
      { seed: 3, numRuns: 20_000 },
    );
    unpolluted();
  });

  it("random tags in a row, so that more of them mean something", () => {
    const tags = Array.from("-_0TFIUNZS\"c^o{aA@$Dyxnzs R;:',B~Vr\\?bBwWmcs.", tag);
    const atom = fc.oneof(
      fc.constantFrom(...tags).map((byte) => [byte]),
      fc.nat(17).map((byte) => [byte]),
      fc.constantFrom("a", "__proto__", "length", "0", "message", "body", "headers").map(text),
      fc.constantFrom("GET", "http://a/", "x").map(raw),
    );
    let made = 0;
    fc.assert(
      fc.property(
        fc.integer({ min: 13, max: 16 }),
        fc.array(atom, { maxLength: 24 }),
        (version, atoms) => {
          if (attempt(Uint8Array.of(0xff, version, ...atoms.flat()), small) === "") made++;
        },
      ),
      { seed: 4, numRuns: 40_000 },
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
    for (const bytes of seeds()) {
      expect(attempt(bytes)).toBe("");
      for (let length = 0; length < bytes.length; length++)
        expect(attempt(bytes.subarray(0, length))).toBe("invalid-payload");
    }
  });
});
