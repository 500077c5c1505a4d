// @ts-check
// Plants each fault of test/spec/faults/ in a copy of the project and runs the test it names, which must fail: that
// shows that the test of a clause can fail. The source itself has no hooks for it.
//
//   node scripts/faults.js                 every fault
//   node scripts/faults.js --sample 20     that many, spread over the list
//   node scripts/faults.js --only TEXT     those whose name, file or clauses hold the text
//   node scripts/faults.js --missing       no run: the tested clauses that have no fault
//
// A fault is caught when, for each clause it names, a test that names the clause passes without the fault and fails
// with it. Prints a line for each fault and exits 0 only if all are caught.

import { spawn } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { loadTable, withoutFault } from "./clauses.js";
import { projectFiles, tool } from "./lib.js";
import { plant } from "./mutate.js";

/** @typedef {import("./clauses.js").Fault} Fault */
/** @typedef {{ name: string, passed: boolean }[]} Results one entry for each test that ran */

/** A fault may make a test hang; one that does has been caught. */
const TEST_TIMEOUT_MS = 15_000;
const RUN_TIMEOUT_MS = 180_000;

/**
 * Evenly spread over the list, so that each room gets its share.
 * @template T
 * @param {readonly T[]} list
 * @param {number} count
 * @returns {T[]}
 */
export function sample(list, count) {
  if (count >= list.length) return [...list];
  return Array.from({ length: count }, (_, i) => list[Math.floor((i * list.length) / count)]);
}

/**
 * What a fault did to the tests of the clauses it names.
 * @param {readonly string[]} clauses
 * @param {Results} before without the fault
 * @param {Results | "hung"} after with it
 * @returns {string[]} what is wrong; empty when it is caught
 */
export function judge(clauses, before, after) {
  /** @type {string[]} */
  const wrong = [];
  for (const id of clauses) {
    const healthy = before.filter(({ name }) => name.includes(id));
    if (healthy.length === 0) wrong.push(`no test that names ${id} ran`);
    else if (!healthy.every(({ passed }) => passed))
      wrong.push(`the test of ${id} fails without it`);
    else if (after === "hung") continue;
    else if (after.length === 0) wrong.push(`the test file does not load with it`);
    else if (!after.some(({ name, passed }) => name.includes(id) && !passed)) {
      wrong.push(`the test of ${id} does not notice it`);
    }
  }
  return wrong;
}

/** A copy of the project that faults are planted in. */
class Copy {
  /** @param {string} root @param {string} folder */
  constructor(root, folder) {
    this.root = root;
    this.folder = folder;
    for (const file of projectFiles(root)) {
      fs.mkdirSync(path.dirname(path.join(folder, file)), { recursive: true });
      fs.copyFileSync(path.join(root, file), path.join(folder, file));
    }
    fs.symlinkSync(path.join(root, "node_modules"), path.join(folder, "node_modules"));
    const dist = path.join(root, "dist");
    if (fs.existsSync(dist)) fs.cpSync(dist, path.join(folder, "dist"), { recursive: true });
  }

  /**
   * Runs the tests of one file whose names hold one of the clauses.
   * @param {string} test
   * @param {readonly string[]} clauses
   * @returns {Promise<Results | "hung">}
   */
  async run(test, clauses) {
    const report = path.join(this.folder, ".tmp", "report.json");
    fs.rmSync(report, { force: true });
    const args = [tool(this.root, "vitest"), "run", test, "-t", clauses.join("|")];
    args.push("--reporter=json", `--outputFile=${report}`, `--testTimeout=${TEST_TIMEOUT_MS}`);
    const child = spawn(process.execPath, args, {
      cwd: this.folder,
      stdio: "ignore",
      detached: true,
    });
    const hung = await new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        resolve(true);
        // Its own process group: vitest's workers go with it.
        if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
      }, RUN_TIMEOUT_MS);
      child.on("error", reject);
      child.on("close", () => {
        clearTimeout(timer);
        resolve(false);
      });
    });
    if (hung) return "hung";
    if (!fs.existsSync(report)) return [];
    /** @type {{ testResults: { assertionResults: { fullName: string, status: string }[] }[] }} */
    const { testResults } = JSON.parse(fs.readFileSync(report, "utf8"));
    return testResults
      .flatMap((file) => file.assertionResults)
      .filter(({ status }) => status === "passed" || status === "failed")
      .map(({ fullName, status }) => ({ name: fullName, passed: status === "passed" }));
  }

  /**
   * @param {Fault} fault
   * @returns {Promise<Results | "hung">}
   */
  async runWith(fault) {
    const file = path.join(this.folder, fault.file);
    const healthy = fs.readFileSync(file, "utf8");
    fs.writeFileSync(file, plant(healthy, fault));
    try {
      return await this.run(fault.test, fault.clauses);
    } finally {
      fs.writeFileSync(file, healthy);
    }
  }
}

/**
 * @param {string} root the project's folder
 * @param {readonly Fault[]} faults
 * @param {number} jobs how many at a time
 * @param {(line: string) => void} print
 * @returns {Promise<number>} how many were not caught
 */
export async function runFaults(root, faults, jobs, print) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "capstan-faults-"));
  /** @type {Map<string, Promise<Results | "hung">>} */
  const healthy = new Map();
  const queue = [...faults];
  let missed = 0;
  /** @param {Copy} copy @param {Fault} fault @returns {Promise<string[]>} */
  const tryOne = async (copy, fault) => {
    const { test } = fault;
    let before = healthy.get(test);
    if (before === undefined) {
      const all = faults.filter((f) => f.test === test).flatMap((f) => f.clauses);
      before = copy.run(test, [...new Set(all)]);
      healthy.set(test, before);
    }
    const sound = await before;
    if (sound === "hung") return [`${test} hangs without it`];
    try {
      return judge(fault.clauses, sound, await copy.runWith(fault));
    } catch (error) {
      return [error instanceof Error ? error.message : String(error)];
    }
  };
  /** @param {Copy} copy */
  const work = async (copy) => {
    for (let fault = queue.shift(); fault !== undefined; fault = queue.shift()) {
      const wrong = await tryOne(copy, fault);
      if (wrong.length > 0) missed++;
      const verdict = wrong.length === 0 ? "caught" : `MISSED (${wrong.join("; ")})`;
      print(`${verdict}  ${fault.name} [${fault.clauses.join(", ")}]`);
    }
  };
  try {
    const copies = Array.from({ length: Math.min(jobs, faults.length) }, (_, i) => {
      const own = path.join(folder, String(i));
      fs.mkdirSync(own);
      return new Copy(root, own);
    });
    await Promise.all(copies.map(work));
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
  return missed;
}

async function main() {
  const root = fileURLToPath(new URL("..", import.meta.url));
  const { values } = parseArgs({
    options: { sample: { type: "string" }, only: { type: "string" }, missing: { type: "boolean" } },
  });
  const table = loadTable(root);
  if (values.missing) {
    for (const id of withoutFault(table)) console.log(`${id}  ${table.tests.get(id)?.join(", ")}`);
    return;
  }
  const only = values.only ?? "";
  const chosen = table.faults.filter((f) =>
    [f.name, f.file, ...f.clauses].some((s) => s.includes(only)),
  );
  const faults = sample(chosen, Number(values.sample ?? chosen.length));
  const missed = await runFaults(root, faults, os.availableParallelism(), (line) =>
    console.log(line),
  );
  console.log(`${faults.length - missed} passed, ${missed} failed`);
  process.exitCode = missed === 0 ? 0 : 1;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
