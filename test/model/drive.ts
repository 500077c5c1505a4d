// Role: runs the model in a process of its own, for tests: compiled, it is three times as fast as under the test runner.
// State: none. Must not know: what is right.

import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Outcome } from "./run.js";

const script = fileURLToPath(new URL("../../scripts/model.js", import.meta.url));

/**
 * Runs `scripts/model.js` with `args`.
 * @throws Error when it could not run at all: a fault that does not fit, a source that does not compile.
 */
export function runModel(...args: string[]): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    execFile(
      process.execPath,
      [script, "--json", ...args],
      { maxBuffer: 1 << 26 },
      (error, stdout, stderr) => {
        if (stdout.startsWith("{")) resolve(JSON.parse(stdout) as Outcome);
        else reject(error ?? new Error(stderr));
      },
    );
  });
}

/** How many seeds `npm test` runs, in all. */
export const SEEDS = Number(process.env["CAPSTAN_MODEL_SEEDS"] ?? 20_000);

/** A broken rule stops the run at once; but a machine may be busy. */
export const TIMEOUT_MS = 15 * 60_000;
