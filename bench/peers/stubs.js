// Stubs without a schema beside capnweb's in one process: calls on an object of this process, over a MessagePort, and
// memory for each stub that lives. Each figure is measured in a process of its own, contenders in turn:
//
//   node --expose-gc bench/peers/stubs.js local|local-outstanding|port|port-outstanding|memory capstan|capnweb|bare

import { fileURLToPath } from "node:url";
import { MessageChannel, Worker, isMainThread, parentPort } from "node:worker_threads";
import * as capnweb from "capnweb";
import { MessagePortTransport, RpcStub, RpcTarget, serve, Session } from "capstan";

const OUTSTANDING = 1000;
const LIVE = 50_000;
const AT_ONCE = 1000;
/** A round trip takes long until the engine has compiled its way. */
const WARM_UP_MS = 2000;

/**
 * The same class for both, on the base class of each.
 * @template {new () => object} T
 * @param {T} Target
 */
function benchOf(Target) {
  class Room extends Target {}
  return class extends Target {
    /** @param {number} a @param {number} b */
    add(a, b) {
      return a + b;
    }

    open() {
      return new Room();
    }
  };
}

/** @typedef {{ add(a: number, b: number): PromiseLike<number>, open(): PromiseLike<object> }} Api */

/** @type {Record<string, () => Api>} */
const LOCAL = {
  capstan: () => /** @type {any} */ (new RpcStub(new (benchOf(RpcTarget))())),
  capnweb: () =>
    /** @type {any} */ (
      new capnweb.RpcStub(/** @type {any} */ (new (benchOf(capnweb.RpcTarget))()))
    ),
};

/** @type {Record<string, (port: import("node:worker_threads").MessagePort) => void>} */
const PORT_SERVERS = {
  capstan(port) {
    new Session(new MessagePortTransport("client", port), {
      bootstrap: serve(new (benchOf(RpcTarget))()),
    });
  },
  capnweb(port) {
    capnweb.newMessagePortRpcSession(
      /** @type {any} */ (port),
      /** @type {any} */ (new (benchOf(capnweb.RpcTarget))()),
    );
  },
  bare(port) {
    port.on("message", ([id, a, b]) => port.postMessage([id, a + b]));
  },
};

/** @type {Record<string, (port: import("node:worker_threads").MessagePort) => Api>} */
const PORT_CLIENTS = {
  capstan(port) {
    const session = new Session(new MessagePortTransport("server", port));
    return /** @type {any} */ (session.bootstrap(RpcStub));
  },
  capnweb: (port) =>
    /** @type {any} */ (capnweb.newMessagePortRpcSession(/** @type {any} */ (port))),
  bare(port) {
    /** @type {((sum: number) => void)[]} */
    const waiting = [];
    let head = 0;
    port.on("message", ([, sum]) => waiting[head++]?.(sum));
    return {
      add(a, b) {
        port.postMessage([waiting.length, a, b]);
        return new Promise((resolve) => waiting.push(resolve));
      },
      open: () => Promise.resolve({}),
    };
  },
};

/** A server in a worker thread. @param {string} contender */
function overPort(contender) {
  const { port1, port2 } = new MessageChannel();
  const worker = new Worker(fileURLToPath(import.meta.url));
  worker.postMessage({ contender, port: port2 }, [port2]);
  return connectTo(contender, port1);
}

/** @param {string} contender @param {import("node:worker_threads").MessagePort} port */
function connectTo(contender, port) {
  const client = PORT_CLIENTS[contender];
  if (client === undefined) throw new Error(`no contender ${contender}`);
  return client(port);
}

/** Calls a second. @param {Api} api @param {number} width calls under way at once @param {number} seconds */
async function rate(api, width, seconds) {
  const add = async () => {
    const sum = await api.add(3, 4);
    if (sum !== 7) throw new Error(`3 + 4 came out as ${sum}`);
  };
  const run = async (/** @type {number} */ until) => {
    let count = 0;
    while (performance.now() < until)
      if (width === 1) {
        for (let i = 0; i < 32; i++) await add();
        count += 32;
      } else {
        await Promise.all(Array.from({ length: width }, add));
        count += width;
      }
    return count;
  };
  await run(performance.now() + WARM_UP_MS);
  const before = process.cpuUsage();
  const start = performance.now();
  const count = await run(start + seconds * 1000);
  const elapsed = performance.now() - start;
  const { user, system } = process.cpuUsage(before);
  return { perSecond: (count * 1000) / elapsed, cpu: (user + system) / count };
}

/** Heap for each stub held, with its object and both sides of the connection, in this thread. @param {string} contender */
async function memory(contender) {
  const { port1, port2 } = new MessageChannel();
  PORT_SERVERS[contender]?.(port2);
  const api = connectTo(contender, port1);
  const heap = async () => {
    for (let i = 0; i < 4; i++) {
      globalThis.gc?.();
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    return process.memoryUsage().heapUsed;
  };
  /** @type {object[]} */
  const held = [];
  const hold = async (/** @type {number} */ many) => {
    while (many-- > 0) {
      const all = await Promise.all(Array.from({ length: AT_ONCE }, () => api.open()));
      for (const one of all) held.push(one);
    }
  };
  await hold(2);
  const before = await heap();
  await hold(LIVE / AT_ONCE);
  const bytes = ((await heap()) - before) / LIVE;
  return { bytes, held: held.length };
}

if (!isMainThread) {
  parentPort?.once("message", ({ contender, port }) => PORT_SERVERS[contender]?.(port));
} else if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [, , what, contender = "", seconds = "1"] = process.argv;
  const time = Number(seconds);
  const local = () => {
    const make = LOCAL[contender];
    if (make === undefined) throw new Error(`no contender ${contender}`);
    return make();
  };
  let result;
  if (what === "local") result = await rate(local(), 1, time);
  else if (what === "local-outstanding") result = await rate(local(), OUTSTANDING, time);
  else if (what === "port") result = await rate(overPort(contender), 1, time);
  else if (what === "port-outstanding") result = await rate(overPort(contender), OUTSTANDING, time);
  else if (what === "memory") result = await memory(contender);
  else throw new Error("usage: stubs.js local|local-outstanding|port|port-outstanding|memory WHO");
  console.log(JSON.stringify(result));
  process.exit(0);
}
