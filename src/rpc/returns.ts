// Role: what a Return means to the question it answers.
// State: none beside the question's. Must not know: who asked.

import { RpcError } from "../base/errors.js";
import { canceledError } from "../hook/promise.js";
import { ReturnTag } from "../wire/descriptors.js";
import type { Frame } from "../wire/frame.js";
import type { MessageReader } from "../wire/message-reader.js";
import { releaseExports } from "./exports.js";
import { FIRST_PIPELINE_QUESTION } from "./ids.js";
import type { Question } from "./question.js";
import { receivePayload } from "./receive.js";
import { type ConnectionState, protocolError } from "./state.js";

/** Handles one Return. @throws RpcError protocol-error when the peer had no right to it (C-LIF-08, C-LIF-12, C-TAI-03). */
export function handleReturn(state: ConnectionState, reader: MessageReader, frame: Frame): void {
  const id = reader.questionId;
  if (id >= FIRST_PIPELINE_QUESTION) {
    // No Return was wanted. Its capabilities are not looked at, and the hint is not used again (C-REL-21).
    state.peerIgnoresPipelineOnly = true;
    return;
  }
  const question = state.questions.get(id);
  if (question === undefined) throw protocolError(`Return for question ${id}, which is not open`);
  if (question.hasReturned) throw protocolError(`a second Return for question ${id}`);
  const { paramExports } = question;
  question.paramExports = null;
  const giveBackParams = reader.releaseParamCaps;
  conclude(state, question, reader, frame);
  // Only now: the results may name those exports as receiverHosted (C-REL-05).
  if (giveBackParams) releaseExports(paramExports);
}

function conclude(
  state: ConnectionState,
  question: Question,
  reader: MessageReader,
  frame: Frame,
): void {
  switch (reader.returnTag) {
    case ReturnTag.results:
      returnResults(state, question, reader);
      return;
    case ReturnTag.exception: {
      const error = state.heard(reader.takeException());
      error.delivery = "started";
      if (question.isTail) question.tailFailed(error, reader.noFinishNeeded);
      else question.returnedError(error, reader.noFinishNeeded);
      return;
    }
    case ReturnTag.canceled:
      if (!question.hasFinished && !question.isTail)
        throw protocolError(`Return.canceled for question ${question.id}, which was not finished`);
      if (question.isTail) question.tailFailed(canceledError(), reader.noFinishNeeded);
      else question.returnedElsewhere(reader.noFinishNeeded);
      return;
    case ReturnTag.resultsSentElsewhere:
      if (!question.isTail)
        throw protocolError(
          `Return.resultsSentElsewhere for question ${question.id}, which asked for results`,
        );
      state.peerKnowsTailCalls = true;
      question.returnedElsewhere(reader.noFinishNeeded);
      return;
    case ReturnTag.takeFromOtherQuestion:
      adopt(state, question, reader);
      return;
    case ReturnTag.awaitFromThirdParty:
      throw protocolError("Return.awaitFromThirdParty, which the call did not allow");
    default: {
      const message = `the peer returned results in a way that is not known here (${reader.returnTag})`;
      const noFinish = reader.noFinishNeeded;
      state.writer.unimplemented(frame);
      const error = new RpcError("unimplemented", "peer-unimplemented", message, {
        delivery: "started",
      });
      question.returnedUnknown(error, noFinish);
    }
  }
}

function returnResults(state: ConnectionState, question: Question, reader: MessageReader): void {
  if (question.isTail)
    throw protocolError(`results for question ${question.id}, which asked to keep them`);
  if (question.hasFinished) {
    // We sent Finish(releaseResultCaps) first: the peer has released these already (C-REL-09).
    question.returnedElsewhere(true);
    return;
  }
  const noFinish = reader.noFinishNeeded && reader.capCount === 0;
  const { payload, error, reflected } = receivePayload(state, reader, question.readsAtOnce);
  if (error === null) {
    question.returnedResults(payload, reflected, noFinish);
    return;
  }
  payload.release();
  error.delivery = "started";
  question.returnedError(error, noFinish);
}

function adopt(state: ConnectionState, question: Question, reader: MessageReader): void {
  if (question.isTail)
    throw protocolError(`takeFromOtherQuestion for question ${question.id}, itself a tail call`);
  const source = state.answers.get(reader.takeFromOtherQuestion);
  if (source === undefined || !source.adoptBy(question))
    throw protocolError(
      `takeFromOtherQuestion names ${reader.takeFromOtherQuestion}, which has no results to take`,
    );
}
