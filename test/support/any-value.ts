// Values nobody thought of, for fast-check: trees, shared parts, loops, holes, names that lead to prototypes.

import fc from "fast-check";

/** Names and texts that are easily taken for something else, and any others. */
export const anyText = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.constantFrom(
    "__proto__",
    "constructor",
    "then",
    "toJSON",
    "hasOwnProperty",
    "length",
    "",
    "0",
    "\ud800",
  ),
  fc.array(fc.nat(0xffff), { maxLength: 6 }).map((units) => String.fromCharCode(...units)),
);
const leaf = fc.oneof(
  anyText,
  fc.double(),
  fc.integer(),
  fc.bigInt({ min: -(2n ** 130n), max: 2n ** 130n }),
  fc.constantFrom(null, undefined, true, false, -0),
  fc.date({ noInvalidDate: false }).map((date) => new Date(date)),
  fc.uint8Array({ maxLength: 20 }).map((bytes) => bytes.buffer.slice(0)),
  fc.float64Array({ maxLength: 4 }).map((floats) => floats.slice()),
  fc
    .constantFrom("a", "b/c")
    .chain((source) => fc.constantFrom("", "gu").map((flags) => new RegExp(source, flags))),
);

function define(pairs: readonly (readonly [string, unknown])[], on: object): object {
  for (const [name, value] of pairs) {
    if (Array.isArray(on) && name === "length") continue;
    Object.defineProperty(on, name, {
      value,
      enumerable: true,
      configurable: true,
      writable: true,
    });
  }
  return on;
}

/** Whatever structuredClone takes, errors and views aside. */
export const { value: anyValue } = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    leaf,
    fc.array(tie("value"), { maxLength: 5 }),
    fc.array(fc.tuple(anyText, tie("value")), { maxLength: 5 }).map((pairs) => define(pairs, {})),
    fc
      .tuple(
        fc.array(tie("value"), { maxLength: 4 }),
        fc.array(fc.tuple(anyText, tie("value")), { maxLength: 2 }),
        fc.nat(5),
      )
      .map(([items, pairs, hole]) => {
        const array = define(pairs, [...items]) as unknown[];
        Reflect.deleteProperty(array, hole);
        return array;
      }),
    fc
      .array(fc.tuple(tie("value"), tie("value")), { maxLength: 4 })
      .map((entries) => new Map(entries)),
    fc.array(tie("value"), { maxLength: 4 }).map((items) => new Set(items)),
    // The same object in several places, and one that leads back to itself.
    fc.tuple(tie("value"), tie("value")).map(([a, b]) => [a, { b, again: a }, new Map([[a, b]])]),
    tie("value").map((inner) => {
      const loop: Record<string, unknown> = { inner };
      loop["self"] = [loop, new Set([loop])];
      return loop;
    }),
  ),
}));
