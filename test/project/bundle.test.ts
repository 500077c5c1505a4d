// The browser bundle: what is in it, how large it is, and that its limits can be exceeded.

import { spawnSync } from "node:child_process";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { browserBundle, BUDGET, bundle, gzipped, problemsOf } from "../../scripts/bundle.js";

const root = path.join(import.meta.dirname, "../..");
const FINE = { modules: ["src/index.ts"], imports: [], total: 1, msgpackr: 1 };

describe("the browser bundle", () => {
  it("is whole, has nothing foreign in it and keeps its budget", async () => {
    const made = await browserBundle(root);
    expect(problemsOf(made)).toEqual([]);
    console.log(`bundle: ${made.total} bytes gzipped, msgpackr ${made.msgpackr} of them`);
    expect(made.modules).toContain("src/cap/dynamic/stub.ts");
    expect(made.modules.filter((name) => name.includes("msgpackr"))).not.toEqual([]);
    expect(made.total).toBe(gzipped(made.code));
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
