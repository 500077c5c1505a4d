// Role: what users hold of a capability, as far as all layers above need to know it: something with a hook.
// State: none. Must not know: which layers there are.
//
// The typed layer's clients and the dynamic layer's stubs do not know each other. Either takes what has this method where it
// takes its own.

import type { Hook } from "./hook.js";

export const HOLD: unique symbol = /* @__PURE__ */ Symbol.for("capstan.hold") as never;

/** A client or a stub. */
export interface Holder {
  /**
   * A reference to the capability, which the caller owns.
   *
   * @param give the holder gives its own away, and counts as disposed.
   * @throws RpcError capability-disposed
   */
  [HOLD](give: boolean): Hook;
}

/** `value` as a holder; undefined when it is none. */
export function holderOf(value: unknown): Holder | undefined {
  if ((typeof value !== "object" && typeof value !== "function") || value === null)
    return undefined;
  return HOLD in value ? (value as Holder) : undefined;
}
