// Capstan's JavaScript stubs in the benchmark, over `ws`: the same class as capnweb's.

import { connect, listen, RpcStub, RpcTarget, serve } from "capstan/node";
import {
  keepOutstanding,
  LARGE,
  oneByOne,
  OUTSTANDING,
  ownCpu,
  run,
  sinkStream,
  SMALL,
  sourceStream,
  streamWorkloads,
} from "./harness.js";

class Sink extends RpcTarget {
  #bytes = 0;

  write(chunk: Uint8Array): void {
    this.#bytes += chunk.length;
  }

  done(): number {
    return this.#bytes;
  }
}

class Bench extends RpcTarget {
  #uploaded = 0;

  add(a: number, b: number): number {
    return a + b;
  }

  next(): Bench {
    return this;
  }

  openSink(): Sink {
    return new Sink();
  }

  /** Something to write bytes to. */
  upload(): WritableStream<Uint8Array> {
    return sinkStream((bytes) => (this.#uploaded = bytes));
  }

  uploaded(): number {
    return this.#uploaded;
  }

  /** Chunks without an end. */
  download(size: number): ReadableStream<Uint8Array> {
    return sourceStream(size);
  }

  usage(): number {
    return ownCpu();
  }
}

await run({
  name: "capstan-js",
  async serve() {
    const listener = await listen("ws://127.0.0.1:0", { bootstrap: serve(new Bench()) });
    return listener.url;
  },
  async connect(url: string) {
    const session = await connect(url);
    const root = session.bootstrap(RpcStub<Bench>);
    const add = async (): Promise<void> => checkSum(await root.add(3, 4));
    const stream = (size: number) => async (until: number) => {
      const data = new Uint8Array(size).fill(7);
      using sink = root.openSink();
      let count = 0;
      const underWay: Promise<unknown>[] = [];
      while (performance.now() < until)
        for (let i = 0; i < 64; i++) {
          underWay.push(Promise.resolve(sink.write(data)));
          if (underWay.length === 64) await underWay.shift();
          count++;
        }
      await Promise.all(underWay);
      const bytes = await sink.done();
      if (bytes !== count * size) throw new Error(`${bytes} bytes arrived`);
      return { count, bytes: count * size };
    };
    return {
      workloads: {
        sequential: (until: number) => oneByOne(until, add),
        outstanding: (until: number) => keepOutstanding(until, OUTSTANDING, add),
        chain: (until: number) =>
          oneByOne(until, async () => {
            using one = root.next();
            using two = one.next();
            using three = two.next();
            checkSum(await three.add(3, 4));
          }),
        "stream-64k": stream(LARGE),
        "stream-256": stream(SMALL),
        ...streamWorkloads(root),
      },
      serverCpu: async () => await root.usage(),
      close: () => session.close(),
    };
  },
});

function checkSum(sum: number): void {
  if (sum !== 7) throw new Error(`3 + 4 came out as ${sum}`);
}
