// Role: the Response of Workers, as far as that of browsers and Node falls short of it.
// State: per response its WebSocket. Must not know: how responses travel.

import { invalidArgument } from "../base/checks.js";
import { RpcError } from "../base/errors.js";
import { noteSize, sizeOfInit } from "./sizes.js";
import { PairedWebSocket } from "./websocket.js";

const Base = globalThis.Response;

/** Whether `value` is a response of any kind, also where a program has another class in the place of the platform's. */
export function isResponse(value: unknown): value is Response {
  return value instanceof Base;
}

export interface HttpResponseInit extends ResponseInit {
  /** What the client gets; the response has status 101 then, and no body. */
  readonly webSocket?: PairedWebSocket | null | undefined;
}

/**
 * A Response that may have status 101 and a `webSocket`, and whose size is known when it is made of a text or of bytes. Else it
 * is the platform's: `instanceof Response` holds for both.
 *
 * @throws RpcError invalid-argument when status 101 and a WebSocket do not come together.
 * @example return new HttpResponse(null, { status: 101, webSocket: client });
 * Source: the Response of Workers.
 */
export class HttpResponse extends Base {
  /** Not there yet when the platform's constructor asks for the status. */
  private readonly socket: PairedWebSocket | null | undefined;

  constructor(body?: BodyInit | null, init: HttpResponseInit = {}) {
    const { webSocket = null, status, ...rest } = init;
    if ((status === 101) !== webSocket instanceof PairedWebSocket || (webSocket && body)) {
      const message = "a Response has status 101 when it has a webSocket, and then it has no body";
      throw invalidArgument(message);
    }
    super(body, { ...rest, ...(status === undefined || status === 101 ? {} : { status }) });
    this.socket = webSocket;
    noteSize(this.body, sizeOfInit(body));
  }

  static override json(data: unknown, init: ResponseInit = {}): HttpResponse {
    const headers = new Headers(init.headers);
    if (!headers.has("content-type")) headers.set("content-type", "application/json");
    return new this(JSON.stringify(data), { ...init, headers });
  }

  override get status(): number {
    return this.socket ? 101 : super.status;
  }

  override get ok(): boolean {
    return !this.socket && super.ok;
  }

  override get statusText(): string {
    return this.socket ? "Switching Protocols" : super.statusText;
  }

  get webSocket(): PairedWebSocket | null {
    return this.socket ?? null;
  }

  override clone(): Response {
    if (!this.socket) return super.clone();
    throw new RpcError("failed", "invalid-state", "a Response with a WebSocket has no second one");
  }
}
