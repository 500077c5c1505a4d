// Role: the thread that watches the main thread of a process: ends the process when that does not yield, or when its supervisor
// is gone. State: what the counter was. Must not know: objects. See accuse.node.ts.

import fs from "node:fs";
import { type Runtime, Session } from "node:inspector";
import { workerData } from "node:worker_threads";
import { ARMED, BEATS, BLAME_FD, WHO_RUNS, type WatchdogData } from "./accuse.node.js";

/** So often in `yieldTime` the counter is looked at. What counts is looks, not time: a machine that sleeps does not look. */
const LOOKS = 10;
/** Between two looks for the supervisor, in milliseconds, if the counter is not watched. */
const PARENT_MS = 1000;
/** So long the main thread may take to say who runs: what blocks it outside of JavaScript is never interrupted. */
const ANSWER_MS = 2000;

const { shared, yieldTime, parent } = workerData as WatchdogData;
const counter = new Int32Array(shared);
let known = -1;
let still = 0;

const looking = setInterval(
  () => {
    if (process.ppid !== parent) end();
    const now = Atomics.load(counter, BEATS);
    still = now === known && Atomics.load(counter, ARMED) === 1 ? still + 1 : 0;
    known = now;
    if (yieldTime === 0 || still < LOOKS) return;
    clearInterval(looking);
    interrupt();
  },
  yieldTime === 0 ? PARENT_MS : Math.min(PARENT_MS, yieldTime / LOOKS),
);

function interrupt(): void {
  setTimeout(end, ANSWER_MS);
  const session = new Session();
  session.connectToMainThread();
  const question = {
    expression: `globalThis[Symbol.for(${JSON.stringify(WHO_RUNS)})]()`,
    returnByValue: true,
  };
  session.post("Runtime.evaluate", question, (_error, answer) => {
    const value: unknown = (answer as Runtime.EvaluateReturnType | undefined)?.result.value;
    if (typeof value === "object" && value !== null)
      fs.writeSync(BLAME_FD, `${JSON.stringify(value)}\n`);
    end();
  });
}

function end(): void {
  process.kill(process.pid, "SIGKILL");
}
