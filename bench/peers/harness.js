// @ts-check
// What every JavaScript peer of the benchmark shares: its command line, the clock, the line of figures it prints.
// The C++ peer (interop/cxx/bench.c++) takes the same arguments and prints the same line.

import { createConnection, createServer } from "node:net";

/** Calls kept waiting by the workload `outstanding`. */
export const OUTSTANDING = 1000;
export const LARGE = 64 * 1024;
export const SMALL = 256;

/**
 * @typedef {object} Peer
 * @property {string} name
 * @property {(path: string) => Promise<void>} serve listens until the process is ended
 * @property {(path: string) => Promise<Session>} connect
 *
 * @typedef {object} Session
 * @property {Record<string, (until: number) => Promise<Count>>} workloads each runs until `performance.now()` reaches `until`
 * @property {() => Promise<number>} serverCpu microseconds of processor time the server has spent
 * @property {() => void | Promise<void>} close
 *
 * @typedef {{ count: number, bytes?: number }} Count
 */

/** @param {Peer} peer */
export async function run(peer) {
  const [role, address = "", workload = "", seconds = "2", warmup = "0.5"] = process.argv.slice(2);
  const path = address.replace(/^unix:/, "");
  if (role === "server") {
    await peer.serve(path);
    console.log(`listening ${address}`);
    return;
  }
  if (role !== "client")
    throw new Error("usage: PEER server|client unix:PATH [WORKLOAD [SECONDS [WARMUP]]]");
  const session = await peer.connect(path);
  const body = session.workloads[workload];
  if (body === undefined) throw new Error(`${peer.name} has no workload ${workload}`);
  await body(performance.now() + Number(warmup) * 1000);
  const cpuBefore = process.cpuUsage();
  const serverBefore = await session.serverCpu();
  const start = performance.now();
  const { count, bytes } = await body(start + Number(seconds) * 1000);
  const elapsed = (performance.now() - start) / 1000;
  const cpu = process.cpuUsage(cpuBefore);
  const serverCpu = (await session.serverCpu()) - serverBefore;
  console.log(
    JSON.stringify({
      peer: peer.name,
      workload,
      count,
      seconds: elapsed,
      perSecond: count / elapsed,
      ...(bytes === undefined ? {} : { bytesPerSecond: bytes / elapsed }),
      clientCpu: (cpu.user + cpu.system) / count,
      serverCpu: serverCpu / count,
    }),
  );
  await session.close();
  process.exit(0);
}

/**
 * Runs `once` with `width` of them waiting at any time.
 * @param {number} until
 * @param {number} width
 * @param {() => Promise<unknown>} once
 */
export async function keepOutstanding(until, width, once) {
  let count = 0;
  while (performance.now() < until) {
    const batch = [];
    for (let i = 0; i < width; i++) batch.push(once());
    await Promise.all(batch);
    count += width;
  }
  return { count };
}

/**
 * @param {number} until
 * @param {() => Promise<unknown>} once
 */
export async function oneByOne(until, once) {
  let count = 0;
  while (performance.now() < until) {
    for (let i = 0; i < 32; i++) await once();
    count += 32;
  }
  return { count };
}

/** @param {string} path @param {(socket: import("node:net").Socket) => void} accept */
export function listen(path, accept) {
  return new Promise((resolve) => {
    const server = createServer({ noDelay: true }, (socket) => {
      socket.on("error", () => {}); // a client that is done just goes
      accept(socket);
    });
    server.listen(path, () => resolve(undefined));
  });
}

/** @param {string} path @returns {Promise<import("node:net").Socket>} */
export function dial(path) {
  return new Promise((resolve, reject) => {
    const socket = createConnection(path, () => resolve(socket));
    socket.once("error", reject);
  });
}

/** Microseconds of processor time this process has spent. */
export function ownCpu() {
  const { user, system } = process.cpuUsage();
  return user + system;
}
