// The floor: a bare socket. `sequential` echoes a message of a small call's size; the streams push chunks one way, each as
// one write, under the socket's own backpressure, and end with one answer.

import { once } from "node:events";
import {
  dial,
  LARGE,
  listen,
  oneByOne,
  ownCpu,
  run,
  SMALL,
} from "../../build/programs/bench/peers/harness.js";

const MESSAGE = 120;

// A connection's first byte says what it is for; a stream's chunks follow, and the 8 bytes it ends with are the count.
const ECHO = 1;
const SINK = 2;
const CPU = 3;

/** @param {import("node:net").Socket} socket */
function accept(socket) {
  socket.once("data", (first) => {
    const mode = first[0];
    if (mode === ECHO) socket.on("data", (chunk) => socket.write(chunk));
    else if (mode === CPU) {
      const answer = Buffer.alloc(8);
      answer.writeDoubleLE(ownCpu());
      socket.end(answer);
    } else {
      let left = first.readDoubleLE(1);
      const take = (/** @type {Buffer} */ chunk) => {
        left -= chunk.length;
        if (left === 0) socket.write(Buffer.from([1]));
      };
      take(first.subarray(9));
      socket.on("data", take);
    }
  });
}

/** @param {string} path */
async function connect(path) {
  const echo = await dial(path);
  echo.write(Buffer.from([ECHO]));
  await new Promise((resolve) => setTimeout(resolve, 20));
  const message = Buffer.alloc(MESSAGE, 7);

  function roundTrip() {
    return new Promise((resolve) => {
      let got = 0;
      const take = (/** @type {Buffer} */ chunk) => {
        got += chunk.length;
        if (got < MESSAGE) return;
        echo.off("data", take);
        resolve(undefined);
      };
      echo.on("data", take);
      echo.write(message);
    });
  }

  /** @param {number} size */
  function stream(size) {
    const chunk = Buffer.alloc(size, 7);
    // The number of chunks is said in advance, from what the last run reached, so that the sink can tell the end.
    let rate = 100_000_000 / size;
    return async (/** @type {number} */ until) => {
      const socket = await dial(path);
      let count = 0;
      const started = performance.now();
      do {
        const now = performance.now();
        const round = Math.max(64, Math.round((rate * Math.max(until - now, 0)) / 1000));
        const head = Buffer.alloc(9);
        head[0] = SINK;
        head.writeDoubleLE(round * size, 1);
        const one = count === 0 ? socket : await dial(path);
        one.write(head);
        for (let i = 0; i < round; i++) if (!one.write(chunk)) await once(one, "drain");
        await once(one, "data");
        one.destroy();
        count += round;
        rate = (count * 1000) / (performance.now() - started);
      } while (performance.now() < until);
      return { count, bytes: count * size };
    };
  }

  return {
    workloads: {
      sequential: (/** @type {number} */ until) => oneByOne(until, roundTrip),
      "stream-64k": stream(LARGE),
      "stream-64k-kept": stream(LARGE),
      "stream-256": stream(SMALL),
    },
    async serverCpu() {
      const socket = await dial(path);
      socket.write(Buffer.from([CPU]));
      const [answer] = await once(socket, "data");
      return answer.readDoubleLE(0);
    },
    close: () => echo.destroy(),
  };
}

await run({ name: "raw socket", serve: async (path) => listen(path, accept), connect });
