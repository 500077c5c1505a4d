// The browser bundle: what is in it, how large it is, and that its limits can be exceeded.

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
