// @ts-check
// Rules of the house that no linter knows. Pure: from the texts of files to a list of problems.

import { readSource } from "./source-text.js";

/** @typedef {import("./imports.js").Problem} Problem */

/** Aim at 250, stop here. */
export const MAX_LINES = 700;

const SOURCE = /\.(?:[cm]?[jt]s|capnp|cc|c\+\+|h|py|go|rs|sh)$/;
const SCRIPT = /\.[cm]?[jt]s$/;
/** Made by a program of ours, not read by people. */
const GENERATED = /\.capnp\.ts$/;

// This file is read by its own rules, so each forbidden word is written here in pieces.
const UNFINISHED = new RegExp(
  `\\b(?:${["TO_DO", "FIX_ME", "X_XX"].join("|").replaceAll("_", "")})\\b`,
);
const REGISTRIES = [
  ["registry", "npmjs", "org"],
  ["registry", "yarnpkg", "com"],
  ["registry", "npmmirror", "com"],
  ["npm", "pkg", "github", "com"],
  ["files", "pythonhosted", "org"],
  ["pypi", "org"],
  ["crates", "io"],
  ["proxy", "golang", "org"],
  ["deb", "debian", "org"],
].map((parts) => parts.join("."));

/**
 * @param {ReadonlyMap<string, string>} files path from the project's root to text
 * @param {readonly string[]} machinePaths absolute folders of this machine that no file may name
 * @returns {Problem[]}
 */
export function checkHouseRules(files, machinePaths) {
  /** @type {Problem[]} */
  const problems = [];
  const paths = machinePaths.filter((p) => p.length > 1).map(pathPattern);
  for (const [file, text] of files) {
    const lines = text.split("\n");
    /** @param {number} index @param {string} what */
    const add = (index, what) => problems.push({ file, line: index + 1, what });

    if (SOURCE.test(file) && !GENERATED.test(file) && lines.length - 1 > MAX_LINES) {
      add(MAX_LINES, `has ${lines.length - 1} lines, and ${MAX_LINES} is the most`);
    }
    lines.forEach((line, index) => {
      if (UNFINISHED.test(line)) add(index, "leaves a note of work to do");
      for (const host of REGISTRIES) if (line.includes(host)) add(index, `names ${host}`);
      for (const { path, pattern } of paths) {
        if (pattern.test(line)) add(index, `names ${path}, a path of one machine`);
      }
    });
    if (!SCRIPT.test(file)) continue;
    const code = readSource(text).code.split("\n");
    if (/\.test\.[cm]?[jt]s$/.test(file)) checkSkips(lines, code, add);
    if (file.startsWith("src/")) checkPortable(code, add);
  }
  return problems;
}

/**
 * A folder as the start of an absolute path: not as the tail of a relative one or of an address.
 * @param {string} path
 */
function pathPattern(path) {
  const literal = path.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  return { path, pattern: new RegExp(`(?<![\\w.~-])${literal}(?![\\w.-])`) };
}

/**
 * A skipped test says why: in a comment `skip: <reason>` on its line or the one above, or as the argument of
 * `context.skip("reason")`. A file that skips by missingTool (test/support/tools.ts) need not: that prints the reason.
 * @param {readonly string[]} lines
 * @param {readonly string[]} code
 * @param {(index: number, what: string) => void} add
 */
function checkSkips(lines, code, add) {
  const forTools = code.some((line) => /\bmissingTool\(/.test(line));
  code.forEach((line, index) => {
    const said = [lines[index], lines[index - 1]].some((l) => /\/\/\s*skip:\s*\S/.test(l ?? ""));
    if (/\b(?:it|test|describe|suite)(?:\.\w+)*\.(?:skip|skipIf|runIf|todo|fails)\b/.test(line)) {
      if (!said && !(forTools && /\.skipIf\b/.test(line)))
        add(index, "skips a test without a comment `skip: <reason>`");
    } else if (/\.skip\(\s*\)/.test(line)) {
      add(index, "skips a test without a reason: skip(reason)");
    }
    if (/\b(?:it|test|describe|suite)(?:\.\w+)*\.only\b/.test(line))
      add(index, "runs one test only");
  });
}

/**
 * What Node 20 cannot run or a browser does not have, where neither types nor linter would say so.
 * @param {readonly string[]} code
 * @param {(index: number, what: string) => void} add
 */
function checkPortable(code, add) {
  code.forEach((line, index) => {
    if (/^\s*(?:await\s+)?using\s+\w+\s*=/.test(line)) add(index, "has a `using` declaration");
    if (/\b(?:Async)?DisposableStack\b/.test(line))
      add(index, "uses DisposableStack, which Node 20 lacks");
  });
}
