// @ts-check
// Counts the tests of one CI step from what the step wrote: node scripts/tally.js LOG STATUS prints "PASSED FAILED".
//
// Knows vitest's line `Tests  2 failed | 41 passed | 1 skipped (44)` and a line that is `41 passed, 2 failed` alone.
// A step that says neither counts as one test, and so does a failure that no count shows.

import fs from "node:fs";
import { fileURLToPath } from "node:url";

/**
 * @param {string} log
 * @param {number} status the step's exit status
 * @returns {{ passed: number, failed: number }}
 */
export function tally(log, status) {
  // eslint-disable-next-line no-control-regex -- colours, where a runner thinks it sees a terminal
  const lines = log.replace(/\u001b\[[\d;]*m/g, "").split("\n");
  let passed = 0;
  let failed = 0;
  for (const line of lines) {
    if (/^\s*Tests\s+\d.*\(\d+\)\s*$/.test(line)) {
      passed += Number(/(\d+) passed/.exec(line)?.[1] ?? 0);
      failed += Number(/(\d+) failed/.exec(line)?.[1] ?? 0);
    } else {
      const own = /^(\d+) passed, (\d+) failed$/.exec(line.trim());
      passed += Number(own?.[1] ?? 0);
      failed += Number(own?.[2] ?? 0);
    }
  }
  if (status !== 0 && failed === 0) failed = 1;
  if (passed + failed === 0) passed = 1;
  return { passed, failed };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { passed, failed } = tally(
    fs.readFileSync(process.argv[2] ?? "", "utf8"),
    Number(process.argv[3]),
  );
  console.log(`${passed} ${failed}`);
}
