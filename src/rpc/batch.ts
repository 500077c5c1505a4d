// Role: what a connection may do that is one request and its response: nobody is called back, nothing is asked later.
// State: none. Must not know: HTTP.

import { RpcError } from "../base/errors.js";
import type { Export } from "./exports.js";

/** Which half of such an exchange a connection is. Handed in, so that who makes no batches does not load their rules. */
export interface BatchSide {
  /** Whether all that is ever asked is asked in one go. */
  readonly asksOnce: boolean;
  /** Why no call can be sent; null when one can. */
  refusesCalls(): RpcError | null;
  /** Looks at the objects of ours that a call is about to take with it. @throws RpcError no-callbacks. */
  exports(counted: readonly Export[] | null): void;
  /** Why every reference breaks when it is over. */
  over(): RpcError;
}

/** Sends everything in one go and then only listens: an object of ours in it has left before it could be called. */
export const BATCH_CLIENT: BatchSide = {
  asksOnce: true,
  refusesCalls: () => null,
  exports(counted) {
    // One that is broken is never called: the peer is told its error.
    if (counted?.some((entry) => entry.hook.brokenBy === null)) throw noCallbacks();
  },
  over: batchOver,
};

/** Hears everything and then only answers. */
export const BATCH_SERVER: BatchSide = {
  asksOnce: false,
  refusesCalls: noCallbacks,
  exports() {},
  over: batchOver,
};

/** Why the peer of a batch cannot be called: one who asks is not there to be asked. */
function noCallbacks(): RpcError {
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
function batchOver(): RpcError {
  return new RpcError(
    "disconnected",
    "batch-over",
    "the HTTP batch is over, and no reference outlives its batch: open another, and ask for the object again",
  );
}
