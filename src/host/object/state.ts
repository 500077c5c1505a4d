// Role: `ctx`: what an object is given of its host.
// State: none of its own. Must not know: how objects are run.

import { wrongArgument } from "../../base/checks.js";
import type { RpcStub } from "../../cap/dynamic/stub.js";
import type { PairedWebSocket } from "../../http/websocket.js";
import type { Restorer } from "../../persist/restorer.js";
import type { ActivationSockets } from "../sockets/activation-sockets.js";
import type { WebSocketRequestResponsePair } from "../sockets/auto-response.js";
import type { ObjectStorage } from "../storage/object-storage.js";
import type { ObjectId } from "./ids.js";

/** What stands behind a `ctx`. */
export interface StateBehind {
  readonly id: ObjectId;
  readonly storage: ObjectStorage;
  block<T>(callback: () => Promise<T>): Promise<T>;
  waitUntil(promise: Promise<unknown>): void;
  facet(params: unknown): object;
  restorer(): Restorer;
  abort(reason: unknown): never;
  sockets(): ActivationSockets;
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
   *   wrote in the callback and nobody was shown is not written. RpcError gate-cycle when it would wait for itself;
   *   invalid-argument for a callback that is no function: then nothing has begun.
   * @example constructor(ctx, env) { ctx.blockConcurrencyWhile(async () => { this.users = await ctx.storage.get("users"); }); }
   */
  blockConcurrencyWhile<T>(callback: () => Promise<T> | T): Promise<T> {
    if (typeof callback !== "function")
      return Promise.reject(wrongArgument("blockConcurrencyWhile takes a function", callback));
    return this.#behind.block(async () => callback());
  }

  /** Keeps the object active until `promise` settles. */
  waitUntil(promise: Promise<unknown>): void {
    this.#behind.waitUntil(promise);
  }

  /**
   * A facet of this object: a view of it that its own method `[restore](params)` makes when it is first used. The stub can be
   * passed on, stored and saved like one of the object, outlives its eviction, and reaches nothing but what that method returns.
   *
   * @param params a value of up to 16 KiB, stubs in it included: they are kept wherever the facet is.
   * @returns a stub, to be disposed.
   * @throws RpcError method-unimplemented when the class has no such method; unstorable-value; limit-exceeded.
   * @example
   * class Room extends DurableObject {
   *   reader(until: number) { return this.ctx.facet<Reader>({ until }); }
   *   [restore]({ until }: { until: number }) { return new Reader(this, until); }
   * }
   */
  facet<T extends object>(params: unknown): RpcStub<T> {
    return this.#behind.facet(params) as RpcStub<T>;
  }

  /**
   * Redeems references that were saved of objects of this host, by `save(stub)` of `capstan/persist`: to be handed to those who have
   * some, since theirs is a secret that cannot be guessed. While it is held the object stays active.
   *
   * @returns to be disposed, or returned to a caller.
   * @example
   * class Front extends DurableObject {
   *   restorer() { return this.ctx.restorer(); }
   * }
   */
  restorer(): Restorer {
    return this.#behind.restorer();
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

  // -- WebSockets ----------------------------------------------------------------------------------------------------

  /**
   * Accepts one of a WebSocketPair, whose other one goes into a Response, for longer than this activation: what arrives comes to
   * the methods `webSocketMessage`, `webSocketClose` and `webSocketError` of the class, and wakes the object when it was evicted.
   *
   * @param ws not accepted before; from now on of this object. @param tags to find it by: at most 10, of 256 characters each.
   * @throws RpcError invalid-argument, invalid-state; limit-exceeded for too many tags or sockets.
   * @example
   * const { 0: client, 1: server } = new WebSocketPair();
   * this.ctx.acceptWebSocket(server, ["room"]);
   * return new HttpResponse(null, { status: 101, webSocket: client });
   * Source: the WebSocket hibernation of Workers.
   */
  acceptWebSocket(ws: PairedWebSocket, tags?: readonly string[]): void {
    this.#behind.sockets().accept(ws, tags);
  }

  /**
   * The WebSockets that were accepted by {@link acceptWebSocket}, now or by an activation before, and are not over.
   *
   * @param tag those with this tag; without it, all. @returns in the order in which they were accepted.
   */
  getWebSockets(tag?: string): PairedWebSocket[] {
    return this.#behind.sockets().list(tag ?? null);
  }

  /** The tags of a WebSocket. @throws RpcError invalid-argument for one that {@link acceptWebSocket} has not accepted. */
  getTags(ws: PairedWebSocket): string[] {
    return this.#behind.sockets().tagsOf(ws);
  }

  /**
   * Has one message be answered without the object, which is not woken for it: on all WebSockets that were accepted by
   * {@link acceptWebSocket}, as long as there are any, or the object is active.
   *
   * @param pair left out, no message is. @throws RpcError invalid-argument.
   */
  setWebSocketAutoResponse(pair?: WebSocketRequestResponsePair): void {
    this.#behind.sockets().autoResponse = pair ?? null;
  }

  getWebSocketAutoResponse(): WebSocketRequestResponsePair | null {
    return this.#behind.sockets().autoResponse;
  }

  /** When a message of `ws` was last answered without the object; null for never. @throws RpcError invalid-argument. */
  getWebSocketAutoResponseTimestamp(ws: PairedWebSocket): Date | null {
    return this.#behind.sockets().answeredAt(ws);
  }
}
