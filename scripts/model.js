// @ts-check
// Runs the model of test/model/: random programs on several vats against a plain object graph.
//
//   node scripts/model.js                        20,000 seeds
//   node scripts/model.js --first 7 --seeds 1    one seed
//   node scripts/model.js --seconds 3600         seed after seed for that long
//   node scripts/model.js --fault NAME           with a fault of test/model/faults.json planted in the source; what that
//                                                breaks is made minimal with --shrink only
//   node scripts/model.js --json                 the outcome as one line of JSON on standard output
//
// A seed that breaks a rule is printed as a minimal test file. Exits 0 if none does, 1 if one does, 2 on misuse.
//
// The sources are compiled to a folder of their own and run from there: that is three times as fast as through a test
// runner's transforms, and lets a fault be planted in a copy.

import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { tool } from "./lib.js";
import { plant } from "./mutate.js";

/** @typedef {{ name: string, file: string, find: string, replace: string }} ModelFault */
/** @typedef {typeof import("../test/model/run.js")} Model */

/** How often a long run says how far it is. */
const PROGRESS_MS = 60_000;

const root = fileURLToPath(new URL("..", import.meta.url));

/** What the model is made of. */
const PARTS = [
  "src/base",
  "src/wire",
  "src/hook",
  "src/rpc",
  "src/vat",
  "test/support",
  "test/model",
];

/** @returns {ModelFault[]} */
export function faults() {
  const file = path.join(root, "test/model/faults.json");
  return JSON.parse(fs.readFileSync(file, "utf8"));
}

/**
 * Compiles the model into a folder below .tmp.
 * @param {ModelFault | null} fault
 * @returns {string} the folder, which the caller removes
 * @throws {Error} when the fault does not fit, or the result does not compile
 */
function compile(fault) {
  fs.mkdirSync(path.join(root, ".tmp"), { recursive: true });
  const folder = fs.mkdtempSync(path.join(root, ".tmp", "model-"));
  for (const part of PARTS)
    fs.cpSync(path.join(root, part), path.join(folder, part), {
      recursive: true,
      filter: (name) => !name.endsWith(".test.ts") && !name.endsWith(".node.ts"),
    });
  if (fault !== null) {
    const file = path.join(folder, fault.file);
    fs.writeFileSync(file, plant(fs.readFileSync(file, "utf8"), fault));
  }
  const config = {
    extends: "../../tsconfig.json",
    compilerOptions: { noEmit: false, noCheck: true, rootDir: ".", outDir: "out", sourceMap: true },
    files: ["test/model/run.ts"],
    include: [],
    exclude: [],
  };
  fs.writeFileSync(path.join(folder, "tsconfig.json"), JSON.stringify(config));
  const tsc = spawnSync(process.execPath, [tool(root, "tsc"), "-p", folder], { encoding: "utf8" });
  if (tsc.status !== 0) throw new Error(`the model does not compile:\n${tsc.stdout}${tsc.stderr}`);
  return folder;
}

/** @param {string[]} argv @returns {Promise<number>} exit status */
async function main(argv) {
  const { values } = parseArgs({
    args: argv,
    options: {
      first: { type: "string", default: "1" },
      seeds: { type: "string", default: "20000" },
      seconds: { type: "string" },
      fault: { type: "string" },
      shrink: { type: "boolean", default: false },
      json: { type: "boolean", default: false },
    },
  });
  const fault = faults().find(({ name }) => name === values.fault) ?? null;
  if (values.fault !== undefined && fault === null) {
    console.error(`model: there is no fault called "${values.fault}"`);
    return 2;
  }
  const folder = compile(fault);
  try {
    /** @type {Model} */
    const model = await import(pathToFileURL(path.join(folder, "out/test/model/run.js")).href);
    const outcome = run(
      model,
      values.first,
      values.seeds,
      values.seconds,
      fault === null || values.shrink,
    );
    const { failure } = outcome;
    if (values.json) console.log(JSON.stringify(outcome));
    else console.log(model.describeCounts(outcome));
    if (failure === null) return 0;
    console.error(`seed ${failure.seed} breaks a rule: ${failure.message}\n\n${failure.test}`);
    return 1;
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * @param {Model} model
 * @param {string} first
 * @param {string} seeds
 * @param {string | undefined} seconds
 * @param {boolean} shrinks whether a failing program is made minimal
 */
function run(model, first, seeds, seconds, shrinks) {
  if (seconds === undefined)
    return model.runSeeds(Number(first), Number(seeds), undefined, shrinks);
  const start = Date.now();
  const end = start + Number(seconds) * 1000;
  let next = start + PROGRESS_MS;
  let done = 0;
  const isOver = () => {
    const now = Date.now();
    if (now >= next) {
      next += PROGRESS_MS;
      console.error(`model: ${done} seeds in ${Math.round((now - start) / 1000)} seconds`);
    }
    done++;
    return now >= end;
  };
  return model.runSeeds(Number(first), Infinity, isOver, shrinks);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    process.exitCode = await main(process.argv.slice(2));
  } catch (thrown) {
    console.error(`model: ${thrown instanceof Error ? thrown.message : String(thrown)}`);
    process.exitCode = 2;
  }
}
