// Every type of values by name: the bytes that V8 15 writes for it, read and written; and what versions 13 to 16 differ in.

/* oxlint-disable no-sparse-arrays -- holes are values too */

import { describe, expect, it } from "vitest";
import {
  bytesOf,
  decode,
  difference,
  encode,
  failure,
  hexOf,
  nodeReads,
  nodeWrites,
  roundTrip,
} from "./help.js";

type ResizableBuffer = ArrayBuffer & { resize(length: number): void };
const resizable = (length: number, maxByteLength: number): ResizableBuffer =>
  new (ArrayBuffer as unknown as new (n: number, o: object) => ResizableBuffer)(length, {
    maxByteLength,
  });

const shared = { a: 1 };
const loop: Record<string, unknown> = {};
loop["self"] = loop;
const map = new Map<unknown, unknown>([["k", [1]]]);
map.set(map, map);
const memory = new Uint8Array([1, 2, 3, 4, 5, 6, 7, 8]).buffer;

/** Values whose bytes are those of V8, to the last one. */
const SAME: [string, unknown][] = [
  ["undefined", undefined],
  ["null", null],
  ["true", true],
  ["false", false],
  ["0", 0],
  ["63", 63],
  ["64", 64],
  ["-1", -1],
  ["the highest integer of 32 bits", 2147483647],
  ["the lowest integer of 32 bits", -2147483648],
  ["one more", 2147483648],
  ["one less", -2147483649],
  ["-0", -0],
  ["1.5", 1.5],
  ["NaN", Number.NaN],
  ["Infinity", Infinity],
  ["-Infinity", -Infinity],
  ["the greatest number", Number.MAX_VALUE],
  ["the least number", 5e-324],
  ["0n", 0n],
  ["-1n", -1n],
  ["64 bits", 2n ** 64n - 1n],
  ["65 bits", -(2n ** 64n)],
  ["a long bigint", 3n ** 999n],
  ["an empty string", ""],
  ["ASCII", "abc"],
  ["128 characters", "x".repeat(128)],
  ["Latin", "\u00e9\u00ff\u0080"],
  ["two bytes", "\u0100"],
  ["two bytes, padded", ["\u0100", "ab\u0100", "\u0100"]],
  ["64 characters of two bytes", "\u0100".repeat(64)],
  ["emoji", "\u{1f600}"],
  ["a lone surrogate", "\ud800x"],
  ["an object", { a: 1, b: "x", c: null }],
  ["an empty object", {}],
  ["an object with indexes", { 1: 2, 0: 1, 4294967294: 3, 4294967295: 4, "-1": 5, "01": 6 }],
  ["an array", [1, "x", [2]]],
  ["an empty array", []],
  ["holes", [, 1, , 2, ,]],
  ["an array of holes", new Array(5)],
  ["a hole and a name", Object.assign([1, , 3], { name: "x" })],
  ["a Date", new Date(1e12 + 0.5)],
  ["a Date that is none", new Date(Number.NaN)],
  ["true in an object", Object(true)],
  ["false in an object", Object(false)],
  ["a number in an object", Object(1.5)],
  ["-0 in an object", Object(-0)],
  ["a bigint in an object", Object(2n ** 70n)],
  ["a string in an object", Object("s")],
  ["two bytes in an object", Object("\u0100")],
  ["a RegExp", /a\/b/],
  ["all flags", /x/dgimsuy],
  ["other flags", new RegExp("x", "dgv")],
  [
    "a Map",
    new Map<unknown, unknown>([
      ["k", 1],
      [{}, new Map()],
    ]),
  ],
  ["a Set", new Set([1, "x", new Set()])],
  ["an ArrayBuffer", memory],
  ["an empty ArrayBuffer", new ArrayBuffer(0)],
  ["a resizable ArrayBuffer", resizable(2, 5)],
  ["the same object", [shared, shared, { shared }]],
  ["a loop", loop],
  ["a Map of itself", map],
  [
    "a Set of itself",
    (() => {
      const set = new Set<unknown>();
      return set.add([set]);
    })(),
  ],
  [
    "an array of itself",
    (() => {
      const list: unknown[] = [];
      list.push(list, 1);
      return list;
    })(),
  ],
];

for (const View of [
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
  DataView,
] as (new (buffer: ArrayBuffer) => ArrayBufferView)[])
  SAME.push([View.name, new View(memory)], [`${View.name} of none`, new View(new ArrayBuffer(0))]);
SAME.push(
  ["objects after a view of its own", [new Uint8Array([1]), shared, shared]],
  ["two views of a buffer", [new Uint8Array(memory, 1, 2), new DataView(memory, 4), memory]],
  ["views of a resizable buffer", resizableViews()],
  ["a view alone of a resizable buffer", new Uint8Array(resizable(4, 8), 1)],
);

function resizableViews(): unknown {
  const buffer = resizable(16, 32);
  return [
    new Uint8Array(buffer),
    new Uint8Array(buffer, 3),
    new Uint8Array(buffer, 3, 13),
    new Float64Array(buffer, 8),
    new Float64Array(buffer, 8, 1),
    new DataView(buffer, 4),
    new DataView(buffer, 4, 12),
    new Uint8Array(buffer, 3, 2),
  ];
}

describe("as V8 writes it", () => {
  it.each(SAME)("%s", (_, value) => {
    expect(hexOf(encode(value))).toBe(hexOf(nodeWrites(value)));
    expect(difference(decode(nodeWrites(value)), structuredClone(value))).toBeNull();
    expect(difference(nodeReads(encode(value)), structuredClone(value))).toBeNull();
  });
});

describe("otherwise than V8 writes it", () => {
  it("names of a full array, which V8 writes behind its elements", () => {
    const value = Object.assign([1, 2], { name: "x", 4294967295: 1 });
    expect(difference(decode(nodeWrites(value)), value)).toBeNull();
    expect(difference(roundTrip(value), value)).toBeNull();
    expect(difference(nodeReads(encode(value)), value)).toBeNull();
  });

  it("a view that is alone on its buffer takes nothing else along", () => {
    const secret = new Uint8Array(1000).fill(0x73);
    for (const view of [
      secret.subarray(10, 12),
      Buffer.from("hi"),
      new DataView(secret.buffer, 7, 2),
    ]) {
      const bytes = encode(view);
      expect(bytes.length).toBeLessThan(20);
      const arrived = decode(bytes) as Uint8Array;
      expect([arrived.byteOffset, arrived.byteLength, arrived.buffer.byteLength]).toEqual([
        0, 2, 2,
      ]);
      expect(difference(nodeReads(bytes), arrived)).toBeNull();
    }
  });

  it("Buffers never share their memory, not even with one another", () => {
    const pool = Buffer.allocUnsafe(64).fill(1);
    const [a, b] = roundTrip([pool.subarray(0, 3), pool.subarray(2, 5)]) as [
      Uint8Array,
      Uint8Array,
    ];
    expect([a.buffer === b.buffer, a.constructor, [...a]]).toEqual([false, Uint8Array, [1, 1, 1]]);
  });

  it("whether a view follows its buffer's length is kept", () => {
    const views = roundTrip(resizableViews()) as Uint8Array[];
    (views[0]!.buffer as unknown as ResizableBuffer).resize(32);
    const lengths = views.map((view) => view.byteLength);
    expect(lengths).toEqual([32, 29, 13, 24, 8, 28, 12, 2]);
  });

  it("a view follows a buffer, though a rest of it is too small for an element", () => {
    const buffer = resizable(16, 32);
    const view = new Float64Array(buffer);
    buffer.resize(20);
    expect(hexOf(encode(view))).toBe(hexOf(nodeWrites(view)));
  });

  it("values of any length, as the buffer grows", () => {
    for (let length = 900; length < 1100; length++) {
      const list = Array.from({ length }, (_, i) => i % 60);
      list[length - 1] = 2n as never;
      const values = [
        list,
        "x".repeat(length),
        ["\u0100".repeat(length / 2), "y"],
        new Uint8Array(length),
      ];
      for (const value of values) expect(hexOf(encode(value))).toBe(hexOf(nodeWrites(value)));
    }
    for (let power = 10; power < 20; power++) {
      const value = ["x".repeat(2 ** power - 9), 1, 2, 3, true];
      expect(difference(nodeReads(encode(value)), value)).toBeNull();
    }
  });

  it("objects without a prototype get one", () => {
    const value = Object.assign(Object.create(null), { a: 1 }) as object;
    expect(difference(roundTrip(value), { a: 1 })).toBeNull();
  });
});

describe("other forms that are read", () => {
  const READ: [string, string, unknown][] = [
    ["UTF-8", "ff0f530363c3a9", "c\u00e9"],
    ["bytes that are no UTF-8", "ff0f530263ff", "c\ufffd"],
    ["an integer without a sign", "ff0f55ffffffff0f", 4294967295],
    [
      "a number that is a name",
      "ff0f6f4e000000000000f83f49024e00000000000000804904550549067b03",
      { 1.5: 1, 0: 2, 5: 3 },
    ],
    ["a dense array with a hole", "ff0f41032d49025f240003", [, 1, undefined]],
    ["a hole that is filled behind", "ff0f41022d4902490049042401" + "02", [2, 1]],
    ["counts of objects", "ff0f3f053f004902", 1],
    ["padding", "ff0f000000490a", 5],
    ["padding in an object", "ff0f6f002201610049020000" + "7b01", { a: 1 }],
    ["a short bigint", "ff0f5a03ff", -255n],
    ["a bigint with zeros above", "ff0f5a200100000000000000" + "0000000000000000", 1n],
    [
      "an error with its parts in V8's newer order",
      "ff0f72546d2201787322017363490" + "22e",
      Object.assign(new TypeError("x"), { stack: "s" }),
    ],
  ];
  it.each(READ)("%s", (_, hex, expected) => {
    const value = decode(bytesOf(hex));
    if (expected instanceof Error)
      expect(value).toMatchObject({ stack: "s", cause: 1, message: "x" });
    else expect(difference(value, expected)).toBeNull();
    if (!(expected instanceof Error))
      expect(difference(nodeReads(bytesOf(hex)), expected)).toBeNull();
  });
});

describe("versions", () => {
  it("13 has no flags of views; 14, 15 and 16 have", () => {
    const expected = [new Uint8Array([1, 2, 3, 4]).subarray(1, 3), 7];
    // Some of V8's versions wrote flags in 13 too: 0 there is padding.
    for (const [version, flags] of [
      ["0d", ""],
      ["0d", "00"],
      ["0e", "00"],
      ["0f", "00"],
      ["10", "00"],
    ]) {
      const bytes = bytesOf(`ff${version}410242040102030456420102${flags}490e240002`);
      expect(difference(decode(bytes), expected)).toBeNull();
      // Node 20 has no version 16.
      if (version !== "10") expect(difference(nodeReads(bytes), expected)).toBeNull();
    }
  });

  it("16 has sizes past 32 bits, which are past any budget", () => {
    const huge = "ffffffffff03";
    expect(failure(() => decode(bytesOf(`ff1042${huge}`))).message).toContain("ends too early");
    expect(failure(() => decode(bytesOf(`ff0f42${huge}`))).message).toContain("over 32 bits");
    expect(failure(() => decode(bytesOf(`ff107e00${huge}`))).code).toBe("limit-exceeded");
  });

  it.each([0, 9, 12, 17, 255, 4294967295])("version %i is refused by its number", (version) => {
    const varint: number[] = [];
    for (let rest = version; ; rest = Math.floor(rest / 128)) {
      varint.push((rest % 128) + (rest > 127 ? 128 : 0));
      if (rest <= 127) break;
    }
    const { code, message } = failure(() => decode(Uint8Array.of(0xff, ...varint, 0x5f)));
    expect([code, message]).toEqual([
      "invalid-payload",
      expect.stringContaining(`version ${version} of V8's format is not one of 13 to 16`),
    ]);
  });

  it("15 is written", () => {
    expect(hexOf(encode(1))).toBe("ff0f4902");
  });
});

it("the bytes of another view are read where they are, and nothing of them is kept", () => {
  const around = new Uint8Array(64).fill(0xee);
  around.set(encode([new Uint8Array([1, 2])]), 9);
  const window = around.subarray(9, 9 + encode([new Uint8Array([1, 2])]).length);
  const [bytes] = decode(window) as [Uint8Array];
  around.fill(0);
  expect([[...bytes], bytes.buffer.byteLength]).toEqual([[1, 2], 2]);
  const [buffered] = decode(Buffer.from(encode([new Uint8Array([3])]))) as [Uint8Array];
  expect([[...buffered], buffered.buffer.byteLength]).toEqual([[3], 1]);
});
