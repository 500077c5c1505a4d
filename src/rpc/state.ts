// Role: what all entities of one connection share: tables, writer, limits, and whether it still lives.
// State: the tables themselves; each entity's own file says what may happen to its entries.
// Must not know: transports, timers, user code.

import { type ErrorRedactor, RpcError } from "../base/errors.js";
import type { Limits } from "../base/limits.js";
import type { Scheduler } from "../base/scheduler.js";
import type { Hook, HookWatcher, Lifeline, Pressure } from "../hook/hook.js";
import type { Identities } from "../hook/identities.js";
import { Descriptors } from "../wire/descriptors.js";
import { MessageWriter } from "../wire/message-writer.js";
import type { Outbox } from "../wire/outbox.js";
import type { Answer } from "./answer.js";
import type { BatchSide } from "./batch.js";
import type { Embargo } from "./embargo.js";
import type { Export } from "./exports.js";
import { FlowGate } from "./flow-gate.js";
import type { AnswerId, EmbargoId, ExportId, ImportId, QuestionId } from "./ids.js";
import type { ImportHook } from "./imports.js";
import type { Question } from "./question.js";
import { StreamPath } from "./stream-path.js";
import { OwnTable, PeerTable } from "./tables.js";

/**
 * When calls that lead straight back to the peer are sent as tail calls (`sendResultsTo.yourself`, C-TAI-14):
 * `observed` once the peer has shown that it knows them, by sending one; `always`, with the first one as a trial
 * (tail-trial.ts); `never`. A peer that echoes one as unknown gets no more of them (C-TAI-13).
 *
 * `always` is not for a C++ peer: that says that it has run a tail call only once we have finished it, and the trial waits for
 * its word before it does. With `observed` there is no trial.
 */
export type TailCallPolicy = "observed" | "always" | "never";

export interface StateOptions {
  scheduler: Scheduler;
  outbox: Outbox;
  /** What the peer is called, for people. */
  peer: string;
  /** Of the outbox's owner: bytes that wait. */
  pressure: Pressure | null;
  limits: Limits;
  tailCalls: TailCallPolicy;
  sendTrace: boolean;
  redactError: ErrorRedactor | null;
  identities: Identities | null;
  /** A clock in milliseconds, for rates and round trips. */
  now: () => number;
  /** Which half of a single request and response this is; null for a connection in both directions. */
  batch: BatchSide | null;
  /** Called when something goes wrong outside of `handle`, such as in a job. */
  fail(error: RpcError): void;
}

/** What the entities of one connection share. It is also the brand of the connection's imports. */
export class ConnectionState implements Lifeline {
  readonly scheduler: Scheduler;
  readonly outbox: Outbox;
  readonly writer: MessageWriter;
  readonly peer: string;
  readonly pressure: Pressure | null;
  readonly limits: Limits;
  readonly tailCalls: TailCallPolicy;
  readonly now: () => number;
  readonly batch: BatchSide | null;
  readonly identities: Identities | null;
  readonly fail: (error: RpcError) => void;

  readonly questions = new OwnTable<QuestionId, Question>();
  /** Questions without a Return, under ids from 2^31 up. */
  readonly pipelineQuestions = new Map<number, Question>();
  readonly answers = new PeerTable<AnswerId, Answer>();
  readonly imports = new PeerTable<ImportId, ImportHook>();
  readonly exports = new OwnTable<ExportId, Export>();
  /** Exports of promises, and of objects that already know themselves by an export of another connection. */
  readonly exportsByHook = new Map<Hook, Export>();
  readonly embargoes = new OwnTable<EmbargoId, Embargo>();

  /** Scratch for the capability table of the message being written. */
  readonly descriptors = new Descriptors();
  readonly gate: FlowGate;
  private streams: StreamPath | null = null;

  /** Why the connection is over, in the words its calls fail with; null while it lives. */
  error: RpcError | null = null;
  /** Those who are told when it is. */
  readonly watchers = new Set<HookWatcher>();
  /** No new call is begun, in either direction; what is under way goes on (drain.ts). */
  draining = false;
  /** The peer has sent or answered a tail call: it knows them. */
  peerKnowsTailCalls = false;
  /** The peer has said that it does not know a part of them. */
  peerLacksTailCalls = false;
  /** The peer returned what was to have no Return: the hint is not used again (C-REL-21). */
  peerIgnoresPipelineOnly = false;
  /** The last id used for a question without a Return. */
  lastPipelineId = 0xffff_ffff;
  /** Embargoes of the peer's that wait here for a Resolve or Return of ours. */
  parkedDisembargoes = 0;
  /** Calls and bootstrap requests of the peer's, ever. */
  arrivals = 0;
  /** Why no call can be sent, though the connection lives; null while one can. */
  noCalls: RpcError | null;
  /** Returns that the peer waits for. */
  owedReturns = 0;
  /** Bytes of results kept for answers that the peer has not finished. */
  heldResultBytes = 0;

  constructor(options: StateOptions) {
    this.scheduler = options.scheduler;
    this.outbox = options.outbox;
    this.peer = options.peer;
    this.pressure = options.pressure;
    this.limits = options.limits;
    this.tailCalls = options.tailCalls;
    this.now = options.now;
    this.batch = options.batch;
    this.identities = options.identities;
    this.noCalls = options.batch?.refusesCalls() ?? null;
    this.fail = options.fail;
    const { outbox, limits, sendTrace, redactError } = options;
    this.writer = new MessageWriter(outbox, limits, sendTrace, redactError);
    this.gate = new FlowGate(options.limits, options.scheduler);
  }

  /** What a failure that came from the peer is here. */
  heard(error: RpcError): RpcError {
    return this.identities?.heard?.(error) ?? error;
  }

  /** What the streams to the peer share; most connections have none. */
  get streamPath(): StreamPath {
    return (this.streams ??= new StreamPath());
  }

  /** Whether what is asked of the peer is asked in one go, and nothing after it. */
  get asksOnce(): boolean {
    return this.batch?.asksOnce === true;
  }

  get alive(): boolean {
    return this.error === null;
  }

  /** Whether calls back to the peer may go as tail calls. */
  get mayTailCall(): boolean {
    if (this.tailCalls === "never" || this.peerLacksTailCalls) return false;
    return this.tailCalls === "always" || this.peerKnowsTailCalls;
  }

  /** Whether `hook` stands for something of the peer's, reached over this connection. */
  owns(hook: Hook): boolean {
    return hook.brand === this;
  }
}

/** The peer broke a rule: ends this connection and nothing else (C-DIS-01). */
export function protocolError(message: string): RpcError {
  return new RpcError("failed", "protocol-error", `the peer broke the protocol: ${message}`);
}
