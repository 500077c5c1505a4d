// Role: the test kit for users: vats, servers and clients in one process, over links that a test slows, cuts and makes
// lossy, in a time that only the test moves.
// State: virtual time, the messages and timers that wait for it.
// Must not know: real time, but for one thing: `run` lets JavaScript's own promises go on between two messages.

import { invalidArgument } from "../base/checks.js";
import { RpcError } from "../base/errors.js";
import type { TermsOptions } from "../cap/dynamic/terms.js";
import type { Hook } from "../hook/hook.js";
import type { Clock } from "./clock.js";
import { Mesh, type MeshEnd, type MeshVat, type MeshVatOptions } from "./mesh.js";
import { Line, type LineLoad, type LinkOptions } from "./test-line.js";

/** What a vat may offer: as for a Session, a client, a hook, or a function that gives one. */
export interface TestVatOptions extends Omit<MeshVatOptions, "bootstrap"> {
  bootstrap?: MeshVatOptions["bootstrap"] | { readonly _hook: Hook | null };
}

interface Timer {
  readonly at: number;
  readonly run: () => void;
}

/** Turns of the event loop without any event after which a promise is taken to wait for ever. */
const PATIENCE = 50;

/**
 * Vats in one process.
 *
 * A server of a vat is made with that vat's scheduler: `serve(Type, server, { scheduler: vat.scheduler })`.
 *
 * @example
 * const net = new TestVats();
 * const host = net.vat("host");
 * // ...
 * net.link("guest", "host", { delay: 50 });
 * using remote = net.bootstrap("guest", "host", Greeter);
 * const { text } = await net.run(remote.greet({ who: "you" }));
 * net.now; // 100: there and back
 */
export class TestVats extends Mesh implements Clock {
  private time = 0;
  private readonly lines = new Map<MeshEnd, Line>();
  private timers: Timer[] = [];

  /** Milliseconds of virtual time gone by; the clock of every connection, too. */
  override get now(): number {
    return this.time;
  }

  override vat(name: string, options: TestVatOptions = {}): MeshVat {
    const { bootstrap, ...rest } = options;
    if (bootstrap === undefined) return super.vat(name, rest);
    const isClient = typeof bootstrap === "object" && bootstrap !== null && "_hook" in bootstrap;
    return super.vat(name, { ...rest, bootstrap: isClient ? bootstrap._hook : bootstrap });
  }

  override link(a: string, b: string, options: LinkOptions = {}): void {
    super.link(a, b);
    for (const end of this.ends) if (!this.lines.has(end)) this.lines.set(end, new Line(options));
  }

  /** The bootstrap capability of `to`, as `from` sees it, in a client of `type`; the caller owns it. */
  bootstrap<C>(from: string, to: string, type: new (hook: Hook, terms?: TermsOptions) => C): C {
    const { vat, connection } = this.end(from, to);
    return new type(connection.bootstrap(), vat.options);
  }

  /** From now on messages from `from` to `to` take `delay` milliseconds. Those on their way keep their time. */
  setDelay(from: string, to: string, delay: number): void {
    this.line(from, to).delay = delay;
  }

  /**
   * From now on the line from `from` to `to` carries `bandwidth` bytes in a millisecond. What is queued keeps its time.
   */
  setBandwidth(from: string, to: string, bandwidth: number): void {
    this.line(from, to).setBandwidth(this.time, bandwidth);
  }

  /** What waits for the line from `from` to `to`, and the most that did since this was last asked for. */
  load(from: string, to: string): LineLoad {
    return this.line(from, to).load(this.time);
  }

  /**
   * Loses the next `count` messages from `from` to `to`. A transport never does that: this shows what a test does not see
   * happen, such as a peer that takes a message and stays silent.
   */
  lose(from: string, to: string, count = 1): void {
    this.line(from, to).losing += count;
  }

  /** Calls `run` when `delay` milliseconds of virtual time are over. @returns takes the timer away. */
  after(delay: number, run: () => void): () => void {
    const timer = { at: this.time + delay, run };
    this.timers.push(timer);
    return () => {
      this.timers = this.timers.filter((one) => one !== timer);
    };
  }

  /** Timers that have not run. */
  get pendingTimers(): number {
    return this.timers.length;
  }

  /** Resolves when `delay` milliseconds of virtual time are over. */
  sleep(delay: number): Promise<void> {
    return new Promise((resolve) => {
      this.after(delay, resolve);
    });
  }

  /** Lets `delay` milliseconds go by: delivers what arrives in that time and runs its timers, in order of time. */
  advance(delay: number): void {
    const end = this.time + delay;
    this.drain();
    while (this.step(end)) this.drain();
    this.time = Math.max(this.time, end);
  }

  /**
   * Lets time go by until `promise` is settled; JavaScript's own promises go on between two events.
   *
   * @returns what the promise gives. @throws what it throws; RpcError invalid-state when nothing is left that could
   *   settle it, with the tables of every connection.
   */
  async run<T>(promise: PromiseLike<T>): Promise<T> {
    let settled = false;
    const note = (): void => {
      settled = true;
    };
    // Asked once: what is no Promise may do its work each time it is asked.
    const asked = Promise.resolve(promise);
    asked.then(note, note);
    const promisesGoOn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 0));
    // What was begun in this turn is sent in this turn, before any time goes by.
    await promisesGoOn();
    for (let idle = 0; !settled;) {
      this.drain();
      idle = this.step(Infinity) ? 0 : idle + 1;
      if (idle > PATIENCE) throw this.stuck();
      await promisesGoOn();
    }
    return asked;
  }

  override drain(): void {
    super.drain();
    this.stamp();
  }

  override deliver(end: MeshEnd): void {
    const line = this.lines.get(end)!;
    line.due.shift();
    if (line.losing > 0) {
      line.losing--;
      end.sent.shift();
    } else super.deliver(end);
    this.stamp();
  }

  override cut(a: string, b: string): void {
    this.line(a, b).clear();
    this.line(b, a).clear();
    super.cut(a, b);
  }

  /** The next event, if it comes no later than `limit`: time goes on to it, and it happens. */
  private step(limit: number): boolean {
    let next: MeshEnd | null = null;
    let at = Infinity;
    for (const [end, line] of this.lines)
      if (line.due.length > 0 && line.due[0]! < at) {
        next = end;
        at = line.due[0]!;
      }
    const timer = this.timers.reduce<Timer | null>(
      (first, one) => (first === null || one.at < first.at ? one : first),
      null,
    );
    if (timer !== null && timer.at <= Math.min(at, limit)) {
      this.timers = this.timers.filter((one) => one !== timer);
      this.time = Math.max(this.time, timer.at);
      timer.run();
      return true;
    }
    if (next === null || at > limit) return false;
    this.time = Math.max(this.time, at);
    this.deliver(next);
    return true;
  }

  /** Gives each message that was sent since a time of arrival. */
  private stamp(): void {
    for (const [end, line] of this.lines)
      while (line.due.length < end.sent.length) line.put(this.time, end.sent[line.due.length]!);
  }

  private end(from: string, to: string): MeshEnd {
    const end = this.vats.get(from)?.ends.get(to);
    if (end !== undefined) return end;
    throw invalidArgument(`there is no link from ${from} to ${to}`);
  }

  private line(from: string, to: string): Line {
    return this.lines.get(this.end(from, to))!;
  }

  private stuck(): RpcError {
    const tables = this.ends.map(
      (end) => `${end.vat.name} to ${end.other.vat.name}: ${end.connection.dump()}`,
    );
    const message = `nothing is on its way and no timer is set, yet the promise waits\n${tables.join("\n")}`;
    return new RpcError("failed", "invalid-state", message);
  }
}
