// Role: what leads to the peer: a target that messages are addressed to, and a promise of the peer's over a target.
// State: whether calls went through a promise; where it resolved to.
// Must not know: tables, user code.
//
// Two objects stand for one promised import, and the difference carries the order of the whole system. The bare
// target always speaks to that id at the peer. The RemotePromise follows the resolution. What was DESCRIBED to the
// peer as "your import 7" must go on to mean import 7, even after our promise 7 resolved elsewhere (tribble rule,
// C-EMB-19): otherwise a Disembargo that has to run all the way round would be cut off half way, and calls made
// afterwards would overtake those still going round. So descriptors and frozen routes hold bare targets.

import { RpcError } from "../base/errors.js";
import {
  type CallRequest,
  type FlowController,
  Hook,
  type HookWatcher,
  type Lifeline,
} from "../hook/hook.js";
import type { Path } from "../hook/payload.js";
import { disposedHook } from "../hook/promise.js";
import { brokenHook, type PromisedField, type Results } from "../hook/results.js";
import { WatchedHook } from "../hook/watched.js";
import { openEmbargo } from "./embargo.js";
import { AdaptiveWindow } from "./adaptive-window.js";
import { flowAfter, StreamFlow } from "./flow.js";
import { Route } from "./route.js";
import type { ConnectionState } from "./state.js";

/** What a target knows of the promise over it. Apart, since most imports have none, and there may be a hundred thousand. */
export class PromisedTarget {
  /** Whether a call or a description went through the promise. */
  used = false;
  loop: RpcError | null = null;
  /** Where the promise resolved to, if to the peer again. No reference: followed only to find loops. */
  onward: RemoteTarget | null = null;
}

/** Something that a message can be addressed to: an import, or a path into the answer of a question. */
export abstract class RemoteTarget extends Hook {
  readonly state: ConnectionState;
  private streamFlow: StreamFlow | null = null;

  constructor(state: ConnectionState) {
    super(state.scheduler);
    this.state = state;
  }

  /** What is known of the promise over this; null where there is none, and never will be. */
  protected abstract readonly promised: PromisedTarget | null;

  abstract readonly targetKind: number;
  abstract readonly targetId: number;
  abstract readonly targetPath: Path;

  get brand(): object {
    return this.state;
  }

  /** Why calls on this fail: it leads back to itself, round through this vat (C-RES-12). */
  get loop(): RpcError | null {
    return this.promised?.loop ?? null;
  }

  override get brokenBy(): RpcError | null {
    return this.loop;
  }

  get usedAsPromise(): boolean {
    return this.promised?.used === true;
  }

  /** A call or a description went through the promise over this target: then a resolution needs an embargo. */
  useAsPromise(): void {
    this.promised!.used = true;
  }

  override get lifeline(): Lifeline {
    return this.state;
  }

  /** The last holder of the promise over this is gone, and it has not resolved. Releases the reference that the promise had. */
  abstract promiseGone(promise: RemotePromise): void;

  /** Gives this back to the peer, whoever holds it: two vats that route to each other would hold each other for ever. */
  protected abstract giveUp(): void;

  override get flow(): FlowController {
    const { limits, now, streamPath } = this.state;
    return (this.streamFlow ??= new StreamFlow(
      new AdaptiveWindow(limits.streamWindow, now, limits.outgoingBytes, streamPath),
    ));
  }

  /** The flow, if anything was streamed here. */
  get flowInUse(): StreamFlow | null {
    return this.streamFlow;
  }

  /**
   * Notes that the promise over this leads to `target`. False when that leads back here: then nothing more is sent to
   * this, or calls would go round for ever.
   */
  leadsOnTo(target: Hook): boolean {
    const promised = this.promised!;
    const first = routeTarget(target.resolved());
    let end = first;
    while (end !== null && end.onward !== null) end = end.onward;
    if (end === this) {
      promised.loop = promiseCycle();
      this.giveUp();
      return false;
    }
    // What resolved once does not resolve again, so the steps between may be left out.
    if (first !== null && first !== end) first.promised!.onward = end;
    promised.onward = end;
    return true;
  }

  private get onward(): RemoteTarget | null {
    return this.promised?.onward ?? null;
  }

  /** The promise that followed this target goes on under `other`, on the same connection (C-FLO-12). */
  handFlowTo(other: RemoteTarget): void {
    other.streamFlow ??= this.streamFlow;
  }

  /** The peer is told this name as one of a capability it may use. */
  described(): void {}

  /** The kind of descriptor that names this to the peer: receiverHosted or receiverAnswer. */
  abstract readonly descriptorKind: number;
}

/**
 * A promise of the peer's: an import introduced as senderPromise, or a capability in results that are not there yet.
 * Calls go to its target until it resolves; when it resolves to something on our side while calls may still be on
 * their way round, later calls wait for an embargo (C-EMB-01, 03).
 */
export class RemotePromise extends WatchedHook implements PromisedField {
  readonly target: RemoteTarget;
  /** A promise that resolved to this one, if any. No reference: see {@link bypass}. */
  private before: RemotePromise | null = null;

  /** Takes over `target`. */
  constructor(target: RemoteTarget) {
    super(target.scheduler);
    this.target = target;
  }

  get path(): Path {
    return this.target.targetPath;
  }

  get brand(): object {
    return this.next?.brand ?? this.target.state;
  }

  override get isPromise(): boolean {
    return this.next === null || this.next.isPromise;
  }

  override get brokenBy(): RpcError | null {
    return this.next?.brokenBy ?? null;
  }

  override get lifeline(): Lifeline | null {
    return this.next === null ? this.target.state : this.next.lifeline;
  }

  override get flow(): FlowController | null {
    if (this.next === null) return this.target.flow;
    return flowAfter(this.target.flowInUse, this.next.flow);
  }

  call(request: CallRequest): Results {
    if (this.next !== null) return this.resolved().call(request);
    this.target.useAsPromise();
    return this.target.call(request);
  }

  /** Calls through it went out when they were made; none waits here. */
  get isHeld(): boolean {
    return this.refCount > 0;
  }

  settleField(target: Hook): void {
    this.resolveTo(target, false);
  }

  /**
   * Resolves, taking `target` over.
   * @param pointsBack the peer described it as something of OURS, so calls made before may still be going round. It is
   * the description that counts, not where `target` leads by now: it may already lead back to the peer, and calls
   * sent straight there would overtake those going round through us (C-EMB-20).
   */
  resolveTo(target: Hook, pointsBack: boolean): void {
    let end = target;
    if (!this.target.leadsOnTo(target)) {
      target.release();
      end = brokenHook(this.target.loop!, this.scheduler);
    } else if (pointsBack && this.target.usedAsPromise && target.brokenBy === null) {
      end = openEmbargo(this.target, target);
    } else if (
      end instanceof RemotePromise &&
      end.target.state === this.target.state &&
      end.next === null
    ) {
      this.inherit(end.target);
    } else if (end instanceof RemoteTarget && end.state === this.target.state) {
      this.target.handFlowTo(end);
    }
    this.goesOnTo(end);
    this.target.release();
    this.notify();
    if (this.refCount === 0) this.unreferenced();
    else this.bypass();
  }

  private goesOnTo(next: Hook): void {
    this.next = next;
    if (next instanceof RemotePromise && next.next === null && next.before?.next !== next)
      next.before = this;
  }

  /**
   * When only the promise before holds this, that one goes straight on. Nothing else would shorten a chain that nobody
   * calls through, and a peer that goes on resolving one hop at a time would fill the memory with hops (C-HOS-09).
   */
  private bypass(): void {
    const { before, next } = this;
    if (before === null || next === null || before.next !== this || this.refCount !== 1) return;
    this.before = null;
    before.next = next.addRef();
    if (next instanceof RemotePromise && next.before === this) next.before = before;
    before.target.leadsOnTo(next);
    this.release();
  }

  /** The same path goes on: calls already made count as made through the new promise too (C-RES-21). */
  private inherit(target: RemoteTarget): void {
    if (this.target.usedAsPromise) target.useAsPromise();
    this.target.handFlowTo(target);
  }

  /** Who waits for the resolution is a holder: else the import would be released and the Resolve lost (C-RES-26). */
  override watch(watcher: HookWatcher): void {
    if (!this.isWatched) this.addRef();
    super.watch(watcher);
  }

  override unwatch(watcher: HookWatcher): void {
    if (!this.isWatched) return;
    super.unwatch(watcher);
    if (!this.isWatched) this.release();
  }

  override run(): void {
    if (!this.isWatched) return;
    super.run();
    const last = this.refCount === 1;
    this.release();
    if (!last) this.bypass();
  }

  protected unreferenced(): void {
    if (this.next === null) {
      this.target.promiseGone(this);
      return;
    }
    const next = this.next;
    this.next = disposedHook(this.scheduler);
    next.release();
  }
}

function promiseCycle(): RpcError {
  return new RpcError("failed", "promise-cycle", "the promise was resolved to itself", {
    delivery: "not-sent",
  });
}

/** What a frozen route addresses at the peer; null when it leads elsewhere, or nowhere any more. */
export function routeTarget(route: Hook): RemoteTarget | null {
  if (route instanceof RemoteTarget) return route;
  if (route instanceof RemotePromise && route.next === null) return route.target;
  if (route instanceof Route && route.next !== null) return routeTarget(route.next);
  return null;
}
