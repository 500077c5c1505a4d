// Role: the reader and builder for structs of our own, and paths: versions of a schema, bad pointers, every kind of field.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Content } from "../../src/wire/content.js";
import { followPath } from "../../src/wire/path.js";
import { ContentBuilder, StructReader } from "../../src/wire/struct.js";
import { capability, errorOf, list, struct, toHex, words } from "./help.js";

type Word = readonly [number, number];
const content = (...w: readonly Word[]): Content => new Content(words(...w));
const root = (...w: readonly Word[]): StructReader => StructReader.of(content(...w));
const bad = (run: () => unknown): string => {
  const error = errorOf(run);
  expect(error.code).toBe("invalid-payload");
  return error.message;
};

describe("StructReader", () => {
  it("C-VAL-01: a bad pointer fails its own field, its siblings stay readable", () => {
    const r = root(
      struct(0, 1, 3),
      [42, 0],
      struct(50, 1, 0),
      list(1, 2, 3),
      list(9, 2, 3),
      [0x006968, 0],
    );
    expect(bad(() => r.struct(0))).toContain("leaves its segment");
    expect(r.u32(0)).toBe(42);
    expect(r.text(1)).toBe("hi");
    expect(bad(() => r.text(2))).toContain("leaves its segment");
    expect(bad(() => root(struct(3, 1, 0)))).toContain("leaves its segment");
  });

  it("C-VAL-09: no pointer is taken for one of another kind", () => {
    const r = root(struct(0, 0, 3), capability(1), struct(1, 1, 0), list(0, 5, 1), [7, 7]);
    expect(r.capability(0)).toBe(1);
    for (const run of [
      () => r.struct(0),
      () => r.text(0),
      () => r.data(0),
      () => r.list(0),
      () => r.text(1),
      () => r.data(1),
      () => r.list(1),
      () => r.capability(1),
      () => r.struct(2),
      () => r.capability(2),
    ])
      bad(run);
    bad(() => StructReader.of(content(capability(0))));
    bad(() => StructReader.of(content(list(-1, 0, 5))));
  });

  it("C-VAL-16: a text ends in NUL; others inside stay; invalid UTF-8 is replaced", () => {
    const text = (bytes: number[], count = bytes.length): string => {
      const padded = new Uint8Array(((bytes.length + 7) & -8) + 16);
      padded.set(words(struct(0, 0, 1), list(0, 2, count)));
      padded.set(bytes, 16);
      return StructReader.of(new Content(padded)).text(0);
    };
    expect(text([0x61, 0])).toBe("a");
    expect(text([0])).toBe("");
    expect(text([])).toBe("");
    expect(text([0x61, 0, 0x62, 0])).toBe("a\0b");
    expect(text([0xc3, 0x28, 0xff, 0])).toBe("\ufffd(\ufffd");
    expect(text([0xef, 0xbb, 0xbf, 0x61, 0])).toBe("\ufeffa");
    expect(text([...new TextEncoder().encode("täglich €"), 0])).toBe("täglich €");
    expect(bad(() => text([0x61, 0x62]))).toContain("final NUL");
    expect(root(struct(0, 0, 1), [0, 0]).text(0, "nothing")).toBe("nothing");
  });

  it("C-VAL-17: data is a list of bytes and nothing else", () => {
    for (const size of [0, 1, 3, 4, 5, 6])
      bad(() => root(struct(0, 0, 1), list(0, size, 1), [0, 0]).data(0));
    bad(() => root(struct(0, 0, 1), list(0, 7, 1), struct(1, 1, 0), [0, 0]).data(0));
    expect(root(struct(0, 0, 1), list(0, 2, 2), [0x4142, 0]).data(0)).toEqual(
      new Uint8Array([0x42, 0x41]),
    );
  });

  it("C-VAL-18: a primitive list reads as structs of one field; a bit list does not", () => {
    const numbers = (size: number, count: number): StructReader =>
      root(struct(0, 0, 1), list(0, size, count), [0x04030201, 0x08070605]);
    expect(numbers(2, 8).list(0).at(7).u8(0)).toBe(8);
    expect(numbers(3, 4).list(0).at(1).u16(0)).toBe(0x0403);
    expect(numbers(4, 2).list(0).at(1).u32(0)).toBe(0x08070605);
    expect(numbers(5, 1).list(0).at(0).u64(0)).toBe(0x0807060504030201n);
    // Fields that the one element cannot hold are their defaults, never its neighbour.
    expect(numbers(2, 8).list(0).at(0).u16(0)).toBe(0);
    expect(numbers(3, 4).list(0).at(0).u32(0, 9)).toBe(9);
    expect(numbers(2, 8).list(0).at(0).text(0)).toBe("");
    expect(numbers(0, 3).list(0).at(2).u8(0)).toBe(0);
    bad(() => numbers(1, 64).list(0));
    const pointers = root(struct(0, 0, 1), list(0, 6, 2), list(1, 2, 2), [0, 0], [0x61, 0]);
    expect(pointers.list(0).at(0).text(0)).toBe("a");
    expect(pointers.list(0).at(1).text(0)).toBe("");
    expect(pointers.list(0).at(0).u32(0)).toBe(0);
  });

  it("C-VAL-19: structs read as a list of their first field, unless they lack it", () => {
    const r = root(
      struct(0, 0, 1),
      list(0, 7, 4),
      struct(2, 1, 1),
      [5, 0],
      list(3, 2, 2),
      [6, 0],
      [0, 0],
      [0x61, 0],
    );
    expect(Array.from({ length: 2 }, (_, i) => r.list(0, 4).at(i).u32(0))).toEqual([5, 6]);
    bad(() => r.list(0).at(0).text(0));
    const texts = root(
      struct(0, 0, 1),
      list(0, 7, 2),
      struct(1, 1, 1),
      [5, 0],
      list(0, 2, 2),
      [0x61, 0],
    );
    expect(texts.list(0, 0, 1).at(0).text(0)).toBe("a");
    const data = root(struct(0, 0, 1), list(0, 7, 1), struct(1, 1, 0), [5, 0]);
    expect(bad(() => data.list(0, 0, 1))).toContain("lack the field");
    expect(data.list(0, 8).at(0).u32(0)).toBe(5);
    expect(bad(() => texts.list(0, 16))).toContain("lack the field");
  });

  it("C-VAL-20: what the struct is too short for reads as its default", () => {
    const r = root(struct(0, 1, 0), [-1, -1], [-1, -1]);
    expect([r.u8(8), r.u16(8, 7), r.u32(8), r.i32(8, -3), r.f64(8)]).toEqual([0, 7, 0, -3, 0]);
    expect([r.bool(64), r.bool(64, true), r.bool(63), r.bool(63, true)]).toEqual([
      false,
      true,
      true,
      false,
    ]);
    expect([r.u64(8), r.u64(8, 5n), r.i64(8, -5n), r.i64(0)]).toEqual([0n, 5n, -5n, -1n]);
    // A field that begins inside the section and ends beyond it.
    expect([r.u16(7), r.u32(6), r.u64(4)]).toEqual([0, 0, 0n]);
    expect([r.text(0), r.data(3).length, r.list(0).length, r.capability(0)]).toEqual([
      "",
      0,
      0,
      -1,
    ]);
    expect(r.struct(0).struct(5).u32(0)).toBe(0);
    expect(r.any(0)).toBe(Content.NULL);
    expect(StructReader.of(Content.NULL).u32(0, 3)).toBe(3);
    expect(StructReader.of(Content.EMPTY_STRUCT).text(0)).toBe("");
  });

  it("C-VAL-21: unknown enum values and union tags are given as they are", () => {
    expect(root(struct(0, 1, 0), [0xffff1234, 0]).u16(2)).toBe(0xffff);
  });

  it("C-VAL-11: a list of empty structs is only as long as the limit", () => {
    const r = root(struct(0, 0, 1), list(0, 7, 0), struct(2 ** 29 - 1, 0, 0));
    expect(bad(() => r.list(0))).toContain("over the limit");
  });

  it("C-VAL-29: 64-bit numbers are not rounded", () => {
    const r = root(struct(0, 1, 0), [-1, 0x7fffffff]);
    expect(r.u64(0)).toBe(0x7fffffffffffffffn);
    expect(r.i64(0)).toBe(0x7fffffffffffffffn);
  });

  it("refuses an element that is not there", () => {
    const r = root(struct(0, 0, 1), list(0, 2, 3), [0, 0]);
    for (const i of [-1, 3, Number.NaN])
      expect(errorOf(() => r.list(0).at(i)).code).toBe("invalid-argument");
  });
});

describe("ContentBuilder", () => {
  it("what is built reads back, whatever the order and the growth", () => {
    const builder = new ContentBuilder(8);
    fc.assert(
      fc.property(
        fc.string({ unit: "binary" }),
        fc.uint8Array({ maxLength: 300 }),
        fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
        fc.integer(),
        fc.double({ noNaN: true }),
        fc.array(fc.string({ unit: "grapheme" }), { maxLength: 5 }),
        fc.boolean(),
        (text, data, big, int, real, names, byReference) => {
          const w = builder.root(4, 6);
          w.u32(4, int, 99);
          w.u64(8, big, 7n);
          w.f64(16, real);
          w.bool(3, true, true);
          w.bool(4, true);
          w.u8(1, 200, 3);
          w.u16(2, 60000);
          if (byReference) w.dataByReference(1, data);
          else w.data(1, data);
          w.text(0, text);
          w.texts(2, names);
          const items = w.structs(3, names.length, 1, 1);
          items.forEach((item, i) => {
            item.u32(0, i);
            item.text(0, names[i]!);
          });
          const inner = w.struct(4, 0, 1);
          inner.capability(0, 4294967295);
          for (const built of [builder.finish(), builder.finish().own(), builder.finish().flat()]) {
            const r = StructReader.of(built);
            expect(r.i32(4, 99)).toBe(int);
            expect(r.i64(8, 7n)).toBe(big);
            expect(r.f64(16)).toBe(real);
            expect([r.bool(3, true), r.bool(4), r.bool(5)]).toEqual([true, true, false]);
            expect([r.u8(1, 3), r.u16(2)]).toEqual([200, 60000]);
            expect(r.text(0)).toBe(
              new TextDecoder("utf-8", { ignoreBOM: true }).decode(new TextEncoder().encode(text)),
            );
            expect(r.data(1)).toEqual(data);
            const list = r.list(2, 0, 1);
            expect(Array.from({ length: list.length }, (_, i) => list.at(i).text(0))).toEqual(
              names,
            );
            const structs = r.list(3);
            expect(structs.length).toBe(names.length);
            names.forEach((name, i) => {
              expect(structs.at(i).u32(0)).toBe(i);
              expect(structs.at(i).text(0)).toBe(name);
            });
            expect(r.struct(4).capability(0)).toBe(4294967295);
            expect(r.isNull(5)).toBe(true);
            expect(r.any(4).bytes.length).toBe(16);
          }
        },
      ),
      { seed: 3, numRuns: 200 },
    );
  });

  it("a tail reads as the data it is, and only as that", () => {
    const builder = new ContentBuilder();
    const w = builder.root(0, 2);
    const bytes = new Uint8Array([1, 2, 3]);
    w.dataByReference(0, bytes);
    expect(errorOf(() => w.dataByReference(1, bytes)).code).toBe("invalid-argument");
    const built = builder.finish();
    expect(built.borrowed).toBe(true);
    expect(built.byteLength).toBe(8 * 4);
    expect(StructReader.of(built).data(0).buffer).toBe(bytes.buffer);
    expect(toHex(StructReader.of(built).any(0).bytes)).toBe(
      toHex(words(list(0, 2, 3), [0x030201, 0])),
    );
    const kept = built.own();
    expect([kept.borrowed, kept.tail]).toEqual([false, null]);
    builder.root(0, 0);
    expect(toHex(builder.finish().bytes)).toBe("fcffffff00000000");
    expect(StructReader.of(kept).data(0)).toEqual(bytes);
    // A pointer past the tail's end is refused.
    const short = new Content(words(struct(0, 0, 1), list(0, 2, 9)), bytes);
    bad(() => StructReader.of(short).data(0));
    bad(() =>
      StructReader.of(new Content(words(struct(0, 0, 1), struct(0, 1, 0)), bytes)).struct(0),
    );
  });

  it("C-VAL-26: takes in a received value with its capabilities renumbered", () => {
    const received = content(struct(0, 0, 2), capability(3), struct(0, 1, 0), [8, 8]);
    const builder = new ContentBuilder();
    builder.root(1, 2).any(1, received, (index) => index * 2);
    const r = StructReader.of(builder.finish()).struct(1);
    expect([r.capability(0), r.struct(1).u32(0)]).toEqual([6, 8]);
    builder.root(0, 1).any(0, received, null);
    expect(StructReader.of(builder.finish()).struct(0).capability(0)).toBe(-1);
    for (const one of [Content.NULL, Content.EMPTY_STRUCT, content(capability(5))]) {
      builder.root(3, 1).any(0, one, (index) => index);
      expect(toHex(StructReader.of(builder.finish()).any(0).bytes)).toBe(toHex(one.bytes));
    }
    bad(() => builder.root(0, 1).any(0, content(struct(9, 1, 1)), null));
  });

  it("refuses fields that the struct does not have", () => {
    const w = new ContentBuilder().root(1, 1);
    for (const run of [
      () => w.u64(1, 0n),
      () => w.u32(-1, 0),
      () => w.bool(64, true),
      () => w.text(1, ""),
      () => w.capability(-1, 0),
    ])
      expect(run).toThrow(RangeError);
  });

  it("a content is a whole number of words, at least one", () => {
    for (const n of [0, 7, 12])
      expect(errorOf(() => new Content(new Uint8Array(n))).code).toBe("invalid-argument");
  });
});

describe("followPath", () => {
  const c = content(
    struct(0, 1, 3),
    [3, 3],
    capability(8),
    struct(1, 0, 2),
    list(2, 2, 1),
    // What follows the root's section is no pointer of the root.
    capability(9),
    [0, 0],
    [0, 0],
  );

  it("C-PIP-02: a path of pointer indexes leads to a capability", () => {
    expect(followPath(c, [0])).toBe(8);
    expect(followPath(c, [1, 0])).toBe(9);
    expect(followPath(content(capability(4294967295)), [])).toBe(4294967295);
  });

  it("C-PIP-03: a null on the way, or at the end, is the null capability", () => {
    expect(followPath(c, [1, 1])).toBe(-1);
    expect(followPath(c, [1, 1, 3, 4])).toBe(-1);
    expect(followPath(Content.NULL, [])).toBe(-1);
    expect(followPath(Content.NULL, [1, 2])).toBe(-1);
  });

  it("C-VAL-24: beyond the pointer section is null; through a non-struct there is no path", () => {
    expect(followPath(c, [3])).toBe(-1);
    expect(followPath(c, [65535, 0])).toBe(-1);
    expect(errorOf(() => followPath(c, [0, 0])).code).toBe("not-a-capability");
    expect(errorOf(() => followPath(c, [2, 0])).message).toContain("pointer 2 ");
  });

  it("C-VAL-25: lists, and an empty path on a struct, are no capability", () => {
    expect(errorOf(() => followPath(c, [])).code).toBe("not-a-capability");
    expect(errorOf(() => followPath(c, [2])).code).toBe("not-a-capability");
    expect(errorOf(() => followPath(c, [1])).code).toBe("not-a-capability");
    expect(errorOf(() => followPath(content(capability(0)), [0])).code).toBe("not-a-capability");
    expect(errorOf(() => followPath(content(struct(7, 0, 1)), [0])).code).toBe("invalid-payload");
    expect(errorOf(() => followPath(content(struct(-3, 0, 1)), [0])).code).toBe("invalid-payload");
  });
});
