// Role: every golden vector decodes to its text, and is written byte for byte.

import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { RpcError } from "../../src/base/errors.js";
import { Content } from "../../src/wire/content.js";
import { Descriptors, EMPTY_PATH, NO_DESCRIPTORS } from "../../src/wire/descriptors.js";
import type { IntroductionWriter } from "../../src/wire/introduction-writer.js";
import { describeMessage } from "./describe.js";
import { frameOf, fromHex, readBack, toHex, written } from "./help.js";

const vectors = JSON.parse(
  readFileSync(new URL("../spec/vectors.json", import.meta.url), "utf8"),
) as readonly { readonly text: string; readonly hex: string }[];

const P = EMPTY_PATH;
const N = Content.NULL;
const aabb = new Uint8Array([0xaa, 0xbb]);

function table(...entries: [number, number][]): Descriptors {
  const caps = new Descriptors();
  for (const [kind, id] of entries) caps.add(kind, id, P);
  return caps;
}

/** How each vector is written, in the order of the file. */
const writers: ((w: IntroductionWriter) => void)[] = [
  (w) => w.bootstrap(5),
  (w) => w.abort(new RpcError("failed", "protocol-error", "x")),
  (w) => w.call(1, 0, 2, P, 0x81234567, 0x89abcdef, 3, 0, 0, N, NO_DESCRIPTORS),
  (w) => w.call(1, 0, 2, P, 0, 1, 3, 0, 1, N, NO_DESCRIPTORS),
  (w) => w.call(1, 1, 9, [2], 0, 1, 0, 2, 0, N, table([1, 7])),
  (w) => w.returnResults(1, false, true, N, NO_DESCRIPTORS),
  (w) => w.returnResults(1, true, false, N, table([2, 3], [3, 4], [0, 0])),
  (w) => w.returnException(1, false, false, new RpcError("unimplemented", "internal-error", "no")),
  (w) => w.returnOther(1, 2, false, false, 0),
  (w) => w.returnOther(1, 3, false, false, 0),
  (w) => w.returnOther(1, 4, false, false, 4),
  (w) => w.finish(1, true, true),
  (w) => w.finish(1, false, false),
  (w) => w.finish(1, true, false),
  (w) => w.resolveCap(3, 3, 4, P),
  (w) => w.resolveException(3, new RpcError("disconnected", "connection-lost", "no")),
  (w) => w.release(3, 2),
  (w) => w.disembargo(0, 2, P, 0, 6),
  (w) => w.disembargo(0, 2, P, 1, 6),
  (w) => w.disembargo(0, 2, P, 2, 0, aabb),
  (w) => w.provide(2147483648, 0, 2, P, N),
  (w) => w.accept(1, N, aabb),
  (w) => w.thirdPartyAnswer(1073741824, N),
  (w) => w.join(1, 0, 2, P, N),
  (w) => w.resolveCap(3, 5, 9, P),
  (w) => w.unimplemented(frameOf(written((inner) => inner.finish(1, true, true)))),
];

describe("golden vectors", () => {
  it("are all there", () => {
    expect(vectors.length).toBe(26);
    expect(writers.length).toBe(26);
  });

  vectors.forEach(({ text, hex }, i) => {
    // A noop means nothing (C-PIP-02): the reader drops it and the writer never makes one.
    const noop = ",(noop=void)";
    const said = text.replace(noop, "");

    it(`decodes ${text}`, () => {
      expect(describeMessage(readBack(fromHex(hex)))).toBe(said);
    });

    it(`encodes ${said}`, () => {
      const bytes = written(writers[i]!);
      if (text.includes(noop)) expect(describeMessage(readBack(bytes))).toBe(said);
      else expect(toHex(bytes)).toBe(hex);
    });
  });
});
