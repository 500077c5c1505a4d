// Role: a hook that takes a next step, or breaks, and tells who waits for that.
// State: who waits. Must not know: what the step is.

import { RpcError } from "../base/errors.js";
import type { Job } from "../base/scheduler.js";
import { Hook, type HookWatcher } from "./hook.js";

/** Base of every hook that {@link Hook.watch} means something to. Each watcher is told once, in the order in which they came. */
export abstract class WatchedHook extends Hook implements Job {
  /** Most are never watched, and there may be a hundred thousand of them; or of watchers of one. */
  private watchers: Set<HookWatcher> | null = null;

  protected get isWatched(): boolean {
    return this.watchers !== null && this.watchers.size > 0;
  }

  override watch(watcher: HookWatcher): void {
    const first = !this.isWatched;
    (this.watchers ??= new Set()).add(watcher);
    if (first && this.next !== null) this.scheduler.post(this);
  }

  override unwatch(watcher: HookWatcher): void {
    this.watchers?.delete(watcher);
  }

  /** Tells them, from a job. */
  protected notify(): void {
    if (this.isWatched) this.scheduler.post(this);
  }

  /** Job: tells them. What one of them throws is not to keep the others from hearing of it. */
  run(): void {
    const { watchers } = this;
    this.watchers = null;
    for (const watcher of watchers ?? [])
      try {
        watcher.hookResolved();
      } catch (thrown) {
        this.scheduler.onError(RpcError.from(thrown, "internal-error"));
      }
  }
}
