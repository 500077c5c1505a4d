// A stand-in for the value codec: structured clone with markers for references. Enough for what the tests of this layer say.

import { deserialize, serialize } from "node:v8";
import { useCodec } from "../../src/cap/dynamic/codec.js";

const MARK = "\u0000reference";

function map(value: unknown, change: (value: object) => unknown): unknown {
  if (typeof value === "function" || (typeof value === "object" && value !== null)) {
    const changed = change(value);
    if (changed !== value) return changed;
    if (Array.isArray(value)) return value.map((one) => map(one, change));
    if (Object.getPrototypeOf(value) === Object.prototype)
      return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, map(one, change)]));
  }
  return value;
}

useCodec({
  encodeValue: (value, sink) =>
    serialize(
      map(value, (one) => {
        const reference = sink.reference(one, "");
        return reference === undefined ? one : { [MARK]: [reference.kind, reference.index] };
      }),
    ),
  decodeValue: (bytes, source) =>
    map(deserialize(bytes), (one) => {
      const mark = (one as Record<string, [number, number]>)[MARK];
      return mark === undefined ? one : source.revive(...mark);
    }),
});
