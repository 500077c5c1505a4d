// Role: one call by a stub: its result as a promise to await, to call through, and to pass on.
// State: written down, made, or settled; which of value and object is wanted; what was given with the result.
// Must not know: who runs the call, how it travels.

import { RpcError, stackSite } from "../../base/errors.js";
import { currentOrigin } from "../../base/origin.js";
import type { Scheduler } from "../../base/scheduler.js";
import { disposed, releaseWhenCollected } from "../../hook/collect.js";
import {
  CallRequest,
  type Hook,
  type Lifeline,
  NO_PROMISE_PIPELINING,
  ONLY_PROMISE_PIPELINE,
} from "../../hook/hook.js";
import { Payload } from "../../hook/payload.js";
import { PromiseHook } from "../../hook/promise.js";
import { brokenHook, type Results, type ResultsObserver } from "../../hook/results.js";
import type { Content } from "../../wire/content.js";
import {
  type CallLimits,
  type CallOptions,
  disposedCall,
  type Endable,
  limit,
  refused,
} from "../call-options.js";
import type { Sent } from "../stream/sent.js";
import { watchBroken } from "./broken.js";
import { noteAsked, noteDisposed, noteMade, watching } from "./debug.js";
import { shownError } from "./errors.js";
import { giveWith } from "./given.js";
import { record } from "./map/record.js";
import { type Mapper, type Place, placeOf, proxyOf, Root } from "./place.js";
import { PlainRequest, PlainResult } from "./plain.js";
import {
  KIND_PROMISE,
  METHOD_CALL,
  METHOD_GET,
  OBJECT_HI,
  OBJECT_LO,
  OBJECT_PATH,
  patchRequest,
  readResult,
  WANT_EITHER,
  WANT_OBJECT,
  WANT_VALUE,
  writeRequest,
} from "./protocol.js";
import { askObject, askValue } from "./ask.js";
import { type Incoming, receiveValue, type Receiver } from "./incoming.js";
import { Outgoing } from "./outgoing.js";
import { above, type Referable } from "./references.js";
import { type Lane, laneOf } from "./pressure.js";
import { memberOf } from "./target.js";
import type { Terms } from "./terms.js";
import { atTurnEnd, makeCalls, type Waiting } from "./turn.js";

type Resolve = (value: unknown) => void;
let grabbedResolve: Resolve;
let grabbedReject: Resolve;
const grab = (resolve: Resolve, reject: Resolve): void => {
  grabbedResolve = resolve;
  grabbedReject = reject;
};

/** A call that is written otherwise than with arguments. */
export interface Packed {
  readonly method: number;
  readonly outgoing: Outgoing;
  /** Its params, with `path` to what it is called on. */
  content(path: readonly string[]): Content;
}

/** Arguments; null to ask for a property. */
type Body = readonly unknown[] | Packed | null;

/** What a call is made on: a capability, or the result of a call that comes before it. */
type On = Hook | Call;

/**
 * Writes a call down, to be made at the end of the turn.
 *
 * @param on a capability that stays the caller's, or another call.
 * @param body the arguments; null to ask for the property instead. @param terms those of what it is called through.
 * @returns the promise of the result, as users hold it.
 * @throws RpcError when an argument cannot travel; then nothing is sent.
 */
export function startCall(
  on: On,
  path: readonly string[],
  body: Body,
  options: CallOptions | undefined,
  terms: Terms,
): object {
  const lane = on instanceof Call ? on.lane : laneOf(on);
  const refusal = refused(options) ?? lane.refusal(terms.limits);
  const call = new Call(on.scheduler, terms, path, lane);
  if (refusal !== null) {
    if (body !== null && "outgoing" in body) body.outgoing.release();
    call.fail(refusal);
  } else {
    const known = on instanceof Call ? on.knownAt(path) : null;
    if (known === null) call.write(on, path, body, options);
    else call.write(known.on, known.path, body, options);
  }
  return proxyOf(call);
}

/** A call, and its result. */
export class Call extends Root implements Referable, Waiting, ResultsObserver, Receiver, Endable {
  readonly scheduler: Scheduler;
  readonly terms: Terms;
  /** Where it counts until it is answered. */
  readonly lane: Lane;
  private counted = false;
  private readonly name: readonly string[];
  private readonly origin = currentOrigin();
  // Until it is made.
  private on: On | null = null;
  private method = METHOD_CALL;
  private request: PlainRequest | Content | null = null;
  private outgoing: Outgoing | null = null;
  /** Streams in the arguments, as long as to give the call up is to give them up. */
  private streams: readonly Sent[] | null = null;
  private callOptions: CallOptions | undefined;
  private wantsValue = false;
  private wantsObject = false;
  private disposeWhenMade = false;
  private asksInTurn = false;
  // While it runs.
  private limits: CallLimits | null = null;
  /** The answer to the call itself, while something is expected of it. */
  private results: Results | null = null;
  /** The answer to the question for the value alone. */
  private valueAnswer: Results | null = null;
  private decoding: Incoming | null = null;
  private usedSinceAsked = false;
  private fenced: Payload | null = null;
  /** Stands for the result; owned. */
  private object: Hook | null = null;
  /** Its number among the stubs that are watched. */
  private watchId = 0;
  /** `object`, where it waits here for the value to come. */
  private parked: PromiseHook | null = null;
  // In the end.
  private settled = false;
  private value: unknown = undefined;
  /** What it failed with: an error, or what makes one if somebody asks, which is seldom. */
  private failure: RpcError | (() => RpcError) | null = null;
  private given: { dispose(): void } | null = null;
  readonly askedAt: Error | null = watching ? noteAsked() : null;
  /** Where it was called, if that is noted. */
  private readonly site: Error | null = stackSite();
  private promise: Promise<unknown> | null = null;
  private resolve: Resolve | null = null;
  private reject: Resolve | null = null;

  constructor(scheduler: Scheduler, terms: Terms, name: readonly string[], lane: Lane) {
    super();
    this.lane = lane;
    this.scheduler = scheduler;
    this.terms = terms;
    this.name = name;
  }

  get immediate(): boolean {
    return false;
  }

  get kind(): number {
    return KIND_PROMISE;
  }

  get isPromise(): boolean {
    return true;
  }

  // -- Before it is made ---------------------------------------------------------------------------------------------

  /** Takes a copy of the arguments now: what becomes of them later concerns nobody. */
  write(on: On, path: readonly string[], body: Body, options: CallOptions | undefined): void {
    if (body === null || !("outgoing" in body)) {
      this.request = PlainRequest.of(path, body);
      if (this.request === null) {
        const outgoing = new Outgoing(this.scheduler, this.terms);
        const bytes = body === null ? null : outgoing.encode(body, "args");
        this.request = writeRequest(path, bytes, outgoing.kinds);
        this.outgoing = outgoing;
      }
      this.method = body === null ? METHOD_GET : METHOD_CALL;
    } else {
      this.request = body.content(path);
      this.outgoing = body.outgoing;
      this.method = body.method;
    }
    this.callOptions = options;
    if (options !== undefined) this.limits = limit(this, options);
    if (on instanceof Call) {
      this.on = on;
      on.wantsObject = true;
    } else this.on = on.addRef();
    this.counted = true;
    this.lane.enter();
    atTurnEnd(this);
  }

  make(): void {
    const { on, request } = this;
    if (on === null || request === null) return; // given up before
    const target = (this.on = on instanceof Call ? on.refer() : on);
    if (!this.wantsObject && !this.wantsValue && target.lifeline?.asksOnce === true) {
      // It may be awaited when nothing more can be asked, or called through before that.
      this.wantsObject = true;
      this.wantsValue = true;
    }
    const want = this.wantsObject ? WANT_OBJECT : this.wantsValue ? WANT_VALUE : WANT_EITHER;
    const payload = this.params(request, want, remaining(this.callOptions));
    this.on = null;
    this.request = null;
    // Only a call that nothing can end from outside may do without a word of its end.
    const alone = want === WANT_OBJECT && this.limits === null;
    const flags = want === WANT_VALUE ? NO_PROMISE_PIPELINING : alone ? ONLY_PROMISE_PIPELINE : 0;
    const call = new CallRequest(OBJECT_HI, OBJECT_LO, this.method, payload, flags);
    call.origin = this.origin;
    const results = target.call(call);
    target.release();
    if (want === WANT_VALUE) {
      results.dropPipeline();
      this.awaitValue(results);
      return;
    }
    if (want === WANT_OBJECT) this.holdObject(results.pipeline(OBJECT_PATH));
    if (alone) {
      // Nobody will say when it has ended.
      this.streams = null;
      this.uncount();
      results.dropPipeline();
      results.dropResponse();
    } else {
      this.results = results;
      results.observe(this);
    }
    if (want === WANT_OBJECT && this.wantsValue && !this.asksInTurn) this.askForValue();
    // Behind the calls that were pipelined on this one: they are still to be made.
    if (this.disposeWhenMade) this.endInTurn();
  }

  private endInTurn(): void {
    atTurnEnd({ make: () => this.end(disposedCall), end: (why) => this.end(why) });
  }

  private params(request: PlainRequest | Content, want: number, timeout: number): Payload {
    if (request instanceof PlainRequest) {
      request.want = want;
      request.timeout = timeout;
      return request;
    }
    const outgoing = this.outgoing!;
    const payload = new Payload(request, outgoing.take());
    this.streams = outgoing.takeStreams();
    this.outgoing = null;
    patchRequest(request, want, timeout);
    return payload;
  }

  // -- Its value -----------------------------------------------------------------------------------------------------

  override awaited(): void {
    if (this.wantsValue) return;
    this.wantsValue = true;
    // What was called on it before comes before the question for its value.
    if (this.on === null || !this.wantsObject) return;
    this.askInTurn();
  }

  private askInTurn(): void {
    this.asksInTurn = true;
    atTurnEnd({ make: () => this.askIfOpen(), end: (why) => this.end(why) });
  }

  override memberAwaited(): void {
    if (this.on !== null) this.wantsObject = true;
  }

  private askIfOpen(): void {
    if (!this.settled && this.valueAnswer === null && this.decoding === null) this.askForValue();
  }

  then(
    onValue: ((value: unknown) => unknown) | null | undefined,
    onError: ((reason: unknown) => unknown) | null | undefined,
  ): Promise<unknown> {
    if (this.promise === null) {
      this.promise = new Promise(grab);
      this.resolve = grabbedResolve;
      this.reject = grabbedReject;
      this.awaited();
      if (this.settled) this.deliver();
      else if (this.on === null && this.results === null) this.askIfOpen();
    }
    return this.promise.then(onValue, onError);
  }

  private askForValue(): void {
    this.usedSinceAsked = false;
    this.awaitValue(askValue(this.objectHook(), this.origin));
  }

  private awaitValue(results: Results): void {
    this.valueAnswer = results;
    results.observe(this);
  }

  /** The answer to the question for the value. */
  private valueArrived(results: Results): void {
    results.dropPipeline();
    this.valueAnswer = null;
    this.streams = null;
    const { error } = results;
    if (error === null) return this.take(results.takePayload());
    results.cancel();
    this.fail(error);
  }

  private take(payload: Payload): void {
    // What was called on a promise that waits here has not gone anywhere yet.
    if (this.usedSinceAsked && this.parked === null && payload.caps.length > 0)
      return this.fence(payload);
    const decoding = receiveValue(payload, this.scheduler, this.terms, this);
    if (!this.settled) this.decoding = decoding;
  }

  /**
   * The value is here, but calls that were made through the promise while it was on its way may not have arrived: a
   * reference in it may lead straight to where they still go by a detour, and overtake them. So it is handed on when
   * another question has made the way behind them. Calls made meanwhile wait here. What an embargo does for one
   * capability, this does for all in the value.
   */
  private fence(payload: Payload): void {
    const way = this.object!;
    disposed(this);
    this.object = this.parked = this.parkingHook();
    this.fenced = payload;
    const results = askObject(way);
    way.release();
    this.valueAnswer = results;
    results.observe({
      immediate: false,
      resultsSettled: () => {
        const { error } = results;
        results.cancel();
        if (this.valueAnswer !== results) return;
        this.valueAnswer = null;
        this.fenced = null;
        // Where nothing more can be asked, nothing more can be called either: there is nothing to overtake.
        if (error === null || error.code === "batch-over") return this.take(payload);
        payload.release();
        this.fail(error);
      },
    });
  }

  retain(payload: Payload): Payload {
    return PlainResult.read(payload) ?? payload.own();
  }

  resultsSettled(results: Results): void {
    if (this.valueAnswer === results) return this.valueArrived(results);
    // The answer to a call of which an object was wanted, or either; if it is still waited for.
    if (this.results !== results) return results.cancel();
    this.results = null;
    this.streams = null;
    this.endLimits();
    results.dropPipeline();
    if (results.error !== null) {
      const { error } = results;
      results.cancel();
      return this.fail(error);
    }
    const payload = results.takePayload();
    try {
      this.takeEither(payload);
    } catch (thrown) {
      payload.release();
      this.fail(RpcError.from(thrown));
    }
  }

  private takeEither(payload: Payload): void {
    const { object, hasValue, isObject } = readResult(payload.content);
    const hook = object < 0 ? null : (payload.caps[object] ?? null);
    if (this.object === null && hook !== null) this.holdObject(hook.addRef());
    if (isObject && hook !== null) {
      const { root, proxy } = above.stub(hook.addRef(), this.terms, this);
      payload.release();
      return this.received(proxy, root);
    }
    if (hasValue) {
      return this.take(payload);
    }
    if (this.object === null) {
      const message = "the result came with neither its value nor an object";
      throw new RpcError("failed", "invalid-payload", message);
    }
    payload.release();
    if (this.promise !== null) this.askIfOpen();
  }

  /** The value is here. */
  received(value: unknown, held: { dispose(): void } | null): void {
    if (this.settled) return held?.dispose();
    this.settled = true;
    this.endLimits();
    this.decoding = null;
    this.value = giveWith(value, held);
    this.given = held;
    this.unpark();
    // From now on the value stands for itself: who disposes it has disposed all of it.
    this.dropObject();
    if (this.promise !== null) this.deliver();
  }

  fail(failure: RpcError | (() => RpcError)): void {
    if (this.settled) return;
    this.settled = true;
    this.endLimits();
    this.failure = failure;
    this.unpark();
    if (this.promise !== null) this.deliver();
  }

  private get error(): RpcError | null {
    const { failure, name } = this;
    if (failure === null) return null;
    const error = typeof failure === "function" ? failure() : failure;
    return (this.failure = name.length === 0 ? error : error.calling(name.join(".")));
  }

  private uncount(): void {
    if (!this.counted) return;
    this.counted = false;
    this.lane.leave();
  }

  /** The call is over, as far as it is known here: nothing from outside can end it, and it counts no more. */
  private endLimits(): void {
    this.uncount();
    this.limits?.end();
    this.limits = null;
  }

  private deliver(): void {
    const { error } = this;
    if (error !== null) this.reject!(shownError(error, this.terms, this.site));
    else this.resolve!(this.value);
  }

  // -- The object that stands for it ---------------------------------------------------------------------------------

  start(
    path: readonly string[],
    args: readonly unknown[] | null,
    options: CallOptions | undefined,
  ): object {
    return startCall(this, path, args, options, this.terms);
  }

  startMap(path: readonly string[], callback: Mapper, options: CallOptions | undefined): object {
    const program = record(callback, this.scheduler, this.terms);
    return startCall(this, path, program, options, this.terms);
  }

  get live(): Hook {
    return this.objectHook();
  }

  get peer(): string | undefined {
    return this.lifeline?.peer;
  }

  get lifeline(): Lifeline | null {
    const { on } = this;
    if (on !== null) return on instanceof Call ? on.lifeline : on.resolved().lifeline;
    return this.object?.resolved().lifeline ?? null;
  }

  refer(): Hook {
    if (this.valueAnswer !== null) this.usedSinceAsked = true;
    return this.settled && this.object === null ? this.localObject() : this.objectHook().addRef();
  }

  lent(): Hook | Referable {
    this.wantsObject = true;
    // Its value may be disposed at once; before there is one, the call that it is the result of may not be made yet.
    return this.settled ? this.refer() : this;
  }

  hold(give: boolean): Hook {
    this.wantsObject = true;
    const hook = this.refer();
    if (give) this.dispose();
    return hook;
  }

  /**
   * The stub in the value that `path` leads to, or through, once the value is here: what is called by this path and what
   * is called on that stub itself comes to it in one order.
   */
  knownAt(path: readonly string[]): { on: On; path: readonly string[] } | null {
    if (!this.settled) return null;
    let { value } = this;
    for (let at = 0; ; at++) {
      const place = placeOf(value);
      if (place !== undefined) {
        const { root } = place as Place & { root: Root & Referable };
        const rest = [...place.path, ...path.slice(at)];
        return { on: root instanceof Call ? root : root.live, path: rest };
      }
      if (at === path.length || typeof value !== "object") return null;
      try {
        value = memberOf(value, path[at]!);
      } catch {
        return null;
      }
    }
  }

  /** Stays this call's. */
  private objectHook(): Hook {
    if (this.object !== null) return this.object;
    if (this.on !== null) makeCalls();
    if (this.object !== null) return this.object;
    if (this.results !== null) {
      this.wantsObject = true;
      this.holdObject(this.results.pipeline(OBJECT_PATH));
    } else if (this.settled) this.object = this.localObject();
    else this.object = this.parked = this.parkingHook();
    return this.object!;
  }

  /** Once the value is here, what is called on it is called here. */
  private localObject(): Hook {
    const { error, value, scheduler } = this;
    if (error !== null) return brokenHook(error, scheduler);
    const place = placeOf(value);
    if (place !== undefined) return (place.root as Root & Referable).refer();
    return above.hold(value, scheduler, this.terms);
  }

  private parkingHook(): PromiseHook {
    return new PromiseHook(this.scheduler, this.terms.limits.queuedCalls);
  }

  private unpark(): void {
    const { parked } = this;
    if (parked === null) return;
    this.parked = null;
    parked.resolve(this.localObject());
  }

  private holdObject(hook: Hook): void {
    this.object = hook;
    if (watching) this.watchId = noteMade(this, "promise", this);
    releaseWhenCollected(this, hook);
  }

  private dropObject(): void {
    const { object } = this;
    if (object === null) return;
    this.object = null;
    if (watching && this.watchId !== 0) noteDisposed(this.watchId);
    disposed(this);
    object.release();
  }

  // -- Ends ----------------------------------------------------------------------------------------------------------

  dup(): object {
    return above.stub(this.refer(), this.terms).proxy;
  }

  onBroken(listener: (error: RpcError) => void): () => void {
    return watchBroken(this.objectHook(), listener);
  }

  /**
   * Gives the call up if it is not answered yet, and everything that came with the answer if it is. Calls that were
   * pipelined on it go on.
   */
  dispose(): void {
    if (this.on !== null && this.wantsObject) this.disposeWhenMade = true;
    else this.end(disposedCall);
  }

  end(why: () => RpcError): void {
    const { on, results, valueAnswer, decoding, given, streams } = this;
    this.streams = null;
    for (const stream of streams ?? []) stream.giveUp(why());
    if (on !== null) {
      this.on = null;
      this.request = null;
      this.outgoing?.release();
      this.outgoing = null;
      if (!(on instanceof Call)) on.release();
    }
    this.results = null;
    this.valueAnswer = null;
    this.given = null;
    results?.cancel();
    valueAnswer?.cancel();
    this.fenced?.release();
    this.fenced = null;
    decoding?.dispose();
    given?.dispose();
    const unsent = on !== null || (valueAnswer ?? results)?.unsent;
    if (!this.settled) this.fail(unsent ? () => why().delivered("not-sent") : why);
    this.dropObject();
  }
}

/** Milliseconds until the deadline, for the callee; 0 for none. */
function remaining(options: CallOptions | undefined): number {
  if (options?.deadline === undefined) return 0;
  return Math.min(Math.max(Math.ceil(Number(options.deadline) - Date.now()), 1), 0xffff_ffff);
}
