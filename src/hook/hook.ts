// Role: what a capability IS, whatever stands behind it: an object here, a promise, an import, a broken reference.
// State: the reference count and the known resolution of one capability.
// Must not know: the wire, connections, user classes.

import type { RpcError } from "../base/errors.js";
import type { Origin } from "../base/origin.js";
import type { Scheduler } from "../base/scheduler.js";
import type { Payload } from "./payload.js";
import type { Results } from "./results.js";
import { unravel, type Unravels } from "./unravel.js";

/** The caller will never pipeline on the results (rpc.capnp `Call.noPromisePipelining`). */
export const NO_PROMISE_PIPELINING = 2;
/** The caller wants only the pipeline, never the results (rpc.capnp `Call.onlyPromisePipeline`). */
export const ONLY_PROMISE_PIPELINE = 4;

/** One call before it is made. `Hook.call` takes it over, with its params. */
export class CallRequest {
  /** High and low half of the interface id: two uint32 compare faster than a bigint. */
  readonly interfaceHi: number;
  readonly interfaceLo: number;
  readonly methodId: number;
  params: Payload;
  /** {@link NO_PROMISE_PIPELINING} and {@link ONLY_PROMISE_PIPELINE}, or 0. */
  flags: number;
  /** The connection that the results will be returned on, when they are only passed on: allows a tail call (C-TAI-01). */
  returnTo: object | null = null;
  /** Which object of a host makes it; null for all others. */
  origin: Origin | null = null;

  constructor(
    interfaceHi: number,
    interfaceLo: number,
    methodId: number,
    params: Payload,
    flags = 0,
  ) {
    this.interfaceHi = interfaceHi | 0;
    this.interfaceLo = interfaceLo | 0;
    this.methodId = methodId;
    this.params = params;
    this.flags = flags;
  }
}

/** Told once when a promise takes its next step. */
export interface HookWatcher {
  hookResolved(): void;
}

/** Bytes that wait for a carrier. */
export interface Pressure {
  /** Whether more wait than the soft limit. */
  readonly high: boolean;
  /** Calls `listener` once, when they do not any more, or the carrier is gone. */
  whenLow(listener: () => void): void;
}

/** What capabilities depend on together: a connection. When it ends, each of them breaks. */
export interface Lifeline {
  /** What the peer is called, for people. */
  readonly peer: string;
  /** Of what is sent over it; null where nobody counts. */
  readonly pressure: Pressure | null;
  /** Why it ended; null while it holds. */
  readonly error: RpcError | null;
  /** Those to be told, from a job, when it ends. */
  readonly watchers: Set<HookWatcher>;
  /** Whether all that is ever asked through it is asked in one go: what may be wanted later has to be asked for now. */
  readonly asksOnce: boolean;
}

/** Asks a capability by HTTP. @param args those of `fetch`. */
export type Fetcher = (service: Hook, args: readonly unknown[]) => Promise<unknown>;

/** Bounds the bytes of stream calls in flight on one capability; see rpc/flow. */
export interface FlowController {
  /** Whether another stream call may be sent now. Sending is never refused, only unwise (C-FLO-03). */
  readonly ready: boolean;
  /** Counts one stream call of `bytes`, until its results settle. */
  sent(bytes: number, results: Results): void;
  /** Calls `listener` once, when ready or broken; `error` is what broke the stream. */
  whenReady(listener: (error: RpcError | null) => void): void;
  /** Calls `listener` once, when nothing is in flight any more or the stream broke. */
  whenIdle(listener: (error: RpcError | null) => void): void;
}

/**
 * A capability. Reference-counted: every holder owns one reference and releases it once.
 *
 * The rules that every kind keeps (design, "The house"):
 * - `call` never runs user code, and takes the params over in every case;
 * - calls on one hook are delivered in the order they were made, across resolution too (C-EMB-24, 27);
 * - once `next` is set it never changes to another capability, only to a shorter way to the same one.
 *
 * @example
 * const results = hook.call(new CallRequest(hi, lo, 0, new Payload(content)));
 * const cap = results.pipeline([0]); // before any answer
 */
export abstract class Hook implements Unravels {
  readonly scheduler: Scheduler;
  /** What this is known to be from now on: a shorter way that keeps order. Owned. */
  next: Hook | null = null;
  private refs = 1;

  constructor(scheduler: Scheduler) {
    this.scheduler = scheduler;
  }

  /** Who vouches for identity: hooks of one brand that are settled and not the same object are different. */
  abstract readonly brand: object;

  /** Makes a call. Takes over `request` and its params, whatever happens. Never throws. */
  abstract call(request: CallRequest): Results;

  /** Whether this may still become something else. */
  get isPromise(): boolean {
    return false;
  }

  /** Whether this stands for one certain object: no promise, and no way to what a promise was. Then it can be compared. */
  get isSettled(): boolean {
    return !this.isPromise;
  }

  /** The error every call on this fails with, if it is known to be broken. */
  get brokenBy(): RpcError | null {
    return null;
  }

  /** What this depends on once it is settled; null for what cannot break. */
  get lifeline(): Lifeline | null {
    return null;
  }

  /** Whether whoever lets go of it can have it again at any time: nothing is lost with it. */
  get isRegainable(): boolean {
    return false;
  }

  /** Whether params are read inside `call` where they are small and plain, so that they are better borrowed than copied. */
  get readsAtOnce(): boolean {
    return false;
  }

  /** The stream window of this capability; null where the answer to each call is the only brake. */
  get flow(): FlowController | null {
    return null;
  }

  /** What `fetch` of a stub of this does, where it is known to answer requests; null where that is a method like any other. */
  get fetcher(): Fetcher | null {
    return null;
  }

  get refCount(): number {
    return this.refs;
  }

  /** The end of what is known; shortens the chain on the way, so that a chain of n steps costs O(n) in all (C-HOS-09). */
  resolved(): Hook {
    const next = this.next;
    if (next === null) return this;
    if (next.next === null) return next;
    let end: Hook = next;
    while (end.next !== null) end = end.next;
    this.next = end.addRef();
    next.release();
    return end;
  }

  /** Whether calls on this come to `hook`, as far as is known here: then `hook` must not resolve to this (C-RES-11, 12). */
  reaches(hook: Hook): boolean {
    const end = this.resolved();
    return end === hook || (end !== this && end.reaches(hook));
  }

  /** Asks to be told of the next step of a promise; nothing for what is no promise. */
  watch(_watcher: HookWatcher): void {}

  unwatch(_watcher: HookWatcher): void {}

  /** One more holder. Returns this. */
  addRef(): this {
    this.refs++;
    return this;
  }

  /** One holder less; after the last the hook lets go of what it stands for. */
  release(): void {
    if (--this.refs > 0) return;
    if (this.refs < 0)
      throw new Error(`a reference to ${this.constructor.name} was released twice`);
    unravel(this);
  }

  unravel(): void {
    if (this.refs === 0) this.unreferenced();
  }

  /** The last holder is gone. */
  protected abstract unreferenced(): void;
}
