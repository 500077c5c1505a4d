// What every JavaScript peer of the benchmark shares: its command line, the clock, the line of figures it prints.
// The C++ peer (interop/cxx/bench.c++) takes the same arguments and prints the same line.

import { createConnection, createServer, type Socket } from "node:net";

/** Calls kept waiting by the workload `outstanding`. */
export const OUTSTANDING = 1000;
export const LARGE = 64 * 1024;
export const SMALL = 256;

export interface Count {
  count: number;
  bytes?: number;
}

export interface Session {
  /** Each runs until `performance.now()` reaches `until`. */
  workloads: Record<string, (until: number) => Promise<Count>>;
  /** Microseconds of processor time the server has spent. */
  serverCpu(): Promise<number>;
  close(): unknown;
}

export interface Peer {
  name: string;
  /** Listens until the process is ended. @returns where, when that is not the path it was given. */
  serve(path: string): Promise<string | void>;
  /** @param where the path, or what `serve` returned. */
  connect(where: string): Promise<Session>;
}

/** Runs one role of a peer, as the command line says. */
export async function run(peer: Peer): Promise<void> {
  const [role, address = "", workload = "", seconds = "2", warmup = "0.5"] = process.argv.slice(2);
  const path = address.replace(/^unix:/, "");
  if (role === "server") {
    const where = await peer.serve(path);
    console.log(`listening ${where ?? address}`);
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

/** Runs `once` with `width` of them waiting at any time. */
export async function keepOutstanding(
  until: number,
  width: number,
  once: () => Promise<unknown>,
): Promise<Count> {
  let count = 0;
  while (performance.now() < until) {
    const batch = [];
    for (let i = 0; i < width; i++) batch.push(once());
    await Promise.all(batch);
    count += width;
  }
  return { count };
}

/** Runs `once` again and again, `width` at any time: each that ends is followed by another. */
export async function keepBusy(
  until: number,
  width: number,
  once: () => Promise<unknown>,
): Promise<Count> {
  let count = 0;
  const lane = async (): Promise<void> => {
    while (performance.now() < until) {
      await once();
      count++;
    }
  };
  await Promise.all(Array.from({ length: width }, lane));
  return { count };
}

/** Runs `once` again and again. */
export async function oneByOne(until: number, once: () => Promise<unknown>): Promise<Count> {
  let count = 0;
  while (performance.now() < until) {
    for (let i = 0; i < 32; i++) await once();
    count += 32;
  }
  return { count };
}

/** What the objects of the benchmark with streams have, over stubs of any kind. */
export interface Streams {
  upload(): PromiseLike<WritableStream<Uint8Array>>;
  /** Bytes written to the last upload, once it is closed. */
  uploaded(): PromiseLike<number>;
  download(size: number): PromiseLike<ReadableStream<Uint8Array>>;
}

/** Byte chunks through a stub's streams: whoever writes awaits each write, whoever reads awaits each read. */
export function streamWorkloads(root: Streams): Session["workloads"] {
  return {
    "write-64k": (until) => upload(root, LARGE, until),
    "write-256": (until) => upload(root, SMALL, until),
    "read-64k": (until) => download(root, LARGE, until),
    "read-256": (until) => download(root, SMALL, until),
  };
}

async function upload(root: Streams, size: number, until: number): Promise<Count> {
  const data = new Uint8Array(size).fill(7);
  const writer = (await root.upload()).getWriter();
  let count = 0;
  while (performance.now() < until)
    for (let i = 0; i < 64; i++) {
      await writer.write(data);
      count++;
    }
  await writer.close();
  const bytes = await root.uploaded();
  if (bytes !== count * size) throw new Error(`${bytes} bytes arrived`);
  return { count, bytes };
}

async function download(root: Streams, size: number, until: number): Promise<Count> {
  const reader = (await root.download(size)).getReader();
  let bytes = 0;
  while (performance.now() < until)
    for (let i = 0; i < 64; i++) {
      const { done, value } = await reader.read();
      if (done) throw new Error("the stream has ended");
      bytes += value.length;
    }
  await reader.cancel();
  return { count: bytes / size, bytes };
}

/** Counts what is written to it. @param closed told how many bytes that were. */
export function sinkStream(closed: (bytes: number) => void): WritableStream<Uint8Array> {
  let bytes = 0;
  return new WritableStream<Uint8Array>({
    write(chunk) {
      bytes += chunk.length;
    },
    close: () => closed(bytes),
  });
}

/** Chunks of `size` bytes without an end. */
export function sourceStream(size: number): ReadableStream<Uint8Array> {
  const data = new Uint8Array(size).fill(7);
  return new ReadableStream<Uint8Array>({ pull: (controller) => controller.enqueue(data) });
}

export function listen(path: string, accept: (socket: Socket) => void): Promise<void> {
  return new Promise((resolve) => {
    const server = createServer({ noDelay: true }, (socket) => {
      socket.on("error", () => {}); // a client that is done just goes
      accept(socket);
    });
    server.listen(path, () => resolve());
  });
}

export function dial(path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(path, () => resolve(socket));
    socket.once("error", reject);
  });
}

/** Microseconds of processor time this process has spent. */
export function ownCpu(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}
