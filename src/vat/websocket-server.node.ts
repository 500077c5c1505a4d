// Role: an HTTP server for one path: WebSocket handshakes, and which page may make them; other requests it hands on.
// State: the HTTP server. Must not know: what is said over a WebSocket.

import http from "node:http";
import https from "node:https";
import type { Duplex } from "node:stream";
import type { Socket } from "node:net";
import { type WebSocket, WebSocketServer } from "ws";
import { BATCH_PROTOCOL } from "../transport/websocket.js";
import type { RequestHandler } from "./batch-server.node.js";
import { clip, originAllowed, originRefusal, type Origins } from "./origins.js";

export interface WebSocketServerOptions {
  /**
   * Which origins may connect, such as `https://example.org`. By default the page of this same host only. A request without
   * an Origin header comes from no browser, and is let in.
   */
  readonly origins?: Origins | undefined;
  /** Whether to agree to many messages in one frame. Default true. */
  readonly batch?: boolean | undefined;
  /** Key and certificate in PEM, needed for `wss:`. */
  readonly tls?: { readonly key: string; readonly cert: string } | undefined;
}

export interface Handshakes extends WebSocketServerOptions {
  /** The only path that is served. */
  readonly path: string;
  /** Bytes of the largest frame. */
  readonly maxPayload: number;
  /** Whether the server is bound to this machine only. */
  readonly loopback: () => boolean;
  /** Answers requests for the path that are no handshakes; null: none are. */
  readonly requests: RequestHandler | null;
  readonly accepted: (ws: WebSocket, stream: Socket) => void;
  readonly refused: (why: string) => void;
}

/** An HTTP server, not yet listening, for WebSockets and, if told how, batches. */
export function webSocketServer(handshakes: Handshakes): http.Server | https.Server {
  const { tls, batch = true } = handshakes;
  const server = tls === undefined ? http.createServer() : https.createServer({ ...tls });
  const sockets = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: handshakes.maxPayload,
    handleProtocols: (offered) => batch && offered.has(BATCH_PROTOCOL) && BATCH_PROTOCOL,
  });
  server.on("request", (request: http.IncomingMessage, response: http.ServerResponse) => {
    if (handshakes.requests !== null && request.url === handshakes.path) {
      handshakes.requests(request, response);
      return;
    }
    const [status, words] =
      handshakes.requests === null ? [426, "this is a WebSocket"] : [404, "there is nothing here"];
    response.writeHead(status, { connection: "close", "content-type": "text/plain" });
    response.end(`${words}\n`);
  });
  server.on("upgrade", (request: http.IncomingMessage, stream: Duplex, head: Buffer) => {
    const refusal = refuse(request, handshakes);
    if (refusal !== null) {
      handshakes.refused(refusal.why);
      stream.on("error", () => {});
      stream.end(`HTTP/1.1 ${refusal.status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
      stream.once("finish", () => stream.destroy());
      return;
    }
    sockets.handleUpgrade(request, stream, head, (ws) => handshakes.accepted(ws, stream as Socket));
  });
  return server;
}

function refuse(
  request: http.IncomingMessage,
  handshakes: Handshakes,
): { status: string; why: string } | null {
  const path = request.url ?? "/";
  if (path !== handshakes.path)
    return { status: "404 Not Found", why: `there is nothing at ${clip(path)}` };
  const { origin, host } = request.headers;
  if (originAllowed(origin, host ?? "", handshakes)) return null;
  return { status: "403 Forbidden", why: originRefusal(origin) };
}
