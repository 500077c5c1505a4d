// Role: capabilities and payloads out of received messages.
// State: none. Every slot is accounted for, whether content names it or not (C-REF-14).
// Must not know: what the payload is for.

import { RpcError } from "../base/errors.js";
import { type Caps, NO_CAPS, Payload } from "../hook/payload.js";
import type { Hook } from "../hook/hook.js";
import { brokenHook } from "../hook/results.js";
import { Content } from "../wire/content.js";
import { DescriptorKind } from "../wire/descriptors.js";
import type { MessageReader } from "../wire/message-reader.js";
import { answerUnavailable } from "./answer.js";
import { doorTo } from "./door.js";
import type { ImportId } from "./ids.js";
import { noteIdentity, receiveImport } from "./imports.js";
import { type ConnectionState, protocolError } from "./state.js";

/** A received payload. When its content is invalid, `error` says so and the capabilities are released with it. */
export interface Received {
  payload: Payload;
  error: RpcError | null;
  /** Per slot: the peer described it as ours (receiverHosted, receiverAnswer); null when none is. */
  reflected: boolean[] | null;
}

/**
 * @param passing a small content may be borrowed: it is read, or copied, before the next message.
 * @throws RpcError what {@link receiveCap} throws; nothing is kept then.
 */
export function receivePayload(
  state: ConnectionState,
  reader: MessageReader,
  passing: boolean,
): Received {
  const count = reader.capCount;
  let reflected: boolean[] | null = null;
  let caps: Caps = NO_CAPS;
  if (count > 0) {
    const received: (Hook | null)[] = [];
    caps = received;
    try {
      for (let i = 0; i < count; i++) {
        received.push(receiveCap(state, reader, i));
        if (isReflected(reader.capKind(i)))
          (reflected ??= new Array<boolean>(count).fill(false))[i] = true;
      }
    } catch (thrown) {
      for (const cap of received) cap?.release();
      throw thrown;
    }
  }
  try {
    return { payload: new Payload(reader.takeContent(passing), caps), error: null, reflected };
  } catch (thrown) {
    return { payload: new Payload(Content.NULL, caps), error: RpcError.from(thrown), reflected };
  }
}

/** Whether a descriptor says that the capability is ours, or leads to us. */
export function isReflected(kind: number): boolean {
  return kind === DescriptorKind.receiverHosted || kind === DescriptorKind.receiverAnswer;
}

/**
 * The capability in slot `index`: a new reference, null for `none`.
 * @throws RpcError protocol-error for a kind that we cannot account for (C-REF-19).
 */
export function receiveCap(
  state: ConnectionState,
  reader: MessageReader,
  index: number,
): Hook | null {
  const id = reader.capId(index);
  switch (reader.capKind(index)) {
    case DescriptorKind.none:
      return null;
    case DescriptorKind.senderHosted: {
      const hook = receiveImport(state, id as ImportId, false);
      const identity = reader.capIdentity(index);
      if (identity !== null) noteIdentity(state, hook, identity);
      return hook;
    }
    case DescriptorKind.senderPromise:
      return receiveImport(state, id as ImportId, true);
    case DescriptorKind.receiverHosted:
      return receiveOwn(state, id);
    case DescriptorKind.receiverAnswer:
      return receiveAnswerCap(state, reader, index, id);
    case DescriptorKind.thirdPartyHosted:
      // Below level 3 the vine is the capability: an ordinary import of the introducer's (C-TPH-05).
      return receiveImport(state, id as ImportId, false);
    default:
      throw protocolError(`a capability descriptor of unknown kind ${reader.capKind(index)}`);
  }
}

/**
 * Our own export, come home (C-REF-16, C-REF-18): the object itself; of a promise, the way that the peer's calls on it
 * take, and not the promise. Take a promise P of ours that the peer gives back as the resolution of its Q. Calls made on
 * Q before are still going round, to arrive as calls on P. If P resolves to something of the peer's meanwhile, they go on
 * to what was announced then, even if that resolves again; calls that followed P itself to a shorter way would arrive
 * before them, whatever embargo Q was under (C-EMB-18, C-EMB-20).
 */
function receiveOwn(state: ConnectionState, id: number): Hook {
  const entry = state.exports.get(id);
  if (entry !== undefined) return behindWithheld(state, entry.route());
  const message = `the peer passed back export ${id}, which it does not hold`;
  return brokenHook(new RpcError("failed", "invalid-capability", message), state.scheduler);
}

function receiveAnswerCap(
  state: ConnectionState,
  reader: MessageReader,
  index: number,
  id: number,
): Hook {
  const answer = state.answers.get(id);
  if (answer === undefined) return brokenHook(answerUnavailable(id), state.scheduler);
  if (reader.capPathUnknownOp(index)) return brokenHook(unknownOperation(), state.scheduler);
  return behindWithheld(state, answer.route(reader.capPath(index)));
}

/**
 * While calls of the peer's are withheld, a capability of ours that it passes back after them is a promise that resolves
 * once they are dispatched. Else whoever calls it here would overtake the peer's own calls on it (C-EMB-25, C-FLO-17).
 */
function behindWithheld(state: ConnectionState, hook: Hook): Hook {
  if (state.gate.withheld === 0 || hook.brokenBy !== null) return hook;
  return doorTo(state, hook, 0);
}

/** A transform with an operation that is not ours to ignore (C-PIP-06). */
export function unknownOperation(): RpcError {
  const message = "the path to this capability has an operation that is not known here";
  return new RpcError("unimplemented", "invalid-capability", message);
}
