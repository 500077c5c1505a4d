// The floor under WebSockets: bare `ws`, one way for streams, an echo for calls.

import { once } from "node:events";
import { WebSocket, WebSocketServer } from "ws";
import { LARGE, oneByOne, ownCpu, run } from "../../build/programs/bench/peers/harness.js";

const MESSAGE = 120;
/** Bytes that `ws` may hold before the sender waits. */
const ROOM = 1 << 20;

// A text message asks: `cpu`, a number of bytes that will come and be acknowledged, or `send`, a number of chunks and their size.

/** @param {WebSocket} socket */
function accept(socket) {
  let left = 0;
  socket.on("error", () => {});
  socket.on("message", (data, isBinary) => {
    const bytes = /** @type {Buffer} */ (data);
    if (!isBinary) {
      const word = bytes.toString();
      if (word === "cpu") socket.send(String(ownCpu()));
      else if (word.startsWith("send ")) {
        const [, count, size] = word.split(" ").map(Number);
        void sendAll(socket, Buffer.alloc(size ?? 0, 7), count ?? 0);
      } else left = Number(word);
    } else if (left === 0) socket.send(bytes, { binary: true });
    else if ((left -= bytes.length) === 0) socket.send("done");
  });
}

/** @param {WebSocket} socket @param {Buffer} chunk @param {number} count */
async function sendAll(socket, chunk, count) {
  for (let i = 0; i < count && socket.readyState === WebSocket.OPEN; i++) {
    socket.send(chunk);
    while (socket.bufferedAmount > ROOM) await new Promise((resolve) => setImmediate(resolve));
  }
}

await run({
  name: "raw ws",
  async serve(_path) {
    const server = new WebSocketServer({ port: 0, host: "127.0.0.1", perMessageDeflate: false });
    server.on("connection", accept);
    await once(server, "listening");
    const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
    return `ws://127.0.0.1:${port}/`;
  },
  async connect(url) {
    const dial = async () => {
      const socket = new WebSocket(url, { perMessageDeflate: false });
      await once(socket, "open");
      return socket;
    };
    const echo = await dial();
    const message = Buffer.alloc(MESSAGE, 7);
    const roundTrip = () => {
      echo.send(message);
      return new Promise((resolve) => echo.once("message", resolve));
    };
    /** @param {number} size */
    const stream = (size) => {
      const chunk = Buffer.alloc(size, 7);
      let rate = 10_000_000 / size;
      return async (/** @type {number} */ until) => {
        let count = 0;
        const started = performance.now();
        const socket = await dial();
        do {
          const round = Math.max(
            64,
            Math.round((rate * Math.max(until - performance.now(), 0)) / 1000),
          );
          socket.send(String(round * size));
          await sendAll(socket, chunk, round);
          await once(socket, "message");
          count += round;
          rate = (count * 1000) / (performance.now() - started);
        } while (performance.now() < until);
        socket.terminate();
        return { count, bytes: count * size };
      };
    };
    /** @param {number} size */
    const receive = (size) => {
      let rate = 10_000_000 / size;
      return async (/** @type {number} */ until) => {
        let count = 0;
        const started = performance.now();
        const socket = await dial();
        do {
          const left = Math.max(until - performance.now(), 0);
          const round = Math.max(64, Math.round((rate * left) / 1000));
          socket.send(`send ${round} ${size}`);
          await new Promise((resolve) => {
            let bytes = 0;
            socket.on("message", function take(/** @type {Buffer} */ data) {
              bytes += data.length;
              if (bytes < round * size) return;
              socket.off("message", take);
              resolve(undefined);
            });
          });
          count += round;
          rate = (count * 1000) / (performance.now() - started);
        } while (performance.now() < until);
        socket.terminate();
        return { count, bytes: count * size };
      };
    };
    return {
      workloads: {
        sequential: (/** @type {number} */ until) => oneByOne(until, roundTrip),
        "write-64k": stream(LARGE),
        "read-64k": receive(LARGE),
      },
      async serverCpu() {
        echo.send("cpu");
        const [answer] = await once(echo, "message");
        return Number(answer);
      },
      close: () => echo.terminate(),
    };
  },
});
