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
    this.admit();
  }

  /** Resolves once fewer than `most` calls are under way, or about to be. */
  whenBelow(most: number): Promise<void> {
    return new Promise((run) => {
      if (this.open + this.granted < most) {
        this.granted++;
        run();
      } else {
        this.waiting.push({ below: most, run });
        this.admit();
      }
    });
  }

  /** As many as there is room for; each may make a call. When nothing is under way nobody else would wake the others. */
  private admit(): void {
    const { waiting } = this;
    while (waiting.length > 0) {
      const busy = this.open + this.granted;
      if (busy > 0 && busy >= waiting.first!.below) break;
      this.granted++;
      waiting.take()!.run();
    }
    // Who was let through need not make a call, and is not waited for.
    if (waiting.length > 0 && this.granted > 0) this.expiry ??= setTimeout(this.expire);
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
  const key = hook.resolved().lifeline ?? hook.scheduler;
  let lane = lanes.get(key);
  if (lane === undefined) {
    lane = new Lane();
    lanes.set(key, lane);
  }
  return lane;
}

/** Resolves once no more bytes wait for the carrier than its soft limit, or it is gone. */
export function whenWritable(lifeline: Lifeline | null): Promise<void> {
  const pressure = lifeline?.pressure ?? null;
  if (pressure === null || lifeline!.error !== null || !pressure.high) return Promise.resolve();
  return new Promise((resolve) => pressure.whenLow(resolve));
}
