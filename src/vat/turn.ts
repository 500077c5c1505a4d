// Role: when a turn is over, so that all that was written in it leaves in one write.
// State: none. Must not know: who writes.

/**
 * Given what to run at the end of a turn, returns what asks for it. Asked again before it ran, it still runs once.
 *
 * `canWait`: nobody waits for what was written in this turn, the acknowledgements of a stream for example. Then it may run
 * after other turns that follow at once, so that one write serves them all.
 */
export type TurnEnd = (run: () => void) => (canWait: boolean) => void;

/**
 * How many microtasks the portable end of a turn lets pass. A message settles a promise, its `await` continues one to
 * three microtasks later and makes the next call: that call belongs to the same write.
 */
const HOPS = 4;

/**
 * The end of a turn where there is nothing but microtasks. Node has a better one (turn.node.ts).
 *
 * @example const ask = microtaskTurnEnd(() => flush()); outbox.wake = ask;
 */
export const microtaskTurnEnd: TurnEnd = (run) => {
  let hops = 0;
  const hop = (): void => {
    if (hops++ < HOPS) queueMicrotask(hop);
    else {
      hops = 0;
      run();
    }
  };
  // Whether another turn follows is not to be known here: it never waits.
  return () => {
    if (hops === 0) hop();
  };
};
