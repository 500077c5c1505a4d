// Role: keeps a process alive: starts it, starts it again when it ends, puts another in its place when it is told to.
// State: the process that is there, the one that is to follow it, failures in a row. Must not know: what the process does.

import { RpcError } from "../../base/errors.js";
import { backoff, randomPart } from "../../vat/backoff.js";
import type { Child, ChildEnd } from "./child.node.js";
import type { RefusedObject } from "./messages.js";

export interface KeptProcessOptions {
  /** For people. */
  readonly name: string;
  /** Whether one has to be gone before the next may start its work. */
  readonly exclusive: boolean;
  launch(): Child;
  /** The objects that are refused now. */
  refused(): readonly RefusedObject[];
  /** Told of an end that nobody asked for. @returns whether the process is not to blame, and another may start at once. */
  ended(end: ChildEnd): boolean;
  /** Told that a process does its work from now on. */
  serving(child: Child): void;
  /** Told of a process that did not get so far. */
  failed(error: RpcError): void;
}

/** Between two starts, in milliseconds. */
const DELAYS = { minDelay: 100, maxDelay: 10_000 };
/** Whoever has worked for so long is no failure. */
const STABLE_MS = 5000;

export class KeptProcess {
  private readonly options: KeptProcessOptions;
  private current: Child | null = null;
  private next: Child | null = null;
  private works: Child | null = null;
  private stopped = false;
  private wake: () => void = () => {};
  private keeping: Promise<void> | null = null;

  constructor(options: KeptProcessOptions) {
    this.options = options;
  }

  /** The process that does its work now; null while there is none. */
  get serving(): Child | null {
    return this.works;
  }

  /** @returns when the first one works. @throws RpcError why it does not (as a rejection): then none is kept. */
  async start(): Promise<void> {
    const first = this.options.launch();
    this.current = first;
    try {
      await this.begin(first);
    } catch (thrown) {
      first.kill();
      await first.ended;
      throw thrown;
    }
    this.keeping = this.keep(first);
  }

  /**
   * Puts another process in the place of this one, which ends gently. It is launched and has loaded its program before anything is
   * asked of the old one.
   *
   * @param timeout milliseconds that the old one may take.
   * @throws RpcError why the new one is no good (as a rejection): then the old one stays.
   */
  async replace(timeout: number): Promise<void> {
    const { options } = this;
    const next = options.launch();
    try {
      await next.loaded;
      if (!options.exclusive) await this.begin(next);
    } catch (thrown) {
      next.kill();
      await next.ended;
      throw thrown;
    }
    if (this.stopped) return next.kill();
    // Meanwhile it may have become another one.
    const { current } = this;
    this.next = next;
    if (this.works === current) this.works = null;
    if (!options.exclusive) this.works = next;
    this.wake();
    // While the old one is busy with its end nobody would put another in the place of one that has died.
    if (!options.exclusive)
      void next.ended.then(() => {
        if (this.next === next && !this.stopped) current?.kill();
      });
    await current?.drain(timeout);
    await next.whenReady;
  }

  /** Ends it gently, and starts no other. @param timeout milliseconds that it may take. */
  async drain(timeout: number): Promise<void> {
    this.stopped = true;
    this.works = null;
    this.wake();
    // The one that is to follow may do its work already.
    await Promise.all([this.current?.drain(timeout), this.next?.drain(timeout)]);
    await this.keeping;
  }

  private async begin(child: Child): Promise<void> {
    await child.loaded;
    await child.start(this.options.refused());
    // Another may have been put in its place meanwhile.
    if (this.stopped || (this.next !== null && this.next !== child)) return;
    this.works = child;
    this.options.serving(child);
  }

  private async keep(first: Child): Promise<void> {
    let failures = 0;
    for (let child = first; ; child = this.next ?? this.options.launch()) {
      this.current = child;
      if (this.next === child) this.next = null;
      const since = performance.now();
      try {
        if (!child.isStarted) await this.begin(child);
      } catch (thrown) {
        // One that was told to end meanwhile is no failure.
        if (this.next === null && !this.stopped) this.options.failed(RpcError.from(thrown));
        child.kill();
      }
      const end = await child.ended;
      if (this.works === child) this.works = null;
      if (this.stopped) break;
      if (this.next !== null) continue;
      const innocent = this.options.ended(end);
      const lasted = performance.now() - since > STABLE_MS;
      failures = innocent || lasted ? 0 : failures + 1;
      if (!innocent) await this.pause(backoff(failures, DELAYS, randomPart()));
      if (this.stopped) break;
    }
    await this.next?.ended;
  }

  private pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.wake(), ms);
      this.wake = () => {
        clearTimeout(timer);
        this.wake = () => {};
        resolve();
      };
    });
  }
}
