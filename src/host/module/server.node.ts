// Role: the HTTP server before a module's events.
// State: the server, its upgraded connections. Must not know: the module, where objects are.

import http, { type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import type { Duplex } from "node:stream";
import { RpcError } from "../../base/errors.js";
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

/** So long a connection at which nothing was asked yet may take to begin when the server ends, in milliseconds. */
const BEGIN_MS = 1000;
/** The header that modules find the address of the client in. Source: Cloudflare's. */
const ADDRESS = "CF-Connecting-IP";

/**
 * A server of HTTP and WebSocket, not listening yet.
 *
 * @example const server = new WebServer({ handler: events.fetch, report }); const url = await server.listen("127.0.0.1", 8787);
 */
export class WebServer {
  private readonly server: http.Server;
  private readonly connections = new Set<Duplex>();
  /** Of the connections those that are WebSockets, or are to be. */
  private readonly upgraded = new Set<Duplex>();
  private readonly answers = new Set<ServerResponse>();
  private readonly dispose: () => void;
  private isTracking = false;
  private onEmpty: (() => void) | null = null;

  constructor({ handler, report, addressHeader, connections }: WebServerOptions) {
    const front = httpFront(serveHttp(handler), {
      onError(error, request) {
        if (!isClients(error, request)) report(error, `${request.method} ${request.url}`);
      },
    });
    const header = addressHeader?.toLowerCase();
    this.dispose = () => front[Symbol.dispose]();
    this.server = http.createServer((request, response) => {
      tellAddress(request, header);
      this.answers.add(response);
      if (this.onEmpty !== null) isLast(response);
      response.on("close", () => {
        this.answers.delete(response);
        this.leftIdle();
      });
      front.request(request, response);
    });
    if (connections !== undefined) this.server.maxConnections = connections;
    this.server.on("connection", (socket) => {
      this.connections.add(socket);
      socket.on("close", () => {
        this.connections.delete(socket);
        this.upgraded.delete(socket);
        if (this.connections.size === 0) this.onEmpty?.();
      });
    });
    this.server.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      this.upgraded.add(socket);
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
    this.isTracking = true;
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
    // At this event Node begins to keep account of connections, without which none has a time limit.
    if (!this.isTracking) this.server.emit("listening");
    this.isTracking = true;
    this.server.emit("connection", socket);
  }

  /**
   * Takes no more, and waits for what is under way.
   *
   * @param grace milliseconds, after which it is cut off; WebSockets are at once.
   */
  async close(grace: number): Promise<void> {
    const { connections, upgraded, answers, server } = this;
    const empty = new Promise<void>((resolve) => (this.onEmpty = resolve));
    // Whoever is told so asks no more there, where it would be lost.
    for (const answer of answers) isLast(answer);
    // What was asked already, and not yet read, is read first.
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
    // Of a server that does not listen itself this says so, and ends its account all the same.
    server.close(() => {});
    server.closeIdleConnections();
    for (const socket of upgraded) socket.destroy();
    // Browsers connect before they have something to ask.
    const begun = setTimeout(
      () => {
        for (const socket of connections) if ((socket as Socket).bytesRead === 0) socket.destroy();
      },
      Math.min(BEGIN_MS, grace),
    );
    const timer = setTimeout(() => {
      for (const socket of connections) socket.destroy();
    }, grace);
    if (connections.size > 0) await empty;
    clearTimeout(begun);
    clearTimeout(timer);
    this.dispose();
  }

  /** A connection may wait for a request that is not taken any more. */
  private leftIdle(): void {
    if (this.onEmpty !== null) setImmediate(() => this.server.closeIdleConnections());
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

/** Tells the client that the connection ends with this answer, if it still can be told. */
function isLast(answer: ServerResponse): void {
  if (!answer.headersSent) answer.shouldKeepAlive = false;
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
