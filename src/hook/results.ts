// Role: the promise of a call's results: a response that one holder takes, and a pipeline that many may call through.
// Also the broken reference, since each is made of the other: broken results pipeline to broken references.
// State: pending, or settled with a payload, an error, or a redirection; which of the two halves is still held.
// Must not know: who runs the call.

import { RpcError } from "../base/errors.js";
import type { Job, Scheduler } from "../base/scheduler.js";
import { followPath } from "../wire/path.js";
import { type CallRequest, Hook } from "./hook.js";
import type { Path, Payload } from "./payload.js";
import { unravel, type Unravels } from "./unravel.js";

/** Told once when results settle. */
export interface ResultsObserver {
  /**
   * True: called inside the settling itself, so that content built in scratch can be encoded without a copy. Only for
   * observers that run no user code and settle nothing that could lead back here. False: called as a job of its own,
   * so that a chain of ten thousand calls cannot grow the stack (C-PIP-11).
   */
  readonly immediate: boolean;
  /**
   * What it retains of a payload, called inside the settling where it is not immediate itself. Takes `payload` over, which may
   * be borrowed; runs no user code. By default a copy, if need be.
   */
  retain?(payload: Payload): Payload;
  resultsSettled(results: Results): void;
}

/** A capability inside results that are not there yet. */
export interface PromisedField extends Hook {
  readonly path: Path;
  /** Whether anybody still needs what it will be: a holder, or a call that waits in it. */
  readonly isHeld: boolean;
  /** Takes over `target`, which the results hold at `path`. */
  settleField(target: Hook): void;
}

/** So many fields are looked through. */
const FEW = 16;

const RESPONSE = 1;
const PIPELINE = 2;

/**
 * Results that are or will be. The response half is consumed by `takePayload` or given up by `dropResponse`; the
 * pipeline half is given up by `dropPipeline`, and every hook from `pipeline` is a holder of its own. When no half and
 * no such hook is held before the results settle, the call is canceled (C-CAN-01, C-PIP-12).
 */
export abstract class Results implements Job, Unravels {
  readonly scheduler: Scheduler;
  settled = false;
  error: RpcError | null = null;
  /** The call whose results go past us to whoever asked for this one (C-TAI-01); set only where `returnTo` allowed it. */
  redirected: Results | null = null;
  protected payload: Payload | null = null;
  protected fields: PromisedField[] | null = null;
  /** The same by {@link pathKey}, once they are more than a few: how many paths there are is for a peer to say. */
  private fieldsByPath: Map<string, PromisedField> | null = null;
  private observer: ResultsObserver | null = null;
  private held = RESPONSE | PIPELINE;
  private liveFields = 0;
  /** Whoever gave this up wants the call to have its turn. */
  protected inTurn = false;

  constructor(scheduler: Scheduler) {
    this.scheduler = scheduler;
  }

  /** Makes the promised capability at `path`, unresolved. */
  protected abstract makeField(path: Path): PromisedField;

  /** Nobody waits for these results any more and they are not settled. */
  protected abstract abandoned(): void;

  /**
   * The capability at `path` of the results, now or before they arrive. The caller owns the reference. The same path
   * gives the same capability, so that its calls keep one order (C-PIP-02).
   */
  pipeline(path: Path): Hook {
    if (this.settled) return this.capAt(path);
    const known = this.fieldAt(path);
    if (known !== undefined) {
      if (!known.isHeld) this.liveFields++;
      return known.addRef();
    }
    const field = this.makeField(path);
    this.holdField(field);
    return field;
  }

  /** Takes over a promised capability of results that these will settle. */
  adoptField(field: PromisedField): void {
    field.settleField(this.pipeline(field.path));
  }

  /** Why these were lost from the start: the call was not made at all. Null when it was. */
  get refusedBy(): RpcError | null {
    return null;
  }

  /** Whether these only acknowledge a stream call: they say that it is done, and may say so a little later. */
  get acknowledges(): boolean {
    return false;
  }

  /** Whether a pipeline was set before the return, which paths must go on to follow (C-PIP-07). */
  get pipelineSet(): boolean {
    return false;
  }

  /** Whether settled results name the same capability at `path` as the pipeline that was set before, if there was one. */
  pipelineKept(_path: Path): boolean {
    return true;
  }

  /** Whether a payload that settles these is read inside the settling and not kept, so that it may be borrowed. */
  get readsAtOnce(): boolean {
    const { observer } = this;
    return this.held === 0 || observer?.immediate === true || observer?.retain !== undefined;
  }

  /** Whose results these will be, as far as pipelined calls go; null while that is for these themselves to say. */
  get comesFrom(): Results | null {
    return null;
  }

  /** Whether these would be what `results` become, and so neither ever be anything. */
  awaits(results: Results): boolean {
    let end: Results | null = this as Results;
    while (end !== null && end !== results) end = end.comesFrom;
    return end !== null;
  }

  /** Registers the one observer. */
  observe(observer: ResultsObserver): void {
    this.observer = observer;
    if (!this.settled) return;
    if (observer.immediate) this.run();
    else this.scheduler.post(this);
  }

  /** What the payload costs while it is kept here. */
  get payloadBytes(): number {
    return this.payload?.bytes ?? 0;
  }

  /** Takes the payload; the caller owns it. Only once, only when settled without an error. */
  takePayload(): Payload {
    const payload = this.payload;
    if (payload === null || (this.held & RESPONSE) === 0)
      throw (
        this.error ??
        new RpcError("failed", "invalid-state", "these results were taken or dropped before")
      );
    this.held &= ~RESPONSE;
    if (this.held !== 0) return payload.caps.length === 0 ? payload : payload.share();
    this.payload = null;
    this.unheld();
    return payload;
  }

  /** The caller does not want the results. Idempotent. */
  dropResponse(): void {
    this.drop(RESPONSE);
  }

  /** The caller will ask for no further pipelined capability. Idempotent. */
  dropPipeline(): void {
    this.drop(PIPELINE);
  }

  /** Whether the call failed, or was given up, before it was made. */
  get unsent(): boolean {
    return this.error?.delivery === "not-sent";
  }

  /** Gives up both halves: cancels the call unless a pipelined capability is held (C-CAN-02). */
  cancel(): void {
    this.drop(RESPONSE | PIPELINE);
  }

  /**
   * The same, but the call has its turn first, wherever it waits for it: others may wait behind it that must not be made
   * without it (C-EMB-26), and its method may opt out (C-CAN-06).
   */
  cancelInTurn(): void {
    this.inTurn = true;
    this.cancel();
  }

  /** Gives up `source`, which these come from, as these were given up. */
  protected giveUp(source: Results): void {
    if (this.inTurn) source.cancelInTurn();
    else source.cancel();
  }

  /** Called by a field that nobody needs any more. */
  fieldUnreferenced(): void {
    this.liveFields--;
    this.abandonIfUnheld();
  }

  /** Settles once; a later outcome is dropped with its capabilities (C-LIF-25). */
  protected settle(payload: Payload | null, error: RpcError | null): void {
    if (this.settled) {
      payload?.release();
      return;
    }
    this.settled = true;
    this.error = error;
    const { observer } = this;
    this.payload =
      payload === null || this.held === 0 || observer?.immediate === true
        ? payload
        : (observer?.retain?.(payload) ?? payload.own());
    if (this.fields !== null) this.settleFields();
    this.announce();
    // An immediate observer has not taken all of it: what is left is asked for later.
    if (this.held === 0) this.unheld();
    else this.payload?.own();
  }

  /** Settles as redirected: the results will go from `tail` to whoever asked for these. */
  protected settleRedirected(tail: Results): void {
    this.settled = true;
    this.redirected = tail;
    this.announce();
  }

  /** The promised fields, to be settled by the caller: from then on they hold what they lead to, not these results. */
  protected takeFields(): PromisedField[] {
    const fields = this.fields;
    this.fields = null;
    this.fieldsByPath = null;
    this.liveFields = 0;
    return fields ?? [];
  }

  protected holdField(field: PromisedField): void {
    const fields = (this.fields ??= []);
    if (fields.length > FEW && fields.length >= 2 * this.liveFields) this.forgetUnheld(fields);
    fields.push(field);
    this.fieldsByPath?.set(pathKey(field.path), field);
    if (field.isHeld) this.liveFields++;
  }

  /** Nobody can tell one that nobody needs from one that is made anew: a peer may ask for ever new paths (C-HOS-08). */
  private forgetUnheld(fields: PromisedField[]): void {
    let held = 0;
    for (const field of fields) if (field.isHeld) fields[held++] = field;
    fields.length = held;
    this.fieldsByPath = null;
  }

  /** The promised field at `path`. */
  protected fieldAt(path: Path): PromisedField | undefined {
    const { fields } = this;
    if (fields === null) return undefined;
    if (fields.length <= FEW) return fields.find((field) => samePath(field.path, path));
    this.fieldsByPath ??= new Map(fields.map((field) => [pathKey(field.path), field]));
    return this.fieldsByPath.get(pathKey(path));
  }

  /** Takes a field away that nobody holds any more. */
  protected dropField(field: PromisedField): void {
    const at = this.fields?.indexOf(field) ?? -1;
    if (at < 0) return;
    this.fields!.splice(at, 1);
    this.fieldsByPath?.delete(pathKey(field.path));
  }

  protected settleFields(): void {
    for (const field of this.takeFields()) field.settleField(this.capAt(field.path));
  }

  /** The capability at `path` of settled results, as a new reference. */
  protected capAt(path: Path): Hook {
    if (this.error !== null) return brokenHook(this.error, this.scheduler);
    if (this.redirected !== null) return this.redirected.pipeline(path);
    const payload = this.payload;
    if (payload === null) {
      const gone = new RpcError(
        "failed",
        "answer-unavailable",
        "the results this pipelines on were released before",
      );
      return brokenHook(gone, this.scheduler);
    }
    return capIn(payload, path, this.scheduler);
  }

  protected get isHeld(): boolean {
    return this.held !== 0 || this.liveFields > 0;
  }

  protected get responseHeld(): boolean {
    return (this.held & RESPONSE) !== 0;
  }

  /** Job: tells the observer. */
  run(): void {
    const observer = this.observer;
    this.observer = null;
    observer?.resultsSettled(this);
  }

  private announce(): void {
    const observer = this.observer;
    if (observer === null) return;
    if (observer.immediate) this.run();
    else this.scheduler.post(this);
  }

  private drop(half: number): void {
    if ((this.held & half) === 0) return;
    this.held &= ~half;
    if (this.settled) this.releaseIfUnheld();
    else this.abandonIfUnheld();
  }

  private abandonIfUnheld(): void {
    if (this.isAbandoned) unravel(this);
  }

  unravel(): void {
    if (this.isAbandoned) this.abandoned();
  }

  private get isAbandoned(): boolean {
    return !this.settled && this.held === 0 && this.liveFields === 0;
  }

  private releaseIfUnheld(): void {
    if (this.held === 0) this.unheld();
  }

  /** Settled, and neither half is held any more: lets go of everything. */
  protected unheld(): void {
    this.payload?.release();
    this.payload = null;
  }
}

/** The capability at `path` of `payload`, as a new reference; broken or null where there is none (C-PIP-03, C-VAL-22). */
export function capIn(payload: Payload, path: Path, scheduler: Scheduler): Hook {
  let index: number;
  try {
    index = followPath(payload.content, path);
  } catch (thrown) {
    return brokenHook(RpcError.from(thrown), scheduler);
  }
  if (index < 0) return nullHook(scheduler);
  if (index >= payload.caps.length) {
    const message = `the results name capability ${index}, but only ${payload.caps.length} came with them`;
    return brokenHook(new RpcError("failed", "invalid-capability", message), scheduler);
  }
  return payload.caps[index]?.addRef() ?? nullHook(scheduler);
}

/** The index in the table of what `path` leads to; -1 when that is nothing. */
export function capIndex(payload: Payload, path: Path): number {
  try {
    const index = followPath(payload.content, path);
    return index < payload.caps.length ? index : -1;
  } catch {
    return -1;
  }
}

/** Puts a new reference to `hook` in the place of the capability that `path` leads to. */
export function replaceCap(payload: Payload, path: Path, hook: Hook): void {
  const index = capIndex(payload, path);
  if (index < 0) return;
  const caps = payload.caps.slice();
  const old = caps[index] ?? null;
  if (old === null) return; // A null capability stays null, and no reference that fails (C-RES-25).
  old.release();
  caps[index] = hook.addRef();
  payload.caps = caps;
}

/** Results that were lost from the start. */
class FailedResults extends Results {
  private readonly reason: RpcError;

  constructor(reason: RpcError, scheduler: Scheduler) {
    super(scheduler);
    this.reason = reason;
    scheduler.post(this);
  }

  override get refusedBy(): RpcError {
    return this.reason;
  }

  override run(): void {
    if (this.settled) super.run();
    else this.settle(null, this.reason);
  }

  // A call on a broken reference settles as a job, so what is pipelined on it meanwhile is broken from the start.
  override pipeline(_path: Path): Hook {
    return brokenHook(this.reason, this.scheduler);
  }

  protected makeField(): PromisedField {
    throw new RpcError("failed", "internal-error", "failed results have no fields to promise");
  }

  protected abandoned(): void {}
}

const BROKEN_BRAND = {};

/** A capability on which every call fails with one error (C-LOC-07); the null capability is one (C-LOC-06). */
export class BrokenHook extends Hook {
  readonly reason: RpcError;
  readonly isNull: boolean;

  constructor(reason: RpcError, scheduler: Scheduler, isNull = false) {
    super(scheduler);
    this.reason = reason;
    this.isNull = isNull;
  }

  get brand(): object {
    return BROKEN_BRAND;
  }

  override get brokenBy(): RpcError {
    return this.reason;
  }

  /**
   * Fails later, never inside the call (C-DIS-04). Whatever became of the call or the connection that broke it, this call
   * goes nowhere (C-DIS-18); an error of this vat that is about neither stays itself.
   */
  call(request: CallRequest): Results {
    request.params.release();
    const { reason } = this;
    const ofOther = reason.delivery !== undefined || reason.type === "disconnected";
    return new FailedResults(ofOther ? reason.delivered("not-sent") : reason, this.scheduler);
  }

  protected unreferenced(): void {}
}

/** A new reference on which every call fails with `error`. */
export function brokenHook(error: RpcError, scheduler: Scheduler): BrokenHook {
  return new BrokenHook(error, scheduler);
}

/** A new null reference. */
export function nullHook(scheduler: Scheduler): BrokenHook {
  const error = new RpcError(
    "failed",
    "null-capability",
    "called a null capability: nothing was put in that field",
    {
      delivery: "not-sent",
    },
  );
  return new BrokenHook(error, scheduler, true);
}

/** Results that fail with `error`, as a job. */
export function failedResults(error: RpcError, scheduler: Scheduler): Results {
  return new FailedResults(error, scheduler);
}

/** What equal paths have in common. */
export function pathKey(path: Path): string {
  return path.join();
}

export function samePath(a: Path, b: Path): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
