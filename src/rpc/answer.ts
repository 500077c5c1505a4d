// Role: the answer table: calls and bootstrap requests of the peer's.
// State: per answer, its results while they are not returned; after the Return, where pipelined calls go from then on.
// Must not know: user code. One Return out, one Finish in; the entry lives until both (C-LIF-04).

import { RpcError } from "../base/errors.js";
import type { CallRequest, Hook, HookWatcher } from "../hook/hook.js";
import type { Path } from "../hook/payload.js";
import { PromiseHook } from "../hook/promise.js";
import { brokenHook, nullHook, type Results, type ResultsObserver } from "../hook/results.js";
import type { Content } from "../wire/content.js";
import { ReturnTag } from "../wire/descriptors.js";
import { followPath } from "../wire/path.js";
import { doorTo } from "./door.js";
import { echoDisembargo, parkDisembargo } from "./disembargo.js";
import { announceNew, describeCaps, type Export, releaseExports } from "./exports.js";
import type { AnswerId } from "./ids.js";
import type { AdoptedAnswer, Question } from "./question.js";
import { Route, type Routed } from "./route.js";
import type { ConnectionState } from "./state.js";

/** What a Call says about its results. */
export interface AnswerHints {
  keepsResults: boolean;
  pipelineOnly: boolean;
  noPipeline: boolean;
}

const NO_HINTS: AnswerHints = { keepsResults: false, pipelineOnly: false, noPipeline: false };

/** A path into an answer that has not returned, for who holds on to it; see {@link Answer.route}. */
class AnswerSlot implements Routed, HookWatcher {
  readonly path: Path;
  readonly route: Route;
  /** What calls go to until the Return. Owned. */
  readonly target: Hook;
  private readonly slots: Set<AnswerSlot>;
  /** Where the Return said that it leads, while calls still wait in `target`. Owned. */
  private way: Hook | null = null;

  /** Takes over `target`. */
  constructor(slots: Set<AnswerSlot>, path: Path, target: Hook) {
    this.path = path;
    this.target = target;
    this.route = new Route(this);
    this.slots = slots;
    slots.add(this);
  }

  /**
   * The Return says that the path leads to `way`, which is taken over. Until the calls that wait in the promise have been
   * made this is a promise still: one of them, or one that is made with them, may pass it on, and whoever then called what
   * it leads to would overtake those that still wait (C-EMB-25).
   */
  settle(way: Hook): void {
    this.slots.delete(this);
    this.way = way;
    const { target } = this;
    if (target instanceof PromiseHook && target.isForwarding) target.watch(this);
    else this.hookResolved();
  }

  /** The calls that waited have been made. */
  hookResolved(): void {
    this.route.settle(this.way!);
    this.letGo();
  }

  routeReleased(): void {
    this.slots.delete(this);
    this.target.unwatch(this);
    this.letGo();
  }

  private letGo(): void {
    this.target.release();
    this.way?.release();
    this.way = null;
  }
}

/** One answer. */
export class Answer implements ResultsObserver, AdoptedAnswer {
  readonly state: ConnectionState;
  readonly id: AnswerId;
  /** How many came before it on this connection. */
  readonly arrival: number;
  /** The peer wants the results kept here for a question of OURS (`sendResultsTo.yourself`, C-TAI-02). */
  readonly keepsResults: boolean;
  /** No Return is wanted (C-REL-19); with `keepsResults` one is (C-REL-22). */
  readonly pipelineOnly: boolean;
  /** The peer has said that it will not pipeline: nothing is kept for it (C-REL-17). */
  private readonly noPipeline: boolean;
  private results: Results | null = null;
  /** Our own call whose results the peer has itself, when we answered by a tail call. */
  private tail: Question | null = null;
  private adopter: Question | null = null;
  private adopted = false;
  private returned = false;
  /** Nothing of it is left: it was finished, or the connection is over. */
  private gone = false;
  private finished = false;
  private error: RpcError | null = null;
  /** After a Return with capabilities: what to follow paths in, and where each slot leads, frozen (C-RES-19). */
  private content: Content | null = null;
  private routes: (Hook | null)[] | null = null;
  private resultExports: Export[] | null = null;
  private charged = 0;
  private held = 0;
  private early: { path: Path; embargoId: number }[] | null = null;
  /** Those who hold a path into this and wait for the Return. Made when needed: most answers have none. */
  private slots: Set<AnswerSlot> | null = null;

  constructor(state: ConnectionState, id: AnswerId, hints: AnswerHints = NO_HINTS) {
    this.state = state;
    this.id = id;
    this.arrival = state.arrivals++;
    this.keepsResults = hints.keepsResults;
    this.pipelineOnly = hints.pipelineOnly && !hints.keepsResults;
    this.noPipeline = hints.noPipeline;
    if (!this.pipelineOnly) state.owedReturns++;
  }

  /**
   * Encodes inside the settling: settles nothing, and runs no user code, but for the redaction hook where errors are among
   * the results, which are no scratch then. Nor are results to be kept.
   */
  get immediate(): boolean {
    return !this.keepsResults && !this.pipelineOnly;
  }

  get hasReturned(): boolean {
    return this.returned;
  }

  /** Whether its call has begun and not ended. Of one without a Return only its results can tell. */
  get isUnderWay(): boolean {
    if (this.returned || this.gone) return false;
    return !this.pipelineOnly || this.results?.settled === false;
  }

  get isFinished(): boolean {
    return this.finished;
  }

  /** Bytes of results held for pipelining. */
  get heldBytes(): number {
    return this.held;
  }

  // -- Running the call ----------------------------------------------------------------------------------------------

  /** Makes the peer's call on `target`, at once or when there is room. Takes both over; `bytes` is what it costs. */
  start(target: Hook, request: CallRequest, bytes: number): void {
    // Where no Return is sent, none can say whose results to take.
    if (!this.keepsResults && !this.pipelineOnly) request.returnTo = this.state;
    const { gate } = this.state;
    if (gate.admits(bytes)) {
      this.charge(bytes);
      this.await(target.call(request));
      target.release();
      return;
    }
    // Withheld: a promise in front of the target takes this call, and what is pipelined on it, until there is room.
    const door = doorTo(this.state, target, bytes, () => {
      if (!this.returned && !this.gone) this.charge(bytes);
    });
    request.params.own();
    this.await(door.call(request));
    door.release();
  }

  /** Answers with `results`. */
  await(results: Results): void {
    this.results = results;
    if (this.pipelineOnly) {
      results.observe(this);
      results.dropResponse();
    } else if (results.redirected !== null) this.redirect(results.redirected as Question);
    else results.observe(this);
  }

  resultsSettled(results: Results): void {
    if (!this.state.alive) return;
    if (this.pipelineOnly) {
      this.ran(results);
      return;
    }
    try {
      if (this.keepsResults) this.keep(results);
      else if (this.finished) this.returnCanceled(results);
      else if (results.redirected !== null) this.redirect(results.redirected as Question);
      else if (results.error !== null) this.returnError(results.error);
      else this.returnResults(results);
      if (this.finished) this.remove();
      else {
        if (this.slots !== null) for (const slot of this.slots) slot.settle(this.target(slot.path));
        this.echoEarly();
      }
    } catch (thrown) {
      this.state.fail(RpcError.from(thrown));
    }
  }

  /** Fails the call before it was made. */
  fail(error: RpcError): void {
    if (this.pipelineOnly) {
      this.error = error;
      this.returned = true;
    } else if (this.keepsResults) {
      this.error = error;
      this.concluded();
      this.state.writer.returnOther(this.id, ReturnTag.resultsSentElsewhere, false, false, 0);
    } else this.returnError(error);
  }

  // -- What the peer sends -------------------------------------------------------------------------------------------

  /** Where a call pipelined on this answer goes: a new reference. */
  target(path: Path): Hook {
    const { scheduler } = this.state;
    if (this.error !== null) return brokenHook(this.error, scheduler);
    if (this.noPipeline) return brokenHook(answerUnavailable(this.id), scheduler);
    const { results } = this;
    if (results !== null && (this.routes === null || !results.pipelineKept(path)))
      return results.pipeline(path);
    return this.frozenRoute(path);
  }

  /**
   * The same for who does not call at once: from the Return on it leads where the Return said, as the peer's own calls do.
   * The results may hold a promise that resolves later and leads elsewhere then; who followed that would overtake the
   * peer's calls that still go the way that the Return named, or fall behind them (C-RES-19, C-EMB-18).
   */
  route(path: Path): Hook {
    const target = this.target(path);
    if (this.returned || this.results === null || this.keepsResults || this.pipelineOnly)
      return target;
    return new AnswerSlot((this.slots ??= new Set()), path, target).route;
  }

  /** Where the Return said that `path` leads (C-RES-19): a new reference. */
  private frozenRoute(path: Path): Hook {
    const { scheduler } = this.state;
    if (this.tail !== null) return this.tail.pipeline(path);
    if (this.content === null || this.routes === null)
      return brokenHook(answerUnavailable(this.id), scheduler);
    let index: number;
    try {
      index = followPath(this.content, path);
    } catch (thrown) {
      return brokenHook(RpcError.from(thrown), scheduler);
    }
    if (index < 0) return nullHook(scheduler);
    if (index >= this.routes.length) return brokenHook(answerUnavailable(this.id), scheduler);
    return this.routes[index]?.addRef() ?? nullHook(scheduler);
  }

  /** A senderLoopback aimed at a path of this answer. */
  disembargo(path: Path, embargoId: number): void {
    if (!this.returned) {
      parkDisembargo(this.state);
      (this.early ??= []).push({ path, embargoId });
      return;
    }
    // Whatever a pipeline set before led to: the peer embargoes what the Return said.
    const route = this.frozenRoute(path);
    try {
      echoDisembargo(this.state, route, embargoId);
    } finally {
      route.release();
    }
  }

  /**
   * The Finish. Before the Return it cancels the call: at once, or with `deliverFirst` after the call's turn, so that
   * its method can opt out of cancellation first (C-CAN-06). A second one changes nothing (C-LIF-07).
   */
  finish(releaseResultCaps: boolean, deliverFirst: boolean): void {
    if (this.finished) return;
    this.finished = true;
    if (!this.returned && !this.pipelineOnly) {
      // The call goes on for the question of ours that takes its results (C-TAI-09).
      if (this.adopter !== null) return;
      if (deliverFirst) this.results?.cancelInTurn();
      else this.cancel();
      return;
    }
    if (releaseResultCaps) releaseExports(this.resultExports);
    this.remove();
  }

  /** The peer names this as the source of the results of `question` (C-TAI-03, C-TAI-04). False: it may not. */
  adoptBy(question: Question): boolean {
    if (!this.keepsResults || this.adopted || this.finished) return false;
    this.adopted = true;
    if (question.hasFinished) {
      // Given up while the tail call was on its way here: nobody wants the run either (C-TAI-10).
      question.returnedElsewhere(false);
      question.disowns(this);
      return true;
    }
    if (this.results?.awaits(question) === true) {
      const message = "the call was to be answered by its own results";
      question.returnedError(new RpcError("failed", "promise-cycle", message), false);
      return true;
    }
    // Before the adoption, which may find that only pipelined capabilities were held, and disown at once (C-CAN-02).
    this.adopter = question;
    question.returnedByAdoption(this);
    if (!this.returned) return true;
    this.adopter = null;
    if (this.error !== null) question.adoptionSettled(null, this.error);
    else question.adoptionSettled(this.results!.takePayload(), null);
    this.unhold();
    return true;
  }

  /**
   * Nobody here wants the results as a whole. With `comesBack` the peer may still send us calls pipelined on this answer,
   * made before it hears of that, so it goes on until the peer's Finish, which may have come first.
   */
  disown(comesBack: boolean): void {
    this.adopter = null;
    if (!this.returned && (this.finished || !comesBack)) this.cancel();
  }

  get adoptedResults(): Results | null {
    return this.results;
  }

  adoptedCap(path: Path): Hook {
    return this.target(path);
  }

  /** The connection is lost: lets go of everything. */
  lost(): void {
    this.finished = true;
    this.dropAll();
  }

  // -- Returning -----------------------------------------------------------------------------------------------------

  private returnResults(results: Results): void {
    const { state } = this;
    const payload = results.takePayload();
    const plain = payload.caps.length === 0;
    const routes: (Hook | null)[] | null = plain ? null : [];
    let counted: Export[] | null = null;
    try {
      const content = state.writer.leaving(plain ? payload.passing : payload.content);
      if (!state.alive) {
        payload.release();
        return;
      }
      counted = describeCaps(state, payload.caps, routes);
      const canWait = plain && results.acknowledges;
      state.writer.returnResults(this.id, false, plain, content, state.descriptors, canWait);
    } catch (thrown) {
      releaseExports(counted);
      for (const route of routes ?? []) route?.release();
      payload.release();
      this.returnError(RpcError.from(thrown));
      return;
    }
    this.concluded();
    if (plain) {
      // Nothing in the results to pipeline on: the answer is gone, no Finish is needed (C-REL-15, C-REL-16).
      this.finished = true;
      return;
    }
    this.resultExports = counted;
    if (this.noPipeline) for (const route of routes!) route?.release();
    else {
      this.content = payload.own().content;
      this.routes = routes;
      this.hold(payload.bytes);
    }
    // A pipeline set before the return goes on to serve the paths that were used through it (C-PIP-07).
    if (!results.pipelineSet) this.dropResults();
    announceNew(counted);
    payload.release();
  }

  private returnError(error: RpcError): void {
    // No noFinishNeeded: calls pipelined on a failure are to hear that failure, not that the answer is gone (C-PIP-05).
    this.error = error;
    this.concluded();
    this.hold(error.heldBytes);
    this.dropResults();
    this.state.writer.returnException(this.id, false, false, error);
  }

  private returnCanceled(results: Results): void {
    this.concluded();
    results.redirected?.cancel();
    this.state.writer.returnOther(this.id, ReturnTag.canceled, false, false, 0);
  }

  /** A call without a Return has ended: it runs no more, and what it gave is kept until the Finish (C-HOS-03). */
  private ran(results: Results): void {
    if (this.gone) return;
    this.discharge();
    this.hold(results.error?.heldBytes ?? results.payloadBytes);
  }

  /** The results stay here, for a question of ours that may or may not have asked yet. */
  private keep(results: Results): void {
    this.error = results.error;
    this.concluded();
    const adopter = this.adopter;
    this.adopter = null;
    this.state.writer.returnOther(this.id, ReturnTag.resultsSentElsewhere, false, false, 0);
    if (adopter === null) {
      this.hold(results.payloadBytes);
      return;
    }
    if (results.error !== null) adopter.adoptionSettled(null, results.error);
    else adopter.adoptionSettled(results.takePayload(), null);
  }

  /** The results went to the peer by a tail call of ours. */
  private redirect(tail: Question): void {
    this.concluded();
    this.tail = tail;
    this.dropResults(tail);
    tail.dropResponse();
    this.state.writer.returnOther(this.id, ReturnTag.takeFromOtherQuestion, false, false, tail.id);
  }

  private concluded(): void {
    this.returned = true;
    this.state.owedReturns--;
    this.discharge();
  }

  private echoEarly(): void {
    const early = this.takeEarly();
    if (early !== null) for (const { path, embargoId } of early) this.disembargo(path, embargoId);
  }

  private takeEarly(): { path: Path; embargoId: number }[] | null {
    const { early } = this;
    if (early === null) return null;
    this.early = null;
    this.state.parkedDisembargoes -= early.length;
    return early;
  }

  // -- Ends ----------------------------------------------------------------------------------------------------------

  private cancel(): void {
    this.results?.cancel();
  }

  private remove(): void {
    if (this.state.answers.get(this.id) === this) this.state.answers.delete(this.id);
    this.dropAll();
  }

  private dropAll(): void {
    this.gone = true;
    // No Return names a way: they follow the results, if those still come.
    if (this.slots !== null) for (const slot of this.slots) slot.settle(slot.target.addRef());
    this.dropResults();
    this.takeEarly();
    this.discharge();
    this.unhold();
    const { routes, tail } = this;
    this.routes = null;
    this.content = null;
    this.tail = null;
    if (routes !== null) for (const route of routes) route?.release();
    tail?.cancel();
  }

  private dropResults(except: Results | null = null): void {
    const results = this.results;
    this.results = null;
    if (results === null || results === except) return;
    // Whoever is not lost may have called behind what the lost peer asked for, and waits for it to be made first.
    if (this.state.alive) results.cancel();
    else results.cancelInTurn();
  }

  private charge(bytes: number): void {
    // Zero would mean "not charged".
    this.charged = Math.max(bytes, 1);
    this.state.gate.charge(this.charged);
  }

  private discharge(): void {
    if (this.charged > 0) this.state.gate.discharge(this.charged);
    this.charged = 0;
  }

  private hold(bytes: number): void {
    this.held = bytes;
    this.state.heldResultBytes += bytes;
  }

  private unhold(): void {
    this.state.heldResultBytes -= this.held;
    this.held = 0;
  }
}

/** What a call pipelined on an answer that is not there gets (C-LIF-19, C-PIP-10, C-REL-16). */
export function answerUnavailable(id: number): RpcError {
  const message = `question ${id} is not open any more, or its results hold no such capability`;
  return new RpcError("failed", "answer-unavailable", message);
}
