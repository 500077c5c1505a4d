// Role: what a stub of an object holds: the way to its activation, whichever that is when a call is made.
// State: the activation it has called, until that is evicted; what it broke with. Must not know: how objects are activated.

import { RpcError } from "../../base/errors.js";
import type { Scheduler } from "../../base/scheduler.js";
import type { CallRequest, Fetcher } from "../../hook/hook.js";
import { failedResults, type Results } from "../../hook/results.js";
import type { Release } from "../collect/live-roots.js";
import { IdentifiedHook } from "../references/identity.js";
import type { ObjectReference } from "../references/reference.js";

/** What runs an object, as those who call it know it: its activation, or the way to one in another process. */
export interface Callee {
  /** `caller` is going to call, and is to be told when this ends. */
  attach(caller: ObjectHook): void;
  /** It calls no more. */
  detach(caller: ObjectHook): void;
  call(request: CallRequest): Results;
}

/** Finds what runs an object, or a facet of it there. */
export interface Finder {
  /** What it finds. */
  readonly reference: ObjectReference;
  /** Makes it, if there is none. Runs no user code. @throws RpcError when there is to be none any more. */
  activate(): Callee;
  find(): Callee | undefined;
}

/**
 * A reference to an object by its id. It outlives activations: an evicted object is activated again by the next call. It breaks
 * with an activation that it has called and that broke, since calls may be lost: then a new reference is needed.
 */
export class ObjectHook extends IdentifiedHook {
  private readonly finder: Finder;
  /** Told at once when this breaks. Runs no user code, and makes no call on this. */
  onBroken: ((error: RpcError) => void) | null = null;
  private readonly asks: Fetcher | null;
  private readonly letGo: Release | null;
  private callee: Callee | null = null;
  private closedBy: RpcError | null = null;

  /**
   * @param asks what `fetch` of its stubs does; null where that is a method like others.
   * @param letGo told when nobody holds this any more.
   */
  constructor(
    scheduler: Scheduler,
    finder: Finder,
    asks: Fetcher | null,
    letGo: Release | null = null,
  ) {
    super(scheduler);
    this.letGo = letGo;
    this.finder = finder;
    this.asks = asks;
  }

  override get fetcher(): Fetcher | null {
    return this.asks;
  }

  get reference(): ObjectReference {
    return this.finder.reference;
  }

  /** Nobody else vouches for it. */
  get brand(): object {
    return this;
  }

  override get brokenBy(): RpcError | null {
    return this.closedBy;
  }

  call(request: CallRequest): Results {
    if (this.closedBy !== null) return this.refuse(request, this.closedBy);
    let callee: Callee;
    try {
      callee = this.finder.activate();
    } catch (thrown) {
      return this.refuse(request, RpcError.from(thrown).delivered("not-sent"));
    }
    if (callee !== this.callee) {
      this.callee?.detach(this);
      this.callee = callee;
      callee.attach(this);
    }
    return callee.call(request);
  }

  /** The activation that a call would come to, if there is one. */
  get current(): Callee | undefined {
    return this.closedBy === null ? this.finder.find() : undefined;
  }

  /** The activation was evicted. */
  forget(): void {
    this.callee = null;
  }

  /** The activation broke: so does this, for good. Whoever watches is told, from a job. */
  close(error: RpcError): void {
    this.callee = null;
    this.closedBy = error;
    this.onBroken?.(error);
    this.notify();
  }

  protected unreferenced(): void {
    this.callee?.detach(this);
    this.callee = null;
    this.letGo?.();
  }

  private refuse(request: CallRequest, error: RpcError): Results {
    request.params.release();
    return failedResults(error.delivered("not-sent"), this.scheduler);
  }
}
