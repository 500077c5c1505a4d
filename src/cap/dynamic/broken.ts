// Role: tells once when a capability breaks: its connection is lost, its promise failed, it was revoked.
// State: one registration. Must not know: stubs.

import type { RpcError } from "../../base/errors.js";
import type { Hook, HookWatcher } from "../../hook/hook.js";

/**
 * Calls `listener` once, from a job, when `hook` is broken, or if it is already.
 *
 * @param hook stays the caller's, who keeps it until the listener is taken away.
 * @returns takes the listener away.
 */
export function watchBroken(hook: Hook, listener: (error: RpcError) => void): () => void {
  const watch = new BrokenWatch(hook, listener);
  hook.scheduler.post({ run: () => watch.hookResolved() });
  return () => watch.stop();
}

class BrokenWatch implements HookWatcher {
  private readonly hook: Hook;
  private readonly listener: (error: RpcError) => void;
  private watched: Hook | null = null;
  private stopped = false;

  constructor(hook: Hook, listener: (error: RpcError) => void) {
    this.hook = hook;
    this.listener = listener;
  }

  hookResolved(): void {
    if (this.stopped) return;
    this.detach();
    const end = this.hook.resolved();
    const error = end.brokenBy ?? end.lifeline?.error ?? null;
    if (error === null) {
      this.watched = end;
      // A membrane tells of its end as a promise tells of its resolution.
      end.watch(this);
      if (!end.isPromise) end.lifeline?.watchers.add(this);
      return;
    }
    this.stopped = true;
    this.listener(error);
  }

  stop(): void {
    this.stopped = true;
    this.detach();
  }

  private detach(): void {
    const end = this.watched;
    if (end === null) return;
    this.watched = null;
    end.unwatch(this);
    end.lifeline?.watchers.delete(this);
  }
}
