// What happened in a run, or in many: nothing of it may never happen.

export const EVENTS = [
  "creates",
  "calls",
  "calls between processes",
  "calls that waited for a process",
  "answers",
  "passed between processes",
  "given back",
  "lost connections",
  "read after the sender's end",
  "stored from a lost connection",
  "puts",
  "deletes",
  "clears",
  "reads",
  "drops",
  "evictions",
  "lost clients",
  "alarms set",
  "alarms rung",
  "saved",
  "revoked",
  "expired",
  "restored",
  "attached",
  "detached",
  "facets",
  "killed processes",
  "restarted processes",
  "read by a newcomer",
  "crashes between steps",
  "crashes at candidates",
  "crashes at dying",
  "crashes at disposing",
  "crashes at gone",
  "rounds",
  "rescues",
  "rounds lost to a holder",
  "rounds lost to the second look",
  "rounds lost to a touch",
  "rounds lost to a newcomer",
  "rounds without an answer",
  "fences that waited",
  "writes during a round",
  "collected",
  "components of several",
  "hooks",
  "hooks that waited for a process",
  "hooks lost with their process",
  "hooks not run again",
  "references refused to hooks",
  "collected at the end",
  "kept at the end",
] as const;

export type EventName = (typeof EVENTS)[number];
export type Counts = Record<EventName, number>;

export function noCounts(): Counts {
  return Object.fromEntries(EVENTS.map((name) => [name, 0])) as Counts;
}

export function addCounts(to: Counts, more: Counts): void {
  for (const name of EVENTS) to[name] += more[name];
}
