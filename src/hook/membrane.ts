// Role: a boundary that every capability crossing it is wrapped in, so that it can be watched, limited and cut off.
// State: the wrappers alive and the calls under way through one membrane.
// Must not know: connections, schemas.

import { invalidArgument, wrongArgument } from "../base/checks.js";
import { RpcError } from "../base/errors.js";
import type { Origin } from "../base/origin.js";
import { Scheduler } from "../base/scheduler.js";
import {
  CallRequest,
  type Fetcher,
  type FlowController,
  Hook,
  type HookWatcher,
  type Lifeline,
  ONLY_PROMISE_PIPELINE,
} from "./hook.js";
import { NO_CAPS, Payload, type Path } from "./payload.js";
import { canceledError } from "./promise.js";
import { failedResults, type PromisedField, Results, type ResultsObserver } from "./results.js";
import { WatchedHook } from "./watched.js";

/** `inward`: from the outside into what the membrane protects; `outward`: from there to the outside. */
export type Direction = "inward" | "outward";

export interface MembranePolicy {
  /**
   * Decides about one call. Return nothing to let it pass, an RpcError to refuse it, a capability (a reference given away) to
   * send it there instead: that one is called as it is, outside the membrane's wrapping. Anything else, and what is thrown,
   * refuses it too.
   */
  call?(
    direction: Direction,
    target: Hook,
    interfaceId: bigint,
    methodId: number,
  ): RpcError | Hook | void;
  /**
   * The way a call takes to `target`, inside of the membrane's wrapping: nothing for the straight one, or a reference given
   * away that leads there: a promise, for as long as the call has to wait.
   */
  way?(direction: Direction, target: Hook): Hook | void;
  /**
   * Results of a call, or what a promise has become, are about to cross in `direction`. They do when `pass` is called: now or
   * later, in the order asked in; never, if the membrane is revoked instead.
   *
   * @param results whose they are, and how the call failed, if it did; null for what a promise has become.
   */
  crosses?(direction: Direction, results: CrossingResults | null, pass: () => void): void;
}

/** Of results that cross a membrane: who made the call, and what it failed with. */
export interface CrossingResults {
  readonly origin: Origin | null;
  readonly error: RpcError | null;
}

/**
 * A membrane. Wrap what it protects with `wrap`; every capability that passes in params, results, pipelines and
 * promise resolutions is wrapped, and one that comes back across is the original again.
 *
 * @example
 * const membrane = new Membrane({ call: (d, t, id, m) => (m === 3 ? refusal : undefined) }, scheduler);
 * give(membrane.wrap(secret));
 * membrane.revoke(); // every wrapper breaks, calls under way fail
 *
 * Source: C-LOC-10, C-LOC-11, C-LOC-12.
 */
export class Membrane {
  /** Of those outside. */
  readonly scheduler: Scheduler;
  /** Of those inside. */
  readonly inside: Scheduler;
  readonly policy: MembranePolicy;
  /** False: only the wrapped capability itself is guarded, what passes through its calls is not (a revoker). */
  readonly deep: boolean;
  private readonly wrappers = {
    inward: new Map<Hook, MembraneHook>(),
    outward: new Map<Hook, MembraneHook>(),
  };
  private readonly calls = new Set<MembraneResults>();
  private readonly brands = new WeakMap<object, object>();
  private reason: RpcError | null = null;

  /** @throws RpcError invalid-argument when one of both is missing. */
  constructor(policy: MembranePolicy, scheduler: Scheduler, deep = true, inside = scheduler) {
    if (Object(policy) !== policy || !(scheduler instanceof Scheduler))
      throw invalidArgument(
        "a membrane is made of a policy, which may be {}, and a scheduler, such as processScheduler()",
      );
    this.policy = policy;
    this.scheduler = scheduler;
    this.inside = inside;
    this.deep = deep;
  }

  get revokedBy(): RpcError | null {
    return this.reason;
  }

  /** Calls under way, in both directions. */
  get callCount(): number {
    return this.calls.size;
  }

  /** Capabilities of the inside that are held outside. */
  get heldOutside(): number {
    return this.wrappers.inward.size;
  }

  /** What of the outside is held inside. */
  get heldInside(): Iterable<Hook> {
    return this.wrappers.outward.keys();
  }

  /** Of those who hold wrappers of that direction. */
  schedulerOf(direction: Direction): Scheduler {
    return direction === "inward" ? this.scheduler : this.inside;
  }

  /** The outside view of an inside capability: a new reference. `hook` stays the caller's. */
  wrap(hook: Hook): Hook {
    return this.cross(hook, "inward");
  }

  /** Cuts everything off, for good: calls under way fail with `error`, wrappers break, what they held is released. */
  revoke(error?: RpcError): void {
    if (this.reason !== null) return;
    this.reason =
      error ?? new RpcError("failed", "capability-revoked", "this capability was revoked");
    for (const call of this.calls) call.revoked(this.reason);
    for (const side of [this.wrappers.inward, this.wrappers.outward])
      for (const wrapper of side.values()) wrapper.revoked();
  }

  /** Wraps `hook` so that calls on it go in `direction`; unwraps it when it is a wrapper for the other direction. */
  cross(hook: Hook, direction: Direction): Hook {
    const end = hook.resolved();
    if (end instanceof MembraneHook && end.membrane === this && end.direction !== direction)
      return end.inner.addRef();
    if (end.brokenBy !== null) return end.addRef();
    const known = this.wrappers[direction].get(end);
    if (known !== undefined) return known.addRef();
    const wrapper = new MembraneHook(this, direction, end.addRef());
    this.wrappers[direction].set(end, wrapper);
    return wrapper;
  }

  crossPayload(payload: Payload, direction: Direction): Payload {
    if (!this.deep || payload.caps.length === 0) return payload;
    const caps = payload.caps.map((cap) => (cap === null ? null : this.cross(cap, direction)));
    const crossed = new Payload(payload.content, caps.length === 0 ? NO_CAPS : caps);
    payload.release();
    return crossed;
  }

  forget(wrapper: MembraneHook, inner: Hook): void {
    const side = this.wrappers[wrapper.direction];
    if (side.get(inner) === wrapper) side.delete(inner);
  }

  began(call: MembraneResults): void {
    this.calls.add(call);
  }

  ended(call: MembraneResults): void {
    this.calls.delete(call);
  }

  /** Identity holds behind the membrane as in front of it, but never across it. */
  brandOf(inner: Hook): object {
    const brand = inner.brand;
    let own = this.brands.get(brand);
    if (own === undefined) this.brands.set(brand, (own = {}));
    return own;
  }
}

function opposite(direction: Direction): Direction {
  return direction === "inward" ? "outward" : "inward";
}

/** Guards one capability alone: `revoke` breaks it, what was passed through it stays. */
export function revocable(hook: Hook): { hook: Hook; revoke(error?: RpcError): void } {
  const membrane = new Membrane({}, hook.scheduler, false);
  return { hook: membrane.wrap(hook), revoke: (error) => membrane.revoke(error) };
}

/** A capability behind a membrane, as the membrane has it. */
export interface Wrapped {
  readonly membrane: Membrane;
  readonly direction: Direction;
  readonly inner: Hook;
}

/** What `hook` wraps, and for which membrane; null where it is no wrapper. For whoever made that membrane. */
export function wrappedBy(hook: Hook): Wrapped | null {
  const end = hook.resolved();
  return end instanceof MembraneHook ? end : null;
}

class MembraneHook extends WatchedHook implements HookWatcher {
  readonly membrane: Membrane;
  readonly direction: Direction;
  readonly inner: Hook;
  private watched: Hook | null = null;
  private released = false;

  constructor(membrane: Membrane, direction: Direction, inner: Hook) {
    super(membrane.schedulerOf(direction));
    this.membrane = membrane;
    this.direction = direction;
    this.inner = inner;
    if (inner.isPromise) this.watchInner();
  }

  get brand(): object {
    return this.membrane.brandOf(this.inner);
  }

  override get isPromise(): boolean {
    return this.next === null
      ? this.brokenBy === null && this.inner.resolved().isPromise
      : this.next.isPromise;
  }

  override get isSettled(): boolean {
    return !this.isPromise && (this.next ?? this.inner.resolved()).isSettled;
  }

  override get brokenBy(): RpcError | null {
    return this.membrane.revokedBy ?? this.next?.brokenBy ?? null;
  }

  override get lifeline(): Lifeline | null {
    return (this.next ?? this.inner).lifeline;
  }

  override get flow(): FlowController | null {
    return this.inner.flow;
  }

  override get fetcher(): Fetcher | null {
    return (this.next ?? this.inner.resolved()).fetcher;
  }

  override reaches(hook: Hook): boolean {
    return this === hook || this.inner.reaches(hook);
  }

  call(request: CallRequest): Results {
    const reason = this.membrane.revokedBy;
    if (reason !== null) return this.refuse(request, reason);
    if (this.next !== null) return this.next.call(request);
    const { interfaceHi, interfaceLo, methodId, flags } = request;
    const verdict = this.verdict(request);
    if (verdict instanceof Hook) {
      const results = verdict.call(request);
      verdict.release();
      return results;
    }
    if (verdict !== undefined) return this.refuse(request, verdict);
    const params = this.membrane.crossPayload(request.params, opposite(this.direction));
    // No `returnTo`: results must pass the membrane, so a tail call may not take them around it.
    const { policy } = this.membrane;
    // Who decides when results cross has to hear of them.
    const kept = policy.crosses === undefined ? flags : flags & ~ONLY_PROMISE_PIPELINE;
    const inner = new CallRequest(interfaceHi, interfaceLo, methodId, params, kept);
    inner.origin = request.origin;
    const way = policy.way?.(this.direction, this.inner);
    const results = (way ?? this.inner).call(inner);
    way?.release();
    return new MembraneResults(this.membrane, this.direction, results, request.origin);
  }

  private verdict({ interfaceHi, interfaceLo, methodId }: CallRequest): RpcError | Hook | void {
    const { policy } = this.membrane;
    if (policy.call === undefined) return;
    const interfaceId = (BigInt(interfaceHi >>> 0) << 32n) | BigInt(interfaceLo >>> 0);
    try {
      const verdict: unknown = policy.call(this.direction, this.inner, interfaceId, methodId);
      if (verdict === undefined || verdict instanceof Hook || RpcError.is(verdict)) return verdict;
      // A policy that means no by `false`, or is async, must not let anything pass. What such a one rejects with would end the process.
      void Promise.resolve(verdict).catch(() => {});
      return wrongArgument(
        "the policy of a membrane must return nothing, an RpcError or a hook",
        verdict,
      );
    } catch (thrown) {
      return RpcError.from(thrown);
    }
  }

  hookResolved(): void {
    this.unwatchInner();
    if (this.released || this.next !== null) return;
    const end = this.inner.resolved();
    if (end.isPromise) {
      this.watchInner();
      return;
    }
    const { policy } = this.membrane;
    if (policy.crosses === undefined) this.step(end);
    else policy.crosses(opposite(this.direction), null, () => this.step(end));
  }

  revoked(): void {
    this.letGo();
    this.run();
  }

  protected unreferenced(): void {
    this.letGo();
  }

  private step(end: Hook): void {
    if (this.released || this.next !== null) return;
    this.membrane.forget(this, this.inner);
    this.next = this.membrane.cross(end, this.direction);
    this.run();
  }

  private letGo(): void {
    if (this.released) return;
    this.released = true;
    this.unwatchInner();
    this.membrane.forget(this, this.inner);
    this.inner.release();
    const next = this.next;
    this.next = null;
    next?.release();
  }

  private watchInner(): void {
    this.watched = this.inner.resolved();
    this.watched.watch(this);
  }

  private unwatchInner(): void {
    this.watched?.unwatch(this);
    this.watched = null;
  }

  private refuse(request: CallRequest, error: RpcError): Results {
    request.params.release();
    return failedResults(error, this.scheduler);
  }
}

class MembraneResults extends Results implements ResultsObserver {
  private readonly membrane: Membrane;
  private readonly direction: Direction;
  private readonly source: Results;
  private readonly origin: Origin | null;

  constructor(membrane: Membrane, direction: Direction, source: Results, origin: Origin | null) {
    super(membrane.schedulerOf(direction));
    this.membrane = membrane;
    this.direction = direction;
    this.source = source;
    this.origin = origin;
    membrane.began(this);
    source.observe(this);
  }

  get immediate(): boolean {
    return false;
  }

  override get comesFrom(): Results | null {
    return this.settled ? null : this.source;
  }

  override pipeline(path: Path): Hook {
    if (this.settled) return super.pipeline(path);
    const inner = this.source.pipeline(path);
    if (!this.membrane.deep) return inner;
    const wrapped = this.membrane.cross(inner, this.direction);
    inner.release();
    return wrapped;
  }

  resultsSettled(source: Results): void {
    const { policy } = this.membrane;
    if (this.settled) return source.cancel();
    if (policy.crosses === undefined) return this.arrive(source);
    const results = { origin: this.origin, error: source.error };
    policy.crosses(opposite(this.direction), results, () => this.arrive(source));
  }

  private arrive(source: Results): void {
    if (this.settled) return;
    this.membrane.ended(this);
    if (source.error !== null) this.settle(null, source.error);
    else if (!this.isHeld) this.settle(null, canceledError());
    else this.settle(this.membrane.crossPayload(source.takePayload(), this.direction), null);
    source.cancel();
  }

  revoked(error: RpcError): void {
    this.membrane.ended(this);
    this.settle(null, error);
    this.source.cancel();
  }

  protected abandoned(): void {
    this.membrane.ended(this);
    this.giveUp(this.source);
  }

  protected makeField(): PromisedField {
    throw new RpcError(
      "failed",
      "internal-error",
      "a membrane pipelines through the results behind it",
    );
  }
}
