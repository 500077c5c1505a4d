// Role: incoming pressure. Counts the bytes of the calls being handled; over the soft limit it withholds the dispatch
// of a call, never its decoding, so that Returns, Finishes and Releases behind it still get through.
// State: bytes in use, and what is withheld, in order: calls, and what must not pass them: Disembargoes, and the use of
// our own capabilities that came home behind them.
// Must not know: what a call is. A method that awaits a call back from the same peer can wait for ever when that call
// is withheld behind the limit: limits must leave room for the calls that calls make (C-FLO-17, docs/limits.md).

import { Fifo } from "../base/fifo.js";
import { type Limits, WAITING_EACH } from "../base/limits.js";
import type { Job, Scheduler } from "../base/scheduler.js";

interface Withheld {
  bytes: number;
  dispatch: () => void;
}

/** Source: C-FLO-17, C-FLO-18, C-FLO-21; design, "Pressure on one ordered byte stream". */
export class FlowGate implements Job {
  private readonly limits: Limits;
  private readonly scheduler: Scheduler;
  private inUse = 0;
  private calls = 0;
  private withheldBytes = 0;
  private readonly queue = new Fifo<Withheld>();
  private posted = false;

  constructor(limits: Limits, scheduler: Scheduler) {
    this.limits = limits;
    this.scheduler = scheduler;
  }

  /** Bytes of params of calls that were dispatched and have not returned. */
  get bytesInUse(): number {
    return this.inUse;
  }

  get bytesWithheld(): number {
    return this.withheldBytes;
  }

  get withheld(): number {
    return this.queue.length;
  }

  /** Whether the reserve is spent, so that reading has to stop. */
  get exhausted(): boolean {
    return this.withheldBytes > this.limits.withheldCallBytes;
  }

  /** Whether a call of `bytes` may be dispatched at once. A call alone always may, whatever its size. */
  admits(bytes: number): boolean {
    if (this.queue.length > 0) return false;
    return this.calls === 0 || this.inUse + bytes <= this.limits.incomingCallBytes;
  }

  /** Charges a dispatched call. */
  charge(bytes: number): void {
    this.inUse += bytes;
    this.calls++;
  }

  /** The call has returned. */
  discharge(bytes: number): void {
    this.inUse -= bytes;
    this.calls--;
    this.wake();
  }

  /** Withholds `dispatch`, which is called in order, once there is room. @param bytes of the call; 0 for what is none. */
  withhold(bytes: number, dispatch: () => void): void {
    this.withheldBytes += bytes + WAITING_EACH;
    this.queue.push({ bytes, dispatch });
    this.wake();
  }

  /** Job: dispatches what there is room for. */
  run(): void {
    this.posted = false;
    let next = this.queue.first;
    while (
      next !== undefined &&
      (this.calls === 0 || this.inUse + next.bytes <= this.limits.incomingCallBytes)
    ) {
      this.queue.take();
      this.withheldBytes -= next.bytes + WAITING_EACH;
      next.dispatch();
      next = this.queue.first;
    }
  }

  /** Lets everything through: the connection is over, its calls are canceled, and each entry lets go of what it holds. */
  open(): void {
    for (let left = this.queue.length; left > 0; left--) this.queue.take()!.dispatch();
    this.withheldBytes = 0;
  }

  private wake(): void {
    if (this.queue.length === 0 || this.posted) return;
    this.posted = true;
    this.scheduler.post(this);
  }
}
