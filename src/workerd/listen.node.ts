// Role: `serveWorkerd`: one address at which Workers of a workerd call an entry point of ours, by Cap'n Proto and by HTTP.
// State: the HTTP server, its connections, the sessions of those that became Cap'n Proto. Must not know: what is called.
//
// workerd says CONNECT to the address of an `external` service before it calls, and makes plain requests there for `fetch`. Node's
// HTTP server reads both heads, and bounds them; after a CONNECT the connection is a transport like any other.

import http, { type IncomingMessage } from "node:http";
import type net from "node:net";
import { invalidArgument } from "../base/checks.js";
import { RpcError } from "../base/errors.js";
import { ignore } from "../cap/stream/values.js";
import type { Hook } from "../hook/hook.js";
import { HttpConnections } from "../http/connections.node.js";
import { AUTHORITY, Refusal } from "../http/front-head.node.js";
import { httpFront, type HttpFrontOptions } from "../http/front.node.js";
import { listenFailed } from "../transport/connect-hints.js";
import { movedSocket } from "../transport/read-into.node.js";
import { SocketTransport } from "../transport/socket.node.js";
import {
  checkMost,
  checkMs,
  transportSettings,
  type TransportOptions,
} from "../transport/transport.js";
import { formatAddress, parseAddress } from "../vat/address.js";
import { bind, peerName, withHost } from "../vat/bind.node.js";
import { nodeSession } from "../vat/connect.node.js";
import { Listener } from "../vat/listen.node.js";
import { clip } from "../vat/origins.js";
import { type Session, type SessionOptions, sessionSettings } from "../vat/session.js";
import { Entry, type Entrypoint } from "./entrypoint.js";
import { bridgeSession, bridgeTerms } from "./errors.js";
import "./stub.js";

/** What is offered is the entry point. */
export interface ServeWorkerdOptions
  extends
    Omit<SessionOptions, "bootstrap" | "restorer" | "identities">,
    TransportOptions,
    Pick<HttpFrontOptions, "maxHeaderBytes" | "maxBodyBytes" | "maxMessageBytes"> {
  readonly entrypoint: Entrypoint;
  /**
   * The names that may be asked for: by CONNECT, which is the `capnpConnectHost` of the configuration, and as the Host of requests,
   * there without the port. By default all, since neither says who asks.
   */
  readonly hosts?: readonly string[] | undefined;
  /** How many connections there may be at a time; more are closed as they come. Default 1024. */
  readonly maxConnections?: number | undefined;
  /** Milliseconds that the head of a request may take, from the first moment of a connection. Default 10 000. */
  readonly headTimeout?: number | undefined;
  /** Told of each new session, before any message of it is handled. */
  readonly onSession?: ((session: Session) => void) | undefined;
  /** Told of what was refused, and of what failed outside of calls. Default: nothing. */
  readonly onError?: ((error: RpcError) => void) | undefined;
}

/** workerd lets go of a connection that it does not use after some seconds; were we to do so, it might be using it just then. */
const IDLE_MS = 60_000;

/**
 * Has Workers of a workerd call `entrypoint`, at one address: that of an `external` service with
 * `http = (capnpConnectHost = "rpc.example")` in its configuration. Calls of its binding come by Cap'n Proto, as methods of
 * the entry point; `fetch` comes by HTTP, and is answered by the entry point's `fetch`.
 *
 * Nobody is asked who he is: whoever reaches the address can call. So it belongs on a Unix socket, or on loopback, which an
 * address that names no host means.
 *
 * @param where `tcp://host:port` or `unix:/path`; or a server of `node:net`, which stays the caller's and whose connections
 *   are served from now on, as long as the listener is open.
 * @returns once connections are accepted.
 * @throws RpcError invalid-argument; listen-failed with a hint, such as when somebody listens there already.
 * @example
 * const listener = await serveWorkerd("tcp://127.0.0.1:4000", { entrypoint: new Lobby() });
 */
export async function serveWorkerd(
  where: string | net.Server,
  options: ServeWorkerdOptions,
): Promise<Listener> {
  if (typeof where !== "string") {
    const served = new WorkerdServer(addressOf(where), options);
    const accept = (socket: net.Socket): void => served.connections.accept(socket);
    where.on("connection", accept);
    return served.listener(served.url, () => void where.off("connection", accept));
  }
  const address = withHost(parseAddress(where));
  if (address.scheme !== "tcp" && address.scheme !== "unix")
    throw invalidArgument(`workerd is served at tcp: or unix:, not at ${where}`);
  const served = new WorkerdServer(where, options);
  try {
    const { bound, release } = await bind(served.server, where, address);
    return served.listener(bound, release);
  } catch (thrown) {
    served.entry.close();
    throw thrown;
  }
}

function addressOf(server: net.Server): string {
  const address = server.address();
  if (address === null) return "a server";
  if (typeof address === "string") return `unix:${address}`;
  return formatAddress({ scheme: "tcp", host: address.address, port: address.port });
}

/** In lower case. @throws RpcError invalid-argument. */
function hostNames(hosts: readonly string[]): ReadonlySet<string> {
  if (Array.isArray(hosts) && hosts.every((host) => typeof host === "string"))
    return new Set(hosts.map((host) => host.toLowerCase()));
  throw invalidArgument("hosts is a list of names");
}

class WorkerdServer {
  readonly url: string;
  readonly entry: Entry;
  readonly server: http.Server;
  readonly connections: HttpConnections;
  private readonly options: ServeWorkerdOptions;
  private readonly hosts: ReadonlySet<string> | null;
  private readonly live = new Set<Session>();
  private readonly endFront: () => void;

  /** @throws RpcError invalid-argument. */
  constructor(url: string, options: ServeWorkerdOptions) {
    transportSettings(options);
    const { scheduler } = sessionSettings(options);
    const maxConnections = checkMost("maxConnections", options.maxConnections, 1024);
    const headTimeout = checkMs("headTimeout", options.headTimeout, 10_000);
    this.url = url;
    this.options = options;
    this.hosts = options.hosts === undefined ? null : hostNames(options.hosts);
    const front = httpFront(
      (host) => this.entry.service({ kind: "request", host: host as string, cf: undefined }),
      {
        ...options,
        cf: (request) => this.hostOf(request),
        onError: (error, request) =>
          error instanceof Refusal
            ? this.answered(request, `${error.status} ${error.message}`)
            : this.report(RpcError.from(error)),
      },
    );
    this.endFront = (): void => front[Symbol.dispose]();
    // Last of what may be refused: it is held from now on.
    this.entry = new Entry(options.entrypoint, scheduler, bridgeTerms(options));
    this.server = http.createServer({
      headersTimeout: headTimeout,
      // Of a body the peer's pace is nobody's business here: it goes on to whoever reads it.
      requestTimeout: 0,
      connectionsCheckingInterval: Math.max(100, Math.min(headTimeout / 2, 30_000)),
      keepAliveTimeout: IDLE_MS,
      noDelay: true,
    });
    const { server } = this;
    this.connections = new HttpConnections(server, maxConnections, () =>
      this.refused(`a connection was closed: there are ${maxConnections}`),
    );
    server.on("request", front.request);
    server.on("upgrade", front.upgrade);
    server.on("connect", (request: IncomingMessage, socket: net.Socket, head: Buffer) =>
      this.connected(request, socket, head),
    );
  }

  /** @param bound where it listens. @param release it listens no more. */
  listener(bound: string, release: () => void): Listener {
    this.server.on("error", (cause) => this.report(listenFailed(this.url, cause)));
    return new Listener(bound, this.live, async (end, cut) => {
      release();
      const answered = this.connections.close(cut);
      await Promise.all([...this.live].map(end));
      await answered;
      this.endFront();
      this.entry.close();
    });
  }

  /** CONNECT: the connection is one of Cap'n Proto from now on, if it may be. */
  private connected(request: IncomingMessage, socket: net.Socket, head: Buffer): void {
    const host = request.url ?? "";
    const { "content-length": length = "0", "transfer-encoding": coding } = request.headers;
    const isOne = AUTHORITY.test(host) && length === "0" && coding === undefined;
    const status = !isOne ? "400 Bad Request" : this.isServed(host) ? null : "403 Forbidden";
    if (status !== null) {
      this.answered(request, status);
      socket.on("error", ignore);
      socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
      socket.once("finish", () => socket.destroy());
      return;
    }
    this.connections.left(socket);
    socket.pause();
    // Who does not wait for the answer has sent more, which only this socket can read again.
    if (head.length > 0) socket.unshift(head);
    const owned = socket.readableLength > 0 ? { socket, into: null } : movedSocket(socket);
    owned.socket.write("HTTP/1.1 200 OK\r\n\r\n");
    const transport = new SocketTransport(peerName(this.url, socket), owned, this.options);
    const bootstrap = (): Hook => this.entry.bootstrap(host);
    const session = nodeSession(transport, { ...bridgeSession(this.options), bootstrap });
    this.live.add(session);
    void session.closed.then(() => this.live.delete(session));
    try {
      this.options.onSession?.(session);
    } catch (thrown) {
      const error = RpcError.from(thrown, "internal-error");
      void session.close(error);
      this.report(error);
    }
  }

  /** @throws Refusal of a request for somebody else. */
  private hostOf({ headers: { host = "" } }: IncomingMessage): string {
    if (this.isServed(host.replace(/:\d*$/, "")) || this.isServed(host)) return host;
    throw new Refusal(421);
  }

  private isServed(host: string): boolean {
    return this.hosts === null || this.hosts.has(host.toLowerCase());
  }

  /** @param status of the refusal. */
  private answered({ method, url = "" }: IncomingMessage, status: string): void {
    this.refused(`${method} ${clip(url)} was answered with ${status}`);
  }

  private refused(what: string): void {
    this.report(new RpcError("failed", "http-refused", `${this.url}: ${what}`));
  }

  private report(error: RpcError): void {
    this.options.onError?.(error);
  }
}
