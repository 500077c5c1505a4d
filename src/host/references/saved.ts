// Role: saved references to objects of a host, for outside of it: gives them out, restores them, ends them.
// State: the realm. Must not know: how objects are found.

import { decodeValue } from "../../cap/dynamic/values/index.js";
import type { Beside } from "../../hook/beside.js";
import type { Hook } from "../../hook/hook.js";
import { KeyPair } from "../../persist/keys.js";
import { Realm } from "../../persist/realm.js";
import type { Restorer } from "../../persist/restorer.js";
import type { SturdyRef } from "../../persist/sturdy-ref.js";
import type { LiveRoots } from "../collect/live-roots.js";
import type { Bytes, Store } from "../storage/store.js";
import { type ObjectReference, readReference, referenceBytes } from "./reference.js";
import { SavedStore } from "./saved-store.js";
import { heldByReference } from "./table.js";

/** A saved reference, all but the secret. */
export interface SavedReference {
  /** Names it for {@link SavedReferences.revoke}. */
  readonly id: string;
  readonly namespace: string;
  /** The id of the object, as text. */
  readonly object: string;
  /** Whether it is to a facet of the object. */
  readonly facet: boolean;
  /** The owner's public key in hexadecimal; null: whoever has the reference. */
  readonly owner: string | null;
  /** Milliseconds since the epoch; null: never. */
  readonly expires: number | null;
}

export interface SavedOptions {
  readonly store: Store;
  /** Who the host is to owners. */
  readonly secretKey: Bytes;
  /** How many there may be. */
  readonly most: number;
  readonly roots: LiveRoots;
  /** The time in milliseconds since the epoch. */
  now(): number;
  /** A new capability of what is found by it. */
  find(reference: ObjectReference): Hook;
}

/**
 * The references that were saved of a host's objects and their facets, by `save(stub)` of `capstan/persist`. They outlive
 * the process; whoever can call an object can save it.
 *
 * @example
 * await listen(address, { bootstrap: host.saved.restorer() });
 * // elsewhere: session.bootstrap(Restorer).restore(SturdyRef.fromText(text), RpcStub<Room>)
 */
export class SavedReferences {
  readonly #realm: Realm<Bytes>;

  /** @internal Only a host makes these. */
  constructor({ store, secretKey, most, roots, now, find }: SavedOptions) {
    this.#realm = new Realm<Bytes>({
      store: new SavedStore(store, leads, most, roots),
      keys: KeyPair.fromSecretKey(secretKey),
      now,
      restore(record) {
        const reference = readReference(record);
        return reference.id === null ? null : find(reference);
      },
    });
  }

  /** What owners know the host by: 32 bytes, the same as long as the store is. */
  get publicKey(): Uint8Array {
    return this.#realm.publicKey;
  }

  /** Redeems saved references, for whoever it is handed to; to be disposed. */
  restorer(): Restorer {
    return this.#realm.restorer();
  }

  /**
   * Ends one: it restores nothing any more.
   *
   * @param ref the reference, or the `id` of its entry; of a text make a reference by `SturdyRef.fromText`.
   * @returns whether there was one. @throws RpcError invalid-argument for anything else; what the store fails with (as rejections).
   */
  revoke(ref: SturdyRef | string): Promise<boolean> {
    return this.#realm.revoke(ref);
  }

  /** Ends all of one owner. @returns how many there were. @throws RpcError invalid-argument for what is no public key (as a rejection). */
  revokeOwner(publicKey: Uint8Array): Promise<number> {
    return this.#realm.revokeOwner(publicKey);
  }

  /** Forgets what has expired. @returns how many there were. */
  sweep(): Promise<number> {
    return this.#realm.sweep();
  }

  /** All, or those of one owner. */
  async *list(owner?: Uint8Array): AsyncIterable<SavedReference> {
    for await (const { id, record, owner: of, expires } of this.#realm.list(owner)) {
      const reference = readReference(record);
      if (reference.id === null) continue;
      const object = Array.from(reference.id, (byte) => byte.toString(16).padStart(2, "0")).join(
        "",
      );
      const { namespace, facet } = reference;
      yield { id, namespace, object, facet: facet !== null, owner: of, expires };
    }
  }

  /** @internal Answers `Persistent.save` for what is found by `reference`. */
  _saver(reference: ObjectReference): Beside {
    return (call) => this.#realm.serveSave(call, referenceBytes(reference));
  }
}

/** Whom a record of the realm's leads to. */
function leads(record: Bytes): readonly Bytes[] {
  try {
    return heldByReference(readReference(decodeValue(record, NO_REFERENCES) as Bytes));
  } catch {
    return [];
  }
}

const NO_REFERENCES = {
  revive(): never {
    throw new Error("a record holds no references");
  },
};
