// Role: how what comes from outside reaches the code of a program: at once, or when the host of the object that it is lets it in.
// State: none. Must not know: what comes, what a host is.

import type { RpcError } from "../base/errors.js";
import { type Entrant, type Origin, runFor } from "../base/origin.js";
import type { Scheduler } from "../base/scheduler.js";
import { ignore } from "../cap/stream/values.js";

/** Something that happens to the code of an object, which was not waiting for it. */
class Happening implements Entrant {
  origin: Origin | null = null;
  readonly fails: (error: RpcError) => void;
  private readonly scheduler: Scheduler;
  private readonly body: () => void;

  constructor(scheduler: Scheduler, body: () => void, fails: (error: RpcError) => void) {
    this.scheduler = scheduler;
    this.body = body;
    this.fails = fails;
  }

  enter(): void {
    runFor(this.origin, this.scheduler, this.body);
  }
}

/**
 * Runs `body` as an event of the object whose jobs are those of `scheduler`; at once, where nobody lets events in.
 *
 * @param scheduler null for code of no object. @param refused it never runs: the object is broken.
 */
export function happen(
  scheduler: Scheduler | null,
  body: () => void,
  refused: (error: RpcError) => void = ignore,
): void {
  const entry = scheduler?.entry ?? null;
  if (entry === null) body();
  else entry.admit(new Happening(scheduler!, body, refused));
}

/**
 * Has the code of `origin` go on with what it waits for.
 *
 * @param origin of the code; null for code of no object. @param body resolves what it awaits.
 * @param refused the object is broken.
 */
export function comeBack(
  origin: Origin | null,
  body: () => void,
  refused: (error: RpcError) => void,
): void {
  const entry = origin?.scheduler.entry ?? null;
  if (entry === null) body();
  else entry.admit({ origin, isAnswer: true, enter: body, fails: refused });
}
