// Role: `listen`: accepts connections at an address and makes a session of each.
// State: the server and its live sessions. Must not know: what is said in them.

import net from "node:net";
import type http from "node:http";
import { invalidArgument } from "../base/checks.js";
import { RpcError } from "../base/errors.js";
import { listenFailed } from "../transport/connect-hints.js";
import { movedSocket } from "../transport/read-into.node.js";
import { SocketTransport } from "../transport/socket.node.js";
import {
  checkMs,
  transportSettings,
  type Transport,
  type TransportOptions,
} from "../transport/transport.js";
import { maxPayload, NodeWebSocketTransport } from "../transport/websocket.node.js";
import { batchHandler, OpenResponses } from "./batch-server.node.js";
import { type BatchServerOptions, checkBatchOptions } from "./batch-server.js";
import { addressText, isLoopback, parseAddress } from "./address.js";
import { bind, peerName, withHost } from "./bind.node.js";
import { nodeSession } from "./connect.node.js";
import type { Session, SessionOptions } from "./session.js";
import { webSocketServer, type WebSocketServerOptions } from "./websocket-server.node.js";

export interface ListenOptions
  extends
    SessionOptions,
    TransportOptions,
    WebSocketServerOptions,
    Pick<BatchServerOptions, "maxRequestBytes" | "batchTimeout"> {
  /** Told of each new session, before any message of it is handled. */
  readonly onSession?: ((session: Session) => void) | undefined;
  /** Told of what went wrong outside any session: a handshake refused, no more files to open. Default: nothing. */
  readonly onError?: ((error: RpcError) => void) | undefined;
}

/** Accepts no more and ends every session by `end`. @param cut when it aborts, what is answered meanwhile need not leave first. */
type Stop = (end: (session: Session) => Promise<unknown>, cut: AbortSignal) => Promise<void>;

/**
 * What {@link listen} returns.
 */
export class Listener {
  /** Where it listens, the real port included. */
  readonly url: string;
  private readonly live: Set<Session>;
  private readonly stop: Stop;
  private stopped: Promise<void> | null = null;
  private readonly cut = new AbortController();

  constructor(url: string, live: Set<Session>, stop: Stop) {
    this.url = url;
    this.live = live;
    this.stop = stop;
  }

  /** The sessions that are not over. */
  get sessions(): ReadonlySet<Session> {
    return this.live;
  }

  /** Accepts no more, ends every session, removes a Unix socket's file. @returns when all of that is done. */
  close(): Promise<void> {
    this.cut.abort();
    if (this.stopped === null)
      this.stopped = this.stop((session) => session.close(), this.cut.signal);
    else for (const session of this.live) void session.close();
    return this.stopped;
  }

  /**
   * Accepts no more and drains every session: calls under way may end, new ones fail as `disconnected`.
   *
   * @param timeout milliseconds that they may take. Default 30 000.
   * @returns when all of that is done. `close()` meanwhile cuts it short.
   * @throws RpcError invalid-argument when `timeout` is no time.
   * @example process.on("SIGTERM", () => void listener.drain(10_000).then(() => process.exit(0)));
   */
  async drain(timeout?: number): Promise<void> {
    const ms = checkMs("timeout", timeout, 30_000);
    const timer = setTimeout(() => this.cut.abort(), ms);
    this.stopped ??= this.stop((session) => session.drain(ms), this.cut.signal);
    await this.stopped;
    clearTimeout(timer);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/**
 * Listens for vats.
 *
 * An address that names no host, as `tcp://:4000`, means 127.0.0.1: to be reached from elsewhere is asked for by name.
 * Port 0 takes any free one. A Unix socket's file has mode 0600, replaces one that nobody answers on any more, and is
 * removed at the end.
 *
 * At `http:` and `https:` there are batches, and WebSockets at the same path.
 *
 * @param at `tcp://host:port`, `unix:/path`, `ws://host:port/path` or `http://host:port/path`, or `wss:` and `https:`.
 * @returns once connections are accepted.
 * @throws RpcError invalid-argument; listen-failed with a hint, such as when somebody listens there already.
 * @example
 * const listener = await listen("unix:/run/calculator.sock", { bootstrap: serve(Calculator, new MyCalculator()) });
 */
export async function listen(at: string | URL, options: ListenOptions = {}): Promise<Listener> {
  checkBatchOptions(options);
  const settings = transportSettings(options);
  const url = addressText(at);
  const address = withHost(parseAddress(url));
  const live = new Set<Session>();
  const report = (error: RpcError): void => options.onError?.(error);
  const track = (session: Session): void => {
    live.add(session);
    void session.closed.then(() => live.delete(session));
  };
  const admit = (transport: Transport): void => {
    const session = nodeSession(transport, options);
    track(session);
    try {
      options.onSession?.(session);
    } catch (thrown) {
      // One session's trouble is nobody else's.
      const error = RpcError.from(thrown, "internal-error");
      void session.close(error);
      report(error);
    }
  };
  const responses = new OpenResponses();
  let server: net.Server;
  if (address.scheme === "tcp" || address.scheme === "unix") {
    server = net.createServer({ pauseOnConnect: true, allowHalfOpen: true }, (socket) => {
      admit(new SocketTransport(peerName(url, socket), movedSocket(socket), options));
    });
  } else {
    const { scheme } = address;
    const encrypted = scheme === "wss" || scheme === "https";
    if (encrypted !== (options.tls !== undefined))
      throw invalidArgument(
        encrypted
          ? `to listen at ${url} takes a key and a certificate: the option tls`
          : `${url} is not encrypted, but the option tls is given: write ${scheme}s:`,
      );
    const onSession = (session: Session): void => {
      track(session);
      options.onSession?.(session);
    };
    server = webSocketServer({
      ...options,
      path: address.path,
      requests:
        scheme === "http" || scheme === "https"
          ? responses.of(batchHandler({ ...options, onSession }))
          : null,
      maxPayload: maxPayload(settings),
      loopback: () => isLoopback(address.host),
      accepted: (ws, stream) => {
        admit(new NodeWebSocketTransport(peerName(url, stream), ws, stream, options));
      },
      refused: (why) => report(new RpcError("failed", "origin-refused", `${url}: ${why}`)),
    });
  }
  const { bound, release } = await bind(server, url, address);
  server.on("error", (cause) => report(listenFailed(url, cause)));
  return new Listener(bound, live, async (end, cut) => {
    const gently = !cut.aborted;
    const closed = new Promise((resolve) => server.close(resolve));
    const cutOff = (): void => (server as Partial<http.Server>).closeAllConnections?.();
    release();
    responses.refuse();
    if (!gently) cutOff();
    await Promise.all([...live].map(end));
    if (gently) await responses.left(settings.grace);
    cutOff();
    await closed;
  });
}
