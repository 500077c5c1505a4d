// Role: the base of objects' classes, and what they look like to a host.
// State: none. Must not know: how objects are run.

import { RpcTarget } from "../../cap/dynamic/target.js";
import type { SocketHandlers } from "../sockets/activation-sockets.js";
import type { ObjectState } from "./state.js";

/**
 * A base for the classes of objects, as in Workers. A class need not have it: a constructor that takes `ctx` and `env` is all
 * that a host asks for.
 *
 * @example
 * class Counter extends DurableObject {
 *   async increment(): Promise<number> {
 *     const count = ((await this.ctx.storage.get<number>("count")) ?? 0) + 1;
 *     void this.ctx.storage.put("count", count);
 *     return count;
 *   }
 * }
 */
export class DurableObject<Env = unknown> extends RpcTarget {
  protected readonly ctx: ObjectState;
  protected readonly env: Env;

  constructor(ctx: ObjectState, env: Env) {
    super();
    this.ctx = ctx;
    this.env = env;
  }
}

/** What the `alarm` method is told. */
export interface AlarmInfo {
  /** How often this alarm was tried again. */
  readonly retryCount: number;
  readonly isRetry: boolean;
}

/** What a host calls of an object by itself. */
export interface EventHandlers extends SocketHandlers {
  alarm?(info: AlarmInfo): unknown;
  fetch?(request: Request): Response | Promise<Response>;
}

/** The class of an object. Its constructor is given an {@link ObjectState} and `env`, whatever it calls their types. */
export type ObjectClass<T extends object = object> = new (ctx: never, env: never) => T;

/**
 * A class whose namespace is private: an object of it is there as long as somebody can reach it, and is collected then. A method
 * `[Symbol.asyncDispose]` or `[Symbol.dispose]` of the class is run once before that.
 *
 * @example const host = await createHost({ store, classes: { PARTS: { class: Part, collect: true } } });
 */
export interface PrivateClass<T extends object = object> {
  readonly class: ObjectClass<T>;
  readonly collect: true;
}

/** The hook that is run before an object is collected. */
export interface Disposes {
  [Symbol.asyncDispose]?(): unknown;
  [Symbol.dispose]?(): unknown;
}

/** What a host delivers in its own way: no method to be called from afar, whoever has a stub. */
export const EVENT_NAMES: ReadonlySet<string> = new Set([
  "fetch",
  "connect",
  "alarm",
  "webSocketMessage",
  "webSocketClose",
  "webSocketError",
]);
