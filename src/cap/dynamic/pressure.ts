// Role: how many calls by stubs are under way to one peer, or in this process; and the wait for there being fewer.
// State: per connection or scheduler, a count and who waits. Must not know: what a call is.
//
// One count covers a call in each of its stages: written down until the turn ends, parked on a promise, waiting in a local
// object's queue, sent and not answered. So none of these queues can grow past it, and there is one thing to await.

import { RpcError } from "../../base/errors.js";
import type { Limits } from "../../base/limits.js";
import type { Hook, Lifeline } from "../../hook/hook.js";

interface Waiter {
  readonly below: number;
  readonly run: () => void;
}

/** The calls to one peer. */
export class Lane {
  private open = 0;
  private waiting: Waiter[] = [];

  /** Why one more call is refused; null when it is not. */
  refusal({ callsInFlightHard }: Limits): RpcError | null {
    if (this.open < callsInFlightHard) return null;
    const message = `limit callsInFlightHard: ${this.open} calls to this peer are not answered; await some of them, or whenReady(stub)`;
    return new RpcError("overloaded", "limit-exceeded", message, { delivery: "not-sent" });
  }

  enter(): void {
    this.open++;
  }

  leave(): void {
    this.open--;
    if (this.waiting.length > 0) this.admit();
  }

  /** Resolves once fewer than `most` calls are under way. */
  whenBelow(most: number): Promise<void> {
    if (this.open < most) return Promise.resolve();
    return new Promise((run) => {
      this.waiting.push({ below: most, run });
    });
  }

  /** As many as there is room for; each may make a call. When nothing is under way nobody else would wake the others. */
  private admit(): void {
    const { waiting, open } = this;
    let count = 0;
    while (count < waiting.length && (open === 0 || open + count < waiting[count]!.below)) count++;
    for (const { run } of waiting.splice(0, count)) run();
  }
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
