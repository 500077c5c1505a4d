// Role: the error of a connection that did not come about. State: none. Must not know: which carrier it was.

import { type ErrorCode, RpcError } from "../base/errors.js";

/** No connection to `address` came about: `not-sent`, so a retry is safe. */
export function connectFailed(address: string, cause: unknown, why = reasonOf(cause)): RpcError {
  return notMade("connect-failed", `cannot connect to ${address}: ${why}`, cause);
}

export function notMade(code: ErrorCode, message: string, cause: unknown): RpcError {
  return new RpcError("disconnected", code, message, { cause, delivery: "not-sent" });
}

/** What is said of `cause`, where it is no error of a socket (connect-hints.ts). */
export function reasonOf(cause: unknown): string {
  if (typeof cause === "string") return cause;
  return cause instanceof Error ? cause.message : "for a reason unknown";
}
