// What is no option of a host is refused before anything is opened or stored, with its name and what to give instead.

import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { createHost, DurableObject, MemoryStore, startHost } from "../../../src/host.node.js";
import { settle, testHost } from "../kit.js";

/** Anything at all, where a type is asked for. */
const any = (value: unknown): never => value as never;

class Box extends DurableObject {
  value = 0;

  async put(bytes: number): Promise<void> {
    await this.ctx.storage.put("value", new Uint8Array(bytes));
  }
  async section(callback: unknown): Promise<string> {
    this.value++;
    return this.ctx.blockConcurrencyWhile(any(callback));
  }
  count(): number {
    return this.value;
  }
}

const refusal = (part: string): object => ({
  code: "invalid-argument",
  message: expect.stringContaining(part) as string,
});

describe("createHost", () => {
  const classes = { BOXES: Box };
  const store = new MemoryStore();
  const REFUSED: [part: string, options: unknown][] = [
    ["store of a host must be a Store", undefined],
    ["store of a host must be a Store", null],
    ["store of a host must be a Store", { classes }],
    ["store of a host must be a Store", { classes, store: Promise.resolve(store) }],
    ["classes of a host", { store }],
    ["classes.A must be a class, or { class, collect: true }, not 5", { store, classes: { A: 5 } }],
    ["classes.A", { store, classes: { A: null } }],
    ["classes.A", { store, classes: { A: { class: "Box", collect: true } } }],
    ["classes.A", { store, classes: { A: { class: Box, collect: false } } }],
    ["limits.idleTime must be a number", { store, classes, limits: { idleTime: "10s" } }],
    ["limits.idleTime must be a number", { store, classes, limits: { idleTime: -1 } }],
    ["limits.valueBytes must be a number", { store, classes, limits: { valueBytes: NaN } }],
    ["no limit foo: there are idleTime, ", { store, classes, limits: { foo: 1 } }],
    ["no limit toString", { store, classes, limits: { toString: 1 } }],
    ["limits of a host", { store, classes, limits: 5 }],
  ];

  it.each(REFUSED)("refuses: %s (%j)", async (part, options) => {
    await expect(createHost(any(options))).rejects.toMatchObject(refusal(part));
    expect(store.range({ from: new Uint8Array(0), to: Uint8Array.of(255) })).toEqual([]);
  });

  it("has the default for a limit that is left open, and takes Infinity", async () => {
    const limits = { idleTime: Infinity, valueBytes: any(undefined) };
    const { env } = await testHost({ BOXES: Box }, { limits });
    using box = env.BOXES.getByName("a");
    await box.put(1024 * 1024);
    await expect(Promise.resolve(box.put(3 * 1024 * 1024))).rejects.toThrow("bytes");
  });
});

describe("startHost", () => {
  const folder = mkdtempSync(join(tmpdir(), "capstan-options-"));
  afterAll(() => rmSync(folder, { recursive: true }));
  const program = "data:text/javascript,";
  const REFUSED: [part: string, options: object | undefined][] = [
    ["directory of a host", undefined],
    ["directory of a host", { program, directory: 5 }],
    ["program of a host must be the URL of a module", { program: undefined }],
    ["limits.idleTime must be a number", { program, limits: { idleTime: "10s" } }],
    ["no limit foo", { program, limits: { foo: 1 } }],
    ["connections must be a number", { program, connections: "many" }],
    ["reachTime must be milliseconds", { program, reachTime: -1 }],
    ["yieldTime must be milliseconds", { program, yieldTime: "1s" }],
    ["drainTime must be milliseconds", { program, drainTime: NaN }],
  ];

  it.each(REFUSED)("refuses: %s", async (part, options) => {
    const directory = join(folder, "data");
    const given = options && { directory, ...options };
    await expect(startHost(any(given))).rejects.toMatchObject(refusal(part));
    expect(existsSync(directory)).toBe(false);
  });
});

describe("blockConcurrencyWhile", () => {
  it.each([undefined, "x"])("refuses %s, and the object goes on", async (callback) => {
    const { env } = await testHost({ BOXES: Box });
    using box = env.BOXES.getByName("a");
    const called = Promise.resolve(box.section(callback));
    await expect(called).rejects.toMatchObject({
      message: expect.stringContaining("blockConcurrencyWhile takes a function") as string,
    });
    await settle();
    expect(await box.count()).toBe(1);
  });
});
