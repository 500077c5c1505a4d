// Role: a server of Node's in front of a service: HTTP requests and WebSockets of the outside as calls.
// State: per request, its exchange. Must not know: what serves.
//
// A body that breaks off must not look whole: then the connection is cut, so that the client misses the last chunk or the bytes
// that it was promised. What failed is told to `onError`, and to a client only by a status.

import { type IncomingMessage, ServerResponse, STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";
import { WebSocketServer } from "ws";
import { invalidArgument } from "../base/checks.js";
import { RpcError } from "../base/errors.js";
import { valuesUnder } from "../cap/dynamic/streams.js";
import { type TermsOptions, termsOf } from "../cap/dynamic/terms.js";
import type { Drain } from "../cap/stream/sink-server.js";
import { ignore } from "../cap/stream/values.js";
import { checkMost } from "../transport/transport.js";
import { type Asker, Exchange, type ExchangeOptions } from "./exchange.js";
import { type FrontLimits, headOf, Refusal } from "./front-head.node.js";
import { NodeBody, writeTo } from "./front-body.node.js";
import { joinSocket } from "./front-socket.node.js";
import { endToEnd, responseHeaders } from "./headers.js";
import type { HeaderList, ResponseHead } from "./messages.js";
import { mayHaveBody } from "./protocol.js";
import { ServiceReference, type ServiceSource } from "./service.js";
import { MAX_MESSAGE, type SocketEnd } from "./socket-end.js";

export interface HttpFrontOptions extends TermsOptions {
  /** What goes beside a request, to an `OpenService`. Default: nothing. */
  readonly cf?: ((request: IncomingMessage) => unknown) | undefined;
  /** Bytes of the head of a request, more is answered with 431. Node's own limit, 16 KiB, comes before. Default 64 KiB. */
  readonly maxHeaderBytes?: number | undefined;
  /** Bytes of the body of a request, more is answered with 413 or cut off. Default 100 MiB. */
  readonly maxBodyBytes?: number | undefined;
  /** Bytes of a message of a WebSocket, more closes it with 1009. Default 32 MiB. */
  readonly maxMessageBytes?: number | undefined;
  /** Told of what failed, and of what was refused. Default: nothing. */
  readonly onError?: ((error: unknown, request: IncomingMessage) => void) | undefined;
}

export interface HttpFront extends Disposable {
  /** For the event `request` of a server of `node:http` or `node:https`. */
  readonly request: (request: IncomingMessage, response: ServerResponse) => void;
  /** For the event `upgrade`. Without it the server has no WebSockets. */
  readonly upgrade: (request: IncomingMessage, socket: Duplex, head: Buffer) => void;
}

/**
 * Puts a service behind a server of Node's. TLS, addresses and time limits are the server's.
 *
 * @param service a reference, taken over; a stub or client of one; or a function that opens one for each request.
 * @returns its listeners; dispose it when the server is closed.
 * @throws RpcError invalid-argument.
 * @example
 * const front = httpFront(session.bootstrap());
 * const server = http.createServer(front.request).on("upgrade", front.upgrade).listen(8080);
 */
export function httpFront(service: ServiceSource, options: HttpFrontOptions = {}): HttpFront {
  const limits = {
    maxHeaderBytes: checkMost("maxHeaderBytes", options.maxHeaderBytes, 64 * 1024),
    maxBodyBytes: checkMost("maxBodyBytes", options.maxBodyBytes, 100 * 1024 * 1024),
  };
  const maxMessage = checkMost("maxMessageBytes", options.maxMessageBytes, MAX_MESSAGE);
  const reference = new ServiceReference(service);
  const terms = { values: valuesUnder(termsOf(options)), maxMessage };
  const handshakes = new Handshakes(maxMessage);
  const serve = (visit: Visit): void => {
    try {
      visit.begin(reference, limits, terms, options.cf?.(visit.request));
    } catch (thrown) {
      visit.failed(thrown);
    }
  };
  const report = (error: unknown, request: IncomingMessage): void =>
    options.onError?.(error, request);
  return {
    request: (request, response) => serve(new Visit(request, response, report, null)),
    upgrade(request, socket, head) {
      // Answered like any other, unless the service takes the connection over.
      const response = new ServerResponse(request);
      response.shouldKeepAlive = false;
      response.assignSocket(socket as never);
      response.on("finish", () => socket.end());
      socket.on("error", ignore);
      // Read, or nobody would see that the client is gone. It has nothing to say before the answer.
      const gone = (): void => void socket.destroy();
      socket.on("data", gone).on("end", gone);
      const accept: Accept = (headers, opened) => {
        socket.off("data", gone).off("end", gone);
        response.detachSocket(socket as never);
        return handshakes.accept(request, socket, head, headers, opened);
      };
      // Who asks for another protocol is answered in this one; but Node would not read a body.
      const { upgrade = "", "content-length": size, "transfer-encoding": coding } = request.headers;
      const other = upgrade.toLowerCase() !== "websocket" && !size && coding === undefined;
      serve(new Visit(request, response, report, other ? null : accept));
    },
    [Symbol.dispose]: () => reference.release(),
  };
}

type Accept = (headers: HeaderList, opened: SocketEnd) => void;

/** One request, and who waits for the answer. */
class Visit implements Asker {
  readonly request: IncomingMessage;
  private readonly answer: ServerResponse;
  private readonly report: (error: unknown, request: IncomingMessage) => void;
  private readonly accept: Accept | null;
  private exchange: Exchange | null = null;
  private upgraded = false;

  constructor(
    request: IncomingMessage,
    answer: ServerResponse,
    report: (error: unknown, request: IncomingMessage) => void,
    accept: Accept | null,
  ) {
    this.request = request;
    this.answer = answer;
    this.report = report;
    this.accept = accept;
    request.on("error", ignore);
    answer.on("error", ignore);
  }

  /** @throws Refusal, or what makes the request one that cannot be passed on. */
  begin(
    reference: ServiceReference,
    limits: FrontLimits,
    options: ExchangeOptions,
    cf: unknown,
  ): void {
    const { request, accept } = this;
    const head = headOf(request, limits, accept !== null);
    if (accept !== null) checkHandshake(request);
    const service = reference.open(cf);
    try {
      const source = head.size === 0 ? null : new NodeBody(request, limits.maxBodyBytes);
      this.exchange = new Exchange(service, head, source, this, options);
    } finally {
      service.release();
    }
    this.answer.on("close", this.onClose);
  }

  private readonly onClose = (): void => {
    if (this.answer.writableFinished || this.upgraded) return;
    this.exchange?.cancel(new RpcError("disconnected", "connection-lost", "the client went away"));
  };

  response(head: ResponseHead): Drain {
    const { answer, request } = this;
    const { status, statusText, size } = head;
    const hasBody = mayHaveBody(request.method ?? "", status);
    const list = responseHeaders(head.headers, hasBody).flat();
    if (hasBody && size !== null) list.push("Content-Length", String(size));
    answer.writeHead(status, statusText === "" ? STATUS_CODES[status] : statusText, list);
    // A body whose size nobody knows may take its time.
    if (size === null) answer.flushHeaders();
    return {
      write: (chunk) => writeTo(answer, chunk as Uint8Array),
      end() {
        answer.end();
        return Promise.resolve();
      },
      // The exchange itself tells of what fails.
      abort: ignore,
      dropped: ignore,
    };
  }

  webSocket(headers: HeaderList, end: SocketEnd): void {
    this.upgraded = true;
    this.accept!(headers, end);
  }

  failed(reason: unknown): void {
    const { answer, request } = this;
    this.report(reason, request);
    if (this.upgraded) return; // the socket is told by its other end
    if (answer.headersSent || answer.destroyed) return void answer.destroy();
    const status = statusOf(reason);
    answer.shouldKeepAlive = false;
    answer.writeHead(status, { "Content-Type": "text/plain; charset=utf-8" });
    answer.end(`${status} ${STATUS_CODES[status]}\n`);
    request.resume();
  }

  ended(): void {
    this.answer.off("close", this.onClose);
  }
}

function statusOf(reason: unknown): number {
  if (reason instanceof Refusal) return reason.status;
  const error = RpcError.of(reason);
  if (error === undefined) return 500;
  if (error.type === "overloaded") return 503;
  if (error.type === "unimplemented") return 501;
  const bad =
    error.type === "disconnected" || ["no-response", "invalid-payload"].includes(error.code);
  return bad ? 502 : 500;
}

/** @throws Refusal. */
function checkHandshake({ method, headers }: IncomingMessage): void {
  const { upgrade = "", "sec-websocket-key": key = "", "sec-websocket-version": version } = headers;
  if (method !== "GET" || upgrade.toLowerCase() !== "websocket") throw new Refusal(400);
  if (!/^[+/\da-z]{22}==$/i.test(key)) throw new Refusal(400);
  if (version !== "13" && version !== "8") throw new Refusal(426);
}

/** The handshakes of WebSockets, of which `ws` does the framing. */
class Handshakes {
  private readonly server: WebSocketServer;
  /** Of the handshake that is being made, which takes no time. */
  private headers: HeaderList = [];

  constructor(maxPayload: number) {
    this.server = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      maxPayload,
      handleProtocols: (offered) => {
        const chosen = valueOf(this.headers, "sec-websocket-protocol");
        return chosen !== undefined && offered.has(chosen) ? chosen : false;
      },
    });
    this.server.on("headers", (lines) => {
      for (const [name, value] of endToEnd(this.headers))
        if (!/^(?:sec-websocket-.*|content-length)$/i.test(name)) lines.push(`${name}: ${value}`);
    });
  }

  accept(
    request: IncomingMessage,
    socket: Duplex,
    head: Buffer,
    headers: HeaderList,
    end: SocketEnd,
  ): void {
    this.headers = headers;
    let opened = false;
    this.server.handleUpgrade(request, socket, head, (ws) => {
      opened = true;
      joinSocket(ws, end);
    });
    if (!opened) end.lose(invalidArgument("the handshake was refused"));
  }
}

function valueOf(headers: HeaderList, name: string): string | undefined {
  return headers.find(([one]) => one.toLowerCase() === name)?.[1];
}
