// Role: what a host that does not run would collect, when it has run for the grace period again.
// State: none. Must not know: how anything is collected.
//
// No process holds anything then, so what the store says is all. It is only looked at: hooks need a host.

import { ALL_PRIVATE, namespaceOfNode, readCollectionKey } from "../storage/keys.js";
import type { Store } from "../storage/store.js";
import { type CollectionReport, objectNamed } from "./collector.js";
import { nameOfNode, type NodeName } from "./live-roots.js";
import { unreachableFrom, type Ways } from "./reach.js";
import { objectsOf, readCollecting } from "./records.js";

/**
 * Looks at all objects of the namespaces that are private in the store, which no process may have open for writing. Saved references
 * that have expired count as if they had not: only a host forgets them.
 *
 * @returns a report of a dry run. @throws RpcError what the store fails with (as a rejection).
 */
export async function lookAtStopped(store: Store): Promise<CollectionReport> {
  const collecting = await readCollecting(store);
  const declared = (await store.range(ALL_PRIVATE)).map(({ key }) => readCollectionKey(key));
  const names = new Set(declared.map(nameOfNode));
  const ways: Ways = {
    store,
    isPrivate: (node) => names.has(nameOfNode(namespaceOfNode(node))),
    // Those who are being collected let go of whom they hold when that goes on.
    isRoot: (name) => collecting.has(name),
    breathe: () => Promise.resolve(),
  };
  const unreachable = new Set<NodeName>(collecting.keys());
  let checked = 0;
  for (const namespace of declared)
    for await (const name of objectsOf(store, namespace)) {
      checked++;
      if (!collecting.has(name) && (await unreachableFrom(name, ways)) !== null)
        unreachable.add(name);
    }
  return { checked, collected: [], unreachable: Array.from(unreachable, objectNamed) };
}
