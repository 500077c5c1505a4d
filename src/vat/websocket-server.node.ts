// Role: the server's half of WebSocket handshakes: which page may connect, to which path, under which subprotocol.
// State: the HTTP server. Must not know: what is said over a WebSocket.

import http from "node:http";
import https from "node:https";
import type { Duplex } from "node:stream";
import type { Socket } from "node:net";
import { type WebSocket, WebSocketServer } from "ws";
import { BATCH_PROTOCOL } from "../transport/websocket.js";
import { isLoopback } from "./address.js";

/** Which pages of browsers may connect. */
export type Origins = readonly string[] | "any" | ((origin: string) => boolean);

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
  readonly accepted: (ws: WebSocket, stream: Socket) => void;
  readonly refused: (why: string) => void;
}

/** An HTTP server, not yet listening, that knows nothing but WebSockets. */
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
  server.on("request", (_request, response) => {
    response.writeHead(426, { connection: "close", "content-type": "text/plain" });
    response.end("this is a WebSocket\n");
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
  try {
    if (origin === undefined || isAllowed(origin, host ?? "", handshakes)) return null;
  } catch {
    // The application's own check failed: that is no yes.
  }
  return {
    status: "403 Forbidden",
    why: `the origin ${clip(origin ?? "")} is not among those allowed`,
  };
}

function isAllowed(origin: string, host: string, { origins, loopback }: Handshakes): boolean {
  if (origins === "any") return true;
  if (typeof origins === "function") return origins(origin);
  if (origins !== undefined) return origins.includes(origin);
  const page = hostOf(origin);
  if (page === null || page.host !== host.toLowerCase()) return false;
  // A name that its owner points at 127.0.0.1 would pass for the same host: a local server believes local names only.
  return !loopback() || isLoopback(page.name);
}

function hostOf(origin: string): { host: string; name: string } | null {
  try {
    const url = new URL(origin);
    return { host: url.host, name: url.hostname.replace(/^\[|\]$/g, "") };
  } catch {
    return null;
  }
}

function clip(text: string): string {
  return JSON.stringify(text.length > 100 ? `${text.slice(0, 100)}...` : text);
}
