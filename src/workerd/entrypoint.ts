// Role: an entry point of ours as workerd reaches it: events, and what each of them calls.
// State: whom all calls reach, where that is one object. Must not know: sockets, how a call finds its member.

import { invalidArgument } from "../base/checks.js";
import { RpcError } from "../base/errors.js";
import type { Scheduler } from "../base/scheduler.js";
import { placeOf } from "../cap/dynamic/place.js";
import type { Terms } from "../cap/dynamic/terms.js";
import { isTarget } from "../cap/dynamic/target.js";
import { discard, ignore, type Values } from "../cap/stream/values.js";
import type { Hook } from "../hook/hook.js";
import { type LocalCall, LocalHook, type Server } from "../hook/local.js";
import { PromiseHook } from "../hook/promise.js";
import { type HttpHandler, HttpService } from "../http/server.js";
import { streamValues, toWorkerd } from "./errors.js";
import { methodOf, readEvent, writeCapabilities } from "./protocol.js";
import { serveEntry, serveEntryOnce } from "./serve.js";

/** What is known of an event before anything of it is called. */
export interface WorkerdEvent {
  /** `calls` of methods, or one `request` of HTTP. */
  readonly kind: "calls" | "request";
  /** Whom the Worker asked for: the authority of CONNECT, or the Host of a request. */
  readonly host: string;
  /** What went beside it, such as `request.cf`; undefined for nothing. */
  readonly cf: unknown;
}

/** Gives what one event reaches, and gives it away: it is disposed when the event is over. */
export type EntrypointMaker = (event: WorkerdEvent) => object | Promise<object>;

/**
 * What Workers reach: an `RpcTarget` or a stub, the same for all and for as long as it is served, or a function that gives one
 * for each event. Its `fetch(request)`, if it has one, answers requests, and cannot be called as a method.
 */
export type Entrypoint = object | EntrypointMaker;

/** What requests are made to. */
interface Fetches {
  fetch(request: Request): Response | Promise<Response>;
}

/** An entry point, for all connections of one server. */
export class Entry {
  private readonly terms: Terms;
  private readonly scheduler: Scheduler;
  /** The one object for all; null where there is one for each event. */
  private readonly single: object | null;
  private readonly make: EntrypointMaker;
  /** Of `single`, until nothing is served any more. */
  private hook: Hook | null = null;

  /** @throws RpcError invalid-argument for what is neither target nor stub nor function. */
  constructor(entrypoint: Entrypoint, scheduler: Scheduler, terms: Terms) {
    this.scheduler = scheduler;
    this.terms = terms;
    const makes = typeof entrypoint === "function" && placeOf(entrypoint) === undefined;
    // It would fail at each event.
    if (makes && isTarget((entrypoint as { prototype?: unknown }).prototype))
      throw notOne(
        `${entrypoint.name} is a class: give an object of it, or a function that makes one`,
      );
    this.single = makes ? null : checked(entrypoint);
    this.make = makes ? (entrypoint as EntrypointMaker) : (): object => entrypoint;
    if (this.single !== null) this.hook = serveEntry(this.single, scheduler, terms);
  }

  /** What a connection offers: a reference of the caller's. @param host that it asked for. */
  bootstrap(host: string): Hook {
    return new LocalHook(new Bootstrap(this, host), this.scheduler);
  }

  /** What the calls of one event are made on; a reference of the caller's. */
  target(event: WorkerdEvent): Hook {
    return (
      this.hook?.addRef() ??
      serveEntryOnce(Promise.resolve(this.make(event)).then(checked), this.scheduler, this.terms)
    );
  }

  /** What one request is made to; a reference of the caller's. @param values as those of HttpService. */
  service(event: WorkerdEvent, values?: Values): Hook {
    let given: Promise<object> | null = null;
    const handler: HttpHandler = async (request) => {
      given ??= Promise.resolve(this.make(event)).then(checked);
      const target = (await given) as Partial<Fetches>;
      if (typeof target.fetch !== "function")
        throw new RpcError("unimplemented", "method-unimplemented", "there is no fetch here");
      return target.fetch(request);
    };
    const { dispatch } = new HttpService(handler, this.terms, null, values);
    const dropped = (): void => {
      if (this.single === null) given?.then(discard, ignore);
    };
    return new LocalHook({ dispatch, dropped }, this.scheduler);
  }

  /** The same as a call of theirs would have it. */
  serviceForCapnp(event: WorkerdEvent): Hook {
    return this.service(event, streamValues(this.terms));
  }

  /** What a call fails with. */
  failure(thrown: unknown): RpcError {
    return toWorkerd(thrown, this.terms);
  }

  /** Lets go of the one object. */
  close(): void {
    this.hook?.release();
    this.hook = null;
  }
}

/** @throws RpcError invalid-argument. */
function checked(value: unknown): object {
  if (isTarget(value) || placeOf(value) !== undefined) return value as object;
  throw notOne("an entry point is an RpcTarget, a stub, or a function that gives one of both");
}

function notOne(message: string): RpcError {
  return invalidArgument(message);
}

/** The bootstrap object of one connection. */
class Bootstrap implements Server {
  private readonly entry: Entry;
  private readonly host: string;

  constructor(entry: Entry, host: string) {
    this.entry = entry;
    this.host = host;
  }

  dispatch(call: LocalCall): void {
    if (methodOf(call.interfaceHi, call.interfaceLo, call.methodId) !== "startEvent")
      throw notOffered("startEvent");
    const told = readEvent(call.params.content);
    let cf: unknown;
    try {
      cf = told === null ? undefined : JSON.parse(told);
    } catch {
      throw new RpcError("failed", "invalid-payload", "what goes beside an event is JSON");
    }
    const dispatcher = new Dispatcher(this.entry, this.host, cf);
    call.returns(writeCapabilities(new LocalHook(dispatcher, call.scheduler)));
  }
}

/** One event. */
class Dispatcher implements Server {
  private readonly entry: Entry;
  private readonly host: string;
  private readonly cf: unknown;
  private begun = false;

  constructor(entry: Entry, host: string, cf: unknown) {
    this.entry = entry;
    this.host = host;
    this.cf = cf;
  }

  dispatch(call: LocalCall): void {
    const method = methodOf(call.interfaceHi, call.interfaceLo, call.methodId);
    if (method !== "jsRpcSession" && method !== "getHttpService")
      throw notOffered("an event of calls, or of a request");
    if (this.begun)
      throw new RpcError("failed", "invalid-state", "this event has begun: start another");
    this.begun = true;
    const { entry, host, cf } = this;
    if (method === "getHttpService")
      return call.returns(writeCapabilities(entry.serviceForCapnp({ kind: "request", host, cf })));
    try {
      const target = entry.target({ kind: "calls", host, cf });
      // A promise for ever: whatever else it were, the caller would take for the end of the event. It lets go of it when it
      // needs nothing of the event any more, and who calls what is given up hears of that by the call itself.
      const session = new PromiseHook(call.scheduler);
      call.returns(writeCapabilities(target, session));
    } catch (thrown) {
      call.fails(entry.failure(thrown));
    }
  }
}

function notOffered(what: string): RpcError {
  const message = `all that can be asked of this is ${what}`;
  return new RpcError("unimplemented", "method-unimplemented", message);
}
