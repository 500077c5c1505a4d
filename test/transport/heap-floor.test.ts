// Large messages in a heap of a size that V8 would mark over and over.

import { spawnSync } from "node:child_process";
import v8 from "node:v8";
import { describe, expect, it } from "vitest";
import { FLOOR_HELPS, HeapFloor, type HeapSize } from "../../src/transport/heap-floor.node.js";
import { compilePrograms } from "../support/programs.js";

const MIB = 1024 * 1024;
const LARGE_LIMIT = 4096 * MIB;

/** A floor under a heap of which `old` bytes are others'; takes `mebibytes` of buffers at a time. */
function floorUnder(heap: { old: number; limit?: number }) {
  let looks = 0;
  const floor: HeapFloor = new HeapFloor((): HeapSize => {
    looks++;
    return { old: heap.old + floor.bytes, limit: heap.limit ?? LARGE_LIMIT };
  });
  const take = (mebibytes: number): number => {
    for (let i = 0; i < mebibytes * 16; i++) floor.allocated(MIB / 16);
    return floor.bytes / MIB;
  };
  return { take, looks: () => looks };
}

describe("the floor of the heap", () => {
  it("is taken for a heap in between, up to where it is not marked, and not before there is garbage", () => {
    const heap = { old: 9 * MIB };
    const { take, looks } = floorUnder(heap);
    expect(take(31)).toBe(0);
    expect(looks()).toBe(0);
    expect(take(1)).toBe(7);
    expect(looks()).toBe(1);
    // It was smaller than it seemed.
    heap.old = 8.5 * MIB;
    expect(take(32)).toBe(7);
    heap.old = 8 * MIB;
    expect(take(32)).toBe(8);
    for (const old of [6, 10, 19]) {
      heap.old = old * MIB;
      expect(take(32)).toBe(8);
    }
    heap.old = 20.5 * MIB;
    expect(take(32)).toBe(0);
    expect(take(32)).toBe(0);
  });

  it("is not taken where it would change nothing", () => {
    expect(floorUnder({ old: 5 * MIB }).take(64)).toBe(0);
    expect(floorUnder({ old: 15.5 * MIB }).take(64)).toBe(0);
    expect(floorUnder({ old: 200 * MIB }).take(64)).toBe(0);
    expect(floorUnder({ old: 9 * MIB, limit: 1024 * MIB }).take(64)).toBe(0);
  });

  it("a program that reads large chunks has its heap marked for them half as often, or never", (context) => {
    const limit = v8.getHeapStatistics().heap_size_limit;
    if (limit < 2048 * MIB)
      return context.skip(`a heap of at most ${limit} bytes here: V8 lets none grow by four times`);
    if (!FLOOR_HELPS) return context.skip(`V8 ${process.versions.v8} would not be helped by it`);
    const programs = compilePrograms(["test/transport/chunk-reader.ts"]);
    /** How often the heap was marked for a gigabyte. */
    const marked = (mode: string): number => {
      const run = spawnSync(
        process.execPath,
        ["--trace-gc", programs.file("test/transport/chunk-reader.ts"), mode],
        { encoding: "utf8", timeout: 100_000 },
      );
      expect(run.stderr).toBe("");
      const [, reading = "", after] = run.stdout.split(/^(?:reading|read)\n/m);
      expect(after).toBeDefined();
      return reading.match(/Mark-Compact/g)?.length ?? 0;
    };
    // V8 measures its own speed, which means little when others are busy.
    const tries: string[] = [];
    try {
      for (let less = false; !less;) {
        const [without, within] = [marked("without"), marked("within")];
        tries.push(`${without} without, ${within} within`);
        less = within <= without / 2;
        if (!less && tries.length === 5) expect.fail(tries.join("; "));
      }
    } finally {
      programs.dispose();
    }
  }, 120_000);
});
