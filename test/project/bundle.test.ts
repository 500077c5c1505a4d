// The browser bundle: what is in it, how large it is, that its limits can be exceeded, and that what makes it small changes
// nothing that it does. That it works is for test/runtimes.

import fs from "node:fs";
import os from "node:os";
import { spawnSync } from "node:child_process";
import path from "node:path";
import { pathToFileURL } from "node:url";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { browserBundle, BUDGET, bundle, gzipped, problemsOf } from "../../scripts/bundle.js";
import { ownNames, publicNames, withNumbers, withoutUnnamed } from "../../scripts/shorten.js";
import * as entry from "../../src/browser.js";

const root = path.join(import.meta.dirname, "../..");
const FINE = { modules: ["src/index.ts"], imports: [], total: 1, msgpackr: 1 };

let folder = "";
beforeAll(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), "capstan-bundle-"));
});
afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));

describe("the browser bundle", () => {
  it("is whole, has nothing foreign in it and keeps its budget", async () => {
    const made = await browserBundle(root);
    expect(problemsOf(made)).toEqual([]);
    console.log(`bundle: ${made.total} bytes gzipped, msgpackr ${made.msgpackr} of them`);
    expect(made.modules).toContain("src/cap/dynamic/stub.ts");
    expect(made.modules.filter((name) => name.includes("msgpackr"))).not.toEqual([]);
    expect(made.total).toBe(gzipped(made.code));
    // What nobody outside can name is short, and what everybody can is not.
    expect(made.shortened).toContain("handleCall");
    const reachable = publicNames(path.join(root, "src/browser.ts"));
    for (const name of ["onRpcBroken", "callsInFlight", "connection", "idle", "delivery"]) {
      expect(reachable).toContain(name);
      expect(made.shortened).not.toContain(name);
    }
    const file = path.join(folder, "capstan.mjs");
    fs.writeFileSync(file, made.code);
    const loaded = (await import(pathToFileURL(file).href)) as typeof entry;
    expect(Object.keys(loaded).sort()).toEqual(Object.keys(entry).sort());
    for (const [name, value] of Object.entries(entry)) {
      if (typeof value !== "function") continue;
      const { prototype } = value as { prototype?: object };
      const members = Object.getOwnPropertyNames(prototype ?? {}).filter((one) =>
        reachable.has(one),
      );
      const there = Object.getOwnPropertyNames(Reflect.get(loaded, name).prototype ?? {});
      expect(there, name).toEqual(expect.arrayContaining(members));
    }
  });

  it("has no HTTP in it, which has an entry of its own for browsers", async () => {
    const made = await bundle(root, `export * from "./src/index.ts";`);
    expect(made.modules.filter((name) => name.startsWith("src/http"))).toEqual([]);
    const http = await bundle(root, `export * from "./src/http.ts";`, { minify: true });
    expect(problemsOf({ ...http, total: 1, msgpackr: 1 })).toEqual([]);
    const alone = gzipped(http.code);
    console.log(`bundle: capstan/http alone ${alone} bytes gzipped`);
  });

  it("would show what has no business in it", async () => {
    const typed = await bundle(root, `export * from "./src/typed.ts";`);
    const found = problemsOf({ ...FINE, modules: typed.modules, imports: typed.imports });
    expect(found.some((problem) => problem.startsWith("the bundle holds capnp-ts: "))).toBe(true);
    expect(found).toContainEqual(expect.stringMatching(/^the bundle holds the typed layer: /));
    const node = await bundle(root, `export { listen } from "./src/node.ts";`);
    const more = problemsOf({ ...FINE, modules: node.modules, imports: node.imports });
    expect(more).toContain("the bundle holds a module of Node: node:net");
    expect(more).toContain("the bundle is not whole: it imports node:net");
    expect(more).toContainEqual(expect.stringMatching(/^the bundle holds ws: /));
  });

  it("can be made with saved references, without Node and the struct library", async () => {
    const program = `
      import { MemoryTokenStore, Realm, save } from "./src/persist.ts";
      import { RpcStub, RpcTarget } from "./src/index.ts";
      class Room extends RpcTarget { name() { return "lobby"; } }
      const room = new Room();
      const realm = new Realm({ store: new MemoryTokenStore(), restore: () => room });
      realm.persistent(room, "lobby");
      const ref = await save(new RpcStub(room));
      console.log(await realm.restorer().restore(ref, RpcStub).name());`;
    const made = await bundle(root, program, { minify: true });
    expect(made.imports).toEqual([]);
    expect(made.modules.filter((name) => name.includes("capnp-ts"))).toEqual([]);
    // On standard input: a program with no folder to find modules from.
    const args = ["--input-type=module"];
    const ran = spawnSync(process.execPath, args, { input: made.code, encoding: "utf8" });
    expect(ran.stdout, ran.stderr).toBe("lobby\n");
  });

  it("would show what is too large", () => {
    expect(problemsOf(FINE)).toEqual([]);
    expect(problemsOf({ ...FINE, total: BUDGET.total + 1 })).toEqual([
      `${BUDGET.total + 1} bytes gzipped, and ${BUDGET.total} is the most`,
    ]);
    expect(problemsOf({ ...FINE, msgpackr: BUDGET.msgpackr + 1 })).toEqual([
      `msgpackr is ${BUDGET.msgpackr + 1} bytes of it, and ${BUDGET.msgpackr} is the most`,
    ]);
  });
});

describe("msgpackr as it goes in", () => {
  interface Packer {
    pack(value: unknown, mode: number): Uint8Array & { start: number; end: number };
    unpack(bytes: Uint8Array, end?: number): unknown;
  }
  type Loaded = { make(): Packer; MODE: number };
  async function load(specialized: boolean): Promise<Loaded> {
    const source = `import { Packr, RESET_BUFFER_MODE, REUSE_BUFFER_MODE } from "./node_modules/msgpackr/pack.js";
      export const MODE = REUSE_BUFFER_MODE | RESET_BUFFER_MODE;
      export const make = () => new Packr({ useRecords: false, mapsAsObjects: true, variableMapSize: true, moreTypes: false,
        useToJSON: false, copyBuffers: true });`;
    const { code } = await bundle(root, source, { specialized });
    const file = path.join(folder, `packer-${specialized}.mjs`);
    fs.writeFileSync(file, code);
    return (await import(pathToFileURL(file).href)) as Loaded;
  }

  it("writes and reads what msgpackr does, and is given what pack.ts gives", async () => {
    const text = fs.readFileSync(path.join(root, "src/cap/dynamic/values/pack.ts"), "utf8");
    const options = /new Packr\(\{([^}]*)\}/.exec(text)![1]!.replaceAll(/\s+/g, " ").trim();
    expect(options).toBe(
      "useRecords: false, mapsAsObjects: true, variableMapSize: true, moreTypes: false, useToJSON: false, copyBuffers: true,",
    );
    const [whole, special] = await Promise.all([load(false), load(true)]);
    const [one, two] = [whole.make(), special.make()];
    const written = (packer: Packer, tree: unknown): Uint8Array => {
      const packed = packer.pack(tree, whole.MODE);
      return packed.slice(packed.start, packed.end);
    };
    const leaf = fc.oneof(
      fc.integer(),
      fc.double(),
      fc.maxSafeInteger(),
      fc.bigInt({ min: -(2n ** 63n), max: 2n ** 64n - 1n }),
      fc.string({ unit: "binary", maxLength: 300 }),
      fc.boolean(),
      fc.constant(null),
    );
    const key = fc.string({ maxLength: 40 }).filter((name) => name !== "__proto__");
    const { tree } = fc.letrec((tie) => ({
      tree: fc.oneof({ maxDepth: 5 }, leaf, fc.array(tie("tree"), { maxLength: 8 }), tie("map")),
      map: fc.dictionary(key, tie("tree"), { maxKeys: 8, noNullPrototype: true }),
    }));
    fc.assert(
      fc.property(tree, (value) => {
        const bytes = written(one, value);
        expect(Buffer.compare(written(two, value), bytes)).toBe(0);
        expect(two.unpack(bytes)).toEqual(one.unpack(bytes));
      }),
      { numRuns: 150 },
    );
    for (const count of [15, 16, 65_535, 65_536]) {
      const list = Array.from({ length: count }, (_, i) => i);
      const map = Object.fromEntries(list.map((i) => [`k${i}`, i]));
      for (const value of [list, map]) {
        const bytes = written(one, value);
        expect(Buffer.compare(written(two, value), bytes)).toBe(0);
        expect(Buffer.compare(written(two, two.unpack(bytes)), bytes)).toBe(0);
      }
    }
    for (const length of [31, 32, 255, 256, 65_535, 65_536]) {
      const word = "é".repeat(length);
      const bytes = written(one, word);
      expect(Buffer.compare(written(two, word), bytes)).toBe(0);
      expect(two.unpack(bytes)).toBe(word);
    }
    // A byte string is all that is read and never written.
    expect(two.unpack(Uint8Array.of(0xc4, 2, 1, 2))).toEqual(Uint8Array.of(1, 2));
  });
});

describe("what makes the bundle small", () => {
  const put = (name: string, text: string): string => {
    const file = path.join(folder, name);
    fs.writeFileSync(file, text);
    return file;
  };

  it("finds the names that a user can reach, through every kind of type", () => {
    put(
      "far.ts",
      `export class Far { private hidden = 1; shown = new Near(); get got(): Got { return null!; } static own(): void {} }
      class Near { near(x: Options): Array<{ inline: 1 }> { const local = { inner: 1 }; return []; } }
      interface Got extends Base { method(): typeof record }
      interface Base { base?: string }
      interface Options { readonly option: 1 }
      export interface Sealed { never: 1 }
      export interface Part { taken: Base; left: { leftInside: 1 } }
      const record = { member: { deep: 1 } } as const;
      export const fn = (x: { param: 1 }): void => {};
      export interface Unseen { unseen: 1 }`,
    );
    const file = put(
      "entry.ts",
      `import type { Sealed, Part } from "./far.js";
      export { Far as Renamed, fn } from "./far.js";
      export interface Mine extends Omit<Part, "left"> { a(x: Sealed): Pick<Part, "taken"> }`,
    );
    expect([...publicNames(file, [], ["Sealed"])].sort()).toEqual(
      [
        "a",
        "base",
        "deep",
        "got",
        "inline",
        "member",
        "method",
        "near",
        "option",
        "own",
        "param",
        "shown",
        "taken",
      ].sort(),
    );
    expect(publicNames(file)).toContain("never");
    expect(publicNames(file, [{ file: path.join(folder, "far.ts"), name: "Unseen" }])).toContain(
      "unseen",
    );
    const unclear = put("unclear.ts", "export class A { field = compute(); }");
    expect(() => publicNames(unclear)).toThrow(/the type of a public value is not written/);
    const silent = put("silent.ts", "export class A { method() { return 1; } }");
    expect(() => publicNames(silent)).toThrow(/what method returns is not written/);
  });

  it("keeps names that texts, the runtime and others know", () => {
    const code = `class A { mine() { return this.field; } known() {} looked() {} }
      const local = (x) => x; local({ passed: 1 }); Object.assign({}, { given: 1, in: { deeper: 1 } });
      "looked" in new A(); new A().mine(); new A().known();`;
    expect([...ownNames(code, new Set(["known", "assign"]))].sort()).toEqual([
      "field",
      "mine",
      "passed",
    ]);
  });

  it("leaves out methods that nothing names, and nothing else", () => {
    const own = new Set(["used", "unused", "field"]);
    const code = `class A { field = 1; used() {} unused() { this.used(); } get unused() { return 1; } other() {} }`;
    const left = withoutUnnamed(code, own);
    expect(left).not.toContain("unused");
    for (const name of ["field", "used", "other"]) expect(left).toContain(name);
  });

  it("writes numbers for constants, where nothing else is done with them", () => {
    const code = `const Tag = { a: 1, b: -2 }; const Kept = { a: 1 }; const Shadowed = { a: 1 };
      f(Tag.a, Tag.b); g(Kept, Kept.a); h((Shadowed) => Shadowed.a);`;
    const made = withNumbers(code);
    expect(made).toContain("f(1, (-2))");
    expect(made).toContain("g(Kept, Kept.a)");
    expect(made).toContain("Shadowed.a)");
  });
});
