// Role: what requests are made to: one service for all, or one that is opened for each.
// State: a reference, until it is released. Must not know: requests.

import { invalidArgument } from "../base/checks.js";
import { RpcError } from "../base/errors.js";
import { HOLD, type Holder, holderOf } from "../hook/holder.js";
import { Hook } from "../hook/hook.js";

/**
 * Opens the service for one request: what is returned is given away. For peers whose services serve one request each, as
 * those of workerd do, and for what goes beside a request.
 *
 * @param cf what `init.cf` was; undefined for nothing.
 */
export type OpenService = (cf: unknown) => Hook;

/** A reference to a service, taken over; or a stub or client of one, which stays the caller's; or {@link OpenService}. */
export type ServiceSource = Hook | Holder | OpenService;

export class ServiceReference {
  private source: Hook | OpenService | null;

  /** @throws RpcError invalid-argument for what is no source; capability-disposed. */
  constructor(source: ServiceSource) {
    const holder = source instanceof Hook ? undefined : holderOf(source);
    if (holder !== undefined) this.source = holder[HOLD](false);
    else if (source instanceof Hook || typeof source === "function") this.source = source;
    else throw invalidArgument("there is no service to ask");
  }

  /** The one service, if there is one: not a new reference. */
  get hook(): Hook | null {
    return this.source instanceof Hook ? this.source : null;
  }

  /** A reference for one request. @throws RpcError capability-disposed; whatever an {@link OpenService} throws. */
  open(cf: unknown): Hook {
    const { source } = this;
    if (source === null)
      throw new RpcError("failed", "capability-disposed", "this service was disposed before");
    return source instanceof Hook ? source.addRef() : source(cf);
  }

  /** Lets go of it. Idempotent. */
  release(): void {
    const { hook } = this;
    this.source = null;
    hook?.release();
  }
}
