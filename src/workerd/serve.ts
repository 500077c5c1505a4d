// Role: an object, a function or a result of this process as workerd calls it: finds members, calls them, answers.
// State: per object, that it is served; per call, what came with its arguments. Must not know: sessions, stubs as users see them.

import { RpcError } from "../base/errors.js";
import { runFor } from "../base/origin.js";
import type { Scheduler } from "../base/scheduler.js";
import { CallContext, type Entered, entering, left } from "../cap/dynamic/context.js";
import { type Place, placeOf } from "../cap/dynamic/place.js";
import { isTarget, memberOf, noMember, servedAs } from "../cap/dynamic/target.js";
import type { Terms } from "../cap/dynamic/terms.js";
import { makeCalls } from "../cap/dynamic/turn.js";
import { discard, ignore } from "../cap/stream/values.js";
import { type Hook, NO_PROMISE_PIPELINING } from "../hook/hook.js";
import { type LocalCall, LocalHook, type Server } from "../hook/local.js";
import { toWorkerd } from "./errors.js";
import { Incoming } from "./incoming.js";
import { makers } from "./makers.js";
import { Outgoing } from "./outgoing.js";
import { type CallParams, methodOf, readCall, writeResults } from "./protocol.js";
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
  const dropped = (): void => void given.then(discard, ignore);
  return new LocalHook(new Served(given, terms, dropped, OF_EVENTS), scheduler);
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
  private readonly value: unknown;
  private readonly terms: Terms;
  readonly dropped: () => void;
  private readonly hidden: string | null;

  constructor(value: unknown, terms: Terms, dropped: () => void, hidden: string | null = null) {
    this.value = value;
    this.terms = terms;
    this.dropped = dropped;
    this.hidden = hidden;
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
      new Invocation(call, this.terms, this.hidden).walk(this.value, undefined, 0);
    } catch (thrown) {
      call.fails(toWorkerd(thrown));
    }
  }
}

/** One call of theirs. */
class Invocation implements Entered {
  private readonly call: LocalCall;
  private readonly terms: Terms;
  private readonly params: CallParams;
  private readonly pusher: Hook | null;
  private incoming: Incoming | null = null;
  private lazyContext: CallContext | null = null;

  /** @throws RpcError invalid-payload; method-unimplemented for what is hidden. */
  constructor(call: LocalCall, terms: Terms, hidden: string | null) {
    this.call = call;
    this.terms = terms;
    this.params = readCall(call.params.content);
    const [name] = this.params.path;
    if (name !== undefined && name === hidden) throw noMember(undefined, name);
    this.pusher = call.params.caps[this.params.pusher] ?? null;
  }

  get context(): CallContext {
    return (this.lazyContext ??= new CallContext(this.call, 0));
  }

  /** Follows the path from step `at`, where `value` is, a member of `owner`. */
  walk(value: unknown, owner: unknown, at: number): void {
    const { path } = this.params;
    try {
      for (; ; at++) {
        const place = placeOf(value);
        if (place !== undefined) return this.forward(place, path.slice(at));
        if (value instanceof Promise) {
          const next = at;
          value.then(
            (settled) => this.walk(settled, owner, next),
            (reason: unknown) => this.fail(reason),
          );
          return;
        }
        if (at === path.length) break;
        owner = value;
        value = this.run(() => memberOf(owner, path[at]!));
      }
      if (this.params.args === null) return this.answerMember(value, owner);
      if (typeof value !== "function") {
        const message = `${path.join(".") || "the object"} is not a function`;
        throw new RpcError("unimplemented", "method-unimplemented", message);
      }
      const args = this.args();
      const method = value as (...args: unknown[]) => unknown;
      this.await(this.run(() => Reflect.apply(method, owner, args)));
    } catch (thrown) {
      this.fail(thrown);
    }
  }

  /** Runs code of the object's. */
  private run(code: () => unknown): unknown {
    const { origin, scheduler } = this.call;
    const before = entering(this);
    try {
      return runFor(origin, scheduler, code);
    } finally {
      left(before);
    }
  }

  private args(): unknown[] {
    const { args } = this.params;
    if (args === undefined || args === null) return [];
    const incoming = new Incoming(this.call.params, null, this.terms);
    const list = incoming.decode(args);
    this.incoming = incoming;
    if (!Array.isArray(list))
      throw new RpcError("failed", "invalid-payload", "the arguments of a call are an Array");
    return list;
  }

  /** What the path leads to is a stub: it goes on there. */
  private forward(place: Place, rest: readonly string[]): void {
    const path = [...place.path, ...rest];
    // The stub itself is asked for: nothing is to be asked of whoever it stands for.
    if (this.params.args === null && path.length === 0) return this.settle(place.root.dup());
    const args = this.params.args === null ? null : this.args();
    this.await(place.root.start(path, args, undefined));
  }

  /** A method that is asked for, not called, goes by reference with its object. */
  private answerMember(value: unknown, owner: unknown): void {
    this.settle(
      typeof value === "function" && isTarget(owner)
        ? (value as (...args: unknown[]) => unknown).bind(owner)
        : value,
    );
  }

  private await(answer: unknown): void {
    const then = isObject(answer) ? (answer as Partial<PromiseLike<unknown>>).then : undefined;
    if (typeof then !== "function") return this.settle(answer);
    then.call(
      answer,
      (value) => this.settle(value),
      (reason: unknown) => this.fail(reason),
    );
  }

  private settle(value: unknown): void {
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
      const ended = (): void => {
        outgoing.giveAway();
        if (!whole) discard(value);
      };
      const pipeline = whole
        ? (sent.entries[0]?.hook?.addRef() ?? null)
        : hasParts
          ? new LocalHook(new Served(value, this.terms, ended), call.scheduler)
          : null;
      call.returns(writeResults(sent, pipeline, hasParts && Symbol.dispose in (value as object)));
      if (!hasParts) ended();
      this.incoming?.endLoan();
    } catch (thrown) {
      this.fail(thrown);
    }
  }

  private fail(reason: unknown): void {
    makeCalls();
    this.call.fails(toWorkerd(reason));
    this.incoming?.endLoan();
    this.incoming?.dropUnused();
  }
}

function isObject(value: unknown): value is object {
  return (typeof value === "object" || typeof value === "function") && value !== null;
}

/** Whether it has parts that can be called while it is on its way. */
function isPlain(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  const proto: unknown = Object.getPrototypeOf(value);
  return proto === Object.prototype || proto === null || Array.isArray(value);
}
