// Role: the reference that outlives connections: each new call goes where calls go now.
// State: the error it is closed with. Must not know: how connections are made, when they are given up.

import type { RpcError } from "../base/errors.js";
import type { Scheduler } from "../base/scheduler.js";
import {
  CallRequest,
  type FlowController,
  type Hook,
  ONLY_PROMISE_PIPELINE,
} from "../hook/hook.js";
import { LocalResults } from "../hook/promise.js";
import { failedResults, type Results } from "../hook/results.js";
import { WatchedHook } from "../hook/watched.js";

/** Where calls go now. */
export interface Way {
  /** Not the caller's; null when calls fail at once, as closed. */
  readonly hook: Hook;
  /** Tells one connection from the next. */
  readonly generation: number;
}

export interface WayFinder {
  /** Where a call goes that is made now. Begins to connect where that is needed; runs no user code. */
  way(): Way;
  /** The window of the capability that calls go to, while there is one. */
  readonly flow: FlowController | null;
  /** A call of this generation failed. */
  callFailed(generation: number, error: RpcError): void;
}

/**
 * A capability that is never resolved to what is behind it: a peer that is given it gets a reference to this, and goes on
 * through this vat when the connection behind it is a new one (C-REC-06). What comes out of its calls belongs to the
 * connection that the call was made on (C-REC-07).
 */
export class ReconnectHook extends WatchedHook {
  private readonly finder: WayFinder;
  private closedBy: RpcError | null = null;

  constructor(scheduler: Scheduler, finder: WayFinder) {
    super(scheduler);
    this.finder = finder;
  }

  /** Nobody else vouches for it. */
  get brand(): object {
    return this;
  }

  override get brokenBy(): RpcError | null {
    return this.closedBy;
  }

  override get isRegainable(): boolean {
    return true;
  }

  override get flow(): FlowController | null {
    return this.closedBy === null ? this.finder.flow : null;
  }

  call(request: CallRequest): Results {
    if (this.closedBy !== null) {
      request.params.release();
      return failedResults(this.closedBy, this.scheduler);
    }
    const { hook, generation } = this.finder.way();
    // With a Return, that is: a call without one could not say that the way is broken (C-REC-08). And no `returnTo`: results
    // that went past here could not say it either.
    const { interfaceHi, interfaceLo, methodId, params } = request;
    const flags = request.flags & ~ONLY_PROMISE_PIPELINE;
    const inner = new CallRequest(interfaceHi, interfaceLo, methodId, params, flags);
    return new WatchedResults(this.scheduler, this.finder, generation, hook.call(inner));
  }

  /** For good: from now on every call fails with `error`. Whoever watches is told, from a job. */
  close(error: RpcError): void {
    this.closedBy = error;
    this.notify();
  }

  protected unreferenced(): void {}
}

/** The results of one call, with an eye on how it fails. */
class WatchedResults extends LocalResults {
  protected readonly returnTo = null;
  private readonly finder: WayFinder;
  private readonly generation: number;

  constructor(scheduler: Scheduler, finder: WayFinder, generation: number, source: Results) {
    super(scheduler);
    this.finder = finder;
    this.generation = generation;
    this.forward(source);
  }

  override resultsSettled(source: Results): void {
    if (source.error !== null) this.finder.callFailed(this.generation, source.error);
    super.resultsSettled(source);
  }

  protected abandonedBeforeForward(): void {}
}
