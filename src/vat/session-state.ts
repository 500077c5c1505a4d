// Role: the states of a connection as users observe them, and those who listen.
// State: the listeners. Must not know: what makes a state change.

import { checkFunction } from "../base/checks.js";
import type { RpcError } from "../base/errors.js";
import type { Scheduler } from "../base/scheduler.js";

/**
 * - `connecting`: a connection is being made; calls wait. Only what makes connections itself is ever in it.
 * - `open`: calls are made.
 * - `draining`: calls under way may end, new ones fail.
 * - `closed`: no call can be made.
 */
export type SessionState = "connecting" | "open" | "draining" | "closed";

/** `cause` is why it is `closed`: null after an orderly end, and for every other state. */
export type StateListener = (state: SessionState, cause: RpcError | null) => void;

/** Those who listen to one connection. */
export class StateListeners {
  private readonly scheduler: Scheduler;
  private readonly listeners = new Set<{ readonly tell: StateListener }>();

  constructor(scheduler: Scheduler) {
    this.scheduler = scheduler;
  }

  /**
   * @returns takes the listener away: it is not called any more, not even of a change that has happened.
   * @throws RpcError invalid-argument when it is no function.
   */
  add(tell: StateListener): Disposable {
    const entry = { tell: checkFunction("listener", tell) };
    this.listeners.add(entry);
    return { [Symbol.dispose]: () => void this.listeners.delete(entry) };
  }

  /** Tells each in a job of its own: the change happens deep inside, where no user code may run. */
  tell(state: SessionState, cause: RpcError | null): void {
    for (const entry of this.listeners)
      this.scheduler.post({
        run: () => {
          if (this.listeners.has(entry)) entry.tell(state, cause);
        },
      });
  }
}
