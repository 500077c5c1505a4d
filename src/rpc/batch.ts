// Role: what a connection may do that is one request and its response: nobody is called back, nothing is asked later.
// State: none. Must not know: HTTP.

import { RpcError } from "../base/errors.js";
import type { Export } from "./exports.js";

/**
 * Which half of such an exchange a connection is: `asks` sends everything in one go and then only listens; `answers` hears
 * it and then only answers.
 */
export type BatchSide = "asks" | "answers";

/** Why the peer of a batch cannot be called: one who asks is not there to be asked. */
export function noCallbacks(): RpcError {
  return new RpcError(
    "unimplemented",
    "no-callbacks",
    "an HTTP batch carries no calls from the server to the client: callbacks, objects of the client's, signals and streams " +
      "that the server calls need a connection such as a WebSocket",
    { delivery: "not-sent" },
  );
}

/** Why nothing more can be called, though answers still come. */
export function batchLeft(): RpcError {
  return new RpcError(
    "disconnected",
    "batch-over",
    "the HTTP batch has left already: what belongs to it is called, and awaited, in one turn of the program, before its " +
      "first answer; then open another",
    { delivery: "not-sent" },
  );
}

/** Why every reference of a batch breaks when its response has been read. */
export function batchOver(): RpcError {
  return new RpcError(
    "disconnected",
    "batch-over",
    "the HTTP batch is over, and no reference outlives its batch: open another, and ask for the object again",
  );
}

/** Refuses objects of ours in a call that has left before they could be called. @throws RpcError no-callbacks. */
export function refuseExports(counted: readonly Export[] | null): void {
  // One that is broken is never called: the peer is told its error.
  if (counted?.some((entry) => entry.hook.brokenBy === null)) throw noCallbacks();
}
