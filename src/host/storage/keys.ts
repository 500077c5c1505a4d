// Role: where each thing of an object is in the store: its keys.
// State: none. Must not know: what the things are.
//
// The first byte tells tables apart:
//   00 name                          the store's own records: the version of this format, the secret
//   01 length namespace id kind ...  what objects have; kind 1 is a value, followed by its key as UTF-8; kind 2 the alarm;
//                                    kind 3 that the object was deleted; kind 4 whom one of its records holds, followed by that
//                                    record's kind and key: the nodes, one behind the other
//   02 time length namespace id      one for each alarm, so that the next one is the first of them
//   03 node node                     whom anybody holds and who does: in how many of the holder's records
//   04 ...                           saved references, for outside of the host: references/saved.ts
//   05 01 node                       objects that lost one who held them, for the collector
//   05 02 node                       objects that are being collected, and how far that is
//   05 03 length namespace           the namespaces whose objects are collected
// So all of one object is one range, as is all of a namespace, and the bytes of values' keys are in the order of UTF-8.
//
// A node is one of those who hold and are held: the length of a namespace, the namespace and an id; of a namespace as a whole, an
// id of zeros, which no object has. A namespace of no length is the host itself: its ids are those of saved references.

import { joinBytes } from "../../base/bytes.js";
import { invalidArgument } from "../../base/checks.js";
import type { Bytes, Range } from "./store.js";

const META = 0;
const OBJECTS = 1;
const ALARMS = 2;
const HOLDERS = 3;
const SAVED = 4;
const COLLECTION = 5;

/** Kinds of records of an object. A new kind takes a number of its own: nothing else looks at what it does not know. */
export const KIND_VALUE = 1;
export const KIND_ALARM = 2;
export const KIND_DELETED = 3;
export const KIND_HELD = 4;

/** Bytes of an id. */
export const ID_BYTES = 32;
const TIME_BYTES = 8;

const NO_BYTES: Bytes = new Uint8Array();
const encoder = new TextEncoder();
const decoder = new TextDecoder();

export function metaKey(name: string): Bytes {
  return join([META], encoder.encode(name));
}

/** The bytes that name a namespace. @throws RpcError invalid-argument when it is longer than 255 of them. */
export function namespaceBytes(name: string): Bytes {
  const bytes = encoder.encode(name);
  if (bytes.length === 0 || bytes.length > 255) {
    const message = `the name of a namespace has 1 to 255 bytes, not ${bytes.length}`;
    throw invalidArgument(message);
  }
  return join([bytes.length], bytes);
}

/** The namespace that no object is of. */
export const HOST_NAMESPACE: Bytes = Uint8Array.of(0);
const NO_ID: Bytes = new Uint8Array(ID_BYTES);

/** @param namespace by {@link namespaceBytes}. @param id null for the namespace as a whole. */
export function nodeOf(namespace: Bytes, id: Bytes | null): Bytes {
  return join(namespace, id ?? NO_ID);
}

/** One who holds or is held, for people and tools. */
export interface Node {
  /** Empty for the host itself. */
  readonly namespace: string;
  /** Null for the namespace as a whole. */
  readonly id: Bytes | null;
}

/** The node that begins at `at`, and where it ends. */
function readNodeAt(bytes: Bytes, at: number): { readonly node: Node; readonly end: number } {
  const start = at + 1 + bytes[at]!;
  const end = start + ID_BYTES;
  const id = bytes.slice(start, end);
  const namespace = decoder.decode(bytes.subarray(at + 1, start));
  return { node: { namespace, id: id.every((byte) => byte === 0) ? null : id }, end };
}

/** The nodes in the record of whom a record holds, as bytes. */
export function nodesIn(record: Bytes): Bytes[] {
  const nodes: Bytes[] = [];
  for (let at = 0; at < record.length;) {
    const end = at + 1 + record[at]! + ID_BYTES;
    nodes.push(record.slice(at, end));
    at = end;
  }
  return nodes;
}

export function readNode(node: Bytes): Node {
  return readNodeAt(node, 0).node;
}

/** Where it is written that `holder` holds `held`: in how many of its records, in four bytes. */
export function holderKey(held: Bytes, holder: Bytes): Bytes {
  return join([HOLDERS], held, holder);
}

/** All who hold `held`. */
export function holdersOf(held: Bytes): { from: Bytes; to: Bytes } {
  const prefix = join([HOLDERS], held);
  return { from: prefix, to: after(prefix) };
}

/** Who is held by whom, of a key of {@link holdersOf}; both as nodes' bytes. */
export function readHolderKey(key: Bytes): { held: Bytes; holder: Bytes } {
  const { end } = readNodeAt(key, 1);
  return { held: key.slice(1, end), holder: key.slice(end) };
}

/** A key of the table of saved references. */
export function savedKey(...parts: ArrayLike<number>[]): Bytes {
  return join([SAVED], ...parts);
}

const CANDIDATES = 1;
const COLLECTING = 2;
const PRIVATE = 3;

/** Where it is written that an object lost one who held it. */
export function candidateKey(node: Bytes): Bytes {
  return join([COLLECTION, CANDIDATES], node);
}

/** Where it is written how far the collection of an object is. */
export function collectingKey(node: Bytes): Bytes {
  return join([COLLECTION, COLLECTING], node);
}

/** Where it is written that the objects of a namespace are collected. @param namespace by {@link namespaceBytes}. */
export function privateKey(namespace: Bytes): Bytes {
  return join([COLLECTION, PRIVATE], namespace);
}

/** All objects that lost one who held them. */
export const ALL_CANDIDATES = { from: candidateKey(NO_BYTES), to: collectingKey(NO_BYTES) };
/** All objects that are being collected. */
export const ALL_COLLECTING = { from: collectingKey(NO_BYTES), to: privateKey(NO_BYTES) };

/** All namespaces whose objects are collected. */
export const ALL_PRIVATE = {
  from: privateKey(NO_BYTES),
  to: Uint8Array.of(COLLECTION, PRIVATE + 1),
};

/** Whose record a key of {@link ALL_CANDIDATES} or {@link ALL_COLLECTING} is, the node; of one of {@link ALL_PRIVATE}, the namespace. */
export function readCollectionKey(key: Bytes): Bytes {
  return key.slice(2);
}

/** The namespace of a node, by {@link namespaceBytes}. */
export function namespaceOfNode(node: Bytes): Bytes {
  return node.subarray(0, 1 + node[0]!);
}

/** Where the records of a node are, which is an object. */
export function keysOfNode(node: Bytes): ObjectKeys {
  const namespace = namespaceOfNode(node);
  return new ObjectKeys(namespace, node.slice(namespace.length));
}

/** The records of all objects of a namespace. */
export function recordsOf(namespace: Bytes): { from: Bytes; to: Bytes } {
  const prefix = join([OBJECTS], namespace);
  return { from: prefix, to: after(prefix) };
}

/** The object that a record of {@link recordsOf} belongs to: its node. */
export function nodeOfRecord(key: Bytes): Bytes {
  return key.slice(1, 2 + key[1]! + ID_BYTES);
}

/** Where one object's records are. @param namespace by {@link namespaceBytes}. */
export class ObjectKeys {
  readonly namespace: Bytes;
  readonly id: Bytes;
  private readonly values: Bytes;

  constructor(namespace: Bytes, id: Bytes) {
    this.namespace = namespace;
    this.id = id;
    this.values = join([OBJECTS], namespace, id, [KIND_VALUE]);
  }

  value(key: Bytes): Bytes {
    return join(this.values, key);
  }

  /** The key of a value, from the key of its record. */
  nameOf(record: Bytes): { readonly name: string; readonly key: Bytes } {
    const key = record.subarray(this.values.length);
    return { name: decoder.decode(key), key };
  }

  /** The values whose keys are in a range of bytes. @param to null for no end. */
  valueRange(from: Bytes, to: Bytes | null): { from: Bytes; to: Bytes } {
    return {
      from: this.value(from),
      to: to === null ? after(this.values) : this.value(to),
    };
  }

  get alarm(): Bytes {
    return join([OBJECTS], this.namespace, this.id, [KIND_ALARM]);
  }

  get deleted(): Bytes {
    return join([OBJECTS], this.namespace, this.id, [KIND_DELETED]);
  }

  /** Whom one record holds. @param kind that record's. @param key what follows the kind in its key. */
  held(kind: number, key: Bytes): Bytes {
    return join([OBJECTS], this.namespace, this.id, [KIND_HELD, kind], key);
  }

  /** Whom its records hold. */
  get allHeld(): { from: Bytes; to: Bytes } {
    const prefix = join([OBJECTS], this.namespace, this.id, [KIND_HELD]);
    return { from: prefix, to: after(prefix) };
  }

  /** The same of its values alone. */
  get heldByValues(): { from: Bytes; to: Bytes } {
    const prefix = this.held(KIND_VALUE, NO_BYTES);
    return { from: prefix, to: after(prefix) };
  }

  /** What an activation has to know before it begins: the alarm, whether it was deleted, the values that hold somebody. */
  get atStart(): { from: Bytes; to: Bytes } {
    const prefix = this.held(KIND_VALUE, NO_BYTES);
    return { from: this.alarm, to: after(prefix) };
  }

  /** The key of the value whose holding is the record at `key`; undefined for what is no such record. */
  valueHoldingAt(key: Bytes): string | undefined {
    const at = this.values.length - 1;
    return key[at] === KIND_HELD && key[at + 1] === KIND_VALUE
      ? decoder.decode(key.subarray(at + 2))
      : undefined;
  }

  kindAt(record: Bytes): number {
    return record[this.values.length - 1]!;
  }

  /** Itself among those who hold and are held. */
  get node(): Bytes {
    return nodeOf(this.namespace, this.id);
  }

  alarmAt(time: number): Bytes {
    return join([ALARMS], timeBytes(time), this.namespace, this.id);
  }

  /** Every record of the object, of whatever kind. */
  get all(): Range {
    const prefix = join([OBJECTS], this.namespace, this.id);
    return { from: prefix, to: after(prefix) };
  }
}

/** The alarms of all objects up to `time`, in order. */
export function alarmsUpTo(time: number): { from: Bytes; to: Bytes } {
  return { from: Uint8Array.of(ALARMS), to: join([ALARMS], timeBytes(time + 1)) };
}

/** All alarms. */
export const ALL_ALARMS: { from: Bytes; to: Bytes } = {
  from: Uint8Array.of(ALARMS),
  to: Uint8Array.of(ALARMS + 1),
};

/** Whose alarm is at `key`, and when. */
export function readAlarmKey(key: Bytes): { time: number; namespace: string; id: Bytes } {
  const view = new DataView(key.buffer, key.byteOffset, key.byteLength);
  const time = Number(view.getBigUint64(1));
  const start = 1 + TIME_BYTES + 1;
  const end = start + key[start - 1]!;
  const namespace = decoder.decode(key.subarray(start, end));
  return { time, namespace, id: key.slice(end, end + ID_BYTES) };
}

/** The first key behind all that begin with `prefix`. */
export function after(prefix: Bytes): Bytes {
  let length = prefix.length;
  while (length > 0 && prefix[length - 1] === 0xff) length--;
  const end = prefix.slice(0, length);
  if (length > 0) end[length - 1]!++;
  return end;
}

export function join(...parts: ArrayLike<number>[]): Bytes {
  return joinBytes(parts);
}

function timeBytes(time: number): Bytes {
  const bytes = new Uint8Array(TIME_BYTES);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(Math.max(0, Math.floor(time))));
  return bytes;
}

/** The records of all objects behind `prefix` of their keys. */
function objectsFrom(...prefix: ArrayLike<number>[]): { from: Bytes; to: Bytes } {
  const from = join([OBJECTS], ...prefix);
  return { from, to: after(from) };
}

/** The records of all objects. */
export const ALL_OBJECTS: { from: Bytes; to: Bytes } = /* @__PURE__ */ objectsFrom();

/** The records of all objects of a namespace. @param namespace by {@link namespaceBytes}. */
export function objectsOf(namespace: Bytes): { from: Bytes; to: Bytes } {
  return objectsFrom(namespace);
}

/** Of the key of an object's record: whose it is, and of what kind. */
export function readObjectKey(key: Bytes): { namespace: string; id: Bytes; kind: number } {
  const end = 2 + key[1]!;
  const kind = end + ID_BYTES;
  return {
    namespace: decoder.decode(key.subarray(2, end)),
    id: key.slice(end, kind),
    kind: key[kind]!,
  };
}
