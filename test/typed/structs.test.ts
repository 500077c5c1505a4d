// Structs of generated code: what is set is what is read, and what the capnp tool reads.

import { Message as CapnpMessage, getAnnotation, Struct as CapnpStruct } from "capnp-ts";
import { describe, expect, it } from "vitest";
import {
  AnyPointer,
  enumName,
  List,
  listOf,
  Message,
  RpcError,
  setTag,
  Text,
} from "../../src/typed.js";
import * as f from "./schemas/features.capnp.js";
import { Imported_Kind } from "./schemas/imported/other.capnp.js";

const scalars: f.Scalars.Init = {
  v: null,
  b: true,
  i8: -128,
  i16: -32768,
  i32: -2147483648,
  i64: -9223372036854775808n,
  u8: 255,
  u16: 65535,
  u32: 4294967295,
  u64: 18446744073709551615n,
  f32: 0.5,
  f64: -1.5e300,
  color: f.Color.blue,
};

describe("scalars", () => {
  it("read back as they were set", () => {
    const s = new Message().initRoot(f.Scalars);
    s.set(scalars);
    expect(s.toObject()).toEqual(scalars);
    expect(s.i32).toBe(-2147483648);
    expect(enumName(f.Color, s.color)).toBe("blue");
  });

  it("are zero when they were not set", () => {
    const s = new Message().initRoot(f.Scalars);
    expect(s.toObject()).toEqual({
      v: null,
      b: false,
      i8: 0,
      i16: 0,
      i32: 0,
      i64: 0n,
      u8: 0,
      u16: 0,
      u32: 0,
      u64: 0n,
      f32: 0,
      f64: 0,
      color: 0,
    });
  });

  it("refuse a value that the type cannot hold, naming it", () => {
    const s = new Message().initRoot(f.Scalars);
    const refused: [keyof f.Scalars.Init, unknown][] = [
      ["b", 1],
      ["i8", 128],
      ["i8", 1.5],
      ["i16", -32769],
      ["i32", 2147483648],
      ["i32", Number.NaN],
      ["i64", 9223372036854775808n],
      ["i64", 2 ** 53],
      ["u8", -1],
      ["u16", 65536],
      ["u32", 4294967296],
      ["u32", "1"],
      ["u64", -1n],
      ["u64", -1],
      ["f32", "1"],
      ["f64", 1n],
      ["color", 70000],
    ];
    for (const [name, value] of refused)
      expect(() => s.set({ [name]: value }), `${name} = ${String(value)}`).toThrow(
        expect.objectContaining({ code: "invalid-argument" }),
      );
    expect(s.toObject()).toEqual(new Message().initRoot(f.Scalars).toObject());
  });

  it("take a safe integer for a 64-bit value", () => {
    const s = new Message().initRoot(f.Scalars);
    s.set({ i64: -5, u64: 7 });
    expect([s.i64, s.u64]).toEqual([-5n, 7n]);
  });

  it("C-VAL-21: an enum value that the schema does not know stays a number", () => {
    const s = new Message().initRoot(f.Scalars);
    s.color = 999;
    expect(s.color).toBe(999);
    expect(enumName(f.Color, s.color)).toBeUndefined();
  });
});

const defaults = {
  b: true,
  i8: -8,
  i16: -16,
  i32: -32,
  i64: -64n,
  u8: 200,
  u16: 60000,
  u32: 4000000000,
  u64: 18000000000000000000n,
  f32: 1.25,
  f64: -2.5,
  color: f.Color.blue,
};

describe("defaults", () => {
  it("are read where nothing was set, and set values are XORed with them", () => {
    const s = new Message().initRoot(f.Defaults);
    expect(s.toObject()).toEqual({ ...defaults, never: Number.NaN });
    expect(s.text).toBe("default");
    expect([...s.data]).toEqual([1, 2]);
    expect(s.point.toObject()).toEqual({ x: 10, y: 0, label: "there" });
    expect(s.numbers.toArray()).toEqual([1, 2, 3]);
    expect(s.points.map((p) => [p.x, p.y])).toEqual([
      [1, 0],
      [0, 2],
    ]);
    expect(s.flags.toArray()).toEqual([true, false, true]);
    expect(s.hasText() || s.hasPoint() || s.hasNumbers()).toBe(false);
    s.set({
      b: false,
      i8: 0,
      i16: 0,
      i32: 0,
      i64: 0,
      u8: 0,
      u16: 0,
      u32: 0,
      u64: 0,
      f32: 0,
      f64: 0,
    });
    expect([s.b, s.i8, s.i16, s.i32, s.i64, s.u8, s.u16, s.u32, s.u64, s.f32, s.f64]).toEqual([
      false,
      0,
      0,
      0,
      0n,
      0,
      0,
      0,
      0n,
      0,
      0,
    ]);
    const { v: _, ...extremes } = scalars;
    s.set(extremes);
    expect(s.toObject()).toMatchObject(extremes);
  });

  it("cannot be changed through a reader of them", () => {
    const s = new Message().initRoot(f.Defaults);
    expect(() => (s.point.x = 5)).toThrow(expect.objectContaining({ code: "invalid-state" }));
    expect(() => s.points.get(0).set({ x: 9 })).toThrow(RpcError);
    expect(new Message().initRoot(f.Defaults).point.x).toBe(10);
  });
});

const lists: f.Lists.Init = {
  voids: [null, null],
  bools: [true, false, true, true, false, false, false, true, true],
  i8s: [-1, 127],
  i16s: [-1, 300],
  i32s: [-1, 70000],
  i64s: [-1n, 1n << 40n],
  u8s: [1, 255],
  u16s: [1, 65535],
  u32s: [1, 4294967295],
  u64s: [1n, 18446744073709551615n],
  f32s: [0.5, -0.25],
  f64s: [0.1, -1e100],
  texts: ["", "ä", "three"],
  datas: [new Uint8Array(0), new Uint8Array([1, 2, 3])],
  colors: [f.Color.green, 77],
  points: [{ x: 1 }, { y: 2, label: "b" }],
  nested: [[["a"], []], [], [["b", "c"]]],
  boxes: [{ value: "boxed", none: null }],
  imported: [{ point: { x: 3 }, kind: Imported_Kind.second }],
};

describe("lists", () => {
  it("of every element type read back as they were set", () => {
    const s = new Message().initRoot(f.Lists);
    s.set(lists);
    expect(s.toObject()).toMatchObject({
      ...lists,
      points: [
        { x: 1, y: 0 },
        { x: 0, y: 2, label: "b" },
      ],
    });
    expect(s.boxes.get(0).value).toBe("boxed");
    expect([...s.texts]).toEqual(["", "ä", "three"]);
    expect(s.voids.length).toBe(2);
  });

  it("are empty, not null, when they were not set", () => {
    const s = new Message().initRoot(f.Lists);
    expect(s.points.length).toBe(0);
    expect([...s.nested]).toEqual([]);
    expect(() => s.points.get(0)).toThrow(expect.objectContaining({ code: "invalid-argument" }));
    expect(() => s.points.get(-1)).toThrow(RpcError);
    expect(() => s.points.get(0.5)).toThrow(RpcError);
  });

  it("are filled element by element", () => {
    const s = new Message().initRoot(f.Lists);
    const points = s.initPoints(3);
    points.get(1).label = "middle";
    points.set(2, { x: 8 });
    const texts = s.initTexts(2);
    texts.set(1, "second");
    expect(points.map((p) => p.label)).toEqual(["", "middle", ""]);
    expect(s.points.get(2).x).toBe(8);
    expect(s.texts.toArray()).toEqual(["", "second"]);
    expect(() => s.initI8s(1).set(0, 200)).toThrow(RpcError);
    expect(() => s.initPoints(-1)).toThrow(RpcError);
  });

  it("are copied from a list of another message", () => {
    const from = new Message().initRoot(f.Lists);
    from.set(lists);
    const to = new Message().initRoot(f.Lists);
    to.set({ points: from.points, nested: from.nested, boxes: from.boxes });
    from.points.get(0).x = 99;
    expect(to.points.map((p) => p.x)).toEqual([1, 0]);
    expect(to.nested.get(2).get(0).toArray()).toEqual(["b", "c"]);
    expect(to.boxes.get(0).value).toBe("boxed");
  });
});

describe("text and data", () => {
  it("C-VAL-16: keep every string, NUL inside and unpaired surrogates as U+FFFD", () => {
    const s = new Message().initRoot(f.Point);
    const strings = [
      "",
      "a",
      "a\0b",
      "é",
      "日本語",
      "🙂 smile",
      "x".repeat(47),
      "x".repeat(48),
      "ü".repeat(500),
    ];
    for (const text of strings) {
      s.label = text;
      expect(s.label).toBe(text);
    }
    s.label = "\ud800x";
    expect(s.label).toBe("\ufffdx");
    s.label = "\ufeffbom";
    expect(s.label).toBe("\ufeffbom");
  });

  it("init data in place", () => {
    const s = new Message().initRoot(f.Shape);
    s.initBytes(4).set([9, 8, 7, 6]);
    expect(s.which).toBe("bytes");
    expect([...s.bytes]).toEqual([9, 8, 7, 6]);
  });
});

describe("unions and groups", () => {
  it("have one active member, and refuse to read another", () => {
    const s = new Message().initRoot(f.Shape);
    expect(s.which).toBe("nothing");
    s.circle = 2.5;
    expect(s.which).toBe("circle");
    expect(s.circle).toBe(2.5);
    expect(() => s.polygon).toThrow(expect.objectContaining({ code: "invalid-state" }));
    s.polygon = [{ x: 1 }];
    expect(s.which).toBe("polygon");
    expect(s.polygon.length).toBe(1);
  });

  it("a group that becomes active starts clean", () => {
    const s = new Message().initRoot(f.Shape);
    s.circle = -1;
    const square = s.initSquare();
    expect([square.side, square.filled, square.inner.which]).toEqual([0, false, "dot"]);
    square.set({ side: 2, filled: true, inner: { text: "t" } });
    s.style.width = 7;
    expect(s.square.inner.text).toBe("t");
    s.flag = true;
    const again = s.initSquare();
    expect(again.inner.which).toBe("dot");
    setTag(again._capnp, 4, 1); // to the text, which was set before
    expect(again.inner.which).toBe("text");
    expect(again.inner.text).toBe("");
    expect(s.style.width).toBe(7);
  });

  it("the default of a field in a group holds", () => {
    expect(new Message().initRoot(f.Shape).style.width).toBe(1);
  });

  it("are set by a plain object with one member, not two", () => {
    const s = new Message().initRoot(f.Shape);
    s.set({ name: "n", square: { side: 3, inner: { dot: null } }, state: { closed: 5 } });
    expect(s.toObject()).toEqual({
      name: "n",
      square: { side: 3, filled: false, inner: { dot: null } },
      style: { color: 0, width: 1 },
      state: { closed: 5 },
    });
    expect(() => s.set({ circle: 1, flag: true })).toThrow(/circle and flag/);
  });

  it("C-VAL-21: a tag that the schema does not know is _unknown", () => {
    const s = new Message().initRoot(f.Shape);
    s.flag = true;
    setTag(s._capnp, 0, 40);
    expect(s.which).toBe("_unknown");
    expect(() => s.circle).toThrow(RpcError);
  });
});

describe("generic structs", () => {
  it("read and set their parameters by the types they are bound to", () => {
    const s = new Message().initRoot(f.Bindings);
    s.set({
      text: { value: "t", next: { value: "u" }, group: { again: "v", count: 2 }, some: "w" },
      point: { value: { x: 1 }, other: { value: { y: 2 } } },
      numbers: { first: [1, 2, 3], second: new Uint8Array([7]) },
      nested: { first: { value: "deep" }, second: { value: { value: { label: "deeper" } } } },
      lid: { under: "lid", box: { value: "x" } },
      half: { first: "h", second: "any text" },
    });
    expect(s.text.value).toBe("t");
    expect(s.text.next.value).toBe("u");
    expect(s.text.group.again).toBe("v");
    expect(s.text.some).toBe("w");
    expect(s.point.value.x).toBe(1);
    expect(s.point.other.value.y).toBe(2);
    expect(s.numbers.first.toArray()).toEqual([1, 2, 3]);
    expect([...s.numbers.second]).toEqual([7]);
    expect(s.nested.second.value.value.label).toBe("deeper");
    expect(s.lid.box.value).toBe("x");
    expect(s.half.second.text).toBe("any text");
    expect(s.text.which).toBe("some");
  });

  it("give AnyPointer where nothing is bound", () => {
    const s = new Message().initRoot(f.Box.of(AnyPointer));
    s.value.set("text");
    expect(s.value.kind).toBe("list");
    expect(s.value.as(Text)).toBe("text");
    const point = new Message().initRoot(f.Point);
    point.set({ x: 4 });
    s.value = point;
    expect(s.value.as(f.Point).x).toBe(4);
    expect(() => s.value.as(Text)).toThrow(expect.objectContaining({ code: "invalid-payload" }));
  });

  it("the same types give the same class", () => {
    expect(f.Box.of(Text)).toBe(f.Box.of(Text));
    expect(f.Box.of(Text)).not.toBe(f.Box.of(f.Point));
    expect(f.Map.of(Text, f.Point)).toBe(f.Map.of(Text, f.Point));
    expect(f.Map.of(Text, f.Point)).not.toBe(f.Map.of(Text, Text));
    expect(f.Pair.of(Text, f.Point)).not.toBe(f.Pair.of(Text, Text));
    expect(listOf(f.Point)).toBe(listOf(f.Point));
  });
});

describe("names", () => {
  it("that mean something to JavaScript get an underscore behind", () => {
    const s = new Message().initRoot(f.Awkward);
    const values: f.Awkward.Init = {
      constructor_: 1,
      toString_: "two",
      segment_: 3,
      byteOffset_: 4,
      then_: "five",
      set_: true,
      toObject_: true,
      which_: true,
      hasText: true,
      text: "t",
      initItems: true,
      items: ["i"],
      class: 6,
      function: 7,
      catch_: 8,
      prototype: 9,
      hasOwnProperty_: true,
    };
    s.set(values);
    expect(s.toObject()).toEqual(values);
    expect(s.hasText_()).toBe(true);
    expect(s.initItems_(1).length).toBe(1);
    expect(String(s)).toContain("Awkward");
  });

  it("of globals and of the runtime do not clash", () => {
    const s = new Message().initRoot(f.List2);
    s.set({ array: { n: 1 }, promise: { n: 2 } });
    expect([s.array.n, s.promise.n]).toEqual([1, 2]);
    expect(new Message().initRoot(f.Struct)).toBeInstanceOf(CapnpStruct);
  });
});

describe("constants and annotations", () => {
  it("are there with their values", () => {
    expect([f.answer, f.negative, f.big, f.small]).toEqual([
      42,
      -7,
      0xfedcba9876543210n,
      -0x7fffffffffffffffn,
    ]);
    expect([f.half, f.tiny, f.infinite, f.nothing]).toEqual([0.5, 1.5e-300, Infinity, Number.NaN]);
    expect(f.greeting).toBe('héllo "wörld"\n');
    expect([...f.blob]).toEqual([0, 255, 16, 128]);
    expect([f.yes, f.void_, f.favourite, f.default_]).toEqual([
      true,
      null,
      f.Color.green,
      "a reserved word",
    ]);
    expect(f.primes.toArray()).toEqual([2, 3, 5, 7, 11]);
    expect(f.matrix.map((row) => row.toArray())).toEqual([[1, 2], [3], []]);
    expect(f.origin.toObject()).toEqual({ x: 1, y: -1, label: "origin" });
    expect(f.path.get(1).label).toBe("two");
    expect(f.boxed.value).toBe("in a box");
    expect(f.Outer_Inner_limit).toBe(12);
    expect(new Message().initRoot(f.Outer).depth).toBe(12);
    expect(() => (f.origin.x = 2)).toThrow(RpcError);
  });

  it("annotations are found by their declaration, and by capnp-ts", () => {
    expect(f.label.of(f.Point)).toBe("a point");
    expect(f.label.of(f.file$annotations)).toBe("the file");
    expect(f.label.of(f.Color$info)).toBe("colours");
    expect(f.place.of(f.Point)?.toObject()).toEqual({ x: 3, y: 4 });
    expect(f.weight.ofField(f.Point, "x")).toBe(0.25);
    expect(f.label.ofField(f.Point, "x")).toBe("across");
    expect(f.weight.ofField(f.Point, "y")).toBeUndefined();
    expect(f.place.of(f.Color$info.enumerants["green"]!)?.x).toBe(5);
    expect(f.label.of(f.NamedCounter)).toBe("both");
    expect(f.marker.of(f.NamedCounter._capnp.methods[0]!.annotations)).toBeNull();
    expect(f.label.of(f.Scalars)).toBeUndefined();
    expect(getAnnotation(f.Point, f.label.id)).toBe("a point");
  });
});

describe("capnp-ts", () => {
  it("its messages carry our structs there and back", () => {
    const message = new CapnpMessage();
    const s = message.initRoot(f.Lists);
    s.set(lists);
    const back = new CapnpMessage(message.toArrayBuffer(), false).getRoot(f.Lists);
    expect(back).toBeInstanceOf(CapnpStruct);
    expect(back.toObject()).toEqual(s.toObject());
    expect(f.Lists._capnp.size.pointerLength).toBe(20);
    const packed = new CapnpMessage(message.toPackedArrayBuffer()).getRoot(f.Lists);
    expect(packed.toObject()).toEqual(s.toObject());
  });

  it("its own copy understands ours: a List is a Pointer to it", () => {
    const from = new Message().initRoot(f.Lists);
    from.set({ points: [{ x: 5 }] });
    const to = new Message().initRoot(f.Lists);
    CapnpStruct.copyFrom(from.points, CapnpStruct.getPointer(15, to));
    expect(to.points.get(0).x).toBe(5);
    expect(from.points).toBeInstanceOf(List);
  });

  it("a message grows by doubling and keeps what it holds", () => {
    const s = new Message().initRoot(f.Lists);
    const texts = Array.from({ length: 3000 }, (_, i) => `text number ${i}`);
    let grown = 0;
    const { segment } = s;
    const replace = segment.replaceBuffer.bind(segment);
    segment.replaceBuffer = (buffer) => {
      grown++;
      replace(buffer);
    };
    s.texts = texts;
    s.u64s = [1n, 2n];
    expect(s.texts.toArray()).toEqual(texts);
    expect(grown).toBeLessThan(8);
  });
});
