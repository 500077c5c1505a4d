// Role: `ctx`: what an object is given of its host.
// State: none of its own. Must not know: how objects are run.

import type { ObjectStorage } from "../storage/object-storage.js";
import type { ObjectId } from "./ids.js";

/** What stands behind a `ctx`. */
export interface StateBehind {
  readonly id: ObjectId;
  readonly storage: ObjectStorage;
  block<T>(callback: () => Promise<T>): Promise<T>;
  waitUntil(promise: Promise<unknown>): void;
  abort(reason: unknown): never;
}

/** The state of an object, given to its constructor. */
export class ObjectState {
  readonly id: ObjectId;
  readonly storage: ObjectStorage;
  readonly #behind: StateBehind;

  /** @internal Only a host makes these. */
  constructor(behind: StateBehind) {
    this.id = behind.id;
    this.storage = behind.storage;
    this.#behind = behind;
  }

  /**
   * Runs `callback` with no event reaching the object meanwhile, but for what comes back to the callback itself.
   *
   * @returns what the callback returns.
   * @throws what it throws (as a rejection). Then the object is broken, as when it takes longer than the host allows: what it
   *   wrote in the callback and nobody was shown is not written. RpcError gate-cycle when it would wait for itself.
   * @example constructor(ctx, env) { ctx.blockConcurrencyWhile(async () => { this.users = await ctx.storage.get("users"); }); }
   */
  blockConcurrencyWhile<T>(callback: () => Promise<T> | T): Promise<T> {
    return this.#behind.block(async () => callback());
  }

  /** Keeps the object active until `promise` settles. */
  waitUntil(promise: Promise<unknown>): void {
    this.#behind.waitUntil(promise);
  }

  /**
   * Breaks the object now: what is not written is not written any more, calls under way fail, stubs that were used are broken;
   * the next stub reaches it as it is in storage.
   *
   * @throws always: the code that calls this does not go on.
   */
  abort(reason?: unknown): never {
    return this.#behind.abort(reason);
  }
}
