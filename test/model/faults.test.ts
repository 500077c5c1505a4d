// The model can fail: each of these faults, planted in a copy of the source, breaks a rule within 2,000 seeds.

import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { runModel, TIMEOUT_MS } from "./drive.js";

interface Fault {
  name: string;
  file: string;
  find: string;
  replace: string;
  /** The first of its 2,000 seeds, where that is not 1. */
  first?: number;
}

const faults = JSON.parse(readFileSync(new URL("faults.json", import.meta.url), "utf8")) as Fault[];

it("has twelve faults at least, each by its own name", () => {
  expect(new Set(faults.map(({ name }) => name)).size).toBe(faults.length);
  expect(faults.length).toBeGreaterThanOrEqual(12);
});

it.each(faults)(
  "C-EMB-29: finds: $name",
  async ({ name, first = 1 }) => {
    const range = ["--first", String(first), "--seeds", "2000"];
    const { failure, seeds } = await runModel("--fault", name, ...range);
    expect(failure).not.toBe(null);
    console.log(`${name}: seed ${seeds}, ${failure!.message.split("\n", 1)[0]}`);
  },
  TIMEOUT_MS,
);

it(
  "prints what a failing seed breaks as a minimal test file",
  async () => {
    const { failure } = await runModel("--fault", "no embargo", "--seeds", "2000", "--shrink");
    const { test } = failure!;
    expect(test).toContain(`import { replay } from "./shrink.js";`);
    expect(test).toContain("arrived after a call that was made after it");
    expect(test.match(/^ {4}\{"op":/gm)!.length).toBeLessThan(20);
  },
  TIMEOUT_MS,
);
