// What nobody catches: in the code of an object it breaks that one; elsewhere it ends the process as ever. In a process of its own,
// since the test runner has listeners for both.

import { spawnSync } from "node:child_process";
import { afterAll, beforeAll, expect, it } from "vitest";
import { compilePrograms, type Programs } from "../../support/programs.js";

const PROGRAM = "test/host/programs/stray-faults.ts";
let programs: Programs;
beforeAll(() => {
  programs = compilePrograms([PROGRAM]);
});
afterAll(() => programs.dispose());

const SAID = [
  "object-broken: in a timer",
  "hello",
  "object-broken: in a forgotten promise",
  "hello",
  "hello",
];

it("a fault that nobody catches breaks its object, and no neighbour", () => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [programs.file(PROGRAM)], {
    encoding: "utf8",
  });
  expect(stderr).toBe("");
  expect(JSON.parse(stdout)).toEqual(SAID);
  expect(status).toBe(0);
});

it("one outside of objects ends the process, as it would without a host", () => {
  const args = [programs.file(PROGRAM), "outside"];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
  expect(JSON.parse(stdout)).toEqual(SAID);
  expect(stderr).toContain("Error: outside");
  expect(status).toBe(1);
});
