// The model of collection: random graphs of objects in several processes, everybody at work while the collector is, power failing
// and processes ending at any moment. See model/. CAPSTAN_COLLECT_SEEDS is how many runs there are.

import { describe, expect, it } from "vitest";
import { addCounts, EVENTS, noCounts } from "./model/counts.js";
import { type Fault, FAULTS, FOUND_WITH } from "./model/faults.js";
import { run } from "./model/run.js";

const SEEDS = Number(process.env["CAPSTAN_COLLECT_SEEDS"] ?? 100);
/** A planted fault is found within so many. */
const SEEDS_OF_A_FAULT = 1000;
const PATIENCE = 600_000;

describe("collection, by a model", () => {
  it(
    "never takes what can be reached, and in the end leaves nothing else",
    async () => {
      const counts = noCounts();
      for (let seed = 1; seed <= SEEDS; seed++) {
        const outcome = await run(seed);
        expect(outcome.violations, `seed ${seed}`).toEqual([]);
        addCounts(counts, outcome.counts);
      }
      console.log(`${SEEDS} runs: ${EVENTS.map((name) => `${name} ${counts[name]}`).join(", ")}`);
      for (const name of EVENTS) expect(counts[name], name).toBeGreaterThan(0);
    },
    PATIENCE,
  );

  it.each(Object.entries(FAULTS))(
    "finds a planted fault: %s: %s",
    async (fault) => {
      const known = FOUND_WITH[fault as Fault];
      for (let seed = known; seed < known + SEEDS_OF_A_FAULT; seed++) {
        const { violations } = await run(seed, fault as Fault);
        if (violations.length === 0) continue;
        if (seed > known) console.log(`${fault}: now with seed ${seed}: ${violations[0]}`);
        return;
      }
      expect.fail(`not found in ${SEEDS_OF_A_FAULT} runs`);
    },
    PATIENCE,
  );
});
