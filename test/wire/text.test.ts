// Texts in received bytes: total on any bytes, and names the same whether they were read before or not.

import fc from "fast-check";
import { expect, it } from "vitest";
import { decodeName, decodeText } from "../../src/wire/text.js";

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
const nameIn = (bytes: Uint8Array): string => decodeName(bytes, 0, bytes.length);

it("C-VAL-16: a name is what the text is, whatever was read before it in the same place", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 30 }), { maxLength: 400 }), (all) => {
      for (const bytes of [...all, ...all])
        expect(nameIn(bytes)).toBe(decodeText(bytes, 0, bytes.length));
    }),
    { numRuns: 50 },
  );
});

it("C-VAL-16: bytes that are no UTF-8 are not taken for the characters with their numbers", () => {
  // Now and then both have one place.
  for (let i = 0; i < 5000; i++) {
    const rest = "x".repeat(i % 18) + i;
    nameIn(utf8(`\u00e9${rest}`));
    expect(nameIn(Uint8Array.of(0xe9, ...utf8(rest)))).toBe(`\ufffd${rest}`);
  }
});
