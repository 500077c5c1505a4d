// Role: HTTP requests to an object: asked by `stub.fetch`, answered by the `fetch` of its class.
// State: per activation, the requests that are being answered. Must not know: how an activation runs, sockets.
//
// Requests come to the object by the same queue as calls, and are let in by the same gate, so there is one order. They do not pass
// the boundary, though, since a WebSocket that was asked for may outlive the activation; what is answered does.

import { RpcError } from "../../base/errors.js";
import { runFor } from "../../base/origin.js";
import type { Scheduler } from "../../base/scheduler.js";
import type { StubOptions } from "../../cap/dynamic/terms.js";
import type { CallRequest, Fetcher, Hook } from "../../hook/hook.js";
import { type LocalCall, LocalHook, type Server } from "../../hook/local.js";
import type { Results } from "../../hook/results.js";
import { type FetchInit, fetchBy } from "../../http/client.js";
import type { HttpResponse } from "../../http/response.js";
import { HttpService, type LiveRequest, type RequestKeeper } from "../../http/server.js";
import type { SocketEnd } from "../../http/socket-end.js";
import type { KeptSocket } from "../../http/upgrade.js";
import type { EventHandlers } from "./durable-object.js";

/** What the stub of an object has beside the object's methods. */
export interface Fetch {
  /**
   * Sends the object a request: it comes to the `fetch` method of its class, in one order with the calls of this stub.
   *
   * @param input an absolute URL, of which only the object makes something, or a Request, whose body is used up.
   * @param init `signal` cancels the request, also while the body of the response is read.
   * @returns the response as soon as it begins; read its body or cancel it. One with a WebSocket has status 101 and `webSocket`.
   * @throws RpcError, as a rejection: what the method threw; method-unimplemented when the class has none; what else a call
   *   fails with. TypeError for what is no request.
   * @example const response = await env.ROOMS.getByName("lobby").fetch("http://room/history");
   * Source: the stubs of durable objects in Workers.
   */
  fetch(input: RequestInfo | URL, init?: FetchInit): Promise<HttpResponse | Response>;
}

/** `fetch` of stubs. @param options of what goes through them. */
export function fetcherUnder(options: StubOptions): Fetcher {
  return (service, [input, init]) =>
    fetchBy(() => service.addRef(), input as RequestInfo, init as FetchInit | undefined, options);
}

/** An activation, as requests to its object need it. */
export interface RequestsBehind {
  /** There once the first call is let in. */
  readonly instance: object;
  /** The way out of the object: a new reference. */
  way(context: Hook): Hook;
  /** Takes over the WebSocket of a response, if it is one that outlives the activation. */
  keeps(end: SocketEnd): KeptSocket | null;
}

/** What requests to an object are made to; they come behind the calls that were made before, since their jobs are of one queue. */
class RequestHook extends LocalHook {
  private underWay = 0;

  /** Whether requests wait or are being answered. */
  get isBusy(): boolean {
    return this.underWay > 0;
  }

  override call(request: CallRequest): Results {
    this.underWay++;
    return super.call(request);
  }

  override callEnded(): void {
    this.underWay--;
    super.callEnded();
  }
}

/** The requests to one activation. */
export class Requests implements RequestKeeper, Server {
  private readonly behind: RequestsBehind;
  private readonly live = new Set<LiveRequest>();
  private readonly service: HttpService;
  private readonly served: RequestHook;

  /** @param scheduler of the activation. @param options of what goes with requests. */
  constructor(behind: RequestsBehind, scheduler: Scheduler, options: StubOptions) {
    this.behind = behind;
    this.service = new HttpService((request) => this.answer(request), options, this);
    this.served = new RequestHook(this, scheduler);
  }

  /** What they are made to. Not a new reference. */
  get hook(): Hook {
    return this.served;
  }

  get isIdle(): boolean {
    return !this.served.isBusy;
  }

  dispatch(call: LocalCall): void {
    runFor(call.origin, call.scheduler, () => this.service.dispatch(call));
  }

  /** The object is broken: so is everything that it answers. */
  break(error: RpcError): void {
    for (const request of this.live) request.fail(error);
  }

  way(context: Hook): Hook {
    return this.behind.way(context);
  }

  keeps(end: SocketEnd): KeptSocket | null {
    return this.behind.keeps(end);
  }

  began(request: LiveRequest): void {
    this.live.add(request);
  }

  ended(request: LiveRequest): void {
    this.live.delete(request);
  }

  private answer(request: Request): Response | Promise<Response> {
    const instance = this.behind.instance as EventHandlers;
    if (typeof instance.fetch === "function") return instance.fetch(request);
    const message = "the class of this object has no method fetch: it answers no requests";
    throw new RpcError("unimplemented", "method-unimplemented", message);
  }
}
