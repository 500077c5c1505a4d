// Role: the end of a turn in Node. State: none. Must not know: who writes.

import type { TurnEnd } from "./turn.js";

/**
 * After all microtasks of the turn: `process.nextTick` alone, asked for while input is being handled, would run before
 * them, and the calls made by an `await` that just got its answer would need a second write.
 */
export const nodeTurnEnd: TurnEnd = (run) => {
  const tick = (): void => {
    process.nextTick(run);
  };
  // Not queueMicrotask: Node makes a tracked resource of each, which costs more than all else in a small turn.
  return () => void SETTLED.then(tick);
};

const SETTLED: Promise<void> = /* @__PURE__ */ Promise.resolve();
