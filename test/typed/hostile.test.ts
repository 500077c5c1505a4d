// Strangers' bytes through generated code (C-VAL): a reader of a bad field fails with a typed error, its siblings stay
// readable, nothing is ever written into a received message.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DEFAULT_LIMITS } from "../../src/base/limits.js";
import { readMessage } from "../../src/cap/typed/runtime/segment.js";
import { NO_CAPS, Payload } from "../../src/hook/payload.js";
import { LocalHook } from "../../src/hook/local.js";
import { Content } from "../../src/wire/content.js";
import { Frame, parseFrame } from "../../src/wire/frame.js";
import { PayloadCopier } from "../../src/wire/validate.js";
import {
  any,
  AnyPointer,
  Message,
  RpcError,
  type Struct,
  type StructType,
} from "../../src/typed.js";
import { Census, CounterServer, host, scheduler, settle } from "./kit.js";
import * as f from "./schemas/features.capnp.js";

const invalid = expect.objectContaining({ code: "invalid-payload" }) as Error;

/** Bytes of little-endian words given as [low, high]. */
function words(...pairs: [number, number][]): Uint8Array {
  const bytes = new Uint8Array(pairs.length * 8);
  const view = new DataView(bytes.buffer);
  pairs.forEach(([lo, hi], i) => {
    view.setInt32(i * 8, lo, true);
    view.setInt32(i * 8 + 4, hi, true);
  });
  return bytes;
}

const struct = (offset: number, data: number, pointers: number): [number, number] => [
  offset << 2,
  data | (pointers << 16),
];
const list = (offset: number, code: number, count: number): [number, number] => [
  (offset << 2) | 1,
  code | (count << 3),
];
const cap = (index: number): [number, number] => [3, index];

/** A received struct over raw bytes, as after the validating copy. */
function received<S extends Struct>(type: StructType<S>, bytes: Uint8Array): S {
  return type._capnp.read(readMessage(bytes), 0);
}

/** The same through the validating copy of the wire. */
function copied<S extends Struct>(type: StructType<S>, bytes: Uint8Array): S {
  const framed = new Uint8Array(8 + bytes.length);
  new DataView(framed.buffer).setUint32(4, bytes.length / 8, true);
  framed.set(bytes, 8);
  const frame = new Frame();
  parseFrame(framed, frame, DEFAULT_LIMITS);
  return received(type, new PayloadCopier(DEFAULT_LIMITS).copy(frame, 0, frame.segStart[0]!).bytes);
}

/** A Point whose label is the pointer given; `rest` follows. */
function point(label: [number, number], ...rest: [number, number][]): Uint8Array {
  return words(struct(0, 1, 1), [11, 22], label, ...rest);
}

describe("pointers", () => {
  it("C-VAL-01: a struct outside its segment fails its reader, siblings are readable", () => {
    for (const bad of [
      struct(5, 1, 0),
      struct(-9, 1, 0),
      struct(0, 9, 0),
      struct(0, 0, 9),
      struct(0x1fff_ffff, 1, 1),
    ]) {
      const outer = received(f.Outer, words(struct(0, 1, 1), [3, 0], bad, [0, 0]));
      expect(() => outer.inner, String(bad)).toThrow(invalid);
      expect(outer.depth).toBe(12 ^ 0);
      expect(outer.kind).toBe(3);
    }
  });

  it("C-VAL-02: a list outside its segment, of every element size", () => {
    for (let code = 1; code < 8; code++) {
      const lists = received(
        f.Lists,
        words(struct(0, 0, 20), ...Array.from({ length: 20 }, () => list(30, code, 0x1fff_ffff))),
      );
      for (const field of [
        "bools",
        "i8s",
        "i16s",
        "i32s",
        "i64s",
        "texts",
        "points",
        "nested",
      ] as const)
        expect(() => lists[field], `${field} over code ${code}`).toThrow(invalid);
    }
  });

  it("C-VAL-03: offset -1 with size zero is the empty struct, other negative offsets are bounds errors", () => {
    const empty = received(f.Point, words(struct(-1, 0, 0)));
    expect([empty.x, empty.label]).toEqual([0, ""]);
    expect(() => received(f.Point, words(struct(-3, 1, 0)))).toThrow(invalid);
  });

  it("C-VAL-04 to 07: far pointers to nowhere, to each other, to odd landing pads", () => {
    const framed = (...segments: Uint8Array[]): Message => {
      const header = new Uint8Array((4 + 4 * segments.length + 7) & -8);
      const view = new DataView(header.buffer);
      view.setUint32(0, segments.length - 1, true);
      segments.forEach((one, i) => view.setUint32(4 + i * 4, one.length / 8, true));
      const parts = [header, ...segments];
      const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
      parts.reduce((at, part) => (all.set(part, at), at + part.length), 0);
      return new Message(all, false);
    };
    const far = (segment: number, word: number, double = 0): [number, number] => [
      2 | (double << 2) | (word << 3),
      segment,
    ];
    const read = (message: Message): f.Point => f.Point._capnp.read(message.getSegment(0), 0);
    const good = framed(words(far(1, 0)), words(struct(0, 1, 0), [5, 6]));
    expect(read(good).x).toBe(5);
    const double = framed(words(far(1, 0, 1)), words(far(2, 0), struct(0, 1, 0)), words([8, 9]));
    expect(read(double).y).toBe(9);
    const bad: [string, Message][] = [
      ["missing segment", framed(words(far(7, 0)))],
      ["pad outside", framed(words(far(1, 3)), words([0, 0]))],
      ["far to far", framed(words(far(1, 0)), words(far(0, 0)))],
      ["far to itself", framed(words(far(0, 0)))],
      ["double pad not far", framed(words(far(1, 0, 1)), words(struct(0, 1, 0), struct(0, 1, 0)))],
      [
        "double pad tag with offset",
        framed(words(far(1, 0, 1)), words(far(1, 0), struct(4, 1, 0))),
      ],
      ["double pad of one word", framed(words(far(1, 0, 1)), words(far(1, 0)))],
      ["double content outside", framed(words(far(1, 0, 1)), words(far(1, 1), struct(0, 8, 0)))],
    ];
    for (const [name, message] of bad) expect(() => read(message), name).toThrow(invalid);
  });

  it("C-VAL-09: a pointer of another kind than the field's is an error, never confused", () => {
    const text = list(0, 2, 1);
    expect(() => received(f.Point, point(struct(-1, 0, 0))).label).toThrow(invalid);
    expect(() => received(f.Point, point(cap(0))).label).toThrow(invalid);
    expect(() => received(f.Outer, words(struct(0, 1, 1), [0, 0], text, [0, 0])).inner).toThrow(
      invalid,
    );
    expect(() => received(f.Outer, words(struct(0, 1, 1), [0, 0], cap(0))).inner).toThrow(invalid);
    expect(() => received(f.Holder, words(struct(0, 0, 1), struct(-1, 0, 0))).counter).toThrow(
      invalid,
    );
    expect(() => received(f.Holder, words(struct(0, 0, 1), text, [0, 0])).counter).toThrow(invalid);
    expect(() => received(f.Lists, words(struct(0, 0, 1), cap(0))).voids).toThrow(invalid);
    expect(() => received(f.Point, words(list(0, 2, 0)))).toThrow(invalid);
    expect(() => received(f.Point, words(cap(0)))).toThrow(invalid);
  });

  it("C-VAL-08: an unknown kind of pointer is an error", () => {
    expect(() => received(f.Holder, words(struct(0, 0, 1), [7, 0])).counter).toThrow(invalid);
    const any = received(f.Anything, words(struct(0, 0, 1), [0xff_ffff_07 | 0, 0]));
    expect(() => any.any.as(f.Counter)).toThrow(invalid);
    const copy = new Message().initRoot(f.Anything);
    expect(() => (copy.any = any.any)).toThrow(invalid);
  });
});

describe("lists", () => {
  it("C-VAL-10: a tag that is no struct, or says more than the list holds", () => {
    const points = (tag: [number, number]) => {
      const head = Array.from({ length: 20 }, (): [number, number] => [0, 0]);
      head[15] = list(4, 7, 2);
      return received(f.Lists, words(struct(0, 0, 20), ...head, tag, [1, 0], [2, 0])).points;
    };
    expect(points(struct(2, 1, 0)).map((one) => one.x)).toEqual([1, 2]);
    for (const tag of [
      struct(3, 1, 0),
      struct(2, 1, 1),
      struct(0x1fff_ffff, 1, 0),
      list(0, 2, 0),
      cap(2),
    ] as [number, number][])
      expect(() => points(tag), String(tag)).toThrow(invalid);
  });

  it("C-VAL-11, 12: lists of nothing with a huge count never get past the validating copy", () => {
    const head = (pointer: [number, number], index: number): [number, number][] => {
      const all = Array.from({ length: 20 }, (): [number, number] => [0, 0]);
      all[index] = pointer;
      return all;
    };
    const voids = words(struct(0, 0, 20), ...head(list(19, 0, 0x1fff_ffff), 0));
    expect(() => copied(f.Lists, voids)).toThrow(invalid);
    const empties = words(struct(0, 0, 20), ...head(list(4, 7, 0), 15), struct(0x1fff_ffff, 0, 0));
    expect(() => copied(f.Lists, empties)).toThrow(invalid);
  });

  it("C-VAL-17: Data over elements that are not bytes", () => {
    for (const code of [0, 1, 3, 4, 5, 6]) {
      const shape = received(
        f.Shape,
        words(struct(0, 4, 2), [8, 0], [0, 0], [0, 0], [0, 0], [0, 0], list(0, code, 0)),
      );
      expect(() => shape.bytes, `code ${code}`).toThrow(code === 2 ? undefined : invalid);
    }
  });

  it("C-VAL-18, 19: a list of bits is never a list of structs, nor the reverse", () => {
    const head = (pointer: [number, number], index: number): [number, number][] => {
      const all = Array.from({ length: 20 }, (): [number, number] => [0, 0]);
      all[index] = pointer;
      return all;
    };
    const bits = words(struct(0, 0, 20), ...head(list(4, 1, 8), 15), [0xff, 0]);
    expect(() => received(f.Lists, bits).points).toThrow(invalid);
    const structs = words(struct(0, 0, 20), ...head(list(18, 7, 1), 1), struct(1, 1, 0), [0xff, 0]);
    expect(() => received(f.Lists, structs).bools).toThrow(invalid);
    const pointerless = words(
      struct(0, 0, 20),
      ...head(list(7, 7, 1), 12),
      struct(1, 1, 0),
      [0xff, 0],
    );
    expect(() => received(f.Lists, pointerless).texts).toThrow(invalid);
    const dataless = words(struct(0, 0, 20), ...head(list(15, 7, 1), 4), struct(1, 0, 1), [0, 0]);
    expect(() => received(f.Lists, dataless).i32s).toThrow(invalid);
  });

  it("C-VAL-20: an upgraded element shows no byte beyond its own", () => {
    // List(UInt8) read as structs: only the first byte of each belongs to it.
    const head = Array.from({ length: 20 }, (): [number, number] => [0, 0]);
    head[15] = list(4, 2, 2);
    const { points } = received(f.Lists, words(struct(0, 0, 20), ...head, [-1, -1]));
    expect(points.map((one) => [one.x, one.y])).toEqual([
      [0, 0],
      [0, 0],
    ]);
  });
});

describe("text", () => {
  it("C-VAL-16: without its NUL an error, of no bytes empty, invalid UTF-8 replaced", () => {
    expect(() => received(f.Point, point(list(0, 2, 3), [0x41_4141, 0])).label).toThrow(invalid);
    expect(received(f.Point, point(list(0, 2, 0))).label).toBe("");
    expect(received(f.Point, point(list(0, 2, 4), [0x00_80_ff_41, 0])).label).toBe("A\ufffd\ufffd");
    expect(received(f.Point, point(list(0, 2, 4), [0x00_42_00_41, 0])).label).toBe("A\0B");
    expect(() => received(f.Point, point(list(0, 2, 9), [0, 0])).label).toThrow(invalid);
  });
});

describe("structs", () => {
  it("C-VAL-20: a data section that ends inside a field gives its default", () => {
    const short = received(f.Defaults, words(struct(0, 1, 0), [0, 0]));
    expect([
      short.b,
      short.i8,
      short.i16,
      short.i32,
      short.i64,
      short.u64,
      short.f64,
      short.text,
    ]).toEqual([true, -8, -16, -32, -64n, 18000000000000000000n, -2.5, "default"]);
    const none = received(f.Defaults, words([0, 0]));
    expect(none.u32).toBe(4000000000);
    expect(none.points.get(1).y).toBe(2);
  });

  it("a NaN keeps its bits through a copy", () => {
    const bytes = words(
      struct(0, 6, 0),
      [0, 0],
      [0, 0],
      [0, 0],
      [0, 0],
      [0, 0],
      [0x1234_5678, 0x7ff0_dead],
    );
    const from = received(f.Scalars, bytes);
    const to = new Message().initRoot(f.Box.of(f.Scalars));
    to.value = from;
    const copy = to.value._capnp;
    expect([copy.segment.getInt32(copy.base + 40), copy.segment.getInt32(copy.base + 44)]).toEqual([
      0x1234_5678, 0x7ff0_dead,
    ]);
  });
});

describe("reading", () => {
  it("never writes: a message is the same after every getter was called", () => {
    for (const bytes of [
      words([0, 0]),
      words(struct(0, 6, 20), ...Array.from({ length: 26 }, (): [number, number] => [0, 0])),
    ]) {
      const before = bytes.slice();
      for (const type of [
        f.Lists,
        f.Defaults,
        f.Scalars,
        f.Outer,
        f.Point,
        f.Bindings,
        f.Anything,
      ] as StructType<Struct>[])
        received(type, bytes).toObject();
      expect(bytes).toEqual(before);
    }
  });

  it("a received struct refuses every setter", () => {
    const lists = received(
      f.Lists,
      words(struct(0, 0, 20), ...Array.from({ length: 20 }, (): [number, number] => [0, 0])),
    );
    const state = expect.objectContaining({ code: "invalid-state" }) as Error;
    expect(() => (lists.i8s = [1])).toThrow(state);
    expect(() => lists.initPoints(1)).toThrow(state);
    expect(() => (lists.texts = null)).toThrow(state);
    expect(() => (received(f.Scalars, words(struct(0, 1, 0), [0, 0])).b = true)).toThrow(state);
  });
});

describe("copying", () => {
  it("C-VAL-14: a cycle ends by a limit, not by the stack", () => {
    const loop = received(f.Outer, words(struct(0, 1, 1), [0, 0], struct(-2, 1, 1)));
    const to = new Message().initRoot(f.Outer);
    expect(() => (to.inner = loop.inner)).toThrow(invalid);
  });

  it("C-VAL-13: a web of shared pointers is charged each time it is reached", () => {
    const pairs: [number, number][] = [struct(0, 0, 1)];
    for (let level = 0; level < 40; level++)
      pairs.push(list(level === 39 ? 1 : 1, 6, 2), list(0, 6, 2));
    pairs.push([0, 0], [0, 0]);
    const any = received(f.Anything, words(...pairs));
    const to = new Message().initRoot(f.Anything);
    expect(() => (to.any = any.any)).toThrow(invalid);
    expect(() => copied(f.Anything, words(...pairs))).toThrow(invalid);
  });

  it("C-VAL-26, 27: a capability keeps its meaning, and is null where there is no table", async () => {
    const census = new Census();
    const everything = host(f.Everything, {
      makeCounter: (_params, _context) => {
        const first = new CounterServer(1, census);
        return { counter: first, inner: { counter: new CounterServer(50, census), named: null } };
      },
      anything: ({ it }) => ({ it: { any: it.any, anyCap: it.anyCap } }),
    } as Partial<f.Everything.Server> as f.Everything.Server);
    const made = await everything.makeCounter();
    const kept: f.Holder = made.inner;
    const plain = new Message().initRoot(f.Holder);
    plain.deeper = kept;
    expect(plain.deeper.hasCounter()).toBe(false);
    plain.any = "something before";
    plain.any = new AnyPointer(kept.segment, kept._capnp.pointers);
    expect(plain.any.kind).toBe("null");
    // In the call below the capability has another index than in the results it comes from.
    const { it: back } = await everything.anything({ it: { anyCap: made.counter, any: kept } });
    expect((await back.any.as(f.Holder).counter.next()).value).toBe(51);
    {
      using cast = back.anyCap.castAs(f.Counter);
      expect((await cast.next()).value).toBe(2);
    }
    back[Symbol.dispose]();
    made[Symbol.dispose]();
    await settle();
    expect(census.alive).toBe(0);
  });

  it("C-VAL-28: a capability that is overwritten leaves the table; the others keep their index", async () => {
    const census = new Census();
    const everything = host(f.Everything, {
      anything: ({ it }) => ({ it: { anyCap: it.anyCap, any: it.any } }),
    } as Partial<f.Everything.Server> as f.Everything.Server);
    const { it } = await everything.anything((params) => {
      const inner = params.initIt();
      inner.any.set(host(f.Counter, new CounterServer(1, census)));
      params.it.anyCap = host(f.Counter, new CounterServer(10, census));
      inner.any.set(host(f.Counter, new CounterServer(20, census)));
    });
    expect((await it.anyCap.castAs(f.Counter).next()).value).toBe(11);
    expect((await it.any.as(f.Counter).next()).value).toBe(21);
  });
});

describe("the capability table of params", () => {
  it("C-VAL-28: has an empty entry for what was overwritten, in a field, a list, an AnyPointer, a struct", async () => {
    const tables: (boolean | null)[][] = [];
    const census = new Census();
    const hook = new LocalHook(
      {
        dispatch(call) {
          tables.push(call.params.caps.map((one) => one !== null));
          call.returns();
        },
      },
      scheduler(),
    );
    const client = new f.Everything(hook);
    const one = (): CounterServer => new CounterServer(0, census);
    await client.callback((params) => {
      params.target = one();
      params.target = one();
    });
    await client.anything((params) => {
      const it = params.initIt();
      it.any = any(f.Lists, { caps: [one(), one()] });
      const caps = it.any.as(f.Lists).caps;
      caps.set(0, one());
      it.anyCap = client;
      it.any = any(f.Holder, { deeper: { counter: one(), group: { counter: one() } } });
      it.any.as(f.Holder).deeper = null;
      it.any = any(f.Bindings, { cap: { value: one() } });
      params.it = { any: any(f.Counter, one()) };
    });
    await client.callback({ target: null });
    expect(tables).toEqual([
      [false, true],
      [false, false, false, false, false, false, false, true],
      [],
    ]);
    await settle();
    expect(census.alive).toBe(0);
  });
});

describe("capability indexes", () => {
  /** Calls a method of a real object with raw content and no capabilities. */
  function hosted(payload: Payload) {
    const one = scheduler();
    const hook = new LocalHook({ dispatch: (call) => call.returns(payload) }, one);
    return new f.Everything(hook);
  }

  it("C-VAL-22: one beyond the table is broken, and only that one", async () => {
    const census = new Census();
    const good = host(f.Counter, new CounterServer(4, census))._hook!;
    const bytes = words(struct(0, 0, 2), cap(9), struct(0, 0, 1), cap(0));
    const everything = hosted(new Payload(new Content(bytes), [good]));
    const results = await everything.makeCounter();
    await expect(results.counter.next()).rejects.toMatchObject({ code: "invalid-capability" });
    expect((await results.inner.counter.next()).value).toBe(5);
    results[Symbol.dispose]();
    await settle();
    expect(census.alive).toBe(0);
  });

  it("C-VAL-24, 25: pipelining through what is no struct, or too short, is broken or null", async () => {
    const text = hosted(
      new Payload(new Content(words(struct(0, 0, 2), list(1, 2, 0), list(0, 2, 0))), NO_CAPS),
    ).makeCounter();
    await expect(text.counter.next()).rejects.toMatchObject({ code: "not-a-capability" });
    await expect(text.inner.counter.next()).rejects.toMatchObject({ code: "not-a-capability" });
    const short = hosted(new Payload(new Content(words(struct(-1, 0, 0))), NO_CAPS)).makeCounter();
    await short;
    await expect(short.counter.next()).rejects.toMatchObject({ code: "null-capability" });
    await expect(short.inner.deeper.counter.next()).rejects.toMatchObject({
      code: "null-capability",
    });
  });

  it("C-VAL-23: results that are no struct fail that call", async () => {
    await expect(
      hosted(new Payload(new Content(words(cap(0))), NO_CAPS)).makeCounter(),
    ).rejects.toMatchObject({
      code: "invalid-payload",
    });
  });

  it("C-FLO-01: null results are results with no field set", async () => {
    const results = await hosted(new Payload(Content.NULL, NO_CAPS)).makeCounter();
    expect(results.hasCounter()).toBe(false);
  });
});

describe("anything at all", () => {
  it("C-VAL-30: random damage ends in values or in RpcError, and never changes the bytes", () => {
    const good = new Message().initRoot(f.Box.of(f.Lists));
    good.set({
      value: {
        bools: [true],
        texts: ["a", "b"],
        points: [{ x: 1, label: "l" }],
        nested: [[["x"]], [[], ["y", "z"]]],
        boxes: [{ value: "v", next: { value: "w" } }],
      },
      lid: { box: { some: { i64s: [1n, 2n] } } },
    });
    const base = new Uint8Array(good.segment.buffer.slice(0, good.segment.byteLength));
    const damage = fc.array(fc.tuple(fc.nat(base.length - 1), fc.nat(255)), {
      minLength: 1,
      maxLength: 12,
    });
    fc.assert(
      fc.property(damage, (changes) => {
        const bytes = base.slice();
        for (const [at, value] of changes) bytes[at] = value;
        try {
          const struct = copied(f.Box.of(f.Lists), bytes);
          const before = new Uint8Array(struct.segment.buffer.slice(0));
          try {
            struct.toObject();
          } finally {
            expect(new Uint8Array(struct.segment.buffer)).toEqual(before);
          }
          const copy = new Message().initRoot(f.Box.of(f.Box.of(f.Lists)));
          copy.value = struct;
        } catch (thrown) {
          if (!(thrown instanceof RpcError)) throw thrown;
        }
      }),
      { numRuns: 3000, seed: 20261123 },
    );
  });
});
