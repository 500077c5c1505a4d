// Role: looks at one connection from outside: are its tables sound, how full are they, what is in them.
// State: none. Must not change anything.

import { LocalHook } from "../hook/local.js";
import { exportKnown } from "./exports.js";
import type { ConnectionState } from "./state.js";

/** How full a connection is, next to its limits (docs/limits.md). */
export interface ConnectionStats {
  readonly questions: number;
  readonly pipelineQuestions: number;
  readonly answers: number;
  readonly imports: number;
  readonly exports: number;
  readonly embargoes: number;
  /** Bytes of params of calls being handled, and of calls withheld. */
  readonly incomingCallBytes: number;
  readonly withheldCallBytes: number;
  readonly withheldCalls: number;
  readonly heldResultBytes: number;
  /** Bytes written here and not yet handed to the transport. */
  readonly outboxBytes: number;
  readonly messagesIn: number;
  readonly messagesOut: number;
}

export function statsOf(state: ConnectionState, received: number): ConnectionStats {
  return {
    questions: state.questions.size,
    pipelineQuestions: state.pipelineQuestions.size,
    answers: state.answers.size,
    imports: state.imports.size,
    exports: state.exports.size,
    embargoes: state.embargoes.size,
    incomingCallBytes: state.gate.bytesInUse,
    withheldCallBytes: state.gate.bytesWithheld,
    withheldCalls: state.gate.withheld,
    heldResultBytes: state.heldResultBytes,
    outboxBytes: state.outbox.bytes,
    messagesIn: received,
    messagesOut: state.outbox.committed,
  };
}

/** @throws Error naming the first rule found broken. Tests run it after each message: it builds no text while all is well. */
export function checkState(state: ConnectionState): void {
  const { questions, imports, exports, answers, gate } = state;
  if (questions.size > 0)
    for (const question of questions.values()) {
      const { id } = question;
      if (questions.get(id) !== question) broken("question", id, "stands under another id");
      if (question.hasReturned && question.hasFinished)
        broken("question", id, "is over but not freed");
    }
  if (imports.size > 0)
    for (const entry of imports.values()) {
      const { id } = entry;
      const promise = entry.promised?.promise ?? null;
      if (imports.get(id) !== entry) broken("import", id, "stands under another id");
      if (entry.wireRefs <= 0) broken("import", id, "has no reference at the peer");
      if (entry.refCount <= 0) broken("import", id, "is held by nobody and not released");
      if (promise !== null && promise.next !== null)
        broken("import", id, "keeps a resolved promise");
    }
  if (exports.size > 0)
    for (const entry of exports.values()) {
      const { id } = entry;
      if (exports.get(id) !== entry) broken("export", id, "stands under another id");
      if (entry.refs <= 0) broken("export", id, "has no reference and is not freed");
      if (entry.hook.refCount <= 0) broken("export", id, "holds a capability that was released");
      if (entry.hook instanceof LocalHook && exportKnown(state, entry.hook) !== entry)
        broken("export", id, "is not known by its object");
    }
  for (const [hook, entry] of state.exportsByHook)
    if (exports.get(entry.id) !== entry || hook.refCount <= 0)
      broken("export", entry.id, "has a stale reverse entry");
  let held = 0;
  let owed = 0;
  if (answers.size > 0)
    for (const answer of answers.values()) {
      const { id } = answer;
      if (answers.get(id) !== answer) broken("answer", id, "stands under another id");
      if (answer.hasReturned && answer.isFinished) broken("answer", id, "is over but not freed");
      held += answer.heldBytes;
      if (!answer.hasReturned && !answer.pipelineOnly) owed++;
    }
  if (held !== state.heldResultBytes)
    demand(false, `${state.heldResultBytes} bytes of results are accounted for, ${held} held`);
  if (state.alive)
    demand(
      owed === state.owedReturns,
      `${state.owedReturns} Returns are owed by count, ${owed} in fact`,
    );
  demand(
    gate.bytesInUse >= 0 && gate.bytesWithheld >= 0,
    "the bytes of incoming calls went below zero",
  );
  demand(answers.size > 0 || gate.bytesInUse === 0, "no answer is open, yet call bytes are in use");
  const open = questions.size + answers.size + imports.size + exports.size + state.embargoes.size;
  demand(state.alive || open === 0, "the connection is over but its tables are not empty");
}

function broken(kind: string, id: number, what: string): never {
  throw new Error(`connection check: ${kind} ${id} ${what}`);
}

function demand(rule: boolean, message: string): asserts rule {
  if (!rule) throw new Error(`connection check: ${message}`);
}

export function dumpState(state: ConnectionState): string {
  const lines: string[] = [
    state.alive ? "connection: open" : `connection: over (${state.error!.message})`,
  ];
  for (const q of state.questions.values())
    lines.push(
      `question ${q.id}:${q.isTail ? " tail call" : ""}${q.hasReturned ? " returned" : ""}${q.hasFinished ? " finished" : ""} paths held ${q.targetsHeld}`,
    );
  for (const q of state.pipelineQuestions.values()) lines.push(`question ${q.id}: pipeline only`);
  for (const a of state.answers.values())
    lines.push(
      `answer ${a.id}:${a.keepsResults ? " keeps results" : ""}${a.hasReturned ? " returned" : ""}${a.isFinished ? " finished" : ""}`,
    );
  for (const i of state.imports.values())
    lines.push(
      `import ${i.id}:${i.wasPromise ? " promise" : ""} wire refs ${i.wireRefs} held ${i.refCount}`,
    );
  for (const e of state.exports.values())
    lines.push(
      `export ${e.id}: ${e.hook.constructor.name}${e.wasPromise ? " promise" : ""} wire refs ${e.refs}`,
    );
  if (state.embargoes.size > 0) lines.push(`embargoes: ${state.embargoes.size}`);
  return lines.join("\n");
}
