// Role: serves HttpService: a handler of Requests as a capability.
// State: per request, what of it still flows. Must not know: where requests come from.

import { RpcError } from "../base/errors.js";
import { valuesUnder } from "../cap/dynamic/streams.js";
import { type StubOptions, termsOf } from "../cap/dynamic/terms.js";
import { homeScheduler } from "../cap/scheduler.js";
import { ONE_CAPABILITY } from "../cap/stream/protocol.js";
import { droppedError, ignore, type Values } from "../cap/stream/values.js";
import { CallRequest, type Hook } from "../hook/hook.js";
import { type LocalCall, LocalHook, type Server } from "../hook/local.js";
import { emptyPayload, Payload } from "../hook/payload.js";
import { canceledError } from "../hook/promise.js";
import type { Results } from "../hook/results.js";
import { IncomingBody, type Inlet, inletInto, NOWHERE } from "./incoming-body.js";
import { OutgoingBody, sourceOf } from "./outgoing-body.js";
import { happen } from "./entry.js";
import { sizeOf } from "./sizes.js";
import { asksForWebSocket, headersOf, listOf, responseHeaders } from "./headers.js";
import { readRequest, type RequestHead, writeHandshake, writeResponse } from "./messages.js";
import {
  ANSWER_TO,
  CONTEXT_HI,
  CONTEXT_LO,
  CONTEXT_RESPONSE,
  mayHaveBody,
  SERVICE_HI,
  SERVICE_LO,
  SERVICE_REQUEST,
} from "./protocol.js";
import { HttpResponse, isResponse } from "./response.js";
import { MAX_MESSAGE, type SocketEnd } from "./socket-end.js";
import type { SocketLink } from "./socket-link.js";
import { keep, type KeptSocket, upgrade } from "./upgrade.js";
import { endOf } from "./websocket.js";

/** What is known of a request beside the Request. */
export interface RequestBeside {
  /** What {@link ServeHttpOptions.cf} gave. */
  readonly cf: unknown;
}

/**
 * Answers a request. `request.signal` aborts when nobody waits for the answer any more.
 * What it throws is what the asker's `fetch` fails with.
 */
export type HttpHandler = (request: Request, beside: RequestBeside) => Response | Promise<Response>;

export interface ServeHttpOptions extends StubOptions {
  /** What goes beside each request, such as `request.cf` of Workers. Default: undefined. */
  readonly cf?: unknown;
  /** Bytes of a message of a WebSocket that is taken; a larger one closes it with 1009. Default 32 MiB. */
  readonly maxMessageBytes?: number | undefined;
}

/**
 * A handler of requests as a capability, `HttpService` of Cap'n Proto's http-over-capnp: for {@link HttpClient}, for a server
 * of Node's (`httpFront`), or for any peer that speaks it.
 *
 * @returns a reference, which the caller owns.
 * @example
 * const service = serveHttp((request) => new Response(`you asked for ${request.url}`));
 * const listener = await listen("unix:/run/web.sock", { bootstrap: service });
 * Source: schema/http.capnp.
 */
export function serveHttp(handler: HttpHandler, options: ServeHttpOptions = {}): Hook {
  const service = new HttpService(handler, options);
  return new LocalHook(service, options.scheduler ?? homeScheduler());
}

/** A request that is being answered. */
export interface LiveRequest {
  /** Breaks off whatever of it still flows; whoever asks is told `error`. Nothing after its end. */
  fail(error: RpcError): void;
}

/** Whoever runs the object that requests are made to, as far as it has a say in them. */
export interface RequestKeeper {
  /** The way that answers take to whoever asks: a new reference. @param context stays the caller's. */
  way(context: Hook): Hook;
  /** Takes the WebSocket behind `end`, which is about to be given to whoever asks, out of the object's hands; or null. */
  keeps(end: SocketEnd): KeptSocket | null;
  began(request: LiveRequest): void;
  ended(request: LiveRequest): void;
}

interface ServiceTerms {
  readonly handler: HttpHandler;
  readonly keeper: RequestKeeper | null;
  readonly beside: RequestBeside;
  readonly values: Values;
  readonly maxMessage: number;
}

/** The same behind a hook of the caller's: for an object that serves requests beside what else it does. */
export class HttpService implements Server {
  private readonly terms: ServiceTerms;

  /** @param keeper for those who run objects. @param values where errors are told otherwise than between vats of ours. */
  constructor(
    handler: HttpHandler,
    options: ServeHttpOptions = {},
    keeper: RequestKeeper | null = null,
    values: Values = valuesUnder(termsOf(options)),
  ) {
    const { cf, maxMessageBytes: maxMessage = MAX_MESSAGE } = options;
    this.terms = { handler, keeper, beside: Object.freeze({ cf }), values, maxMessage };
  }

  /** Whether `call` is one of HTTP, and so for {@link dispatch}. */
  static isCalledBy({ interfaceHi, interfaceLo }: CallRequest | LocalCall): boolean {
    return interfaceHi === SERVICE_HI && interfaceLo === SERVICE_LO;
  }

  readonly dispatch = (call: LocalCall): void => {
    const { params } = call;
    if (!HttpService.isCalledBy(call) || call.methodId !== SERVICE_REQUEST) {
      const message = "this service has the method request";
      throw new RpcError("unimplemented", "method-unimplemented", message);
    }
    const { head, context } = readRequest(params.content);
    const hook = params.caps[context];
    if (hook === undefined || hook === null)
      throw new RpcError("failed", "invalid-payload", "there is nobody to answer to");
    new ServedRequest(call, head, hook.addRef(), this.terms).begin();
  };
}

class ServedRequest implements LiveRequest {
  private readonly call: LocalCall;
  private readonly head: RequestHead;
  /** Whom to answer, until that is done. */
  private context: Hook | null;
  /** The way there. */
  private way: Hook | null;
  private readonly terms: ServiceTerms;
  private readonly gone = new AbortController();
  private body: IncomingBody | null = null;
  private inlet: Inlet | null = null;
  private outgoing: OutgoingBody | null = null;
  private link: SocketLink | null = null;
  private over = false;
  /** Kept: its signal would not abort any more if it were garbage, though somebody listens. */
  private request: Request | null = null;

  /** @param context taken over. */
  constructor(call: LocalCall, head: RequestHead, context: Hook, terms: ServiceTerms) {
    this.call = call;
    this.head = head;
    this.context = context;
    this.terms = terms;
    this.way = terms.keeper?.way(context) ?? context.addRef();
  }

  begin(): void {
    const { call, terms } = this;
    call.releaseParams();
    call.onCancel = (): void => this.end(canceledError());
    terms.keeper?.began(this);
    const answered = async (): Promise<void> => {
      this.request = this.makeRequest();
      this.answer(await terms.handler(this.request, terms.beside));
    };
    answered().catch((thrown: unknown) => this.end(terms.values.failure(thrown)));
  }

  fail(error: RpcError): void {
    this.end(error);
  }

  /** @throws RpcError invalid-payload. */
  private makeRequest(): Request {
    const { method, url, headers, size } = this.head;
    const { call, gone } = this;
    const mayHave = method !== "GET" && method !== "HEAD" && method !== "TRACE";
    if (size !== 0) {
      // What is written where no Request has a body goes nowhere.
      if (mayHave) this.body = this.incoming();
      this.inlet = inletInto(this.body ?? NOWHERE, size, call.scheduler, this.terms.values);
      call.setPipeline(new Payload(ONE_CAPABILITY, [this.inlet.hook.addRef()]));
    }
    try {
      const request = new Request(url, {
        // No Request can be made with it.
        method: method === "TRACE" ? "GET" : method,
        headers: headersOf(headers),
        signal: gone.signal,
        redirect: "manual",
        ...(this.body === null
          ? {}
          : { body: this.body.open(size, call.scheduler), duplex: "half" }),
      });
      if (method === "TRACE") Object.defineProperty(request, "method", { value: method });
      return request;
    } catch (thrown) {
      throw new RpcError("failed", "invalid-payload", `this is no request: ${String(thrown)}`);
    }
  }

  private incoming(): IncomingBody {
    return new IncomingBody(
      (reason) => this.inlet!.broken(reason),
      () => this.body!.abort(droppedError()),
    );
  }

  private answer(response: Response): void {
    if (!isResponse(response)) throw new TypeError("the handler of a request returned no Response");
    if (response.bodyUsed)
      throw new TypeError("the handler of a request returned a Response whose body was used");
    const { body } = response;
    const webSocket = response instanceof HttpResponse ? response.webSocket : null;
    if (this.over) {
      if (webSocket !== null) endOf(webSocket).lose(canceledError());
      void body?.cancel(canceledError()).catch(ignore);
      return;
    }
    if (webSocket !== null) return this.upgrade(response, endOf(webSocket));
    const { status, statusText } = response;
    if (status < 200) throw new TypeError("the handler of a request returned Response.error()");
    const hasBody = body !== null && mayHaveBody(this.head.method, status);
    const headers = responseHeaders(listOf(response.headers), hasBody);
    const size = hasBody ? sizeOf(body) : 0;
    const source = hasBody && size !== 0 ? sourceOf(body) : null;
    if (source === null) void body?.cancel().catch(ignore);
    const params = writeResponse({ status, statusText, headers, size });
    const results = this.ask(CONTEXT_RESPONSE, new Payload(params));
    if (source !== null) {
      const sink = results.pipeline(ANSWER_TO);
      this.outgoing = new OutgoingBody(source, sink, this.terms.values, size, (error) => {
        // What is on its way arrives without us.
        this.outgoing = null;
        this.end(error === null ? null : this.terms.values.failure(error.reason));
      });
    }
    this.watch(results, source === null);
  }

  private upgrade(response: Response, end: SocketEnd): void {
    if (!asksForWebSocket(this.head.method, this.head.headers))
      throw new TypeError("the handler returned a WebSocket, and nobody asked for one");
    if (end.isReceived)
      throw new TypeError("the WebSocket of the response was accepted: give the other one");
    const { call, terms } = this;
    const handshake = writeHandshake(responseHeaders(listOf(response.headers), false)).own();
    const kept = terms.keeper?.keeps(end) ?? null;
    if (kept === null) {
      const ended = (error: RpcError | null): void => this.end(error);
      this.link = upgrade(this.way!, handshake, end, call.scheduler, terms, ended);
      return;
    }
    const context = this.context!.addRef();
    this.stop(droppedError("the request is over"));
    this.inlet?.hook.release();
    keep(call, context, handshake, kept, terms);
  }

  private ask(method: number, params: Payload): Results {
    return this.way!.call(new CallRequest(CONTEXT_HI, CONTEXT_LO, method, params));
  }

  /** @param all the answer is nothing but this call. */
  private watch(results: Results, all: boolean): void {
    results.dropPipeline();
    results.observe({
      immediate: false,
      resultsSettled: () => {
        const { error } = results;
        results.cancel();
        if (error !== null) this.end(error);
        else if (all) this.end(null);
      },
    });
  }

  /** Ends the call, and with it all that still flows. The first end counts. */
  private end(error: RpcError | null): void {
    if (this.over) return;
    const { call, inlet } = this;
    this.stop(error ?? droppedError("the request is over"));
    if (error !== null) {
      inlet?.hook.release();
      call.fails(error);
      return happen(call.scheduler, () => this.gone.abort());
    }
    call.returns(inlet === null ? emptyPayload() : new Payload(ONE_CAPABILITY, [inlet.hook]));
  }

  private stop(reason: unknown): void {
    this.over = true;
    this.terms.keeper?.ended(this);
    this.context?.release();
    this.way?.release();
    this.context = this.way = null;
    this.outgoing?.cancel(reason);
    this.link?.fail(reason);
    this.inlet?.broken(reason);
    this.body?.abort(reason);
  }
}
