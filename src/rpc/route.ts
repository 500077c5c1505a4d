// Role: where calls go that the peer addresses to a promise of ours: an export of which we hold another name, or a slot of
// an answer that has not returned. Follows what the peer is told of it, the Resolve or the Return, and nothing that comes
// after (C-RES-18, C-RES-19).
// State: who waits for that. Must not know: tables, the wire.

import type { RpcError } from "../base/errors.js";
import type { CallRequest, FlowController, Hook } from "../hook/hook.js";
import type { Results } from "../hook/results.js";
import { WatchedHook } from "../hook/watched.js";

/** The promise that a route follows; see Export and AnswerSlot. */
export interface Routed {
  /** Where calls go now. */
  readonly target: Hook;
  routeReleased(route: Route): void;
}

/** One route; it may come into users' hands, as a capability of ours that came home. */
export class Route extends WatchedHook {
  readonly entry: Routed;

  constructor(entry: Routed) {
    super(entry.target.scheduler);
    this.entry = entry;
  }

  /** The peer was told of the resolution, or the entry has ended without one. `way` stays the caller's. */
  settle(way: Hook): void {
    this.next = way.addRef();
    this.notify();
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

  protected unreferenced(): void {
    if (this.next !== null) this.next.release();
    else this.entry.routeReleased(this);
  }
}
