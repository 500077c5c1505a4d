// Role: which calls a connection that is being drained still begins, and how many are under way.
// State: none; `ConnectionState.draining` says that it has begun. Must not know: how long it may take, timers.
//
// The protocol has no word for "no more": a peer goes on calling. And a call under way may need others before it can end:
// a method calls back its caller, from one side or the other. So a call counts as new, and is refused, unless it is
// pipelined on one under way, or one under way in the other direction may have led to it. Calls that overlap for ever
// are ended by the time limit of whoever drains.

import { RpcError } from "../base/errors.js";
import { TargetKind } from "../wire/descriptors.js";
import type { Answer } from "./answer.js";
import type { Question } from "./question.js";
import type { ConnectionState } from "./state.js";

/** What a call refused for it fails with: `disconnected`, so that whoever can make a new connection does. */
export function drainingError(): RpcError {
  const message = "this connection is draining: it begins no new call";
  return new RpcError("disconnected", "connection-draining", message, { delivery: "not-sent" });
}

/** Calls that have begun and not ended, in both directions. */
export function callsUnderWay(state: ConnectionState): number {
  let count = 0;
  for (const question of state.questions.values()) if (waits(question)) count++;
  for (const answer of state.answers.values()) if (answer.isUnderWay) count++;
  return count;
}

/** Whether a call of the peer's on `answer`, or on an export when that is null, is to be refused. */
export function refusesIncoming(state: ConnectionState, answer: Answer | null): boolean {
  if (!state.draining || answer?.isUnderWay === true) return false;
  for (const question of state.questions.values()) if (waits(question)) return false;
  return true;
}

/** Whether a call of ours to what `targetKind` and `targetId` name, or a Bootstrap when that is null, is to be refused. */
export function refusesOutgoing(
  state: ConnectionState,
  target: { readonly targetKind: number; readonly targetId: number } | null,
): boolean {
  if (!state.draining) return false;
  if (target?.targetKind === TargetKind.promisedAnswer) {
    const question =
      state.questions.get(target.targetId as Question["id"]) ??
      state.pipelineQuestions.get(target.targetId);
    if (question !== undefined && waits(question)) return false;
  }
  for (const answer of state.answers.values()) if (answer.isUnderWay) return false;
  return true;
}

function waits(question: Question): boolean {
  return !question.hasReturned && !question.hasFinished;
}
