// Role: an object of this vat as a capability, and one call on it as its method sees it.
// State: which calls wait for a stream call to end; how many calls still run; the outcome of each call.
// Must not know: connections, schemas, promises of JavaScript.

import { RpcError } from "../base/errors.js";
import { Fifo } from "../base/fifo.js";
import type { Entrant, Origin } from "../base/origin.js";
import type { Job, Scheduler } from "../base/scheduler.js";
import { identity } from "./identity.js";
import { type CallRequest, Hook } from "./hook.js";
import { emptyPayload, type Path, type Payload } from "./payload.js";
import { canceledError, LocalResults } from "./promise.js";
import { brokenHook, capIn, capIndex, pathKey, replaceCap, type Results } from "./results.js";

/** What stands behind a {@link LocalHook}: user code, behind an adapter of the layer above. */
export interface Server {
  /** The user's object, where this is only an adapter for it. */
  readonly self?: object | null;
  /** Runs one call, as a job. It ends the call by `returns`, `fails` or `tailCall`, now or later. */
  dispatch(call: LocalCall): void;
  /** Whether calls run no code of an object: then nobody has to let them in. */
  readonly passive?: boolean;
  /** Whether `call` need not wait for stream calls before it: it is what makes them pointless. */
  overtakes?(call: LocalCall): boolean;
  /**
   * What is kept of the params of a call until its turn: may take their place by something better than a copy. Called before
   * that, while they may be borrowed; runs no user code.
   */
  retain?(request: CallRequest): Payload;
  /** Told once, after the last reference and the last running call are gone (C-LOC-09). */
  dropped?(): void;
}

/** What a {@link LocalHook} knows of stream calls. */
interface StreamState {
  /** Behind one that runs; those that were canceled meanwhile among them. */
  readonly waiting: Fifo<LocalCall>;
  /** At this length those are swept out. */
  sweepAt: number;
  listeners: (() => void)[];
  running: boolean;
  /** What one failed with. */
  poison: RpcError | null;
}

const LOCAL_BRAND = {};

/** So many calls may wait behind a stream call before one looks which of them were canceled (C-HOS-08). */
const SWEEP_AT = 256;

/** Calls running on an object that was told it is dropped: never zero again, so never told twice. */
const DROPPED = -0x4000_0000;

/**
 * An object of this vat. Calls reach it one after the other, each as a job of its own (C-LOC-01); after a stream call
 * the next waits until that one is done (C-FLO-09).
 *
 * @example
 * const hook = new LocalHook({ dispatch: (call) => call.returns(payload) }, scheduler);
 */
export class LocalHook extends Hook implements Job {
  readonly server: Server;
  // Most objects never see a stream, and there may be a hundred thousand: made when it is needed.
  private stream: StreamState | null = null;
  private running = 0;
  /**
   * For whoever hands this object out over a connection: what it is known as there. One connection; nearly all objects are
   * handed out over one, and a place in a table costs four times as much.
   */
  exported: object | null = null;

  constructor(server: Server, scheduler: Scheduler) {
    super(scheduler);
    this.server = server;
  }

  get brand(): object {
    return LOCAL_BRAND;
  }

  override get readsAtOnce(): boolean {
    return this.server.retain !== undefined;
  }

  /** Whether a stream call runs or waits: unwrapping the object must wait for it (C-FLO-16). */
  get streamBusy(): boolean {
    const { stream } = this;
    return stream !== null && (stream.running || stream.waiting.length > 0);
  }

  call(request: CallRequest): Results {
    this.running++;
    const call = new LocalCall(this, request);
    this.scheduler.post(call);
    return call;
  }

  /** Dispatches a call whose turn has come, or lets it wait behind a stream call. */
  admit(call: LocalCall): void {
    if (this.streamBusy) this.wait(call);
    else this.dispatch(call);
  }

  private wait(call: LocalCall): void {
    if (this.server.overtakes?.(call) === true) this.dispatch(call);
    else {
      const stream = this.stream!;
      const { waiting } = stream;
      waiting.push(call);
      if (waiting.length < stream.sweepAt) return;
      waiting.sweep((one) => one.isWaiting);
      stream.sweepAt = Math.max(SWEEP_AT, 2 * waiting.length);
    }
  }

  /** Calls `listener` from a job, once the calls made before have had their turn and no stream call runs or waits. */
  whenQuiet(listener: () => void): void {
    this.streamState().listeners.push(listener);
    this.scheduler.post(this);
  }

  streamStarted(): void {
    this.streamState().running = true;
  }

  /** A stream call failed: every later call fails with the same error (C-FLO-10). */
  streamFailed(error: RpcError): void {
    this.streamState().poison ??= error;
  }

  streamEnded(): void {
    const stream = this.streamState();
    stream.running = false;
    if (stream.waiting.length > 0 || stream.listeners.length > 0) this.scheduler.post(this);
  }

  /** A method has come to its end. */
  callEnded(): void {
    this.running--;
    this.dropIfIdle();
  }

  /** Job: dispatches what waited for a stream call, up to the next one. */
  run(): void {
    const { stream } = this;
    if (stream === null) return;
    while (!stream.running && stream.waiting.length > 0) this.dispatch(stream.waiting.take()!);
    const { listeners } = stream;
    if (stream.running) return;
    stream.listeners = [];
    for (const listener of listeners) listener();
  }

  private streamState(): StreamState {
    return (this.stream ??= {
      waiting: new Fifo(),
      sweepAt: SWEEP_AT,
      listeners: [],
      running: false,
      poison: null,
    });
  }

  private dispatch(call: LocalCall): void {
    const { entry } = this.scheduler;
    if (entry === null || this.server.passive === true) this.enter(call);
    else entry.admit(call);
  }

  /** Dispatches a call that was let in. A stream call may have begun while it waited for that. */
  admitted(call: LocalCall): void {
    if (this.streamBusy) this.wait(call);
    else this.enter(call);
  }

  private enter(call: LocalCall): void {
    if (!call.begin()) return;
    const poison = this.stream?.poison ?? null;
    if (poison !== null) {
      call.fails(poison);
      return;
    }
    try {
      this.server.dispatch(call);
    } catch (thrown) {
      call.fails(RpcError.from(thrown));
    }
    call.hadTurn();
  }

  protected unreferenced(): void {
    this.dropIfIdle();
  }

  /** A job of its own: what is released may be released by a message, or by a connection that is going down (C-DIS-05). */
  private dropIfIdle(): void {
    if (this.isIdle && this.server.dropped !== undefined)
      this.scheduler.post({ run: () => this.drop() });
  }

  private drop(): void {
    // A method may have handed the object out again between its last reference and its end (C-LOC-14).
    if (!this.isIdle) return;
    this.running = DROPPED;
    this.server.dropped!();
  }

  private get isIdle(): boolean {
    return this.refCount === 0 && this.running === 0;
  }
}

/**
 * One call on an object of this vat: its results for the caller, its context for the method.
 *
 * A method ends it once, by `returns`, `fails` or `tailCall`; whatever comes later is dropped. A canceled call settles
 * at once, its method may still run to its end; set `cancelable` to false to let it finish undisturbed (C-CAN-04).
 */
export class LocalCall extends LocalResults implements Entrant {
  readonly interfaceHi: number;
  readonly interfaceLo: number;
  readonly methodId: number;
  /** Owned by the call until `releaseParams`; the method may read it until the call ends. */
  readonly params: Payload;
  readonly flags: number;
  readonly returnTo: object | null;
  origin: Origin | null;
  canceled = false;
  cancelable = true;
  /** Called once, as a job, when the caller gives up and the call is cancelable. */
  onCancel: (() => void) | null = null;
  private readonly target: LocalHook;
  private stage: "waiting" | "running" | "ended" = "waiting";
  private isStream = false;
  private early: Payload | null = null;
  /** Capabilities of `early` that were asked for, by {@link pathKey}. */
  private earlyPaths: Map<string, { readonly path: Path; readonly hook: Hook }> | null = null;

  constructor(target: LocalHook, request: CallRequest) {
    super(target.scheduler);
    this.target = target;
    this.interfaceHi = request.interfaceHi;
    this.interfaceLo = request.interfaceLo;
    this.methodId = request.methodId;
    this.params = target.server.retain?.(request) ?? request.params.own();
    this.flags = request.flags;
    this.returnTo = request.returnTo;
    this.origin = request.origin;
  }

  /** The capability called; for a method that hands itself out (`thisCap`, C-LOC-08). Not a new reference. */
  get self(): Hook {
    return this.target;
  }

  override run(): void {
    if (this.stage === "waiting") this.target.admit(this);
    else super.run();
  }

  /** It is let in. */
  enter(): void {
    this.target.admitted(this);
  }

  /** Whether its turn is still to come. */
  get isWaiting(): boolean {
    return this.stage === "waiting";
  }

  /** Whether the method is to run; false when the call was canceled before its turn. */
  begin(): boolean {
    if (this.stage !== "waiting") return false;
    this.stage = "running";
    return true;
  }

  /** Drops the params' capabilities before the call ends (C-LIF-27). Idempotent. */
  releaseParams(): void {
    this.params.release();
  }

  /** The same for all of the params, their memory too: neither they nor a view on them is read any more. Idempotent. */
  recycleParams(): void {
    this.params.recycle();
  }

  /** Marks this as a stream call; called by the method's adapter before it returns from `dispatch`. */
  streaming(): void {
    this.isStream = true;
    this.cancelable = false;
    this.target.streamStarted();
  }

  /** Ends the call with results, which are taken over. */
  returns(results: Payload = emptyPayload()): void {
    if (this.stage === "ended") {
      results.release();
      return;
    }
    this.stage = "ended";
    this.settle(results, null);
    this.afterEnd();
  }

  /** Ends the call with an error. */
  fails(error: RpcError): void {
    if (this.stage === "ended") return;
    const refused = this.stage === "waiting";
    this.stage = "ended";
    if (this.isStream) this.target.streamFailed(error);
    // What is known of a call that was not let in is known of this very call.
    if (refused) super.settle(null, error);
    else this.settle(null, error);
    this.afterEnd();
  }

  /**
   * Ends the call with the results of another, which the caller gets without a detour where possible (C-TAI-01, 11): not
   * after {@link setPipeline}, of which only this call knows (C-TAI-12). Takes `request` over; `target` stays the caller's.
   * A stream call lasts until those results are there (C-FLO-09).
   * @throws RpcError `invalid-state` when the call has ended already (C-TAI-12).
   */
  tailCall(target: Hook, request: CallRequest): void {
    if (this.stage === "ended") {
      request.params.release();
      const message = "a tail call takes the place of the results, and there are some";
      throw new RpcError("failed", "invalid-state", message);
    }
    this.stage = "ended";
    if (this.settled) {
      request.params.release();
      this.afterEnd();
      return;
    }
    request.returnTo = this.isStream || this.early !== null ? null : this.returnTo;
    this.forward(target.call(request));
    if (this.isStream) this.params.release();
    else this.afterEnd();
  }

  override resultsSettled(source: Results): void {
    super.resultsSettled(source);
    if (!this.isStream) return;
    if (this.error !== null) this.target.streamFailed(this.error);
    this.afterEnd();
  }

  /**
   * Lets pipelined calls flow before the results are there (C-PIP-07). Takes `pipeline` over.
   * @throws RpcError `invalid-state` when called twice or after the end.
   */
  setPipeline(pipeline: Payload): void {
    if (this.early !== null || this.stage === "ended") {
      pipeline.release();
      throw new RpcError(
        "failed",
        "invalid-state",
        "setPipeline may be called once, before the call ends",
      );
    }
    if (this.settled) {
      pipeline.release();
      return; // canceled: nobody will pipeline
    }
    this.early = pipeline.own();
    for (const field of this.takeFields()) field.settleField(this.earlyCap(field.path));
  }

  override get acknowledges(): boolean {
    return this.isStream;
  }

  override get pipelineSet(): boolean {
    return this.early !== null;
  }

  override get comesFrom(): Results | null {
    return this.early === null ? super.comesFrom : null;
  }

  override pipeline(path: Path): Hook {
    if (this.early === null) return super.pipeline(path);
    const used = this.earlyPaths?.get(pathKey(path));
    if (used !== undefined) return used.hook.addRef();
    if (!this.settled) return this.earlyCap(path);
    // First used after the return: it is what the results say, but only if the early pipeline said the same.
    if (this.error !== null || this.pipelineKept(path)) return super.pipeline(path);
    const message = "the results name another capability here than the pipeline set before";
    return brokenHook(new RpcError("failed", "invalid-capability", message), this.scheduler);
  }

  override pipelineKept(path: Path): boolean {
    if (this.early === null) return true;
    const promised = capIn(this.early, path, this.scheduler);
    const actual = this.capAt(path);
    const kept = this.earlyPaths?.has(pathKey(path))
      ? identity(promised, actual) === "same"
      : !differ(promised, actual);
    promised.release();
    actual.release();
    return kept;
  }

  /**
   * Calls may wait in a promise of the early pipeline whose object the results name directly, or by another promise. Who
   * called what these name would overtake them, so they name that promise too, but where it is known to be another object.
   */
  private goOnEarly(payload: Payload): void {
    for (const { path, hook } of this.earlyPaths!.values()) {
      const actual = payload.caps[capIndex(payload, path)]?.resolved();
      if (actual?.brokenBy === null && !hook.resolved().isSettled) replaceCap(payload, path, hook);
    }
  }

  private earlyCap(path: Path): Hook {
    const hook = capIn(this.early!, path, this.scheduler);
    // Paths to nothing are as many as a peer can think of; those to something are the method's.
    if (hook.brokenBy === null)
      (this.earlyPaths ??= new Map()).set(pathKey(path), { path, hook: hook.addRef() });
    return hook;
  }

  /** What is known of a call that the method made says nothing of the one that runs it. */
  protected override settle(payload: Payload | null, error: RpcError | null): void {
    const foreign = error?.delivery !== undefined && error.delivery !== "started";
    if (payload !== null && this.earlyPaths !== null) this.goOnEarly(payload);
    super.settle(payload, foreign ? error.delivered("started") : error);
  }

  /** It has been handed to its method: who gave it up before that meant now. */
  hadTurn(): void {
    if (this.inTurn && !this.isHeld && !this.settled) this.abandoned();
  }

  /** The caller is gone. Before its turn a call is dropped; later its method is told, if it listens. */
  protected abandonedBeforeForward(): void {
    if (this.stage === "waiting") {
      if (this.inTurn) return;
      this.stage = "ended";
      this.canceled = true;
      this.afterEnd();
      this.settle(null, canceledError());
      return;
    }
    if (!this.cancelable || this.canceled) return;
    this.canceled = true;
    const listener = this.onCancel;
    this.onCancel = null;
    this.releaseParams();
    this.settle(null, canceledError());
    if (listener !== null) this.scheduler.post({ run: () => tellCanceled(listener) });
  }

  private afterEnd(): void {
    this.onCancel = null;
    this.params.release();
    if (this.isStream) this.target.streamEnded();
    this.target.callEnded();
  }

  protected override unheld(): void {
    super.unheld();
    if (this.early === null) return;
    this.early.release();
    for (const { hook } of this.earlyPaths?.values() ?? []) hook.release();
    this.earlyPaths = null;
    this.early = null;
  }
}

/**
 * Whether it is known that a method said one thing and then another. An honest one may name its object in two ways, by two
 * promises that have not met yet: where no call went before, the results may say which.
 */
function differ(promised: Hook, actual: Hook): boolean {
  const [x, y] = [promised.resolved(), actual.resolved()];
  if (!x.isSettled || !y.isSettled) return false;
  if (x.brokenBy !== null || y.brokenBy !== null) return x.brokenBy === null || y.brokenBy === null;
  return identity(promised, actual) === "different";
}

/** What a cancel listener throws concerns nobody: the call is over (C-CAN-13). */
function tellCanceled(listener: () => void): void {
  try {
    listener();
  } catch {
    // Contained.
  }
}
