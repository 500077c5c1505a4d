// Role: the HTTP server before a module's events.
// State: the server, its upgraded connections. Must not know: the module, where objects are.

import http, { type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { RpcError } from "../../base/errors.js";
import { httpFront } from "../../http/front.node.js";
import { type HttpHandler, serveHttp } from "../../http/server.js";
import type { Reporter } from "../object/parts.js";

export interface WebServerOptions {
  readonly handler: HttpHandler;
  readonly report: Reporter;
  /**
   * The header that a server before this one tells the address of a client in; by default nobody is believed, and it is
   * the other end of the connection.
   */
  readonly addressHeader?: string | undefined;
}

/** The header that modules find the address of the client in. Source: Cloudflare's. */
const ADDRESS = "CF-Connecting-IP";

/**
 * A server of HTTP and WebSocket, not listening yet.
 *
 * @example const server = new WebServer({ handler: events.fetch, report }); const url = await server.listen("127.0.0.1", 8787);
 */
export class WebServer {
  /** To listen with in other ways than {@link listen}. */
  readonly server: http.Server;
  private readonly sockets = new Set<Duplex>();
  private readonly dispose: () => void;

  constructor({ handler, report, addressHeader }: WebServerOptions) {
    const front = httpFront(serveHttp(handler), {
      onError: (error, request) => report(error, `${request.method} ${request.url}`),
    });
    const header = addressHeader?.toLowerCase();
    this.dispose = () => front[Symbol.dispose]();
    this.server = http.createServer((request, response) => {
      tellAddress(request, header);
      front.request(request, response);
    });
    this.server.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      this.sockets.add(socket);
      socket.on("close", () => this.sockets.delete(socket));
      tellAddress(request, header);
      front.upgrade(request, socket, head);
    });
  }

  /**
   * @param port 0 for any. @returns the URL that it has then.
   * @throws RpcError listen-failed (as a rejection).
   */
  listen(address: string, port: number): Promise<string> {
    const { server } = this;
    return new Promise((resolve, reject) => {
      const failed = (cause: Error): void => {
        const message = `cannot listen on ${address}, port ${port}: ${cause.message}`;
        reject(new RpcError("failed", "listen-failed", message, { cause }));
      };
      server.once("error", failed);
      server.listen(port, address, () => {
        server.off("error", failed);
        resolve(urlOf(server.address() as AddressInfo, address));
      });
    });
  }

  /**
   * Takes no more, and waits for what is under way.
   *
   * @param grace milliseconds, after which it is cut off; WebSockets are at once.
   */
  async close(grace: number): Promise<void> {
    const { server, sockets } = this;
    const closed = new Promise<void>((resolve) => void server.close(() => resolve()));
    server.closeIdleConnections();
    for (const socket of sockets) socket.destroy();
    const timer = setTimeout(() => server.closeAllConnections(), grace);
    await closed;
    clearTimeout(timer);
    this.dispose();
  }
}

/** @param address as it was written. */
export function urlOf({ port }: AddressInfo, address: string): string {
  return `http://${address.includes(":") ? `[${address}]` : address}:${port}/`;
}

/** What the client itself says of its address is dropped. */
function tellAddress(request: IncomingMessage, header: string | undefined): void {
  const told = header === undefined ? undefined : request.headers[header];
  const address =
    told === undefined ? request.socket.remoteAddress : String(told).split(",").at(-1)!.trim();
  const { rawHeaders } = request;
  for (let i = rawHeaders.length - 2; i >= 0; i -= 2)
    if (rawHeaders[i]!.toLowerCase() === ADDRESS.toLowerCase()) rawHeaders.splice(i, 2);
  // An address of IPv4 is itself, also where the server listens for both kinds.
  if (address !== undefined) rawHeaders.push(ADDRESS, address.replace(/^::ffff:(?=\d+\.)/, ""));
}
