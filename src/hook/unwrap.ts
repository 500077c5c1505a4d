// Role: from a capability to the object of this vat behind it, for whoever made that object.
// State: none. Must not know: connections: a capability of theirs is simply no object of this vat.

import type { Hook, HookWatcher } from "./hook.js";
import { LocalHook, type Server } from "./local.js";

/**
 * Finds the object of this vat that `hook` stands for. Waits until it is known what that is, any embargo included, and
 * until the stream calls made on the object have ended: whoever touches the object itself must not overtake them.
 *
 * Trust nothing about the object by this alone: a peer may pass back any capability of ours.
 *
 * @param hook stays the caller's; a reference is kept until `found` is called.
 * @param found called once, at once or from a job: the server given to {@link LocalHook}, or null when the capability is
 * no object of this vat, is broken, or is guarded by a membrane.
 * @example unwrap(hook, (server) => server instanceof Room && rooms.has(server) && admit(server));
 *
 * Source: C-FLO-16, C-EMB-22.
 */
export function unwrap(hook: Hook, found: (server: Server | null) => void): void {
  new Unwrapping(hook.addRef(), found).hookResolved();
}

class Unwrapping implements HookWatcher {
  private readonly hook: Hook;
  private readonly found: (server: Server | null) => void;

  constructor(hook: Hook, found: (server: Server | null) => void) {
    this.hook = hook;
    this.found = found;
  }

  hookResolved(): void {
    const end = this.hook.resolved();
    if (end.isPromise) end.watch(this);
    else if (end instanceof LocalHook) end.whenQuiet(() => this.tell(end.server));
    else this.tell(null);
  }

  private tell(server: Server | null): void {
    this.hook.release();
    this.found(server);
  }
}
