// Role: one half of the seeds of a test run, and what it must have met.
// State: none. Must not know: the properties.

import { expect } from "vitest";
import { runModel, SEEDS } from "./drive.js";
import { describeCounts } from "./run.js";

/** Below this many seeds the rarest races may not occur. */
const ENOUGH = 5000;

/**
 * Runs half `which` of the seeds, prints how often each race occurred, and fails on a broken rule, whose minimal test file
 * it shows, or when a race never occurred.
 */
export async function runHalf(which: number): Promise<void> {
  const seeds = Math.ceil(SEEDS / 2);
  const first = 1 + (which - 1) * seeds;
  const outcome = await runModel("--first", String(first), "--seeds", String(seeds));
  console.log(`model, from seed ${first}: ${describeCounts(outcome)}`);
  const { failure, counts } = outcome;
  expect(
    failure === null ? "" : `seed ${failure.seed}: ${failure.message}\n\n${failure.test}`,
  ).toBe("");
  expect(outcome.seeds).toBe(seeds);
  expect(outcome.operations).toBeGreaterThan(30 * seeds);
  if (seeds < ENOUGH) return;
  for (const [race, times] of Object.entries(counts)) expect(times, race).toBeGreaterThan(0);
}
