// Role: where calls go that the peer addresses to a promise of ours: an export of which we hold another name, or a slot of
// an answer that has not returned. Follows what the peer is told of it, the Resolve or the Return, and nothing that comes
// after (C-RES-18, C-RES-19).
// State: who waits for that. Must not know: tables, the wire.

import type { RpcError } from "../base/errors.js";
import type { Job } from "../base/scheduler.js";
import { type CallRequest, type FlowController, Hook, type HookWatcher } from "../hook/hook.js";
import type { Results } from "../hook/results.js";

/** The promise that a route follows; see Export and AnswerSlot. */
export interface Routed {
  /** Where calls go now. */
  readonly target: Hook;
  routeReleased(route: Route): void;
}

/** One route; it may come into users' hands, as a capability of ours that came home. */
export class Route extends Hook implements Job {
  readonly entry: Routed;
  private watchers: HookWatcher[] = [];

  constructor(entry: Routed) {
    super(entry.target.scheduler);
    this.entry = entry;
  }

  /** The peer was told of the resolution, or the entry has ended without one. `way` stays the caller's. */
  settle(way: Hook): void {
    this.next = way.addRef();
    if (this.watchers.length > 0) this.scheduler.post(this);
  }

  get brand(): object {
    return (this.next ?? this.entry.target).brand;
  }

  override get isPromise(): boolean {
    return this.next === null || this.next.isPromise;
  }

  override get brokenBy(): RpcError | null {
    return this.next?.brokenBy ?? null;
  }

  override get flow(): FlowController | null {
    return (this.next ?? this.entry.target).flow;
  }

  call(request: CallRequest): Results {
    return (this.next ?? this.entry.target).call(request);
  }

  override reaches(hook: Hook): boolean {
    if (this.next !== null) return super.reaches(hook);
    return this === hook || this.entry.target.reaches(hook);
  }

  override watch(watcher: HookWatcher): void {
    this.watchers.push(watcher);
    if (this.next !== null && this.watchers.length === 1) this.scheduler.post(this);
  }

  override unwatch(watcher: HookWatcher): void {
    const at = this.watchers.indexOf(watcher);
    if (at >= 0) this.watchers.splice(at, 1);
  }

  /** Job: tells the watchers. */
  run(): void {
    for (const watcher of this.watchers.splice(0)) watcher.hookResolved();
  }

  protected unreferenced(): void {
    if (this.next !== null) this.next.release();
    else this.entry.routeReleased(this);
  }
}
