// Role: a namespace: the ids of one class's objects, and stubs for them.
// State: none. Must not know: where objects are, how they are activated.

import type { RpcStub } from "../../cap/dynamic/stub.js";
import type { ObjectId } from "./ids.js";
import type { Fetch } from "./requests.js";

/** A stub of an object: its methods, and `fetch` for requests, which come to the method of that name. */
export type ObjectStub<T extends object> = Fetch & RpcStub<T>;

/** What stands behind a namespace, as one holder sees it. */
export interface NamespaceBehind {
  /** By which it can be stored; null where it cannot, since its objects are no host's. */
  readonly name: string | null;
  readonly ids: Ids;
  /** A new stub of an object. */
  stub(id: ObjectId): object;
}

/** The ids of one namespace. */
export interface Ids {
  /** @throws RpcError invalid-id for what is no string. */
  fromName(name: string): ObjectId;
  /** @throws RpcError invalid-id for what this namespace has not made. */
  fromString(text: string): ObjectId;
  unique(): ObjectId;
  /** @throws RpcError invalid-id for what this namespace has not made. */
  verify(id: ObjectId): ObjectId;
}

let nameOf: (value: object) => string | undefined;
let privateNameOf: (value: object) => string | undefined;

/** The name of a namespace; undefined for what is none, or is no host's. */
export function namespaceOf(value: object): string | undefined {
  return nameOf(value) ?? privateNameOf(value);
}

/**
 * The objects of one class that a host has under one name. Who has it can reach each of them; nobody else can.
 *
 * @example
 * using room = env.ROOMS.getByName("lobby");
 * await room.say("hello");
 */
export class Namespace<T extends object> {
  readonly #behind: NamespaceBehind;

  static {
    nameOf = (value) => (#behind in value ? (value.#behind.name ?? undefined) : undefined);
  }

  /** @internal Only a host makes these. */
  constructor(behind: NamespaceBehind) {
    this.#behind = behind;
  }

  /** The id of a name: always the same one. @throws RpcError invalid-id for what is no string. */
  idFromName(name: string): ObjectId {
    return this.#behind.ids.fromName(name);
  }

  /** The id that was written as `text`. @throws RpcError invalid-id for what is none of this namespace. */
  idFromString(text: string): ObjectId {
    return this.#behind.ids.fromString(text);
  }

  /** A new id, at random. */
  newUniqueId(): ObjectId {
    return this.#behind.ids.unique();
  }

  /** A stub of an object, which need not exist yet: nothing happens before the first call. @throws RpcError invalid-id */
  get(id: ObjectId): ObjectStub<T> {
    const { ids } = this.#behind;
    return this.#behind.stub(ids.verify(id)) as ObjectStub<T>;
  }

  /** The same as `get(idFromName(name))`. */
  getByName(name: string): ObjectStub<T> {
    return this.get(this.idFromName(name));
  }
}

/**
 * The objects of one class that a host has under one name, and collects: the only way to one is a reference to it. Each is there as
 * long as something leads to it: a stub that is held, a public object that stores a reference, a saved reference that was not revoked,
 * an alarm of its own, a WebSocket that it has accepted; or another private object that is there.
 *
 * @example
 * using part = env.PARTS.create();
 * await part.paint("red");
 * await this.ctx.storage.put("part", part); // without that, it is collected some time after it was disposed
 */
export class PrivateNamespace<T extends object> {
  readonly #behind: NamespaceBehind;

  static {
    privateNameOf = (value) => (#behind in value ? (value.#behind.name ?? undefined) : undefined);
  }

  /** @internal Only a host makes these. */
  constructor(behind: NamespaceBehind) {
    this.#behind = behind;
  }

  /** A stub of a new object, to be disposed. Nothing happens before its first call. */
  create(): ObjectStub<T> {
    return this.#behind.stub(this.#behind.ids.unique()) as ObjectStub<T>;
  }
}
