// Role: capabilities and results that are not there yet and live in this vat: they queue calls and forward them.
// State: the queue of one promise; the results that another call's results will settle.
// Must not know: connections. Order rests on one rule: the queue is forwarded, whole, inside the resolution itself, so
// nothing called later on the promise can reach the target first (C-LOC-04).

import { RpcError } from "../base/errors.js";
import type { Scheduler } from "../base/scheduler.js";
import type { CallRequest, Fetcher, FlowController, Hook, Lifeline } from "./hook.js";
import type { Path } from "./payload.js";
import {
  brokenHook,
  failedResults,
  type PromisedField,
  Results,
  type ResultsObserver,
} from "./results.js";
import { WatchedHook } from "./watched.js";

/** The error of a call whose caller gave it up before it ended. */
export function canceledError(): RpcError {
  return new RpcError("failed", "call-canceled", "the call was canceled by its caller");
}

/** Results settled in this vat: by a method, or by the results of a call they are forwarded to. */
export abstract class LocalResults extends Results implements ResultsObserver {
  private source: Results | null = null;

  get immediate(): boolean {
    return false;
  }

  /** The connection these results will be returned on, when they are only passed on (see CallRequest.returnTo). */
  protected abstract readonly returnTo: object | null;

  /** They were given up while no source is known yet. */
  protected abstract abandonedBeforeForward(): void;

  protected makeField(path: Path): PromisedField {
    return new PipelineField(this, path);
  }

  override get comesFrom(): Results | null {
    return this.settled ? null : this.source;
  }

  override get unsent(): boolean {
    const origin = originOf(this);
    return origin === this ? super.unsent : origin.unsent;
  }

  override pipeline(path: Path): Hook {
    const origin = originOf(this);
    return origin === this ? super.pipeline(path) : origin.pipeline(path);
  }

  /**
   * The field itself moves here, with the calls that wait in it: were they made again on a field of these results, a
   * chain of n calls would cost n squared.
   */
  override adoptField(field: PromisedField): void {
    const origin = originOf(this);
    if (origin !== this) origin.adoptField(field);
    else if (
      this.settled ||
      this.pipelineSet ||
      !(field instanceof PipelineField) ||
      this.fieldAt(field.path) !== undefined
    )
      super.adoptField(field);
    else {
      field.owner = this;
      this.holdField(field);
    }
  }

  /** From now on these are the results of `source`, which is taken over. Calls queued on them go out now. */
  protected forward(source: Results): void {
    if (this.settled) {
      source.cancel();
      return;
    }
    this.source = source;
    for (const field of this.takeFields()) source.adoptField(field);
    if (source.redirected !== null && this.returnTo !== null) {
      this.settleRedirected(source.redirected);
      return;
    }
    source.observe(this);
    if (!this.isHeld) this.giveUp(source);
  }

  resultsSettled(source: Results): void {
    this.source = null;
    if (source.redirected !== null) {
      this.settleRedirected(source.redirected);
      return;
    }
    if (source.error !== null) this.settle(null, source.error);
    else if (this.isHeld) this.settle(source.takePayload(), null);
    // Given up: what still ran could not be stopped, or ran for a capability pipelined on the source.
    else this.settle(null, canceledError());
    source.cancel();
  }

  protected abandoned(): void {
    if (this.source !== null) this.giveUp(this.source);
    else this.abandonedBeforeForward();
  }
}

/** Where `comesFrom` leads in the end: a method may pass its call on any number of times, which must not grow the stack. */
function originOf(results: Results): Results {
  let end = results;
  while (end instanceof LocalResults && end.comesFrom !== null) end = end.comesFrom;
  return end;
}

/** A call waiting for its target. */
class QueuedCall extends LocalResults {
  protected readonly returnTo: object | null;
  private request: CallRequest | null;
  private readonly promise: PromiseHook;

  constructor(request: CallRequest, promise: PromiseHook) {
    super(promise.scheduler);
    request.params.own();
    this.request = request;
    this.promise = promise;
    this.returnTo = request.returnTo;
  }

  /** Whether the call still waits to be made. */
  get waiting(): boolean {
    return this.request !== null;
  }

  sendTo(target: Hook): void {
    const request = this.request;
    if (request === null) return;
    this.request = null;
    this.forward(target.call(request));
  }

  /** Canceled before it was made: it is never made (C-CAN-09), unless it is to have its turn. */
  protected abandonedBeforeForward(): void {
    if (this.request !== null) {
      if (this.inTurn) return;
      this.request.params.release();
      this.request = null;
      this.promise.callDropped();
    }
    this.settle(null, canceledError().delivered("not-sent"));
  }
}

const PROMISE_BRAND = {};

/** So many calls that were canceled may stay in a queue: with more it is swept once they are half of it (C-HOS-08). */
const FEW = 64;

/**
 * A capability that will be known later. Calls made before are queued in order and forwarded inside `resolve`.
 *
 * @example
 * const promise = new PromiseHook(scheduler);
 * promise.call(request);
 * promise.resolve(hook); // forwards, then notifies watchers
 *
 * Source: C-LOC-04, C-LOC-05, C-RES-11.
 */
export class PromiseHook extends WatchedHook {
  private queue: QueuedCall[] = [];
  /** Calls in the queue that nobody has canceled. */
  protected waiting = 0;
  /** What this resolves to as soon as the calls that waited are made. Owned. */
  private pending: Hook | null = null;
  private readonly maxQueued: number;

  /** @param maxQueued calls that may wait; one more fails as `overloaded` (C-HOS-08). */
  constructor(scheduler: Scheduler, maxQueued = 100_000) {
    super(scheduler);
    this.maxQueued = maxQueued;
  }

  get brand(): object {
    return this.next?.brand ?? PROMISE_BRAND;
  }

  override get isPromise(): boolean {
    return this.next === null || this.next.isPromise;
  }

  override get brokenBy(): RpcError | null {
    return this.next?.brokenBy ?? null;
  }

  override get lifeline(): Lifeline | null {
    return this.next?.lifeline ?? null;
  }

  override get flow(): FlowController | null {
    return this.next?.flow ?? null;
  }

  override get fetcher(): Fetcher | null {
    return this.next?.fetcher ?? null;
  }

  /** Whether it is not even known yet where the calls that wait here will go. */
  protected get isUnresolved(): boolean {
    return this.next === null && this.pending === null;
  }

  /** Whether it has resolved, and the calls that waited are still being made: until then it is a promise. */
  get isForwarding(): boolean {
    return this.pending !== null;
  }

  /** Calls that wait here. */
  get queued(): number {
    return this.queue.length;
  }

  call(request: CallRequest): Results {
    if (this.next !== null) return this.resolved().call(request);
    if (this.queue.length >= this.maxQueued) {
      // While the queue is being forwarded it must stay the array that is gone through.
      if (this.waiting >= this.maxQueued || this.isForwarding) return this.refuse(request);
      this.queue = this.queue.filter((call) => call.waiting);
    }
    const call = new QueuedCall(request, this);
    this.queue.push(call);
    this.waiting++;
    return call;
  }

  /** Of a call that waited here: it was canceled before it was made. */
  callDropped(): void {
    this.waiting--;
    if (this.queue.length > FEW && this.queue.length >= 2 * this.waiting && !this.isForwarding)
      this.queue = this.queue.filter((call) => call.waiting);
  }

  /** Resolves to `target`, taking that reference over. The first resolution counts; a later one is released. */
  resolve(target: Hook): void {
    if (this.next !== null || this.pending !== null) {
      target.release();
      return;
    }
    let end = target.resolved();
    if (end.reaches(this)) {
      target.release();
      const message = "the promise was resolved to itself";
      end = brokenHook(new RpcError("failed", "promise-cycle", message), this.scheduler);
    } else if (end !== target) {
      end.addRef();
      target.release();
    }
    this.pending = end;
    if (this.queue.length > 0) forwardQueueOf(this);
    else this.forwarded();
  }

  /**
   * Makes the calls that waited. What that resolves forwards its own queue after this one (see forwardQueueOf).
   *
   * Until the last is made this is a promise still. One of the calls may pass on this promise itself: described as
   * what it resolves to, the receiver could call that directly, and overtake the calls that are still in the queue
   * (C-EMB-25). Calls made meanwhile join the end of the queue.
   */
  forwardQueue(): void {
    const { queue, pending } = this;
    for (let i = 0; i < queue.length; i++) queue[i]!.sendTo(pending!);
    this.queue = [];
    this.waiting = 0;
    this.forwarded();
  }

  private forwarded(): void {
    this.next = this.pending;
    this.pending = null;
    this.notify();
    if (this.refCount === 0) this.unreferenced();
  }

  override reaches(hook: Hook): boolean {
    let end = this.resolved();
    while (end instanceof PromiseHook && end.pending !== null) end = end.pending.resolved();
    return end === hook || (!(end instanceof PromiseHook) && end.reaches(hook));
  }

  reject(error: RpcError): void {
    this.resolve(brokenHook(error, this.scheduler));
  }

  protected unreferenced(): void {
    // A promise that nobody holds still forwards what waits in it, once its resolver speaks (C-GCF-03).
    const next = this.next;
    if (next === null) return;
    this.next = disposedHook(this.scheduler);
    next.release();
  }

  private refuse(request: CallRequest): Results {
    request.params.release();
    const message = `limit queuedCalls: ${this.maxQueued} calls already wait for this promise; await some of them`;
    return failedResults(
      new RpcError("overloaded", "queue-full", message, { delivery: "not-sent" }),
      this.scheduler,
    );
  }
}

/** Promises resolved whose calls are still to be made, in order of resolution; empty outside of {@link forwardQueueOf}. */
const forwarding: PromiseHook[] = [];

/**
 * Forwards the queue of `promise` before this returns; but when called from inside another promise's forwarding, after
 * that one: a chain of ten thousand calls, each pipelined on the one before, must not grow the stack (C-PIP-11).
 */
function forwardQueueOf(promise: PromiseHook): void {
  if (forwarding.push(promise) > 1) return;
  try {
    for (let i = 0; i < forwarding.length; i++) forwarding[i]!.forwardQueue();
  } finally {
    forwarding.length = 0;
  }
}

let disposed: RpcError | null = null;

/** What stands in the place of a capability that was let go. The error is one for all: it is hardly ever seen. */
export function disposedHook(scheduler: Scheduler): Hook {
  disposed ??= new RpcError(
    "failed",
    "capability-disposed",
    "this capability was disposed before",
    {
      delivery: "not-sent",
    },
  );
  return brokenHook(disposed, scheduler);
}

/** The promised capability at one path of local results. */
class PipelineField extends PromiseHook implements PromisedField {
  readonly path: Path;
  owner: Results;

  constructor(owner: Results, path: Path) {
    super(owner.scheduler);
    this.owner = owner;
    this.path = path;
  }

  /**
   * A call that waits here needs what it was pipelined on as any holder does: its caller may long have finished that one,
   * as every caller does who only wants what is at the end of a chain (C-CAN-05).
   */
  get isHeld(): boolean {
    return this.refCount > 0 || this.waiting > 0;
  }

  settleField(target: Hook): void {
    this.resolve(target);
  }

  override callDropped(): void {
    super.callDropped();
    if (!this.isHeld && this.isUnresolved) this.owner.fieldUnreferenced();
  }

  protected override unreferenced(): void {
    if (this.next !== null) super.unreferenced();
    else if (!this.isHeld) this.owner.fieldUnreferenced();
  }
}
