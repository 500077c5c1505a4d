// Role: how fast acknowledgements come, measured round by round.
// State: bytes acknowledged, the rates of the latest rounds.
// Must not know: windows, round trips as distances. Pure: times are given to it.

/** Rounds that the fastest rate is remembered. */
const RATE_ROUNDS = 10;

/** What a round was good for: `limited` when the sender had paused all the time, so that only more rate says anything. */
export type Round = "none" | "limited" | "full";

/**
 * The fastest delivery seen lately. A round ends with the acknowledgement of a call that was sent after it began.
 *
 * @example
 * const { delivered, deliveredAt } = meter; // at the time of sending
 * meter.add(bytes, now);
 * meter.measure(delivered, deliveredAt, now - sentAt, false);
 */
export class RateMeter {
  /** Bytes acknowledged, and when that last grew. */
  delivered = 0;
  deliveredAt = 0;
  /** The fastest delivery of the latest rounds, in bytes per millisecond. */
  rate = 0;
  /** That of the last round which measured anything. */
  lastRate = 0;
  private roundEnd = 1;
  private roundRate = 0;
  private roundLimited = true;
  private rates: number[] = [];

  /** At first, and after silence, the clock of the rate starts anew. */
  restart(now: number): void {
    this.deliveredAt = now;
  }

  add(bytes: number, now: number): void {
    this.delivered += bytes;
    this.deliveredAt = now;
  }

  /**
   * The call just added was sent when `delivered` bytes had been acknowledged, the last of them at `deliveredAt`.
   *
   * @param limited the sender had paused: a rate measured with this call says nothing about the path, unless it is more.
   * @returns what kind of round this ended, if any.
   */
  measure(delivered: number, deliveredAt: number, trip: number, limited: boolean): Round {
    const rate = (this.delivered - delivered) / Math.max(this.deliveredAt - deliveredAt, trip);
    if (!limited) this.roundLimited = false;
    if (!limited || rate > this.rate) this.roundRate = Math.max(this.roundRate, rate);
    return delivered < this.roundEnd ? "none" : this.endRound();
  }

  private endRound(): Round {
    const { roundRate, roundLimited, rates } = this;
    this.roundEnd = this.delivered;
    this.roundRate = 0;
    this.roundLimited = true;
    if (roundRate === 0) return "none";
    this.lastRate = roundRate;
    rates.push(roundRate);
    // What a paused sender shows pushes nothing out.
    if (!roundLimited && rates.length > RATE_ROUNDS) rates.shift();
    else if (rates.length > 2 * RATE_ROUNDS) this.rates = [Math.max(...rates)];
    this.rate = Math.max(...this.rates);
    return roundLimited ? "limited" : "full";
  }
}
