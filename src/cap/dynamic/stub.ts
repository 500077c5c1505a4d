// Role: a stub: a capability as users of the dynamic layer hold it; and its class, RpcStub.
// State: one reference to a hook, until it is disposed. Must not know: how calls travel.

import { RpcError } from "../../base/errors.js";
import type { Scheduler } from "../../base/scheduler.js";
import { disposed, releaseWhenCollected } from "../../hook/collect.js";
import { Hook } from "../../hook/hook.js";
import { type Identity, identity } from "../../hook/identity.js";
import type { CallOptions } from "../call-options.js";
import { processScheduler } from "../scheduler.js";
import { watchBroken } from "./broken.js";
import { startCall } from "./call.js";
import { noteDisposed, noteMade } from "./debug.js";
import { hookOf, hookOfValue } from "./object.js";
import { record } from "./map/record.js";
import { type Mapper, type Place, placeOf, prototypes, proxyOf, Root } from "./place.js";
import { KIND_OBJECT, NO_STEPS } from "./protocol.js";
import { follow, functionOf } from "./signal.js";
import { above, localObject, type Referable } from "./references.js";
import { isTarget } from "./target.js";
import type * as types from "./types.js";

/** A reference that a user holds. */
class Stub extends Root implements Referable {
  private hook: Hook | null;
  /** What few stubs have, made when it is needed. */
  private more: { id: number; disposedAt?: string | undefined; watches: (() => void)[] } | null =
    null;

  /** Takes `hook` over. */
  constructor(hook: Hook) {
    super(NO_STEPS, undefined);
    this.hook = hook;
    const id = noteMade(this, "stub");
    if (id !== 0) this.more = { id, watches: [] };
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
    return startCall(this.live, path, args, options);
  }

  startMap(path: readonly string[], callback: Mapper, options: CallOptions | undefined): object {
    const { live } = this;
    return startCall(live, path, record(callback, live.scheduler), options);
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

  refer(): Hook {
    return this.live.addRef();
  }

  lent(): void {
    void this.live;
  }

  dup(): object {
    return makeStub(this.refer()).proxy;
  }

  onBroken(listener: (error: RpcError) => void): () => void {
    const stop = watchBroken(this.live, listener);
    const more = (this.more ??= { id: 0, watches: [] });
    more.watches.push(stop);
    return () => {
      stop();
      more.watches = more.watches.filter((one) => one !== stop);
    };
  }

  dispose(): void {
    const { hook } = this;
    if (hook === null) return;
    this.hook = null;
    const disposedAt = noteDisposed(this.more?.id ?? 0);
    for (const stop of this.more?.watches ?? []) stop();
    this.more = disposedAt === undefined ? null : { id: 0, disposedAt, watches: [] };
    disposed(this);
    hook.release();
  }
}

function makeStub(hook: Hook): { root: Root; proxy: object } {
  const root = new Stub(hook);
  return { root, proxy: proxyOf(root) };
}

above.stub = makeStub;
above.serve = hookOf;
above.hold = hookOfValue;
above.functionOf = functionOf;
above.follow = follow;

class StubClass {
  constructor(of: unknown, options?: { scheduler?: Scheduler }) {
    return makeStub(
      of instanceof Hook ? of : servedHook(of, options?.scheduler ?? processScheduler()),
    ).proxy;
  }
}

class PromiseClass {
  constructor() {
    throw new TypeError("an RpcPromise is what a call of a stub returns; it cannot be made");
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
 * @param options `scheduler`: whose jobs its calls are; by default the process's own.
 * @throws RpcError invalid-argument when `target` does not go by reference.
 * @example const listener = await listen("tcp://:4000", { bootstrap: serve(new Api()) });
 */
export function serve(target: object, options?: { scheduler?: Scheduler }): Hook {
  return servedHook(target, options?.scheduler ?? processScheduler());
}

function servedHook(target: unknown, scheduler: Scheduler): Hook {
  const place = placeOf(target);
  if (place !== undefined) return referableOf(place).refer();
  if (typeof target === "function" || isTarget(target)) return hookOf(target, scheduler);
  const message =
    "only a function, or an object of a class that extends RpcTarget, goes by reference";
  throw new RpcError("failed", "invalid-argument", message);
}

function referableOf(place: Place): Referable {
  return place.root as Root & Referable;
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
  const first = referableOf(x).refer();
  const second = referableOf(y).refer();
  const answer = identity(first, second);
  first.release();
  second.release();
  return answer;
}
