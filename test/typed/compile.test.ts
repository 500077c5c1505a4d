// The schema compiler as a library: what it writes is complete, formatted, typed, deterministic, and can be shaken.

import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { tool } from "../../scripts/lib.js";
import { compile, type CompiledModule } from "../../src/cap/typed/compiler/index.js";
import { RpcError } from "../../src/typed.js";
import { missingTool } from "../support/tools.js";

const root = path.join(import.meta.dirname, "../..");
const schemas = path.join(root, "test/typed/schemas");
const skip = missingTool("capnp") !== null;

/** The request for some schema files, as the capnp tool writes it. */
function request(files: readonly string[], prefix: string): Uint8Array {
  const done = spawnSync("capnp", ["compile", "-o-", `--src-prefix=${prefix}`, ...files], {
    maxBuffer: 1 << 28,
  });
  if (done.status !== 0) throw new Error(String(done.stderr));
  return done.stdout;
}

/** Folders where capnp's own schemas are installed: those it searches by itself. */
function standardFolder(): string {
  const known = ["/usr/local/include", "/usr/include"].find((one) =>
    fs.existsSync(path.join(one, "capnp/schema.capnp")),
  );
  if (known === undefined)
    throw new Error("capnp's own schemas are not installed: install libcapnp-dev");
  return known;
}

const STANDARD = ["c++", "persistent", "rpc", "rpc-twoparty", "schema", "stream"];

let folder = "";
beforeAll(() => {
  fs.mkdirSync(path.join(root, ".tmp"), { recursive: true });
  folder = fs.mkdtempSync(path.join(root, ".tmp", "compile-"));
});
afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));

function write(modules: readonly CompiledModule[]): string[] {
  return modules.map(({ path: file, text }) => {
    const target = path.join(folder, file);
    fs.mkdirSync(path.dirname(target), { recursive: true });
    fs.writeFileSync(target, text);
    return target;
  });
}

function run(
  name: string,
  args: string[],
  cwd = folder,
): { status: number | null; output: string } {
  const done = spawnSync(process.execPath, [tool(root, name), ...args], { cwd, encoding: "utf8" });
  return { status: done.status, output: done.stdout + done.stderr };
}

describe.skipIf(skip)("generated code", () => {
  const standard = (): CompiledModule[] => {
    const base = standardFolder();
    const files = STANDARD.map((name) => path.join(base, `capnp/${name}.capnp`));
    // The runtime as the built package shows it would need a build first; types of the sources are the same.
    return compile(request(files, base), { runtime: "../../src/typed.js" });
  };

  it("of capnp's own schemas, and of a schema with every feature, type-checks under the strictest rules", () => {
    const own = compile(
      request(
        ["features.capnp", "homonyms.capnp", "imported/other.capnp"].map((name) =>
          path.join(schemas, name),
        ),
        schemas,
      ),
      { runtime: "../../src/typed.js" },
    );
    write([...standard(), ...own]);
    const config = {
      extends: "../../tsconfig.json",
      compilerOptions: {
        rootDir: "../..",
        noUncheckedIndexedAccess: true,
        isolatedDeclarations: false,
      },
      include: ["**/*.ts"],
      exclude: [],
    };
    fs.writeFileSync(path.join(folder, "tsconfig.json"), JSON.stringify(config));
    const { output } = run("tsc", ["-p", ".", "--noEmit"]);
    const here = output.split("\n").filter((line) => line !== "" && !/^(\.\.\/|\s)/.test(line));
    expect(here).toEqual([]);
    expect(fs.existsSync(path.join(folder, "capnp/schema.capnp.ts"))).toBe(true);
  }, 120_000);

  it("is formatted, and the formatter finds nothing to change", () => {
    const files = write(standard());
    const checked = [
      ...files,
      ...["features", "homonyms", "newer", "older"].map((name) =>
        path.join(schemas, `${name}.capnp.ts`),
      ),
    ];
    fs.copyFileSync(path.join(root, ".oxfmtrc.json"), path.join(folder, "format.json"));
    const config = JSON.parse(fs.readFileSync(path.join(folder, "format.json"), "utf8")) as {
      ignorePatterns?: string[];
    };
    delete config.ignorePatterns;
    fs.writeFileSync(path.join(folder, "format.json"), JSON.stringify(config));
    for (const file of checked) {
      const copy = path.join(folder, "copy.ts");
      fs.copyFileSync(file, copy);
      const { status, output } = run("oxfmt", ["-c", path.join(folder, "format.json"), copy]);
      expect(status, output).toBe(0);
      expect(fs.readFileSync(copy, "utf8"), file).toBe(fs.readFileSync(file, "utf8"));
    }
  });

  it("imports the runtime and other generated code alone, and says any nowhere", () => {
    for (const { text, path: file } of standard()) {
      for (const [, specifier] of text.matchAll(/from "([^"]+)"/g))
        expect(
          specifier === "../../../src/typed.js" || /^\.{1,2}\/.*\.capnp\.js$/.test(specifier!),
          specifier,
        ).toBe(true);
      expect(text.replace(/\/\*\*[^]*?\*\/|"[^"]*"/g, ""), file).not.toMatch(
        /\bany\b(?!Pointer|Struct|List|Kind|[(:])/,
      );
    }
    const base = standardFolder();
    const [module] = compile(request([path.join(base, "capnp/stream.capnp")], base));
    expect(module!.text).toContain('import * as $ from "capstan/typed";');
  });

  it("is the same each time, and what is checked in", () => {
    for (const name of ["features", "homonyms", "older", "newer"]) {
      const bytes = request([path.join(schemas, `${name}.capnp`)], schemas);
      const [first] = compile(bytes, { runtime: "../../../src/typed.js" });
      const [second] = compile(bytes, { runtime: "../../../src/typed.js" });
      expect(second!.text).toBe(first!.text);
      expect(fs.readFileSync(path.join(schemas, first!.path), "utf8"), name).toBe(first!.text);
    }
  });

  it("reads its own input: the compiler's schema.capnp.ts is what it generates", () => {
    const base = standardFolder();
    const [module] = compile(
      request([path.join(base, "capnp/schema.capnp")], path.join(base, "capnp")),
      {
        runtime: "../../../typed.js",
      },
    );
    expect(fs.readFileSync(path.join(root, "src/cap/typed/compiler/schema.capnp.ts"), "utf8")).toBe(
      module!.text,
    );
  });

  it("tells what it imports", () => {
    const [features] = compile(request([path.join(schemas, "features.capnp")], schemas));
    expect(features!.imports).toEqual(["imported/other.capnp"]);
    expect(features!.source).toBe("features.capnp");
    expect(features!.path).toBe("features.capnp.ts");
  });

  it("can be shaken: a program that uses one enum keeps no class of the module", async () => {
    const { rolldown } = await import("rolldown");
    const file = path.join(folder, "shake.capnp");
    fs.writeFileSync(
      file,
      `@0xe1c2a3b4c5d6e7f1;
      annotation note @0xe1c2a3b4c5d6e7f2 (*) :Part;
      enum Color $note(x = 1) { red @0; green @1 $note(x = 2); }
      struct Part { x @0 :Int32; list @1 :List(Int8) = [1, 2]; }
      struct Whole $note(x = 3) {
        part @0 :Part = (x = 5);
        union { a @1 :Void; b :group { c @2 :Text; } }
      }
      struct Box(T) { value @0 :T; }
      interface Maker { make @0 (box :Box(Text)) -> (whole :Whole); push @1 (data :Data) -> stream; }
      const answer :Int32 = 42;
      const parts :List(Part) = [(x = 1)];
      const boxed :Box(Text) = (value = "t");`,
    );
    const [module] = compile(request([file], folder), { runtime: "../../src/typed.js" });
    write([module!]);
    const entry = path.join(folder, "entry.ts");
    const bundle = async (code: string): Promise<string> => {
      fs.writeFileSync(entry, code);
      const build = await rolldown({
        input: entry,
        // Not with our own settings of TypeScript, by which static fields are assigned: with what a user has by default.
        tsconfig: false,
        external: /typed\.js$/,
        treeshake: { moduleSideEffects: false },
        logLevel: "silent",
      });
      const { output } = await build.generate({ format: "esm" });
      await build.close();
      return output[0].code;
    };
    const from = 'from "./shake.capnp.js";';
    const one = await bundle(`import { Color, answer } ${from}\nconsole.log(Color.red, answer);\n`);
    expect(one).toContain("red: 0");
    expect(one).not.toMatch(/class|function|structInfo|constant|literal/);
    // What a bundler leaves of the classes that are not used must not fail either.
    const part = await bundle(`import { Part } ${from}\nconsole.log(Part._capnp.dataWords);\n`);
    expect(part).toContain("class Part");
    expect(part).not.toMatch(/class (Whole|Maker|Box)/);
  });

  it("runs from a bundle, whatever a bundler leaves of the classes that are not used", async () => {
    const { rolldown } = await import("rolldown");
    const entry = path.join(folder, "program.ts");
    const module = JSON.stringify(path.join(schemas, "features.capnp.ts"));
    const typed = JSON.stringify(path.join(root, "src/typed.ts"));
    fs.writeFileSync(
      entry,
      `import { Message, serve } from ${typed};
      import { Counter, path, Shape } from ${module};
      const shape = new Message().initRoot(Shape);
      shape.set({ polygon: path });
      const counter = serve(Counter, { next: ({ by }) => ({ value: by + 1 }), reset() {} });
      console.log(shape.polygon.get(1).label, (await counter.next({ by: 4 })).value);`,
    );
    const build = await rolldown({ input: entry, platform: "node", logLevel: "silent" });
    const file = path.join(folder, "program.mjs");
    await build.write({ format: "esm", file });
    await build.close();
    expect(spawnSync(process.execPath, [file], { encoding: "utf8" })).toMatchObject({
      status: 0,
      stdout: "two 5\n",
      stderr: "",
    });
  });
});

describe("a request that is none", () => {
  it("is refused with a schema-error that says so", () => {
    const cases: [Uint8Array, RegExp][] = [
      [new Uint8Array(), /empty/],
      [new TextEncoder().encode("struct Foo { x @0 :Int32; }"), /not a CodeGeneratorRequest/],
      [new Uint8Array(16).fill(255), /not a CodeGeneratorRequest/],
      [
        new Uint8Array([0, 0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0]),
        /not a CodeGeneratorRequest/,
      ],
    ];
    for (const [bytes, message] of cases) {
      expect(() => compile(bytes)).toThrow(message);
      expect(() => compile(bytes)).toThrow(RpcError);
    }
  });

  it("asks for nothing and gets nothing", () => {
    expect(
      compile(new Uint8Array([0, 0, 0, 0, 1, 0, 0, 0, 0xfc, 255, 255, 255, 0, 0, 0, 0])),
    ).toEqual([]);
  });
});
