// Role: the ids of objects: made from names or at random, bound to their namespace, refused when they are not.
// State: per namespace, its key. Must not know: how hashes are computed.
//
// An id is 16 bytes that say which object, and 16 that prove that this namespace made it: a keyed hash of the first. Who
// does not have the host's secret cannot make an id, and an id of one namespace is none in another.

import { RpcError } from "../../base/errors.js";
import { ID_BYTES } from "../storage/keys.js";

/** HMAC-SHA-256, and random bytes: what a host needs of a runtime to make ids. */
export interface IdCrypto {
  hmac(key: Uint8Array, data: Uint8Array): Uint8Array;
  random(bytes: number): Uint8Array;
}

const HALF = ID_BYTES / 2;
const encoder = new TextEncoder();

/** Who an object is: 256 bits, and the name it was made from, if it was. */
export class ObjectId {
  /** The name, where the id was made from one here. */
  readonly name: string | undefined;
  /** @internal */
  readonly _bytes: Uint8Array;
  readonly #text: string;

  /** @internal Only a namespace makes ids. */
  constructor(bytes: Uint8Array, name?: string) {
    this._bytes = bytes;
    this.name = name;
    this.#text = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  }

  equals(other: ObjectId): boolean {
    return other.toString() === this.#text;
  }

  /** 64 hexadecimal digits, from which `idFromString` makes the id again. */
  toString(): string {
    return this.#text;
  }
}

/** Makes the ids of one namespace. */
export class IdMaker {
  private readonly namespace: string;
  private readonly crypto: IdCrypto;
  private readonly key: Uint8Array;

  /** @param secret the host's. */
  constructor(namespace: string, secret: Uint8Array, crypto: IdCrypto) {
    this.namespace = namespace;
    this.crypto = crypto;
    this.key = crypto.hmac(secret, encoder.encode(`namespace ${namespace}`));
  }

  /** The id of a name: always the same. @throws RpcError invalid-id for what is no name. */
  fromName(name: string): ObjectId {
    if (typeof name !== "string")
      throw new RpcError("failed", "invalid-id", `a name is a string, not ${typeof name}`);
    return new ObjectId(this.sealed(this.hash(1, encoder.encode(name))), name);
  }

  unique(): ObjectId {
    return new ObjectId(this.sealed(this.crypto.random(HALF)));
  }

  /** What an object whose id must not be known is given in the place of it: always the same, and no way to anything. */
  shown(id: ObjectId): ObjectId {
    return new ObjectId(this.hash(3, id._bytes));
  }

  /** @throws RpcError invalid-id for what this namespace has not made. */
  fromString(text: string): ObjectId {
    return this.fromBytes(idBytes(text));
  }

  /** @throws RpcError invalid-id for what this namespace has not made. */
  fromBytes(bytes: Uint8Array): ObjectId {
    const right = this.sealed(bytes.subarray(0, HALF));
    let differs = bytes.length ^ ID_BYTES;
    for (let i = 0; i < ID_BYTES; i++) differs |= right[i]! ^ (bytes[i] ?? 0);
    if (differs !== 0) throw this.foreign();
    return new ObjectId(bytes.slice());
  }

  /** Whether this namespace has made the id. @throws RpcError invalid-id when it has not. */
  verify(id: ObjectId): ObjectId {
    this.fromBytes(requireId(id)._bytes);
    return id;
  }

  private foreign(): RpcError {
    return new RpcError("failed", "invalid-id", `the id is none of namespace ${this.namespace}`);
  }

  private sealed(which: Uint8Array): Uint8Array {
    const id = new Uint8Array(ID_BYTES);
    id.set(which.subarray(0, HALF));
    id.set(this.hash(2, id.subarray(0, HALF)).subarray(0, HALF), HALF);
    return id;
  }

  /** @param use keeps what is hashed for one purpose from meaning anything for the other. */
  private hash(use: number, data: Uint8Array): Uint8Array {
    const input = new Uint8Array(1 + data.length);
    input[0] = use;
    input.set(data, 1);
    return this.crypto.hmac(this.key, input);
  }
}

/** The bytes of an id that was written down. @throws RpcError invalid-id for what is none. */
export function idBytes(text: string): Uint8Array {
  if (typeof text === "string" && /^[0-9a-fA-F]{64}$/.test(text))
    return Uint8Array.from(text.match(/../g)!, (pair) => parseInt(pair, 16));
  throw new RpcError("failed", "invalid-id", "an id is written as 64 hexadecimal digits");
}

/** @throws RpcError invalid-id for what is no id at all. */
export function requireId(id: ObjectId): ObjectId {
  if (id instanceof ObjectId) return id;
  const message = "an id is what idFromName, idFromString or newUniqueId gives";
  throw new RpcError("failed", "invalid-id", message);
}
