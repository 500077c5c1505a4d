// @ts-check
// Compiles src to dist, with the entry for browsers as the one file that scripts/bundle.js makes, then the programs that stand on it (examples, benchmark and interop roles in TypeScript) to
// build/programs. A build with type errors fails and leaves what was there as it was.
//
// tsc writes into a folder of its own; then each file that differs is moved over its namesake in dist, one
// rename each, and files that src no longer makes are removed. So a test that runs from dist at the same time
// never finds a file missing or half written, and a build that changes nothing touches nothing.
//
//   node scripts/build.js            compile, or fail
//   node scripts/build.js --force    put into dist even what has type errors (and still fail)

import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { tool, walk } from "./lib.js";

/**
 * Makes `to` hold exactly the files of `from`.
 * @param {string} from a folder on the same disk, left without the files that were moved
 * @param {string} to created when missing
 * @returns {{ written: number, removed: number }} how many files changed
 */
export function mirror(from, to) {
  const wanted = new Set(walk(from));
  let written = 0;
  let removed = 0;
  for (const name of wanted) {
    const source = path.join(from, name);
    const target = path.join(to, name);
    if (fs.existsSync(target) && fs.readFileSync(target).equals(fs.readFileSync(source))) continue;
    fs.mkdirSync(path.dirname(target), { recursive: true });
    fs.renameSync(source, target);
    written++;
  }
  for (const name of fs.existsSync(to) ? walk(to) : []) {
    if (wanted.has(name)) continue;
    fs.rmSync(path.join(to, name), { force: true });
    removed++;
  }
  return { written, removed };
}

/**
 * @param {string} root the project's folder
 * @param {boolean} force mirror what tsc wrote even if it found errors
 * @returns {Promise<number>} exit status
 */
export function build(root, force) {
  return compile(root, "tsconfig.build.json", "dist", force);
}

/**
 * Compiles one project file into `target`.
 * @param {string} root the project's folder
 * @param {string} project the file's name there
 * @param {string} target the folder that is to hold exactly the output
 * @param {boolean} force mirror what tsc wrote even if it found errors
 * @returns {Promise<number>} exit status
 */
export async function compile(root, project, target, force) {
  fs.mkdirSync(path.join(root, ".tmp"), { recursive: true });
  const out = fs.mkdtempSync(path.join(root, ".tmp", "build-"));
  try {
    const config = path.join(root, project);
    const tsc = spawnSync(process.execPath, [tool(root, "tsc"), "-p", config, "--outDir", out], {
      stdio: ["ignore", 2, 2],
    });
    if (tsc.status !== 0 && !force) {
      console.error(`build: type errors, ${target} left as it was`);
      return 1;
    }
    if (target === "dist") {
      makeExecutable(root, out);
      await bundleBrowser(root, out);
    }
    mirror(out, path.join(root, target));
    return tsc.status === 0 ? 0 : 1;
  } finally {
    fs.rmSync(out, { recursive: true, force: true });
  }
}

/**
 * Puts the one file in the place of the module that tsc wrote, with the licence of what it holds; the declarations stay.
 * @param {string} root
 * @param {string} out what stands for dist
 */
async function bundleBrowser(root, out) {
  if (!fs.existsSync(path.join(root, "src/browser.ts"))) return;
  const { browserBundle } = await import("./bundle.js");
  const { code } = await browserBundle(root);
  fs.writeFileSync(path.join(out, "browser.js"), code);
  fs.rmSync(path.join(out, "browser.js.map"), { force: true });
  const licence = path.join(root, "node_modules/msgpackr/LICENSE");
  fs.copyFileSync(licence, path.join(out, "browser.LICENSE.txt"));
}

/**
 * The programs of package.json's `bin` run from a checkout too, so they get the mode that npm would give them.
 * @param {string} root
 * @param {string} out what stands for dist
 */
function makeExecutable(root, out) {
  const { bin } = JSON.parse(fs.readFileSync(path.join(root, "package.json"), "utf8"));
  for (const target of Object.values(bin ?? {})) {
    const file = path.join(out, path.relative("dist", target));
    if (fs.existsSync(file)) fs.chmodSync(file, 0o755);
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const root = fileURLToPath(new URL("..", import.meta.url));
  const force = process.argv.includes("--force");
  const status = await build(root, force);
  // The programs import the package by its name, so they need dist.
  const programs =
    status === 0 || force
      ? await compile(root, "tsconfig.programs.json", "build/programs", force)
      : 0;
  process.exitCode = status || programs;
}
