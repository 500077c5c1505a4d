// Role: a promise in front of a capability, which resolves when there is room for what came before it (see FlowGate).
// State: none beside the promise's. Must not know: what waits.

import type { Hook } from "../hook/hook.js";
import { PromiseHook } from "../hook/promise.js";
import type { ConnectionState } from "./state.js";

/**
 * Calls on what this returns wait behind everything that is withheld now. If the connection is lost first, they fail: the
 * calls before them are lost, so nothing may arrive behind (C-EMB-26). Takes `target` over; the caller owns the result.
 *
 * @param bytes of the call that waits; 0 for what is none.
 * @param opened called when the door opens, before the calls go through.
 */
export function doorTo(
  state: ConnectionState,
  target: Hook,
  bytes: number,
  opened: (() => void) | null = null,
): Hook {
  const door = new PromiseHook(state.scheduler, state.limits.queuedCalls);
  state.gate.withhold(bytes, () => {
    if (state.alive) {
      opened?.();
      door.resolve(target);
    } else {
      door.reject(state.error!.delivered("not-sent"));
      target.release();
    }
    door.release();
  });
  return door.addRef();
}
