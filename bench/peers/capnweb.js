// capnweb 0.12 in the benchmark: the same class over the same `ws`.

import { once } from "node:events";
import { newWebSocketRpcSession, RpcTarget } from "capnweb";
import { WebSocket, WebSocketServer } from "ws";
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
} from "../../build/programs/bench/peers/harness.js";

// It looks for the browser's class, which Node 20 does not have.
globalThis.WebSocket ??= /** @type {any} */ (WebSocket);

class Sink extends RpcTarget {
  bytes = 0;

  /** @param {Uint8Array} chunk */
  write(chunk) {
    this.bytes += chunk.length;
  }

  done() {
    return this.bytes;
  }
}

class Bench extends RpcTarget {
  #uploaded = 0;

  /** @param {number} a @param {number} b */
  add(a, b) {
    return a + b;
  }

  next() {
    return this;
  }

  openSink() {
    return new Sink();
  }

  /** Something to write bytes to. */
  upload() {
    return sinkStream((bytes) => (this.#uploaded = bytes));
  }

  uploaded() {
    return this.#uploaded;
  }

  /** Chunks without an end. @param {number} size */
  download(size) {
    return sourceStream(size);
  }

  usage() {
    return ownCpu();
  }
}

await run({
  name: "capnweb",
  async serve(_path) {
    const server = new WebSocketServer({ port: 0, host: "127.0.0.1", perMessageDeflate: false });
    server.on("connection", (socket) => void newWebSocketRpcSession(socket, new Bench()));
    await once(server, "listening");
    const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
    return `ws://127.0.0.1:${port}/`;
  },
  async connect(url) {
    const socket = new WebSocket(url, { perMessageDeflate: false });
    await once(socket, "open");
    const root = /** @type {any} */ (newWebSocketRpcSession(/** @type {any} */ (socket)));
    const add = async () => {
      const sum = await root.add(3, 4);
      if (sum !== 7) throw new Error(`3 + 4 came out as ${sum}`);
    };
    const stream = (/** @type {number} */ size) => async (/** @type {number} */ until) => {
      const data = new Uint8Array(size).fill(7);
      const sink = await root.openSink();
      let count = 0;
      // No flow control of its own outside streams: what is under way is kept to 64 calls by hand.
      /** @type {Promise<unknown>[]} */
      const underWay = [];
      while (performance.now() < until)
        for (let i = 0; i < 64; i++) {
          underWay.push(sink.write(data));
          if (underWay.length === 64) await underWay.shift();
          count++;
        }
      await Promise.all(underWay);
      const bytes = await sink.done();
      if (bytes !== count * size) throw new Error(`${bytes} bytes arrived`);
      sink[Symbol.dispose]();
      return { count, bytes: count * size };
    };
    return {
      workloads: {
        sequential: (/** @type {number} */ until) => oneByOne(until, add),
        outstanding: (/** @type {number} */ until) => keepOutstanding(until, OUTSTANDING, add),
        chain: (/** @type {number} */ until) =>
          oneByOne(until, async () => {
            const one = root.next();
            const two = one.next();
            const three = two.next();
            const sum = await three.add(3, 4);
            for (const promise of [one, two, three]) promise[Symbol.dispose]();
            if (sum !== 7) throw new Error(`3 + 4 came out as ${sum}`);
          }),
        "stream-64k": stream(LARGE),
        "stream-256": stream(SMALL),
        ...streamWorkloads(root),
      },
      serverCpu: () => root.usage(),
      close: () => socket.close(),
    };
  },
});
