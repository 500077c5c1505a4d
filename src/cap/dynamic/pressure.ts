// Role: how many calls by stubs are under way to one peer, or in this process; and the wait for there being fewer.
// State: per connection or scheduler, a count and who waits. Must not know: what a call is.
//
// One count covers a call in each of its stages: written down until the turn ends, parked on a promise, waiting in a local
// object's queue, sent and not answered. So none of these queues can grow past it, and there is one thing to await.

import { RpcError } from "../../base/errors.js";
import { Fifo } from "../../base/fifo.js";
import type { Limits } from "../../base/limits.js";
import type { Hook, Lifeline } from "../../hook/hook.js";

interface Waiter {
  readonly below: number;
  readonly run: () => void;
}

/** The calls to one peer. */
export class Lane {
  private open = 0;
  /** Who was let through and has made no call yet: of a hundred thousand who ask in one turn no more may go than there is room for. */
  private granted = 0;
  private expiry: ReturnType<typeof setTimeout> | undefined;
  private readonly waiting = new Fifo<Waiter>();
  private readonly lifeline: Lifeline | null;
  /** Those who wait go on once the carrier has taken what it has. */
  private congested = false;

  constructor(lifeline: Lifeline | null) {
    this.lifeline = lifeline;
  }

  /** Why one more call is refused; null when it is not. */
  refusal({ callsInFlightHard }: Limits): RpcError | null {
    if (this.open < callsInFlightHard) return null;
    const message = `limit callsInFlightHard: ${this.open} calls to this peer are not answered; await some of them, or whenReady(stub)`;
    return new RpcError("overloaded", "limit-exceeded", message, { delivery: "not-sent" });
  }

  enter(): void {
    this.open++;
    if (this.granted > 0) this.granted--;
  }

  leave(): void {
    this.open--;
    if (this.waiting.length > 0) this.admit();
  }

  /** Resolves once fewer than `most` calls are under way, or about to be, and the carrier takes more bytes. */
  whenBelow(most: number): Promise<void> {
    return new Promise((run) => {
      this.waiting.push({ below: most, run });
      this.admit();
    });
  }

  /** As many as there is room for; each may make a call. @param relieved the carrier has just taken what it had, or is gone. */
  private admit(relieved = false): void {
    const { waiting } = this;
    while (waiting.length > 0 && this.open + this.granted < waiting.first!.below) {
      if (!relieved && this.isCongested()) return;
      this.granted++;
      waiting.take()!.run();
    }
    // Who was let through need not make a call, and is not waited for.
    if (waiting.length > 0 && this.granted > 0) this.expiry ??= setTimeout(this.expire);
  }

  private isCongested(): boolean {
    const pressure = this.lifeline?.pressure ?? null;
    if (pressure === null || this.lifeline!.error !== null || !pressure.high) return false;
    if (!this.congested) {
      this.congested = true;
      pressure.whenLow(() => {
        this.congested = false;
        this.admit(true);
      });
    }
    return true;
  }

  private readonly expire = (): void => {
    this.expiry = undefined;
    this.granted = 0;
    this.admit();
  };
}

const lanes = /* @__PURE__ */ new WeakMap<object, Lane>();

/** The lane of calls on `hook`: that of its connection, as far as is known by now, or of its scheduler. */
export function laneOf(hook: Hook): Lane {
  const { lifeline } = hook.resolved();
  const key = lifeline ?? hook.scheduler;
  let lane = lanes.get(key);
  if (lane === undefined) {
    lane = new Lane(lifeline);
    lanes.set(key, lane);
  }
  return lane;
}
