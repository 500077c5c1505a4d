// Role: an object, a function or a result of this vat behind the interface Object: finds members, calls them, answers.
// State: per capability, the object; per call, its arguments' references. Must not know: stubs as users see them.

import { RpcError } from "../../base/errors.js";
import type { Scheduler } from "../../base/scheduler.js";
import { servedBeside } from "../../hook/beside.js";
import { CallRequest, type Hook } from "../../hook/hook.js";
import { HOLD, holderOf } from "../../hook/holder.js";
import { type LocalCall, LocalHook } from "../../hook/local.js";
import { Payload } from "../../hook/payload.js";
import { canceledError } from "../../hook/promise.js";
import { CallContext } from "./context.js";
import { failureOf } from "./errors.js";
import { type MapRequest, readMap, writeMap } from "./map/program.js";
import { MapRun } from "./map/run.js";
import { MethodCall } from "./method-call.js";
import { packValue } from "./pack.js";
import { PlainRequest } from "./plain.js";
import { type Place, placeOf, type Root } from "./place.js";
import {
  METHOD_GET,
  METHOD_MAP,
  NO_KINDS,
  OBJECT_HI,
  OBJECT_LO,
  patchRequest,
  readRequest,
  readResult,
  type Request,
  UNDEFINED,
  WANT_EITHER,
  WANT_VALUE,
  writeRequest,
  writeResult,
} from "./protocol.js";
import { decodeWith, Incoming, NO_REFERENCES, receiveValue, type Receiver } from "./incoming.js";
import { LocalObject, type Referable } from "./references.js";
import { isTarget, noteServed, servedAs } from "./target.js";
import type { Terms } from "./terms.js";
import { ToldContent } from "./told.js";
import { makeCalls } from "./turn.js";

/** A value of no more bytes goes along with its object, unasked: an answer to a question would cost more. */
const SMALL = 1024;

/**
 * A new reference to the capability of a target or a function, under `terms`: one for each object, as long as anyone holds
 * it, so that it is one object at the other side too. An object that is known under different terms has one for each; most
 * have one.
 */
export function hookOf(target: object, scheduler: Scheduler, terms: Terms): Hook {
  const first = servedAs(target) as ServedHook | undefined;
  for (let at = first; at !== undefined; at = at.server.other)
    if (at.server.terms.types === terms.types && sameEntry(at.scheduler, scheduler))
      return at.addRef();
  const made = servedHook(new TargetObject(target, terms, first), scheduler);
  noteServed(target, made);
  return made;
}

/** Whether calls are let in by the same. */
function sameEntry(a: Scheduler, b: Scheduler): boolean {
  return a === b || (a.entry === null && b.entry === null);
}

/** A new reference to a capability that stands for a value that is here. Its references stay its owner's. */
export function hookOfValue(value: unknown, scheduler: Scheduler, terms: Terms): Hook {
  return new LocalHook(new ValueObject(value, scheduler, terms), scheduler);
}

/**
 * The capability of an object that is made later, but before the first call is let in.
 *
 * @param terms those of what goes through it. @returns `become` says what it is; it is never told that it was dropped.
 */
export function hostedHook(
  scheduler: Scheduler,
  terms: Terms,
): { readonly hook: Hook; become(self: object): void } {
  const object = new TargetObject({}, terms, undefined);
  const made = servedHook(object, scheduler);
  return {
    hook: made.addRef(),
    become(self) {
      object.self = self;
      object.other = servedAs(self) as ServedHook | undefined;
      noteServed(self, made);
    },
  };
}

/** The hook of a target or a function. */
type ServedHook = LocalHook & { readonly server: TargetObject };

function servedHook(object: TargetObject, scheduler: Scheduler): ServedHook {
  return new LocalHook(object, scheduler) as ServedHook;
}

/** A target or a function. */
class TargetObject extends LocalObject {
  self: object;
  readonly terms: Terms;
  /** The same object under other terms. */
  other: ServedHook | undefined;

  constructor(self: object, terms: Terms, other: ServedHook | undefined) {
    super();
    this.self = self;
    this.terms = terms;
    this.other = other;
  }

  dispatch(call: LocalCall): void {
    if (isForeign(call, this.self)) return;
    new Invocation(call, true, this.terms).walk(this.self);
  }

  retain(request: CallRequest): Payload {
    return PlainRequest.read(request) ?? request.params.own();
  }

  share(): Payload {
    throw new RpcError("failed", "internal-error", "an object of this vat goes by reference");
  }

  dropped(): void {
    if (!this.forget()) return;
    const dispose = (this.self as Partial<Disposable>)[Symbol.dispose];
    if (isTarget(this.self) && typeof dispose === "function") dispose.call(this.self);
  }

  /** @returns whether nobody holds the object any more, under any terms. */
  private forget(): boolean {
    const { self, other } = this;
    const first = servedAs(self) as ServedHook | undefined;
    if (first?.server === this) {
      noteServed(self, other);
      return other === undefined;
    }
    for (let at = first?.server; at !== undefined; at = at.other?.server)
      if (at.other?.server === this) at.other = other;
    return false;
  }
}

/** The result of a call of this vat's, as it was when it was returned. Read back only if something in it is called. */
class ResultObject extends LocalObject {
  readonly self = null;
  readonly passive = true;
  private readonly payload: Payload;
  private readonly scheduler: Scheduler;
  private readonly terms: Terms;
  private value: unknown;
  private held: Incoming | null = null;
  private stage: "packed" | "opening" | "open" | "failed" = "packed";
  private failure: RpcError | null = null;
  private waiting: (() => void)[] = [];

  /** Takes `payload` over: a Result with its value. */
  constructor(payload: Payload, scheduler: Scheduler, terms: Terms) {
    super();
    this.payload = payload.own();
    this.scheduler = scheduler;
    this.terms = terms;
  }

  share(): Payload {
    return this.payload.share();
  }

  dispatch(call: LocalCall): void {
    if (isForeign(call, null)) return;
    const request = requestOf(call, this.terms);
    if (request.path.length === 0 && call.methodId === METHOD_GET) {
      answerWithPacked(call, request.want, this.share(), this.terms, call.self);
      return;
    }
    this.whenOpen(() => {
      if (this.failure !== null) call.fails(this.failure);
      else new Invocation(call, false, this.terms, request).walk(this.value);
    });
  }

  dropped(): void {
    this.held?.dispose();
    this.payload.release();
  }

  private whenOpen(run: () => void): void {
    if (this.stage === "open" || this.stage === "failed") return run();
    this.waiting.push(run);
    if (this.stage === "opening") return;
    this.stage = "opening";
    const done = (): void => {
      const waiting = this.waiting;
      this.waiting = [];
      for (const one of waiting) one();
    };
    this.held = receiveValue(this.share(), this.scheduler, this.terms, {
      received: (value) => {
        this.value = value;
        this.stage = "open";
        done();
      },
      fail: (error) => {
        this.failure = error;
        this.stage = "failed";
        done();
      },
    });
  }
}

/** A value that is here, and its owner's. */
class ValueObject extends LocalObject {
  readonly self = null;
  readonly passive = true;
  private readonly value: unknown;
  private readonly scheduler: Scheduler;
  private readonly terms: Terms;

  constructor(value: unknown, scheduler: Scheduler, terms: Terms) {
    super();
    this.value = value;
    this.scheduler = scheduler;
    this.terms = terms;
  }

  share(): Payload {
    return packValue(this.value, false, this.scheduler, this.terms).own();
  }

  dispatch(call: LocalCall): void {
    if (isForeign(call, null)) return;
    new Invocation(call, false, this.terms).walk(this.value);
  }
}

/** What is asked, and of a map the program. */
function requestOf(call: LocalCall, { limits }: Terms): Request & { readonly map?: MapRequest } {
  const { params } = call;
  if (params instanceof PlainRequest) return params;
  const { content } = params;
  if (call.methodId !== METHOD_MAP) return readRequest(content);
  const map = readMap(content, limits);
  return { ...map, args: null, map };
}

/** Whether `call` is not for the interface Object: then what is beside `self` takes it, or it has failed. */
function isForeign(call: LocalCall, self: object | null): boolean {
  if (
    call.interfaceHi === OBJECT_HI &&
    call.interfaceLo === OBJECT_LO &&
    call.methodId <= METHOD_MAP
  )
    return false;
  if (!servedBeside(self, call)) {
    const message = "this is an object of JavaScript: it has the interface of schema/js.capnp";
    call.fails(new RpcError("unimplemented", "method-unimplemented", message));
  }
  return true;
}

/** One call on an object of this vat. */
class Invocation extends MethodCall implements Receiver {
  /** What is answered is given: it comes from a method. What is read from a result stays the result's. */
  private gives: boolean;
  private readonly terms: Terms;
  private readonly request: ReturnType<typeof requestOf>;
  private method: object | null = null;
  private owner: unknown = undefined;
  private incoming: Incoming | null = null;
  private lazyContext: CallContext | null = null;

  constructor(call: LocalCall, gives: boolean, terms: Terms, request = requestOf(call, terms)) {
    super(call, request.path, call.methodId === METHOD_GET);
    this.gives = gives;
    this.terms = terms;
    this.request = request;
  }

  get context(): CallContext {
    return (this.lazyContext ??= new CallContext(this.call, this.request.timeout));
  }

  protected override arrived(value: unknown, owner: unknown): void {
    if (this.request.map === undefined) super.arrived(value, owner);
    else this.runMap(value, this.request.map);
  }

  protected run(method: object, owner: unknown): void {
    this.gives = true;
    const { call, request } = this;
    if (request instanceof PlainRequest) return this.apply(method, owner, request.list ?? []);
    if (request.args === null) return this.apply(method, owner, []);
    if (request.references.kinds.length === 0)
      return this.apply(method, owner, decodeWith(this.terms, request.args, NO_REFERENCES));
    const incoming = new Incoming(call.params, request.references, call.scheduler, this.terms);
    this.incoming = incoming;
    // The promises among them may never come, and need not once the caller has given up.
    call.onCancel = (): void => this.fail(canceledError());
    this.method = method;
    this.owner = owner;
    incoming.decode(request.args, this);
  }

  /** The arguments are here. */
  received(args: unknown): void {
    this.call.onCancel = null;
    this.apply(this.method!, this.owner, args);
  }

  private runMap(value: unknown, { program, references, budget }: MapRequest): void {
    const { call, terms } = this;
    const incoming = new Incoming(call.params, references, call.scheduler, terms);
    this.incoming = incoming;
    call.onCancel = (): void => this.fail(canceledError());
    const received = (captures: unknown): void => {
      const run = new MapRun(program, captures as unknown[], call.scheduler, terms, budget);
      call.onCancel = (): void => {
        run.dispose();
        this.fail(canceledError());
      };
      run.over(value).then(
        (results) => {
          this.gives = false;
          this.settle(results);
          run.dispose();
        },
        (reason: unknown) => {
          this.fail(reason);
          run.dispose();
        },
      );
    };
    incoming.decode(null, { received, fail: (error) => this.fail(error) });
  }

  /** The answer comes back without a detour, where the other side has the interface Object, too. */
  protected forward(place: Place, rest: readonly string[]): void {
    const { call, request } = this;
    const { kinds, caps } = request.references;
    const path = [...place.path, ...rest];
    const { relay } = place.root;
    if (relay !== undefined)
      return this.run((...args: unknown[]) => relay(path, args, call, request), undefined);
    // The call that the stub may be a promise of comes first.
    makeCalls();
    const came = call.params instanceof PlainRequest ? null : call.params.content;
    const content =
      came instanceof ToldContent
        ? came.at(path)
        : request.map === undefined
          ? writeRequest(path, request.args, kinds)
          : writeMap(path, request.map.program, kinds, request.map.budget);
    patchRequest(content, request.want, request.timeout);
    const hooks = caps.map((at) => call.params.caps[at]?.addRef() ?? null);
    const hook = (place.root as Root & Referable).refer();
    const { interfaceHi, interfaceLo, methodId, flags } = call;
    call.tailCall(
      hook,
      new CallRequest(interfaceHi, interfaceLo, methodId, new Payload(content, hooks), flags),
    );
    hook.release();
  }

  protected override refused(result: unknown): void {
    giveBack(result, this.call.scheduler, this.terms);
  }

  protected settle(value: unknown): void {
    // What the method called before it returned was called before: a callback comes before the answer.
    makeCalls();
    try {
      answer(this.call, this.request.want, value, this.gives, this.terms);
    } catch (thrown) {
      this.call.fails(RpcError.from(thrown));
    }
    this.incoming?.endLoan();
  }

  fail(reason: unknown): void {
    makeCalls();
    this.call.fails(failureOf(reason, this.terms));
    const { incoming } = this;
    incoming?.endLoan();
    incoming?.dropUnused();
  }
}

/**
 * Ends `call` with `value`, in the form that is wanted.
 * @param gives the references in it are given away. @throws RpcError when something in it cannot travel.
 */
function answer(call: LocalCall, want: number, value: unknown, gives: boolean, terms: Terms): void {
  const { scheduler } = call;
  if (want === WANT_VALUE) return call.returns(packValue(value, gives, scheduler, terms));
  const object = objectOf(value, gives, scheduler, terms);
  if (object === null)
    return answerWithPacked(
      call,
      want,
      packValue(value, gives, scheduler, terms).own(),
      terms,
      null,
    );
  call.returns(new Payload(writeResult(null, NO_KINDS, true, true), [object]));
}

/** Ends `call` with the object of a packed value, which is taken over. @param self the object, if there is one. */
function answerWithPacked(
  call: LocalCall,
  want: number,
  packed: Payload,
  terms: Terms,
  self: Hook | null,
): void {
  if (want === WANT_VALUE) return call.returns(packed);
  const { content, caps } = packed;
  const object =
    self?.addRef() ??
    new LocalHook(new ResultObject(packed, call.scheduler, terms), call.scheduler);
  if (self !== null) packed.release();
  const small =
    want === WANT_EITHER &&
    caps.length === 0 &&
    content.byteLength <= SMALL &&
    // Of errors each who asks is told by itself.
    !(content instanceof ToldContent);
  const value = small ? (readResult(content).value ?? UNDEFINED) : null;
  call.returns(new Payload(writeResult(value, NO_KINDS, true, false), [object]));
}

/** Ends the references in a result that is not sent. */
function giveBack(value: unknown, scheduler: Scheduler, terms: Terms): void {
  try {
    packValue(value, true, scheduler, terms).release();
  } catch {
    // What cannot travel holds none.
  }
}

/** A new reference to what stands for `value` by itself; null for what is a plain value. */
function objectOf(value: unknown, gives: boolean, scheduler: Scheduler, terms: Terms): Hook | null {
  const place = placeOf(value);
  if (place === undefined)
    return typeof value === "function" || isTarget(value)
      ? hookOf(value, scheduler, terms)
      : (holderOf(value)?.[HOLD](gives) ?? null);
  if (place.isPromise) return null;
  const hook = (place.root as Root & Referable).refer();
  if (gives) place.root.dispose();
  return hook;
}
