// Role: the WebSockets of one host that outlive activations: by object, and how their events reach it.
// State: per object that has some, those sockets and the automatic answer. An object without any has no place here.
// Must not know: activations, what objects hold of sockets.

import { RpcError } from "../../base/errors.js";
import type { Message } from "../../http/socket-end.js";
import type { Release } from "../collect/live-roots.js";
import type { ObjectId } from "../object/ids.js";
import type { Definition, Reporter } from "../object/parts.js";
import type { Bytes } from "../storage/store.js";
import type { WebSocketRequestResponsePair } from "./auto-response.js";
import { KeptSocket, type SocketOver, type SocketOwner } from "./kept-socket.js";

/** Something that happened to a socket, for the object. */
export type SocketEvent =
  | { readonly kind: "webSocketMessage"; readonly message: Message }
  | SocketEnded;

export interface SocketEnded {
  readonly kind: "webSocketClose" | "webSocketError";
  readonly over: SocketOver;
}

/** How events reach objects. */
export interface SocketEvents {
  /** Milliseconds since the epoch. */
  readonly now: number;
  readonly report: Reporter;
  /** Keeps an object from being collected that has sockets. @returns lets go of it; null where it is not collected anyway. */
  hold(definition: Definition, id: ObjectId): Release | null;
  /** The same of those whom a stored value holds. */
  holdValue(value: Bytes): Release | null;
  /**
   * Delivers an event, waking the object if need be. @param taken told when it has come to the object's code.
   * @returns settles when that is over. @throws RpcError, also as a rejection, when the object does not get it, or what its code throws.
   */
  deliver(
    definition: Definition,
    id: ObjectId,
    socket: KeptSocket,
    event: SocketEvent,
    taken: () => void,
  ): Promise<unknown>;
}

/** The sockets of one object. */
export class ObjectSockets implements SocketOwner {
  autoResponse: WebSocketRequestResponsePair | null = null;
  /** In the order in which they were accepted. */
  readonly all = new Set<KeptSocket>();
  private readonly events: SocketEvents;
  private readonly definition: Definition;
  private readonly id: ObjectId;
  private readonly changed: () => void;

  /** @param changed told when there is a socket, and when there is none any more. */
  constructor(events: SocketEvents, definition: Definition, id: ObjectId, changed: () => void) {
    this.events = events;
    this.definition = definition;
    this.id = id;
    this.changed = changed;
  }

  get now(): number {
    return this.events.now;
  }

  add(tags: readonly string[]): KeptSocket {
    const socket = new KeptSocket(this, tags);
    this.all.add(socket);
    if (this.all.size === 1) this.changed();
    return socket;
  }

  /** It is none of the object's any more. */
  remove(socket: KeptSocket): void {
    this.forget(socket);
    letGo(socket);
  }

  /** @param attachment a stored value. */
  attach(socket: KeptSocket, attachment: Bytes): void {
    const before = socket.root;
    socket.attachment = attachment;
    socket.root = this.all.has(socket) ? this.events.holdValue(attachment) : null;
    before?.();
  }

  /** Closes all without the object. */
  drop(code: number, reason: string): void {
    for (const socket of this.all) {
      socket.drop(code, reason);
      this.remove(socket);
    }
  }

  message(socket: KeptSocket, message: Message): Promise<void> {
    return new Promise((taken) => {
      void this.deliver(socket, { kind: "webSocketMessage", message }, taken);
    });
  }

  over(socket: KeptSocket, over: SocketOver): void {
    this.forget(socket);
    const kind = "error" in over ? "webSocketError" : "webSocketClose";
    // The object may still ask for what is attached.
    void this.deliver(socket, { kind, over }, () => {}).then(() => letGo(socket));
  }

  private forget(socket: KeptSocket): void {
    if (this.all.delete(socket) && this.all.size === 0) this.changed();
  }

  private deliver(socket: KeptSocket, event: SocketEvent, taken: () => void): Promise<void> {
    const { definition, id, events } = this;
    const delivered = async (): Promise<unknown> =>
      events.deliver(definition, id, socket, event, taken);
    return delivered()
      .then(() => {})
      .catch((thrown: unknown) => {
        // Of a broken object its sockets hear by themselves.
        const { code } = RpcError.from(thrown);
        if (code === "object-broken" || code === "object-closed") return;
        events.report(thrown, `${definition.name}/${id.name ?? id.toString()}: ${event.kind}`);
      })
      .finally(taken);
  }
}

/** All of them. */
export class SocketTable {
  private readonly events: SocketEvents;
  private readonly objects = new Map<string, ObjectSockets>();

  constructor(events: SocketEvents) {
    this.events = events;
  }

  /** How many sockets there are. */
  get size(): number {
    let size = 0;
    for (const { all } of this.objects.values()) size += all.size;
    return size;
  }

  /** Those of an object, if it has any. */
  find(definition: Definition, id: ObjectId): ObjectSockets | undefined {
    return this.objects.get(keyOf(definition, id));
  }

  /** Those of an object, and where it gets its first; for its activation. */
  of(definition: Definition, id: ObjectId): ObjectSockets {
    const key = keyOf(definition, id);
    const known = this.objects.get(key);
    if (known !== undefined) return known;
    let root: Release | null = null;
    const changed = (): void => {
      if (made.all.size > 0) {
        this.objects.set(key, made);
        root = this.events.hold(definition, id);
      } else {
        this.objects.delete(key);
        root?.();
      }
    };
    const made = new ObjectSockets(this.events, definition, id, changed);
    return made;
  }

  /** Closes all. */
  close(): void {
    for (const sockets of this.objects.values()) sockets.drop(1001, "the host is closed");
  }
}

function letGo(socket: KeptSocket): void {
  socket.root?.();
  socket.root = null;
}

function keyOf(definition: Definition, id: ObjectId): string {
  return `${definition.name}/${id.toString()}`;
}
