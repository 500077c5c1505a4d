// Capstan's JavaScript stubs over a Unix socket, with small structs as params and results: what the typed layer's peer
// (capstan.ts) does with a schema, so that both layers are compared on one interface and one transport.

import { connect, listen, RpcStub, RpcTarget, serve } from "capstan/node";
import { keepOutstanding, oneByOne, OUTSTANDING, ownCpu, run } from "./harness.js";

class Bench extends RpcTarget {
  add({ a, b }: { a: number; b: number }): { sum: number } {
    return { sum: a + b };
  }

  usage(): { cpuMicroseconds: number } {
    return { cpuMicroseconds: ownCpu() };
  }
}

await run({
  name: "capstan-js-unix",
  async serve(path: string) {
    await listen(`unix:${path}`, { bootstrap: serve(new Bench()) });
  },
  async connect(path: string) {
    const session = await connect(`unix:${path}`);
    const root = session.bootstrap(RpcStub<Bench>);
    const add = async (): Promise<void> => {
      const { sum } = await root.add({ a: 3, b: 4 });
      if (sum !== 7) throw new Error(`3 + 4 came out as ${sum}`);
    };
    return {
      workloads: {
        sequential: (until: number) => oneByOne(until, add),
        outstanding: (until: number) => keepOutstanding(until, OUTSTANDING, add),
      },
      serverCpu: async () => (await root.usage()).cpuMicroseconds,
      close: () => session.close(),
    };
  },
});
