// Role: what a user holds of a capability: the base of every generated client class.
// State: one reference to a hook. Must not know: methods, the wire.

import { RpcError } from "../../../base/errors.js";
import { disposed, releaseWhenCollected } from "../../../hook/collect.js";
import type { Scheduler } from "../../../base/scheduler.js";
import { HOLD, type Holder } from "../../../hook/holder.js";
import type { Hook } from "../../../hook/hook.js";
import { PromiseHook } from "../../../hook/promise.js";
import { processScheduler } from "../../scheduler.js";
import type { InterfaceInfo } from "./interface.js";

/** A generated interface class: the class of its clients, and the description of the interface. */
export interface InterfaceType<out C extends Client> {
  readonly _capnp: InterfaceInfo<C>;
  new (hook: Hook): C;
}

/** What implements the interface of a client class. */
export type ServerOf<C> = C extends Client<infer S> ? S : never;

/**
 * A reference to a capability. It holds one reference until it is disposed; `using` does that at the end of a block.
 *
 * @typeParam S what implements the interface.
 * @example using calculator = connection.bootstrap(Calculator);
 */
export class Client<S = unknown> implements Holder {
  /** Never there: carries the type of a server of this interface. */
  declare readonly "~server"?: S;
  /** The capability; null once disposed. For the layers below; it stays this client's reference. */
  _hook: Hook | null;

  /** @param hook one reference, which the client takes over. */
  constructor(hook: Hook) {
    this._hook = hook;
    releaseWhenCollected(this, hook);
  }

  /** Another client of the same capability, to be disposed on its own. @throws RpcError capability-disposed */
  dup(): this {
    return new (this.constructor as new (hook: Hook) => this)(hookOf(this).addRef());
  }

  /**
   * A client of another interface for the same capability, to be disposed on its own. Nothing is checked: an object
   * that does not implement the interface answers its calls with `unimplemented`.
   */
  castAs<C extends Client>(type: InterfaceType<C>): C {
    return new type(hookOf(this).addRef());
  }

  /** For the layers beside this one: stubs of JavaScript take a client where they take each other. */
  [HOLD](give: boolean): Hook {
    return hookFrom(this, give);
  }

  /** Lets the capability go. A second time does nothing (C-GCF-05). Calls already made go on. */
  [Symbol.dispose](): void {
    const hook = this._hook;
    if (hook === null) return;
    this._hook = null;
    disposed(this);
    hook.release();
  }
}

/**
 * A client of `type` for the capability of a stub, or of another client; to be disposed on its own. Nothing is checked, as with
 * {@link Client.castAs}.
 *
 * @throws RpcError capability-disposed
 * @example using counter = castAs(await api.counter(), Counter); // the result of a call by an RpcStub
 */
export function castAs<C extends Client>(holder: Holder, type: InterfaceType<C>): C {
  return new type(holder[HOLD](false));
}

/** The client's reference, which stays the client's. @throws RpcError capability-disposed */
export function hookOf(client: Client): Hook {
  if (client._hook === null)
    throw new RpcError("failed", "capability-disposed", "this client was disposed before", {
      delivery: "not-sent",
    });
  return client._hook;
}

/** A reference of the caller's own: the client's when it is given away, else a new one. */
export function hookFrom(client: Client, give: boolean): Hook {
  const hook = hookOf(client);
  if (!give) return hook.addRef();
  client._hook = null;
  disposed(client);
  return hook;
}

/**
 * A client of a capability that will be known later. Calls made before wait in order (C-LOC-04).
 *
 * @param promise gives the client, which is given away to the one returned; when it rejects, every call fails with that.
 * @param options `scheduler`: whose jobs the calls are; by default the process's own.
 * @example const file = promised(File, openLater());
 */
export function promised<C extends Client>(
  type: InterfaceType<C>,
  promise: PromiseLike<C>,
  options?: { scheduler?: Scheduler },
): C {
  const hook = new PromiseHook(options?.scheduler ?? processScheduler());
  promise.then(
    (client) => {
      try {
        hook.resolve(hookFrom(client, true));
      } catch (thrown) {
        hook.reject(RpcError.from(thrown));
      }
    },
    (reason: unknown) => hook.reject(RpcError.from(reason)),
  );
  return new type(hook);
}

/**
 * Waits until a promised capability is known.
 * @returns a promise that rejects with the error when the capability turns out broken, or its connection is lost already.
 */
export function whenResolved(client: Client): Promise<void> {
  const hook = hookOf(client);
  return new Promise((resolve, reject) => {
    const step = (): void => {
      const end = hook.resolved();
      if (end.isPromise) return end.watch({ hookResolved: step });
      const error = end.brokenBy ?? end.lifeline?.error ?? null;
      if (error !== null) reject(error);
      else resolve();
    };
    step();
  });
}
