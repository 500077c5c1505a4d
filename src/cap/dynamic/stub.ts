// Role: a stub: a capability as users of the dynamic layer hold it; and its class, RpcStub.
// State: one reference to a hook, until it is disposed. Must not know: how calls travel.

import { invalidArgument } from "../../base/checks.js";
import { RpcError } from "../../base/errors.js";
import { disposed, releaseWhenCollected } from "../../hook/collect.js";
import { Hook, type Lifeline } from "../../hook/hook.js";
import { HOLD, holderOf } from "../../hook/holder.js";
import { type Identity, identity } from "../../hook/identity.js";
import type { CallOptions } from "../call-options.js";
import { homeScheduler } from "../scheduler.js";
import { watchBroken } from "./broken.js";
import { startCall } from "./call.js";
import { type Asker, noteDisposed, noteMade, watching } from "./debug.js";
import { hookOf, hookOfValue } from "./object.js";
import { record } from "./map/record.js";
import { type Mapper, type Place, placeOf, prototypes, proxyOf, Root } from "./place.js";
import { type Lane, laneOf } from "./pressure.js";
import { KIND_OBJECT } from "./protocol.js";
import { follow, functionOf } from "./signal.js";
import { above, localObject, type Referable } from "./references.js";
import { fetchBlob, receiveStream, sendStream } from "./streams.js";
import { isTarget } from "./target.js";
import { type StubOptions, type Terms, termsOf } from "./terms.js";
import type * as types from "./types.js";

interface More {
  id: number;
  disposedAt?: string | undefined;
  readonly watches: Set<() => void>;
  /** Its `fetch`, where that asks by HTTP. */
  fetch?: object;
}

/** A reference that a user holds. */
class Stub extends Root implements Referable {
  readonly terms: Terms;
  private hook: Hook | null;
  /** What few stubs have, made when it is needed: there may be a hundred thousand. */
  private more: More | null = null;

  /** Takes `hook` over. */
  constructor(hook: Hook, terms: Terms, asker: Asker | undefined) {
    super();
    this.hook = hook;
    this.terms = terms;
    if (watching) this.more = { id: noteMade(this, "stub", asker), watches: new Set() };
    releaseWhenCollected(this, hook);
  }

  get kind(): number {
    return KIND_OBJECT;
  }

  get isPromise(): boolean {
    return false;
  }

  start(
    path: readonly string[],
    args: readonly unknown[] | null,
    options: CallOptions | undefined,
  ): object {
    return startCall(this.live, path, args, options, this.terms);
  }

  startMap(path: readonly string[], callback: Mapper, options: CallOptions | undefined): object {
    const { live, terms } = this;
    return startCall(live, path, record(callback, live.scheduler, terms), options, terms);
  }

  override fetcher(): object | undefined {
    const fetcher = this.hook?.resolved().fetcher ?? null;
    const known = this.more?.fetch;
    if (fetcher === null || known !== undefined) return known;
    const more = (this.more ??= { id: 0, watches: new Set() });
    return (more.fetch = async (...args: unknown[]) => fetcher(this.live, args));
  }

  then(): Promise<unknown> {
    return Promise.reject(new RpcError("failed", "invalid-state", "a stub is no promise"));
  }

  /** The hook, which stays this stub's. @throws RpcError capability-disposed */
  get live(): Hook {
    if (this.hook !== null) return this.hook;
    const disposedAt = this.more?.disposedAt;
    const where =
      disposedAt === undefined
        ? "; watchStubs() makes this message say where"
        : `, here:\n${disposedAt}\nTo use it after that, keep a stub.dup()`;
    throw new RpcError("failed", "capability-disposed", `this stub was disposed before${where}`, {
      delivery: "not-sent",
    });
  }

  get peer(): string | undefined {
    return this.lifeline?.peer;
  }

  get lane(): Lane {
    return laneOf(this.live);
  }

  get lifeline(): Lifeline | null {
    return this.hook?.resolved().lifeline ?? null;
  }

  refer(): Hook {
    return this.live.addRef();
  }

  lent(): Hook {
    return this.refer();
  }

  hold(give: boolean): Hook {
    const hook = this.refer();
    if (give) this.dispose();
    return hook;
  }

  dup(): object {
    return makeStub(this.refer(), this.terms).proxy;
  }

  onBroken(listener: (error: RpcError) => void): () => void {
    const stop = watchBroken(this.live, listener);
    const more = (this.more ??= { id: 0, watches: new Set() });
    more.watches.add(stop);
    return () => {
      stop();
      more.watches.delete(stop);
    };
  }

  dispose(): void {
    const { hook } = this;
    if (hook === null) return;
    this.hook = null;
    const disposedAt = watching ? noteDisposed(this.more?.id ?? 0) : undefined;
    for (const stop of this.more?.watches ?? []) stop();
    this.more = disposedAt === undefined ? null : { id: 0, disposedAt, watches: new Set() };
    disposed(this);
    hook.release();
  }
}

function makeStub(hook: Hook, terms: Terms, asker?: Asker): { root: Root; proxy: object } {
  const root = new Stub(hook, terms, asker);
  return { root, proxy: proxyOf(root) };
}

above.stub = makeStub;
above.serve = hookOf;
above.hold = hookOfValue;
above.functionOf = functionOf;
above.follow = follow;
above.sendStream = sendStream;
above.receiveStream = receiveStream;
above.receiveBlob = fetchBlob;

class StubClass {
  constructor(of: unknown, options?: StubOptions) {
    const terms = termsOf(options, placeOf(of)?.root.terms);
    return makeStub(of instanceof Hook ? of : servedHook(of, terms, options), terms).proxy;
  }
}

class PromiseClass {
  constructor() {
    throw new TypeError("an RpcPromise is what a call returns; it cannot be made");
  }
}

prototypes.stub = StubClass.prototype;
prototypes.promise = PromiseClass.prototype;

/**
 * A stub: stands for an object that may be anywhere. Calling a method of it calls that of the object, and returns an
 * {@link RpcPromise}. Holds one reference until it is disposed.
 *
 * `new RpcStub(target)` makes one for an object of this process, as if it came from afar; `session.bootstrap(RpcStub<Api>)`
 * the one to begin with.
 *
 * @throws RpcError invalid-argument when it is given what does not go by reference.
 * @example
 * using api = session.bootstrap(RpcStub<Api>);
 * console.log(await api.hello("world"));
 * Source: the stubs of Workers RPC.
 */
export const RpcStub = StubClass as unknown as types.RpcStubConstructor;
export type RpcStub<T> = types.RpcStub<T>;
/** The class of promises that stubs return, for `instanceof`. */
export const RpcPromise = PromiseClass as unknown as types.RpcPromiseConstructor;
export type RpcPromise<T> = types.RpcPromise<T>;

/**
 * What is offered to peers: a target or a function behind a hook, for the option `bootstrap`.
 *
 * @param target stays known as one object for as long as the hook is not released.
 * @param options `types` and `limits` hold for all that comes and goes through it, too.
 * @throws RpcError invalid-argument when `target` does not go by reference.
 * @example const listener = await listen("tcp://:4000", { bootstrap: serve(new Api()) });
 */
export function serve(target: object, options?: StubOptions): Hook {
  return servedHook(target, termsOf(options), options);
}

function servedHook(target: unknown, terms: Terms, options: StubOptions | undefined): Hook {
  const place = placeOf(target);
  if (place !== undefined) return referableOf(place).refer();
  if (typeof target === "function" || isTarget(target))
    return hookOf(target, options?.scheduler ?? homeScheduler(), terms);
  const holder = holderOf(target);
  if (holder !== undefined) return holder[HOLD](false);
  const message =
    "only a function, or an object of a class that extends RpcTarget, goes by reference";
  throw invalidArgument(message);
}

function referableOf(place: Place): Referable {
  return place.root as Root & Referable;
}

/**
 * Waits until another call on `stub` is welcome: all calls of the turn are made, fewer than `limits.callsInFlight` are under
 * way to its peer, and no more than `limits.outgoingBytes` wait for the carrier. Who makes calls in a loop without awaiting
 * each waits for this; who does not meets `callsInFlightHard`, and calls fail as `overloaded`.
 *
 * @param stub a stub, a promise, or a property of either.
 * @returns a promise that also resolves when the connection is lost: the next call says so.
 * @throws RpcError invalid-argument for what is none (as a rejection); capability-disposed.
 * @example for (const line of lines) { await whenReady(log); void log.write(line); }
 * Source: C-FLO-19, C-FLO-20.
 */
export async function whenReady(stub: object): Promise<void> {
  const place = placeOf(stub);
  if (place === undefined) throw invalidArgument("only of a stub or a promise is it known");
  const { terms } = place.root;
  // What waits for the end of the turn goes first; and what a promise leads to may only be known then.
  await Promise.resolve();
  await place.root.lane.whenBelow(terms.limits.callsInFlight);
}

/**
 * The object or function of this process that a stub stands for: what comes home arrives as a stub like any other, and this
 * is the way to the object itself. Trust nothing about it by this alone: a peer may pass back any object of ours.
 *
 * @returns undefined when the stub stands for something else, for a promise, or it is not known yet.
 * @throws RpcError capability-disposed.
 * @example const room = targetOf(stub); if (room instanceof Room && this.rooms.has(room)) room.admit();
 * Source: C-EMB-22, C-FLO-16.
 */
export function targetOf(stub: object): object | undefined {
  const place = placeOf(stub);
  if (place === undefined || place.path.length > 0) return undefined;
  return localObject(referableOf(place).live)?.self ?? undefined;
}

/** Whether `value` is the promise of a result, or a property of a stub: it stands for nothing by itself before it is awaited. */
export function isPending(value: unknown): boolean {
  const place = placeOf(value);
  return place !== undefined && place.isPromise;
}

/**
 * Whether two stubs stand for one object, as far as is known here, without a message.
 *
 * @returns `unknown` for promises, and for stubs that came from different places.
 * @example sameObject(a, b) === "same"
 * Source: C-JOI-08, C-JOI-11.
 */
export function sameObject(a: object, b: object): Identity {
  const x = placeOf(a);
  const y = placeOf(b);
  if (x === undefined || y === undefined) return a === b ? "same" : "unknown";
  if (x.path.length > 0 || y.path.length > 0) return "unknown";
  const self = targetOf(a);
  // An object that is served under two terms is two capabilities.
  if (self !== undefined && self === targetOf(b)) return "same";
  const first = referableOf(x).refer();
  const second = referableOf(y).refer();
  const answer = identity(first, second);
  first.release();
  second.release();
  return answer;
}
