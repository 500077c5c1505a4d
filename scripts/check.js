// @ts-check
// All that can be said of the project without running it: types, lint, format, direction of imports, house rules.
// One line for each rule that failed, what it found above it; exits 0 only if all hold.

import { spawn } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { checkHouseRules } from "./house-rules.js";
import { checkImports } from "./imports.js";
import { projectFiles, tool } from "./lib.js";

/** @typedef {{ ok: boolean, output: string }} Outcome */

const root = fileURLToPath(new URL("..", import.meta.url));

/**
 * @param {string} command
 * @param {string[]} args
 * @returns {Promise<Outcome>}
 */
function run(command, args) {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [tool(root, command), ...args], {
      cwd: root,
      stdio: ["ignore", "pipe", "pipe"],
    });
    let output = "";
    child.stdout.on("data", (chunk) => (output += chunk));
    child.stderr.on("data", (chunk) => (output += chunk));
    child.on("error", reject);
    child.on("close", (status) => resolve({ ok: status === 0, output }));
  });
}

/** @param {readonly import("./imports.js").Problem[]} problems @returns {Outcome} */
function report(problems) {
  const lines = problems.map(({ file, line, what }) => `${file}:${line}: ${what}`);
  return { ok: problems.length === 0, output: lines.join("\n") };
}

/** @returns {Map<string, string>} */
function readProject() {
  /** @type {Map<string, string>} */
  const files = new Map();
  for (const file of projectFiles(root)) {
    const bytes = fs.readFileSync(path.join(root, file));
    if (!bytes.includes(0)) files.set(file, bytes.toString());
  }
  return files;
}

/**
 * Folders of this machine and of those that the project is worked on. A folder right below the root is not taken
 * from here: a container may well keep a checkout in "src" or "app", and those are words, not secrets.
 */
function machinePaths() {
  const here = path.resolve(root);
  const found = [here, path.dirname(here), os.homedir()];
  const known = ["work", "root"].map((name) => `/${name}`);
  return [...known, ...found.filter((folder) => folder.split(path.sep).length > 2)];
}

const files = readProject();
const { dependencies, optionalDependencies, peerDependencies } = JSON.parse(
  files.get("package.json") ?? "{}",
);
const given = Object.keys({ ...dependencies, ...optionalDependencies, ...peerDependencies });

/** @type {[name: string, outcome: Promise<Outcome> | Outcome][]} */
const rules = [
  ["types", run("tsc", ["-p", "tsconfig.json"])],
  ["types of the core, without Node", run("tsc", ["-p", "tsconfig.core.json"])],
  [
    "types of a Worker module, as Cloudflare has them",
    run("tsc", ["-p", "examples/chat-rooms/worker/tsconfig.json"]),
  ],
  ["lint", run("oxlint", ["--type-aware", "--deny-warnings"])],
  ["format", run("oxfmt", ["--check", "."])],
  ["direction of imports", report(checkImports(files, new Set(given)))],
  ["house rules", report(checkHouseRules(files, machinePaths()))],
];

let failed = 0;
for (const [name, pending] of rules) {
  const { ok, output } = await pending;
  if (ok) {
    console.log(`ok    ${name}`);
  } else {
    failed++;
    console.log(`${output.trim()}\nFAIL  ${name}`);
  }
}
console.log(
  failed === 0 ? "check: all rules hold" : `check: ${failed} of ${rules.length} rules fail`,
);
process.exitCode = failed === 0 ? 0 : 1;
