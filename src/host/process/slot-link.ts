// Role: the way from this process to the objects of one slot: a connection, made when it is needed, and what breaks with it.
// State: the connection or the attempts to make one, and the objects that were reached through it.
// Must not know: addresses, processes, what is called.
//
// A connection is one `Way`. It ends once, and whatever was reached through it ends with it: a stub that has made a call must not
// go on with another process, where that call is not known. What is reached afterwards gets a way of its own.

import { RpcError } from "../../base/errors.js";
import { processScheduler } from "../../cap/scheduler.js";
import { CallRequest, type Hook } from "../../hook/hook.js";
import { Payload } from "../../hook/payload.js";
import { PromiseHook } from "../../hook/promise.js";
import { ONE_CAPABILITY } from "../../cap/stream/protocol.js";
import { backoff, randomPart } from "../../vat/backoff.js";
import type { Clock } from "../../vat/clock.js";
import type { Session } from "../../vat/session.js";
import type { Release } from "../collect/live-roots.js";
import type { Callee, Finder, ObjectHook } from "../object/object-hook.js";
import { type ObjectReference, referenceBytes } from "../references/reference.js";
import type { Results } from "../../hook/results.js";
import { type BreakListener, breakListener, tell } from "./object-server.js";
import {
  METHOD_ATTACH,
  METHOD_REACH,
  OBJECT_PATH,
  OBJECTS_HI,
  OBJECTS_LO,
  reachParams,
} from "./protocol.js";

/** How a slot is reached; times in milliseconds. */
export interface SlotOptions {
  /** For people. */
  readonly name: string;
  /** Makes one attempt to connect. @throws RpcError (as a rejection). */
  dial(signal: AbortSignal): Promise<Session>;
  readonly clock: Clock;
  /** So long calls wait for a process that is not there. */
  readonly reachTime: number;
  /** Holds whom a stub stands for, which may be gone before the other process has heard of it. @returns lets go; null for nobody. */
  hold(reference: ObjectReference): Release | null;
}

/** Between two attempts. A process that was started again is to be found soon. */
const DELAYS = { minDelay: 20, maxDelay: 500 };

export class SlotLink {
  private readonly options: SlotOptions;
  private way: Way | null = null;
  /** Ways that no new object is reached by, whose connections are not over yet. */
  private readonly ending = new Set<Way>();
  private closedBy: RpcError | null = null;

  constructor(options: SlotOptions) {
    this.options = options;
  }

  /** The way of one stub to an object: once it has called, always by the same connection. */
  finder(reference: ObjectReference): Finder {
    let callee: Callee | undefined;
    return {
      reference,
      activate: () => (callee ??= this.reach(reference)),
      find: () => callee,
    };
  }

  /** The connections that something may still come by. */
  *sessions(): Generator<Session> {
    for (const way of [this.way, ...this.ending]) if (way?.connected) yield way.connected;
  }

  /**
   * For good: every stub that was used is broken.
   *
   * @param timeout milliseconds that calls under way may take. @returns when the connection is over.
   */
  async close(error: RpcError, timeout: number): Promise<void> {
    this.closedBy = error;
    this.way?.end(error);
    await Promise.all(Array.from(this.ending, (way) => way.close(timeout)));
  }

  /** @throws RpcError when this is closed. */
  private reach(reference: ObjectReference): Callee {
    if (this.closedBy !== null) throw this.closedBy;
    return this.current().reach(reference);
  }

  private current(): Way {
    // What the session tells of its end may still be a job.
    this.way?.check();
    if (this.way !== null) return this.way;
    const way = new Way(this.options, () => {
      if (this.way === way) this.way = null;
      this.ending.add(way);
      void way.over.then(() => this.ending.delete(way));
    });
    this.way = way;
    return way;
  }
}

class Way implements BreakListener {
  /** Resolves when the attempts and the connection are over. */
  readonly over: Promise<void>;
  private readonly options: SlotOptions;
  private readonly ended: () => void;
  private readonly objects: PromiseHook;
  private readonly reached = new Map<string, RemoteCallee>();
  private readonly byNumber = new Map<number, RemoteCallee>();
  private readonly stop = new AbortController();
  private session: Session | null = null;
  private lastNumber = 0;
  /** Milliseconds that the process has said it gives; null while it stays. */
  private left: number | null = null;
  private error: RpcError | null = null;

  /** @param ended told once, when nothing more is to be reached by this. */
  constructor(options: SlotOptions, ended: () => void) {
    this.options = options;
    this.ended = ended;
    this.objects = new PromiseHook(processScheduler());
    this.over = this.open();
  }

  /** Null before it was answered. */
  get connected(): Session | null {
    return this.session;
  }

  reach(reference: ObjectReference): RemoteCallee {
    const key = String.fromCharCode(...referenceBytes(reference));
    const known = this.reached.get(key);
    if (known !== undefined) return known;
    const number = this.freeNumber();
    const params = reachParams(number, reference);
    // Calls may wait for the connection, and whoever made them hold nothing any more.
    const held = this.options.hold(reference);
    const hook = ask(this.objects, METHOD_REACH, new Payload(params), () => held?.());
    const callee = new RemoteCallee(hook, () => this.forget(key, number, callee));
    this.reached.set(key, callee);
    this.byNumber.set(number, callee);
    return callee;
  }

  /** Ends this if its connection takes no more calls. */
  check(): void {
    const { session } = this;
    if (session !== null && session.state !== "open") this.end(this.lost(session));
  }

  /** Breaks what was reached. Calls under way may still be answered, if the connection is. */
  end(error: RpcError): void {
    if (this.error !== null) return;
    this.error = error;
    this.ended();
    this.stop.abort(error);
    for (const callee of this.reached.values()) callee.break(error);
    this.reached.clear();
    this.byNumber.clear();
    if (this.session === null) this.objects.reject(error.delivered("not-sent"));
    this.objects.release();
  }

  async close(timeout: number): Promise<void> {
    await (timeout > 0 ? this.session?.drain(timeout) : this.session?.close());
    await this.over;
  }

  private async open(): Promise<void> {
    const made = await this.dial();
    if (made === null) return;
    const { session, objects } = made;
    this.session = session;
    const watch = session.onStateChange(() => this.check());
    this.objects.resolve(objects);
    // It may have been said with the answer to the first call; what waited is called all the same.
    if (this.left !== null) this.leaving(this.left);
    await session.closed;
    watch[Symbol.dispose]();
    this.end(this.lost(session));
  }

  /** @returns null when this has ended, by its limit of time or from outside. */
  private async dial(): Promise<{ session: Session; objects: Hook } | null> {
    const { clock, reachTime, name } = this.options;
    const { signal } = this.stop;
    let last = "";
    const stopTimer = clock.after(reachTime, () => {
      const message = `the process of ${name} is not there: nothing answered for ${reachTime} ms${last}`;
      this.end(new RpcError("disconnected", "connect-failed", message));
    });
    for (let failures = 0; this.error === null; failures++) {
      try {
        const session = await this.options.dial(signal);
        const objects = await this.attach(session);
        if (this.error === null) {
          stopTimer();
          return { session, objects };
        }
        objects.release();
        await session.close();
      } catch (thrown) {
        last = ` (${RpcError.from(thrown).message})`;
        if (this.error === null)
          await pause(clock, backoff(failures, DELAYS, randomPart()), signal);
      }
    }
    stopTimer();
    return null;
  }

  /**
   * Has the process tell what breaks there, and waits until it has heard that: the socket of one that was killed takes connections
   * for a moment longer than it serves them.
   *
   * @returns what it offers.
   */
  private async attach(session: Session): Promise<Hook> {
    const objects = session.bootstrap();
    const listener = breakListener(this);
    const params = new Payload(ONE_CAPABILITY, [listener]);
    const request = new CallRequest(OBJECTS_HI, OBJECTS_LO, METHOD_ATTACH, params);
    const end = (): void => void session.close();
    this.stop.signal.addEventListener("abort", end);
    try {
      await tell(objects, request);
      return objects;
    } catch (thrown) {
      objects.release();
      await session.close();
      throw thrown;
    } finally {
      this.stop.signal.removeEventListener("abort", end);
    }
  }

  private lost(session: Session): RpcError {
    const { name } = this.options;
    if (session.error === null || this.left !== null) {
      const message = `the process of ${name} ends, and another takes its place; get a new stub`;
      return new RpcError("disconnected", "connection-draining", message);
    }
    const message = `the process of ${name} was lost: ${session.error.message}; get a new stub`;
    return new RpcError("disconnected", "connection-lost", message, { cause: session.error });
  }

  broken(number: number, error: RpcError): void {
    const callee = this.byNumber.get(number);
    if (callee === undefined) return;
    callee.forget();
    callee.break(error);
  }

  leaving(timeout: number): void {
    const { session } = this;
    this.left = timeout;
    if (session === null) return;
    this.end(this.lost(session));
    void session.drain(timeout);
  }

  private forget(key: string, number: number, callee: RemoteCallee): void {
    if (this.reached.get(key) === callee) this.reached.delete(key);
    this.byNumber.delete(number);
  }

  private freeNumber(): number {
    do this.lastNumber = (this.lastNumber + 1) >>> 0;
    while (this.byNumber.has(this.lastNumber));
    return this.lastNumber;
  }
}

/** An object of another process, as the stubs of this one call it. It is let go when none of them is left. */
class RemoteCallee implements Callee {
  /** Has it reached no more. */
  readonly forget: () => void;
  private readonly hook: Hook;
  private readonly callers = new Set<ObjectHook>();
  private released = false;

  /** @param hook a reference, taken over. */
  constructor(hook: Hook, forget: () => void) {
    this.hook = hook;
    this.forget = forget;
  }

  attach(caller: ObjectHook): void {
    this.callers.add(caller);
  }

  detach(caller: ObjectHook): void {
    this.callers.delete(caller);
    if (this.callers.size > 0) return;
    this.forget();
    this.release();
  }

  call(request: CallRequest): Results {
    return this.hook.call(request);
  }

  break(error: RpcError): void {
    for (const caller of this.callers) caller.close(error);
    this.callers.clear();
    this.release();
  }

  private release(): void {
    if (this.released) return;
    this.released = true;
    this.hook.release();
  }
}

/**
 * Calls a method of HostedObjects, and gives the capability that it returns.
 *
 * @param answered told once, when that is known, or never will be.
 */
function ask(objects: Hook, method: number, params: Payload, answered: () => void): Hook {
  const results = objects.call(new CallRequest(OBJECTS_HI, OBJECTS_LO, method, params));
  const hook = results.pipeline(OBJECT_PATH);
  results.dropPipeline();
  const resultsSettled = (): void => {
    results.dropResponse();
    answered();
  };
  results.observe({ immediate: false, resultsSettled });
  return hook;
}

/** Waits, or until `signal` aborts. */
function pause(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      stopTimer();
      signal.removeEventListener("abort", end);
      resolve();
    };
    const stopTimer = clock.after(ms, end);
    signal.addEventListener("abort", end, { once: true });
  });
}
