// @ts-check
// What the project's scripts share: where things are. Knows nothing of what they check.

import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";

/** Commands that are not called like their packages. */
const OWNERS = new Map([
  ["tsc", "typescript"],
  ["attw", "@arethetypeswrong/cli"],
]);

/** Folders that hold nothing of ours. */
const FOREIGN = new Set(["node_modules", "dist", "build", ".git", ".tmp"]);

/**
 * Every file below a folder, as sorted paths with forward slashes, relative to it.
 * @param {string} folder
 * @param {(name: string) => boolean} [skip] names of folders not to enter
 * @returns {string[]}
 */
export function walk(folder, skip = () => false) {
  /** @type {string[]} */
  const found = [];
  /** @param {string} at */
  const visit = (at) => {
    for (const entry of fs.readdirSync(path.join(folder, at), { withFileTypes: true })) {
      const name = at === "" ? entry.name : `${at}/${entry.name}`;
      if (entry.isDirectory()) {
        if (!skip(entry.name)) visit(name);
      } else if (entry.isFile()) {
        found.push(name);
      }
    }
  };
  visit("");
  return found.sort();
}

/**
 * The project's own files: not what was installed, built or is passing.
 * @param {string} root
 * @returns {string[]}
 */
export function projectFiles(root) {
  // In a worktree of git's, .git is a file.
  return walk(root, (name) => FOREIGN.has(name)).filter((file) => file !== ".git");
}

/**
 * The JavaScript file behind a command of an installed package, to be run by process.execPath: unlike npx
 * it starts at once, and it runs on the very Node that runs us.
 * @param {string} root the project's folder
 * @param {string} command as in node_modules/.bin
 * @returns {string}
 */
export function tool(root, command) {
  const name = OWNERS.get(command) ?? command;
  // Not require.resolve(name): an exports map may hide package.json.
  const home = path.join(root, "node_modules", name);
  const { bin } = createRequire(import.meta.url)(path.join(home, "package.json"));
  return path.join(home, typeof bin === "string" ? bin : bin[command]);
}
