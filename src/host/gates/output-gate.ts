// Role: decides when what an object says may leave: when all that it wrote before is safe.
// State: the locks that are not lifted, in order; what waits for them; what broke it.
// Must not know: storage, calls, sockets, promises; what is written, or said.

import type { RpcError } from "../../base/errors.js";
import { Fifo } from "../../base/fifo.js";

/** Told once: it may leave, or, with an error, never. */
export type Leave = (error: RpcError | null) => void;

interface Waiting {
  /** How many locks there were when it came. */
  readonly after: number;
  readonly leave: Leave;
}

/**
 * The gate behind one object. Each write locks it until it is safe; what wants to leave waits for the locks that were there
 * before it, and leaves in the order in which it came.
 *
 * @example
 * const unlock = gate.lock();
 * gate.wait((error) => (error === null ? send() : fail(error)));
 * disk.flush(() => unlock());
 * Source: the output gates of Workers.
 */
export class OutputGate {
  /** Called when something begins to wait: whoever puts writes off may have a reason now to make them. */
  onWait: (() => void) | null = null;
  /** Numbers of locks not lifted. */
  private readonly locked = new Set<number>();
  private locks = 0;
  private readonly queue = new Fifo<Waiting>();
  private cause: RpcError | null = null;

  get brokenBy(): RpcError | null {
    return this.cause;
  }

  /** Whether nothing is locked; then nothing waits. */
  get isOpen(): boolean {
    return this.locked.size === 0 && this.cause === null;
  }

  /** Something is being written. @returns to be called when it is safe. */
  lock(): () => void {
    const number = ++this.locks;
    this.locked.add(number);
    return () => {
      if (this.locked.delete(number)) this.pass();
    };
  }

  /** Calls `leave` when the locks of this moment are lifted: at once, if there are none. */
  wait(leave: Leave): void {
    if (this.cause !== null) return leave(this.cause);
    if (this.locked.size === 0 && this.queue.length === 0) return leave(null);
    this.queue.push({ after: this.locks, leave });
    this.onWait?.();
  }

  /** For good: nothing that waits leaves, nor anything that comes. The first cause stays. */
  break(cause: RpcError): void {
    if (this.cause !== null) return;
    this.cause = cause;
    for (const { leave } of this.queue.takeAll()) leave(cause);
  }

  private pass(): void {
    const { queue } = this;
    // A set keeps the order in which locks were put on.
    const first = this.locked.values().next().value ?? Infinity;
    while (this.cause === null && queue.length > 0 && queue.first!.after < first)
      queue.take()!.leave(null);
  }
}
