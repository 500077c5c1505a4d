// Capstan in the benchmark: the typed layer, everything on.

import { connect, listen } from "capstan/node";
import { serve, type StreamContext } from "capstan/typed";
import { Bench, type Sink } from "../generated/bench.capnp.js";
import { keepOutstanding, LARGE, oneByOne, OUTSTANDING, ownCpu, run, SMALL } from "./harness.js";

class SinkServer implements Sink.Server {
  private bytes = 0;
  private readonly keeps: boolean;

  /** @param keeps whether it might keep the chunks; else it says that their memory may be used again. */
  constructor(keeps: boolean) {
    this.keeps = keeps;
  }

  write({ chunk }: { readonly chunk: Uint8Array }, context: StreamContext): void {
    this.bytes += chunk.length;
    if (!this.keeps) context.recycle();
  }

  done(): { bytes: bigint } {
    return { bytes: BigInt(this.bytes) };
  }
}

const bench: Bench = serve(Bench, {
  add: ({ a, b }) => ({ sum: a + b }),
  next: () => ({ next: bench.dup() }),
  openSink: ({ keeps }) => ({ sink: new SinkServer(keeps) }),
  usage: () => ({ cpuMicroseconds: BigInt(Math.round(ownCpu())) }),
});

await run({
  name: "capstan",
  async serve(path: string) {
    await listen(`unix:${path}`, { bootstrap: bench });
  },
  async connect(path: string) {
    const session = await connect(`unix:${path}`);
    const root = session.bootstrap(Bench);
    const add = (): Promise<unknown> => root.add({ a: 3, b: 4 }).then(checkSum);
    const stream = (size: number, keeps: boolean) => async (until: number) => {
      const data = new Uint8Array(size).fill(7);
      using opened = root.openSink({ keeps });
      const sink = opened.sink;
      let count = 0;
      while (performance.now() < until)
        for (let i = 0; i < 64; i++) {
          await sink.write({ chunk: data });
          count++;
        }
      using done = await sink.done();
      if (done.bytes !== BigInt(count * size)) throw new Error(`${done.bytes} bytes arrived`);
      return { count, bytes: count * size };
    };
    return {
      workloads: {
        sequential: (until: number) => oneByOne(until, add),
        outstanding: (until: number) => keepOutstanding(until, OUTSTANDING, add),
        chain: (until: number) =>
          oneByOne(until, async () => {
            using one = root.next();
            using two = one.next.next();
            using three = two.next.next();
            checkSum(await three.next.add({ a: 3, b: 4 }));
          }),
        "stream-64k": stream(LARGE, false),
        "stream-64k-kept": stream(LARGE, true),
        "stream-256": stream(SMALL, true),
      },
      async serverCpu() {
        using usage = await root.usage();
        return Number(usage.cpuMicroseconds);
      },
      close: () => session.close(),
    };
  },
});

function checkSum(results: { readonly sum: number }): void {
  if (results.sum !== 7) throw new Error(`3 + 4 came out as ${results.sum}`);
}
