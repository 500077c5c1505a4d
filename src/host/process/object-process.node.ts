// Role: a process that runs the objects of one slot: takes the slot's lock, opens the store, serves the slot's socket.
// State: the host of objects, the listener, the lock. Must not know: who started it.

import { RpcError } from "../../base/errors.js";
import { connect } from "../../vat/connect.node.js";
import { type Listener, listen } from "../../vat/listen.node.js";
import { LiveRoots } from "../collect/live-roots.js";
import type { Participant } from "../collect/participant.js";
import { Host, privateNamespaces } from "../object/host.js";
import { Waits } from "../gates/waits.js";
import { nodeRuntime } from "../object/runtime.node.js";
import type { Runtime } from "../object/host.js";
import type { DirectoryLock } from "../storage/directory-lock.node.js";
import { openLmdbStore } from "../storage/lmdb-store.node.js";
import { fence } from "./fence.js";
import { inTime } from "./in-time.node.js";
import type { HostFacts, RefusedObject } from "./messages.js";
import { ObjectServers, type Reachable } from "./object-server.js";
import { lockSlot, slotAddress } from "./paths.node.js";
import { SlotPlacement } from "./placement.js";
import type { LoadedProgram } from "./program.node.js";
import { slotOf } from "./slots.js";
import { hostSession } from "./trusted.js";

/** So long a process waits for the one before it to be gone, in milliseconds. */
const LOCK_TIME = 30_000;

/** The way from this process to each slot but its own. */
export function placementOf(
  facts: HostFacts,
  own: number | null,
  runtime: Runtime,
  roots: LiveRoots,
  waits: Waits | null,
): SlotPlacement {
  const session = hostSession(roots, waits);
  return new SlotPlacement({
    slots: facts.slots,
    own,
    waits,
    slot: (slot) => ({
      name: `slot ${slot}`,
      dial: (signal) => connect(slotAddress(facts.directory, slot), { signal, ...session }),
      clock: runtime.clock,
      reachTime: facts.reachTime,
      hold: (reference) => roots.holdReference(reference),
    }),
  });
}

/** What waits in this process. @param stuck see there. */
export function waitsOf({ crypto, clock }: Runtime, stuck?: () => void): Waits {
  const process = Buffer.from(crypto.random(9)).toString("base64");
  return new Waits({ process, clock, ...(stuck === undefined ? {} : { stuck }) });
}

interface ObjectProcessParts {
  readonly participant: Participant;
  readonly host: Host;
  readonly placement: SlotPlacement;
  readonly servers: ObjectServers;
  readonly listener: Listener;
  readonly lock: DirectoryLock;
}

export class ObjectProcess {
  private readonly parts: ObjectProcessParts;

  private constructor(parts: ObjectProcessParts) {
    this.parts = parts;
  }

  get host(): Host {
    return this.parts.host;
  }

  /** This process, as the collector knows it. */
  get participant(): Participant {
    return this.parts.participant;
  }

  /**
   * @param stuck told when something waits that may wait for itself. @param failed told when the storage fails: then this is of no use any more.
   * @throws RpcError storage-locked, storage-corrupt, storage-failed, storage-version, listen-failed (as a rejection).
   */
  static async start(
    facts: HostFacts,
    slot: number,
    loaded: LoadedProgram,
    refused: readonly RefusedObject[],
    failed: (error: RpcError) => void,
    stuck: () => void,
  ): Promise<ObjectProcess> {
    const { directory, slots } = facts;
    const lock = await lockSlot(directory, slot, LOCK_TIME);
    const runtime = nodeRuntime();
    const waits = waitsOf(runtime, stuck);
    const roots = new LiveRoots(privateNamespaces(loaded.classes));
    const placement = placementOf(facts, slot, runtime, roots, waits);
    for (const one of refused) refuse(placement, one, runtime);
    // The supervisor has the lock of the directory.
    const store = await openLmdbStore(directory, { lock: false, failed });
    const host = await Host.open(
      {
        store,
        classes: loaded.classes,
        limits: { ...loaded.limits, ...facts.limits },
        ...(loaded.env === undefined ? {} : { env: loaded.env }),
        ...(loaded.bindings === undefined ? {} : { bindings: loaded.bindings }),
        ...(loaded.types === undefined ? {} : { types: loaded.types }),
      },
      runtime,
      placement,
      roots,
    );
    const objects: Reachable = {
      reach: (reference) => {
        if (slotOf(reference.id, slots) === slot) return host._reach(reference);
        throw new RpcError("failed", "invalid-id", `the object does not belong to slot ${slot}`);
      },
    };
    const address = slotAddress(directory, slot);
    const servers = new ObjectServers(objects);
    const listener = await listen(address, {
      bootstrap: () => servers.offer(),
      ...hostSession(roots, waits),
    });
    const participant = host._participant(() =>
      fence([...placement.sessions(), ...listener.sessions]),
    );
    return new ObjectProcess({ participant, host, placement, servers, listener, lock });
  }

  /**
   * Ends gently: no call is taken any more, what runs may come to its end, and what it wrote is flushed.
   *
   * @param timeout milliseconds; what runs for longer fails as `object-closed`.
   */
  async drain(timeout: number): Promise<void> {
    const { host, placement, servers, listener, lock } = this.parts;
    const end = performance.now() + timeout;
    servers.leave(timeout);
    const sessions = Promise.all(Array.from(listener.sessions, (session) => session.closed));
    await inTime(sessions, timeout);
    await listener.close();
    await host.drain(Math.max(0, end - performance.now()));
    await placement.close();
    await lock.release();
  }
}

function refuse(placement: SlotPlacement, one: RefusedObject, { clock }: Runtime): void {
  const { namespace, id, until, reason } = one;
  const error = new RpcError("overloaded", "object-refused", reason, { delivery: "not-sent" });
  const end = placement.refuse(namespace, id, { error, until });
  clock.after(Math.max(0, until - clock.now), end);
}
