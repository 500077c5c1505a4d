// Role: what a host needs of Node: who runs, when a turn is over, hashes, the clock.
// State: which object's code runs, for the process. Must not know: objects.

import { AsyncLocalStorage } from "node:async_hooks";
import { createHmac, randomBytes } from "node:crypto";
import { type Origin, setOriginSource } from "../../base/origin.js";
import type { Runtime } from "./host.js";

const running = new AsyncLocalStorage<Origin | null>();

/** Timers that would be longer fire at once. */
const LONGEST_TIMER = 2 ** 31 - 1;

/** Node, for a host. Whoever asks for it has the origin of calls noted from then on. */
export function nodeRuntime(): Runtime {
  setOriginSource({
    current: () => running.getStore() ?? null,
    run: (origin, body) => running.run(origin, body),
  });
  return {
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
