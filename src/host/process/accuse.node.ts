// Role: names the object whose code ends its process, or never lets it go on.
// State: the thread that watches this one. Must not know: what becomes of the object, who reads the accusation.
//
// What does not yield cannot be asked, so a thread of its own watches a counter in shared memory that the main thread moves on. When it
// stands still, the thread has the engine interrupt whatever runs and evaluate one expression there (`Runtime.evaluate` by the inspector):
// within that interruption the context of the code that was interrupted is the current one, and says which object it runs for. Nothing
// is noted while all is well.

import fs from "node:fs";
import { Worker } from "node:worker_threads";
import { runningObject } from "../object/runtime.node.js";
import type { Blame } from "./messages.js";

/** The pipe to the supervisor, for what must be said although nothing runs any more. */
export const BLAME_FD = 3;
/** The name under which the interrupting thread finds what tells who runs. */
export const WHO_RUNS = "capstan.running";

/** What the watching thread is given. */
export interface WatchdogData {
  readonly beats: SharedArrayBuffer;
  /** Milliseconds after which a process that does not yield is ended; 0: never. */
  readonly yieldTime: number;
  /** The process that started this one: when it is gone, this one ends, whatever it does. */
  readonly parent: number;
}

/** Who runs now, and where; null when no object does. */
function accused(deed: string): Blame | null {
  const activation = runningObject();
  if (activation === undefined) return null;
  const { definition, id } = activation;
  const stack = new Error(deed).stack?.split("\n").slice(1, 12).join("\n");
  return { namespace: definition.name, id: id.toString(), name: id.name, deed, stack };
}

/** Says it at once: the process may not live to the end of this turn. */
function say(blame: Blame): void {
  try {
    fs.writeSync(BLAME_FD, `${JSON.stringify(blame)}\n`);
  } catch {
    // Nobody listens any more.
  }
}

/**
 * From now on the supervisor is told which object ends this process by `process.exit`, and which one did not yield for `yieldTime`
 * milliseconds, whereupon the process is killed.
 *
 * @returns ends it: what ends this process now is nobody's fault.
 */
export function accuse(yieldTime: number): () => void {
  const onExit = (code: number): void => {
    const blame = accused(`it called process.exit(${code})`);
    if (blame !== null) say(blame);
  };
  process.on("exit", onExit);
  Object.defineProperty(globalThis, Symbol.for(WHO_RUNS), {
    configurable: true,
    value: () => accused(`it did not yield for ${yieldTime} ms`),
  });
  const beats = new SharedArrayBuffer(4);
  const counter = new Int32Array(beats);
  const data: WatchdogData = { beats, yieldTime, parent: process.ppid };
  const worker = new Worker(new URL("./watchdog.node.js", import.meta.url), { workerData: data });
  worker.unref();
  const beat = setInterval(() => Atomics.add(counter, 0, 1), Math.max(10, yieldTime / 40));
  beat.unref();
  return () => {
    process.off("exit", onExit);
    clearInterval(beat);
    void worker.terminate();
  };
}
