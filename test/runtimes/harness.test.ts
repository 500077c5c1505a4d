// The harness itself: what fails, leaks or hangs in a scenario is seen, and so is one that is missing.

import { describe, expect, it } from "vitest";
import { memoryPair, Session } from "../../src/index.js";
import { equal, fails, type Scenario, throws } from "./harness.js";
import { summary } from "./report.js";
import { Host } from "./server.js";
import { type Outcome, runAll, scenarios } from "./suite/index.js";

const host = new Host();
async function open(): Promise<Session> {
  const [one, two] = memoryPair();
  host.of(new Session(one, host.options));
  return new Session(two);
}

/** How a scenario ends. */
async function outcomeOf(run: Scenario["run"], ms = 5000): Promise<string | null> {
  const [outcome] = await runAll(open, "", [{ name: "one", run }], ms);
  expect(host.sessions.size).toBe(0);
  return outcome!.error;
}

describe("a scenario", () => {
  it("that does what it should is fine", async () => {
    expect(await outcomeOf(async ({ api }) => equal(await api.later(1), 2))).toBe(null);
  });

  it("that fails says why", async () => {
    expect(await outcomeOf(async ({ api }) => equal(await api.later(1), 3))).toMatch(
      /^not equal: value: number 2 is not number 3/,
    );
    expect(await outcomeOf(async ({ api }) => void (await fails(api.later(1), {})))).toMatch(
      /^it did not fail/,
    );
    const wrongCode = outcomeOf(async ({ api }) => {
      await fails(api.fail("x"), { code: "call-canceled" });
    });
    expect(await wrongCode).toMatch(/^not equal: value.code/);
    expect(await outcomeOf(async () => void throws(() => {}, {}))).toMatch(/^it did not throw/);
  });

  it("that holds something in the end fails", async () => {
    const kept: object[] = [];
    const error = await outcomeOf(async ({ api }) => void kept.push(await api.make()), 500);
    expect(error).toMatch(/^not over within 500 ms|^in vain awaited/);
    expect(kept).toHaveLength(1);
  });

  it("that hangs fails, and the next one runs", async () => {
    const outcomes = await runAll(
      open,
      "",
      [
        { name: "hangs", run: () => new Promise(() => {}) },
        { name: "runs", run: async ({ api }) => equal(await api.later(1), 2) },
      ],
      50,
    );
    expect(outcomes[0]!.error).toMatch(/^not over within 50 ms/);
    expect(outcomes[1]!.error).toBe(null);
    expect(host.sessions.size).toBe(0);
  });
});

describe("the count", () => {
  const all: Outcome[] = scenarios.map(({ name }) => ({ name, error: null }));
  const [first] = all;

  it("of a runtime that passes all of them has no problem", () => {
    expect(summary("here", all, {})).toEqual({
      line: `runtimes: here: ${all.length} of ${all.length} scenarios`,
      problems: [],
    });
    expect(new Set(all.map(({ name }) => name)).size).toBe(all.length);
  });

  it("shows what is missing, unknown, or fails", () => {
    expect(summary("here", all.slice(1), {}).problems).toEqual([`did not run: ${first!.name}`]);
    expect(summary("here", [...all, { name: "new", error: null }], {}).problems).toEqual([
      "nobody knows: new",
    ]);
    expect(summary("here", [...all, first!], {}).problems).toEqual([`ran twice: ${first!.name}`]);
    const failing = [{ ...first!, error: "no" }, ...all.slice(1)];
    expect(summary("here", failing, {}).problems).toEqual([`failed: ${first!.name}`]);
  });

  it("takes an exception only where it is one, and prints its reason", () => {
    const failing = [{ ...first!, error: "no" }, ...all.slice(1)];
    const except = { [first!.name]: "there is none" };
    expect(summary("here", failing, except)).toEqual({
      line: `runtimes: here: ${all.length - 1} of ${all.length} scenarios\n  but not "${first!.name}": there is none`,
      problems: [],
    });
    expect(summary("here", all, except).problems).toEqual([
      `passes, and is listed as an exception: ${first!.name}`,
    ]);
  });
});
