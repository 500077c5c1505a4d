// Role: the way to a durable object of a workerd: found when it is first called, and broken with the connection that was.
// State: the object's capability, once a call was made. Must not know: how connections are made, stubs.

import type { RpcError } from "../base/errors.js";
import type { Scheduler } from "../base/scheduler.js";
import { watchBroken } from "../cap/dynamic/broken.js";
import type { CallRequest, FlowController, Hook, Lifeline } from "../hook/hook.js";
import { failedResults, type Results } from "../hook/results.js";
import { WatchedHook } from "../hook/watched.js";

/**
 * A WorkerBootstrap of one object. Nothing happens before its first call; from then on it is of the connection that this was made
 * on, since calls may be lost with that: whoever wants to reach the object again takes a new one.
 */
export class ObjectWay extends WatchedHook {
  private readonly find: () => Hook;
  private found: Hook | null = null;
  private stopWatch: () => void = () => {};

  /** @param find a new reference to the object, by the connection of that moment. Runs no user code. */
  constructor(scheduler: Scheduler, find: () => Hook) {
    super(scheduler);
    this.find = find;
  }

  /** Nobody else vouches for it. */
  get brand(): object {
    return this;
  }

  override get brokenBy(): RpcError | null {
    const end = this.found?.resolved();
    return end?.brokenBy ?? end?.lifeline?.error ?? null;
  }

  override get lifeline(): Lifeline | null {
    return this.found?.resolved().lifeline ?? null;
  }

  override get flow(): FlowController | null {
    return this.found?.flow ?? null;
  }

  override get isRegainable(): boolean {
    return true;
  }

  call(request: CallRequest): Results {
    const { brokenBy } = this;
    if (brokenBy !== null) {
      request.params.release();
      return failedResults(brokenBy.delivered("not-sent"), this.scheduler);
    }
    if (this.found === null) {
      // They may be borrowed, and what is to be asked first is written in the same memory.
      request.params.own();
      this.found = this.find();
      this.stopWatch = watchBroken(this.found, () => this.run());
    }
    return this.found.call(request);
  }

  protected unreferenced(): void {
    this.stopWatch();
    this.found?.release();
  }
}
