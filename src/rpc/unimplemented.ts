// Role: what it means that the peer does not know a message of ours.
// State: none beside the entities'. Every echo is checked against what we really sent (C-UNI-11).

import { RpcError } from "../base/errors.js";
import { ContextTag, MessageTag, ReturnTag } from "../wire/descriptors.js";
import type { MessageReader } from "../wire/message-reader.js";
import type { EmbargoId } from "./ids.js";
import { releaseExports } from "./exports.js";
import { type ConnectionState, protocolError } from "./state.js";

/** Handles `unimplemented`. @throws RpcError protocol-error where no safe recovery exists (C-UNI-04, C-UNI-12). */
export function handleUnimplemented(state: ConnectionState, reader: MessageReader): void {
  const inner = reader.inner();
  if (inner === null) throw protocolError("`unimplemented` around nothing, or another");
  switch (inner.tag) {
    case MessageTag.call:
    case MessageTag.bootstrap:
      questionUnimplemented(state, inner.questionId);
      return;
    case MessageTag.resolve:
      if (!state.exports.get(inner.id)?.resolveUnimplemented())
        throw protocolError(`the echo of a Resolve for ${inner.id}, which we did not send`);
      return;
    case MessageTag.disembargo:
      embargoUnimplemented(state, inner);
      return;
    case MessageTag.return:
      if (isTailCallReturn(inner.returnTag)) {
        // A peer without tail calls: the one call it concerns is lost on its side; ask no more of the kind.
        state.peerLacksTailCalls = true;
        return;
      }
      break;
    default:
  }
  throw protocolError(`the peer does not implement message ${inner.tag}, which level 1 needs`);
}

function questionUnimplemented(state: ConnectionState, id: number): void {
  const question = state.questions.get(id) ?? state.pipelineQuestions.get(id);
  if (question === undefined || question.hasReturned)
    throw protocolError(`the echo of a message with question ${id}, which is not open`);
  if (question.isTail) state.peerLacksTailCalls = true;
  const { paramExports } = question;
  question.paramExports = null;
  const message = "the peer does not implement this kind of message";
  question.unknownToPeer(
    new RpcError("unimplemented", "peer-unimplemented", message, { delivery: "started" }),
  );
  releaseExports(paramExports);
}

function embargoUnimplemented(state: ConnectionState, inner: MessageReader): void {
  const embargo =
    inner.contextTag === ContextTag.senderLoopback
      ? state.embargoes.get(inner.embargoId)
      : undefined;
  if (embargo === undefined) throw protocolError("the echo of a Disembargo that we did not send");
  state.embargoes.remove(inner.embargoId as EmbargoId);
  const message = "the peer does not know Disembargo: calls cannot be kept in order";
  embargo.waiting.reject(new RpcError("unimplemented", "peer-unimplemented", message));
  embargo.waiting.release();
  embargo.target.release();
}

function isTailCallReturn(tag: number): boolean {
  return (
    tag === ReturnTag.canceled ||
    tag === ReturnTag.resultsSentElsewhere ||
    tag === ReturnTag.takeFromOtherQuestion
  );
}
