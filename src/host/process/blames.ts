// Role: which objects have ended their processes, and for how long each is refused for it.
// State: per such object, how often, and until when. Must not know: processes, objects.
//
// One time may be an accident. An object that does it again is refused for a time that doubles, so that its neighbours, whose process it
// ends too, get on with their work.

import type { Blame, RefusedObject } from "./messages.js";

/** For so long an object is refused that has ended its process a second time, in milliseconds; twice as long each time after. */
const FIRST_REFUSAL = 1000;
const LONGEST_REFUSAL = 5 * 60_000;
/** After so long without, it is forgotten. */
const MEMORY = 15 * 60_000;

interface Record {
  readonly blame: Blame;
  readonly times: number;
  /** When it did it last, and until when it is refused. */
  readonly at: number;
  readonly until: number;
}

export class Blames {
  private readonly records = new Map<string, Record>();

  /** @param now milliseconds since the epoch. @returns how often the object did it, and for how long it is refused, in milliseconds. */
  note(blame: Blame, now: number): { readonly times: number; readonly refusal: number } {
    this.forget(now);
    const key = `${blame.namespace}/${blame.id}`;
    const times = (this.records.get(key)?.times ?? 0) + 1;
    const refusal = times < 2 ? 0 : Math.min(FIRST_REFUSAL * 2 ** (times - 2), LONGEST_REFUSAL);
    this.records.set(key, { blame, times, at: now, until: now + refusal });
    return { times, refusal };
  }

  /** Those that are refused now. */
  refused(now: number): RefusedObject[] {
    this.forget(now);
    const all = Array.from(this.records.values());
    return (
      all
        // One that is refused for longer than any is since the clock was set back.
        .filter(({ until }) => until > now && until - now <= LONGEST_REFUSAL)
        .map(({ blame, times, until }) => ({
          namespace: blame.namespace,
          id: blame.id,
          until,
          reason: `the object ${nameOf(blame)} has ended its process ${times} times, last because ${blame.deed}; it is not started until ${new Date(until).toISOString()}`,
        }))
    );
  }

  private forget(now: number): void {
    for (const [key, { at, until }] of this.records)
      if (now > Math.max(at + MEMORY, until)) this.records.delete(key);
  }
}

/** For people. */
export function nameOf({ namespace, id, name }: Blame): string {
  return `${namespace}/${name ?? id.slice(0, 8)}`;
}
