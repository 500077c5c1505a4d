// Role: one connection to one peer, as a pure state machine: takes messages in, acts through its outbox and `shutdown`.
// State: whether it lives; the rest belongs to the entities (state.ts).
// Must not know: sockets, timers, promises of JavaScript. It dispatches; every entity's rules are in its own file.

import { type ErrorRedactor, RpcError } from "../base/errors.js";
import { DEFAULT_LIMITS, type Limits } from "../base/limits.js";
import type { Scheduler } from "../base/scheduler.js";
import { CallRequest, type Hook, type Pressure } from "../hook/hook.js";
import type { Identities } from "../hook/identities.js";
import {
  EMPTY_PATH,
  ContextTag,
  MessageTag,
  ResolveTag,
  SendResultsTo,
  TargetKind,
} from "../wire/descriptors.js";
import type { Content } from "../wire/content.js";
import type { Frame } from "../wire/frame.js";
import { MessageReader } from "../wire/message-reader.js";
import type { Outbox } from "../wire/outbox.js";
import type { Payload } from "../hook/payload.js";
import { brokenHook } from "../hook/results.js";
import { Answer, answerUnavailable } from "./answer.js";
import { checkState, dumpState, type ConnectionStats, statsOf } from "./audit.js";
import type { BatchSide } from "./batch.js";
import { BootstrapResults, type BootstrapSource } from "./bootstrap.js";
import { callsUnderWay, drainingError, refusesIncoming, refusesOutgoing } from "./drain.js";
import { breakEmbargoes, liftEmbargo } from "./embargo.js";
import type { AnswerId } from "./ids.js";
import { resolveImport } from "./imports.js";
import { sendBootstrap } from "./question.js";
import { isReflected, receiveCap, receivePayload, unknownOperation } from "./receive.js";
import { handleReturn } from "./returns.js";
import { ConnectionState, protocolError, type TailCallPolicy } from "./state.js";
import { handleUnimplemented } from "./unimplemented.js";

export interface ConnectionOptions {
  scheduler: Scheduler;
  /** Where messages are written; whoever owns it hands them to a transport in order. */
  outbox: Outbox;
  /** What the peer is called, for people: the name of the transport, say. Default: `peer`. */
  peer?: string;
  /** How full the way from the outbox to the peer is, for callers that wait for room. */
  pressure?: Pressure | null;
  limits?: Limits;
  /** What the peer gets when it asks for our bootstrap capability. A Hook stays the caller's. */
  bootstrap?: BootstrapSource;
  /**
   * Finds the object that an old peer names in `Bootstrap.deprecatedObjectId` (C-BST-05); its result is given away.
   * Without it such a Bootstrap fails.
   */
  restorer?: ((objectId: Content) => Hook) | null;
  tailCalls?: TailCallPolicy;
  /**
   * Whether errors sent to this peer say where they come from: a trace they arrived with, or the stack of what was
   * thrown here. Off by default, since that may tell a stranger about the inside (C-DIS-13).
   */
  sendTrace?: boolean;
  /** Has the last word on what errors tell this peer. */
  redactError?: ErrorRedactor | null;
  /** Between vats that trust each other: what is said of capabilities beside. By default nothing, and nothing is taken. */
  identities?: Identities | null;
  /**
   * A clock in milliseconds, such as `performance.now`, for the rates of streams (C-FLO-05). Without one, time is what
   * `handle` was told last, which is coarse.
   */
  now?: () => number;
  /**
   * Set where the transport is one request and its response: nobody is called back, and {@link Connection.seal} says when
   * nothing more can be asked.
   */
  batch?: BatchSide | null;
  /**
   * Told once that the connection is over: flush the outbox (it may hold an Abort), then half-close. `error` is what
   * the calls of this connection failed with.
   */
  shutdown: (error: RpcError) => void;
}

/**
 * One connection.
 *
 * @example
 * const outbox = new Outbox();
 * const connection = new Connection({ scheduler, outbox, bootstrap: hook, shutdown: () => transport.end() });
 * connection.handle(frame, performance.now()); // for each message in; drain the scheduler in between
 *
 * Source: rpc.capnp, levels 0 and 1.
 */
export class Connection {
  readonly state: ConnectionState;
  private readonly reader: MessageReader;
  private readonly bootstrapSource: BootstrapSource;
  private readonly restorer: ((objectId: Content) => Hook) | null;
  private readonly shutdown: (error: RpcError) => void;
  private lastReceived = 0;
  private received = 0;

  constructor(options: ConnectionOptions) {
    const limits = options.limits ?? DEFAULT_LIMITS;
    this.reader = new MessageReader(limits);
    this.reader.identities = (options.identities ?? null) !== null;
    this.bootstrapSource = options.bootstrap ?? null;
    this.restorer = options.restorer ?? null;
    this.shutdown = options.shutdown;
    this.state = new ConnectionState({
      scheduler: options.scheduler,
      outbox: options.outbox,
      peer: options.peer ?? "peer",
      pressure: options.pressure ?? null,
      limits,
      tailCalls: options.tailCalls ?? "observed",
      sendTrace: options.sendTrace ?? false,
      batch: options.batch ?? null,
      redactError: options.redactError ?? null,
      identities: options.identities ?? null,
      now: options.now ?? (() => this.lastReceived),
      fail: (error) => this.fault(error),
    });
    if (this.bootstrapSource !== null && typeof this.bootstrapSource !== "function")
      this.bootstrapSource.addRef();
  }

  /** Why the connection is over; null while it lives. */
  get error(): RpcError | null {
    return this.state.error;
  }

  /** Whether nothing is open in either direction (C-LIF-28). */
  get idle(): boolean {
    const s = this.state;
    return (
      s.questions.size +
        s.pipelineQuestions.size +
        s.answers.size +
        s.imports.size +
        s.exports.size ===
        0 && s.embargoes.size === 0
    );
  }

  /** Whether the reserve for incoming calls is spent, so that reading has to stop until it is not (C-FLO-18). */
  get readingExhausted(): boolean {
    return this.state.gate.exhausted;
  }

  /** Whether somebody waits for the results of a call of ours. */
  get expectsResults(): boolean {
    return this.state.questions.values().some((question) => question.isAwaited);
  }

  /** Whether every call of the peer's that wants a Return has got it. */
  get owesNothing(): boolean {
    return this.state.owedReturns === 0;
  }

  /** The time passed to the last `handle`. */
  get lastReceivedAt(): number {
    return this.lastReceived;
  }

  // -- For the owner -------------------------------------------------------------------------------------------------

  /** The peer's bootstrap capability, at once; calls on it are pipelined. The caller owns the reference. */
  bootstrap(): Hook {
    const { state } = this;
    const refusal = state.error?.delivered("not-sent") ?? state.noCalls;
    if (refusal !== null) return brokenHook(refusal, state.scheduler);
    // What is pipelined on it would pass for a part of what is under way.
    if (refusesOutgoing(state, null)) return brokenHook(drainingError(), state.scheduler);
    const question = sendBootstrap(state);
    const hook = question.pipeline(EMPTY_PATH);
    question.cancel();
    return hook;
  }

  /** From now on nothing can be asked of the peer: calls fail with `error`, and what was asked is still answered. */
  seal(error: RpcError): void {
    this.state.noCalls = error;
  }

  /** Whether {@link seal} was called. */
  get sealed(): boolean {
    return this.state.asksOnce && this.state.noCalls !== null;
  }

  /**
   * Ends the connection from this side. Calls under way fail as `disconnected`; the peer gets an Abort when anything is
   * open, an orderly end otherwise (C-FRM-23, C-DIS-07). Idempotent.
   */
  close(reason?: RpcError): void {
    if (!this.state.alive) return;
    const error =
      reason ?? new RpcError("disconnected", "connection-closed", "the connection was closed here");
    if (!this.idle || reason !== undefined) this.sendAbort(error);
    this.end(error);
  }

  /** Begins no new call from now on, in either direction (drain.ts). Whoever asks for it watches `callsUnderWay`. */
  drain(): void {
    this.state.draining = true;
  }

  /** Calls that have begun and not ended, in both directions. Looks at each. */
  get callsUnderWay(): number {
    return callsUnderWay(this.state);
  }

  /**
   * Ends a connection with nothing under way: no Abort, whatever capabilities are held, so that the peer sees an orderly
   * end.
   */
  drained(): void {
    if (!this.state.alive) return;
    this.end(
      new RpcError(
        "disconnected",
        "connection-closed",
        "the connection was drained and closed here",
      ),
    );
  }

  /** Ends the connection because of what the peer sent or what is wrong here: an Abort says why (C-DIS-01). */
  fault(error: RpcError): void {
    if (!this.state.alive) return;
    this.sendAbort(error);
    this.end(error);
  }

  /** The transport is gone; null: the peer ended it in good order (C-DIS-08). */
  disconnected(cause: RpcError | null): void {
    if (!this.state.alive) return;
    this.end(
      cause ?? new RpcError("disconnected", "connection-lost", "the peer ended the connection"),
    );
  }

  /** Throws when a rule between the tables is broken: for tests, after each message. */
  check(): void {
    checkState(this.state);
  }

  stats(): ConnectionStats {
    return statsOf(this.state, this.received);
  }

  /** The tables as text, for people. */
  dump(): string {
    return dumpState(this.state);
  }

  // -- Messages ------------------------------------------------------------------------------------------------------

  /** Handles one message. Never throws: a peer's fault ends this connection and nothing else. */
  handle(frame: Frame, now: number): void {
    if (!this.state.alive) return;
    this.lastReceived = now;
    this.received++;
    try {
      this.reader.read(frame);
      this.dispatch(frame);
    } catch (thrown) {
      this.fault(RpcError.from(thrown, "internal-error"));
    }
  }

  private dispatch(frame: Frame): void {
    const { reader, state } = this;
    switch (reader.tag) {
      case MessageTag.call:
        this.handleCall(frame);
        return;
      case MessageTag.return:
        handleReturn(state, reader, frame);
        return;
      case MessageTag.finish:
        // An unknown id crossed with noFinishNeeded (C-LIF-06).
        state.answers
          .get(reader.questionId)
          ?.finish(reader.releaseResultCaps, reader.requireEarlyCancellationWorkaround);
        return;
      case MessageTag.release:
        this.handleRelease();
        return;
      case MessageTag.resolve:
        this.handleResolve(frame);
        return;
      case MessageTag.disembargo:
        this.handleDisembargo(frame);
        return;
      case MessageTag.bootstrap:
        this.handleBootstrap();
        return;
      case MessageTag.unimplemented:
        handleUnimplemented(state, reader);
        return;
      case MessageTag.abort:
        this.end(peerAborted(reader.takeException()));
        return;
      default:
        // Levels 3 and 4 (provide, accept, thirdPartyAnswer, join), what is obsolete, and what is newer than this.
        state.writer.unimplemented(frame);
    }
  }

  private handleCall(frame: Frame): void {
    const { reader, state } = this;
    const id = reader.questionId as AnswerId;
    this.requireFree(id, "Call");
    const keepsResults = reader.sendResultsTo === SendResultsTo.yourself;
    const knownTarget =
      reader.targetKind === TargetKind.importedCap ||
      reader.targetKind === TargetKind.promisedAnswer;
    if (!knownTarget || (!keepsResults && reader.sendResultsTo !== SendResultsTo.caller)) {
      // The echo leaves the params with their sender (C-LIF-20, C-UNI-09).
      state.writer.unimplemented(frame);
      return;
    }
    if (keepsResults) state.peerKnowsTailCalls = true;
    if (
      state.answers.size >= state.limits.answers ||
      state.heldResultBytes > state.limits.heldResultBytes
    ) {
      this.refuse(id, reader.onlyPromisePipeline && !keepsResults);
      return;
    }
    const bytes = reader.payloadBytes;
    const answer = new Answer(state, id, {
      keepsResults,
      pipelineOnly: reader.onlyPromisePipeline,
      noPipeline: reader.noPromisePipelining,
    });
    // The params first: what throws ends the connection and must not leave a reference to the target behind.
    const { payload, error } = receivePayload(state, reader, this.readsAtOnce());
    const target = this.callTarget(payload, !state.gate.admits(bytes));
    state.answers.set(id, answer);
    if (target instanceof RpcError || error !== null) {
      payload.release();
      if (!(target instanceof RpcError)) target.release();
      answer.fail(error ?? (target as RpcError));
      return;
    }
    const { interfaceHi, interfaceLo, methodId, origin } = reader;
    const request = new CallRequest(interfaceHi, interfaceLo, methodId, payload);
    if (origin !== null) request.origin = state.identities!.calledBy?.(origin) ?? null;
    answer.start(target, request, bytes);
  }

  /** Whether what the Call is addressed to reads its params inside the call. */
  private readsAtOnce(): boolean {
    const { reader, state } = this;
    if (reader.targetKind !== TargetKind.importedCap) return false;
    return state.exports.get(reader.targetId)?.target.readsAtOnce === true;
  }

  /**
   * What a Call is addressed to, as a new reference, or why that call fails (C-LIF-18, C-LIF-19).
   * @param waits it will be withheld: then it goes where the peer was told by then that the promise leads, as its calls by
   * other names do. The promise may lead elsewhere by then, under an embargo; and calls that went one way and the other
   * would not stay in order (C-FLO-17, C-RES-18).
   */
  private callTarget(params: Payload, waits: boolean): Hook | RpcError {
    const { reader, state } = this;
    const id = reader.targetId;
    if (reader.targetKind === TargetKind.importedCap) {
      const entry = state.exports.get(id);
      if (entry === undefined) {
        params.release();
        throw protocolError(`Call to export ${id}, which the peer does not hold`);
      }
      if (refusesIncoming(state, null)) return drainingError();
      return waits ? entry.route() : entry.target.addRef();
    }
    const answer = state.answers.get(id);
    if (answer === undefined) return answerUnavailable(id);
    if (refusesIncoming(state, answer)) return drainingError();
    if (reader.pathUnknownOp) return unknownOperation();
    return waits ? answer.route(reader.path) : answer.target(reader.path);
  }

  /** Over a limit: the call is answered, its params given back, and nothing of it is kept (C-HOS-02). */
  private refuse(id: AnswerId, noReturn: boolean): void {
    const { state } = this;
    const message =
      state.answers.size >= state.limits.answers
        ? `limit answers: ${state.limits.answers} calls of this connection are open here; finish some of them`
        : `limit heldResultBytes: ${state.limits.heldResultBytes} bytes of results wait to be finished`;
    const error = new RpcError("overloaded", "limit-exceeded", message);
    if (noReturn) throw error;
    state.writer.returnException(id, true, true, error);
  }

  private handleBootstrap(): void {
    const { reader, state } = this;
    const id = reader.questionId as AnswerId;
    this.requireFree(id, "Bootstrap");
    if (state.answers.size >= state.limits.answers) {
      this.refuse(id, false);
      return;
    }
    const answer = new Answer(state, id);
    state.answers.set(id, answer);
    if (refusesIncoming(state, null)) {
      answer.fail(drainingError());
      return;
    }
    if (!reader.hasDeprecatedObjectId) {
      answer.await(new BootstrapResults(this.bootstrapSource, state));
      return;
    }
    const { restorer } = this;
    if (restorer === null) {
      const message =
        "Bootstrap by object id is obsolete; ask the bootstrap capability for the object";
      answer.fail(new RpcError("failed", "no-bootstrap", message));
      return;
    }
    let objectId: Content;
    try {
      objectId = reader.takeContent();
    } catch (thrown) {
      answer.fail(RpcError.from(thrown));
      return;
    }
    answer.await(new BootstrapResults(() => restorer(objectId), state));
  }

  private handleRelease(): void {
    const { reader, state } = this;
    const entry = state.exports.get(reader.id);
    if (entry === undefined)
      throw protocolError(`Release of export ${reader.id}, which the peer does not hold`);
    entry.release(reader.referenceCount);
  }

  private handleResolve(frame: Frame): void {
    const { reader, state } = this;
    if (reader.resolveTag === ResolveTag.exception) {
      const broken = brokenHook(state.heard(reader.takeException()), state.scheduler);
      resolveImport(state, reader.id, broken, false);
      return;
    }
    if (reader.resolveTag !== ResolveTag.cap) {
      state.writer.unimplemented(frame);
      return;
    }
    const id = reader.id;
    const pointsBack = isReflected(reader.capKind(0));
    const replacement = receiveCap(state, reader, 0);
    if (replacement === null)
      throw protocolError(`Resolve of promise ${id} to no capability at all`);
    resolveImport(state, id, replacement, pointsBack);
  }

  private handleDisembargo(frame: Frame): void {
    const { reader, state } = this;
    if (reader.contextTag === ContextTag.receiverLoopback) {
      // Calls that it followed round may be withheld: it must not pass them (C-EMB-01).
      const { embargoId } = reader;
      if (state.gate.withheld === 0) liftEmbargo(state, embargoId);
      else
        state.gate.withhold(0, () => {
          if (state.alive) this.guard(() => liftEmbargo(state, embargoId));
        });
      return;
    }
    if (reader.contextTag !== ContextTag.senderLoopback) {
      state.writer.unimplemented(frame);
      return;
    }
    if (reader.pathUnknownOp) {
      state.writer.unimplemented(frame); // An operation must not be ignored: the path would lead elsewhere (C-PIP-06).
      return;
    }
    this.echo(reader.targetKind, reader.targetId, reader.path, reader.embargoId);
  }

  private echo(
    targetKind: number,
    targetId: number,
    path: readonly number[],
    embargoId: number,
  ): void {
    const { state } = this;
    const isCap = targetKind === TargetKind.importedCap;
    if (isCap && state.exports.get(targetId) !== undefined)
      state.exports.get(targetId)!.disembargo(embargoId);
    else if (targetKind === TargetKind.promisedAnswer && state.answers.get(targetId) !== undefined)
      state.answers.get(targetId)!.disembargo(path, embargoId);
    else
      throw protocolError(
        `Disembargo for ${isCap ? "export" : "question"} ${targetId}, which is not open`,
      );
  }

  private requireFree(id: AnswerId, message: string): void {
    if (this.state.answers.get(id) !== undefined)
      throw protocolError(`${message} with question ${id}, which is open`);
  }

  // -- The end -------------------------------------------------------------------------------------------------------

  private guard(action: () => void): void {
    try {
      action();
    } catch (thrown) {
      this.fault(RpcError.from(thrown));
    }
  }

  private sendAbort(error: RpcError): void {
    try {
      this.state.writer.abort(error);
    } catch {
      // Even an Abort may be too large for tiny limits: then the end of the stream has to do.
    }
  }

  /** Marks the connection dead first, then lets go of everything: whatever is called meanwhile finds it dead (C-DIS-05). */
  private end(cause: RpcError): void {
    const { state } = this;
    const error = cause.type === "disconnected" ? cause : cause.as("disconnected", cause.code);
    state.error = error;
    const deliveries = state.questions
      .values()
      .map((question) => ({ question, delivery: question.delivery }));
    for (const question of state.pipelineQuestions.values())
      deliveries.push({ question, delivery: question.delivery });
    state.questions.drain();
    state.pipelineQuestions.clear();
    const answers = state.answers.drain();
    const imports = state.imports.drain();
    const exports = state.exports.drain();
    for (const { question, delivery } of deliveries) question.lost(error.delivered(delivery));
    for (const entry of imports)
      entry.promised?.promise?.resolveTo(brokenHook(error, state.scheduler), false);
    breakEmbargoes(state);
    // The latest first. What they are passed on as, over other connections, is canceled in this order too; a call that is
    // delivered in the midst of that must not be behind one that was canceled (C-EMB-26).
    answers.sort((a, b) => b.arrival - a.arrival);
    for (const answer of answers) answer.lost();
    state.gate.open();
    for (const entry of exports) entry.detach();
    state.exportsByHook.clear();
    // A job for each: what one of them throws is not to keep the others from hearing of it.
    for (const watcher of state.watchers)
      state.scheduler.post({ run: () => watcher.hookResolved() });
    state.watchers.clear();
    if (this.bootstrapSource !== null && typeof this.bootstrapSource !== "function")
      this.bootstrapSource.release();
    this.shutdown(error);
  }
}

function peerAborted(reason: RpcError): RpcError {
  return new RpcError(
    "disconnected",
    "peer-aborted",
    `the peer ended the connection: ${reason.message}`,
    {
      cause: reason,
      details: reason.details,
      trace: reason.trace,
    },
  );
}
