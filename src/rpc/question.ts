// Role: the question table: calls of ours that the peer has not answered, and bootstrap requests.
// State: per question, whether its Return came and its Finish went; the bare paths into its answer that are still held.
// Must not know: user code. One Return in, one Finish out; the id is used again only after both (C-LIF-02).

import { type Delivery, RpcError } from "../base/errors.js";
import { type CallRequest, type Hook, ONLY_PROMISE_PIPELINE } from "../hook/hook.js";
import type { Path, Payload } from "../hook/payload.js";
import { canceledError } from "../hook/promise.js";
import {
  capIndex,
  failedResults,
  type PromisedField,
  replaceCap,
  Results,
  samePath,
} from "../hook/results.js";
import { DescriptorKind, SendResultsTo, TargetKind } from "../wire/descriptors.js";
import { drainingError, refusesOutgoing } from "./drain.js";
import { announceNew, describeCaps, type Export, releaseExports } from "./exports.js";
import { FIRST_PIPELINE_QUESTION, type QuestionId } from "./ids.js";
import { PromisedTarget, RemotePromise, RemoteTarget } from "./remote.js";
import type { ConnectionState } from "./state.js";
import { secondTry, TailTrial } from "./tail-trial.js";

const NO_HOOKS: readonly Hook[] = [];

/** Why there are no results that nobody waits for. One for all: it is hardly ever seen. */
let givenUp: RpcError | null = null;

/** A path into the answer of one question. Keeps the question from being finished. */
class PipelineHook extends RemoteTarget {
  readonly question: Question;
  readonly targetPath: Path;
  protected readonly promised = new PromisedTarget();

  constructor(question: Question, path: Path) {
    super(question.state);
    this.question = question;
    this.targetPath = path;
    question.targetHeld();
  }

  /** The bare way to a promise may lead where other ways lead too. */
  override get isSettled(): boolean {
    return false;
  }

  /** After the question is freed its id may name another: this must then name nothing to the peer (C-LIF-02). */
  override get brokenBy(): RpcError | null {
    return this.loop ?? this.question.goneBecause;
  }

  get targetKind(): number {
    return TargetKind.promisedAnswer;
  }

  get targetId(): number {
    return this.question.id;
  }

  get descriptorKind(): number {
    return DescriptorKind.receiverAnswer;
  }

  call(request: CallRequest): Results {
    const gone = this.question.goneBecause;
    if (gone === null) return sendCall(this.state, this, request);
    request.params.release();
    return failedResults(gone.delivered("not-sent"), this.scheduler);
  }

  protected unreferenced(): void {
    if (this.loop === null) this.question.targetReleased();
  }

  promiseGone(promise: RemotePromise): void {
    this.question.forgetField(promise);
  }

  protected giveUp(): void {
    this.question.targetReleased();
  }

  override described(): void {
    this.question.givenAway = true;
  }
}

/** What adopts the answer to a call that was sent back to us (`takeFromOtherQuestion`). */
export interface AdoptedAnswer {
  /** What it will be; null when that is known. */
  readonly adoptedResults: Results | null;
  /** The capability at `path`, as a new reference. */
  adoptedCap(path: Path): Hook;
  /** Whoever adopted the answer wants it no more (C-TAI-08). @param comesBack calls through it may still come to us. */
  disown(comesBack: boolean): void;
}

/** One question: the results of a call over this connection. */
export class Question extends Results {
  readonly state: ConnectionState;
  id = 0 as QuestionId;
  /** The exports that the params counted, until they are given back. */
  paramExports: Export[] | null = null;
  /** Sent with `sendResultsTo.yourself`: the peer keeps the results. */
  readonly isTail: boolean;
  /** The first tail call to this peer, until the outcome is known. */
  trial: TailTrial | null = null;
  /** The position of the message in what was written, to tell later whether it was ever handed to the transport. */
  position = 0;
  /** The peer was given a path into the answer, and may call through it at any time. */
  givenAway = false;
  /** Calls of ours through paths into the answer that have no Return yet: the peer may still send them back to us. */
  private underWay = 0;
  /** The question that this call went through a path of, until the Return. */
  private via: Question | null = null;
  /** An answer that was adopted and is wanted no more, but by the calls under way. */
  private leftBehind: AdoptedAnswer | null = null;
  private gone = false;
  private goneError: RpcError | null = null;
  private returned = false;
  private finished = false;
  private adopting = false;
  private givesBack = false;
  private targets = 0;
  /** Per capability of the Return: whether the peer described it as ours. Only while settling. */
  private reflected: readonly boolean[] | null = null;
  /** Paths that were called through and whose promise is gone. */
  private usedPaths: Path[] | null = null;
  private adopted: AdoptedAnswer | null = null;
  private adoptedFields: RemotePromise[] | null = null;

  constructor(state: ConnectionState, isTail: boolean) {
    super(state.scheduler);
    this.state = state;
    this.isTail = isTail;
    if (isTail) this.redirected = this;
  }

  /** Whether no Return will ever come: the caller wants only the pipeline (C-REL-19). */
  get isPipelineOnly(): boolean {
    return this.id >= FIRST_PIPELINE_QUESTION;
  }

  /** Why a pipelined call would fail: the answer at the peer is gone. Null while it is there. */
  get goneBecause(): RpcError | null {
    return this.gone ? (this.goneError ?? answerGone()) : null;
  }

  /** Whether somebody waits for the results themselves. */
  get isAwaited(): boolean {
    return this.responseHeld;
  }

  get hasReturned(): boolean {
    return this.returned;
  }

  get hasFinished(): boolean {
    return this.finished;
  }

  /** Bare paths into the answer that are still held. */
  get targetsHeld(): number {
    return this.targets;
  }

  protected makeField(path: Path): PromisedField {
    const target = new PipelineHook(this, path);
    if (this.takeUsed(path)) target.useAsPromise();
    return new RemotePromise(target);
  }

  targetHeld(): void {
    this.targets++;
  }

  targetReleased(): void {
    this.targets--;
    if (this.targets > 0) return;
    if (this.returned || this.settled) this.finishIfDone();
    else if (!this.isHeld) this.abandoned();
  }

  // -- What the peer says --------------------------------------------------------------------------------------------

  /** The Return with results; takes over `payload`. */
  returnedResults(payload: Payload, reflected: readonly boolean[] | null, noFinish: boolean): void {
    this.reflected = reflected;
    const revived = this.reviveUsed();
    this.concludes(noFinish, null);
    this.settle(payload, null);
    this.reflected = null;
    for (const hook of revived) hook.release();
    this.finishIfDone();
  }

  returnedError(error: RpcError, noFinish: boolean): void {
    this.concludes(noFinish, error);
    this.settle(null, error);
    this.finishIfDone();
  }

  /** A Return that we cannot read: whatever it holds, we have not taken it, so the Finish gives it back (C-LIF-13). */
  returnedUnknown(error: RpcError, noFinish: boolean): void {
    this.givesBack = true;
    this.returnedError(error, noFinish);
  }

  /** The peer ran our call as a tail call and sent its results elsewhere, as we asked; or it canceled a finished one. */
  returnedElsewhere(noFinish: boolean): void {
    this.concludes(noFinish, null);
    this.trialEnds()?.proven();
    this.finishIfDone();
  }

  /** The peer failed a tail call in a way of its own: it has no results that others could take (C-TAI-07). */
  tailFailed(error: RpcError, noFinish: boolean): void {
    this.concludes(noFinish, error);
    const trial = this.trialEnds();
    if (trial !== null) {
      this.dropResponse();
      this.dropPipeline();
      trial.failed(error);
    }
    this.finishIfDone();
  }

  private trialEnds(): TailTrial | null {
    const { trial } = this;
    this.trial = null;
    return trial;
  }

  /** The Return names an answer of ours as the source of the results (C-TAI-04). */
  returnedByAdoption(source: AdoptedAnswer): void {
    const revived = this.reviveUsed();
    this.returned = true;
    this.cameBack();
    this.adopting = true;
    this.adopted = source;
    for (const field of this.takeFields() as PromisedField[] as RemotePromise[]) {
      (this.adoptedFields ??= []).push(field.addRef());
      field.resolveTo(source.adoptedCap(field.path), true);
    }
    for (const hook of revived) hook.release();
    // What is held of the fields holds the adopted answer, not this question.
    if (!this.isHeld) this.abandoned();
  }

  override get comesFrom(): Results | null {
    return this.settled ? null : (this.adopted?.adoptedResults ?? null);
  }

  override pipeline(path: Path): Hook {
    // What a tail call returns, or one of which only the pipeline is wanted, we are never told. So a capability in it is no
    // promise: whoever waited for it to resolve would wait, and hold the question, for ever.
    if ((this.isTail || this.isPipelineOnly) && !this.settled) return new PipelineHook(this, path);
    if (this.adopted !== null && !this.settled) {
      const used = this.adoptedFields?.find((field) => samePath(field.path, path));
      return used?.addRef() ?? this.adopted.adoptedCap(path);
    }
    return super.pipeline(path);
  }

  /** The adopted answer is complete; takes over `payload`. */
  adoptionSettled(payload: Payload | null, error: RpcError | null): void {
    this.adopting = false;
    this.adopted = null;
    const fields = this.adoptedFields ?? [];
    this.adoptedFields = null;
    if (payload !== null) {
      payload.own();
      for (const field of fields) replaceCap(payload, field.path, field.resolved());
    }
    this.settle(payload, error);
    for (const field of fields) field.release();
    this.finishIfDone();
  }

  private releaseAdopted(): void {
    const fields = this.adoptedFields;
    this.adoptedFields = null;
    if (fields !== null) for (const field of fields) field.release();
  }

  /** The message could not be written. */
  neverSent(): void {
    this.free(null);
  }

  /** The peer has no entry for this question: no Finish is owed (C-UNI-02). */
  unknownToPeer(error: RpcError): void {
    this.returned = true;
    this.cameBack();
    this.free(error);
    this.settle(null, error);
    this.trialEnds()?.echoed();
  }

  /** Nothing more will come: the connection is lost, or the peer does not know this kind of message. */
  lost(error: RpcError): void {
    this.returned = true;
    this.finished = true;
    this.gone = true;
    this.goneError = error;
    this.settle(null, error);
    this.trialEnds()?.failed(error);
    this.releaseAdopted();
  }

  /** What is known of this call when the connection is lost now. */
  get delivery(): Delivery {
    if (this.returned) return "started";
    return this.position > this.state.outbox.taken ? "not-sent" : "unknown";
  }

  // -- Ends ----------------------------------------------------------------------------------------------------------

  /** The embargoes of pipelined paths go out here, before the Finish can (C-EMB-03 to 05). */
  protected override settleFields(): void {
    const { reflected } = this;
    const payload = this.payload;
    if (reflected === null || payload === null) {
      super.settleFields();
      return;
    }
    for (const field of this.takeFields() as PromisedField[] as RemotePromise[]) {
      const index = capIndex(payload, field.path);
      if (index < 0 || !reflected[index]) {
        field.resolveTo(this.capAt(field.path), false);
        continue;
      }
      // The result's own capability gets the embargo too: whoever awaits the results and calls what is in them has
      // seen the answer, and must come behind what was pipelined (C-EMB-28).
      field.addRef();
      field.resolveTo(this.capAt(field.path), true);
      replaceCap(payload, field.path, field.resolved());
      field.release();
    }
  }

  /** Nobody waits for the results, nor for anything in them: cancels (C-CAN-01). */
  protected abandoned(): void {
    if (this.targets > 0 || this.finished || !this.state.alive) return;
    if (this.returned) {
      this.finishIfDone();
      if (!this.adopting) return;
    }
    this.finished = true;
    this.state.writer.finish(this.id, true, this.inTurn);
    if (this.adopted !== null) this.disowns(this.adopted);
    this.adopted = null;
    this.releaseAdopted();
    givenUp ??= canceledError();
    if (this.isPipelineOnly || this.returned) this.free(null);
    else {
      this.gone = true;
      this.goneError = givenUp;
    }
    if (!this.isTail) this.settle(null, givenUp);
  }

  /**
   * Gives up an answer that the peer named as the source of our results. It runs on while calls of ours, pipelined on this
   * question, may come back to us as calls pipelined on that answer: once each has its Return, none will (C-TAI-08, 10).
   * The peer's Finish alone would not do: C++ 0.9 sends none before the run has ended.
   */
  disowns(source: AdoptedAnswer): void {
    const comesBack = this.givenAway || this.underWay > 0;
    if (comesBack) this.leftBehind = source;
    source.disown(comesBack);
  }

  /** This call was made through a path into the answer to `question`. */
  goesThrough(question: Question): void {
    if (this.isPipelineOnly) question.givenAway = true;
    else {
      this.via = question;
      question.underWay++;
    }
  }

  private cameBack(): void {
    const { via } = this;
    this.via = null;
    if (via === null || --via.underWay > 0 || via.givenAway) return;
    via.leftBehind?.disown(false);
    via.leftBehind = null;
  }

  private concludes(noFinish: boolean, error: RpcError | null): void {
    this.returned = true;
    this.cameBack();
    if (this.finished || noFinish) this.free(error);
  }

  private finishIfDone(): void {
    if (!this.returned || this.finished || this.adopting || this.targets > 0 || !this.state.alive)
      return;
    if (this.isTail && this.isHeld) return;
    this.finished = true;
    this.state.writer.finish(this.id, this.givesBack, false);
    this.free(null);
  }

  /** Return and Finish are both past: the id may be used again. */
  private free(reason: RpcError | null): void {
    this.finished = true;
    this.gone = true;
    this.goneError = reason;
    const { state } = this;
    if (this.isPipelineOnly) state.pipelineQuestions.delete(this.id);
    else state.questions.remove(this.id);
  }

  /** A pipelined capability is gone, but the calls made on it are still on their way: they count (C-EMB-28). */
  forgetField(promise: RemotePromise): void {
    this.dropField(promise);
    if (promise.target.usedAsPromise) (this.usedPaths ??= []).push(promise.path);
    promise.target.release();
    this.fieldUnreferenced();
  }

  private takeUsed(path: Path): boolean {
    const at = this.usedPaths?.findIndex((used) => samePath(used, path)) ?? -1;
    if (at < 0) return false;
    this.usedPaths!.splice(at, 1);
    return true;
  }

  /**
   * Fields for the paths that were used and dropped: they get their embargo like the others, or hand on to a promise in
   * their place that calls went through it (C-RES-21). The results may still be taken, and called.
   */
  private reviveUsed(): readonly Hook[] {
    const { usedPaths } = this;
    return usedPaths === null ? NO_HOOKS : usedPaths.slice().map((path) => this.pipeline(path));
  }
}

function answerGone(): RpcError {
  const message = "the answer called through is finished, or has no capability there";
  return new RpcError("failed", "answer-unavailable", message, { delivery: "not-sent" });
}

/**
 * Sends one call to `target`. Takes `request` over; never throws.
 *
 * What cannot be sent leaves nothing behind: the exports counted for it are taken back, the id is free again, and the
 * results fail as `not-sent` (C-FRM-15, C-REF-11).
 */
export function sendCall(
  state: ConnectionState,
  target: RemoteTarget,
  request: CallRequest,
): Results {
  const { params } = request;
  if (!state.alive) return refuse(state, params, state.error!.delivered("not-sent"));
  if (state.noCalls !== null) return refuse(state, params, state.noCalls);
  if (target.loop !== null) return refuse(state, params, target.loop);
  if (state.draining && refusesOutgoing(state, target))
    return refuse(state, params, drainingError());
  if (state.questions.size >= state.limits.questions)
    return refuse(state, params, tooManyQuestions(state));
  // A call whose results would only be returned over this same connection can leave them with the peer (C-TAI-01).
  const isTail = request.returnTo === state && state.mayTailCall;
  // Who forgets such results, and leaves them to the collector, must not fill the peer's table of answers: with a Return
  // the question is finished, and what is left of it is an import.
  const pipelineOnly =
    (request.flags & ONLY_PROMISE_PIPELINE) !== 0 &&
    !isTail &&
    !state.peerIgnoresPipelineOnly &&
    state.pipelineQuestions.size < state.limits.answers / 2;
  const flags = pipelineOnly ? request.flags : request.flags & ~ONLY_PROMISE_PIPELINE;
  const spare = isTail && !state.peerKnowsTailCalls ? secondTry(request) : null;
  let counted: Export[] | null = null;
  let question: Question | null = null;
  try {
    const content = state.writer.leaving(params.passing);
    if (!state.alive) throw state.error!;
    state.descriptors.reset();
    if (params.caps.length > 0) counted = describeCaps(state, params.caps, null);
    state.batch?.exports(counted);
    question = openQuestion(state, isTail, pipelineOnly);
    state.writer.call(
      question.id,
      target.targetKind,
      target.targetId,
      target.targetPath,
      request.interfaceHi,
      request.interfaceLo,
      request.methodId,
      flags,
      isTail ? SendResultsTo.yourself : SendResultsTo.caller,
      content,
      state.descriptors,
      request.origin === null ? null : (state.identities?.caller?.(request.origin) ?? null),
    );
  } catch (thrown) {
    releaseExports(counted);
    question?.neverSent();
    spare?.params.release();
    return refuse(state, params, RpcError.from(thrown, "internal-error").delivered("not-sent"));
  }
  if (target instanceof PipelineHook) question.goesThrough(target.question);
  question.paramExports = counted;
  question.position = state.outbox.committed;
  announceNew(counted);
  params.release();
  return spare === null ? question : new TailTrial(target, question, spare);
}

/** Asks for the peer's bootstrap capability; only its pipeline is of use. */
export function sendBootstrap(state: ConnectionState): Question {
  const question = openQuestion(state, false, false);
  state.writer.bootstrap(question.id);
  question.position = state.outbox.committed;
  return question;
}

function openQuestion(state: ConnectionState, isTail: boolean, pipelineOnly: boolean): Question {
  const question = new Question(state, isTail);
  question.id = pipelineOnly ? nextPipelineId(state) : state.questions.insert(question);
  if (pipelineOnly) state.pipelineQuestions.set(question.id, question);
  return question;
}

/** Round-robin through [2^31, 2^32), since no Return tells when an id is free at the peer (C-REL-20). */
function nextPipelineId(state: ConnectionState): QuestionId {
  do {
    state.lastPipelineId =
      state.lastPipelineId >= 0xffff_ffff ? FIRST_PIPELINE_QUESTION : state.lastPipelineId + 1;
  } while (state.pipelineQuestions.has(state.lastPipelineId));
  return state.lastPipelineId as QuestionId;
}

function refuse(state: ConnectionState, params: Payload, error: RpcError): Results {
  params.release();
  return failedResults(error, state.scheduler);
}

function tooManyQuestions(state: ConnectionState): RpcError {
  const message = `limit questions: ${state.limits.questions} calls wait for this peer already; await some of them`;
  return new RpcError("overloaded", "limit-exceeded", message, { delivery: "not-sent" });
}
