// Role: interfaces that an object has beside the one it is served with, whatever layer serves it.
// State: who answers for which object, as long as the object lives. Must not know: any interface, stubs, schemas.
//
// Asked where a call is about to fail as unimplemented, so objects that have nothing beside pay nothing for it.

import { runFor } from "../base/origin.js";
import type { LocalCall } from "./local.js";

/** Takes a call, if it is of its interface. @returns whether it did. */
export type Beside = (call: LocalCall) => boolean;

const known = /* @__PURE__ */ new WeakMap<object, Beside>();

/** From now on `beside` is asked for each call on `object` that its own server has no method for. One at a time. */
export function serveBeside(object: object, beside: Beside): void {
  known.set(object, beside);
}

/** Whether something beside `object` has taken `call`, which its own server has no method for. */
export function servedBeside(object: unknown, call: LocalCall): boolean {
  const beside = known.get(object as object);
  return beside !== undefined && runFor(call.origin, call.scheduler, () => beside(call));
}
