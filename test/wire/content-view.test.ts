// ContentView against StructReader, on contents of its own making and on damaged ones: it reads the same, or both fail.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { RpcError } from "../../src/base/errors.js";
import { Content } from "../../src/wire/content.js";
import { ContentView } from "../../src/wire/content-view.js";
import { ContentBuilder, StructReader } from "../../src/wire/struct.js";

interface Shape {
  number: number;
  data: Uint8Array | null;
  texts: string[];
  kinds: number[];
  tail: boolean;
}

function build({ number, data, texts, kinds, tail }: Shape): Content {
  const builder = new ContentBuilder(16);
  const root = builder.root(1, 5);
  root.u32(0, number);
  root.u16(4, number & 7);
  if (texts.length > 0) root.texts(0, texts);
  if (kinds.length > 0)
    root.structs(2, kinds.length, 1, 1).forEach((one, i) => {
      one.u16(0, kinds[i]!);
      if (i % 2 === 0) one.capability(0, i);
    });
  root.capability(3, 5);
  if (number % 2 === 1) {
    const below = root.struct(4, 1, 2);
    below.u32(0, number);
    below.capability(1, 6);
  }
  if (data !== null) {
    if (tail) root.dataByReference(1, data);
    else root.data(1, data);
  }
  const content = builder.finish();
  return new Content(content.bytes.slice(), content.tail);
}

/** Each field, or that it cannot be read. */
function attempt(read: () => unknown): unknown {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof RpcError)) throw error;
    return "fails";
  }
}

const MOST = 1000;
const view = new ContentView();

function byView(content: Content): unknown {
  return attempt(() => {
    view.open(content);
    let entered = false;
    return [
      view.u8(0),
      view.u16(4),
      view.u32(0),
      attempt(() => Array.from(view.data(1) ?? [])),
      attempt(() =>
        view.list(0, MOST)
          ? Array.from({ length: view.length }, (_, i) => view.elementText(i))
          : [],
      ),
      attempt(() =>
        view.list(2, MOST)
          ? Array.from({ length: view.length }, (_, i) => [
              view.elementU16(i),
              view.elementCapability(i),
            ])
          : [],
      ),
      attempt(() => view.capability(3)),
      attempt(() => {
        view.enter(4);
        entered = true;
        return [view.u32(0), view.isNull(0), view.capability(1)];
      }),
      attempt(() => {
        if (!entered) return "fails";
        view.enter(2);
        return [view.u32(0), view.isNull(0)];
      }),
    ];
  });
}

function byReader(content: Content): unknown {
  return attempt(() => {
    const root = StructReader.of(content);
    const list = (index: number) => {
      const found = root.list(index, 0, 1);
      if (found.length > MOST) throw new RpcError("failed", "limit-exceeded", "too long");
      return Array.from({ length: found.length }, (_, i) => found.at(i));
    };
    return [
      root.u8(0),
      root.u16(4),
      root.u32(0),
      attempt(() => Array.from(root.data(1))),
      attempt(() => list(0).map((one) => one.text(0))),
      attempt(() => list(2).map((one) => [one.u16(0), one.capability(0)])),
      attempt(() => root.capability(3)),
      attempt(() => {
        const below = root.struct(4);
        return [below.u32(0), below.isNull(0), below.capability(1)];
      }),
      // There is none, neither in what was read last nor where it was, unless damage makes one.
      attempt(() => {
        const none = root.struct(4).struct(2);
        return [none.u32(0), none.isNull(0)];
      }),
    ];
  });
}

const shapes = fc.record({
  number: fc.nat(),
  data: fc.option(fc.uint8Array({ maxLength: 40 })),
  texts: fc.array(fc.string({ unit: "binary", maxLength: 40 }), { maxLength: 4 }),
  kinds: fc.array(fc.nat(65_535), { maxLength: 4 }),
  tail: fc.boolean(),
});

describe("a content view", () => {
  it("reads what was built, as a struct reader does", () => {
    fc.assert(
      fc.property(shapes, (shape) => {
        const content = build(shape);
        expect(byView(content)).toEqual(byReader(content));
      }),
      { numRuns: 500 },
    );
  });

  it("is total on damaged contents", () => {
    const damage = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(shapes, damage, (shape, harms) => {
        const content = build({ ...shape, tail: false });
        for (const [at, byte] of harms) content.bytes[at % content.bytes.length] = byte;
        const seen = byView(content);
        // Lists of other elements, which the reader takes for structs with one field, are refused here.
        const other = byReader(content);
        if (seen === "fails") expect(other).toBe("fails");
        else
          (seen as unknown[]).forEach((field, i) => {
            if (field !== "fails") expect(field).toEqual((other as unknown[])[i]);
          });
      }),
      { numRuns: 3000 },
    );
  });

  it("lets the content go", () => {
    view.open(build({ number: 7, data: Uint8Array.of(1), texts: ["a"], kinds: [], tail: false }));
    view.close();
    expect([view.u32(0), view.data(1), view.list(0, 9)]).toEqual([0, null, false]);
  });
});
