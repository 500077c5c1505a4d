// Role: looks at what is stored of objects, without activating any.
// State: none. Must not know: whether they are active, who asks.

import { RpcError } from "../../base/errors.js";
import { type IdCrypto, IdMaker, type ObjectId } from "../object/ids.js";
import { readAlarm } from "../storage/alarm.js";
import {
  clearing,
  deletion,
  type Held,
  heldByObject,
  holdersOfNode,
} from "../references/holdings.js";
import type { Reference as AnyReference } from "../references/reference.js";
import { ObjectReferences } from "../references/stored.js";
import {
  ALL_OBJECTS,
  KIND_DELETED,
  KIND_VALUE,
  join,
  namespaceBytes,
  ObjectKeys,
  objectsOf,
  readObjectKey,
} from "../storage/keys.js";
import type { Bytes, Entry, Store } from "../storage/store.js";
import { ValueCodecs } from "../storage/values.js";

/** Which object: its id as text, or what the id is made from. */
export type Which = { readonly id: string } | { readonly name: string };

/** An object of which something is stored. */
export interface StoredObject {
  readonly namespace: string;
  readonly id: string;
}

/** One of a list of them. */
export interface ListedObject extends StoredObject {
  /** Whether it was deleted for good. */
  readonly deleted: boolean;
}

/** What is stored of an object. */
export interface ObjectSummary extends StoredObject {
  /** How many values, and the bytes of all of its records. */
  readonly values: number;
  readonly bytes: number;
  /** When its alarm is due, in milliseconds since the epoch; null without one. */
  readonly alarm: number | null;
  /** Whether it was deleted for good: then nothing else is stored of it. */
  readonly deleted: boolean;
}

/** One whom an object holds, or who holds it. */
export interface StoredHolding {
  /** Of what kind it is: an object, a namespace as a whole, or a reference that was saved for outside. */
  readonly type: "object" | "namespace" | "saved";
  /** Null of a saved reference. */
  readonly namespace: string | null;
  /** Of an object its id, of a saved reference what names it; null of a namespace. */
  readonly id: string | null;
  /** In how many values of the holder. */
  readonly count: number;
}

/** What a reference is shown as in a value: nothing is reached by it. */
class Reference {
  readonly namespace: string;
  readonly id: string | null;
  /** Whether it is to a facet of the object. */
  readonly facet: boolean;

  constructor(reference: AnyReference) {
    this.namespace = reference.namespace;
    this.id = reference.id && hex(reference.id);
    this.facet = reference.id !== null && reference.facet !== null;
  }
}

/** One value of an object. */
export interface StoredValue {
  readonly key: string;
  readonly bytes: Bytes;
  /** What the bytes stand for; undefined where only the program could tell, as for its own classes. */
  readonly value: { readonly decoded: unknown } | undefined;
}

const PAGE = 1000;

export class Inspector {
  private readonly store: Store;
  private readonly secret: Bytes;
  private readonly crypto: IdCrypto;
  private readonly codecs = new ValueCodecs(
    undefined,
    new ObjectReferences(
      (reference) => new Reference(reference),
      () => null,
    ),
    Infinity,
  );

  /** @param secret the host's, from which ids are made. */
  constructor(store: Store, secret: Bytes, crypto: IdCrypto) {
    this.store = store;
    this.secret = secret;
    this.crypto = crypto;
  }

  /** @throws RpcError invalid-id for what is none of the namespace; invalid-argument for what cannot be the name of one. */
  idOf(namespace: string, which: Which): ObjectId {
    namespaceBytes(namespace);
    const ids = new IdMaker(namespace, this.secret, this.crypto);
    return "id" in which ? ids.fromString(which.id) : ids.fromName(which.name);
  }

  /**
   * Objects in the order of their ids, by namespace: each takes one look into the store, however much it has.
   *
   * @param namespace of one namespace only; null for all. @param from begin behind this one; null for the first.
   * @param limit how many at most.
   */
  async list(
    namespace: string | null,
    from: StoredObject | null,
    limit: number,
  ): Promise<ListedObject[]> {
    const range = namespace === null ? ALL_OBJECTS : objectsOf(namespaceBytes(namespace));
    const found: ListedObject[] = [];
    let at = from === null ? range.from : this.keysOf(from.namespace, { id: from.id }).all.to;
    while (found.length < limit) {
      const [first] = await this.store.range({ from: at, to: range.to, limit: 1 });
      if (first === undefined) break;
      const { namespace, id, kind } = readObjectKey(first.key);
      // Of one that was deleted for good nothing else is there.
      found.push({ namespace, id: hex(id), deleted: kind === KIND_DELETED });
      at = new ObjectKeys(namespaceBytes(namespace), id).all.to;
    }
    return found;
  }

  /** @returns undefined when nothing is stored of it. @throws RpcError invalid-id (as a rejection). */
  async summary(namespace: string, which: Which): Promise<ObjectSummary | undefined> {
    const id = this.idOf(namespace, which);
    const keys = this.keysOf(namespace, which);
    let values = 0;
    let bytes = 0;
    for await (const { key, value } of this.records(keys)) {
      if (readObjectKey(key).kind === KIND_VALUE) values++;
      bytes += key.length + value.length;
    }
    if (bytes === 0) return undefined;
    const alarm = readAlarm(await this.store.get(keys.alarm))?.time ?? null;
    const deleted = (await this.store.get(keys.deleted)) !== undefined;
    return { namespace, id: id.toString(), values, bytes, alarm, deleted };
  }

  /** Whom an object holds by what it has stored. @param most enough of them. @throws RpcError invalid-id (as a rejection). */
  async held(namespace: string, which: Which, most: number): Promise<StoredHolding[]> {
    const found = await heldByObject(this.store, this.keysOf(namespace, which), most);
    return found.map(shownHolding);
  }

  /** Who holds an object. @param most enough of them. @throws RpcError invalid-id (as a rejection). */
  async holders(namespace: string, which: Which, most: number): Promise<StoredHolding[]> {
    const found = await holdersOfNode(this.store, this.keysOf(namespace, which).node, most);
    return found.map(shownHolding);
  }

  /** Its values, in the order of their keys. @throws RpcError invalid-id (as a rejection). */
  async *values(namespace: string, which: Which): AsyncGenerator<StoredValue> {
    const keys = this.keysOf(namespace, which);
    for await (const { key, value } of this.records(keys))
      if (readObjectKey(key).kind === KIND_VALUE)
        yield { key: keys.nameOf(key).name, bytes: value, value: this.decode(value) };
  }

  /**
   * Removes what is stored of an object that is not active.
   *
   * @param forGood whether who calls it is told from then on that it was deleted. @throws RpcError invalid-id (as a rejection).
   */
  async remove(namespace: string, which: Which, forGood: boolean): Promise<void> {
    const keys = this.keysOf(namespace, which);
    await this.store.write([forGood ? deletion(keys) : clearing(keys)]).flushed;
  }

  private keysOf(namespace: string, which: Which): ObjectKeys {
    return new ObjectKeys(namespaceBytes(namespace), this.idOf(namespace, which)._bytes);
  }

  private async *records({ all }: ObjectKeys): AsyncGenerator<Entry> {
    for (let from = all.from; ;) {
      const page = await this.store.range({ from, to: all.to, limit: PAGE });
      yield* page;
      const last = page.at(-1);
      if (page.length < PAGE || last === undefined) return;
      from = join(last.key, [0]);
    }
  }

  private decode(bytes: Bytes): StoredValue["value"] {
    try {
      return { decoded: this.codecs.decode(bytes) };
    } catch (thrown) {
      if (RpcError.is(thrown)) return undefined;
      throw thrown;
    }
  }
}

/** Those namespaces of which objects are stored that are not among `known`. Takes one look into the store for each that is stored. */
export async function strayNamespaces(store: Store, known: readonly string[]): Promise<string[]> {
  const found: string[] = [];
  for (let { from } = ALL_OBJECTS; ;) {
    const [first] = await store.range({ from, to: ALL_OBJECTS.to, limit: 1 });
    if (first === undefined) return found;
    const { namespace } = readObjectKey(first.key);
    if (!known.includes(namespace)) found.push(namespace);
    from = objectsOf(namespaceBytes(namespace)).to;
  }
}

function hex(bytes: Bytes): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function shownHolding({ node: { namespace, id }, count }: Held): StoredHolding {
  if (namespace === "") return { type: "saved", namespace: null, id: id && hex(id), count };
  const type = id === null ? "namespace" : "object";
  return { type, namespace, id: id && hex(id), count };
}
