// Role: packing both ways, and that hostile packed bytes stay within bounds.

import { spawnSync } from "node:child_process";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DEFAULT_LIMITS, limitsWith } from "../../src/base/limits.js";
import { packMessage, PackedFramer } from "../../src/wire/packing.js";
import { schemaPath } from "../schema/capnp-tool.js";
import { missingTool } from "../support/tools.js";
import { concat, errorOf, framed, fromHex, toHex, written } from "./help.js";

function inflate(
  chunks: Iterable<Uint8Array>,
  framer = new PackedFramer(DEFAULT_LIMITS),
): string[] {
  const found: string[] = [];
  for (const chunk of chunks) framer.push(chunk, (frame) => found.push(toHex(frame.copy())));
  return found;
}

const bytesOf = (bytes: Uint8Array): Uint8Array[] => Array.from(bytes, (b) => Uint8Array.of(b));

describe("packing", () => {
  it("C-FRM-13: the published examples", () => {
    expect(toHex(packMessage([fromHex("0800000003000200 19000000 aa010000")]))).toBe(
      "510803023119aa01",
    );
    expect(toHex(packMessage([new Uint8Array(32)]))).toBe("0003");
    expect(toHex(packMessage([new Uint8Array(8).fill(0x8a), new Uint8Array(24).fill(0x8a)]))).toBe(
      `ff${"8a".repeat(8)}03${"8a".repeat(24)}`,
    );
  });

  it("C-FRM-13: what is packed inflates to the same messages, in any chunks", () => {
    const message = fc
      .array(
        fc.oneof(
          fc.constant(new Uint8Array(8)),
          fc.uint8Array({ minLength: 8, maxLength: 8 }),
          fc.uint8Array({ minLength: 8, maxLength: 8 }).map((b) => b.map((x) => x | 1)),
          fc.constant(Uint8Array.of(0, 0, 7, 0, 0, 0, 0, 1)),
        ),
        { maxLength: 40 },
      )
      .map((list) => framed(concat(list)));
    fc.assert(
      fc.property(fc.array(message, { maxLength: 5 }), fc.nat(30), (messages, size) => {
        const packed = concat(messages.map((m) => packMessage([m])));
        const want = messages.map(toHex);
        const framer = new PackedFramer(DEFAULT_LIMITS);
        const parts: Uint8Array[] = [];
        for (let at = 0; at < packed.length; at += size + 1)
          parts.push(packed.subarray(at, at + size + 1));
        expect(inflate(parts, framer)).toEqual(want);
        expect(framer.end()).toBeNull();
        expect(framer.pendingBytes).toBe(0);
      }),
      { seed: 2, numRuns: 300 },
    );
    const long = framed(concat([new Uint8Array(8 * 700), new Uint8Array(8 * 700).fill(9)]));
    expect(inflate([packMessage([long])])).toEqual([toHex(long)]);
  });

  it("C-FRM-13: a run past the end of its message is an error, however it is cut", () => {
    // A header of one segment with one word, then a zero word whose run says two more.
    for (const bytes of [
      fromHex("1001 0002"),
      fromHex(`1001 ff${"11".repeat(8)}01${"22".repeat(8)}`),
    ])
      for (const chunks of [[bytes], bytesOf(bytes)]) {
        const framer = new PackedFramer(DEFAULT_LIMITS);
        const error = errorOf(() => inflate(chunks, framer));
        expect(error.code).toBe("malformed-frame");
        expect(error.message).toContain("run goes past the end");
        expect(errorOf(() => framer.push(new Uint8Array(1), () => {}))).toBe(error);
      }
  });

  it("C-FRM-13: an end inside a tag, word, run or count is premature", () => {
    const packed = packMessage([framed(concat([new Uint8Array(8).fill(1), new Uint8Array(8)]))]);
    for (let n = 1; n < packed.length; n++) {
      const framer = new PackedFramer(DEFAULT_LIMITS);
      framer.push(packed.subarray(0, n), () => {});
      expect(framer.end()?.type, `${n} of ${packed.length}`).toBe("disconnected");
    }
    const literal = new PackedFramer(DEFAULT_LIMITS);
    literal.push(fromHex("1002 ff 0101010101010101"), () => {});
    expect(literal.end()?.type).toBe("disconnected");
  });

  it("C-FRM-13: the size is checked before anything is inflated to it", () => {
    const limits = limitsWith({ messageWords: 100 });
    // 101 words promised; then runs of zeros that would make far more.
    const bytes = concat([fromHex("1065"), fromHex("00ff".repeat(1000))]);
    const framer = new PackedFramer(limits);
    expect(errorOf(() => inflate([bytes], framer)).message).toContain("101 words");
  });

  it.skipIf(missingTool("capnp"))("C-FRM-13: capnp packs and unpacks the same", () => {
    const tool = (from: string, to: string, input: Uint8Array): Uint8Array =>
      new Uint8Array(
        spawnSync("capnp", ["convert", `${from}:${to}`, schemaPath("rpc.capnp"), "Message"], {
          input,
        }).stdout,
      );
    const flat = written((w) => w.resolveCap(3, 4, 8, [1, 2, 3]));
    expect(toHex(tool("packed", "binary", packMessage([flat])))).toBe(toHex(flat));
    expect(inflate([tool("binary", "packed", flat)])).toEqual([toHex(flat)]);
  });
});
