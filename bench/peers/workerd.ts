// What both clients of the bridge's rows share: where the server is, and the workloads.

import { readFileSync } from "node:fs";
import { keepBusy, oneByOne, type Session } from "./harness.js";

type Workload = Session["workloads"][string];

/** The service, class and object that are called; the object's id is any 64 hexadecimal digits. */
export const OBJECT = { service: "main", className: "Bench", id: "be".repeat(32) };

/** Calls under way where there are several. */
const IN_FLIGHT = 64;
/** So many calls, and the harness's warm-up beside. */
const WARM_UP = 20_000;
const MICROSECONDS_A_TICK = 10_000;

/** @param where what the server said: the path of its socket, and its process. */
export function serverAt(where: string): { path: string; cpu: () => Promise<number> } {
  const [path = "", pid = ""] = where.split("#");
  return { path, cpu: async () => cpuOf(pid) };
}

/** Microseconds of processor time that a process has spent; in Linux alone, NaN elsewhere. */
function cpuOf(pid: string): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return (Number(fields[11]) + Number(fields[12])) * MICROSECONDS_A_TICK;
  } catch {
    return NaN;
  }
}

/** @param object calls the object itself. @param target calls something that one call of it gave. */
export function workloads(
  object: () => Promise<unknown>,
  target: () => Promise<unknown>,
): Session["workloads"] {
  return {
    "object-sequential": warmed(object, (until) => oneByOne(until, object)),
    "object-outstanding": warmed(object, (until) => keepBusy(until, IN_FLIGHT, object)),
    "target-sequential": warmed(target, (until) => oneByOne(until, target)),
    "target-outstanding": warmed(target, (until) => keepBusy(until, IN_FLIGHT, target)),
  };
}

/** The engine compiles by what was called, and not by the clock: on a busy machine a second is not enough. */
function warmed(once: () => Promise<unknown>, workload: Workload): Workload {
  let warm = false;
  return async (until) => {
    for (let i = 0; !warm && i < WARM_UP; i++) await once();
    warm = true;
    return workload(until);
  };
}
