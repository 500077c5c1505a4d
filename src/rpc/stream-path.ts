// Role: what the streams of one connection have in common: the path that they fill together, the beat in which their
// windows breathe, and what of it is each one's due.
// State: the rate of all of them, the phase, the windows in use.
// Must not know: calls, who sends. Pure: times are given to it.
//
// Each stream measures its own rate and its own round trip, since one may lead to a slow method and the next through a
// proxy to the other end of the world. But streams that share a queue cannot do that alone. A queue drains, and shows the
// true round trip, only when all who fill it hold back in the same round: alone, each takes the others' queue for
// distance and makes its own longer still. So they breathe together, and one that is unsure, because it began in the others'
// queue or has not seen it drained for long, asks: while the others drain, its calls travel one at a time.
//
// And a window in proportion to the rate that a stream has keeps whatever division there happens to be. So each gets
// somewhat more than that when it has less than the others, and somewhat less when it has more, until all have the same;
// and all together no more than the path carries.

import { type Round, RateMeter } from "./rate-meter.js";
import type { RoundTrip } from "./round-trip.js";

/** A window that breathes with its path. */
export interface PathMember {
  /** The fastest delivery of this stream lately, in bytes per millisecond. */
  readonly rate: number;
  readonly trip: RoundTrip;
  /** A round of the path is over; `shown`: what was sent while streams asked has been answered. */
  breathe(now: number, shown: boolean): void;
}

/** The startup is over when the rate grew by less than this for so many rounds. */
const GROWTH = 1.25;
const FLAT_ROUNDS = 3;
/**
 * One round to probe, one to drain, the rest with close to two pipefuls. With one, every delay that is no distance (a
 * process asleep, acknowledgements in lumps) leaves the pipe idle, the rate falls, and the window follows it down.
 */
const USUAL = 1.8;
const GAINS = [2.25, 7 / 8, USUAL, USUAL, USUAL, USUAL, USUAL, USUAL];
const DRAIN = 1;
/** What was sent while the queue drained is acknowledged in the round after. */
const SHOWN = DRAIN + 1;
/** Rounds to drain while some stream asks: at the end of the first, bursts of the last may still be in the others' way. */
const ASKING_ROUNDS = 2;
/** How far a stream's due may be from the rate that it has. The usual gain makes the least a pipeful: no path starves. */
const LEAST_DUE = 2 / 3;
const MOST_DUE = 3 / 2;

/** Source: C-FLO-05; docs/architecture.md, "Stream windows". */
export class StreamPath {
  readonly meter = new RateMeter();
  /** Whether windows still double: nobody knows yet how much the path carries. */
  starting = true;
  /** Whether some stream asks for its round trip: until all know, windows go below their floor. */
  asking = false;
  /** Whether one asked when the queue drained last. */
  private asked = false;
  private askingRounds = 0;
  private readonly members = new Set<PathMember>();
  private startupRate = 0;
  private flatRounds = 0;
  private phase = 0;
  private drainFrom = Infinity;
  private drainTo = Infinity;
  /** The mean of the rates that the streams have, by their bytes, so that those with little to say do not count. */
  private due = 0;
  /** What takes all together to no more than the path carries. */
  private scale = 1;

  /** How many streams are in use. */
  get size(): number {
    return this.members.size;
  }

  /** The stream has calls under way. */
  join(member: PathMember): void {
    this.members.add(member);
  }

  /** It has none any more. */
  leave(member: PathMember): void {
    this.members.delete(member);
  }

  /** Whether a call sent at this time was sent while the queue drained for streams that asked. */
  drainedAt(time: number): boolean {
    return this.asked && time > this.drainFrom && time <= this.drainTo;
  }

  /** How many bytes a stream may have under way in this round. */
  shareOf(member: PathMember, now: number): number {
    // Only calls that travel alone can tell: bursts that each wait for the other's end never see the queue empty.
    if (this.asking && member.trip.isUnsure(now)) return 0;
    return this.dueOf(member.rate) * this.scale * GAINS[this.phase]! * member.trip.shortest;
  }

  /** A call of any stream was acknowledged, and ended a round of the path or not. */
  acknowledged(round: Round, now: number): void {
    if (round === "none") return;
    if (round === "full") this.look();
    let shown = false;
    if (!this.starting && round === "full") {
      shown = this.asked && this.phase === SHOWN;
      this.turn(now);
    }
    this.divide();
    for (const member of this.members) member.breathe(now, shown);
  }

  /** The first stream may have led to a slow method: whoever brings more than was ever seen starts up anew. */
  private look(): void {
    const rate = this.meter.lastRate;
    if (rate >= this.startupRate * GROWTH) {
      this.startupRate = rate;
      this.flatRounds = 0;
      this.starting = true;
      this.asking = false;
    } else if (this.starting && ++this.flatRounds === FLAT_ROUNDS) this.starting = false;
  }

  private turn(now: number): void {
    if (this.asking && ++this.askingRounds < ASKING_ROUNDS) return;
    if (this.phase === DRAIN) this.drainTo = now;
    this.phase = (this.phase + 1) % GAINS.length;
    this.asking = false;
    if (this.phase !== DRAIN) return;
    this.drainFrom = now;
    this.drainTo = Infinity;
    this.askingRounds = 0;
    for (const member of this.members) this.asking ||= member.trip.isUnsure(now);
    this.asked = this.asking;
  }

  private divide(): void {
    let sum = 0;
    let squares = 0;
    for (const { rate } of this.members) {
      sum += rate;
      squares += rate * rate;
    }
    this.due = sum === 0 ? 0 : squares / sum;
    let all = 0;
    for (const { rate } of this.members) all += this.dueOf(rate);
    this.scale = all > this.meter.rate ? this.meter.rate / all : 1;
  }

  private dueOf(rate: number): number {
    return Math.min(MOST_DUE * rate, Math.max(LEAST_DUE * rate, this.due));
  }
}
