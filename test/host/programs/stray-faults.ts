// Objects whose code throws where nobody catches it; then this program does the same, if it is asked to.

import { createHost, DurableObject, MemoryStore } from "../../../src/host.node.js";
import type { RpcError } from "../../../src/index.js";

class Stray extends DurableObject {
  later(): void {
    setTimeout(() => {
      throw new Error("in a timer");
    }, 1);
  }
  async afterAwait(): Promise<void> {
    await this.ctx.storage.get("x");
    void Promise.reject(new Error("in a forgotten promise"));
  }
  hello(): string {
    return "hello";
  }
}

const host = await createHost({ store: new MemoryStore(), classes: { STRAYS: Stray } });
const neighbour = host.env.STRAYS.getByName("neighbour");
await neighbour.hello();
const said: string[] = [];
for (const method of ["later", "afterAwait"] as const) {
  const stub = host.env.STRAYS.getByName(method);
  const broken = new Promise<RpcError>((resolve) => stub.onRpcBroken(resolve));
  await stub[method]().catch(() => {});
  said.push(`${(await broken).code}: ${String(((await broken).cause as Error).message)}`);
  said.push(await host.env.STRAYS.getByName(method).hello());
}
said.push(await neighbour.hello());
console.log(JSON.stringify(said));
if (process.argv[2] === "outside")
  setTimeout(() => {
    throw new Error("outside");
  }, 1);
else await host.close();
