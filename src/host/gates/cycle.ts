// Role: finds out whether something that is about to wait would wait for itself, and says along which way.
// State: none. Must not know: what is waited for, other processes: what is seen here is what waits in this one (waits.ts).
//
// A section waits for the calls that its code makes. A call waits before a gate for the section that has closed it. So
// there is a graph of two kinds of edges: from a section to what waits and was caused by it, and from what waits to the section
// it is blocked by. Whoever adds the last edge of a cycle is told, and fails; the others then go on. A section may make a call
// without awaiting it; that cannot be seen, so such a call fails as well when it comes back.

import { RpcError } from "../../base/errors.js";
import type { Frame } from "./input-gate.js";
import { type Section, sectionsOf, type Waiter } from "./section.js";

/**
 * The error to refuse `waiter` with when it would wait for itself; null when it would not.
 *
 * @example const error = cycleOf(event); if (error !== null) event.refuse(error);
 */
export function cycleOf(waiter: Waiter): RpcError | null {
  if (waiter.blockedBy === null || waiter.from === null) return null;
  const causes = new Set(sectionsOf(waiter.from));
  if (causes.size === 0) return null;
  const route = search(waiter.blockedBy, causes, new Set());
  if (route === null) return null;
  // From the cause, by the calls that led here, to the gate that is closed, and on to what keeps it closed.
  const last = route.at(-1)!;
  const names = [
    ...between(last.section, waiter),
    ...route.slice(0, -1).flatMap(({ names }) => names),
  ];
  return cycleError(names);
}

/** @param names of the gates on the way, the first and the last being the same. */
export function cycleError(names: readonly string[]): RpcError {
  const message =
    `the call would wait for itself: ${names.join(" -> ")}; each waits for the next inside of a critical section ` +
    `(blockConcurrencyWhile): make the call outside of it`;
  return new RpcError("failed", "gate-cycle", message);
}

/** A section on the way, and the gates that its waiting call goes by. */
interface Step {
  readonly section: Section;
  readonly names: readonly string[];
}

/** The way from `section` to one of `causes` along what it waits for. */
function search(section: Section, causes: ReadonlySet<Section>, seen: Set<Section>): Step[] | null {
  if (causes.has(section)) return [{ section, names: [] }];
  if (seen.has(section)) return null;
  seen.add(section);
  const inner = section.sections[0];
  if (inner !== undefined) {
    const rest = search(inner, causes, seen);
    if (rest !== null) return [{ section, names: [] }, ...rest];
  }
  for (const waiter of section.waiting) {
    const { blockedBy } = waiter;
    const rest = blockedBy === null ? null : search(blockedBy, causes, seen);
    if (rest !== null) return [{ section, names: between(section, waiter).slice(1) }, ...rest];
  }
  return null;
}

/** The gates from that of `section` to the one that `waiter` stands before, by the calls in between. */
function between(section: Section, waiter: Waiter): string[] {
  const names = [waiter.gate.name];
  for (let at: Frame | null = waiter.from; at !== null; at = at.from) {
    names.unshift(at.gate.name);
    if (isWithin(at.section, section)) break;
  }
  return names;
}

function isWithin(section: Section | null, outer: Section): boolean {
  for (let at = section; at !== null; at = at.parent) if (at === outer) return true;
  return false;
}
