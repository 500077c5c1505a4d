// Role: one direction of a link between test vats: when each message that was put on it arrives.
// State: the messages under way, until when the line is busy, how long its queue has been.
// Must not know: what a message says; who moves the time.
//
// The queue is known without simulating bytes: whatever is put on a busy line leaves when all before it has, so the time
// until the line is free, times its bandwidth, IS the queue.

export interface LinkOptions {
  /** Milliseconds of virtual time that each message is on its way; by default 1. */
  delay?: number;
  /** Bytes that each direction carries in a millisecond; what is sent faster waits in line. By default no bound. */
  bandwidth?: number;
  /**
   * Bytes that a message counts as on the line; by default its length. With it a small message stands for a large one, and
   * a test of large streams costs little.
   */
  weigh?: (message: Uint8Array) => number;
}

/** What a line carries; see {@link TestVats.load}. */
export interface LineLoad {
  /** Bytes that wait for the line, that part of a message included which has not left yet. */
  readonly queued: number;
  /** The most that ever waited since this was last asked for. */
  readonly mostQueued: number;
  /** Bytes ever put on the line. */
  readonly bytes: number;
}

/** @example line.put(now, message); line.due[0]; // when it arrives */
export class Line {
  delay: number;
  /** When each message arrives, oldest first. */
  readonly due: number[] = [];
  /** How many of the next messages are lost. */
  losing = 0;
  private bandwidth: number;
  private readonly weigh: (message: Uint8Array) => number;
  private freeAt = 0;
  private most = 0;
  private bytes = 0;

  constructor(options: LinkOptions) {
    this.delay = options.delay ?? 1;
    this.bandwidth = options.bandwidth ?? Infinity;
    this.weigh = options.weigh ?? ((message) => message.length);
  }

  /** Keeps its order, whatever its delay became. */
  put(now: number, message: Uint8Array): void {
    const bytes = this.weigh(message);
    this.bytes += bytes;
    this.freeAt = Math.max(this.freeAt, now) + bytes / this.bandwidth;
    this.most = Math.max(this.most, this.queued(now));
    this.due.push(Math.max(this.freeAt + this.delay, this.due.at(-1) ?? 0));
  }

  /** From now on. What is queued still arrives when it would have, and counts until it would have left now. */
  setBandwidth(now: number, bandwidth: number): void {
    const queued = this.queued(now);
    this.bandwidth = bandwidth;
    if (queued > 0) this.freeAt = now + queued / bandwidth;
  }

  /** All that is under way is gone. */
  clear(): void {
    this.due.length = 0;
    this.freeAt = 0;
  }

  load(now: number): LineLoad {
    const queued = this.queued(now);
    const mostQueued = Math.max(this.most, queued);
    this.most = queued;
    return { queued, mostQueued, bytes: this.bytes };
  }

  private queued(now: number): number {
    return this.freeAt > now ? (this.freeAt - now) * this.bandwidth : 0;
  }
}
