// Ends a host that nothing but its end keeps alive. Says so, and then has nothing left to stay for.

import { createHost, DurableObject, MemoryStore, openLmdbStore } from "../../../src/host.node.js";
import type { RpcError } from "../../../src/index.js";

class Box extends DurableObject {
  put(value: string): void {
    void this.ctx.storage.put("value", value);
  }
  hang(): Promise<never> {
    return new Promise(() => {});
  }
}

const [how, directory] = process.argv.slice(2);
const store = directory === undefined ? new MemoryStore() : await openLmdbStore(directory);
const host = await createHost({ store, classes: { BOXES: Box } });
const stub = host.env.BOXES.getByName("a");
if (how === "hanging")
  void stub.hang().catch((error: unknown) => console.log((error as RpcError).code));
else if (how !== "idle") await stub.put("written");
const began = performance.now();
if (how === "close") await host.close();
else await host.drain(500);
console.log(how === "hanging" && performance.now() - began < 450 ? "too early" : "done");
