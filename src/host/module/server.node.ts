// Role: the HTTP server before a module's events.
// State: the server. Must not know: the module, where objects are.

import http, { type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import type { Duplex } from "node:stream";
import { RpcError } from "../../base/errors.js";
import { HttpConnections } from "../../http/connections.node.js";
import { Refusal } from "../../http/front-head.node.js";
import { httpFront } from "../../http/front.node.js";
import { type HttpHandler, serveHttp } from "../../http/server.js";
import { listenFailed } from "../../transport/connect-hints.js";
import type { Reporter } from "../object/parts.js";

export interface WebServerOptions {
  readonly handler: HttpHandler;
  readonly report: Reporter;
  /** How many connections there may be at a time, if it listens by itself; more are closed as they come. */
  readonly connections?: number | undefined;
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
  private readonly server: http.Server;
  private readonly connections: HttpConnections;
  private readonly dispose: () => void;

  constructor({ handler, report, addressHeader, connections }: WebServerOptions) {
    const front = httpFront(serveHttp(handler), {
      onError(error, request) {
        if (!isClients(error, request)) report(error, `${request.method} ${request.url}`);
      },
    });
    const header = addressHeader?.toLowerCase();
    this.dispose = () => front[Symbol.dispose]();
    this.server = http.createServer();
    this.connections = new HttpConnections(this.server, connections);
    this.server.on("request", (request: IncomingMessage, response: ServerResponse) => {
      tellAddress(request, header);
      front.request(request, response);
    });
    this.server.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) => {
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
      const failed = (cause: Error): void =>
        reject(listenFailed(`tcp://${address}:${port}`, cause));
      server.once("error", failed);
      server.listen(port, address, () => {
        server.off("error", failed);
        resolve(urlOf(server.address() as AddressInfo, address));
      });
    });
  }

  /** Serves a connection that somebody else has accepted, and read nothing of. */
  accept(socket: Socket): void {
    this.connections.accept(socket);
  }

  /**
   * Takes no more, and waits for what is under way.
   *
   * @param grace milliseconds, after which it is cut off; WebSockets are at once.
   */
  async close(grace: number): Promise<void> {
    const cut = new AbortController();
    const timer = setTimeout(() => cut.abort(), grace);
    await this.connections.close(cut.signal);
    clearTimeout(timer);
    this.dispose();
  }
}

/** @param address as it was written. */
export function urlOf({ port }: AddressInfo, address: string): string {
  return `http://${address.includes(":") ? `[${address}]` : address}:${port}/`;
}

/** Whether it is of the client's making, who might fill a log by it: a request that makes no sense, or going away. */
function isClients(error: unknown, { socket }: IncomingMessage): boolean {
  const lost = socket.destroyed && RpcError.of(error)?.code === "connection-lost";
  return lost || (error instanceof Refusal && error.status < 500);
}

/** What the client itself says of its address is dropped, and that nobody but its next neighbour should hear of it. */
function tellAddress(request: IncomingMessage, header: string | undefined): void {
  const told = header === undefined ? undefined : request.headers[header];
  const address =
    told === undefined ? request.socket.remoteAddress : String(told).split(",").at(-1)!.trim();
  const { rawHeaders } = request;
  for (let i = rawHeaders.length - 2; i >= 0; i -= 2) {
    const name = rawHeaders[i]!.toLowerCase();
    if (isAddress(name)) rawHeaders.splice(i, 2);
    else if (name === "connection") {
      const options = rawHeaders[i + 1]!.split(",").filter((option) => !isAddress(option));
      rawHeaders[i + 1] = options.join(",");
    }
  }
  // An address of IPv4 is itself, also where the server listens for both kinds.
  if (address !== undefined) rawHeaders.push(ADDRESS, address.replace(/^::ffff:(?=\d+\.)/, ""));
}

function isAddress(name: string): boolean {
  return name.trim().toLowerCase() === ADDRESS.toLowerCase();
}
