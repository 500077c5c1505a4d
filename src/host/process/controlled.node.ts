// Role: a host of one process, as its control socket is in front of it.
// State: none. Must not know: sockets, who asks.

import { RpcError } from "../../base/errors.js";
import type { Host } from "../object/host.js";
import { answer } from "./answer.js";
import type { Controlled } from "./control.node.js";
import type { Inspector } from "./inspect.js";

/** @param inspector of the host's store. @param pid of this process. */
export function controlledHost(host: Host, inspector: Inspector, pid: number): Controlled {
  const has = (namespace: string): boolean => host._namespaces.includes(namespace);
  return {
    processes: () => ({ objects: [pid], front: null }),
    has,
    slotOf(namespace, id) {
      inspector.idOf(namespace, { id });
      return 0;
    },
    ask: (_slot, question) => answer(host, question),
    collect: (dryRun) => host.collect({ dryRun }),
    async remove(namespace, id, forGood) {
      const what = forGood ? "delete" : "clear";
      if (has(namespace)) return (await answer(host, { what, namespace, id })) as boolean;
      // Of a namespace that the program does not have: none of its objects can be active.
      await inspector.remove(namespace, { id }, forGood);
      return false;
    },
    async reload() {
      const message = "all is in one process: it has to be started anew";
      throw new RpcError("failed", "invalid-state", message);
    },
  };
}
