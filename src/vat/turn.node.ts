// Role: the ends of a turn in Node. State: none. Must not know: who writes.

import type { TurnEnd } from "./turn.js";

/**
 * After all microtasks of the turn: `process.nextTick` alone, asked for while input is being handled, would run before
 * them, and the calls made by an `await` that just got its answer would need a second write.
 */
export const nodeTurnEnd: TurnEnd = (run) => {
  let soon = false;
  let later = false;
  const runSoon = (): void => {
    soon = false;
    run();
  };
  const runLater = (): void => {
    later = false;
    run();
  };
  const tick = (): void => {
    process.nextTick(runSoon);
  };
  // Not queueMicrotask: Node makes a tracked resource of each, which costs more than all else in a small turn.
  // All that the system has for this process is read before the immediates run, a read a turn.
  return (canWait) => {
    if (canWait) {
      if (!later) setImmediate(runLater);
      later = true;
    } else {
      if (!soon) void SETTLED.then(tick);
      soon = true;
    }
  };
};

/** The same where nothing can wait: a peer whose carrier holds little runs dry while it waits for an acknowledgement. */
export const promptTurnEnd: TurnEnd = (run) => {
  const ask = nodeTurnEnd(run);
  return () => ask(false);
};

const SETTLED: Promise<void> = /* @__PURE__ */ Promise.resolve();
