// Role: what a Worker module's own code is built on beside objects: the base of its entry point, and `ctx`.
// State: none. Must not know: servers, objects.

import type { RpcStub } from "../../cap/dynamic/stub.js";
import { RpcTarget } from "../../cap/dynamic/target.js";
import type { Fetch } from "../object/requests.js";

/**
 * What the code of one event is given beside its request.
 * Source: `ExecutionContext` of Workers.
 */
export class ExecutionContext {
  /** What whoever bound this entry point wants it to know; nobody does here. */
  readonly props: Readonly<Record<string, unknown>> = Object.freeze({});
  readonly #waitUntil: (promise: Promise<unknown>) => void;

  /** @internal Only a front makes these. */
  constructor(waitUntil: (promise: Promise<unknown>) => void) {
    this.#waitUntil = waitUntil;
  }

  /** Has the front wait for `promise`, when it ends, also after the response. A rejection is reported. */
  waitUntil(promise: Promise<unknown>): void {
    this.#waitUntil(promise);
  }

  /** Does nothing: there is no other server behind this one that a request could be passed to. What fails is a 500. */
  passThroughOnException(): void {}
}

/**
 * A base for the default export of a module: an object is made of it for each event.
 *
 * @example
 * export default class extends WorkerEntrypoint<Env> {
 *   fetch(request: Request): Promise<Response> {
 *     return this.env.ROOMS.getByName("lobby").fetch(request);
 *   }
 * }
 * Source: the class of Workers.
 */
export class WorkerEntrypoint<Env = unknown> extends RpcTarget {
  protected readonly ctx: ExecutionContext;
  protected readonly env: Env;

  constructor(ctx: ExecutionContext, env: Env) {
    super();
    this.ctx = ctx;
    this.env = env;
  }
}

/**
 * An entry point of another Worker as `env` has it: its methods, and `fetch`. It is there for all who find it, so to dispose it does
 * nothing.
 *
 * @typeParam T what it serves. @example (env: { GREETER: Service<Greeter> }) => env.GREETER.greet("you")
 * Source: the service bindings of Workers.
 */
export type Service<T extends object> = Fetch & RpcStub<T>;
