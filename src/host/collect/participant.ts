// Role: one process of a host as the collector knows it, and this process as one.
// State: none of its own. Must not know: when anything is collected.
//
// How the collector makes sure that nobody anywhere reaches a set of objects, although no two processes are asked at the same
// moment. It condemns the set in every process: each says whether it holds any of them, and from then on notes whether one is held.
// Then the store is read again, and every process is asked whether anything was noted. If none has held any when it was condemned, and none
// until it was asked again, then there was a time, from the last condemnation to the first of those answers, in which nobody
// held any; and the store was read within that time. A reference that is on its way from one process to another is held by its
// sender until the receiver has let go of it, so there is none that nobody holds; but for those whose sender has closed the connection,
// or has ended. Those have come before the second answer, for each process waits for them then. And what nobody reaches at one moment
// nobody reaches ever after.
//
// A process that ends holds nothing. But one that is new may read in the store what is removed there a moment later, so it has to be
// asked as well. A round does not count in which one has begun, whether it is still there or not.

import { RpcError } from "../../base/errors.js";
import type { Bytes } from "../storage/store.js";
import { type LiveRoots, type NodeName, nodeNamed } from "./live-roots.js";

export interface Participant {
  /** Whom nobody here holds any more since this was last asked. */
  takeDropped(): Promise<readonly NodeName[]>;
  /** Who is held here now. */
  held(): Promise<readonly NodeName[]>;
  /** Begins a round. @returns whether nothing here holds any of them; from now on it is noted when something does. */
  condemn(members: readonly NodeName[]): Promise<boolean>;
  /** @returns whether none of them was held since they were condemned. */
  confirm(): Promise<boolean>;
  endRound(): Promise<void>;
  /** They are dying: whatever still runs of them, which nobody can have reached, breaks. */
  doom(members: readonly NodeName[]): Promise<void>;
  /** Runs the hook of an object whose place is here. @throws what the hook throws, or kept it from running (as a rejection). */
  dispose(member: NodeName): Promise<void>;
  /** They are gone. */
  forget(members: readonly NodeName[]): Promise<void>;
}

/** What runs the objects of this process. Objects are given by their nodes. */
export interface ObjectRunner {
  /** Breaks what is active of it. */
  breakCollected(node: Bytes): void;
  /** Activates it for the last time, and runs its hook. @throws what that throws (as a rejection). */
  runDispose(node: Bytes): Promise<void>;
}

/** Of a process that runs no objects. */
export const NO_OBJECTS: ObjectRunner = {
  breakCollected() {},
  async runDispose() {
    throw new RpcError("failed", "invalid-state", "this process has no objects");
  },
};

/** This process. */
export class LocalParticipant implements Participant {
  private readonly roots: LiveRoots;
  private readonly runner: ObjectRunner;
  private readonly arrived: () => Promise<void>;

  /** @param arrived resolves when what other processes had sent to this one when it was called is there; rejects if that cannot be said. */
  constructor(roots: LiveRoots, runner: ObjectRunner, arrived = async (): Promise<void> => {}) {
    this.roots = roots;
    this.runner = runner;
    this.arrived = arrived;
  }

  async takeDropped(): Promise<readonly NodeName[]> {
    return this.roots.takeDropped();
  }

  async held(): Promise<readonly NodeName[]> {
    return this.roots.held();
  }

  async condemn(members: readonly NodeName[]): Promise<boolean> {
    return this.roots.condemn(members);
  }

  async confirm(): Promise<boolean> {
    await this.arrived();
    return this.roots.confirm();
  }

  async endRound(): Promise<void> {
    this.roots.endRound();
  }

  async doom(members: readonly NodeName[]): Promise<void> {
    this.roots.doom(members);
    for (const name of members) this.runner.breakCollected(nodeNamed(name));
  }

  dispose(member: NodeName): Promise<void> {
    return this.runner.runDispose(nodeNamed(member));
  }

  async forget(members: readonly NodeName[]): Promise<void> {
    this.roots.forget(members);
  }
}

/** What a call on an object fails with that was collected. Whoever holds capabilities by the rules never sees it. */
export function collectedError(name: string): RpcError {
  const message = `the object ${name} was collected: nobody held a reference to it`;
  return new RpcError("failed", "object-collected", message);
}
