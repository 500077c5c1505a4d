// Role: whether an object can be reached, by walking from it to those who hold it until there is a root.
// State: none. Must not know: time, processes, what is done about it.
//
// What is reachable costs little: the walk ends at the first root. What is not comes out whole, with all who lead to it, cycles included:
// if none of those is a root, none of them can be reached.

import { pages } from "../references/holdings.js";
import { holdersOf, keysOfNode, readHolderKey } from "../storage/keys.js";
import type { Bytes, Store } from "../storage/store.js";
import { type NodeName, nameOfNode, nodeNamed } from "./live-roots.js";

/** What a walk goes by. */
export interface Ways {
  readonly store: Store;
  /** Whether it is an object that can be collected; all else is a root. */
  isPrivate(node: Bytes): boolean;
  /** Whether it is known to be one for a reason that is not in the store. */
  isRoot(name: NodeName): boolean;
  /** Lets others do something. It is called now and then. */
  breathe(): Promise<void>;
}

/** So many nodes are looked at without a pause. */
const AT_ONCE = 32;

/**
 * All who lead to an object, it among them; null when one of those is a root.
 *
 * It is a hint: others write meanwhile. What is found must be looked at again with {@link isClosed} while nobody holds any of it.
 */
export async function unreachableFrom(name: NodeName, ways: Ways): Promise<Set<NodeName> | null> {
  const members = new Set([name]);
  let looked = 0;
  // It grows while it is gone through.
  for (const member of members) {
    if (++looked % AT_ONCE === 0) await ways.breathe();
    if (ways.isRoot(member) || (await hasAlarm(member, ways))) return null;
    for await (const holder of holders(member, ways)) {
      if (!ways.isPrivate(holder)) return null;
      members.add(nameOfNode(holder));
    }
  }
  return members;
}

/** Whether none of them has an alarm, or is held by anybody else. */
export async function isClosed(members: ReadonlySet<NodeName>, ways: Ways): Promise<boolean> {
  let looked = 0;
  for (const member of members) {
    if (++looked % AT_ONCE === 0) await ways.breathe();
    if (await hasAlarm(member, ways)) return false;
    for await (const holder of holders(member, ways))
      if (!members.has(nameOfNode(holder))) return false;
  }
  return true;
}

/** The clock of the host holds an object until its alarm has rung. */
async function hasAlarm(name: NodeName, { store }: Ways): Promise<boolean> {
  return (await store.get(keysOfNode(nodeNamed(name)).alarm)) !== undefined;
}

async function* holders(name: NodeName, { store }: Ways): AsyncGenerator<Bytes> {
  for await (const { key } of pages(store, holdersOf(nodeNamed(name))))
    yield readHolderKey(key).holder;
}
