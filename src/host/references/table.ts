// Role: the references beside a stored value: where they are in its bytes, and whom they make its owner hold.
// State: none. Must not know: values, hooks, stores.
//
// A value without references is stored as the value codec gives it. One with some is behind a byte that no value begins with, the
// length of the table and the table: for each reference the length of its bytes, and those. So a look at one byte tells that there
// is nothing to be done, and who holds whom can be read without reading values.

import { RpcError } from "../../base/errors.js";
import { type Bytes, compareBytes } from "../storage/store.js";
import { WITH_REFERENCES } from "../storage/values.js";
import { nodeOfReference, readReference, type Reference, referenceBytes } from "./reference.js";

const LENGTH = 4;
const HEAD = 1 + LENGTH;

/** A stored value and the references in it; null for none. */
export interface Split {
  readonly value: Bytes;
  readonly references: readonly Bytes[] | null;
}

/** @param value as the value codec gave it. */
export function joined(references: readonly Reference[], value: Bytes): Bytes {
  const encoded = references.map(referenceBytes);
  const table = encoded.reduce((sum, { length }) => sum + LENGTH + length, 0);
  const bytes = new Uint8Array(HEAD + table + value.length);
  const view = new DataView(bytes.buffer);
  bytes[0] = WITH_REFERENCES;
  view.setUint32(1, table);
  let at = HEAD;
  for (const one of encoded) {
    view.setUint32(at, one.length);
    bytes.set(one, at + LENGTH);
    at += LENGTH + one.length;
  }
  bytes.set(value, at);
  return bytes;
}

/** The parts are windows on `bytes`. @throws RpcError storage-corrupt */
export function split(bytes: Bytes): Split {
  if (bytes[0] !== WITH_REFERENCES) return { value: bytes, references: null };
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = bytes.length < HEAD ? Infinity : HEAD + view.getUint32(1);
  if (end > bytes.length) throw damaged();
  const references: Bytes[] = [];
  for (let at = HEAD; at < end;) {
    const from = at + LENGTH;
    const to = from > end ? Infinity : from + view.getUint32(at);
    if (to > end) throw damaged();
    references.push(bytes.subarray(from, to));
    at = to;
  }
  return { value: bytes.subarray(end), references };
}

const NOBODY: readonly Bytes[] = Object.freeze([]);

/**
 * Whom the owner of a stored value holds by it: each once, in order. What the parameters of a facet hold is held as well, since
 * they are kept here.
 *
 * @throws RpcError storage-corrupt
 */
export function heldBy(value: Bytes): readonly Bytes[] {
  if (value[0] !== WITH_REFERENCES) return NOBODY;
  const nodes: Bytes[] = [];
  collect(value, nodes);
  return distinct(nodes);
}

/** The same of a single reference. */
export function heldByReference(reference: Reference): readonly Bytes[] {
  const nodes: Bytes[] = [];
  addReference(reference, nodes);
  return distinct(nodes);
}

function collect(value: Bytes, nodes: Bytes[]): void {
  for (const bytes of split(value).references ?? []) addReference(readReference(bytes), nodes);
}

function addReference(reference: Reference, nodes: Bytes[]): void {
  nodes.push(nodeOfReference(reference));
  if (reference.id !== null && reference.facet !== null) collect(reference.facet, nodes);
}

function distinct(nodes: Bytes[]): readonly Bytes[] {
  const sorted = nodes.sort(compareBytes);
  return sorted.filter((node, i) => i === 0 || compareBytes(sorted[i - 1]!, node) !== 0);
}

function damaged(): RpcError {
  return new RpcError("failed", "storage-corrupt", "the references of a stored value are damaged");
}
