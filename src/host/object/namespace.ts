// Role: a namespace: the ids of one class's objects, and stubs for them.
// State: none. Must not know: how objects are activated.

import { RpcStub } from "../../cap/dynamic/stub.js";
import type { StubOptions } from "../../cap/dynamic/terms.js";
import type { Hook } from "../../hook/hook.js";
import type { IdMaker, ObjectId } from "./ids.js";
import type { Fetch } from "./requests.js";

/** A stub of an object: its methods, and `fetch` for requests, which come to the method of that name. */
export type ObjectStub<T extends object> = Fetch & RpcStub<T>;

/** What stands behind a namespace, as one holder sees it. */
export interface NamespaceBehind {
  readonly name: string;
  readonly ids: IdMaker;
  readonly options: StubOptions;
  /** A new reference to an object. */
  reach(id: ObjectId): Hook;
}

let nameOf: (value: object) => string | undefined;

/** The name of a namespace; undefined for what is none. */
export function namespaceOf(value: object): string | undefined {
  return nameOf(value);
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
    nameOf = (value) => (#behind in value ? value.#behind.name : undefined);
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
    const { ids, options } = this.#behind;
    const hook = this.#behind.reach(ids.verify(id));
    return new RpcStub<T>(hook, options) as ObjectStub<T>;
  }

  /** The same as `get(idFromName(name))`. */
  getByName(name: string): ObjectStub<T> {
    return this.get(this.idFromName(name));
  }
}
