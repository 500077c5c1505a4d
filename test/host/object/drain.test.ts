// A host that ends in a program that has nothing else to do: the process stays until that is done, and no longer.

import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { MemoryStore, createHost } from "../../../src/host.node.js";
import { compilePrograms, type Programs } from "../../support/programs.js";

const PROGRAM = "test/host/programs/drains.ts";
const directory = mkdtempSync(join(tmpdir(), "capstan-drain-"));
let programs: Programs;
beforeAll(() => {
  programs = compilePrograms([PROGRAM]);
});
afterAll(() => {
  programs.dispose();
  rmSync(directory, { recursive: true });
});

function run(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [programs.file(PROGRAM), ...args],
    { encoding: "utf8" },
  );
  return { status, stdout, stderr };
}

it.each([
  ["with nothing that runs", ["idle"], "done\n"],
  ["after a call", ["drain"], "done\n"],
  ["with a call that nothing ends but the time limit", ["hanging"], "object-closed\ndone\n"],
  ["by close", ["close"], "done\n"],
  ["with a store on the disk", ["drain", directory], "done\n"],
  ["by close with a store on the disk", ["close", directory], "done\n"],
])("ends %s", (_, args, stdout) => {
  expect(run(...args)).toEqual({ status: 0, stdout, stderr: "" });
});

it("refuses a timeout that is no time, and goes on", async () => {
  await using host = await createHost({ store: new MemoryStore(), classes: {} });
  for (const timeout of ["x", -1, null, Number.NaN] as unknown as number[])
    await expect(host.drain(timeout)).rejects.toMatchObject({
      code: "invalid-argument",
      message: expect.stringContaining("timeout must be milliseconds") as string,
    });
});
