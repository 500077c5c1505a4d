// Role: `connect` where there is only what browsers have: WebSockets.
// State: none. Must not know: Node.

import { RpcError } from "../base/errors.js";
import { connectWebSocket, type WebSocketConnectOptions } from "../transport/websocket-connect.js";
import { formatAddress, parseAddress } from "./address.js";
import { Session, type SessionOptions, sessionSettings } from "./session.js";

export interface ConnectOptions extends SessionOptions, WebSocketConnectOptions {}

/**
 * Connects to a vat by the runtime's own WebSocket. In Node take `connect` from `capstan/node`, which knows every kind
 * of address.
 *
 * @param url `ws://host:port/path` or `wss://host:port/path`.
 * @returns a session that the caller ends: by `close()`, or by `await using`.
 * @throws RpcError invalid-argument for an address that is none, or of a kind that only Node has; connect-failed.
 * @example
 * const session = await connect("wss://example.org/rpc");
 * const greeter = session.bootstrap(Greeter);
 */
export async function connect(url: string, options: ConnectOptions = {}): Promise<Session> {
  const address = parseAddress(url);
  if (address.scheme !== "ws" && address.scheme !== "wss")
    throw new RpcError(
      "failed",
      "invalid-argument",
      `${address.scheme}: addresses need Node: import { connect } from "capstan/node"`,
    );
  requireHost(url, address.host);
  sessionSettings(options);
  const transport = await connectWebSocket(formatAddress(address), options);
  return new Session(transport, options);
}

/** An address to connect to must say where. @throws RpcError invalid-argument */
export function requireHost(url: string, host: string): void {
  if (host === "")
    throw new RpcError("failed", "invalid-argument", `the address ${url} names no host`);
}
