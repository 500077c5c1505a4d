// @ts-check
// The direction of imports: which file may know which. Pure: from the texts of files to a list of problems.
//
// A file imports its own room or a room above it in ROOMS. Two things stand outside the table: entry points
// (src/*.ts), which import anything and are imported by nothing below them, and TOP, programs and kits made of
// all rooms. Node lives in files called *.node.ts, and only such a file (or the entry point src/node.ts) imports
// one. Imports of types alone vanish at run time: they obey the direction, but two files of one room may name each
// other's types.

import path from "node:path";
import { builtinModules } from "node:module";
import { importsOf } from "./source-text.js";

/** The rooms of src, from the one that knows nothing to the one that may know all. */
export const ROOMS = [
  "base",
  "wire",
  "transport",
  "hook",
  "rpc",
  "cap",
  "persist",
  "vat",
  "http",
  "workerd",
  "host",
  "observe",
  "cli",
];

/** Folders of src that are made of all rooms; only each other and entry points import them. */
export const TOP = ["testing", "demo"];

/** npm modules that run in Node alone. */
const NODE_ONLY = new Set(["ws", "lmdb", "rolldown"]);

/** npm modules that one folder keeps from the rest: see docs/architecture.md. */
const KEPT = new Map([
  ["capnp-ts", "src/cap/typed/"],
  ["msgpackr", "src/cap/dynamic/values/"],
  ["tweetnacl", "src/persist/"],
  ["jsonc-parser", "src/host/module/"],
  ["smol-toml", "src/host/module/"],
]);

const BUILTIN = new Set(builtinModules);

/**
 * @typedef {object} Problem
 * @property {string} file
 * @property {number} line
 * @property {string} what a sentence that names the import and the rule
 */

/**
 * @param {ReadonlyMap<string, string>} files path from the project's root (forward slashes) to text
 * @param {ReadonlySet<string>} dependencies npm modules that a user of the package has, from package.json
 * @returns {Problem[]}
 */
export function checkImports(files, dependencies) {
  /** @type {Problem[]} */
  const problems = [];
  /** @type {Map<string, { to: string, line: number }[]>} run-time imports between files of src */
  const edges = new Map();
  for (const [file, text] of files) {
    if (!/\.[cm]?[jt]s$/.test(file)) continue;
    for (const { specifier, typeOnly, line } of importsOf(text)) {
      const to = specifier.startsWith(".") ? resolve(file, specifier, files) : null;
      const what =
        refuseGenerated(file, specifier, to) ??
        (!file.startsWith("src/")
          ? null
          : specifier.startsWith(".")
            ? refuseRelative(file, specifier, to)
            : refuseModule(file, specifier, dependencies));
      if (what !== null) problems.push({ file, line, what });
      if (to?.startsWith("src/") && file.startsWith("src/") && !typeOnly) {
        const known = edges.get(file);
        if (known === undefined) edges.set(file, [{ to, line }]);
        else known.push({ to, line });
      }
    }
  }
  return [...problems, ...cycles(edges)];
}

/** @param {string} file */
const isEntry = (file) => /^src\/[^/]+\.ts$/.test(file);
/** @param {string} file */
const isGenerated = (file) => file.endsWith(".capnp.ts");
/** @param {string} file */
const isNode = (file) => file.endsWith(".node.ts") || file === "src/node.ts";

/** Where in the table a file of src stands: entry points and TOP after all rooms. @param {string} file */
function rank(file) {
  if (isEntry(file)) return ROOMS.length + 1;
  const room = file.split("/")[1] ?? "";
  return TOP.includes(room) ? ROOMS.length : ROOMS.indexOf(room);
}

/**
 * @param {string} file
 * @param {string} specifier
 * @param {ReadonlyMap<string, string>} files
 * @returns {string | null} null for what is not there
 */
function resolve(file, specifier, files) {
  const at = path.posix.join(path.posix.dirname(file), specifier);
  const source = at.replace(/\.([cm]?)js$/, ".$1ts");
  return files.has(source) ? source : files.has(at) ? at : null;
}

/**
 * Code generated from a schema stands on capstan/typed alone, and on code generated from the schemas it imports.
 * @param {string} file
 * @param {string} specifier
 * @param {string | null} to
 */
function refuseGenerated(file, specifier, to) {
  if (!isGenerated(file)) return null;
  if (specifier === "capstan/typed" || to === "src/typed.ts") return null;
  if (to !== null && isGenerated(to)) return null;
  if (/^\..*\.capnp\.js$/.test(specifier)) return null;
  return `generated code imports "${specifier}", but may import only capstan/typed and generated code`;
}

/**
 * @param {string} file
 * @param {string} specifier
 * @param {string | null} to
 */
function refuseRelative(file, specifier, to) {
  if (to === null)
    return `imports "${specifier}", which is not there (relative imports end in .js)`;
  if (!to.startsWith("src/")) return `imports "${specifier}", outside src`;
  if (isNode(to) && !isNode(file)) {
    return `imports "${specifier}": only *.node.ts and src/node.ts may import a Node file`;
  }
  const from = rank(file);
  const below = isGenerated(file) && to === "src/typed.ts" ? ROOMS.indexOf("cap") : rank(to);
  if (from < 0) return `stands in a folder that the table of rooms does not have`;
  if (below > from) {
    return `imports "${specifier}" upward: ${file.split("/")[1]} stands above ${roomOf(to)} in the table`;
  }
  return null;
}

/** @param {string} file */
const roomOf = (file) => (isEntry(file) ? `the entry point ${file}` : file.split("/")[1]);

/**
 * @param {string} file
 * @param {string} specifier
 * @param {ReadonlySet<string>} dependencies
 */
function refuseModule(file, specifier, dependencies) {
  const name = specifier.split("/", specifier.startsWith("@") ? 2 : 1).join("/");
  if (specifier.startsWith("node:") || BUILTIN.has(name)) {
    if (!specifier.startsWith("node:")) return `imports "${specifier}": write "node:${specifier}"`;
    return isNode(file) ? null : `imports "${specifier}", and is not called *.node.ts`;
  }
  if (NODE_ONLY.has(name) && !isNode(file)) {
    return `imports "${specifier}", which needs Node, and is not called *.node.ts`;
  }
  const keeper = KEPT.get(name);
  if (keeper !== undefined && !file.startsWith(keeper)) {
    return `imports "${specifier}", which only ${keeper} may`;
  }
  if (name === "capstan" && isGenerated(file)) return null;
  if (!dependencies.has(name))
    return `imports "${specifier}", which package.json does not give its users`;
  return null;
}

/**
 * Every cycle once, named by the path around it.
 * @param {ReadonlyMap<string, readonly { to: string, line: number }[]>} edges
 * @returns {Problem[]}
 */
function cycles(edges) {
  /** @type {Problem[]} */
  const found = [];
  /** @type {Set<string>} */
  const done = new Set();
  /** @type {string[]} */
  const trail = [];
  /** @param {string} file */
  const visit = (file) => {
    trail.push(file);
    for (const { to, line } of edges.get(file) ?? []) {
      const start = trail.indexOf(to);
      if (start >= 0) {
        const around = [...trail.slice(start), to].join(" -> ");
        found.push({ file, line, what: `closes a cycle of imports: ${around}` });
      } else if (!done.has(to)) {
        visit(to);
      }
    }
    trail.pop();
    done.add(file);
  };
  for (const file of edges.keys()) if (!done.has(file)) visit(file);
  return found;
}
