// Role: AbortSignals that go by reference: a signal here, and one that follows it at the other side.
// State: per signal passed, nothing but its listeners. Must not know: how values are encoded.
//
// A signal is passed as a function that returns when it aborts. Whoever gets it calls that function, and gives the call
// up with the rest of what was lent: then the listener is taken away. So a signal needs no interface of its own, and
// what holds for calls holds for it: an end of the connection is an end of the wait.

import { RpcError } from "../../base/errors.js";
import type { Hook } from "../../hook/hook.js";
import { startCall } from "./call.js";
import { callContext } from "./context.js";
import { placeOf, type Root } from "./place.js";
import { NO_STEPS } from "./protocol.js";
import type { Terms } from "./terms.js";

const functions = /* @__PURE__ */ new WeakMap<AbortSignal, object>();

/** The function that stands for `signal`: it returns the reason, once there is one. */
export function functionOf(signal: AbortSignal): object {
  let wait = functions.get(signal);
  if (wait === undefined) {
    wait = () => {
      const given = callContext().signal;
      if (signal.aborted) return signal.reason as unknown;
      return new Promise<unknown>((resolve) => {
        const stop = (): void => {
          signal.removeEventListener("abort", aborted);
          given.removeEventListener("abort", stop);
          resolve(undefined);
        };
        const aborted = (): void => {
          resolve(signal.reason);
          stop();
        };
        signal.addEventListener("abort", aborted);
        given.addEventListener("abort", stop);
      });
    };
    functions.set(signal, wait);
  }
  return wait;
}

/**
 * A signal that aborts when that behind `hook` does, with its reason; or when nobody can say any more whether it does, with
 * that error.
 *
 * @param hook taken over. @returns `root`, which ends the wait when it is disposed.
 */
export function follow(hook: Hook, terms: Terms): { root: Root; signal: AbortSignal } {
  const controller = new AbortController();
  const root = placeOf(startCall(hook, NO_STEPS, [], undefined, terms))!.root;
  hook.release();
  root.awaited();
  root.then(
    (reason) => controller.abort(reason),
    (error: unknown) => {
      if (!RpcError.is(error) || error.code !== "call-canceled") controller.abort(error);
    },
  );
  return { root, signal: controller.signal };
}
