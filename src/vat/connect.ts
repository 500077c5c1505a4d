// Role: `connect` where there is only what browsers have: WebSockets and `fetch`.
// State: none. Must not know: Node.

import { checkOptions, checkSignal, invalidArgument } from "../base/checks.js";
import type { AttemptOptions } from "../transport/attempt.js";
import type { HttpRequestOptions } from "../transport/http-request.js";
import { checkMs } from "../transport/transport.js";
import { connectWebSocket, type WebSocketConnectOptions } from "../transport/websocket-connect.js";
import { addressText, formatAddress, parseAddress } from "./address.js";
import { openBatch } from "./batch.js";
import { Session, type SessionOptions, sessionSettings } from "./session.js";

export interface ConnectOptions
  extends SessionOptions, WebSocketConnectOptions, HttpRequestOptions {}

/**
 * Connects to a vat by the runtime's own WebSocket, or begins an HTTP batch: all calls of one turn in one POST. In Node take `connect` from `capstan/node`, which knows every kind
 * of address.
 *
 * @param to `ws://host:port/path` or `http://host:port/path`, or `wss:` and `https:`.
 * @returns a session that the caller ends: by `close()`, or by `await using`.
 * @throws RpcError invalid-argument for an address that is none or of a kind that only Node has, and for options that are none; connect-failed.
 * @example
 * const session = await connect("wss://example.org/rpc");
 * const greeter = session.bootstrap(Greeter);
 */
export async function connect(to: string | URL, options: ConnectOptions = {}): Promise<Session> {
  checkConnecting(options);
  const url = addressText(to);
  const address = parseAddress(url);
  if (address.scheme === "tcp" || address.scheme === "unix")
    throw invalidArgument(
      `${address.scheme}: addresses need Node: import { connect } from "capstan/node"`,
    );
  requireHost(url, address.host);
  if (address.scheme === "http" || address.scheme === "https")
    return openBatch(formatAddress(address), options);
  const transport = await connectWebSocket(formatAddress(address), options);
  return new Session(transport, options);
}

/**
 * Looks at options before anything is opened, so that bad ones leave nothing behind.
 * @throws RpcError invalid-argument, naming the option.
 */
export function checkConnecting(options: SessionOptions & AttemptOptions): void {
  checkOptions(options);
  sessionSettings(options);
  checkMs("connectTimeout", options.connectTimeout, 0);
  checkSignal(options.signal);
}

/** An address to connect to must say where. @throws RpcError invalid-argument */
export function requireHost(url: string, host: string): void {
  if (host === "") throw invalidArgument(`the address ${url} names no host`);
}
