// Role: the scheduler of capabilities that live in no particular vat: a server made by `serve` before any connection.
// State: one scheduler for the process, drained in a microtask. Must not know: connections.

import { currentOrigin } from "../base/origin.js";
import { Scheduler } from "../base/scheduler.js";

let shared: Scheduler | null = null;
const SETTLED: Promise<void> = /* @__PURE__ */ Promise.resolve();

/** The scheduler of what is made here and now: that of the object that runs, or the process's own. */
export function homeScheduler(): Scheduler {
  return currentOrigin()?.scheduler ?? processScheduler();
}

/** The process's own scheduler, made at first use. It drains itself. */
export function processScheduler(): Scheduler {
  return (shared ??= drainedScheduler());
}

/**
 * A new scheduler, which drains itself at the end of each turn. What a listener or a `[Symbol.dispose]` of the user's throws
 * there has no caller that could be told. It is written to the console, and ends nothing: it is the peer who decides when
 * such code runs.
 */
export function drainedScheduler(): Scheduler {
  const scheduler = new Scheduler();
  scheduler.onError = (error) => {
    try {
      console.error("capstan: a listener or a [Symbol.dispose] threw:", error);
    } catch {
      // Of what was thrown no picture can be made, or the console is somebody's own. Messages are not to be lost over it.
    }
  };
  let asked = false;
  const drain = (): void => {
    asked = false;
    scheduler.drain();
  };
  // A session drains after each message, long before the microtask: one is enough for all that are asked for meanwhile.
  scheduler.wake = (): void => {
    if (asked) return;
    asked = true;
    void SETTLED.then(drain);
  };
  return scheduler;
}
