// Role: where a workerd can be.
// State: none. Must not know: how it is reached.

import { invalidArgument } from "../base/checks.js";
import { type Address, parseAddress } from "../vat/address.js";

/**
 * Reads the address of a debug port or a socket of workerd.
 *
 * @param url `unix:/path` or `tcp://host:port`. @throws RpcError invalid-argument for any other.
 * @example workerdAddress("unix:/run/workerd.sock") // { scheme: "unix", path: "/run/workerd.sock" }
 */
export function workerdAddress(url: string): Extract<Address, { scheme: "tcp" | "unix" }> {
  const address = parseAddress(url);
  if (address.scheme === "unix" || (address.scheme === "tcp" && address.host !== ""))
    return address;
  const message = `workerd is at unix:/path or tcp://host:port, not at ${url}`;
  throw invalidArgument(message);
}

/** Whether `host` can be asked for by CONNECT, which ends at a space. */
export function isConnectHost(host: string): boolean {
  return /^[!-~]+$/.test(host);
}
