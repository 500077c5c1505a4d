// Role: names the object whose code ends its process, or what of a process never lets it go on; ends a process with its supervisor.
// State: the thread that watches this one. Must not know: what becomes of the object, who reads the accusation.
//
// What does not yield cannot be asked, so a thread of its own watches a counter in shared memory that the main thread moves on. When it
// stands still, the thread has the engine interrupt whatever runs and evaluate one expression there (`Runtime.evaluate` by the inspector):
// within that interruption the context of the code that was interrupted is the current one, and says which object it runs for. Nothing
// is noted while all is well.

import fs from "node:fs";
import { Worker } from "node:worker_threads";
import { runningObject } from "../object/runtime.node.js";
import type { Blame, Deed } from "./messages.js";

/** The pipe to the supervisor, for what must be said although nothing runs any more. */
export const BLAME_FD = 3;
/** The name under which the interrupting thread finds what tells who runs. */
export const WHO_RUNS = "capstan.running";

/** Where in {@link WatchdogData.shared} the counter is, and whether it is looked at. */
export const BEATS = 0;
export const ARMED = 1;

/** What the watching thread is given. */
export interface WatchdogData {
  readonly shared: SharedArrayBuffer;
  /** Milliseconds after which a process that does not yield is ended; 0: never. */
  readonly yieldTime: number;
  /** The process that started this one: when it is gone, this one ends, whatever it does. */
  readonly parent: number;
}

/** Where the code is that runs now, and for which object, if it does for one. */
function accused(deed: string): Deed | Blame {
  const stack = new Error(deed).stack?.split("\n").slice(1, 12).join("\n");
  const activation = runningObject();
  if (activation === undefined) return { deed, stack };
  const { definition, id } = activation;
  return { namespace: definition.name, id: id.toString(), name: id.name, deed, stack };
}

/** Says it at once: the process may not live to the end of this turn. */
function say(blame: Deed): void {
  try {
    fs.writeSync(BLAME_FD, `${JSON.stringify(blame)}\n`);
  } catch {
    // Nobody listens any more.
  }
}

/** What {@link accuse} gives. */
export interface Accuser {
  /** From now on what does not yield is told, and the process is killed. */
  arm(): void;
  /** Says why, and ends the process. */
  end(deed: string): never;
  /** Ends it all: what ends this process now is nobody's fault. */
  pardon(): void;
}

/**
 * From now on the supervisor is told which object ends this process by `process.exit`; once it is armed also what did not yield for
 * `yieldTime` milliseconds. When the supervisor is gone the process is killed, whatever it does.
 */
export function accuse(yieldTime: number): Accuser {
  const onExit = (code: number): void => {
    if (runningObject() !== undefined) say(accused(`it called process.exit(${code})`));
  };
  process.on("exit", onExit);
  Object.defineProperty(globalThis, Symbol.for(WHO_RUNS), {
    configurable: true,
    value: () => accused(`it did not yield for ${yieldTime} ms`),
  });
  const shared = new SharedArrayBuffer(8);
  const counter = new Int32Array(shared);
  const data: WatchdogData = { shared, yieldTime, parent: process.ppid };
  const worker = new Worker(new URL("./watchdog.node.js", import.meta.url), { workerData: data });
  worker.unref();
  const beat = setInterval(() => Atomics.add(counter, BEATS, 1), Math.max(10, yieldTime / 40));
  beat.unref();
  return {
    end(deed) {
      say({ deed });
      process.exit(1);
    },
    arm: () => void Atomics.store(counter, ARMED, 1),
    pardon() {
      process.off("exit", onExit);
      clearInterval(beat);
      void worker.terminate();
    },
  };
}
