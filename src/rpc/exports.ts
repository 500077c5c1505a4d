// Role: the export table: capabilities we hand to the peer, and how any capability is described to it.
// State: per export, how many references the peer holds, and what a resolved promise was announced as.
// Must not know: user code.

import { RpcError } from "../base/errors.js";
import type { Hook, HookWatcher } from "../hook/hook.js";
import { LocalHook } from "../hook/local.js";
import type { Caps } from "../hook/payload.js";
import { DescriptorKind, EMPTY_PATH } from "../wire/descriptors.js";
import { echoDisembargo, parkDisembargo } from "./disembargo.js";
import type { ExportId } from "./ids.js";
import { RemotePromise, type RemoteTarget, routeTarget } from "./remote.js";
import { Route, type Routed } from "./route.js";
import { type ConnectionState, protocolError } from "./state.js";

/** What an exported promise knows of its resolution. */
interface Promised {
  /** What the Resolve announced: calls go there and nowhere else, even if that resolves again (C-RES-18). Owned. */
  frozen: Hook | null;
  watched: Hook | null;
  /** The export that our Resolve counted one reference for, until the peer answers for it. */
  announcedAs: Export | null;
  resolveEchoed: boolean;
  routes: Set<Route> | null;
  /** Disembargoes of the peer's that came before our Resolve (C-EMB-10). */
  early: number[] | null;
}

/** One capability in the peer's hands, under one id (C-REF-01, C-REF-02). */
export class Export implements HookWatcher, Routed {
  readonly state: ConnectionState;
  id = 0 as ExportId;
  refs = 0;
  /** What calls go to while it is unresolved. Owned. */
  hook: Hook;
  /** Null for what is settled: there may be a hundred thousand of those. */
  private readonly promise: Promised | null;

  /** Takes over `hook`, which is at the end of what is known. */
  constructor(state: ConnectionState, hook: Hook) {
    this.state = state;
    this.hook = hook;
    this.promise =
      hook.isPromise || hook.brokenBy !== null
        ? {
            frozen: null,
            watched: null,
            announcedAs: null,
            resolveEchoed: false,
            routes: null,
            early: null,
          }
        : null;
  }

  get wasPromise(): boolean {
    return this.promise !== null;
  }

  /** Where calls on this export go now. */
  get target(): Hook {
    return this.promise?.frozen ?? this.hook;
  }

  /** A reference for calls that the peer addresses to what was described as this export, by any name. */
  route(): Hook {
    const { promise } = this;
    if (promise === null) return this.hook.addRef();
    if (promise.frozen !== null) return promise.frozen.addRef();
    const route = new Route(this);
    (promise.routes ??= new Set()).add(route);
    return route;
  }

  routeReleased(route: Route): void {
    this.promise?.routes?.delete(route);
  }

  /** Begins to wait for the resolution; a broken capability is announced at once, behind the message just written. */
  watch(): void {
    const { promise } = this;
    if (promise === null || promise.watched !== null || promise.frozen !== null) return;
    if (this.hook.isPromise) {
      promise.watched = this.hook;
      this.hook.watch(this);
    } else this.announce(promise, this.hook);
  }

  /** The promise took a step. Only the last one is announced: an unexported promise in between stays ours (C-RES-16). */
  hookResolved(): void {
    const { state, promise } = this;
    if (promise === null) return;
    promise.watched = null;
    if (!state.alive || this.refs === 0) return;
    const end = this.hook.resolved();
    if (end.isPromise && !(state.owns(end) && routeTarget(end) !== null)) {
      this.follow(end);
      this.watch();
      return;
    }
    try {
      this.announce(promise, end);
    } catch (thrown) {
      state.fail(RpcError.from(thrown));
    }
  }

  /** A senderLoopback aimed at this export. */
  disembargo(embargoId: number): void {
    const { promise } = this;
    if (promise !== null && promise.frozen !== null)
      echoDisembargo(this.state, promise.frozen, embargoId);
    else if (promise !== null && promise.watched !== null) {
      parkDisembargo(this.state);
      (promise.early ??= []).push(embargoId);
    } else
      throw protocolError(`Disembargo.senderLoopback for export ${this.id}, which is no promise`);
  }

  /** The peer does not know Resolve: the reference it counted is ours again (C-UNI-03). False: no Resolve waits for that. */
  resolveUnimplemented(): boolean {
    const { promise } = this;
    if (promise === null || promise.frozen === null || promise.resolveEchoed) return false;
    promise.resolveEchoed = true;
    const announced = promise.announcedAs;
    promise.announcedAs = null;
    announced?.release(1);
    return true;
  }

  release(count: number): void {
    if (count > this.refs)
      throw protocolError(
        `Release of ${count} references to export ${this.id}, which has ${this.refs}`,
      );
    this.refs -= count;
    if (this.refs > 0) return;
    this.state.exports.remove(this.id);
    this.detach();
  }

  /** The table has let go of this. */
  detach(): void {
    this.refs = 0;
    this.forget();
    const { promise } = this;
    if (promise !== null) {
      promise.watched?.unwatch(this);
      promise.watched = null;
      this.takeEarly(promise);
      this.settleRoutes(promise, this.target);
    }
    this.hook.release();
    if (promise === null) return;
    promise.frozen?.release();
    promise.frozen = null;
  }

  private settleRoutes(promise: Promised, way: Hook): void {
    const { routes } = promise;
    promise.routes = null;
    if (routes !== null) for (const route of routes) route.settle(way);
  }

  private takeEarly(promise: Promised): number[] {
    const early = promise.early ?? [];
    promise.early = null;
    this.state.parkedDisembargoes -= early.length;
    return early;
  }

  private follow(end: Hook): void {
    this.forget();
    const old = this.hook;
    this.hook = end.addRef();
    old.release();
    if (exportKnown(this.state, end) === undefined) noteExport(end, this);
  }

  private forget(): void {
    const { hook } = this;
    if (hook instanceof LocalHook && hook.exported === this) hook.exported = null;
    const { exportsByHook } = this.state;
    if (exportsByHook.get(hook) === this) exportsByHook.delete(hook);
  }

  /** Sends the one Resolve and freezes the route (C-RES-01, C-RES-03, C-RES-07, C-RES-08). */
  private announce(promise: Promised, end: Hook): void {
    const { state } = this;
    this.forget();
    const broken = end.brokenBy;
    if (broken !== null) {
      promise.frozen = end.addRef();
      state.writer.resolveException(this.id, broken);
    } else {
      const described = describe(state, end);
      promise.frozen = described.route;
      promise.announcedAs = described.exported;
      const { kind, id, path } = described;
      state.writer.resolveCap(this.id, kind, id, path, identityOf(state, described, end));
    }
    this.settleRoutes(promise, promise.frozen);
    for (const embargoId of this.takeEarly(promise))
      echoDisembargo(state, promise.frozen, embargoId);
  }
}

/** How one capability is named to the peer, and where the peer's calls under that name go. `route` is a reference. */
interface Description {
  kind: number;
  id: number;
  path: readonly number[];
  route: Hook;
  exported: Export | null;
}

function describe(state: ConnectionState, hook: Hook): Description {
  const end = hook.resolved();
  if (end.brand === state) {
    const target = targetOf(end);
    if (target !== null) {
      target.described();
      return {
        kind: target.descriptorKind,
        id: target.targetId,
        path: target.targetPath,
        route: target.addRef(),
        exported: null,
      };
    }
  }
  const entry = exportWaitedFor(state, end) ?? exportOf(state, end);
  entry.refs++;
  const kind = entry.wasPromise ? DescriptorKind.senderPromise : DescriptorKind.senderHosted;
  return { kind, id: entry.id, path: EMPTY_PATH, route: entry.route(), exported: entry };
}

function targetOf(end: Hook): RemoteTarget | null {
  // A promise described to its own host counts as used: what the peer does with it travels the same path (C-EMB-02).
  if (end instanceof RemotePromise) end.target.useAsPromise();
  const target = routeTarget(end);
  // One that is gone has no name any more: its id may be another's by now.
  return target?.brokenBy === null ? target : null;
}

/** A promise that went to this peer and came back goes out again by the id it has (C-RES-02). */
function exportWaitedFor(state: ConnectionState, end: Hook): Export | null {
  if (!(end instanceof Route) || end.next !== null) return null;
  const { entry } = end;
  return entry instanceof Export && entry.state === state && entry.refs > 0 ? entry : null;
}

function exportOf(state: ConnectionState, end: Hook): Export {
  const known = exportKnown(state, end);
  if (known !== undefined) return known;
  if (state.exports.size >= state.limits.exports)
    throw new RpcError(
      "overloaded",
      "limit-exceeded",
      `limit exports: the peer holds ${state.limits.exports} already`,
      {
        delivery: "not-sent",
      },
    );
  const entry = new Export(state, end.addRef());
  entry.id = state.exports.insert(entry);
  if (end.brokenBy === null) noteExport(end, entry);
  return entry;
}

/** The export that stands for `hook` on this connection. */
export function exportKnown(state: ConnectionState, hook: Hook): Export | undefined {
  if (hook instanceof LocalHook && hook.exported instanceof Export && hook.exported.state === state)
    return hook.exported;
  return state.exportsByHook.get(hook);
}

/** An object knows itself by which export it stands for on one connection; the table knows the rest. */
function noteExport(hook: Hook, entry: Export): void {
  if (hook instanceof LocalHook && hook.exported === null) hook.exported = entry;
  else entry.state.exportsByHook.set(hook, entry);
}

/**
 * Describes `caps` into `state.descriptors` for the message about to be written.
 *
 * Each export counted here must be either confirmed by {@link announceNew} after the message is written, or rolled back
 * by {@link releaseExports} when it cannot be (C-REF-11).
 * @param routes when given, gets for each slot where the peer's calls on it will go, as references.
 * @returns the exports counted, in order, repeats included; null when there are none.
 */
export function describeCaps(
  state: ConnectionState,
  caps: Caps,
  routes: (Hook | null)[] | null,
): Export[] | null {
  const { descriptors } = state;
  descriptors.reset();
  let counted: Export[] | null = null;
  for (const cap of caps) {
    if (cap === null || isNull(cap)) {
      descriptors.add(DescriptorKind.none, 0, EMPTY_PATH);
      routes?.push(null);
      continue;
    }
    let described: Description;
    try {
      described = describe(state, cap);
    } catch (thrown) {
      releaseExports(counted);
      if (routes !== null) for (const route of routes.splice(0)) route?.release();
      throw thrown;
    }
    const { kind, id, path } = described;
    descriptors.add(kind, id, path, identityOf(state, described, cap));
    if (described.exported !== null) (counted ??= []).push(described.exported);
    if (routes !== null) routes.push(described.route);
    else described.route.release();
  }
  return counted;
}

/** What the peer is told of `hook` beside its description: of what it hosts itself it knows better. */
function identityOf(
  { identities }: ConnectionState,
  { exported }: Description,
  hook: Hook,
): Uint8Array | null {
  return identities === null || exported === null ? null : identities.of(hook);
}

function isNull(cap: Hook): boolean {
  const end = cap.resolved() as Hook & { isNull?: boolean };
  return end.isNull === true;
}

/** The message is written: promises first exported by it are watched from now on (C-RES-24). */
export function announceNew(counted: Export[] | null): void {
  if (counted === null) return;
  for (const entry of counted) entry.watch();
}

/** Takes back the references that one message carried: it was not written, or the peer gave them back. */
export function releaseExports(counted: readonly Export[] | null): void {
  if (counted !== null) for (const entry of counted) entry.release(1);
}
