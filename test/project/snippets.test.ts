// The code in README.md and docs/ does what it says: TypeScript is type-checked against the built package and run,
// schemas are compiled with `capstan compile`, and shell commands name scripts and files that are there.

import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { build } from "../../scripts/build.js";
import { tool, walk } from "../../scripts/lib.js";
import { calledBy, fencesOf } from "../support/snippets.js";
import { requireTool } from "../support/tools.js";

const root = path.join(import.meta.dirname, "../..");
const documents = [
  "README.md",
  ...walk(path.join(root, "docs")).map((file) => `docs/${file}`),
].filter((file) => file.endsWith(".md") && fs.existsSync(path.join(root, file)));
const fences = documents.flatMap((doc) =>
  fencesOf(doc, fs.readFileSync(path.join(root, doc), "utf8")),
);
const programs = fences.filter((fence) => fence.language === "ts");
const schemas = fences.filter((fence) => fence.language === "capnp");

/** Inside the project, so that `capstan` means this package, as package.json's exports show it. */
let folder: string | undefined;
const folderOf = (doc: string): string => path.join(folder!, doc.replaceAll("/", "-"));

/** Runs a program to its end and gives all it wrote. */
function run(args: string[], cwd: string): { status: number | null; output: string } {
  const done = spawnSync(process.execPath, args, {
    cwd,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
    timeout: 100_000,
  });
  return { status: done.status, output: done.stdout + done.stderr };
}

describe("code in documents", () => {
  beforeAll(async () => {
    expect(await build(root, false), "the build").toBe(0);
    fs.mkdirSync(path.join(root, ".tmp"), { recursive: true });
    folder = fs.mkdtempSync(path.join(root, ".tmp", "snippets-"));
    for (const { doc, file, text } of [...programs, ...schemas]) {
      fs.mkdirSync(folderOf(doc), { recursive: true });
      fs.writeFileSync(path.join(folderOf(doc), file), text);
    }
  });
  afterAll(() => {
    if (folder !== undefined) fs.rmSync(folder, { recursive: true, force: true });
  });

  it("is there", () => {
    expect(documents).toContain("README.md");
    expect(programs.length).toBeGreaterThan(0);
  });

  // skip: where no document has a schema there is none to compile
  it.runIf(schemas.length > 0)("compiles schemas", () => {
    requireTool("capnp");
    for (const { doc, file } of schemas) {
      const cli = path.join(root, "dist/cli/main.node.js");
      const done = run([cli, "compile", file, "-o", "."], folderOf(doc));
      expect(done, `${doc}: ${file}`).toMatchObject({ status: 0 });
    }
  });

  it("type-checks", () => {
    const config = {
      extends: path.join(root, "tsconfig.json"),
      compilerOptions: {
        noEmit: false,
        allowJs: false,
        noUnusedLocals: false,
        moduleDetection: "force",
        rootDir: ".",
        outDir: ".",
      },
      include: ["**/*.ts"],
      exclude: [],
    };
    fs.writeFileSync(path.join(folder!, "tsconfig.json"), JSON.stringify(config));
    expect(run([tool(root, "tsc"), "-p", "."], folder!)).toEqual({ status: 0, output: "" });
  });

  it.each(programs.filter((fence) => fence.checkOnly === null))(
    "runs $doc:$line",
    ({ doc, file }) => {
      const done = run([file.replace(/ts$/, "js")], folderOf(doc));
      expect(done, done.output).toMatchObject({ status: 0 });
    },
  );

  const shell = fences.filter((fence) => ["sh", "bash", "console"].includes(fence.language));
  it.each(shell)("can be typed: $doc:$line", ({ text }) => {
    const { scripts } = JSON.parse(fs.readFileSync(path.join(root, "package.json"), "utf8"));
    const called = calledBy(text);
    expect(called.scripts.filter((name) => !(name in scripts))).toEqual([]);
    expect(called.files.filter((file) => !fs.existsSync(path.join(root, file)))).toEqual([]);
  });
});

describe("fences", () => {
  it("are found with their line, language, name and directives", () => {
    const markdown = [
      "text",
      "```ts",
      "// file: a.ts",
      "// check only: it never ends",
      "code",
      "// file: no-directive.ts",
      "```",
      "- list",
      "  ````md",
      "  ```ts",
      "  inner",
      "  ````",
      "```capnp",
      "# file: b.capnp",
      "```",
    ].join("\n");
    expect(fencesOf("d.md", markdown)).toEqual([
      {
        doc: "d.md",
        line: 3,
        language: "ts",
        file: "a.ts",
        checkOnly: "it never ends",
        text: "// file: a.ts\n// check only: it never ends\ncode\n// file: no-directive.ts\n",
      },
      {
        doc: "d.md",
        line: 10,
        language: "md",
        file: "line-10.md",
        checkOnly: null,
        text: "```ts\ninner\n",
      },
      {
        doc: "d.md",
        line: 14,
        language: "capnp",
        file: "b.capnp",
        checkOnly: null,
        text: "# file: b.capnp\n",
      },
    ]);
    expect(() => fencesOf("d.md", "```ts\ncode")).toThrow("d.md:1: a fence that is not closed");
  });

  it("of shell commands say which scripts and files they call", () => {
    const text = [
      "$ npm ci && npm test",
      "npm run bench -- --json # npm run nothing",
      "npm install capstan",
      "node scripts/faults.js --only docs/x.md; npm start",
      ".ci/run",
    ].join("\n");
    expect(calledBy(text)).toEqual({
      scripts: ["test", "bench", "start"],
      files: ["scripts/faults.js", ".ci/run"],
    });
  });
});
