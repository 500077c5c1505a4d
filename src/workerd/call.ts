// Role: one call of something in workerd: its result as a promise to await, and to call through before it is there.
// State: whether it is answered; the event that it belongs to, until nothing of it is needed. Must not know: how calls travel.
//
// One call gives both the value and a capability that stands for it, so nothing has to be known of what becomes of the result: it
// goes out at once, and what is called through it goes out behind it, in the same flight.

import { RpcError, stackSite } from "../base/errors.js";
import { currentOrigin } from "../base/origin.js";
import type { Scheduler } from "../base/scheduler.js";
import {
  type CallLimits,
  type CallOptions,
  disposedCall,
  type Endable,
  limit,
  refused,
} from "../cap/call-options.js";
import { watchBroken } from "../cap/dynamic/broken.js";
import { giveWith } from "../cap/dynamic/given.js";
import {
  type OnError,
  type OnValue,
  type Place,
  placeOf,
  proxyOf,
  Root,
} from "../cap/dynamic/place.js";
import { type Lane, laneOf } from "../cap/dynamic/pressure.js";
import { KIND_PROMISE } from "../cap/dynamic/protocol.js";
import type { Referable } from "../cap/dynamic/references.js";
import { memberOf } from "../cap/dynamic/target.js";
import type { Terms } from "../cap/dynamic/terms.js";
import { isSimpleList } from "../cap/dynamic/values/index.js";
import { makeCalls } from "../cap/dynamic/turn.js";
import { ignore } from "../cap/stream/values.js";
import { disposed, releaseWhenCollected } from "../hook/collect.js";
import type { Hook, Lifeline } from "../hook/hook.js";
import { PromiseHook } from "../hook/promise.js";
import { brokenHook, nullHook, type Results, type ResultsObserver } from "../hook/results.js";
import { comeBack } from "../http/entry.js";
import { fromWorkerd } from "./errors.js";
import { Incoming } from "./incoming.js";
import { makers } from "./makers.js";
import { Outgoing } from "./outgoing.js";
import { encodeSimpleList } from "./v8-value/index.js";
import { CALL_PIPELINE, callMember, readResults, type Value } from "./protocol.js";
import { pusherOf } from "./pushed.js";
import { type Opened, type Reach, TargetReach } from "./reach.js";
import { RelayHook, relayTo } from "./relay.js";

type Args = readonly unknown[] | null;

const NO_ENTRIES: Value["entries"] = /* @__PURE__ */ Object.freeze([]);

/**
 * Calls a member, or with null arguments asks for it.
 *
 * @param reach stays the caller's. @returns the promise of the result, as users hold it.
 * @throws RpcError when an argument cannot travel; then nothing is sent.
 */
export function startCall(
  reach: Reach,
  path: readonly string[],
  args: Args,
  options: CallOptions | undefined,
  terms: Terms,
): object {
  const lane = laneOf(reach.on);
  const call = new WorkerdCall(reach.scheduler, terms, path, lane);
  const refusal = refused(options) ?? lane.refusal(terms.limits);
  if (refusal !== null) call.fail(refusal);
  else call.begin(reach, path, args, options);
  return proxyOf(call);
}

/** A call that has failed before it was made. */
export function failedCall(
  reach: Reach,
  path: readonly string[],
  error: RpcError,
  terms: Terms,
): object {
  const call = new WorkerdCall(reach.scheduler, terms, path, laneOf(reach.on));
  call.fail(error);
  return proxyOf(call);
}

/** Why there is no `map`. */
export function noMap(): RpcError {
  const message = "workerd has no map: ask for the list, or have a method that does it";
  return new RpcError("unimplemented", "peer-unimplemented", message);
}

class WorkerdCall extends Root implements Referable, ResultsObserver, Endable {
  readonly lane: Lane;
  readonly terms: Terms;
  private readonly scheduler: Scheduler;
  private readonly name: readonly string[];
  private readonly origin = currentOrigin();
  private readonly site: Error | null = stackSite();
  private counted = false;
  private limits: CallLimits | null = null;
  private outgoing: Outgoing | null = null;
  private session: Hook | null = null;
  private results: Results | null = null;
  /** Stands for the result before it is there; owned. */
  private object: TargetReach | null = null;
  /** Where `object` leads once the call is made, which waits for bytes of Blobs. */
  private parked: PromiseHook | null = null;
  private settled = false;
  private value: unknown = undefined;
  private failure: RpcError | null = null;
  private given: { dispose(): void } | null = null;
  private promise: Promise<unknown> | null = null;
  private resolve: ((value: unknown) => void) | null = null;
  private reject: ((reason: unknown) => void) | null = null;

  constructor(scheduler: Scheduler, terms: Terms, name: readonly string[], lane: Lane) {
    super();
    this.scheduler = scheduler;
    this.terms = terms;
    this.name = name;
    this.lane = lane;
  }

  get immediate(): boolean {
    return false;
  }

  get isPromise(): boolean {
    return true;
  }

  get lifeline(): Lifeline | null {
    return this.object?.on.resolved().lifeline ?? null;
  }

  // -- The call ------------------------------------------------------------------------------------------------------

  /** @throws RpcError when an argument cannot travel. */
  begin(reach: Reach, path: readonly string[], args: Args, options: CallOptions | undefined): void {
    let whole = true;
    let plain: Value | undefined | null = args === null ? null : undefined;
    if (args !== null && args.length > 0) {
      if (isSimpleList(args)) plain = { bytes: encodeSimpleList(args), entries: NO_ENTRIES };
      else {
        // What is called back there is let in as all calls on the object are that makes this one.
        this.outgoing = new Outgoing(this.origin?.scheduler ?? this.scheduler, this.terms);
        whole = this.outgoing.encode(args, "args");
      }
    }
    // Calls by other stubs that were written down before this one go before it.
    makeCalls();
    const opened = reach.open();
    this.session = opened.session;
    this.counted = true;
    this.lane.enter();
    if (options !== undefined) this.limits = limit(this, options);
    if (whole) this.send(opened.cap, path, plain);
    else void this.sendWhenFilled(opened, path);
  }

  private async sendWhenFilled({ cap }: Opened, path: readonly string[]): Promise<void> {
    this.parked = new PromiseHook(this.scheduler, this.terms.limits.queuedCalls);
    try {
      await this.outgoing!.fill();
    } catch (thrown) {
      cap.release();
      if (!this.settled) this.end(() => RpcError.from(thrown));
      return;
    }
    if (this.settled) {
      this.outgoing?.release();
      return cap.release();
    }
    this.send(cap, path, undefined);
    this.parked.resolve(
      this.results?.pipeline(CALL_PIPELINE) ?? brokenHook(this.failure!, this.scheduler),
    );
    this.parked.release();
    this.parked = null;
  }

  /** @param cap taken over. @param plain the arguments where nothing goes beside them; see callMember. */
  private send(cap: Hook, path: readonly string[], plain: Value | undefined | null): void {
    try {
      const args = this.outgoing?.take(cap, this.session) ?? plain;
      const results = callMember(
        cap,
        path,
        args,
        pusherOf(this.scheduler, this.terms),
        this.origin,
      );
      this.results = results;
      results.observe(this);
    } finally {
      cap.release();
    }
  }

  resultsSettled(results: Results): void {
    // A stub that the object was given has the answer let in by the object's boundary.
    const outside = this.origin?.scheduler === this.scheduler ? null : this.origin;
    comeBack(
      outside,
      () => this.answered(results),
      (error) => {
        this.fail(error);
        this.end(() => error);
        results.cancel();
      },
    );
  }

  private answered(results: Results): void {
    if (this.results !== results) return results.cancel();
    this.results = null;
    results.dropPipeline();
    if (results.error !== null) {
      const error = fromWorkerd(results.error);
      results.cancel();
      // Nobody over there says any more whether what went with it is used.
      this.outgoing?.giveUp(error);
      this.fail(error);
      return this.leave();
    }
    this.outgoing?.over();
    const payload = results.takePayload();
    try {
      const { value, pipeline, hasDisposer } = readResults(payload.content);
      const incoming = new Incoming(payload, this.session, this.terms);
      const made = incoming.decode(value);
      const object = hasDisposer ? (payload.caps[pipeline]?.addRef() ?? null) : null;
      if (object !== null) {
        const reach = new TargetReach(object, this.session?.addRef() ?? null);
        incoming.keep(() => reach.release());
      }
      this.received(made, incoming.holdsAny ? incoming : null);
    } catch (thrown) {
      this.fail(RpcError.from(thrown));
    }
    // The event first: when it is all that is left of a call workerd says so, in a message that has to be answered.
    this.leave();
    payload.release();
  }

  private received(value: unknown, held: { dispose(): void } | null): void {
    if (this.settled) return held?.dispose();
    this.settled = true;
    this.endLimits();
    this.value = giveWith(value, held);
    this.given = held;
    this.resolve?.(this.value);
  }

  fail(error: RpcError): void {
    if (this.settled) return;
    this.settled = true;
    this.endLimits();
    const { name, site } = this;
    const named = name.length === 0 ? error : error.calling(name.join("."));
    this.failure = site === null ? named : named.calledAt(site);
    this.reject?.(this.failure);
  }

  private endLimits(): void {
    if (this.counted) this.lane.leave();
    this.counted = false;
    this.limits?.end();
    this.limits = null;
  }

  /** Lets go of what the call needed. What was called through it goes on by itself. */
  private leave(): void {
    const { session, object } = this;
    this.session = null;
    this.object = null;
    session?.release();
    if (object === null) return;
    disposed(this);
    object.release();
  }

  // -- Its value -----------------------------------------------------------------------------------------------------

  then(onValue: OnValue, onError: OnError): Promise<unknown> {
    if (this.promise === null) {
      this.promise = new Promise((resolve, reject) => {
        this.resolve = resolve;
        this.reject = reject;
      });
      if (this.failure !== null) this.reject!(this.failure);
      else if (this.settled) this.resolve!(this.value);
    }
    return this.promise.then(onValue, onError);
  }

  // -- What is called through it -------------------------------------------------------------------------------------

  start(path: readonly string[], args: Args, options: CallOptions | undefined): object {
    if (!this.settled) return startCall(this.pending(), path, args, options, this.terms);
    const found = this.failure === null ? this.valueAt(path) : null;
    if (found !== null && "root" in found) return found.root.start(found.path, args, options);
    const call = new WorkerdCall(this.scheduler, this.terms, path, this.lane);
    if (this.failure !== null) call.fail(this.failure);
    else if (args === null && found !== null) call.received(found.value, null);
    else {
      const message = "this came by value, so it has no methods that can be called";
      call.fail(new RpcError("unimplemented", "method-unimplemented", message));
    }
    return proxyOf(call);
  }

  /** The stub in the value that `path` leads to, or through; or the part of the value; null for none. */
  private valueAt(
    path: readonly string[],
  ): Pick<Place, "root" | "path"> | { value: unknown } | null {
    let { value } = this;
    for (let at = 0; ; at++) {
      const place = placeOf(value);
      if (place !== undefined)
        return { root: place.root, path: [...place.path, ...path.slice(at)] };
      if (at === path.length) return { value };
      try {
        value = memberOf(value, path[at]!);
      } catch {
        return null;
      }
    }
  }

  startMap(path: readonly string[]): object {
    const call = new WorkerdCall(this.scheduler, this.terms, path, this.lane);
    call.fail(noMap());
    return proxyOf(call);
  }

  /** Stays this call's. */
  private pending(): TargetReach {
    if (this.object === null) {
      const on = this.parked?.addRef() ?? this.results!.pipeline(CALL_PIPELINE);
      this.object = new TargetReach(on, this.session?.addRef() ?? null);
      releaseWhenCollected(this, this.object);
    }
    return this.object;
  }

  /** A stub of its result. */
  dup(): object {
    if (!this.settled) return makers.stub(this.pending().addRef(), this.terms).proxy;
    const found = this.failure === null ? this.valueAt([]) : null;
    if (found !== null && "root" in found) return found.root.dup();
    throw this.failure ?? new RpcError("failed", "invalid-state", "the result is no stub");
  }

  onBroken(listener: (error: RpcError) => void): () => void {
    if (!this.settled) return watchBroken(this.pending().on, listener);
    const found = this.failure === null ? this.valueAt([]) : null;
    if (found !== null && "root" in found) return found.root.onBroken(listener);
    const { failure } = this;
    if (failure !== null) this.scheduler.post({ run: () => listener(failure) });
    return () => {};
  }

  // -- To other peers ------------------------------------------------------------------------------------------------

  override readonly relay = relayTo(this);

  get kind(): number {
    return KIND_PROMISE;
  }

  get live(): Hook {
    return this.settled ? nullHook(this.scheduler) : this.pending().on;
  }

  /** Whoever gets it waits for the value; the promise stays its owner's. */
  refer(): Hook {
    return this.hold(false);
  }

  hold(give: boolean): Hook {
    const on = this.settled ? null : this.pending().on.addRef();
    const ended = give ? (): void => this.dispose() : ignore;
    // Whoever has a promise asks for its value, which has been asked for by this.
    const value = this.then(null, null);
    value.catch(ignore);
    return new RelayHook(value, on, this.scheduler, this.terms, ended);
  }

  lent(): Referable {
    return this;
  }

  // -- Ends ----------------------------------------------------------------------------------------------------------

  /** Gives the call up if it is not answered yet, and everything that came with the answer if it is. */
  dispose(): void {
    this.end(disposedCall);
  }

  end(why: () => RpcError): void {
    const { results, given, parked } = this;
    this.results = null;
    this.given = null;
    this.parked = null;
    given?.dispose();
    if (!this.settled) {
      const error = why();
      if (parked === null) this.outgoing?.giveUp(error);
      parked?.resolve(brokenHook(error, this.scheduler));
      this.fail(error);
    }
    parked?.release();
    this.leave();
    results?.cancel();
  }
}
