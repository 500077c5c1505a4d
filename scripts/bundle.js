// @ts-check
// The entry `capstan/browser` as a browser or a Worker loads it: one file, minified and shortened, measured. The build puts the
// same file into dist, and test/runtimes runs it.
//
//   node scripts/bundle.js    writes build/bundle/capstan.js, prints the sizes, fails over a limit or for a module
//                             that has no business in a browser
//
// It is made of src, not of dist: what is measured is what is in the checkout.

import fs from "node:fs";
import path from "node:path";
import zlib from "node:zlib";
import { fileURLToPath, pathToFileURL } from "node:url";
import { rolldown } from "rolldown";
import { shorten } from "./shorten.js";
import { specialize } from "./specialize.js";

/**
 * Bytes, gzipped. `goal` is what the bundle is to come down to; `total` and `msgpackr` are what the build fails over.
 * Both are ratchets: they follow the bundle down and are raised by a decision only, never to let a change pass.
 */
export const BUDGET = { goal: 45_000, total: 69_830, msgpackr: 4_000 };

/** Modules that no browser may have to load. */
const FOREIGN = [
  { what: "capnp-ts", in: /node_modules\/capnp-ts\// },
  { what: "tweetnacl", in: /node_modules\/tweetnacl\// },
  { what: "ws", in: /node_modules\/ws\// },
  { what: "lmdb", in: /node_modules\/lmdb\// },
  { what: "a module of Node", in: /^node:|\.node\.ts$|^src\/node\.ts$/ },
  { what: "the typed layer", in: /^src\/cap\/typed\// },
  { what: "saved references", in: /^src\/persist\// },
];

/** The two modules of msgpackr that go in. */
const PACKER = /node_modules[\\/]msgpackr[\\/](un)?pack\.js$/;

/** Whoever passes the file on passes this on; the build puts the licence beside it. */
const NOTICE = "/*! Holds a part of msgpackr, MIT licence: browser.LICENSE.txt */";

/** What leaves by other ways than the types of the entry: what is said over a MessagePort beside messages. */
const SAID = [{ file: "src/transport/messageport.ts", name: "Control" }];

/** Types of parameters that no user of `capstan/browser` can have an object of. */
const SEALED = ["Hook", "LocalCall", "Scheduler"];

/** Methods for tests and for what is not in the bundle, whose names a library has too. */
const UNNEEDED = ["any", "check", "f64", "i64", "seal", "setPipeline"];

/**
 * @typedef {object} Bundle
 * @property {string} code
 * @property {string[]} modules what went into it, relative to the project
 * @property {string[]} imports what it still imports
 */

/**
 * Bundles one module for any runtime that has no Node.
 *
 * @param {string} root the project's folder
 * @param {string} source a module's text, whose relative imports start at the project's folder
 * @param {{ minify?: boolean, external?: (module: string) => string | null, platform?: "browser" | "node", specialized?: boolean }} [options]
 *   `external` names, for a module of the project, the file from which it is loaded instead of going in; `specialized`:
 *   msgpackr as src uses it alone
 * @returns {Promise<Bundle>}
 */
export async function bundle(root, source, options = {}) {
  const {
    minify = false,
    external = () => null,
    platform = "browser",
    specialized = false,
  } = options;
  const home = path.resolve(root);
  const entry = path.join(home, "bundled-entry.ts");
  const build = await rolldown({
    input: entry,
    platform,
    // Its `paths` lead to msgpackr's types.
    tsconfig: false,
    // As tsc writes dist (useDefineForClassFields).
    transform: {
      target: "es2022",
      assumptions: { setPublicClassFields: true },
      typescript: { removeClassFieldsWithoutInitializer: true },
    },
    checks: { invalidAnnotation: false },
    // A module that is not found stays an import, to be reported by who looks at them.
    logLevel: "silent",
    external: platform === "node" ? [/^node:/, "ws", "lmdb"] : [],
    plugins: [
      {
        name: "project",
        resolveId: {
          order: "pre",
          async handler(id, importer, extra) {
            if (id === entry) return entry;
            if (id.startsWith("node:")) return { id, external: true };
            const found = await this.resolve(id, importer, { ...extra, skipSelf: true });
            if (found === null) return null;
            const module = path.relative(home, found.id).replaceAll("\\", "/");
            const elsewhere = external(module);
            if (elsewhere !== null) return { id: elsewhere, external: true };
            // package.json says of the library alone that to load it does nothing.
            return module.startsWith("test/") ? { ...found, moduleSideEffects: true } : found;
          },
        },
        load(id) {
          if (id === entry) return { code: source, moduleType: "ts" };
          if (!specialized || !PACKER.test(id)) return null;
          return { code: specialize(fs.readFileSync(id, "utf8")), moduleType: "js" };
        },
      },
    ],
  });
  try {
    const { output } = await build.generate({
      format: "esm",
      minify,
      codeSplitting: false,
      comments: { legal: false, annotation: false, jsdoc: false },
    });
    const [chunk] = output;
    if (output.length !== 1 || chunk.type !== "chunk") throw new Error("not one file");
    return {
      code: chunk.code,
      modules: Object.keys(chunk.modules)
        .filter((id) => id !== entry && path.isAbsolute(id))
        .map((id) => path.relative(home, id).replaceAll("\\", "/"))
        .sort(),
      imports: [...chunk.imports, ...chunk.dynamicImports],
    };
  } finally {
    await build.close();
  }
}

/** @param {string} code @returns {number} bytes as a server would send them */
export function gzipped(code) {
  return zlib.gzipSync(code, { level: 9 }).length;
}

/**
 * The entry `capstan/browser`, minified and shortened, with its sizes.
 *
 * @param {string} root
 * @returns {Promise<Bundle & { size: number, total: number, msgpackr: number, shortened: string[] }>} bytes: plain, and
 *   gzipped in all and of msgpackr alone; and the names that became short
 */
export async function browserBundle(root) {
  const all = await bundle(root, `export * from "./src/browser.ts";`, { specialized: true });
  const packer = await bundle(root, `export { Packr } from "./node_modules/msgpackr/pack.js";`, {
    minify: true,
    specialized: true,
  });
  /** @param {string} file */
  const absolute = (file) => path.resolve(root, file);
  const { code: short, shortened } = shorten(all.code, {
    entry: absolute("src/browser.ts"),
    modules: all.modules.filter((name) => name.startsWith("src/")).map(absolute),
    foreign: all.modules
      .filter((name) => !name.startsWith("src/"))
      .map((name) => specialize(fs.readFileSync(absolute(name), "utf8"))),
    also: SAID.map(({ file, name }) => ({ file: absolute(file), name })),
    sealed: SEALED,
    unneeded: UNNEEDED,
  });
  const code = `${NOTICE}\n${short}`;
  const [total, msgpackr] = [gzipped(code), gzipped(packer.code)];
  return { ...all, code, shortened, size: code.length, total, msgpackr };
}

/**
 * @param {Pick<Bundle, "modules" | "imports"> & { total: number, msgpackr: number }} made
 * @returns {string[]} what is wrong with it
 */
export function problemsOf({ modules, imports, total, msgpackr }) {
  const problems = [];
  for (const name of [...modules, ...imports])
    for (const { what, in: pattern } of FOREIGN)
      if (pattern.test(name)) problems.push(`the bundle holds ${what}: ${name}`);
  for (const name of imports) problems.push(`the bundle is not whole: it imports ${name}`);
  if (total > BUDGET.total)
    problems.push(`${total} bytes gzipped, and ${BUDGET.total} is the most`);
  if (msgpackr > BUDGET.msgpackr)
    problems.push(`msgpackr is ${msgpackr} bytes of it, and ${BUDGET.msgpackr} is the most`);
  return problems;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const root = fileURLToPath(new URL("..", import.meta.url));
  const made = await browserBundle(root);
  const file = path.join(root, "build/bundle/capstan.js");
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(file, made.code);
  const { goal, total: most } = BUDGET;
  console.log(`bundle: ${made.modules.length} modules, ${made.size} bytes minified`);
  console.log(`bundle: ${made.total} bytes gzipped (the most ${most}, the goal ${goal})`);
  console.log(`bundle: msgpackr is ${made.msgpackr} of them (the most ${BUDGET.msgpackr})`);
  if (made.total > goal)
    console.log(
      `bundle: the goal is missed by ${made.total - goal} bytes: see docs/guide/runtimes.md`,
    );
  const problems = problemsOf(made);
  for (const problem of problems) console.log(`bundle: ${problem}`);
  process.exitCode = problems.length === 0 ? 0 : 1;
}
