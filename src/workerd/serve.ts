// Role: an object, a function or a result of this process as workerd calls it: finds members, calls them, answers.
// State: per object, that it is served; per call, what came with its arguments. Must not know: sessions, stubs as users see them.

import { RpcError } from "../base/errors.js";
import type { Scheduler } from "../base/scheduler.js";
import { CallContext } from "../cap/dynamic/context.js";
import { MethodCall } from "../cap/dynamic/method-call.js";
import { type Place, placeOf } from "../cap/dynamic/place.js";
import { isTarget, noMember, servedAs } from "../cap/dynamic/target.js";
import type { Terms } from "../cap/dynamic/terms.js";
import { makeCalls } from "../cap/dynamic/turn.js";
import { discard, ignore } from "../cap/stream/values.js";
import { type Hook, NO_PROMISE_PIPELINING } from "../hook/hook.js";
import { type LocalCall, LocalHook, type Server } from "../hook/local.js";
import { toWorkerd } from "./errors.js";
import { Incoming } from "./incoming.js";
import { makers } from "./makers.js";
import { Outgoing } from "./outgoing.js";
import {
  type CallParams,
  methodOf,
  readCall,
  type Value,
  writePipeline,
  writeResults,
} from "./protocol.js";
import { pushedHere } from "./pushed.js";

/** What each object is served as, so that it is one object over there, too. */
const served = /* @__PURE__ */ new WeakMap<object, LocalHook>();

/** What an entry point answers requests by; nobody can call it with anything else. */
const OF_EVENTS = "fetch";

/** A new reference to the capability of an entry point, a target or a stub, as which it is known as long as anybody holds one. */
export function serveEntry(target: object, scheduler: Scheduler, terms: Terms): Hook {
  return serve(target, scheduler, terms, OF_EVENTS);
}

/** The same for one event: what `given` gives is disposed at its end. */
export function serveEntryOnce(given: Promise<object>, scheduler: Scheduler, terms: Terms): Hook {
  const dropped = (): void => {
    given.then((target) => {
      if (served.get(target) === hook) served.delete(target);
      discard(target);
    }, ignore);
  };
  const hook = new LocalHook(new Served(given, terms, dropped, OF_EVENTS), scheduler);
  given.then((target) => {
    if (placeOf(target) === undefined && !served.has(target)) served.set(target, hook);
  }, ignore);
  return hook;
}

/** A new reference to the capability of a target, a function, or a stub. @param hidden a member that cannot be reached. */
function serve(
  target: object,
  scheduler: Scheduler,
  terms: Terms,
  hidden: string | null = null,
): Hook {
  const place = placeOf(target);
  if (place !== undefined) {
    // Whoever lent the stub may dispose it.
    const own = place.root.dup();
    return new LocalHook(new Served(own, terms, () => discard(own), hidden), scheduler);
  }
  const known = served.get(target);
  if (known?.scheduler === scheduler) return known.addRef();
  const hook = new LocalHook(
    new Served(
      target,
      terms,
      () => {
        if (served.get(target) === hook) served.delete(target);
        // Who is served to others beside workerd is not let go of by all.
        if (isTarget(target) && servedAs(target) === undefined) discard(target);
      },
      hidden,
    ),
    scheduler,
  );
  served.set(target, hook);
  return hook;
}

makers.serve = (target, scheduler, terms) => serve(target, scheduler, terms);

/** A target, a function, a stub, or a result. */
class Served implements Server {
  private value: unknown;
  private readonly terms: Terms;
  private ended: () => void;
  private readonly hidden: string | null;

  constructor(value: unknown, terms: Terms, ended: () => void, hidden: string | null = null) {
    this.value = value;
    this.terms = terms;
    this.ended = ended;
    this.hidden = hidden;
  }

  /** What was a promise so far is here. */
  become(value: unknown, ended: () => void): void {
    this.value = value;
    this.ended = ended;
  }

  dropped(): void {
    this.ended();
  }

  dispatch(call: LocalCall): void {
    try {
      if (pushedHere(call, this.terms)) return;
      if (methodOf(call.interfaceHi, call.interfaceLo, call.methodId) !== "call")
        throw new RpcError(
          "unimplemented",
          "method-unimplemented",
          "this is an object for workerd",
        );
      new Invocation(call, this.terms, this.hidden).walk(this.value);
    } catch (thrown) {
      call.fails(toWorkerd(thrown, this.terms));
    }
  }
}

/** One call of theirs. */
class Invocation extends MethodCall {
  private readonly terms: Terms;
  private readonly params: CallParams;
  private readonly pusher: Hook | null;
  private incoming: Incoming | null = null;
  private lazyContext: CallContext | null = null;
  /** Stands for the result of a call that is passed on, from before it is there. */
  private way: { readonly hook: Hook; readonly served: Served } | null = null;

  /** @throws RpcError invalid-payload; method-unimplemented for what is hidden. */
  constructor(call: LocalCall, terms: Terms, hidden: string | null) {
    const params = readCall(call.params.content);
    super(call, params.path, params.args === null);
    this.terms = terms;
    this.params = params;
    const [name] = this.params.path;
    if (name !== undefined && name === hidden) throw noMember(undefined, name);
    this.pusher = call.params.caps[this.params.pusher] ?? null;
  }

  /** How long the caller waits workerd does not tell. */
  get context(): CallContext {
    return (this.lazyContext ??= new CallContext(this.call, 0));
  }

  protected override arrived(value: unknown, owner: unknown): void {
    const place = this.asks ? placeOf(value) : undefined;
    if (place === undefined) super.arrived(value, owner);
    // The stub itself is asked for: nothing is to be asked of whoever it stands for.
    else if (place.path.length === 0 && !place.isPromise) this.settle(place.root.dup());
    else this.forward(place, []);
  }

  protected run(method: object, owner: unknown): void {
    this.apply(method, owner, this.args());
  }

  private args(): unknown {
    const { args } = this.params;
    if (args === undefined || args === null) return [];
    const incoming = new Incoming(this.call.params, null, this.terms);
    const list = incoming.decode(args);
    this.incoming = incoming;
    return list;
  }

  protected forward(place: Place, rest: readonly string[]): void {
    const { call } = this;
    const args = this.asks ? null : this.args();
    if (args !== null && !Array.isArray(args)) {
      const message = "what comes as arguments of a call is no list";
      return this.fail(new RpcError("failed", "invalid-payload", message));
    }
    const answer = place.root.start([...place.path, ...rest], args, undefined);
    call.onCancel = (): void => discard(answer);
    if (!this.asks && (call.flags & NO_PROMISE_PIPELINING) === 0) {
      const served = new Served(answer, this.terms, () => discard(answer));
      this.way = { hook: new LocalHook(served, call.scheduler), served };
      call.setPipeline(writePipeline(this.way.hook));
    }
    void placeOf(answer)!.then(
      (value) => this.settle(value),
      (reason: unknown) => this.fail(reason),
    );
  }

  protected settle(value: unknown): void {
    const outgoing = new Outgoing(this.call.scheduler, this.terms, true);
    try {
      // What the method called before it returned was called before.
      makeCalls();
      if (outgoing.encode(value, "result")) this.answer(value, outgoing);
      else
        outgoing.fill().then(
          () => this.answer(value, outgoing),
          (reason: unknown) => this.fail(reason),
        );
    } catch (thrown) {
      this.fail(thrown);
    }
  }

  private answer(value: unknown, outgoing: Outgoing): void {
    const { call } = this;
    try {
      const sent = outgoing.take(this.pusher, null);
      const whole = placeOf(value) !== undefined || typeof value === "function" || isTarget(value);
      const hasParts = !whole && isPlain(value) && (call.flags & NO_PROMISE_PIPELINING) === 0;
      const hasEnd = !whole && hasDisposer(value);
      const ended = (): void => {
        outgoing.giveAway();
        if (hasEnd) discard(value);
      };
      const pipeline = this.pipeline(value, whole, hasParts, sent, ended);
      call.returns(writeResults(sent, pipeline, hasParts && hasEnd));
      this.incoming?.endLoan();
    } catch (thrown) {
      this.fail(thrown);
    }
  }

  /** What stands for the result; a reference of the caller's. @param ended to be called when it is let go of. */
  private pipeline(
    value: unknown,
    whole: boolean,
    hasParts: boolean,
    sent: Value,
    ended: () => void,
  ): Hook | null {
    const { way } = this;
    if (whole || hasParts) {
      // Calls may be on this way.
      way?.served.become(value, ended);
      if (way !== null) return way.hook.addRef();
    } else way?.served.become(value, ignore);
    if (hasParts) return new LocalHook(new Served(value, this.terms, ended), this.call.scheduler);
    ended();
    return whole ? (sent.entries[0]?.hook?.addRef() ?? null) : null;
  }

  fail(reason: unknown): void {
    makeCalls();
    this.call.fails(toWorkerd(reason, this.terms));
    this.incoming?.endLoan();
    this.incoming?.dropUnused();
  }
}

/**
 * Whether it has an end of its own. What came by a call of ours has not, but a hidden disposer that everything is given: it is
 * handed on, and its streams with it.
 */
function hasDisposer(value: unknown): boolean {
  if (typeof value !== "object" || value === null || !(Symbol.dispose in value)) return false;
  return Object.getOwnPropertyDescriptor(value, Symbol.dispose)?.enumerable !== false;
}

/** Whether it has parts that can be called while it is on its way. */
function isPlain(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  const proto: unknown = Object.getPrototypeOf(value);
  return proto === Object.prototype || proto === null || Array.isArray(value);
}
