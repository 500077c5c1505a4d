import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";

const program = fileURLToPath(
  new URL("../../build/programs/examples/upload/main.js", import.meta.url),
);

it("uploads in a stream, with progress, within a few windows, and tells a broken one", () => {
  const run = spawnSync(process.execPath, [program], { encoding: "utf8", timeout: 100_000 });
  expect(run.stderr).toBe("");
  expect(run.status).toBe(0);
  const lines = run.stdout.trim().split("\n");
  expect(lines.slice(0, -3)).toHaveLength(8);
  expect(lines[0]).toBe("1.0 MB");
  expect(lines.slice(-3)).toEqual([
    "zeros.bin: 8388608 bytes, intact",
    expect.stringMatching(/^at most [1-3] MB on their way$/),
    "half.bin: the disk is gone",
  ]);
});
