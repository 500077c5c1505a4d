// Capstan's stubs of a durable object in workerd.

import type { RpcTarget } from "capstan/node";
import { connectWorkerd } from "capstan/workerd";
import { run } from "./harness.js";
import { OBJECT, serverAt, workloads } from "./workerd.js";

/** As bench/workerd/worker.js has them. */
interface Sum extends RpcTarget {
  add(a: number, b: number): number;
}

interface Bench extends Sum {
  sum(): Sum;
}

await run({
  name: "capstan-workerd",
  serve() {
    throw new Error("the server is bench/workerd/serve.js");
  },
  async connect(where: string) {
    const { path, cpu } = serverAt(where);
    const workerd = await connectWorkerd(`unix:${path}`);
    const object = workerd.getObject<Bench>(OBJECT.service, OBJECT.className, OBJECT.id);
    const target = await object.sum();
    return {
      workloads: workloads(
        async () => checkSum(await object.add(3, 4)),
        async () => checkSum(await target.add(3, 4)),
      ),
      serverCpu: cpu,
      close: () => workerd.close(),
    };
  },
});

function checkSum(sum: number): void {
  if (sum !== 7) throw new Error(`3 + 4 came out as ${sum}`);
}
