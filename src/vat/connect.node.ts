// Role: `connect` in Node: every kind of address, and programs that speak over their standard input and output.
// State: none. Must not know: what is said.

import {
  connectNodeWebSocket,
  connectSocket,
  type NodeWebSocketOptions,
} from "../transport/connect.node.js";
import { StreamTransport } from "../transport/stream.node.js";
import { type ChildOptions, spawnTransport, stdioTransport } from "../transport/stdio.node.js";
import type { HttpRequestOptions } from "../transport/http-request.js";
import type { Transport, TransportOptions } from "../transport/transport.js";
import { invalidArgument } from "../base/checks.js";
import { type Address, addressText, formatAddress, parseAddress } from "./address.js";
import { openBatch } from "./batch.js";
import { checkConnecting, requireHost } from "./connect.js";
import { Session, type SessionOptions, sessionSettings } from "./session.js";
import { nodeTurnEnd, promptTurnEnd } from "./turn.node.js";

export interface NodeConnectOptions
  extends SessionOptions, NodeWebSocketOptions, HttpRequestOptions {}

/**
 * Connects to a vat; at `http:` and `https:`, begins a batch: all calls of one turn in one POST.
 *
 * @param to `tcp://host:port`, `unix:/path`, `ws://host:port/path` or `http://host:port/path`, or `wss:` and `https:`.
 * @returns a session that the caller ends: by `close()`, or by `await using`.
 * @throws RpcError invalid-argument for an address that is none, or options that are; connect-failed, with a hint, when nobody answers.
 * @example
 * const session = await connect("unix:/run/calculator.sock");
 * const calculator = session.bootstrap(Calculator);
 */
export async function connect(
  to: string | URL,
  options: NodeConnectOptions = {},
): Promise<Session> {
  checkConnecting(options);
  const url = addressText(to);
  const address = parseAddress(url);
  if (address.scheme !== "http" && address.scheme !== "https")
    return nodeSession(await dial(url, address, options), options);
  requireHost(url, address.host);
  if (options.ca !== undefined) {
    const hint = "give the option fetch instead, or set NODE_EXTRA_CA_CERTS";
    throw invalidArgument(`ca is for WebSockets: for ${url} ${hint}`);
  }
  return openBatch(formatAddress(address), options);
}

function dial(url: string, address: Address, options: NodeConnectOptions): Promise<Transport> {
  if (address.scheme === "unix") return connectSocket(url, { path: address.path }, options);
  requireHost(url, address.host);
  if (address.scheme === "tcp")
    return connectSocket(url, { host: address.host, port: address.port }, options);
  return connectNodeWebSocket(formatAddress(address), options);
}

/**
 * Starts a program and connects to it over its standard input and output. The program is ended with the session.
 *
 * @throws RpcError connect-failed when it cannot be started.
 * @example const session = await connectProgram("node", ["server.js"], { bootstrap: mine });
 */
export async function connectProgram(
  command: string,
  args: readonly string[] = [],
  options: SessionOptions & ChildOptions = {},
): Promise<Session> {
  sessionSettings(options);
  return nodeSession(await spawnTransport(command, args, options), options);
}

/**
 * The other side of {@link connectProgram}: a session with whoever started this process. What else is printed on
 * standard output goes to standard error from now on.
 *
 * @example const session = serveStdio({ bootstrap: serve(Calculator, new MyCalculator()) });
 */
export function serveStdio(options: SessionOptions & TransportOptions = {}): Session {
  sessionSettings(options);
  return nodeSession(stdioTransport(options), options);
}

/** A session that ends its turns as Node does. */
export function nodeSession(transport: Transport, options: SessionOptions): Session {
  const shallow = transport instanceof StreamTransport && transport.shallow;
  return new Session(transport, { turnEnd: shallow ? promptTurnEnd : nodeTurnEnd, ...options });
}
