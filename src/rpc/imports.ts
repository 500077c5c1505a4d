// Role: the import table: capabilities the peer exports to us.
// State: per import, how many references the peer has counted for us, and the promise over it.
// Must not know: user code.

import { RpcError } from "../base/errors.js";
import type { CallRequest, Hook } from "../hook/hook.js";
import type { Path } from "../hook/payload.js";
import type { Results } from "../hook/results.js";
import { DescriptorKind, EMPTY_PATH, TargetKind } from "../wire/descriptors.js";
import type { ImportId } from "./ids.js";
import { sendCall } from "./question.js";
import { PromisedTarget, RemotePromise, RemoteTarget } from "./remote.js";
import { type ConnectionState, protocolError } from "./state.js";

/** What an import knows that was introduced as a promise. */
class PromisedImport extends PromisedTarget {
  promise: RemotePromise | null = null;
  resolveSeen = false;
}

/** One import: an id the peer exports to us, and how many references it has counted for it (C-REF-01 to 05). */
export class ImportHook extends RemoteTarget {
  readonly id: ImportId;
  wireRefs = 0;
  /** Null for what is settled: there may be a hundred thousand of those. */
  readonly promised: PromisedImport | null;

  constructor(state: ConnectionState, id: ImportId, isPromise: boolean) {
    super(state);
    this.id = id;
    this.promised = isPromise ? new PromisedImport() : null;
  }

  /** Introduced as senderPromise: a Resolve will come. */
  get wasPromise(): boolean {
    return this.promised !== null;
  }

  /** The bare way to a promise may lead where other ways lead too. */
  override get isSettled(): boolean {
    return !this.wasPromise;
  }

  get targetKind(): number {
    return TargetKind.importedCap;
  }

  get targetId(): number {
    return this.id;
  }

  get targetPath(): Path {
    return EMPTY_PATH;
  }

  get descriptorKind(): number {
    return DescriptorKind.receiverHosted;
  }

  call(request: CallRequest): Results {
    return sendCall(this.state, this, request);
  }

  promiseGone(): void {
    this.promised!.promise = null;
    this.release();
  }

  /** The last holder here is gone: gives back everything the peer counted, in one Release (C-REF-04). */
  protected unreferenced(): void {
    this.giveUp();
    if (this.state.identities !== null) listeners.get(this)?.();
  }

  protected giveUp(): void {
    const { state, id } = this;
    if (!state.alive || state.imports.get(id) !== this) return;
    state.imports.delete(id);
    for (let left = this.wireRefs; left > 0; left -= MAX_RELEASE)
      state.writer.release(id, Math.min(left, MAX_RELEASE));
  }
}

const MAX_RELEASE = 0xffff_ffff;

/** Who is told when nobody holds an import any more. Apart: of most of a hundred thousand nobody wants to know. */
const listeners = /* @__PURE__ */ new WeakMap<ImportHook, () => void>();

/** The peer has said who `hook` is. What that is here is noted once, and heard of again when nobody holds it any more. */
export function noteIdentity(state: ConnectionState, hook: Hook, identity: Uint8Array): void {
  if (!(hook instanceof ImportHook) || listeners.has(hook)) return;
  const letGo = state.identities!.note(hook, identity);
  if (letGo !== null) listeners.set(hook, letGo);
}

/**
 * The capability behind a descriptor senderHosted or senderPromise: a new reference, one more counted by the peer.
 * @throws RpcError when the limit on imports is reached.
 */
export function receiveImport(state: ConnectionState, id: ImportId, isPromise: boolean): Hook {
  const known = state.imports.get(id);
  if (known !== undefined) {
    known.wireRefs++;
    // A peer that calls a promise hosted the second time (C-RES-02) still means the promise.
    return known.promised !== null ? promiseOf(known, known.promised) : known.addRef();
  }
  if (state.imports.size >= state.limits.imports)
    throw new RpcError(
      "overloaded",
      "limit-exceeded",
      `limit imports: ${state.limits.imports} references are held`,
    );
  const entry = new ImportHook(state, id, isPromise);
  entry.wireRefs = 1;
  state.imports.set(id, entry);
  const { promised } = entry;
  if (promised === null) return entry;
  const promise = promiseOf(entry, promised);
  entry.release();
  return promise;
}

function promiseOf(entry: ImportHook, promised: PromisedImport): Hook {
  if (promised.promise !== null) return promised.promise.addRef();
  return (promised.promise = new RemotePromise(entry.addRef()));
}

/** A Resolve for `id`: `replacement` is taken over; `pointsBack` as in {@link RemotePromise.resolveTo}. */
export function resolveImport(
  state: ConnectionState,
  id: number,
  replacement: Hook,
  pointsBack: boolean,
): void {
  const entry = state.imports.get(id);
  if (entry === undefined) {
    replacement.release(); // Released before it resolved: the two messages crossed (C-RES-04).
    return;
  }
  const { promised } = entry;
  if (promised === null || promised.resolveSeen) {
    replacement.release();
    const why = promised === null ? "it is no promise" : "it resolved before";
    throw protocolError(`Resolve for import ${id}, but ${why}`);
  }
  promised.resolveSeen = true;
  const { promise } = promised;
  if (promise === null) {
    replacement.release();
    return;
  }
  promised.promise = null;
  // Directly, by the peer's own word. Round through us it may be nobody's fault: then only the promise breaks.
  if (!pointsBack && replacement.resolved() === promise) {
    promise.resolveTo(replacement, false);
    throw protocolError(`Resolve of promise ${id} to itself`);
  }
  promise.resolveTo(replacement, pointsBack);
}
