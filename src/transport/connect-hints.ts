// Role: the errors of sockets that were not connected, or not listened at, with a hint for what is often behind them.
// State: none. Must not know: which carrier it was. A page, whose runtime has no such errors, does not load this.

import type { RpcError } from "../base/errors.js";
import { connectFailed, notMade, reasonOf } from "./connect-error.js";

const HINTS = new Map([
  ["ECONNREFUSED", "nobody listens there; is the server started?"],
  ["ENOENT", "there is no such file; is the server started, and the path right?"],
  ["ENOTSOCK", "the file is no socket"],
  ["EACCES", "this user may not"],
  ["EPERM", "this user may not"],
  ["ETIMEDOUT", "no answer came; is the host right, and a firewall between?"],
  ["ENOTFOUND", "there is no host of that name"],
  ["EAI_AGAIN", "the name cannot be looked up now"],
  ["EHOSTUNREACH", "there is no way to that host"],
  ["ENETUNREACH", "there is no way to that network"],
  ["EADDRINUSE", "somebody listens there already"],
  ["EADDRNOTAVAIL", "this machine has no such address"],
]);

/** Where a server of one's own is meant. */
const LISTEN_HINTS = new Map([
  ...HINTS,
  ["ENOENT", "there is no such folder"],
  ["ENOTDIR", "what should be its folder is none"],
]);

/** {@link connectFailed} for an error of Node's. */
export function connectFailedBy(address: string, cause: unknown): RpcError {
  return connectFailed(address, cause, hintFor(cause));
}

/** Nothing listens at `address` now. */
export function listenFailed(address: string, cause: unknown): RpcError {
  return notMade(
    "listen-failed",
    `cannot listen at ${address}: ${hintFor(cause, LISTEN_HINTS)}`,
    cause,
  );
}

/** What is said of `cause`: the hint for its code, if it has one. */
export function hintFor(cause: unknown, hints = HINTS): string {
  // What several addresses of one name were tried for ends in one error of them all.
  const first: unknown = cause instanceof AggregateError ? (cause.errors[0] ?? cause) : cause;
  const { code } = Object(first) as { code?: string };
  const hint = hints.get(code ?? "");
  return hint === undefined ? reasonOf(first) : `${hint} (${code})`;
}
