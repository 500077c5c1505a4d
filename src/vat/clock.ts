// Role: time as whatever waits and tries again sees it, so that a test can be the one who moves it.
// State: none. Must not know: what waits.

/** A clock with timers. `TestVats` of capstan/testing is one, whose time only the test moves. */
export interface Clock {
  /** Milliseconds since some fixed moment. */
  readonly now: number;
  /** Calls `run` once, when `delay` milliseconds are over. @returns takes the timer away. */
  after(delay: number, run: () => void): () => void;
}

/** Real time. */
export const REAL_CLOCK: Clock = {
  get now() {
    return performance.now();
  },
  after(delay, run) {
    const timer = setTimeout(run, delay);
    return () => clearTimeout(timer);
  },
};
