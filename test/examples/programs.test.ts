// The small programs of examples/ run to their end, print what they say, and leave nothing running.

import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";

const root = path.join(import.meta.dirname, "../..");

function run(name: string): string[] {
  const program = path.join(root, `build/programs/examples/${name}/main.js`);
  const done = spawnSync(process.execPath, [program], { encoding: "utf8", timeout: 100_000 });
  expect(done.stderr).toBe("");
  expect(done.status).toBe(0);
  return done.stdout.trimEnd().split("\n");
}

describe("examples", () => {
  it("pipelining: three dependent calls are one round trip", () => {
    const review = `"Ada's first": a fine book`;
    expect(run("pipelining")).toEqual([
      `pipelined: 1 round trip: ${review}`,
      `awaited: 3 round trips: ${review}`,
      `for each book: 1 round trip: ${review}; "Ada's second": a fine book`,
    ]);
  });

  it("callbacks: the server calls a function and an object of the client's", () => {
    expect(run("callbacks")).toEqual([
      "1 of 3",
      "2 of 3",
      "3 of 3",
      "apple, pear",
      "pear? I cannot say",
    ]);
  });

  it("chat: everyone hears everyone, until they leave or are gone", () => {
    const lines = run("chat");
    const heardBy = (name: string): string[] =>
      lines.flatMap((line) => line.split(`  [${name}] `).slice(1));
    expect(lines).toContain("there is a Bob already");
    expect(heardBy("Ada")).toEqual([
      "* Ada is here",
      "* Bob is here",
      "* Eve is here",
      "Bob: Hello, all.",
      "* Bob left",
      "* Eve left",
      "Ada: Anyone?",
    ]);
    expect(heardBy("Bob")).toEqual(["* Bob is here", "* Eve is here", "Bob: Hello, all."]);
    expect(heardBy("Eve")).toEqual(["* Eve is here", "Bob: Hello, all.", "* Bob left"]);
  });

  it("share: what was handed over, and what was got through it, is cut off", () => {
    expect(run("share")).toEqual([
      "the guest reads: World peace.",
      "the guest is told: World peace.",
      "the watch ended: Ada took it back",
      "the folder: Ada took it back",
      "the file: Ada took it back",
      "the owner reads: World peace.",
    ]);
  });

  it("pool: jobs run in several threads, and one that dies is replaced", () => {
    expect(run("pool")).toEqual([
      "primes below 80000: 7837",
      "in 2 threads",
      "a worker died: disconnected",
      "and was replaced: 25, 25",
    ]);
  });

  it("auth: the first object yields others only for a credential", () => {
    expect(run("auth")).toEqual([
      "Ada: a secret",
      "Bob: 0 notes",
      "Bob in the office fails: Bob has no office",
      "Ada in the office: Ada",
      "a stranger fails: not known here",
      "a stranger with no text fails: validation failed at args[0]",
    ]);
  });

  it("are short, and in the README", () => {
    const readme = fs.readFileSync(path.join(root, "README.md"), "utf8");
    for (const name of fs.readdirSync(path.join(root, "examples"))) {
      expect(readme).toContain(`(examples/${name}/`);
      const main = fs.readFileSync(path.join(root, `examples/${name}/main.ts`), "utf8");
      expect(main.split("\n").length, name).toBeLessThanOrEqual(150);
    }
  });
});
