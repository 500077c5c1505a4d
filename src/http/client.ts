// Role: `fetch` and WebSockets of a program, over a capability that serves HTTP.
// State: one reference to the service, until it is disposed. Must not know: how a request travels.

import { RpcError } from "../base/errors.js";
import { currentOrigin } from "../base/origin.js";
import { valuesUnder } from "../cap/dynamic/streams.js";
import { DEFAULT_TERMS, type TermsOptions, termsOf } from "../cap/dynamic/terms.js";
import { makeCalls } from "../cap/dynamic/turn.js";
import { ignore } from "../cap/stream/values.js";
import { disposed, releaseWhenCollected } from "../hook/collect.js";
import { HOLD, type Holder } from "../hook/holder.js";
import type { Hook } from "../hook/hook.js";
import { IncomingBody, NOWHERE } from "./incoming-body.js";
import { type BodySource, sourceOf } from "./outgoing-body.js";
import { noteSize, sizeOf, sizeOfInit } from "./sizes.js";
import { comeBack } from "./entry.js";
import { type Asker, Exchange } from "./exchange.js";
import { asksForWebSocket, headersOf, listOf, requestHeaders } from "./headers.js";
import type { HeaderList, RequestHead, ResponseHead } from "./messages.js";
import { mayHaveBody } from "./protocol.js";
import { HttpResponse } from "./response.js";
import { type OpenService, ServiceReference, type ServiceSource } from "./service.js";
import { MAX_MESSAGE, type SocketEnd } from "./socket-end.js";
import { type PairedWebSocket, socketOf } from "./websocket.js";

export interface HttpClientOptions extends TermsOptions {
  /** Bytes of a message of a WebSocket that is taken; a larger one closes it with 1009. Default 32 MiB. */
  readonly maxMessageBytes?: number | undefined;
}

export interface FetchInit extends RequestInit {
  /** What goes beside the request, where the service takes it: {@link OpenService}. */
  readonly cf?: unknown;
}

export interface WebSocketInit {
  readonly headers?: HeadersInit | undefined;
  /** Subprotocols to choose from. */
  readonly protocols?: readonly string[] | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly cf?: unknown;
}

/**
 * HTTP by capability: asks whatever serves `HttpService` of Cap'n Proto's http-over-capnp, here or at a peer.
 *
 * @example
 * using http = session.bootstrap(HttpClient);
 * const response = await http.fetch("http://any.name/path", { method: "POST", body: "hello" });
 * console.log(response.status, await response.text());
 * Source: schema/http.capnp; the fetch of Workers' stubs.
 */
export class HttpClient implements Holder, Disposable {
  private readonly service: ServiceReference;
  private readonly options: HttpClientOptions;

  /**
   * @param service a reference, taken over; or a stub or client of a service, which stays the caller's; or {@link OpenService}.
   * @throws RpcError invalid-argument for anything else; capability-disposed.
   */
  constructor(service: ServiceSource, options: HttpClientOptions = {}) {
    this.options = options;
    this.service = new ServiceReference(service);
    const { hook } = this.service;
    if (hook !== null) releaseWhenCollected(this, hook);
  }

  /**
   * As the `fetch` of browsers, with these differences: redirects are the caller's to follow, a response with a WebSocket
   * has status 101 and `webSocket`, and what fails is what the call failed with, not a TypeError.
   *
   * @param input an absolute URL, or a Request, whose body is used up.
   * @param init `signal` cancels the request; also while the body of the response is read, which fails with its reason then.
   * @returns the response as soon as it begins; its body arrives as fast as it is read. One that is not read to its end is
   *   canceled, or the service waits. A body that breaks off before its end is an error, never a short success.
   * @throws RpcError, as a rejection: what the service failed with; no-response; TypeError for what is no request.
   */
  fetch(input: RequestInfo | URL, init?: FetchInit): Promise<HttpResponse | Response> {
    return fetchBy((cf) => this.service.open(cf), input, init, this.options);
  }

  /**
   * Opens a WebSocket. `fetch` with the header `Upgrade: websocket` does the same where Requests may have it, which in browsers
   * they may not.
   *
   * @param url absolute; `ws:` and `wss:` are taken for `http:` and `https:`.
   * @returns the socket, to be accepted.
   * @throws RpcError no-response, as a rejection, when the service answers with something else.
   * @example
   * const socket = await http.webSocket("ws://any.name/chat");
   * socket.addEventListener("message", (event) => console.log(event.data));
   * socket.accept();
   */
  async webSocket(url: string | URL, init: WebSocketInit = {}): Promise<PairedWebSocket> {
    const target = new URL(url);
    target.protocol = target.protocol.replace(/^ws/, "http");
    const { headers, protocols = [], signal, cf } = init;
    const list = [...listOf(new Headers(headers)), ["Upgrade", "websocket"] as const];
    if (protocols.length > 0) list.push(["Sec-WebSocket-Protocol", protocols.join(", ")]);
    const head = { method: "GET", url: target.href, headers: requestHeaders(list, true), size: 0 };
    const open: OpenService = (beside) => this.service.open(beside);
    const response = await ask(open, head, null, signal, cf, this.options);
    if (response instanceof HttpResponse && response.webSocket !== null) return response.webSocket;
    await response.body?.cancel();
    const message = `the service answered with status ${response.status} instead of a WebSocket`;
    throw new RpcError("failed", "no-response", message);
  }

  [HOLD](give: boolean): Hook {
    const hook = this.service.open(undefined);
    if (give) this[Symbol.dispose]();
    return hook;
  }

  /** Lets go of the service. Requests under way go on. Idempotent. */
  [Symbol.dispose](): void {
    if (this.service.hook !== null) disposed(this);
    this.service.release();
  }
}

/**
 * The `fetch` of a client, for whoever keeps no client.
 *
 * @param open gives a reference to the service, once; not called when the request cannot be made.
 */
export async function fetchBy(
  open: OpenService,
  input: RequestInfo | URL,
  init: FetchInit | undefined,
  options: HttpClientOptions,
): Promise<HttpResponse | Response> {
  const request = requestOf(input, init);
  const { method, url } = request;
  const list = listOf(request.headers);
  const upgrades = asksForWebSocket(method, list);
  const headers = requestHeaders(list, upgrades);
  // No await before the call: requests go out in the order in which they were made.
  let body = upgrades ? null : request.body;
  let size = upgrades ? 0 : (sizeOfInit(init?.body) ?? sizeOf(body));
  if (body === undefined) {
    // Not every browser shows the body of a Request as a stream.
    const blob = await request.blob();
    ({ size } = blob);
    body = blob.stream();
  }
  const source = body === null || size === 0 ? null : sourceOf(body);
  const signal = init?.signal ?? request.signal;
  return ask(open, { method, url, headers, size }, source, signal, init?.cf, options);
}

function ask(
  open: OpenService,
  head: RequestHead,
  source: BodySource | null,
  signal: AbortSignal | null | undefined,
  cf: unknown,
  options: HttpClientOptions,
): Promise<Response> {
  if (signal?.aborted === true) {
    source?.cancel(signal.reason);
    return Promise.reject(signal.reason as Error);
  }
  // Calls by stubs that were written down before this one go before it.
  makeCalls();
  let service: Hook | null = null;
  try {
    service = open(cf);
    return exchanged(service, head, source, signal ?? null, options);
  } catch (thrown) {
    source?.cancel(thrown);
    throw thrown;
  } finally {
    service?.release();
  }
}

function exchanged(
  service: Hook,
  head: RequestHead,
  source: BodySource | null,
  signal: AbortSignal | null,
  options: HttpClientOptions,
): Promise<Response> {
  const values = valuesUnder(termsOf(options, DEFAULT_TERMS));
  const maxMessage = options.maxMessageBytes ?? MAX_MESSAGE;
  let body: IncomingBody | null = null;
  // Once it is there, the response must be able to be forgotten: nothing that lasts may hold the promise of it.
  let waiting: Waiting | null = null;
  const promise = new Promise<Response>((resolve, reject) => {
    waiting = { resolve, reject };
  });
  const origin = currentOrigin();
  const failed = (reason: unknown): void => {
    waiting?.reject(reason);
    waiting = null;
  };
  const answered = (response: Response): void => {
    const come = (): void => {
      waiting?.resolve(response);
      waiting = null;
    };
    comeBack(origin, come, failed);
  };
  const asker: Asker = {
    response(answer) {
      if (answer.size === 0 || !mayHaveBody(head.method, answer.status)) {
        answered(responseOf(answer, null));
        return NOWHERE;
      }
      const canceled = (reason: unknown): void => exchange.cancel(reason);
      // That it is lost the exchange knows by itself.
      body = new IncomingBody(canceled, ignore);
      answered(responseOf(answer, body.open(answer.size, service.scheduler)));
      return body;
    },
    webSocket: (headers, end) => answered(upgraded(headers, end)),
    failed(reason) {
      body?.abort(reason);
      comeBack(origin, () => failed(reason), failed);
    },
    ended: () => signal?.removeEventListener("abort", onAbort),
  };
  const exchange = new Exchange(service, head, source, asker, { values, maxMessage, origin });
  const onAbort = (): void => exchange.cancel(signal!.reason);
  signal?.addEventListener("abort", onAbort);
  return promise;
}

interface Waiting {
  resolve(response: Response): void;
  reject(reason: unknown): void;
}

function responseOf(head: ResponseHead, body: ReadableStream<Uint8Array> | null): Response {
  const { status, statusText, size } = head;
  const headers = headersOf(head.headers);
  if (body !== null && size !== null && !headers.has("content-length"))
    headers.set("content-length", String(size));
  const response = new Response(body, { status, statusText, headers });
  noteSize(response.body, size);
  return response;
}

function upgraded(list: HeaderList, end: SocketEnd): HttpResponse {
  const headers = headersOf(list);
  const webSocket = socketOf(end, headers.get("sec-websocket-protocol") ?? "");
  return new HttpResponse(null, { status: 101, headers, webSocket });
}

function requestOf(input: RequestInfo | URL, init: FetchInit | undefined): Request {
  // As it is: a copy would have a stream of its own, of which the size is not known.
  if (input instanceof Request && init === undefined) {
    if (input.bodyUsed) throw new TypeError("the body of this Request was used before");
    return input;
  }
  const duplex = init?.body instanceof ReadableStream ? { duplex: "half" } : {};
  return new Request(input, { ...init, ...duplex });
}
