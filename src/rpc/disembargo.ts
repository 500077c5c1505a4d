// Role: the echo of the peer's embargoes.
// State: none; a senderLoopback that came too early waits in the export or answer it is aimed at (C-EMB-10).

import { RpcError } from "../base/errors.js";
import type { Job } from "../base/scheduler.js";
import type { Hook } from "../hook/hook.js";
import { ContextTag } from "../wire/descriptors.js";
import { type RemoteTarget, routeTarget } from "./remote.js";
import { type ConnectionState, protocolError } from "./state.js";

/** Counts a senderLoopback that has to wait for our own Resolve or Return. @throws RpcError over the limit (C-HOS-05). */
export function parkDisembargo(state: ConnectionState): void {
  const { embargoes } = state.limits;
  if (state.parkedDisembargoes >= embargoes)
    throw new RpcError(
      "overloaded",
      "limit-exceeded",
      `limit embargoes: ${embargoes} of the peer's embargoes wait here already`,
    );
  state.parkedDisembargoes++;
}

/**
 * Echoes a senderLoopback whose target is known to be `route`, as a job: everything that came before it has then been
 * forwarded, calls that are withheld included. The target is held for that long: the peer's Finish or Release may follow
 * at once. The route must lead straight back to the peer, or the peer had no business asking (C-EMB-07, C-EMB-09).
 */
export function echoDisembargo(state: ConnectionState, route: Hook, embargoId: number): void {
  const target = routeTarget(route);
  if (target === null || target.state !== state)
    throw protocolError(
      "Disembargo.senderLoopback for a capability that does not lead back to its sender",
    );
  const echo = new Echo(target.addRef(), embargoId);
  if (state.gate.withheld === 0) state.scheduler.post(echo);
  else state.gate.withhold(0, () => state.scheduler.post(echo));
}

class Echo implements Job {
  private readonly target: RemoteTarget;
  private readonly embargoId: number;

  constructor(target: RemoteTarget, embargoId: number) {
    this.target = target;
    this.embargoId = embargoId;
  }

  run(): void {
    const { target, embargoId } = this;
    const { state, targetKind, targetId, targetPath } = target;
    if (state.alive)
      state.writer.disembargo(
        targetKind,
        targetId,
        targetPath,
        ContextTag.receiverLoopback,
        embargoId,
      );
    target.release();
  }
}
