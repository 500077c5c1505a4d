// Role: the globals of Workers that Node lacks, or has less of.
// State: the global object. Must not know: modules.

import { RpcError } from "../../base/errors.js";
import { HttpResponse } from "../../http/response.js";
import { PairedWebSocket, SocketCloseEvent, WebSocketPair } from "../../http/websocket.js";
import { WebSocketRequestResponsePair } from "../sockets/auto-response.js";

const PlatformResponse = globalThis.Response;

/** Response, also with status 101 and a WebSocket. Those that the platform makes are instances of it, too. */
class GlobalResponse extends HttpResponse {
  static override [Symbol.hasInstance](value: unknown): boolean {
    return this === GlobalResponse
      ? value instanceof PlatformResponse
      : Function.prototype[Symbol.hasInstance].call(this, value);
  }
}
Object.defineProperty(GlobalResponse, "name", { value: "Response" });

/** For the constants in it, and `instanceof`. */
const GlobalWebSocket = new Proxy(PairedWebSocket, {
  construct() {
    const message =
      "this version of Node has no WebSocket for clients: Node 22 does, and so does the package ws";
    throw new RpcError("unimplemented", "method-unimplemented", message);
  },
});

/** Puts them in place, for all code of the process. Idempotent. What is there already stays, but for Response. */
export function installGlobals(): void {
  const missing = {
    CloseEvent: SocketCloseEvent,
    WebSocket: GlobalWebSocket,
    WebSocketPair,
    WebSocketRequestResponsePair,
  };
  for (const [name, value] of Object.entries(missing))
    if (!(name in globalThis)) define(name, value);
  define("Response", GlobalResponse);
}

function define(name: string, value: unknown): void {
  Object.defineProperty(globalThis, name, { value, writable: true, configurable: true });
}
