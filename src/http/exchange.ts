// Role: one request to a service, and what comes of it, for whoever asks: the fetch of a program, or a server of Node's.
// State: whether it was answered, what still flows. Must not know: Request and Response, Node.

import { RpcError } from "../base/errors.js";
import type { Origin } from "../base/origin.js";
import { ONE_CAPABILITY } from "../cap/stream/protocol.js";
import type { Drain } from "../cap/stream/sink-server.js";
import { droppedError, type Values } from "../cap/stream/values.js";
import { CallRequest, type Hook } from "../hook/hook.js";
import { type LocalCall, LocalHook, type Server } from "../hook/local.js";
import { Payload } from "../hook/payload.js";
import type { Results } from "../hook/results.js";
import { asksForWebSocket } from "./headers.js";
import { type Inlet, inletInto } from "./incoming-body.js";
import {
  type HeaderList,
  readHandshake,
  readResponse,
  type RequestHead,
  type ResponseHead,
  writeRequest,
} from "./messages.js";
import { type BodySource, OutgoingBody } from "./outgoing-body.js";
import {
  CONTEXT_HI,
  CONTEXT_LO,
  CONTEXT_RESPONSE,
  CONTEXT_WEB_SOCKET,
  mayHaveBody,
  REQUEST_BODY,
  SERVICE_HI,
  SERVICE_LO,
  SERVICE_REQUEST,
} from "./protocol.js";
import { SocketEnd } from "./socket-end.js";
import { SocketLink } from "./socket-link.js";

/** Who asks. Of `response`, `webSocket` and `failed` the first is called once; `failed` may follow. */
export interface Asker {
  /** @returns where the body goes. It is ended at once where there is none. */
  response(head: ResponseHead): Drain;
  /** The request is a WebSocket from now on. */
  webSocket(headers: HeaderList, end: SocketEnd): void;
  /** There is no answer, or what came of it is cut off. */
  failed(reason: unknown): void;
  /** All is over. Called once, last. */
  ended(): void;
}

export interface ExchangeOptions {
  readonly values: Values;
  /** Bytes of a message of a WebSocket. */
  readonly maxMessage: number;
  /** Which object of a host asks. */
  readonly origin?: Origin | null;
}

export class Exchange implements Server {
  /** It is for the asker to let an answer in to the code that waits for it. */
  readonly passive = true;
  private readonly head: RequestHead;
  private readonly asker: Asker;
  private readonly options: ExchangeOptions;
  private readonly results: Results;
  private outgoing: OutgoingBody | null = null;
  private inlet: Inlet | null = null;
  private link: SocketLink | null = null;
  private answered = false;
  private over = false;
  /** The call has returned. */
  private returned = false;
  /** Nothing of the answer flows: there is none yet, or it has come to its end. */
  private quiet = true;
  /** Ends the body, once it has come to its end. */
  private close: (() => void) | null = null;
  /** The other side let go of the body before its end; the call may still tell why. */
  private lost = false;

  /**
   * @param service stays the caller's. @param source of the body, unless `head` says that there is none.
   * @throws RpcError invalid-argument when `head` cannot be sent; then nothing was.
   */
  constructor(
    service: Hook,
    head: RequestHead,
    source: BodySource | null,
    asker: Asker,
    options: ExchangeOptions,
  ) {
    this.head = head;
    this.asker = asker;
    this.options = options;
    const content = writeRequest(head);
    const context = new LocalHook(this, service.scheduler);
    const params = new Payload(content, [context]);
    const request = new CallRequest(SERVICE_HI, SERVICE_LO, SERVICE_REQUEST, params);
    request.origin = options.origin ?? null;
    const results = service.call(request);
    this.results = results;
    if (source !== null && head.size !== 0) {
      const body = results.pipeline(REQUEST_BODY);
      this.outgoing = new OutgoingBody(source, body, options.values, head.size, (error) => {
        if (error !== null) this.outgoing = null;
        // What is wrong with it here is wrong with the request. But a service may answer without reading all of it.
        if (error?.ours === true && !this.answered) this.cancel(error.reason);
      });
    }
    results.dropPipeline();
    results.observe({ immediate: false, resultsSettled: () => this.settled() });
  }

  /** Gives it up: the service is told, the asker fails with `reason`. Idempotent; nothing after the end. */
  cancel(reason: unknown): void {
    if (this.over) return;
    this.fail(reason);
    this.results.cancel();
  }

  readonly dispatch = (call: LocalCall): void => {
    const { interfaceHi, interfaceLo, methodId } = call;
    const isContext = interfaceHi === CONTEXT_HI && interfaceLo === CONTEXT_LO;
    if (!isContext || methodId > CONTEXT_WEB_SOCKET)
      throw new RpcError("unimplemented", "method-unimplemented", "a request has no such method");
    if (this.answered || this.over)
      throw new RpcError(
        "failed",
        "invalid-state",
        "this request was answered before, or given up",
      );
    try {
      if (methodId === CONTEXT_RESPONSE) this.respond(call);
      else this.upgrade(call);
    } catch (thrown) {
      this.cancel(thrown);
      throw thrown;
    }
  };

  private respond(call: LocalCall): void {
    const head = readResponse(call.params.content);
    const drain = this.asker.response(head);
    this.answered = true;
    if (head.size === 0 || !mayHaveBody(this.head.method, head.status)) {
      void drain.end();
      call.returns();
      // Nobody waits for the body of a HEAD to be written nowhere.
      if (head.size !== 0) this.cancel(droppedError("this response has no body"));
      return;
    }
    this.quiet = false;
    const watched = this.watched(drain, head.size !== null);
    this.inlet = inletInto(watched, head.size, call.scheduler, this.options.values);
    call.returns(new Payload(ONE_CAPABILITY, [this.inlet.hook]));
  }

  /**
   * The body, as far as its end is to be believed: C++ ends a body that broke off, too, and has the call fail after that. So an
   * end is one when the call has returned, or when it was said beforehand where it is.
   */
  private watched(drain: Drain, whole: boolean): Drain {
    return {
      write: (chunk) => drain.write(chunk),
      end: () => {
        this.close = (): void => {
          void drain.end();
          this.quietened();
        };
        if (this.returned || whole) this.close();
        return Promise.resolve();
      },
      abort: (reason) => this.cancel(reason),
      dropped: () => {
        this.lost = true;
        // Why the call failed says more than that the body was let go.
        if (this.returned) this.fail(droppedError());
      },
    };
  }

  private upgrade(call: LocalCall): void {
    const { headers, socket } = readHandshake(call.params.content);
    if (!asksForWebSocket(this.head.method, this.head.headers))
      throw new RpcError("failed", "invalid-state", "nobody asked for a WebSocket");
    const remote = call.params.caps[socket];
    if (remote === undefined || remote === null)
      throw new RpcError("failed", "invalid-payload", "there is no socket to send to");
    this.answered = true;
    this.quiet = false;
    const [ours, theirs] = SocketEnd.pair();
    const { values, maxMessage } = this.options;
    const ended = (): void => this.quietened();
    this.link = new SocketLink(theirs, call.scheduler, { values, maxMessage, ended });
    this.link.sendTo(remote.addRef());
    call.returns(new Payload(ONE_CAPABILITY, [this.link.hook]));
    this.asker.webSocket(headers, ours);
  }

  private settled(): void {
    const { results } = this;
    const { error } = results;
    results.cancel();
    this.returned = true;
    // The service is done: it wants no more of the body.
    this.outgoing?.cancel(droppedError("the request is over"));
    this.outgoing = null;
    if (error !== null) return this.fail(this.options.values.shown(error));
    if (!this.answered)
      return this.fail(
        new RpcError("failed", "no-response", "the service ended without a response"),
      );
    if (this.lost) return this.fail(droppedError());
    if (!this.quiet) this.close?.();
    this.endIfOver();
  }

  private quietened(): void {
    this.quiet = true;
    this.endIfOver();
  }

  private endIfOver(): void {
    if (this.over || !this.quiet || !this.returned) return;
    this.over = true;
    this.asker.ended();
  }

  /** An error after all of the answer has come concerns nobody. */
  private fail(reason: unknown): void {
    if (this.over) return;
    this.over = true;
    const tells = !this.answered || !this.quiet;
    this.outgoing?.cancel(reason);
    this.inlet?.broken(reason);
    this.link?.fail(reason);
    if (tells) this.asker.failed(reason);
    this.answered = true;
    this.asker.ended();
  }
}
