// Role: the globals of Workers that Node lacks, or has less of.
// State: the global object. Must not know: modules.

import { HttpResponse } from "../../http/response.js";
import { SocketCloseEvent, WebSocketPair } from "../../http/websocket.js";

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

/** Puts them in place, for all code of the process. Idempotent. What is there already stays, but for Response. */
export function installGlobals(): void {
  const missing = { WebSocketPair, CloseEvent: SocketCloseEvent };
  for (const [name, value] of Object.entries(missing))
    if (!(name in globalThis)) define(name, value);
  define("Response", GlobalResponse);
}

function define(name: string, value: unknown): void {
  Object.defineProperty(globalThis, name, { value, writable: true, configurable: true });
}
