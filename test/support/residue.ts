// Zero residue: what keeps a process alive or listens after a test is over.

import { afterEach, beforeEach, expect } from "vitest";

/** Kinds of resources that the test runner itself opens and closes at its own times: files it reads. */
const OF_THE_RUNNER = new Set(["FSReqCallback", "FSReqPromise", "FILEHANDLE"]);

/** How many of each kind of resource keep the process alive now. */
export function resources(): Map<string, number> {
  const found = new Map<string, number>();
  for (const kind of process.getActiveResourcesInfo()) {
    if (!OF_THE_RUNNER.has(kind)) found.set(kind, (found.get(kind) ?? 0) + 1);
  }
  return found;
}

/**
 * Checks that nothing is open that was not open before.
 *
 * @param before what {@link resources} said when the test began. Handles close a turn late, so this waits a little; a
 * leak stays.
 * @example
 * const before = resources();
 * ...
 * await expectNoResidue(before);
 */
export async function expectNoResidue(before: Map<string, number>): Promise<void> {
  for (let tries = 0; ; tries++) {
    const now = resources();
    const more = [...now].filter(([kind, count]) => count > (before.get(kind) ?? 0));
    // The wait itself is not in the way: a timer that has fired is gone when this runs.
    if (more.length === 0) return;
    if (tries === 1000) {
      expect(Object.fromEntries(more), "resources left open").toEqual({});
      return;
    }
    await new Promise((resolve) => {
      setTimeout(resolve, 10);
    });
  }
}

/**
 * To be called in a `describe`: after each of its tests all that it opened is taken away, the last first, and nothing may be left.
 *
 * @returns notes a step of taking away.
 */
export function cleaningUp(): (step: () => unknown) => void {
  let before: Map<string, number>;
  let steps: (() => unknown)[] = [];
  beforeEach(() => {
    before = resources();
    steps = [];
  });
  afterEach(async () => {
    for (const step of steps.reverse()) await step();
    await expectNoResidue(before);
  });
  return (step) => void steps.push(step);
}
