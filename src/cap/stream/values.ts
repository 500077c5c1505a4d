// Role: what streams ask of the layer that knows values, and the errors of streams.
// State: none. Must not know: how values are encoded, what references are.

import { RpcError } from "../../base/errors.js";
import type { Scheduler } from "../../base/scheduler.js";
import type { Payload } from "../../hook/payload.js";

/** Chunks and reasons, to a payload and back. What is in them is given, like a result: they outlive the call that brings them. */
export interface Values {
  /** @throws RpcError when something in it cannot travel; then nothing is held. */
  pack(value: unknown, scheduler: Scheduler): Payload;
  /** Takes `payload` over. Calls one of both, now or from a job; neither after the returned is called. */
  unpack(
    payload: Payload,
    scheduler: Scheduler,
    received: (value: unknown) => void,
    failed: (error: RpcError) => void,
  ): () => void;
  /** What a call fails with for `reason`. Never throws. */
  failure(reason: unknown): RpcError;
  /** The reason that a call which failed with `error` had, as far as it is known here. */
  shown(error: RpcError): unknown;
}

export const ignore = (): void => {};

/** Why a stream ends that nobody ended. Source: C-FLO-22. */
export function droppedError(why = "the other side let go of it"): RpcError {
  const message = `the stream was dropped before its end: ${why}`;
  return new RpcError("disconnected", "stream-dropped", message);
}

/** Why an end that came is none: a vat in between refused to pass on a write before it. Source: C-FLO-22. */
export function lostError(): RpcError {
  return droppedError("a write was lost on its way");
}

/** What an object of ours says to a call that it does not know. */
export function unknownMethod(what: string): RpcError {
  return new RpcError("unimplemented", "method-unimplemented", `no such method: ${what}`);
}

/** Ends the references in a chunk or a reason that nobody will see. */
export function discard(value: unknown): void {
  if ((typeof value !== "object" && typeof value !== "function") || value === null) return;
  const dispose = (value as Partial<Disposable>)[Symbol.dispose];
  if (typeof dispose === "function") dispose.call(value);
}

/** A payload with `reason`, or with what can be said of it when it cannot travel. */
export function packReason(values: Values, reason: unknown, scheduler: Scheduler): Payload {
  try {
    return values.pack(reason, scheduler);
  } catch {
    return values.pack(new Error(RpcError.from(reason).message), scheduler);
  }
}
