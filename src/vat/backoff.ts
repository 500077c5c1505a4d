// Role: how long to wait before the next attempt to connect.
// State: none. Must not know: what is attempted, who waits.

/**
 * Milliseconds before the next attempt: a random part of a time that doubles with each failure. The whole range is random,
 * so that many clients that lost one server do not come back together.
 *
 * @param failures attempts that failed in a row; 0 for the first after a loss.
 * @param random a number from 0 up to, not including, 1.
 * @example backoff(3, { minDelay: 100, maxDelay: 10_000 }, 0.5) // 400
 * Source: "full jitter", AWS Architecture Blog, Exponential Backoff And Jitter.
 */
export function backoff(
  failures: number,
  { minDelay, maxDelay }: { minDelay: number; maxDelay: number },
  random: number,
): number {
  return random * Math.min(maxDelay, minDelay * 2 ** Math.min(failures, 52));
}

/** A random number from 0 up to, not including, 1. */
export function randomPart(): number {
  return crypto.getRandomValues(new Uint32Array(1))[0]! / 2 ** 32;
}
