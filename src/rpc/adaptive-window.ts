// Role: how many bytes of stream calls may be under way on one path: the size of a window that finds its own size.
// State: what was sent and acknowledged when, the fastest delivery and the shortest round trip seen lately.
// Must not know: who sends or waits. Pure: the time comes from the clock it is given.
//
// The path is a pipe: rate x round trip is what fits in it. A smaller window leaves it idle, a larger one only makes a
// queue. Neither can be measured alone: the rate shows only while the window is full enough, the round trip only while
// there is no queue. So the window breathes, in the beat of its connection (stream-path.ts): a round somewhat larger, to
// see whether the rate grows, then one somewhat smaller, so that a queue drains and the true round trip shows. And a
// sender with little to say shows neither: what is measured while it pauses may raise the estimate, never lower it.

import { RateMeter } from "./rate-meter.js";
import { RoundTrip } from "./round-trip.js";
import { type PathMember, StreamPath } from "./stream-path.js";

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
  /** Bytes of this stream acknowledged when this was sent, and when that last grew. */
  readonly delivered: number;
  readonly deliveredAt: number;
  /** The same of all streams of the connection. */
  readonly pathDelivered: number;
  readonly pathDeliveredAt: number;
  /** The sender had paused: a rate measured with this says nothing about the path. */
  readonly limited: boolean;
  /** Nothing else was under way, of any stream. */
  readonly alone: boolean;
}

export const FLOOR = 64 * 1024;
export const CEILING = 1024 * 1024 * 1024;

/** In the startup the window is at most so many pipefuls: two, and twice that since the rate lags a round behind. */
const MOST_STARTUP = 4.1;
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
export class AdaptiveWindow implements StreamWindow, PathMember {
  bytes: number;
  private readonly floor: number;
  private readonly ceiling: number;
  private readonly now: () => number;
  readonly trip = new RoundTrip();
  private readonly path: StreamPath;
  private readonly meter = new RateMeter();
  /** Bytes not yet acknowledged. */
  private inFlight = 0;
  /** Since when the window has had room; Infinity while it is full. */
  private roomSince: number;
  /** Calls sent before this many bytes are acknowledged were sent around a pause. */
  private limitedUntil = 0;
  /** Whether the sender paused all through the last round. */
  private paused = true;

  /**
   * @param start bytes to begin with; when less than {@link FLOOR}, the window never gets smaller than that instead.
   * @param now a clock in milliseconds, as fine as there is; it never goes back.
   * @param ceiling bytes that it never grows beyond, whatever it measures.
   * @param path what it shares with the other streams of its connection.
   */
  constructor(start: number, now: () => number, ceiling = CEILING, path = new StreamPath()) {
    this.bytes = start;
    this.ceiling = Math.max(start, ceiling);
    this.floor = Math.min(start, FLOOR);
    this.now = now;
    this.path = path;
    this.roomSince = now();
  }

  /** Whether it still doubles. */
  get starting(): boolean {
    return this.path.starting;
  }

  get rate(): number {
    return this.meter.rate;
  }

  sent(bytes: number, inFlight: number): SentRecord {
    const { meter, path } = this;
    const at = this.now();
    const alone = path.size === 0;
    if (alone) path.meter.restart(at);
    if (this.inFlight === 0) {
      meter.restart(at);
      path.join(this);
    }
    this.inFlight = inFlight;
    const { shortest } = this.trip;
    const pause = shortest === Infinity ? 0 : shortest * PAUSE;
    if (at - this.roomSince > pause) this.limitedUntil = meter.delivered + inFlight;
    this.roomSince = at;
    return {
      bytes,
      at,
      delivered: meter.delivered,
      deliveredAt: meter.deliveredAt,
      pathDelivered: path.meter.delivered,
      pathDeliveredAt: path.meter.deliveredAt,
      limited: meter.delivered < this.limitedUntil,
      alone,
    };
  }

  hasRoom(room: boolean): void {
    if (!room) this.roomSince = Infinity;
    else if (this.roomSince === Infinity) this.roomSince = this.now();
  }

  acknowledged(record: SentRecord): void {
    const { meter, path } = this;
    const now = this.now();
    meter.add(record.bytes, now);
    path.meter.add(record.bytes, now);
    this.inFlight -= record.bytes;
    const trip = now - record.at;
    // A clock may be too coarse to learn from.
    if (trip > 0) this.learn(record, trip, now);
    if (this.inFlight <= 0) path.leave(this);
  }

  /** PathMember: takes its share of the path. */
  breathe(now: number, shown: boolean): void {
    const { path } = this;
    if (shown) this.trip.conclude(now);
    if (path.starting || this.rate === 0) return;
    const share = path.shareOf(this, now);
    if (this.paused) this.set(Math.max(this.bytes, share), this.floor);
    else this.set(share, path.asking ? 1 : this.floor);
  }

  private learn(record: SentRecord, trip: number, now: number): void {
    const { meter, path } = this;
    const { pathDelivered, pathDeliveredAt, limited, alone } = record;
    this.trip.saw(trip, now, alone, path.drainedAt(record.at));
    const round = meter.measure(record.delivered, record.deliveredAt, trip, limited);
    if (round !== "none") this.paused = round === "limited";
    if (round === "full" && path.starting) this.grow();
    path.acknowledged(path.meter.measure(pathDelivered, pathDeliveredAt, trip, limited), now);
  }

  private grow(): void {
    const { lastRate } = this.meter;
    const most = MOST_STARTUP * lastRate * this.trip.shortest;
    this.set(Math.max(this.bytes, Math.min(2 * this.bytes, most)), this.floor);
  }

  private set(bytes: number, floor: number): void {
    this.bytes = Math.round(Math.min(this.ceiling, Math.max(floor, bytes)));
  }
}
