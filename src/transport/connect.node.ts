// Role: opens the transports that need Node: TCP and Unix sockets, and WebSockets by the `ws` package.
// State: none. Must not know: connections of Cap'n Proto.

import type { NetConnectOpts, Socket } from "node:net";
import { WebSocket } from "ws";
import { attempt, type AttemptOptions } from "./attempt.js";
import { hintFor } from "./connect-hints.js";
import { dialSocket } from "./read-into.node.js";
import { SocketTransport } from "./socket.node.js";
import { type Transport, transportSettings, type TransportOptions } from "./transport.js";
import {
  connectWebSocketBy,
  SubprotocolRefused,
  type WebSocketConnectOptions,
} from "./websocket-connect.js";
import { maxPayload, NodeWebSocketTransport } from "./websocket.node.js";

export type SocketConnectOptions = TransportOptions & AttemptOptions;

/**
 * Connects to a TCP or Unix socket.
 *
 * @param address for messages. @param where as `net.connect` takes it.
 * @throws RpcError connect-failed, with a hint.
 * @example await connectSocket("tcp://127.0.0.1:4000", { host: "127.0.0.1", port: 4000 });
 */
export function connectSocket(
  address: string,
  where: NetConnectOpts,
  options: SocketConnectOptions = {},
): Promise<Transport> {
  // Checked before anything is opened.
  transportSettings(options);
  return attempt(address, options, (done, failed) => {
    const dialed = dialSocket(where);
    const { socket } = dialed;
    const onError = (cause: Error): void => failed(cause, hintFor(cause));
    socket.once("error", onError);
    socket.once("connect", () => {
      socket.off("error", onError);
      done(new SocketTransport(address, dialed, options));
    });
    return () => socket.destroy();
  });
}

export interface NodeWebSocketOptions extends WebSocketConnectOptions {
  /** Headers of the handshake, such as `authorization`. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Certificates to trust besides the usual ones, in PEM, for `wss:`. */
  readonly ca?: string | undefined;
}

/**
 * Connects by the `ws` package: with a payload limit, without compression, following no redirect.
 *
 * @throws RpcError connect-failed, with a hint.
 */
export function connectNodeWebSocket(
  url: string,
  options: NodeWebSocketOptions = {},
): Promise<Transport> {
  const settings = transportSettings(options);
  return connectWebSocketBy(
    (_url, protocols, done, failed) => {
      const ws = new WebSocket(url, protocols, {
        perMessageDeflate: false,
        maxPayload: maxPayload(settings),
        ...(options.headers === undefined ? {} : { headers: { ...options.headers } }),
        ...(options.ca === undefined ? {} : { ca: options.ca }),
      });
      let stream: Socket | undefined;
      ws.once("upgrade", (response) => {
        stream = response.socket;
      });
      const onError = (cause: Error): void => {
        if (cause.message === "Server sent no subprotocol")
          failed(new SubprotocolRefused(cause.message));
        else failed(cause, hintFor(cause));
      };
      ws.on("error", onError);
      ws.once("open", () => {
        const transport = new NodeWebSocketTransport(url, ws, stream!, options);
        ws.off("error", onError);
        done(transport);
      });
      return () => ws.terminate();
    },
    url,
    options,
  );
}
