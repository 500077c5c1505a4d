// Role: when a turn of an object is over, as its gate sees it.
// State: none. Must not know: who waits for it.

/** The turns of the event loop, for gates. */
export interface Turns {
  /** Calls `run` later in this turn, as a microtask. */
  soon(run: () => void): void;
  /** Calls `run` when all microtasks of this turn have run: code that was entered has come to where it waits. */
  after(run: () => void): void;
}
