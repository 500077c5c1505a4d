// Role: who holds whom: the writes that keep it exact, in the transactions that change values, and how it is read.
// State: per object that is active, which of its values are known to hold somebody. Must not know: values, hooks, activations.
//
// Of each record that holds somebody there is one record of whom (`ObjectKeys.held`), and for each pair of holder and held one of in how
// many of the holder's records it is (`holderKey`). So both questions are a range: whom X holds, and who holds X. The number is what
// makes the second exact when one of two values that hold the same goes away.
//
// What a record held before is looked up inside of the transaction (`DerivedWrite`), so nobody has to have read it. Most writes need
// not even ask: an activation knows from its start which values hold somebody, and one that does not, before and after, is
// written as ever.
//
// The collector walks from an object that lost a holder backwards to a root: the holders of a node are one range, and saved references
// are among them, as nodes of the host. Which objects lost one is noted in the transaction that takes the pair away.

import { joinBytes } from "../../base/bytes.js";
import {
  candidateKey,
  HOST_NAMESPACE,
  join,
  holderKey,
  holdersOf,
  KIND_VALUE,
  namespaceOfNode,
  type Node,
  nodesIn,
  ObjectKeys,
  privateKey,
  readHolderKey,
  readNode,
} from "../storage/keys.js";
import { alarmWrites, readAlarm } from "../storage/alarm.js";
import type { Bytes, DerivedWrite, Entry, Store, View, Write } from "../storage/store.js";
import { heldBy } from "./table.js";

/** What one record holds from now on. */
export interface Holding {
  /** The kind of the record, and what follows it in its key. */
  readonly kind: number;
  readonly key: Bytes;
  /** Each node once, in order. */
  readonly nodes: readonly Bytes[];
}

/**
 * The writes by which `holdings` become what these records of one holder hold.
 *
 * @param cleared all that is in this range is held no more, before that.
 */
export function holdingWrite(
  keys: ObjectKeys,
  holdings: readonly Holding[],
  cleared: { readonly from: Bytes; readonly to: Bytes } | null = null,
): DerivedWrite {
  return {
    derive(view) {
      const changes = new Changes();
      if (cleared !== null) {
        for (const { value } of view.range(cleared)) changes.add(nodesIn(value), -1);
        changes.writes.push(cleared);
      }
      for (const { kind, key, nodes } of holdings) {
        const at = keys.held(kind, key);
        const isCleared = cleared !== null;
        const before = isCleared ? undefined : view.get(at);
        if (before !== undefined) changes.add(nodesIn(before), -1);
        changes.add(nodes, 1);
        const value = nodes.length === 0 ? null : joinBytes(nodes);
        if (value !== null || before !== undefined) changes.writes.push({ key: at, value });
      }
      return changes.of(keys.node, view);
    },
  };
}

/** What has changed for those who are held by one holder. */
class Changes {
  readonly writes: Write[] = [];
  private readonly counts = new Map<string, { readonly node: Bytes; by: number }>();

  add(nodes: readonly Bytes[], by: number): void {
    for (const node of nodes) {
      const name = String.fromCharCode(...node);
      const known = this.counts.get(name);
      if (known === undefined) this.counts.set(name, { node, by });
      else known.by += by;
    }
  }

  of(holder: Bytes, view: View): readonly Write[] {
    for (const { node, by } of this.counts.values()) {
      if (by === 0) continue;
      const key = holderKey(node, holder);
      const count = readCount(view.get(key)) + by;
      this.writes.push({ key, value: count > 0 ? countBytes(count) : null });
      if (count <= 0) this.writes.push(...candidateWrites(node, view));
    }
    return this.writes;
  }
}

/** What notes for the collector that an object has lost one who held it; nothing where its namespace is not collected. */
function candidateWrites(node: Bytes, view: View): readonly Write[] {
  return view.get(privateKey(namespaceOfNode(node))) === undefined
    ? []
    : [{ key: candidateKey(node), value: NOTHING }];
}

/** More values than so many are not known by their keys: then every write looks up what was held before. */
const MOST_KNOWN = 1000;
/** Of so many, and one more, an activation reads the keys when it starts. */
export const READ_AT_START = 64;

/** What a value becomes; null for none. */
export interface NewValue {
  readonly key: Bytes;
  readonly value: Bytes | null;
}

/** Which values of an active object hold somebody, as far as they are few. */
export class HoldingBook {
  private readonly keys: ObjectKeys;
  /** Null for none, as with most objects. */
  private known: Set<string> | null = null;
  /** Whether there are others. */
  private many = false;

  /** @param found of the range `ObjectKeys.atStart`, up to {@link READ_AT_START} that hold somebody, and one more. */
  constructor(keys: ObjectKeys, found: readonly Entry[]) {
    this.keys = keys;
    for (const { key } of found) {
      const name = keys.valueHoldingAt(key);
      if (name !== undefined) this.note(name);
    }
    if (this.known !== null && this.known.size > READ_AT_START) this.tooMany();
  }

  /**
   * What is written beside values, in the same transaction; null when they change nothing of whom the object holds.
   *
   * @param clears all values are removed before.
   */
  writeFor(clears: boolean, values: ReadonlyMap<string, NewValue>): Write | null {
    const cleared = clears && (this.many || this.known !== null);
    if (clears) {
      this.known = null;
      this.many = false;
    }
    let holdings: Holding[] | null = null;
    for (const [name, { key, value }] of values) {
      const nodes = value === null ? NOBODY : heldBy(value);
      if (nodes.length > 0) this.note(name);
      else if (clears || (!this.forget(name) && !this.many)) continue;
      (holdings ??= []).push({ kind: KIND_VALUE, key, nodes });
    }
    if (!cleared && holdings === null) return null;
    return holdingWrite(this.keys, holdings ?? [], cleared ? this.keys.heldByValues : null);
  }

  private note(name: string): void {
    if (this.many) return;
    this.known ??= new Set();
    this.known.add(name);
    if (this.known.size > MOST_KNOWN) this.tooMany();
  }

  /** @returns whether it was known. */
  private forget(name: string): boolean {
    return this.known !== null && this.known.delete(name);
  }

  private tooMany(): void {
    this.known = null;
    this.many = true;
  }
}

/** Removes all that there is of an object: its records, its alarm, what it holds. */
export function erasure(keys: ObjectKeys): DerivedWrite {
  return {
    derive: (view) => [
      ...alarmWrites(keys, readAlarm(view.get(keys.alarm)), null),
      holdingWrite(keys, [], keys.allHeld),
      keys.all,
    ],
  };
}

/** The same, but that an object was deleted for good stays known. */
export function clearing(keys: ObjectKeys): DerivedWrite {
  return {
    derive(view) {
      const deleted = view.get(keys.deleted);
      const stays = deleted === undefined ? [] : [{ key: keys.deleted, value: deleted }];
      return [erasure(keys), ...stays];
    },
  };
}

/** The same, for good: those who hold it go on to, and find that it was deleted. */
export function deletion(keys: ObjectKeys): DerivedWrite {
  return {
    derive: () => [erasure(keys), { key: keys.deleted, value: NOTHING }],
  };
}

/** One of those whom an object holds, or who hold it. */
export interface Held {
  readonly node: Node;
  /** In how many records of the holder. */
  readonly count: number;
}

/** So many are read at a time. */
const PAGE = 1000;

/** Whom an object holds. Reads no values, and activates nothing. @param most enough of them. */
export async function heldByObject(
  store: Store,
  keys: ObjectKeys,
  most = Infinity,
): Promise<Held[]> {
  const found = new Map<string, { readonly node: Node; count: number }>();
  for await (const { value } of pages(store, keys.allHeld))
    for (const bytes of nodesIn(value)) {
      const name = String.fromCharCode(...bytes);
      const known = found.get(name);
      if (known !== undefined) known.count++;
      else if (found.size < most) found.set(name, { node: readNode(bytes), count: 1 });
    }
  return [...found.values()];
}

/**
 * Who holds a node, saved references included: those are nodes of a namespace without a name. @param most enough of them.
 */
export async function holdersOfNode(store: Store, node: Bytes, most = Infinity): Promise<Held[]> {
  const found: Held[] = [];
  for await (const { key, value } of pages(store, holdersOf(node))) {
    if (found.length >= most) break;
    found.push({ node: readNode(readHolderKey(key).holder), count: readCount(value) });
  }
  return found;
}

/** All entries of a range, a page at a time. */
export async function* pages(
  store: Store,
  range: { readonly from: Bytes; readonly to: Bytes },
): AsyncGenerator<Entry> {
  for (let { from } = range; ;) {
    const page = await store.range({ from, to: range.to, limit: PAGE });
    yield* page;
    const last = page.at(-1);
    if (page.length < PAGE || last === undefined) return;
    from = join(last.key, [0]);
  }
}

/** The holder that a saved reference is. @param hash of its token. */
export function savedHolder(hash: Bytes): ObjectKeys {
  return new ObjectKeys(HOST_NAMESPACE, hash);
}

const NOBODY: readonly Bytes[] = Object.freeze([]);
const NOTHING = new Uint8Array();

function countBytes(count: number): Bytes {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, count);
  return bytes;
}

function readCount(bytes: Bytes | undefined): number {
  if (bytes?.length !== 4) return 0;
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(0);
}
