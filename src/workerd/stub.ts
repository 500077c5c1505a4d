// Role: a stub of something in workerd: an RpcStub as any other, whose calls go out as workerd wants them.
// State: one reference, until it is disposed. Must not know: how calls travel.
//
// Of the dynamic layer this takes what users see, places and proxies, and the terms. How a call is made, what its result is, and how
// long either lives is so different that a common call would ask everywhere which of both it is.

import { RpcError } from "../base/errors.js";
import type { CallOptions } from "../cap/call-options.js";
import { watchBroken } from "../cap/dynamic/broken.js";
import { proxyOf, Root } from "../cap/dynamic/place.js";
import { type Lane, laneOf } from "../cap/dynamic/pressure.js";
import { KIND_OBJECT } from "../cap/dynamic/protocol.js";
import type { Referable } from "../cap/dynamic/references.js";
import type { Terms } from "../cap/dynamic/terms.js";
import { disposed, releaseWhenCollected } from "../hook/collect.js";
import type { Hook, Lifeline } from "../hook/hook.js";
import { fetchBy, type FetchInit } from "../http/client.js";
import { failedCall, noMap, startCall } from "./call.js";
import { fromWorkerd } from "./errors.js";
import { makers } from "./makers.js";
import type { Reach } from "./reach.js";
import { RelayHook, relayTo } from "./relay.js";

class WorkerdStub extends Root implements Referable {
  readonly terms: Terms;
  private reach: Reach | null;
  private watches: Set<() => void> | null = null;
  private fetch: object | undefined;

  /** Takes `reach` over. */
  constructor(reach: Reach, terms: Terms) {
    super();
    this.reach = reach;
    this.terms = terms;
    releaseWhenCollected(this, reach);
  }

  get isPromise(): boolean {
    return false;
  }

  /** @throws RpcError capability-disposed */
  get live(): Reach {
    if (this.reach !== null) return this.reach;
    const message = "this stub was disposed before";
    throw new RpcError("failed", "capability-disposed", message, { delivery: "not-sent" });
  }

  get lane(): Lane {
    return laneOf(this.live.on);
  }

  get lifeline(): Lifeline | null {
    return this.reach?.on.resolved().lifeline ?? null;
  }

  start(
    path: readonly string[],
    args: readonly unknown[] | null,
    options: CallOptions | undefined,
  ): object {
    return startCall(this.live, path, args, options, this.terms);
  }

  startMap(path: readonly string[]): object {
    return failedCall(this.live, path, noMap(), this.terms);
  }

  /** Of an entry point or an object `fetch` is a request, of any other stub a method like any other. */
  override fetcher(): object | undefined {
    if (this.reach?.serves !== true) return undefined;
    this.fetch ??= (input: RequestInfo | URL, init?: FetchInit): Promise<Response> =>
      fetchBy((cf) => this.live.http(cf), input, init, this.terms).catch((reason: unknown) => {
        throw RpcError.is(reason) ? fromWorkerd(reason) : reason;
      });
    return this.fetch;
  }

  then(): Promise<unknown> {
    return Promise.reject(new RpcError("failed", "invalid-state", "a stub is no promise"));
  }

  dup(): object {
    return stubOf(this.live.addRef(), this.terms).proxy;
  }

  onBroken(listener: (error: RpcError) => void): () => void {
    const stop = watchBroken(this.live.on, listener);
    (this.watches ??= new Set()).add(stop);
    return () => {
      stop();
      this.watches?.delete(stop);
    };
  }

  dispose(): void {
    const { reach, watches } = this;
    if (reach === null) return;
    this.reach = null;
    this.watches = null;
    for (const stop of watches ?? []) stop();
    disposed(this);
    reach.release();
  }

  // To other peers it goes as an object that passes calls on.

  override readonly relay = relayTo(this);

  get kind(): number {
    return KIND_OBJECT;
  }

  refer(): Hook {
    const { on } = this.live;
    const { root, proxy } = stubOf(this.live.addRef(), this.terms);
    return new RelayHook(proxy, on.addRef(), on.scheduler, this.terms, () => root.dispose());
  }

  hold(give: boolean): Hook {
    const hook = this.refer();
    if (give) this.dispose();
    return hook;
  }

  lent(): Hook {
    return this.refer();
  }
}

/** One that is there for all who find it: to dispose it does nothing, whoever does so. */
class LastingStub extends WorkerdStub {
  override dispose(): void {}
}

/** A new stub for `reach`, which it takes over, and keeps as long as anybody has the stub. */
export function lastingStub(reach: Reach, terms: Terms): object {
  return proxyOf(new LastingStub(reach, terms));
}

/** A new stub for `reach`, which it takes over. */
export function stubOf(
  reach: Reach,
  terms: Terms,
): { readonly root: Root; readonly proxy: object } {
  const root = new WorkerdStub(reach, terms);
  return { root, proxy: proxyOf(root) };
}

makers.stub = stubOf;
makers.reachOf = (root) => (root instanceof WorkerdStub ? root.live.addRef() : undefined);
