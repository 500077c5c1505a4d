// Role: embargoes of ours: open, lifted by the peer's echo, broken with the connection.
// State: per embargo, the calls that wait (a promise) and the capability they wait for.
//
// The problem: we called x on a promise of the peer's; the peer answers that the promise is an object of OURS. x is
// still on its way: to the peer, and from there back to us. A call y made now would reach the object first. So y waits;
// a Disembargo follows x all the way round, and when it is back, x must be too (C-EMB-01, C-EMB-07).

import { RpcError } from "../base/errors.js";
import type { Hook } from "../hook/hook.js";
import { PromiseHook } from "../hook/promise.js";
import { brokenHook } from "../hook/results.js";
import { ContextTag } from "../wire/descriptors.js";
import type { EmbargoId } from "./ids.js";
import type { RemoteTarget } from "./remote.js";
import { type ConnectionState, protocolError } from "./state.js";

export interface Embargo {
  readonly waiting: PromiseHook;
  readonly target: Hook;
}

/**
 * Opens an embargo on `target` and sends the Disembargo down the old path. Returns the capability that calls wait in;
 * takes over `target`. When the table is full the connection fails: without an embargo order would be lost, so what
 * comes back is broken.
 */
export function openEmbargo(oldPath: RemoteTarget, target: Hook): Hook {
  const state = oldPath.state;
  if (state.embargoes.size >= state.limits.embargoes) {
    const message = `limit embargoes: ${state.limits.embargoes} wait for this peer's echo`;
    const error = new RpcError("overloaded", "limit-exceeded", message);
    target.release();
    state.fail(error);
    return brokenHook(error, state.scheduler);
  }
  const waiting = new PromiseHook(state.scheduler, state.limits.queuedCalls);
  const id = state.embargoes.insert({ waiting: waiting.addRef(), target });
  state.writer.disembargo(
    oldPath.targetKind,
    oldPath.targetId,
    oldPath.targetPath,
    ContextTag.senderLoopback,
    id,
  );
  return waiting;
}

/** The peer's receiverLoopback: lifts our embargo. */
export function liftEmbargo(state: ConnectionState, embargoId: number): void {
  const embargo = state.embargoes.get(embargoId);
  if (embargo === undefined)
    throw protocolError(`Disembargo.receiverLoopback for unknown embargo ${embargoId}`);
  state.embargoes.remove(embargoId as EmbargoId);
  embargo.waiting.resolve(embargo.target);
  embargo.waiting.release();
}

/** After a lost connection: what waited in embargoes fails, so that nothing is delivered out of order (C-EMB-15). */
export function breakEmbargoes(state: ConnectionState): void {
  for (const embargo of state.embargoes.drain()) {
    embargo.waiting.reject(state.error!);
    embargo.waiting.release();
    embargo.target.release();
  }
}
