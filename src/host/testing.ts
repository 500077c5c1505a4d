// Role: what a test does to objects: evicts them, crashes them, moves their time.
// State: virtual time, and the timers in it. Must not know: anything that a host does not offer.

import { invalidArgument } from "../base/checks.js";
import { RpcError } from "../base/errors.js";
import { HOLD, holderOf } from "../hook/holder.js";
import type { Clock } from "../vat/clock.js";
import { Activation } from "./object/activation.js";
import { ObjectHook } from "./object/object-hook.js";

/** Turns of the event loop that work may take which nobody can be asked about. */
const PATIENCE = 1000;

interface Timer {
  at: number;
  readonly run: () => void;
}

/**
 * A clock for hosts whose time only the test moves: alarms, eviction and time limits go by it.
 *
 * @example
 * const clock = new VirtualClock();
 * const host = await createHost({ store: new MemoryStore(), classes: { ROOMS: Room }, clock });
 * await room.remindIn(60_000); // sets an alarm at Date.now() + 60_000
 * await clock.advance(60_000); // it has run
 */
export class VirtualClock implements Clock {
  private time: number;
  private timers: Timer[] = [];

  /** @param start milliseconds since the epoch; by default now, so that what code makes of `Date.now()` is in the future. */
  constructor(start = Date.now()) {
    this.time = start;
  }

  get now(): number {
    return this.time;
  }

  /** Timers that wait. */
  get pendingTimers(): number {
    return this.timers.length;
  }

  after(delay: number, run: () => void): () => void {
    const timer = { at: this.time + Math.max(delay, 0), run };
    this.timers.push(timer);
    return () => {
      this.timers = this.timers.filter((one) => one !== timer);
    };
  }

  /**
   * Lets time go by, timer by timer, and what each leads to come to an end before the next.
   *
   * @param milliseconds how much.
   */
  async advance(milliseconds: number): Promise<void> {
    const end = this.time + milliseconds;
    await turns();
    for (let next = this.next(end); next !== undefined; next = this.next(end)) {
      this.timers = this.timers.filter((one) => one !== next);
      this.time = Math.max(this.time, next.at);
      next.run();
      await turns();
    }
    this.time = end;
    await turns();
  }

  /** The clock of the machine is set to another time: nothing happens by itself, and timers take as long as they would have. */
  jump(to: number): void {
    for (const timer of this.timers) timer.at += to - this.time;
    this.time = to;
  }

  private next(end: number): Timer | undefined {
    const due = this.timers.filter(({ at }) => at <= end);
    return due.sort((a, b) => a.at - b.at)[0];
  }
}

/**
 * Evicts the object behind `stub` as soon as nothing is under way in it, as a host does with one that is idle. The stub stays
 * good: its next call activates the object again.
 *
 * @returns whether it was active.
 * @throws RpcError invalid-argument for what is no stub of an object's; invalid-state when it does not become idle, because
 *   something of it is held or waits.
 */
export async function evict(stub: object): Promise<boolean> {
  const activation = activationOf(stub);
  if (activation === null) return false;
  for (let patience = PATIENCE; patience > 0; patience--) {
    if (activation.evict()) return true;
    if (activation.brokenBy !== null) return false;
    await turn();
  }
  const message =
    `${activation.name} does not become idle: a call or a request runs, somebody holds a reference to a part of it, or a ` +
    "WebSocket is open that it accepted by itself";
  throw new RpcError("failed", "invalid-state", message);
}

/**
 * Evicts the object behind `stub`, as {@link evict} does, for a test of what wakes it: its WebSockets that `ctx.acceptWebSocket`
 * has accepted stay open.
 *
 * @returns how many those are; 0 also when the object was not active.
 * @throws RpcError as evict does: one that the object accepted by itself, by `ws.accept()`, keeps it active.
 * @example
 * expect(await hibernate(room)).toBe(1);
 * socket.send("are you there?"); // activates the object again
 */
export async function hibernate(stub: object): Promise<number> {
  const sockets = activationOf(stub)?.sockets;
  return (await evict(stub)) ? sockets!.size : 0;
}

/**
 * Breaks the object behind `stub` at once, as a fault in it does: calls under way fail, the stub is broken, what was not
 * written is lost.
 *
 * @param reason what it breaks with. @returns whether it was active.
 * @throws RpcError invalid-argument for what is no stub of an object's.
 */
export function crash(stub: object, reason: unknown = new Error("a test crashed it")): boolean {
  const activation = activationOf(stub);
  activation?.break(reason);
  return activation !== null;
}

function activationOf(stub: object): Activation | null {
  const hook = holderOf(stub)?.[HOLD](false);
  const end = hook?.resolved();
  hook?.release();
  if (!(end instanceof ObjectHook)) {
    const message = "only a stub that a host's namespace has given stands for an object";
    throw invalidArgument(message);
  }
  const { current } = end;
  return current instanceof Activation ? current : null;
}

/** A few turns of the event loop. */
async function turns(): Promise<void> {
  for (let i = 0; i < 20; i++) await turn();
}

function turn(): Promise<void> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });
}
