// Role: runs seeds; what a seed breaks comes back as a minimal test file.
// State: none. Must not know: who asked.

import { addCounts, type Counts, noCounts } from "./counts.js";
import { Program } from "./generate.js";
import { asTest, failureOf, shrink } from "./shrink.js";

export interface Failure {
  seed: number;
  message: string;
  /** A test file that shows it. */
  test: string;
}

export interface Outcome {
  seeds: number;
  operations: number;
  counts: Counts;
  failure: Failure | null;
}

/** Runs the seeds from `first` on: `count` of them, or until one breaks something, or until `until` says so. */
export function runSeeds(
  first: number,
  count: number,
  until: () => boolean = () => false,
  shrinks = true,
  least?: number,
): Outcome {
  const counts = noCounts();
  let operations = 0;
  for (let seed = first; seed < first + count; seed++) {
    if (until()) return { seeds: seed - first, operations, counts, failure: null };
    const own = noCounts();
    const program = new Program(seed, own, least);
    try {
      program.run();
    } catch (thrown) {
      const failure = failureIn(program, thrown, shrinks);
      return { seeds: seed - first + 1, operations, counts, failure };
    }
    addCounts(counts, own);
    operations += program.ops.length;
  }
  return { seeds: count, operations, counts, failure: null };
}

function failureIn(program: Program, thrown: unknown, shrinks: boolean): Failure {
  const { seed, ground, ops } = program;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  if (!shrinks) return { seed, message, test: "" };
  const small = shrink(ground, ops);
  const title = `seed ${seed}: ${failureOf(ground, small)?.message ?? "passes when run again"}`;
  return { seed, message, test: asTest(title, ground, small) };
}

/** The counts as lines for people. */
export function describeCounts(outcome: Outcome): string {
  const { seeds, operations, counts } = outcome;
  const lines = Object.entries(counts).map(([name, n]) => `  ${name.padEnd(14)} ${n}`);
  return `${seeds} seeds, ${operations} operations\n${lines.join("\n")}`;
}
