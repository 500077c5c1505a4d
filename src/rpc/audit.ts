// Role: looks at one connection from outside: are its tables sound, how full are they, what is in them.
// State: none. Must not change anything.

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

/** @throws Error naming the first rule found broken. */
export function checkState(state: ConnectionState): void {
  for (const question of state.questions.values()) {
    demand(
      state.questions.get(question.id) === question,
      `question ${question.id} stands under another id`,
    );
    demand(
      !(question.hasReturned && question.hasFinished),
      `question ${question.id} is over but not freed`,
    );
  }
  for (const entry of state.imports.values()) {
    demand(state.imports.get(entry.id) === entry, `import ${entry.id} stands under another id`);
    demand(entry.wireRefs > 0, `import ${entry.id} has no reference at the peer`);
    demand(entry.refCount > 0, `import ${entry.id} is held by nobody and not released`);
    demand(
      entry.promise === null || entry.promise.next === null,
      `import ${entry.id} keeps a resolved promise`,
    );
  }
  for (const entry of state.exports.values()) {
    demand(state.exports.get(entry.id) === entry, `export ${entry.id} stands under another id`);
    demand(entry.refs > 0, `export ${entry.id} has no reference and is not freed`);
    demand(entry.hook.refCount > 0, `export ${entry.id} holds a capability that was released`);
  }
  for (const [hook, entry] of state.exportsByHook)
    demand(
      state.exports.get(entry.id) === entry && hook.refCount > 0,
      `a stale reverse entry for export ${entry.id}`,
    );
  let held = 0;
  for (const answer of state.answers.values()) {
    demand(state.answers.get(answer.id) === answer, `answer ${answer.id} stands under another id`);
    demand(!(answer.hasReturned && answer.isFinished), `answer ${answer.id} is over but not freed`);
    held += answer.heldBytes;
  }
  demand(
    held === state.heldResultBytes,
    `${state.heldResultBytes} bytes of results are accounted for, ${held} held`,
  );
  demand(
    state.gate.bytesInUse >= 0 && state.gate.bytesWithheld >= 0,
    "the bytes of incoming calls went below zero",
  );
  if (state.answers.size === 0)
    demand(state.gate.bytesInUse === 0, "no answer is open, yet call bytes are in use");
  if (!state.alive)
    demand(
      state.questions.size +
        state.answers.size +
        state.imports.size +
        state.exports.size +
        state.embargoes.size ===
        0,
      "the connection is over but its tables are not empty",
    );
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
