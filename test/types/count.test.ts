// The type tests are checked by tsc, in `npm run check`. Here: that they are looked at at all, that each refused line is
// refused for a reason of its own, and how many there are.

import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { expect, it } from "vitest";
import { tool } from "../../scripts/lib.js";

const root = path.join(import.meta.dirname, "../..");
const read = (name: string): string =>
  fs.readFileSync(path.join(import.meta.dirname, name), "utf8");
const accepted = read("accepted.ts").match(/\b(?:is<|fits<|await api\.)/g) ?? [];
const directive = /^\s*\/\/ @ts-expect-error (.+)$/gm;

it("there are enough cases, each refused one with a reason", () => {
  const reasons = [...read("refused.ts").matchAll(directive)].map((match) => match[1]);
  console.log(`type tests: ${accepted.length} accepted, ${reasons.length} refused`);
  expect(accepted.length).toBeGreaterThanOrEqual(120);
  expect(reasons.length).toBeGreaterThanOrEqual(60);
  expect(new Set(reasons).size).toBe(reasons.length);
});

it("without its directive each refused line is an error, and what is accepted is none", () => {
  fs.mkdirSync(path.join(root, ".tmp"), { recursive: true });
  const folder = fs.mkdtempSync(path.join(root, ".tmp", "types-"));
  try {
    const inPlace = (text: string): string =>
      text.replaceAll("../../src/", `${path.join(root, "src")}/`);
    for (const name of ["kit.ts", "objects.ts", "accepted.ts"])
      fs.writeFileSync(path.join(folder, name), inPlace(read(name)));
    // The accepted cases are wrong as soon as what they expect is: so they do check.
    fs.writeFileSync(
      path.join(folder, "wrong.ts"),
      inPlace(read("accepted.ts")).replaceAll("is<string>()", "is<symbol>()"),
    );
    const bare = inPlace(read("refused.ts")).replaceAll(directive, "//");
    fs.writeFileSync(path.join(folder, "refused.ts"), bare);
    const config = {
      extends: path.join(root, "tsconfig.json"),
      compilerOptions: { allowJs: false, rootDir: root },
      include: ["*.ts"],
      exclude: [],
    };
    fs.writeFileSync(path.join(folder, "tsconfig.json"), JSON.stringify(config));
    const run = spawnSync(
      process.execPath,
      [tool(root, "tsc"), "-p", folder, "--pretty", "false"],
      {
        cwd: folder,
        encoding: "utf8",
        timeout: 100_000,
      },
    );
    const lines = (file: string): Set<string> =>
      new Set(
        [...run.stdout.matchAll(new RegExp(`^(?:.*/)?${file}\\((\\d+),`, "gm"))].map((m) => m[1]!),
      );
    expect(lines("accepted.ts")).toEqual(new Set());
    const right = [...read("accepted.ts").matchAll(/is<string>\(\)/g)].length;
    expect(lines("wrong.ts").size).toBe(right);
    expect(lines("refused.ts").size).toBeGreaterThanOrEqual(
      [...read("refused.ts").matchAll(directive)].length,
    );
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
});
