// Role: the scheduler of capabilities that live in no particular vat: a server made by `serve` before any connection.
// State: one scheduler for the process, drained in a microtask. Must not know: connections.

import { Scheduler } from "../base/scheduler.js";

let shared: Scheduler | null = null;

/** The process's own scheduler, made at first use. It drains itself. */
export function processScheduler(): Scheduler {
  if (shared === null) {
    const scheduler = new Scheduler();
    const drain = (): void => scheduler.drain();
    scheduler.wake = (): void => queueMicrotask(drain);
    shared = scheduler;
  }
  return shared;
}
