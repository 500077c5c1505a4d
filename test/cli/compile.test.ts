// The programs capstan and capnpc-capstan, as processes: what they write where, and how they end.

import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { compilePrograms, type Programs } from "../support/programs.js";
import { missingTool } from "../support/tools.js";

const root = path.join(import.meta.dirname, "../..");
const schemas = path.join(root, "test/typed/schemas");
const skip = missingTool("capnp") !== null;

let programs: Programs;
let folder = "";
beforeAll(() => {
  programs = compilePrograms(["src/cli/main.node.ts", "src/cli/capnpc.node.ts"]);
});
afterAll(() => programs.dispose());
beforeEach(() => {
  fs.mkdirSync(path.join(root, ".tmp"), { recursive: true });
  folder = fs.mkdtempSync(path.join(root, ".tmp", "cli-"));
  return () => fs.rmSync(folder, { recursive: true, force: true });
});

interface Done {
  status: number | null;
  stdout: string;
  stderr: string;
}

function capstan(args: string[], options: { input?: Uint8Array; path?: string } = {}): Done {
  const done = spawnSync(process.execPath, [programs.file("src/cli/main.node.ts"), ...args], {
    cwd: folder,
    encoding: "utf8",
    ...(options.input === undefined ? {} : { input: options.input }),
    env: options.path === undefined ? process.env : { PATH: options.path },
  });
  return { status: done.status, stdout: done.stdout, stderr: done.stderr };
}

function put(name: string, text: string): string {
  const file = path.join(folder, name);
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(file, text);
  return file;
}

const read = (name: string): string => fs.readFileSync(path.join(folder, name), "utf8");
const small = "@0xe1c2a3b4c5d6e7f8;\nstruct Small { x @0 :Int32; }\n";

describe("capstan", () => {
  it("helps, and tells its version, on stdout", () => {
    for (const flag of ["--help", "-h"]) {
      expect(capstan([flag])).toMatchObject({
        status: 0,
        stderr: "",
        stdout: expect.stringContaining("capstan COMMAND"),
      });
      expect(capstan(["compile", flag])).toMatchObject({
        status: 0,
        stderr: "",
        stdout: expect.stringContaining("compile FILE"),
      });
    }
    const { version } = JSON.parse(fs.readFileSync(path.join(root, "package.json"), "utf8")) as {
      version: string;
    };
    expect(capstan(["--version"])).toEqual({ status: 0, stdout: `${version}\n`, stderr: "" });
  });

  it("ends with 2 when it is called wrongly, and says nothing on stdout", () => {
    for (const args of [
      [],
      ["nonsense"],
      ["toString"],
      ["compile"],
      ["compile", "x.capnp", "--nonsense"],
      ["compile", "-o"],
    ]) {
      const { status, stdout, stderr } = capstan(args);
      expect({ args, status, stdout }).toEqual({ args, status: 2, stdout: "" });
      expect(stderr).toMatch(/^capstan: .+\ntry capstan --help\n$/);
    }
  });

  it("ends with 1 when a file is missing or is no request", () => {
    expect(capstan(["compile", "none.capnp"])).toMatchObject({
      status: 1,
      stdout: "",
      stderr: expect.stringContaining("none.capnp"),
    });
    expect(capstan(["compile", "none.bin"])).toMatchObject({ status: 1, stdout: "" });
    put("garbage.bin", "no request at all");
    expect(capstan(["compile", "garbage.bin"])).toMatchObject({
      status: 1,
      stdout: "",
      stderr: expect.stringContaining("not a CodeGeneratorRequest"),
    });
  });

  it("without the capnp tool says how to get it", () => {
    put("small.capnp", small);
    const { status, stdout, stderr } = capstan(["compile", "small.capnp"], {
      path: path.join(folder, "empty"),
    });
    expect({ status, stdout }).toEqual({ status: 1, stdout: "" });
    expect(stderr).toMatch(
      /capnp tool was not found.*apt-get install capnproto.*capnp compile -o-/s,
    );
  });
});

describe.skipIf(skip)("capstan compile", () => {
  it("writes beside the schema, prints the path, and leaves a right file alone", () => {
    put("dir/small.capnp", small);
    const done = capstan(["compile", "dir/small.capnp"]);
    expect(done).toEqual({
      status: 0,
      stdout: `${path.join(folder, "dir/small.capnp.ts")}\n`,
      stderr: "",
    });
    expect(read("dir/small.capnp.ts")).toContain("export class Small extends $.Struct");
    const before = fs.statSync(path.join(folder, "dir/small.capnp.ts")).mtimeMs;
    capstan(["compile", "dir/small.capnp"]);
    expect(fs.statSync(path.join(folder, "dir/small.capnp.ts")).mtimeMs).toBe(before);
  });

  it("writes to another folder, with what is imported, standard schemas too", () => {
    const { status, stdout } = capstan([
      "compile",
      path.join(schemas, "features.capnp"),
      "-o",
      "out",
    ]);
    expect(status).toBe(0);
    expect(stdout.trim().split("\n").sort()).toEqual(
      [
        "out/capnp/persistent.capnp.ts",
        "out/features.capnp.ts",
        "out/imported/other.capnp.ts",
      ].sort(),
    );
    expect(read("out/imported/other.capnp.ts")).toContain('from "../capnp/persistent.capnp.js"');
    expect(
      capstan(["compile", path.join(schemas, "features.capnp"), "-o", "alone", "--no-imports"])
        .stdout,
    ).toBe("alone/features.capnp.ts\n");
  });

  it("takes several files, and keeps their folders apart", () => {
    put("a/one.capnp", small);
    put("b/two.capnp", small.replaceAll("0xe1c2", "0xe1c3").replace("Small", "Other"));
    expect(capstan(["compile", "a/one.capnp", "b/two.capnp", "-o", "out"]).stdout).toBe(
      "out/a/one.capnp.ts\nout/b/two.capnp.ts\n",
    );
    expect(capstan(["compile", "a/one.capnp", "-o", "out2", "--src-prefix", "."]).stdout).toBe(
      "out2/a/one.capnp.ts\n",
    );
    expect(capstan(["compile", "a/one.capnp", "-o", "out3", "--src-prefix", "b"])).toMatchObject({
      status: 1,
      stdout: "",
    });
  });

  it("finds imports that begin with a slash, and takes the runtime's name", () => {
    put("lib/shared/thing.capnp", small);
    put(
      "user.capnp",
      '@0xe1c2a3b4c5d6e7f9;\nusing T = import "/shared/thing.capnp";\nstruct User { s @0 :T.Small; }\n',
    );
    const done = capstan([
      "compile",
      "user.capnp",
      "-I",
      "lib",
      "-o",
      "out",
      "--runtime",
      "./rt.js",
    ]);
    expect(done).toEqual({
      status: 0,
      stdout: "out/user.capnp.ts\nout/shared/thing.capnp.ts\n",
      stderr: "",
    });
    expect(read("out/user.capnp.ts")).toContain('from "./rt.js"');
    expect(read("out/user.capnp.ts")).toContain('from "./shared/thing.capnp.js"');
    expect(read("out/shared/thing.capnp.ts")).toContain('from "../rt.js"');
  });

  it("ends with 1 when capnp refuses the schema, and passes its words on", () => {
    put("bad.capnp", "@0xe1c2a3b4c5d6e7f8;\nstruct Bad { x @0 :Nope; }\n");
    const { status, stdout, stderr } = capstan(["compile", "bad.capnp"]);
    expect({ status, stdout }).toEqual({ status: 1, stdout: "" });
    expect(stderr).toMatch(/Nope/);
    expect(fs.existsSync(path.join(folder, "bad.capnp.ts"))).toBe(false);
  });

  it("takes a saved request, from a file and from stdin", () => {
    put("small.capnp", small);
    const saved = spawnSync("capnp", ["compile", "-o-", "small.capnp"], {
      cwd: folder,
      env: { ...process.env, PWD: folder },
    }).stdout;
    fs.writeFileSync(path.join(folder, "saved.bin"), saved);
    expect(capstan(["compile", "saved.bin", "-o", "file"])).toEqual({
      status: 0,
      stdout: "file/small.capnp.ts\n",
      stderr: "",
    });
    expect(capstan(["compile", "-", "-o", "stdin"], { input: saved, path: folder })).toEqual({
      status: 0,
      stdout: "stdin/small.capnp.ts\n",
      stderr: "",
    });
    capstan(["compile", "small.capnp", "-o", "tool"]);
    expect(read("file/small.capnp.ts")).toBe(read("tool/small.capnp.ts"));
    expect(read("stdin/small.capnp.ts")).toBe(read("tool/small.capnp.ts"));
  });
});

describe.skipIf(skip)("capnpc-capstan", () => {
  it("is the plugin that `capnp compile -o capstan` looks for", () => {
    put("small.capnp", small);
    const plugin = put(
      "bin/capnpc-capstan",
      `#!/bin/sh\nexec "${process.execPath}" "${programs.file("src/cli/capnpc.node.ts")}" "$@"\n`,
    );
    fs.chmodSync(plugin, 0o755);
    fs.mkdirSync(path.join(folder, "out"));
    const env = {
      ...process.env,
      PWD: folder,
      PATH: `${path.join(folder, "bin")}:${process.env["PATH"]}`,
    };
    const done = spawnSync("capnp", ["compile", "-o", "capstan:out", "small.capnp"], {
      cwd: folder,
      env,
      encoding: "utf8",
    });
    expect([done.status, done.stdout, done.stderr]).toEqual([0, "", ""]);
    expect(read("out/small.capnp.ts")).toContain("export class Small");
  });

  it("refuses what is no request, and arguments", () => {
    const plugin = (args: string[], input: string): Done =>
      spawnSync(process.execPath, [programs.file("src/cli/capnpc.node.ts"), ...args], {
        cwd: folder,
        input,
        encoding: "utf8",
      });
    expect(plugin([], "garbage")).toMatchObject({
      status: 1,
      stdout: "",
      stderr: expect.stringMatching(/^capnpc-capstan: /),
    });
    expect(plugin(["x"], "")).toMatchObject({ status: 2, stdout: "" });
    expect(plugin(["--help"], "")).toMatchObject({ status: 0, stderr: "" });
  });
});
