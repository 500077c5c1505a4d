// Role: what a host needs of Node: who runs, when a turn is over, hashes, the clock.
// State: which object's code runs, for the process. Must not know: objects.

import { AsyncLocalStorage } from "node:async_hooks";
import { createHmac, randomBytes } from "node:crypto";
import { type Origin, setOriginSource } from "../../base/origin.js";
import { type Activation, activationAt } from "./activation.js";
import type { Runtime } from "./host.js";

const running = new AsyncLocalStorage<Origin | null>();

/** Timers that would be longer fire at once. */
const LONGEST_TIMER = 2 ** 31 - 1;

/** Hosts that are open, and have faults contained. */
let containing = 0;

/**
 * Has what an object's code throws where nobody catches it, in a timer or a forgotten promise, break that object. What others
 * throw goes the way it goes without a host.
 *
 * @returns ends it.
 */
export function containFaults(): () => void {
  if (containing++ === 0) {
    process.on("uncaughtException", onException);
    process.on("unhandledRejection", onRejection);
  }
  let ended = false;
  return () => {
    if (ended) return;
    ended = true;
    if (--containing === 0) stopContaining();
  };
}

function stopContaining(): void {
  process.off("uncaughtException", onException);
  process.off("unhandledRejection", onRejection);
}

function onException(error: unknown): void {
  if (!contained(error) && process.listenerCount("uncaughtException") === 1) rethrow(error);
}

function onRejection(reason: unknown): void {
  if (!contained(reason) && process.listenerCount("unhandledRejection") === 1) rethrow(reason);
}

/** The object whose code runs now, if one's does. */
export function runningObject(): Activation | undefined {
  return activationAt(running.getStore() ?? null);
}

function contained(thrown: unknown): boolean {
  const activation = runningObject();
  activation?.break(thrown);
  return activation !== undefined;
}

/** It ends the process, as it would have done without this. */
function rethrow(thrown: unknown): void {
  stopContaining();
  setImmediate(() => {
    throw thrown;
  });
}

/** Node, for a host. Whoever asks for it has the origin of calls noted from then on. */
export function nodeRuntime(): Runtime {
  setOriginSource({
    current: () => running.getStore() ?? null,
    run: (origin, body, ...args) => running.run(origin, body, ...args),
  });
  return {
    contain: containFaults,
    hold() {
      const timer = setInterval(() => {}, LONGEST_TIMER);
      return () => clearInterval(timer);
    },
    crypto: {
      hmac: (key, data) => createHmac("sha256", key).update(data).digest(),
      random: (bytes) => randomBytes(bytes),
    },
    turns: {
      soon: (run) => void SETTLED.then(run),
      after: (run) => void setImmediate(run),
    },
    clock: {
      get now() {
        return Date.now();
      },
      // A host alone keeps no process alive.
      after(delay, run) {
        const timer = setTimeout(run, Math.min(delay, LONGEST_TIMER));
        timer.unref();
        return () => clearTimeout(timer);
      },
    },
  };
}

const SETTLED: Promise<void> = Promise.resolve();
