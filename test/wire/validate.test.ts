// Role: received contents: what is refused, what is charged, and that the copy says the same as the original.

import { describe, expect, it } from "vitest";
import { DEFAULT_LIMITS, type Limits, limitsWith } from "../../src/base/limits.js";
import type { Content } from "../../src/wire/content.js";
import { PayloadCopier } from "../../src/wire/validate.js";
import { StructReader } from "../../src/wire/struct.js";
import { capability, errorOf, far, frameOf, framed, list, struct, toHex, words } from "./help.js";

type Word = readonly [number, number];

/** The content that word 0 of segment 0 points to. */
function copy(segments: readonly (readonly Word[])[], limits: Limits = DEFAULT_LIMITS): Content {
  const frame = frameOf(framed(...segments.map((segment) => words(...segment))));
  return new PayloadCopier(limits).copy(frame, 0, frame.segStart[0]!);
}

function refused(segments: readonly (readonly Word[])[], limits?: Limits): string {
  const error = errorOf(() => copy(segments, limits));
  expect(error.code).toBe("invalid-payload");
  expect(error.type).toBe("failed");
  return error.message;
}

const LEAVES = "a pointer leaves its segment";
const hex = (content: Content): string => toHex(content.bytes);
const hexOf = (...w: readonly Word[]): string => toHex(words(...w));

describe("PayloadCopier, one segment", () => {
  it("copies exactly what is reached, to a buffer of its own", () => {
    const content = copy([[struct(2, 1, 1), [9, 9], [9, 9], [5, 6], list(0, 2, 3), [0x636261, 0]]]);
    expect(hex(content)).toBe(hexOf(struct(0, 1, 1), [5, 6], list(0, 2, 3), [0x636261, 0]));
    expect(content.bytes.byteOffset).toBe(0);
    expect(content.bytes.buffer.byteLength).toBe(32);
    expect(content.borrowed).toBe(false);
    expect(content.tail).toBeNull();
  });

  it("keeps null, capabilities and objects in any order", () => {
    expect(hex(copy([[[0, 0]]]))).toBe(hexOf([0, 0]));
    expect(hex(copy([[capability(7)]]))).toBe(hexOf(capability(7)));
    // The second object lies in front of the first.
    const content = copy([[struct(1, 0, 2), [7, 7], struct(-2, 1, 0), capability(3)]]);
    expect(hex(content)).toBe(hexOf(struct(1, 0, 2), [7, 7], struct(-2, 1, 0), capability(3)));
  });

  it("C-VAL-01: a struct that begins or ends outside its segment is refused", () => {
    expect(refused([[struct(1, 1, 0), [0, 0]]])).toBe(LEAVES);
    expect(refused([[struct(0, 2, 0), [0, 0]]])).toBe(LEAVES);
    expect(refused([[struct(0, 0, 1), struct(5, 1, 0)]])).toBe(LEAVES);
    expect(refused([[struct(0, 65535, 65535), [0, 0]]])).toBe(LEAVES);
    // Also when the bytes behind the segment are there, as another segment of the same frame.
    expect(refused([[struct(0, 2, 0), [0, 0]], [[0, 0]]])).toBe(LEAVES);
  });

  it("C-VAL-02: lists of every element size are bounded without wrapping", () => {
    for (let size = 1; size <= 6; size++) {
      const perWord = [0, 64, 8, 4, 2, 1, 1][size]!;
      expect(copy([[list(0, size, perWord), [0, 0]]]).bytes.length).toBe(16);
      expect(refused([[list(0, size, perWord + 1), [0, 0]]])).toBe(LEAVES);
      expect(refused([[list(0, size, 2 ** 29 - 1), [0, 0]]])).toBe(LEAVES);
    }
    expect(refused([[list(0, 7, 2 ** 29 - 1), struct(0, 1, 0), [0, 0]]])).toBe(LEAVES);
    expect(refused([[list(0, 7, 1), struct(1, 1, 0)]])).toBe(LEAVES);
    expect(refused([[list(0, 7, 0)]])).toBe(LEAVES);
  });

  it("C-VAL-03: offsets are signed; -1 with size zero is the empty struct", () => {
    expect(refused([[struct(-2, 1, 0), [0, 0]]])).toBe(LEAVES);
    expect(refused([[struct(-(2 ** 29), 1, 0), [0, 0]]])).toBe(LEAVES);
    expect(refused([[struct(2 ** 29 - 1, 0, 0)]])).toBe(LEAVES);
    expect(hex(copy([[struct(-1, 0, 0)]]))).toBe("fcffffff00000000");
    // One that lies elsewhere is as good, in a field too.
    expect(hex(copy([[struct(1, 0, 0), [7, 7]]]))).toBe("fcffffff00000000");
    const content = copy([[struct(0, 0, 2), struct(-1, 0, 0), struct(-2, 0, 0)]]);
    expect(StructReader.of(content).isNull(0)).toBe(false);
    expect(StructReader.of(content).isNull(1)).toBe(false);
    expect(StructReader.of(content).struct(1).u32(0)).toBe(0);
  });

  it("C-VAL-08: pointers of unknown kinds are refused", () => {
    for (const lo of [7, 0x13, 0x80000003 | 0, -1])
      expect(refused([[struct(0, 0, 1), [lo, 0]]])).toContain("no known kind");
    expect(refused([[[7, 0]]])).toContain("no known kind");
  });

  it("C-VAL-10: a list of structs must have a struct for its tag, and fit its word count", () => {
    expect(copy([[list(0, 7, 4), struct(2, 1, 1), [1, 0], [0, 0], [2, 0], [0, 0]]])).toBeDefined();
    expect(refused([[list(0, 7, 1), list(1, 1, 0), [0, 0]]])).toContain("no struct");
    expect(refused([[list(0, 7, 3), struct(2, 1, 1), [0, 0], [0, 0], [0, 0]]])).toContain("longer");
    // 2^30 - 1 elements of 131070 words are more than any number of 32 bits, or of 53 if badly ordered.
    expect(refused([[list(0, 7, 1), struct(-1, 65535, 65535), [0, 0]]])).toContain("longer");
    // A word count larger than needed is legal, and stays in the copy.
    expect(copy([[list(0, 7, 3), struct(1, 1, 0), [1, 0], [9, 9], [9, 9]]]).bytes.length).toBe(40);
  });

  it("C-VAL-11: structs of size zero are charged one by one", () => {
    const many = (n: number): Word[] => [list(0, 7, 0), struct(n, 0, 0)];
    const limits = limitsWith({ traversalWords: 1000 });
    expect(copy([many(999)], limits).bytes.length).toBe(16);
    expect(refused([many(1000)], limits)).toContain("more than 1000 words");
    expect(refused([many(2 ** 29 - 1)])).toContain("more than 8388608 words");
  });

  it("C-VAL-12: so are voids", () => {
    const limits = limitsWith({ traversalWords: 1000 });
    expect(copy([[list(0, 0, 1000)]], limits).bytes.length).toBe(8);
    expect(refused([[list(0, 0, 1001)]], limits)).toContain("more than 1000 words");
    expect(refused([[list(0, 0, 2 ** 29 - 1)]])).toContain("more than");
  });

  it("C-VAL-13: shared objects are allowed, stay shared, and are charged each time", () => {
    // 10 pointers to one list of 100 words.
    const pointers = Array.from({ length: 10 }, (_, i): Word => list(9 - i, 5, 100));
    const data = Array.from({ length: 100 }, (_, i): Word => [i, i]);
    const segment = [struct(0, 0, 10), ...pointers, ...data];
    const content = copy([segment], limitsWith({ traversalWords: 1010 }));
    expect(hex(content)).toBe(hexOf(...segment));
    expect(refused([segment], limitsWith({ traversalWords: 1009 }))).toContain("overlaps");
  });

  it("C-VAL-13: a graph that unfolds without end costs no more memory than its message", () => {
    // Each of 40 structs points to the next one twice: 2^40 paths.
    const chain: Word[] = [struct(0, 0, 2)];
    for (let i = 0; i < 40; i++) chain.push(struct(1, 0, 2), struct(0, 0, 2));
    chain.push([0, 0], [0, 0]);
    const started = performance.now();
    expect(refused([chain])).toContain("overlaps");
    expect(performance.now() - started).toBeLessThan(5000);
  });

  it("C-VAL-14: cycles end", () => {
    expect(refused([[struct(-1, 0, 1)]])).toContain("nested deeper");
    expect(refused([[struct(0, 0, 1), struct(-1, 0, 1)]])).toContain("nested deeper");
    expect(refused([[list(-1, 6, 1)]])).toContain("nested deeper");
    expect(refused([[list(0, 7, 2), struct(1, 1, 1), [0, 0], list(-3, 7, 2)]])).toContain("nested");
  });

  it("C-VAL-15: 64 levels are taken and 65 are not; lists and their structs count", () => {
    const nested = (n: number): Word[] => [
      ...Array.from({ length: n }, (): Word => struct(0, 0, 1)),
      [0, 0],
    ];
    expect(copy([nested(64)]).bytes.length).toBe(65 * 8);
    expect(refused([nested(65)])).toContain("nested deeper than 64 levels");
    const lists = (n: number): Word[] => [
      ...Array.from({ length: n }, (): Word => list(0, 6, 1)),
      [0, 0],
    ];
    expect(copy([lists(64)]).bytes.length).toBe(65 * 8);
    expect(refused([lists(65)])).toContain("nested deeper");
    // A list of structs is two levels.
    const composite = (n: number): Word[] => [
      ...Array.from({ length: n }, (): Word[] => [list(0, 7, 1), struct(1, 0, 1)]).flat(),
      [0, 0],
    ];
    expect(copy([composite(32)]).bytes.length).toBe(65 * 8);
    expect(refused([composite(33)])).toContain("nested deeper");
    expect(refused([nested(4)], limitsWith({ nesting: 3 }))).toContain("deeper than 3");
    // However deep the setting, the stack holds.
    expect(refused([[struct(-1, 0, 1)]], limitsWith({ nesting: 1e9 }))).toContain("nested");
  });

  it("C-VAL-15: the depth survives far pointers", () => {
    const far65: Word[][] = Array.from({ length: 65 }, (_, i) => [struct(0, 0, 1), far(i + 1, 0)]);
    expect(refused([...far65, [struct(0, 1, 0), [0, 0]]])).toContain("nested deeper");
    const far63 = far65.slice(0, 63);
    expect(copy([...far63, [struct(0, 1, 0), [1, 0]]]).bytes.length).toBe(8 * 65);
  });

  it("C-FRM-20: a content that fills its message is within the default budget", () => {
    const n = 100_000;
    const pointers = Array.from({ length: n }, (_, i): Word => struct(n - 1 - i, 1, 0));
    pointers.fill(struct(-1, 0, 0), 1);
    const segment = [list(0, 6, n), ...pointers, [1, 1] as Word];
    const limits = limitsWith({ traversalWords: n + 2, messageWords: n + 2 });
    expect(copy([segment], limits).bytes.length).toBe((n + 2) * 8);
    // The budget is for each message anew.
    const frame = frameOf(framed(words(...segment)));
    const copier = new PayloadCopier(limits);
    for (let i = 0; i < 3; i++) copier.copy(frame, 0, frame.segStart[0]!);
  });
});

describe("PayloadCopier, many segments", () => {
  it("C-FRM-14: far and double far pointers become near ones", () => {
    const content = copy([
      [struct(0, 1, 3), [1, 2], far(1, 1), far(2, 0, true), far(1, 4)],
      [[9, 9], struct(0, 1, 1), [3, 4], list(1, 2, 4), struct(-1, 0, 0), [0x00636261, 0]],
      [far(3, 1), list(0, 5, 2)],
      [
        [9, 9],
        [7, 0],
        [8, 0],
      ],
    ]);
    const root = StructReader.of(content);
    expect(root.u32(0)).toBe(1);
    expect(root.struct(0).u32(4)).toBe(4);
    expect(root.struct(0).text(0)).toBe("abc");
    expect(root.list(1).at(1).u32(0)).toBe(8);
    expect(root.isNull(2)).toBe(false);
    // Nothing but the range reached of each segment: root, 4 words, words 2 to 5, and two words.
    expect(content.bytes.length).toBe(8 * (1 + 4 + 4 + 2));
    for (const at of [16, 24, 32]) expect(content.bytes[at]! & 3).not.toBe(2);
  });

  it("C-FRM-14: a far root, and shared far targets", () => {
    expect(hex(copy([[far(1, 0)], [struct(0, 1, 0), [5, 6]]]))).toBe(
      hexOf(struct(0, 1, 0), [5, 6]),
    );
    expect(
      hex(
        copy([
          [far(1, 0, true)],
          [far(2, 1), list(0, 2, 3)],
          [
            [9, 9],
            [7, 0],
          ],
        ]),
      ),
    ).toBe(hexOf(list(0, 2, 3), [7, 0]));
    const content = copy([
      [struct(0, 0, 2), far(1, 0), far(1, 0)],
      [struct(0, 1, 0), [5, 6]],
    ]);
    expect(hex(content)).toBe(hexOf(struct(0, 0, 2), struct(1, 1, 0), struct(0, 1, 0), [5, 6]));
    expect(hex(copy([[far(1, 0)], [struct(-1, 0, 0)]]))).toBe("fcffffff00000000");
  });

  it("C-VAL-04: a far pointer to no segment, or past the end of one, is refused", () => {
    expect(refused([[far(1, 0)]])).toContain("names segment 1 of 1");
    expect(refused([[far(-1, 0)]])).toContain("names segment 4294967295 of 1");
    expect(refused([[far(1, 1)], [struct(0, 1, 0)]])).toBe(LEAVES);
    expect(refused([[far(1, 0)], []])).toBe(LEAVES);
    expect(refused([[far(1, 2 ** 28)], [[0, 0]]])).toBe(LEAVES);
    // The landing pad is there, but its object is not.
    expect(refused([[far(1, 0)], [struct(0, 1, 0)]])).toBe(LEAVES);
  });

  it("C-VAL-05: a landing pad that is itself far, or a capability, is refused", () => {
    const pad = "the landing pad of a far pointer is no object";
    expect(refused([[far(1, 0)], [far(1, 1), struct(0, 1, 0), [0, 0]]])).toBe(pad);
    expect(refused([[far(1, 0)], [capability(0)]])).toBe(pad);
    expect(refused([[struct(0, 0, 1), far(1, 0)], [far(0, 0)]])).toBe(pad);
  });

  it("C-VAL-06: a double far pad must be a single far and a tag at offset 0, all in bounds", () => {
    const good: Word[][] = [[far(1, 0, true)], [far(2, 0), struct(0, 1, 0)], [[5, 6]]];
    expect(hex(copy(good))).toBe(hexOf(struct(0, 1, 0), [5, 6]));
    const bad = (pad: Word[], target: Word[] = [[5, 6]]): string =>
      refused([[far(1, 0, true)], pad, target]);
    expect(bad([far(2, 0)])).toBe(LEAVES);
    expect(bad([far(2, 0, true), struct(0, 1, 0)])).toContain("must begin with a single far");
    expect(bad([struct(0, 1, 0), struct(0, 1, 0)])).toContain("must begin with a single far");
    expect(bad([far(2, 0), struct(1, 1, 0)])).toContain("tag");
    expect(bad([far(2, 0), far(2, 0)])).toContain("tag");
    expect(bad([far(2, 0), capability(0)])).toContain("tag");
    expect(bad([far(3, 0), struct(0, 1, 0)])).toContain("names segment 3");
    expect(bad([far(2, 2), struct(0, 1, 0)])).toBe(LEAVES);
    expect(bad([far(2, 0), struct(0, 2, 0)])).toBe(LEAVES);
    expect(bad([far(2, 1), struct(0, 1, 0)])).toBe(LEAVES);
  });

  it("C-VAL-07: far pointers to themselves and to each other end", () => {
    expect(refused([[far(0, 0)]])).toContain("landing pad");
    expect(refused([[far(0, 0, true), struct(0, 1, 0)]])).toContain("single far");
    expect(refused([[far(1, 0)], [far(0, 0)]])).toContain("landing pad");
    // A cycle of structs through far pointers.
    expect(refused([[far(1, 0)], [struct(0, 0, 1), far(1, 0)]])).toContain("nested deeper");
  });
});

describe("PayloadCopier.renumber", () => {
  const copier = new PayloadCopier(DEFAULT_LIMITS);
  const source = copy([
    [
      struct(0, 1, 4),
      [3, 5],
      capability(5),
      list(2, 6, 2),
      capability(5),
      [0, 0],
      capability(9),
      capability(5),
    ],
  ]);

  it("C-VAL-26: capabilities get their place in the new table, asked once each", () => {
    const asked: number[] = [];
    const content = copier.renumber(source, (index) => {
      asked.push(index);
      return index + 100;
    });
    expect(asked).toEqual([5, 9]);
    const root = StructReader.of(content);
    expect([root.capability(0), root.capability(2), root.capability(3)]).toEqual([105, 105, -1]);
    expect(root.list(1).at(0).capability(0)).toBe(109);
    // Data that looks like a capability pointer is no capability.
    expect([root.u32(0), root.u32(4)]).toEqual([3, 5]);
    expect(StructReader.of(copy([[struct(0, 0, 1), [0, 0]]])).capability(0)).toBe(-1);
    const one = copier.renumber(copy([[capability(4)]]), () => 6);
    expect(hex(one)).toBe(hexOf(capability(6)));
    expect(StructReader.of(source).capability(0)).toBe(5);
  });

  it("C-VAL-26: copying validates, under the same budget", () => {
    const small = new PayloadCopier(limitsWith({ traversalWords: 3 }));
    expect(errorOf(() => small.renumber(source, null)).code).toBe("invalid-payload");
  });

  it("C-VAL-27: without a table for them, capabilities become null", () => {
    const root = StructReader.of(copier.renumber(source, null));
    expect([root.capability(0), root.capability(2)]).toEqual([-1, -1]);
    expect(root.list(1).at(0).capability(0)).toBe(-1);
    expect(hex(copier.renumber(copy([[capability(4)]]), null))).toBe(hexOf([0, 0]));
  });
});
