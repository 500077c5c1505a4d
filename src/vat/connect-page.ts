// Role: `connect` of the entry for pages and Workers: by WebSocket alone, of addresses that the runtime itself reads.
// State: none. Must not know: Node, other carriers.

import { invalidArgument } from "../base/checks.js";
import { connectWebSocket, type WebSocketConnectOptions } from "../transport/websocket-connect.js";
import { Session, type SessionOptions, sessionSettings } from "./session.js";

/**
 * Connects to a vat by the runtime's own WebSocket.
 *
 * @param url `ws://host:port/path` or `wss://host:port/path`.
 * @returns a session that the caller ends: by `close()`, or by `await using`.
 * @throws RpcError invalid-argument for an address that is none, or of another kind; connect-failed.
 * @example
 * const session = await connect("wss://example.org/rpc");
 * const api = session.bootstrap(RpcStub<Api>);
 */
export async function connect(
  url: string | URL,
  options: SessionOptions & WebSocketConnectOptions = {},
): Promise<Session> {
  const address = socketAddress(url);
  sessionSettings(options);
  return new Session(await connectWebSocket(address, options), options);
}

function socketAddress(text: string | URL): string {
  let wrong = "is none";
  try {
    const { href, protocol, username, password, hash } = new URL(text);
    if (protocol !== "ws:" && protocol !== "wss:") wrong = `has the scheme ${protocol}`;
    else if (username !== "" || password !== "") wrong = "has a user name, which is not supported";
    else if (hash !== "") wrong = "has a fragment, which no server sees";
    else return href;
  } catch {
    // No URL at all.
  }
  throw invalidArgument(
    `the address ${JSON.stringify(String(text).slice(0, 200))} ${wrong}; understood here are ws://host:port/path and wss://host:port/path, and more by connect of "capstan" and "capstan/node"`,
  );
}
