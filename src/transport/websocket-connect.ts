// Role: opens a WebSocket, asking for the batch subprotocol and doing without it where the server has none.
// State: none. Must not know: which runtime's WebSocket it is.

import type { RpcError } from "../base/errors.js";
import { attempt, type AttemptOptions } from "./attempt.js";
import type { Transport, TransportOptions } from "./transport.js";
import { BATCH_PROTOCOL, type WebSocketLike, WebSocketTransport } from "./websocket.js";

export interface WebSocketConnectOptions extends TransportOptions, AttemptOptions {
  /**
   * Whether to ask for many messages in one frame. By default it is asked for, and when the handshake fails, which is
   * how clients answer a server that knows no subprotocol, tried once more without.
   */
  readonly batch?: boolean | undefined;
}

/** A handshake that failed perhaps only for the subprotocol. */
export class SubprotocolRefused extends Error {}

/** Opens one WebSocket; `done` is called in its `open` event, before any message. */
export type OpenWebSocket = (
  url: string,
  protocols: string[],
  done: (transport: Transport) => void,
  failed: (cause: unknown, why?: string) => void,
) => () => void;

/**
 * Connects by the runtime's own WebSocket.
 *
 * @throws RpcError connect-failed.
 * @example const transport = await connectWebSocket("wss://example.org/rpc");
 */
export function connectWebSocket(
  url: string,
  options: WebSocketConnectOptions = {},
): Promise<Transport> {
  return connectWebSocketBy(ownWebSocket(options), url, options);
}

/** The same with any way of opening. */
export async function connectWebSocketBy(
  open: OpenWebSocket,
  url: string,
  options: WebSocketConnectOptions,
): Promise<Transport> {
  const tryOnce = (protocols: string[]): Promise<Transport> =>
    attempt(url, options, (done, failed) => open(url, protocols, done, failed));
  if (options.batch === false) return tryOnce([]);
  try {
    return await tryOnce([BATCH_PROTOCOL]);
  } catch (thrown) {
    if (!((thrown as RpcError).cause instanceof SubprotocolRefused)) throw thrown;
    return tryOnce([]);
  }
}

function ownWebSocket(options: TransportOptions): OpenWebSocket {
  return (url, protocols, done, failed) => {
    const socket = new WebSocket(url, protocols);
    const name = `websocket ${url}`;
    const onOpen = (): void => {
      drop();
      done(new WebSocketTransport(name, socket as unknown as WebSocketLike, options));
    };
    const onFail = (): void => {
      drop();
      // A browser does not say why.
      failed(
        new SubprotocolRefused(
          "the handshake failed; is the server started, and does it accept this page's origin?",
        ),
      );
    };
    const drop = (): void => {
      socket.removeEventListener("open", onOpen);
      socket.removeEventListener("close", onFail);
    };
    socket.addEventListener("open", onOpen);
    // An error is always followed by a close, and says nothing itself; in Node, one that nobody hears ends the process.
    socket.addEventListener("error", () => {});
    socket.addEventListener("close", onFail);
    return () => {
      drop();
      socket.close();
    };
  };
}
