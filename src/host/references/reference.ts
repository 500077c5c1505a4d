// Role: who a capability is that can be found again, and its bytes.
// State: none. Must not know: hooks, stores, how anything is found.

import { RpcError } from "../../base/errors.js";
import { ID_BYTES, join, namespaceBytes, nodeOf } from "../storage/keys.js";
import type { Bytes } from "../storage/store.js";

/** An object by its id, or a facet of it by the parameters from which the object makes it again. */
export interface ObjectReference {
  readonly namespace: string;
  readonly id: Bytes;
  /** The name that the id was made from, where that is known: it is no part of who it is. */
  readonly name: string | undefined;
  /** The parameters, as a stored value; null for the object itself. */
  readonly facet: Bytes | null;
}

/** A namespace as a whole. */
export interface NamespaceReference {
  readonly namespace: string;
  readonly id: null;
}

export type Reference = ObjectReference | NamespaceReference;

const NAMESPACE = 0;
const OBJECT = 1;
/** What an object's reference has more. */
const WITH_NAME = 2;
const WITH_FACET = 4;

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });

/**
 * A byte that says what follows, the namespace behind its length, and of an object the id, then the name and the facet if it has
 * them, the name behind two bytes of length.
 */
export function referenceBytes(reference: Reference): Bytes {
  const namespace = namespaceBytes(reference.namespace);
  if (reference.id === null) return join([NAMESPACE], namespace);
  const { id, name, facet } = reference;
  const text = name === undefined ? null : encoder.encode(name);
  // A name that is too long is left out: the object is found without it.
  const named = text !== null && text.length <= 0xffff;
  const kind = OBJECT | (named ? WITH_NAME : 0) | (facet === null ? 0 : WITH_FACET);
  return join(
    [kind],
    namespace,
    id,
    named ? join([text.length >> 8, text.length & 0xff], text) : NOTHING,
    facet ?? NOTHING,
  );
}

/** @throws RpcError storage-corrupt for what {@link referenceBytes} cannot have given. */
export function readReference(bytes: Bytes): Reference {
  const kind = bytes[0] ?? -1;
  let at = 2 + (bytes[1] ?? 0);
  const start = at;
  const take = (count: number): Bytes => {
    at += count;
    if (at > bytes.length) throw damaged();
    return bytes.slice(at - count, at);
  };
  const object = (kind & OBJECT) !== 0;
  if (kind < 0 || kind > (OBJECT | WITH_NAME | WITH_FACET) || (!object && kind !== NAMESPACE))
    throw damaged();
  const namespace = textOf(bytes.subarray(2, start));
  if (start > bytes.length || namespace === "") throw damaged();
  if (!object) {
    if (at !== bytes.length) throw damaged();
    return { namespace, id: null };
  }
  const id = take(ID_BYTES);
  let name: string | undefined;
  if ((kind & WITH_NAME) !== 0) {
    const [high, low] = take(2);
    name = textOf(take((high! << 8) | low!));
  }
  const facet = (kind & WITH_FACET) === 0 ? null : take(bytes.length - at);
  if (at !== bytes.length) throw damaged();
  return { namespace, id, name, facet };
}

/** Who of the graph of holders it leads to. A facet is its object there. */
export function nodeOfReference({ namespace, id }: Reference): Bytes {
  return nodeOf(namespaceBytes(namespace), id);
}

/** What a call on a reference fails with that leads to nothing any more. */
export function lost(why: string, cause?: unknown): RpcError {
  const message = `the stored reference leads to nothing any more: ${why}`;
  return new RpcError("failed", "reference-lost", message, cause === undefined ? {} : { cause });
}

const NOTHING = new Uint8Array();

function textOf(bytes: Bytes): string {
  try {
    return decoder.decode(bytes);
  } catch {
    throw damaged();
  }
}

function damaged(): RpcError {
  return new RpcError("failed", "storage-corrupt", "a stored reference is damaged");
}
