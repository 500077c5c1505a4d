// Role: the one FIFO queue of jobs for everything in hook/ and rpc/ that must not happen synchronously.
// State: the queue. Must not know: timers, promises, or who drains it. A native microtask here would take away the
// determinism that lets one test drive several vats through millions of orders of delivery.

import { RpcError } from "./errors.js";
import type { Entry } from "./origin.js";

/** Work to be done later, once. An object with `run`, not a closure, so that long-lived objects can be their own job. */
export interface Job {
  run(): void;
}

/**
 * A FIFO queue of jobs. Whoever owns the vat drains it: the session between two messages, a test when it likes.
 *
 * @example
 * const scheduler = new Scheduler();
 * scheduler.post({ run: () => log("later") });
 * scheduler.drain();
 *
 * Source: C-LIF-14, C-LOC-01.
 */
export class Scheduler {
  /** Slots are used over and over: an array that is emptied and refilled for every message costs more than the jobs. */
  private readonly queue: (Job | undefined)[] = [];
  private head = 0;
  private tail = 0;
  private draining = false;

  /** Who lets calls into the objects of this vat; null when nobody holds them back. */
  entry: Entry | null = null;

  /** Called when a job is posted to an idle queue from outside `drain`, so that the owner can arrange a drain. It must not drain at once. */
  wake: (() => void) | null = null;

  /** Told of anything a job throws: a job's fault never stops the jobs behind it. What this throws comes out of {@link drain}. */
  onError: (error: RpcError) => void = () => {};

  /** Jobs waiting. */
  get pending(): number {
    return this.tail - this.head;
  }

  post(job: Job): void {
    this.queue[this.tail++] = job;
    if (!this.draining && this.tail - this.head === 1) this.wake?.();
  }

  /** Runs jobs, those posted meanwhile too, until none is left. A call from inside a job does nothing. */
  drain(): void {
    if (this.draining || this.head === this.tail) return;
    this.draining = true;
    try {
      this.runAll();
    } finally {
      this.draining = false;
      // Told of a fault, `onError` threw itself. The jobs behind it are not to wait for ever.
      if (this.head < this.tail) this.wake?.();
    }
  }

  private runAll(): void {
    const { queue } = this;
    while (this.head < this.tail) {
      const job = queue[this.head]!;
      queue[this.head++] = undefined;
      if (this.head === COMPACT_AT) this.compact();
      try {
        job.run();
      } catch (thrown) {
        this.onError(RpcError.from(thrown, "internal-error"));
      }
    }
    this.head = 0;
    this.tail = 0;
    if (queue.length > COMPACT_AT) queue.length = COMPACT_AT;
  }

  /** A queue that never runs empty would grow for ever. */
  private compact(): void {
    const { queue } = this;
    queue.copyWithin(0, this.head, this.tail);
    queue.fill(undefined, this.tail - this.head, this.tail);
    this.tail -= this.head;
    this.head = 0;
  }
}

const COMPACT_AT = 4096;
