// Modules are bundled with all that they import but Capstan, and imported; what is wrong with one is said.

import fs from "node:fs";
import { describe, expect, it, vi } from "vitest";
import { ENTRY_FILES } from "../../../src/host/module/bundle.node.js";
import { NO_CONFIG } from "../../../src/host/module/config.js";
import { loadModule } from "../../../src/host/module/load.node.js";
import { DurableObject, type ObjectClass } from "../../../src/host.node.js";
import { RpcError } from "../../../src/index.js";
import { env, WorkerEntrypoint } from "../../../src/workers.node.js";
import { failureOf, moduleFolder } from "./kit.js";

const FETCH = `export default { fetch: () => new Response("hi") };`;

async function codeAndMessage(promise: Promise<unknown>): Promise<string> {
  const error = await failureOf(promise);
  return `${RpcError.of(error)?.code}: ${error.message.replace(/\.tmp\/module-\w+\//g, "")}`;
}

describe("a module", () => {
  const folder = moduleFolder();

  it("is bundled with TypeScript, packages, texts and data; Capstan stays outside", async () => {
    folder.put("node_modules/pack/package.json", `{ "name": "pack", "main": "main.js" }`);
    folder.put(
      "node_modules/pack/main.js",
      `exports.twice = (x) => x + x; try { require("optional") } catch {}`,
    );
    folder.put("page/a.html", "<p>`${1}</p>\n");
    folder.put("page/style.css", "p {}\n");
    folder.put("data.bin", Uint8Array.of(0, 255, 7));
    folder.put("add.wasm", Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0));
    folder.put("lib/other.ts", `export enum Kind { A = 7 }`);
    folder.put(
      "worker.ts",
      `import { DurableObject, WorkerEntrypoint } from "cloudflare:workers";
      import { RpcError } from "capstan";
      import fs from "fs";
      import { twice } from "pack";
      import page from "./page/a.html";
      import css from "./page/style.css";
      import data from "./data.bin";
      import wasm from "./add.wasm?module";
      import { Kind } from "./lib/other";
      export class Room extends DurableObject { private x: number = 1; }
      export const found = { page, css, data, wasm, kind: Kind.A, twice: twice("ab"), RpcError, fs: fs.existsSync("/") };
      export default class extends WorkerEntrypoint { fetch() { return found as any; } }`,
    );
    const rules = [{ type: "Text", globs: ["**/*.css"] }];
    const { file } = await folder.bundle("worker.ts", { rules });
    const text = fs.readFileSync(file, "utf8");
    expect([...text.matchAll(/^import .* from "(.*)"/gm)].map(([, from]) => from)).toEqual([
      // For the require of the package.
      "node:module",
      expect.stringMatching(/^file:.*\/workers\.node\./),
      expect.stringMatching(/^file:.*\/index\./),
      "node:fs",
    ]);
    const module = await folder.load("worker.ts", { rules });
    expect(module.bindings).toEqual({ Room: "Room" });
    expect((module.classes["Room"] as ObjectClass).prototype).toBeInstanceOf(DurableObject);
    const EntryPoint = module.entryPoint as unknown as new (...args: unknown[]) => {
      fetch(): Record<string, unknown>;
    };
    expect(EntryPoint.prototype).toBeInstanceOf(WorkerEntrypoint);
    const { data, wasm, ...found } = new EntryPoint({}, {}).fetch();
    expect(found).toEqual({
      page: "<p>`${1}</p>\n",
      css: "p {}\n",
      kind: 7,
      twice: "abab",
      RpcError,
      fs: true,
    });
    expect(new Uint8Array(data as ArrayBuffer)).toEqual(Uint8Array.of(0, 255, 7));
    expect(wasm).toBeInstanceOf(WebAssembly.Module);
  });

  it("is a file whose name changes with what is in it, and has a source map", async () => {
    folder.put("a.ts", FETCH);
    const first = await folder.bundle("a.ts");
    expect(await folder.bundle("a.ts")).toEqual(first);
    folder.put("a.ts", `${FETCH}\nconsole.log(1);`);
    const second = await folder.bundle("a.ts");
    expect(second.file).not.toBe(first.file);
    const [, map] = /sourceMappingURL=data:application\/json;charset=utf-8;base64,(.+)/.exec(
      fs.readFileSync(second.file, "utf8"),
    )!;
    expect(JSON.parse(Buffer.from(map!, "base64").toString())).toMatchObject({
      sources: [expect.stringMatching(/a\.ts$/)],
    });
  });

  it("that cannot be bundled says where", async () => {
    folder.put("syntax.ts", `const a = 1;\nconst b: number = ;\n`);
    folder.put("import.ts", `import { x } from "./missing.js";\nexport default x;`);
    folder.put("package.ts", `import { x } from "no-such-package";\nexport default x;`);
    folder.put("name.ts", `import { y } from "./lib.ts";\nexport default y;`);
    folder.put("lib.ts", `export const x = 1;`);
    folder.put(
      "cloud.ts",
      `import { connect } from "cloudflare:sockets";\nexport default connect;`,
    );
    folder.put("entry.ts", `import { x } from "capstan/none";\nexport default x;`);
    const of = (name: string): Promise<string> => codeAndMessage(folder.bundle(name));
    expect(await of("none.ts")).toBe("module-failed: there is no module none.ts");
    expect(await of("syntax.ts")).toBe("module-failed: syntax.ts:2:19: Unexpected token");
    expect(await of("import.ts")).toBe(
      "module-failed: import.ts imports ./missing.js, which was not found",
    );
    expect(await of("package.ts")).toBe(
      "module-failed: package.ts imports no-such-package, which was not found",
    );
    expect(await of("name.ts")).toMatch(
      /^module-failed: name\.ts:1:\d+: .*"y" is not exported by "lib\.ts"/,
    );
    expect(await of("cloud.ts")).toBe(
      "module-failed: cloudflare:sockets is not there: of Cloudflare's modules this host has cloudflare:workers",
    );
    expect(await of("entry.ts")).toBe("module-failed: capstan has no entry point none");
  });

  it("that cannot be loaded says why", async () => {
    folder.put("throws.ts", `throw new RangeError("too far");`);
    folder.put(
      "name.ts",
      `import { WorkflowEntrypoint } from "cloudflare:workers";\nexport class A extends WorkflowEntrypoint {}\n${FETCH}`,
    );
    expect(await codeAndMessage(folder.load("throws.ts"))).toBe(
      "module-failed: the module threw while it was loaded: too far",
    );
    expect((await failureOf(folder.load("throws.ts"))).cause).toBeInstanceOf(RangeError);
    expect(RpcError.of(await failureOf(folder.load("name.ts")))?.code).toBe("module-failed");
  });

  it("that lacks what is to be served says what", async () => {
    const durable_objects = { bindings: [{ name: "ROOMS", class_name: "Room" }] };
    folder.put("nothing.ts", `export const a = 1;`);
    folder.put("number.ts", `export default 1;`);
    folder.put("classless.ts", `export class Rooms {}\n${FETCH}`);
    folder.put("function.ts", `export const Room = () => 1;\n${FETCH}`);
    const of = (name: string): Promise<string> =>
      codeAndMessage(folder.load(name, { durable_objects }));
    expect(await codeAndMessage(folder.load("nothing.ts"))).toMatch(
      /^module-export: the module has no default export/,
    );
    expect(await codeAndMessage(folder.load("number.ts"))).toBe(
      "module-export: the default export of the module has no fetch",
    );
    expect(await of("classless.ts")).toBe(
      "module-export: the module does not export Room, the class of a binding; it exports Rooms",
    );
    expect(await of("function.ts")).toBe(
      "module-export: the module exports, and not as a class, Room, the class of a binding; it exports Room",
    );
  });

  it("has the classes whose objects are collected, by the names by which these are stored", async () => {
    folder.put("worker.ts", `export class Room {} export class Part {}\n${FETCH}`);
    const bindings = [
      { name: "ROOMS", class_name: "Room" },
      { name: "PARTS", class_name: "Part", collect: true },
    ];
    const migrations = [
      { tag: "1", new_classes: ["Piece"] },
      { tag: "2", renamed_classes: [{ from: "Piece", to: "Part" }] },
    ];
    const { classes } = await folder.load("worker.ts", {
      durable_objects: { bindings },
      migrations,
    });
    expect(classes).toEqual({
      Room: expect.any(Function) as unknown,
      Piece: { class: expect.any(Function) as unknown, collect: true },
    });
    const { file } = await folder.bundle("worker.ts");
    const terms = { ...NO_CONFIG, collect: ["Parts"] };
    expect(await codeAndMessage(loadModule(file, terms))).toBe(
      "module-export: the objects of Parts are to be collected, and no binding is of that class",
    );
  });

  it("finds its variables while it is loaded, and its objects not yet", async () => {
    folder.put(
      "worker.ts",
      `import { env, waitUntil } from "cloudflare:workers";
      export class Room {}
      const early = Promise.resolve().then(() => { settled.push("early"); });
      export const settled: unknown[] = [];
      waitUntil(early);
      let why = "";
      try { env.ROOMS; } catch (error) { why = (error as Error).message; }
      const said = [env.GREETING, Object.keys(env), "ROOMS" in env, "NONE" in env, why];
      export default { fetch: () => said, settled };`,
    );
    const { entryPoint, bindings } = await folder.load("worker.ts", {
      vars: { GREETING: "hello" },
      durable_objects: { bindings: [{ name: "ROOMS", class_name: "Room" }] },
    });
    expect(bindings).toEqual({ ROOMS: "Room" });
    expect((entryPoint as unknown as { fetch(): unknown; settled: unknown }).settled).toEqual([
      "early",
    ]);
    expect((entryPoint as unknown as { fetch(): unknown }).fetch()).toEqual([
      "hello",
      ["GREETING"],
      true,
      false,
      "env.ROOMS is not there while the module is loaded: use it when something is called",
    ]);
    expect(Object.keys(env)).toEqual([]);
  });
});

describe("without rolldown", () => {
  const folder = moduleFolder();
  it("it is said what to install", async () => {
    folder.put("a.ts", FETCH);
    vi.doMock("rolldown", () => {
      throw new Error("not there");
    });
    vi.resetModules();
    try {
      const { bundleModule } = await import("../../../src/host/module/bundle.node.js");
      const failure = failureOf(
        bundleModule({ main: folder.put("a.ts", FETCH), into: folder.path, rules: [] }),
      );
      expect(await failure).toMatchObject({
        code: "missing-dependency",
        message: expect.stringContaining("npm install rolldown"),
      });
    } finally {
      vi.doUnmock("rolldown");
      vi.resetModules();
    }
  });
});

it("every entry point of the package is known to the bundler", () => {
  const { exports } = JSON.parse(fs.readFileSync("package.json", "utf8")) as {
    exports: Record<string, { default?: string }>;
  };
  const known = Object.entries(exports)
    .filter(([name]) => name !== "./package.json")
    .map(([name, { default: file }]) => [
      name.replace(/^\.\/?/, ""),
      file!.replace(/^\.\/dist\/(.*)\.js$/, "$1"),
    ]);
  expect(ENTRY_FILES).toEqual(Object.fromEntries(known));
});
