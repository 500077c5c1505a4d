// Role: when a turn is over, so that all that was written in it leaves in one write.
// State: none. Must not know: who writes.

/** Given what to run at the end of a turn, returns what asks for it. Asked once, it runs once. */
export type TurnEnd = (run: () => void) => () => void;

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
    if (++hops < HOPS) queueMicrotask(hop);
    else {
      hops = 0;
      run();
    }
  };
  return () => queueMicrotask(hop);
};
