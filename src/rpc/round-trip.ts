// Role: the shortest round trip of a path: its length, without queues.
// State: the shortest seen, when it was last sure, the shortest while the queue drained.
// Must not know: rates, windows. Pure: times are given to it.

/** Milliseconds after which a round trip is no longer sure. */
const MEMORY_MS = 10_000;
/** So often it may have no answer yet when the others do, before that alone says that it is far away. */
const MOST_MISSES = 3;
/**
 * Milliseconds. Shorter round trips are of one machine, and there it is no distance that keeps a sender waiting, but that
 * processes fall asleep and wake up: with a window of 30 microseconds the two sides of a stream wait for each other by turns.
 */
const LEAST_MS = 0.1;
/** Up to so many times the shortest is the same again. */
const SAME = 1 + 1 / 32;

/**
 * A round trip is sure that a call measured which had the path for itself, and one that calls measured which were sent
 * while all who fill the queue let it drain. Any other is at best the shortest so far; believed once the last sure one is
 * old, it would make the window grow by its own delay.
 *
 * @example trips.saw(12, now, true, false); trips.shortest; // 12
 */
export class RoundTrip {
  shortest = Infinity;
  private sureAt = -Infinity;
  private drained = Infinity;
  private seen = false;
  private misses = 0;

  /** Whether it was measured of late, but perhaps never without a queue. */
  isUnsure(now: number): boolean {
    return this.seen && now - this.sureAt > MEMORY_MS;
  }

  /** @param alone the call had the path for itself. @param drained it was sent while all let the queue drain. */
  saw(trip: number, now: number, alone: boolean, drained: boolean): void {
    trip = Math.max(LEAST_MS, trip);
    this.seen = true;
    if (alone && this.isUnsure(now)) this.shortest = trip;
    else if (trip < this.shortest) this.shortest = trip;
    if (alone) this.sureAt = now;
    else if (this.sureAt > -Infinity && trip <= this.shortest * SAME) this.sureAt = now;
    if (drained && trip < this.drained) this.drained = trip;
  }

  /** What was sent while the queue drained has been acknowledged. */
  conclude(now: number): void {
    const { drained } = this;
    this.drained = Infinity;
    if (drained === Infinity && (!this.seen || ++this.misses < MOST_MISSES)) return;
    if (drained < Infinity && this.sureAt > -Infinity && this.isUnsure(now))
      this.shortest = drained;
    this.sureAt = now;
    this.misses = 0;
    this.seen = false;
  }
}
