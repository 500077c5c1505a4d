// Role: turns what a runtime said of the scenarios into tests, one for each scenario, and counts them.
// State: none. Must not know: how the scenarios were run.

import { beforeAll, describe, expect, it } from "vitest";
import { type Outcome, scenarios } from "./suite/index.js";

/**
 * Scenarios that a runtime does not pass, by its name and theirs, each with the reason. What stands here must fail there: an
 * entry that is no longer needed is a failure too.
 */
export const EXCEPT: Readonly<Record<string, Readonly<Record<string, string>>>> =
  Object.fromEntries(
    [
      "Chromium page, calls Node, WebSocket",
      "Chromium page, calls a Web Worker, MessagePort",
      "Chromium Web Worker, calls its page, MessagePort",
      "workerd Worker, calls Node, WebSocket",
      "workerd Worker, called by Node, WebSocket",
    ].map((runtime) => [
      `${runtime}, capstan/browser`,
      Object.fromEntries(
        scenarios
          .filter(({ name }) => name.startsWith("batch: "))
          .map(({ name }) => [name, "HTTP batches are in capstan, not in capstan/browser"]),
      ),
    ]),
  );

/** Longer than any runtime takes: a run that hangs is ended, and says so. */
const RUN_MS = 60_000;

/**
 * Declares the tests of one runtime.
 *
 * @param runtime what it is called in the report
 * @param run runs all scenarios there
 */
export function runtimeSuite(runtime: string, run: () => Promise<Outcome[]>): void {
  describe(runtime, () => {
    let outcomes: Outcome[] = [];
    const except = EXCEPT[runtime] ?? {};
    beforeAll(async () => {
      outcomes = await run();
    }, RUN_MS);

    it.each(scenarios.map(({ name }) => name))("%s", (name) => {
      const outcome = outcomes.find((one) => one.name === name);
      if (outcome === undefined) expect.fail("it did not run");
      if (name in except) expect(outcome.error, "an exception is not needed").not.toBeNull();
      else expect(outcome.error ?? "", outcome.error ?? "").toBe("");
    });

    it("passes as many as every other runtime, but for the exceptions", () => {
      const { line, problems } = summary(runtime, outcomes, except);
      console.log(line);
      expect(problems).toEqual([]);
    });
  });
}

/**
 * @returns what to print, and what is wrong: a scenario that did not run here, one that nobody knows, an exception that
 *   is none
 */
export function summary(
  runtime: string,
  outcomes: readonly Outcome[],
  except: Readonly<Record<string, string>>,
): { line: string; problems: string[] } {
  const known = scenarios.map(({ name }) => name);
  const ran = outcomes.map(({ name }) => name);
  const failed = outcomes.filter(({ error }) => error !== null).map(({ name }) => name);
  const problems = [
    ...known.filter((name) => !ran.includes(name)).map((name) => `did not run: ${name}`),
    ...ran.filter((name) => !known.includes(name)).map((name) => `nobody knows: ${name}`),
    ...ran.filter((name, at) => ran.indexOf(name) !== at).map((name) => `ran twice: ${name}`),
    ...failed.filter((name) => !(name in except)).map((name) => `failed: ${name}`),
    ...Object.keys(except)
      .filter((name) => !failed.includes(name))
      .map((name) => `passes, and is listed as an exception: ${name}`),
  ];
  const lines = [
    `runtimes: ${runtime}: ${ran.length - failed.length} of ${known.length} scenarios`,
    ...Object.entries(except).map(([name, why]) => `  but not "${name}": ${why}`),
  ];
  return { line: lines.join("\n"), problems };
}
