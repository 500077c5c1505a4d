// The part of the bootstrap object that is about saved references.

import { MemoryTokenStore, Realm } from "capstan/persist";
import { serve } from "capstan/typed";
import { Node, type Saving } from "./generated/interop.capnp.js";
import { NodeServer } from "./objects.js";
import type { Tally } from "./support.js";

export function savingMethods(tally: Tally): Saving.Server {
  const newNode = (path: string): NodeServer => {
    const node = new NodeServer(tally, path);
    realm.persistent(node, path);
    return node;
  };
  const realm = new Realm<string>({
    store: new MemoryTokenStore(),
    restore: (path) => serve(Node, newNode(path)),
  });
  return {
    savedNode: ({ path }) => ({ node: newNode(path) }),
    restorer: () => ({ restorer: realm.restorer() }),
    async forget() {
      for await (const { id } of realm.list()) await realm.revoke(id);
    },
  };
}
