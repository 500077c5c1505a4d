// Role: how many bytes of stream calls may be under way on one path: the size of a window that finds its own size.
// State: what was sent and acknowledged when, the fastest delivery and the shortest round trip seen lately.
// Must not know: who sends or waits. Pure: the time comes from the clock it is given.
//
// The path is a pipe: rate x round trip is what fits in it. A smaller window leaves it idle, a larger one only makes a
// queue. Neither can be measured alone: the rate shows only while the window is full enough, the round trip only while
// there is no queue. So the window breathes: a round somewhat larger, to see whether the rate grows, then one somewhat
// smaller, so that a queue drains and the true round trip shows. And a sender with little to say shows neither: what is
// measured while it pauses may raise the estimate, never lower it.

/** A window's size and what it learns from each call; see flow.ts. */
export interface StreamWindow {
  /** Bytes that may be in flight; changes at acknowledgements. */
  readonly bytes: number;
  /** A call of `bytes` goes out, after which `inFlight` bytes are. @returns what to hand back with its acknowledgement. */
  sent(bytes: number, inFlight: number): SentRecord;
  acknowledged(record: SentRecord): void;
  /** From now on the window has room, or (false) it is full. */
  hasRoom(room: boolean): void;
}

/** One call under way. */
export interface SentRecord {
  readonly bytes: number;
  readonly at: number;
  /** Bytes acknowledged when this was sent, and when that last grew. */
  readonly delivered: number;
  readonly deliveredAt: number;
  /** The sender had paused: a rate measured with this says nothing about the path. */
  readonly limited: boolean;
  /** Nothing else was under way. */
  readonly alone: boolean;
}

export const FLOOR = 64 * 1024;
export const CEILING = 1024 * 1024 * 1024;

/** The startup doubles until the rate grew by less than this for so many rounds. */
const GROWTH = 1.25;
const FLAT_ROUNDS = 3;
/**
 * One round to probe, one to drain, the rest with two pipefuls. With one, every delay that is no distance (a process
 * asleep, acknowledgements in lumps) leaves the pipe idle, the rate falls, and the window follows it down.
 */
const GAINS = [2.5, 7 / 8, 2, 2, 2, 2, 2, 2];
/** Rounds that the fastest rate is remembered, and milliseconds that the shortest round trip is. */
const RATE_ROUNDS = 10;
const ROUND_TRIP_MS = 10_000;
/** A pause longer than this part of a round trip counts as one. */
const PAUSE = 1 / 8;

/**
 * A window between {@link FLOOR} and {@link CEILING} that follows delivered rate x shortest round trip.
 *
 * @example
 * const window = new AdaptiveWindow(65536, () => performance.now());
 * const record = window.sent(1000, 1000);
 * window.acknowledged(record);
 *
 * Source: C-FLO-05.
 */
export class AdaptiveWindow implements StreamWindow {
  bytes: number;
  private readonly floor: number;
  private readonly ceiling: number;
  private readonly now: () => number;
  private delivered = 0;
  private deliveredAt: number;
  /** Bytes not yet acknowledged. */
  private inFlight = 0;
  /** Since when the window has had room; Infinity while it is full. */
  private roomSince: number;
  /** Calls sent before this many bytes are acknowledged were sent around a pause. */
  private limitedUntil = 0;
  private roundTrip = Infinity;
  private roundTripAt = 0;
  /** The round ends with the acknowledgement of a call that was sent after this many bytes were acknowledged. */
  private roundEnd = 1;
  private roundRate = 0;
  private roundLimited = true;
  private rates: number[] = [];
  private startup = true;
  private startupRate = 0;
  private flatRounds = 0;
  private phase = 0;

  /**
   * @param start bytes to begin with; when less than {@link FLOOR}, the window never gets smaller than that instead.
   * @param now a clock in milliseconds, as fine as there is; it never goes back.
   * @param ceiling bytes that it never grows beyond, whatever it measures.
   */
  constructor(start: number, now: () => number, ceiling = CEILING) {
    this.bytes = start;
    this.ceiling = Math.max(start, ceiling);
    this.floor = Math.min(start, FLOOR);
    this.now = now;
    this.deliveredAt = this.roomSince = now();
  }

  /** Whether it still doubles. */
  get starting(): boolean {
    return this.startup;
  }

  sent(bytes: number, inFlight: number): SentRecord {
    const at = this.now();
    const alone = this.inFlight === 0;
    // After silence the clock of the rate starts anew.
    if (alone) this.deliveredAt = at;
    this.inFlight = inFlight;
    const paused = this.roundTrip === Infinity ? 0 : this.roundTrip * PAUSE;
    if (at - this.roomSince > paused) this.limitedUntil = this.delivered + inFlight;
    this.roomSince = at;
    const { delivered, deliveredAt } = this;
    return { bytes, at, delivered, deliveredAt, limited: delivered < this.limitedUntil, alone };
  }

  hasRoom(room: boolean): void {
    if (!room) this.roomSince = Infinity;
    else if (this.roomSince === Infinity) this.roomSince = this.now();
  }

  acknowledged(record: SentRecord): void {
    const now = this.now();
    this.delivered += record.bytes;
    this.deliveredAt = now;
    this.inFlight -= record.bytes;
    const trip = now - record.at;
    if (trip <= 0) return; // A clock too coarse to learn from.
    if (trip <= this.roundTrip || this.isStale(now, record)) {
      this.roundTrip = trip;
      this.roundTripAt = now;
    }
    const span = Math.max(now - record.deliveredAt, trip);
    const rate = (this.delivered - record.delivered) / span;
    if (!record.limited) this.roundLimited = false;
    if (!record.limited || rate > this.rate) this.roundRate = Math.max(this.roundRate, rate);
    if (record.delivered < this.roundEnd) return;
    this.endRound();
  }

  /**
   * Whether the shortest round trip is old and `record` may take its place: only while the window drains its queue, which
   * it cannot at the floor, or after a call that had the path for itself. Else the window would grow by its own delay.
   */
  private isStale(now: number, record: SentRecord): boolean {
    if (now - this.roundTripAt <= ROUND_TRIP_MS) return false;
    const drains = !this.startup && GAINS[this.phase]! < 1 && this.bytes > this.floor;
    return drains || record.alone;
  }

  /** The fastest delivery seen lately, in bytes per millisecond. */
  private get rate(): number {
    return Math.max(0, ...this.rates);
  }

  private endRound(): void {
    const { roundRate, roundLimited } = this;
    this.roundEnd = this.delivered;
    this.roundRate = 0;
    this.roundLimited = true;
    if (roundRate === 0) return;
    this.rates.push(roundRate);
    // What a paused sender shows pushes nothing out.
    if (!roundLimited && this.rates.length > RATE_ROUNDS) this.rates.shift();
    else if (this.rates.length > 2 * RATE_ROUNDS) this.rates = [this.rate];
    if (this.startup && !roundLimited) this.grow(roundRate);
    if (this.startup) return;
    const fits = this.rate * this.roundTrip;
    if (roundLimited) this.set(Math.max(this.bytes, fits));
    else {
      this.phase = (this.phase + 1) % GAINS.length;
      this.set(fits * GAINS[this.phase]!);
    }
  }

  private grow(rate: number): void {
    if (rate >= this.startupRate * GROWTH) {
      this.startupRate = rate;
      this.flatRounds = 0;
    } else if (++this.flatRounds === FLAT_ROUNDS) {
      this.startup = false;
      return;
    }
    this.set(this.bytes * 2);
  }

  private set(bytes: number): void {
    this.bytes = Math.round(Math.min(this.ceiling, Math.max(this.floor, bytes)));
  }
}
