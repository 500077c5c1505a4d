// Role: where a call comes from: which running object makes it, and who lets calls into that object.
// State: who knows, once for the process. Must not know: what a host is, or an object.
//
// A host runs objects that must not be disturbed at every moment, and has to know which of them a call comes from. It says
// so here; everything between only carries it along. Where there is no host, nobody asks and every origin is null.

import type { RpcError } from "./errors.js";
import type { Scheduler } from "./scheduler.js";

/** What code runs for. */
export interface Origin {
  /** Whose jobs the calls are that come back to it. */
  readonly scheduler: Scheduler;
}

/** A call on an object, before its method is entered. */
export interface Entrant {
  /** Who made it; what the method runs for, once it is let in. */
  origin: Origin | null;
  /** It is no new event, but something that the code of `origin` waits for. */
  readonly isAnswer?: boolean;
  enter(): void;
  fails(error: RpcError): void;
}

/** Lets calls in: each now, later, or never. In the order in which they came. */
export interface Entry {
  admit(entrant: Entrant): void;
}

/** Knows what runs. */
export interface OriginSource {
  /** What the code that asks runs for. */
  current(): Origin | null;
  /** Runs `body`, and all that it leads to, for `origin`; null for nobody. */
  run<A extends unknown[], T>(origin: Origin | null, body: (...args: A) => T, ...args: A): T;
}

let source: OriginSource | null = null;

/** Says who knows. It is asked at every call of this process, so it must be quick. */
export function setOriginSource(by: OriginSource): void {
  source = by;
}

export function currentOrigin(): Origin | null {
  return source === null ? null : source.current();
}

/**
 * Runs the code of a call.
 *
 * @param origin who made the call, or what the code was let in for. @param scheduler of the object whose code it is: what
 *   it makes belongs there, also where nobody lets calls in and it runs on behalf of its caller.
 */
export function runFor<A extends unknown[], T>(
  origin: Origin | null,
  scheduler: Scheduler,
  body: (...args: A) => T,
  ...args: A
): T {
  if (source === null) return body(...args);
  const foreign = origin !== null && origin.scheduler !== scheduler;
  return source.run(foreign ? { ...origin, scheduler } : origin, body, ...args);
}
