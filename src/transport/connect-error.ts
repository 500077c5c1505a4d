// Role: the errors of a connection that did not come about, with a hint for what is often behind them.
// State: none. Must not know: which carrier it was.

import { RpcError, type ErrorCode } from "../base/errors.js";

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

/** No connection to `address` came about: `not-sent`, so a retry is safe. */
export function connectFailed(address: string, cause: unknown): RpcError {
  return failed("connect-failed", `cannot connect to ${address}`, cause);
}

/** Nothing listens at `address` now. */
export function listenFailed(address: string, cause: unknown): RpcError {
  return failed("listen-failed", `cannot listen at ${address}`, cause);
}

function failed(code: ErrorCode, what: string, cause: unknown): RpcError {
  return new RpcError("disconnected", code, `${what}: ${reason(cause)}`, {
    cause,
    delivery: "not-sent",
  });
}

function reason(cause: unknown): string {
  if (typeof cause === "string") return cause;
  if (!(cause instanceof Error)) return "for a reason unknown";
  // What several addresses of one name were tried for ends in one error of them all.
  const first: unknown = cause instanceof AggregateError ? cause.errors[0] : cause;
  const { code, message } = (first instanceof Error ? first : cause) as Error & { code?: string };
  const hint = HINTS.get(code ?? "");
  return hint === undefined ? message : `${hint} (${code})`;
}
