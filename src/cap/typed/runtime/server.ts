// Role: lets an object of the user's, which implements a generated interface, stand behind a capability.
// State: per capability, nothing but the object; per call, its context. Must not know: the wire.

import { RpcError } from "../../../base/errors.js";
import { runFor } from "../../../base/origin.js";
import type { Scheduler } from "../../../base/scheduler.js";
import { servedBeside } from "../../../hook/beside.js";
import { type CallRequest, Hook } from "../../../hook/hook.js";
import { type LocalCall, LocalHook, type Server as HookServer } from "../../../hook/local.js";
import { emptyPayload, type Payload } from "../../../hook/payload.js";
import { failedResults, type Results } from "../../../hook/results.js";
import { processScheduler } from "../../scheduler.js";
import { type Builder, openBuilder } from "./builder.js";
import { fill, type Fill } from "./call.js";
import { LentCaps } from "./caps.js";
import { type Client, hookOf, type InterfaceType, type ServerOf } from "./client.js";
import { invalidState } from "./errors.js";
import type { Later } from "./generic.js";
import type { InterfaceInfo, MethodInfo } from "./interface.js";
import type { Pipeline } from "./pipeline.js";
import { closedView, closeSegment, readContent } from "./segment.js";
import { type StreamResult, Struct } from "./struct.js";

/** What a method may return: the results as an object, a struct to copy, a function that fills them, or a tail call. */
export type Answer<R extends Struct, I> = Later<Fill<R, I> | Pipeline<Struct> | void>;

/** The context of a stream method. */
export type StreamContext = CallContext<StreamResult, object>;

const recycled = /* @__PURE__ */ closedView("the params of this call were given back by recycle()");

/** The error of a call that the object has no method for. */
function unimplemented(info: InterfaceInfo, hi: number, lo: number, methodId: number): RpcError {
  const known = info.ancestry.find((one) => one.hi === hi && one.lo === lo);
  const id = (hi >>> 0).toString(16).padStart(8, "0") + (lo >>> 0).toString(16).padStart(8, "0");
  const message =
    known === undefined
      ? `${info.displayName} does not implement interface 0x${id} (method ${methodId})`
      : `${known.displayName} (interface 0x${id}) has no method ${methodId} here`;
  return new RpcError("unimplemented", "method-unimplemented", message);
}

/** What a server object may have besides its methods. */
export interface ServerHooks {
  /** Called once after the last reference to the capability and the last running call are gone (C-LOC-09). */
  [Symbol.dispose]?(): void;
}

/**
 * A capability of this process: an object that implements a generated interface, behind a client.
 *
 * The capability lives until its last reference is disposed, here and at every peer; then `[Symbol.dispose]` of the
 * object is called, if it has one. Serving one object twice gives two capabilities (C-LOC-08).
 *
 * @param type the interface. @param server implements it; a missing method answers `unimplemented`.
 * @param options `scheduler`: whose jobs its calls are; by default the process's own.
 * @example const client = serve(Greeter, { greet: ({ name }) => ({ text: `Hello, ${name}` }) });
 */
export function serve<C extends Client>(
  type: InterfaceType<C>,
  server: ServerOf<C> & ServerHooks,
  options?: { scheduler?: Scheduler },
): C {
  return new type(
    hookOfServer(type._capnp, server as object, options?.scheduler ?? processScheduler()),
  );
}

/** The hook of a new capability for `server`; the caller owns the reference. */
export function hookOfServer(info: InterfaceInfo, server: object, scheduler: Scheduler): Hook {
  return new LocalHook(new TypedServer(info, server), scheduler);
}

type Method = (params: Struct, context: CallContext<Struct, object>) => unknown;

/** Dispatches calls to the methods of a user's object. */
class TypedServer implements HookServer {
  private readonly info: InterfaceInfo;
  private readonly server: object;

  constructor(info: InterfaceInfo, server: object) {
    this.info = info;
    this.server = server;
  }

  dispatch(call: LocalCall): void {
    const method = this.find(call);
    if (method === null) return this.refuse(call);
    const run = (this.server as Record<string, unknown>)[this.info.nameOf(method)];
    if (typeof run !== "function") return this.refuse(call);
    if (method.streaming) call.streaming();
    const context = new CallContext<Struct, object>(call, method);
    try {
      const { params } = context;
      const answer = runFor(call.origin, call.scheduler, () =>
        (run as Method).call(this.server, params, context),
      );
      if (isThenable(answer)) answer.then(context.onValue, context.onError);
      else context.settle(answer);
    } catch (thrown) {
      context.fail(thrown);
    }
  }

  get self(): object {
    return this.server;
  }

  private refuse(call: LocalCall): void {
    if (servedBeside(this.server, call)) return;
    call.fails(unimplemented(this.info, call.interfaceHi, call.interfaceLo, call.methodId));
  }

  dropped(): void {
    const server: ServerHooks = this.server;
    if (typeof server[Symbol.dispose] === "function") server[Symbol.dispose]!();
  }

  private find(call: LocalCall): MethodInfo | null {
    for (const info of this.info.ancestry)
      if (info.lo === call.interfaceLo && info.hi === call.interfaceHi)
        return info.methods[call.methodId] ?? null;
    return null;
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    typeof value === "object" &&
    value !== null &&
    typeof (value as PromiseLike<unknown>).then === "function"
  );
}

/**
 * One call, as its method sees it.
 *
 * @typeParam R the results struct. @typeParam I the plain object that sets it.
 */
export class CallContext<R extends Struct, I> {
  private readonly call: LocalCall;
  private readonly method: MethodInfo;
  private read: Struct | null = null;
  private lent: LentCaps | null = null;
  private controller: AbortController | null = null;
  private selves: Client[] | null = null;
  private ended = false;
  private readonly tails: TailHook[] = [];

  constructor(call: LocalCall, method: MethodInfo) {
    this.call = call;
    this.method = method;
  }

  /** The params. They and the clients read from them are lent: they end with the call; `dup` a client to keep it. */
  get params(): Struct {
    if (this.read !== null) return this.read;
    const { params, scheduler } = this.call;
    if (params.caps.length > 0) this.lent ??= new LentCaps(scheduler, params);
    const segment = readContent(params.content, this.lent);
    return (this.read = this.method.params._capnp.read(segment, segment.root));
  }

  /**
   * The capability that was called, for a method that hands its own object out (C-LOC-08). It is lent as params are: it
   * ends with the call; `dup` it to keep it. Put into results it is given away.
   *
   * @throws RpcError invalid-state after the end of the call.
   * @example next: (_params, context) => ({ next: context.self(Counter) })
   */
  self<C extends Client>(type: InterfaceType<C>): C {
    if (this.ended) throw invalidState("this call has ended, and what it lent with it");
    const client = new type(this.call.self.addRef());
    (this.selves ??= []).push(client);
    return client;
  }

  /** Fires once when the caller gives the call up, or is gone (C-CAN-03). */
  get signal(): AbortSignal {
    if (this.controller === null) {
      const controller = new AbortController();
      this.controller = controller;
      if (this.call.canceled) controller.abort(canceled());
      else this.call.onCancel = (): void => controller.abort(canceled());
    }
    return this.controller.signal;
  }

  /** Whether the caller's giving up ends the call at once; true by default, for streams false (C-CAN-04). */
  get cancelable(): boolean {
    return this.call.cancelable;
  }
  set cancelable(value: boolean) {
    this.call.cancelable = value;
  }

  /** Lets the capabilities in the params go before the call ends. Clients read from them end. */
  releaseParams(): void {
    this.lent?.close();
    this.call.releaseParams();
  }

  /**
   * Says that the params are not used any more, nor any `Uint8Array` read from them: the memory of large ones then serves
   * the next message, where else each leaves its size to the garbage collector. Only where nothing was kept: a view that
   * was would show the bytes of another message. Bytes to keep are copied before, or this is not called.
   *
   * @example write({ chunk }, context) { hash.update(chunk); context.recycle(); }
   */
  recycle(): void {
    this.lent?.close();
    closeSegment(this.params.segment, recycled);
    this.call.recycleParams();
  }

  /**
   * Ends the call with these results now; what the method returns later is ignored. Capabilities in them are given away.
   * @throws RpcError invalid-argument when they do not fit the schema; the call goes on then.
   */
  results(results: Fill<R, I>): void {
    this.finish(results);
  }

  /**
   * Lets calls that are pipelined on the results flow before the results are there (C-PIP-07). Only the capabilities
   * count, and they must be those of the results. Where one was called and is a promise still when the results are there,
   * these name that promise, so that later calls come behind the earlier.
   * @throws RpcError invalid-state when called twice, or after the end.
   */
  setPipeline(results: Fill<R, I>): void {
    const builder = this.build(results);
    try {
      this.call.setPipeline(builder.payload().own());
    } finally {
      builder.close();
    }
  }

  /**
   * A client whose one call becomes the answer to this call: the results go straight to the caller (C-TAI-01).
   * The call must be to a method with the same results. Return what it returns.
   *
   * @example return context.tailCall(this.backend).lookup({ key });
   */
  tailCall<C extends Client>(client: C): C {
    const tail = new TailHook(hookOf(client).addRef(), this);
    this.tails.push(tail);
    return new (client.constructor as unknown as InterfaceType<C>)(tail);
  }

  /** Of a tail hook: its one call was made. @returns whether it is the answer. */
  answerBy(target: Hook, request: CallRequest): boolean {
    if (this.ended) {
      request.params.release();
      return false;
    }
    this.ended = true;
    this.call.tailCall(target, request);
    this.letGo();
    return true;
  }

  /** Of the dispatcher: the method has returned, or its promise was fulfilled. */
  settle(answer: unknown): void {
    if (this.ended) return;
    try {
      this.finish(answer);
    } catch (thrown) {
      this.fail(thrown);
    }
  }

  /** Of the dispatcher: the method threw, or its promise was rejected. */
  fail(thrown: unknown): void {
    if (this.ended) return;
    this.end();
    this.call.fails(RpcError.from(thrown));
  }

  readonly onValue = (answer: unknown): void => this.settle(answer);
  readonly onError = (thrown: unknown): void => this.fail(thrown);

  private finish(results: unknown): void {
    if (this.ended) throw invalidState("this call has its results already");
    if (results === undefined && this.method.streaming) {
      this.end();
      this.call.returns(emptyPayload());
      return;
    }
    const builder = this.build(results);
    try {
      const payload: Payload = builder.payload();
      this.end();
      this.call.returns(payload);
    } finally {
      builder.close();
    }
  }

  private build(results: unknown): Builder {
    const builder = openBuilder(this.call.scheduler, true);
    try {
      const info = this.method.results._capnp;
      if (results instanceof Struct) info.write(builder.segment, 0, results);
      else fill(info.init(builder.segment, 0), results);
      return builder;
    } catch (thrown) {
      builder.close();
      throw thrown;
    }
  }

  private end(): void {
    this.ended = true;
    this.letGo();
  }

  private letGo(): void {
    this.lent?.close();
    if (this.selves !== null) for (const client of this.selves) client[Symbol.dispose]();
    for (const tail of this.tails) tail.drop();
  }
}

function canceled(): RpcError {
  return new RpcError("failed", "call-canceled", "the call was canceled by its caller");
}

interface TailOwner {
  answerBy(target: Hook, request: CallRequest): boolean;
}

/** Stands for a capability for one call, which becomes a tail call. Holds the capability until then, or until the end. */
class TailHook extends Hook {
  readonly brand: object;
  private target: Hook | null;
  private readonly context: TailOwner;

  constructor(target: Hook, context: TailOwner) {
    super(target.scheduler);
    this.brand = target.brand;
    this.target = target;
    this.context = context;
  }

  call(request: CallRequest): Results {
    const target = this.target;
    this.target = null;
    if (target === null) request.params.release();
    else if (this.context.answerBy(target, request)) {
      target.release();
      return this.refuse("the results of a tail call go to the caller alone");
    } else target.release();
    return this.refuse("this call has its results already");
  }

  drop(): void {
    this.target?.release();
    this.target = null;
  }

  protected unreferenced(): void {
    this.drop();
  }

  private refuse(message: string): Results {
    return failedResults(new RpcError("failed", "invalid-state", message), this.scheduler);
  }
}
