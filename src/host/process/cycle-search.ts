// Role: finds calls that wait for themselves by a way through several processes, and has one of each such cycle fail.
// State: whether it searches, and is to search again. Must not know: what waits, how a process is asked.
//
// Nothing is asked until a process has something that waits for long. Answers are of different moments, so what they tell together
// may never have been true: what one process told may have ended before the next was asked. Therefore all are asked once more when
// all have answered. What waits by both answers has waited at every moment between, all of it at the same time.

import type { Wait } from "../gates/waits.js";
import type { Question } from "./messages.js";

/** A process with objects. */
export interface Asked {
  ask(question: Question): Promise<unknown>;
}

interface Told extends Wait {
  readonly process: Asked;
}

export class CycleSearch {
  private readonly processes: () => readonly Asked[];
  private searching = false;
  private again = false;

  /** @param processes those that there are now. */
  constructor(processes: () => readonly Asked[]) {
    this.processes = processes;
  }

  /** Something waits that may wait for itself. */
  look(): void {
    this.again = true;
    if (!this.searching) void this.search();
  }

  private async search(): Promise<void> {
    this.searching = true;
    while (this.again) {
      this.again = false;
      await this.once();
    }
    this.searching = false;
  }

  private async once(): Promise<void> {
    const processes = this.processes();
    const before = await told(processes);
    if (cycleAmong(before) === null) return;
    const now = await told(processes);
    const cycle = cycleAmong(now.filter((wait) => before.some((other) => isSame(wait, other))));
    if (cycle === null) return;
    const [{ process, name }] = cycle;
    await process.ask({ what: "turn-away", wait: name, way: wayOf(cycle) }).catch(() => {});
    // It is told once that something waits, and there may be another cycle.
    this.again = true;
  }
}

async function told(processes: readonly Asked[]): Promise<Told[]> {
  const answers = processes.map(async (process): Promise<Told[]> => {
    // One that has ended has nothing that waits.
    const waits = await process.ask({ what: "waits" }).catch(() => []);
    return (waits as Wait[]).map((wait) => ({ ...wait, process }));
  });
  return (await Promise.all(answers)).flat();
}

function isSame(a: Wait, b: Wait): boolean {
  return a.name === b.name && a.blockedBy === b.blockedBy;
}

/** One or more. */
type Cycle<W> = [W, ...W[]];

/**
 * What waits for itself, each for the next: the section that one is blocked by waits for the one after it. The first is what has come
 * last, as it is in one process: it fails, and the others go on. Null when nothing waits for itself.
 */
export function cycleAmong<W extends Wait>(waits: readonly W[]): Cycle<W> | null {
  const done = new Set<W>();
  const path: W[] = [];
  const search = (wait: W): Cycle<W> | null => {
    const at = path.indexOf(wait);
    if (at >= 0) return latestFirst(path.slice(at));
    if (done.has(wait)) return null;
    done.add(wait);
    path.push(wait);
    for (const next of waits) {
      if (!next.causes.some(({ section }) => section === wait.blockedBy)) continue;
      const cycle = search(next);
      if (cycle !== null) return cycle;
    }
    path.pop();
    return null;
  };
  for (const wait of waits) {
    const cycle = search(wait);
    if (cycle !== null) return cycle;
  }
  return null;
}

function latestFirst<W extends Wait>(cycle: readonly W[]): Cycle<W> {
  const waited = cycle.map((wait) => wait.waited);
  const first = waited.indexOf(Math.min(...waited));
  return [...cycle.slice(first), ...cycle.slice(0, first)] as Cycle<W>;
}

/** The gates on the way, from the one of the section that the first comes from back to it. */
export function wayOf(cycle: Cycle<Wait>): string[] {
  const ways = cycle.map(({ causes }, i) => {
    const { blockedBy } = cycle[(i || cycle.length) - 1]!;
    return causes.find(({ section }) => section === blockedBy)!.way;
  });
  return ways.flatMap((way, i) => (i === 0 ? way : way.slice(1)));
}
