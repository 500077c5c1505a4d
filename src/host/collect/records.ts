// Role: what the collector keeps in the store: who may be garbage, who is being collected and how far; the writes of each step.
// State: none. Must not know: when a step is made, live references.
//
// An object that is being collected goes through these states, each in one transaction with all that depends on it:
//   dying      its component was found, all of it, in one transaction; it cannot be activated any more
//   disposing  its [dispose] hook runs, or has run, or there is none to be run: it is not run again, whatever happens
//   gone       there is no record of it, nor of whom it held
// A component is gone only when no hook of anybody is still to be run. So nobody whose code still runs reads a reference to
// somebody who is gone already, and would have it made anew.

import { erasure } from "../references/holdings.js";
import {
  after,
  ALL_CANDIDATES,
  ALL_COLLECTING,
  candidateKey,
  collectingKey,
  join,
  keysOfNode,
  nodeOfRecord,
  privateKey,
  readCollectionKey,
  recordsOf,
} from "../storage/keys.js";
import type { Bytes, DerivedWrite, Store, Write } from "../storage/store.js";
import { type NodeName, nameOfNode, nodeNamed } from "./live-roots.js";

export const DYING = 1;
export const DISPOSING = 2;
export type CollectingState = typeof DYING | typeof DISPOSING;

const NOTHING: Bytes = new Uint8Array();
/** What is in the record that an object was deleted, when it was collected. */
export const COLLECTED: Bytes = Uint8Array.of(1);

/** Those whose collection has begun. */
export async function readCollecting(store: Store): Promise<Map<NodeName, CollectingState>> {
  const found = new Map<NodeName, CollectingState>();
  for (const { key, value } of await store.range(ALL_COLLECTING))
    found.set(nameOfNode(readCollectionKey(key)), value[0] === DYING ? DYING : DISPOSING);
  return found;
}

/** Up to `limit` objects that lost one who held them: they are noted no more from now on. */
export async function takeCandidates(store: Store, limit: number): Promise<NodeName[]> {
  const page = await store.range({ ...ALL_CANDIDATES, limit });
  if (page.length === 0) return [];
  // Whoever loses another one behind this is noted again, and will be looked at after that.
  await store.write(page.map(({ key }) => ({ key, value: null }))).committed;
  return page.map(({ key }) => nameOfNode(readCollectionKey(key)));
}

/** Begins the collection of a component. An object that was deleted before has no hook to run. */
export function dyingWrite(members: readonly NodeName[]): DerivedWrite {
  return {
    derive: (view) =>
      members.flatMap((name): Write[] => {
        const node = nodeNamed(name);
        const { deleted } = keysOfNode(node);
        const state = view.get(deleted) === undefined ? DYING : DISPOSING;
        return [
          { key: collectingKey(node), value: Uint8Array.of(state) },
          { key: candidateKey(node), value: null },
          { key: deleted, value: COLLECTED },
        ];
      }),
  };
}

/** From now on its hook is not run any more, but by whoever has written this. */
export function disposingWrites(members: readonly NodeName[]): Write[] {
  return members.map((name) => ({
    key: collectingKey(nodeNamed(name)),
    value: Uint8Array.of(DISPOSING),
  }));
}

/** Removes objects that are being collected. Those of others whom they held become candidates. */
export function goneWrite(members: readonly NodeName[]): DerivedWrite {
  return {
    derive: (view) =>
      members.flatMap((name): Write[] => {
        const node = nodeNamed(name);
        // Who deletes a host's object from outside may have been faster; the collection of nobody else is ended by this.
        if (view.get(collectingKey(node)) === undefined) return [];
        const keys = keysOfNode(node);
        return [
          erasure(keys),
          { key: keys.deleted, value: null },
          { key: collectingKey(node), value: null },
          { key: candidateKey(node), value: null },
        ];
      }),
  };
}

/**
 * Makes namespaces private, for good.
 *
 * @returns the first one that cannot be, since it has objects that were not made private: their ids may be known.
 */
export async function declarePrivate(
  store: Store,
  namespaces: readonly Bytes[],
): Promise<Bytes | null> {
  for (const namespace of namespaces) {
    if ((await store.get(privateKey(namespace))) !== undefined) continue;
    const [some] = await store.range({ ...recordsOf(namespace), limit: 1 });
    if (some !== undefined) return namespace;
    await store.write([{ key: privateKey(namespace), value: NOTHING }]).flushed;
  }
  return null;
}

/** Whether there is anything of an object in the store. One without records has nothing to be collected. */
export async function hasRecords(store: Store, name: NodeName): Promise<boolean> {
  const found = await store.range({ ...keysOfNode(nodeNamed(name)).all, limit: 1 });
  return found.length > 0;
}

/** All objects of a namespace that have records, one after the other. */
export async function* objectsOf(store: Store, namespace: Bytes): AsyncGenerator<NodeName> {
  const { from, to } = recordsOf(namespace);
  for (let at = from; ;) {
    const [found] = await store.range({ from: at, to, limit: 1 });
    if (found === undefined) return;
    const node = nodeOfRecord(found.key);
    yield nameOfNode(node);
    at = after(join(recordsOf(NOTHING).from, node));
  }
}
