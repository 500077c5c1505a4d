// TCP and Unix sockets: the suite, the number of writes, and a peer that is stopped.

import { type ChildProcess, spawn } from "node:child_process";
import fs from "node:fs";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { once } from "node:events";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { dialSocket, movedSocket, type OwnedSocket } from "../../src/transport/read-into.node.js";
import { socketTransport, SocketTransport } from "../../src/transport/socket.node.js";
import type { TransportOptions } from "../../src/transport/transport.js";
import { Listener, listenTo, numbers, turn, Writer } from "../support/messages.js";
import { expectNoResidue, resources } from "../support/residue.js";
import { transportSuite, type TransportKind } from "../suites/transport.js";

type Where = { readonly at: net.ListenOptions; readonly dispose: () => void };

function tcp(): Where {
  return { at: { host: "127.0.0.1", port: 0 }, dispose: () => {} };
}

function unix(): Where {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "capstan-"));
  return {
    at: { path: path.join(folder, "s") },
    dispose: () => fs.rmSync(folder, { recursive: true }),
  };
}

interface Sockets {
  readonly client: net.Socket;
  readonly server: net.Socket;
  dispose(): void;
}

/** Two connected sockets. */
async function sockets(where: Where): Promise<Sockets> {
  const listener = net.createServer({ pauseOnConnect: true });
  listener.listen(where.at);
  await once(listener, "listening");
  const address = listener.address() as net.AddressInfo | string;
  const client =
    typeof address === "string"
      ? net.connect(address)
      : net.connect({ host: address.address, port: address.port });
  const [[server]] = await Promise.all([
    once(listener, "connection") as Promise<[net.Socket]>,
    once(client, "connect"),
  ]);
  listener.close();
  return { client, server, dispose: where.dispose };
}

/** @param accept how the server's side reads: by events, or into memory of ours. */
function kind(
  name: string,
  where: () => Where,
  accept: (socket: net.Socket) => OwnedSocket = (socket) => ({ socket, into: null }),
): TransportKind {
  return {
    name,
    stoppable: true,
    backlog: true,
    stream: true,
    halfClose: true,
    pair: async (options?: TransportOptions) => {
      const { client, server, dispose } = await sockets(where());
      return {
        a: socketTransport(`${name} client`, client, options),
        b: socketTransport(`${name} server`, server, options),
        dispose,
      };
    },
    raw: async (options?: TransportOptions) => {
      const { client, server, dispose } = await sockets(where());
      let received = 0;
      client.on("data", (chunk) => (received += chunk.length));
      client.on("error", () => {});
      return {
        transport: new SocketTransport(name, accept(server), options),
        send: (unit) => client.write(unit),
        end: () => client.end(),
        received: () => received,
        dispose: () => {
          client.destroySoon();
          dispose();
        },
      };
    },
  };
}

transportSuite(kind("tcp", tcp));
transportSuite(kind("unix", unix));

/** The same as `connect` and `listen` have them: both ends read into memory of ours. */
function readingKind(name: string, where: () => Where): TransportKind {
  return {
    ...kind(name, where, movedSocket),
    pair: async (options?: TransportOptions) => {
      const { near, accepted, dispose } = await dialed(where());
      return {
        a: new SocketTransport(`${name} client`, near, options),
        b: new SocketTransport(`${name} server`, movedSocket(accepted), options),
        dispose,
      };
    },
  };
}

/** A socket that was dialed to be read into our memory, and the one that a server accepted for it. */
async function dialed(where: Where): Promise<{
  near: ReturnType<typeof dialSocket>;
  accepted: net.Socket;
  listener: net.Server;
  dispose: () => void;
}> {
  const listener = net.createServer({ pauseOnConnect: true, allowHalfOpen: true });
  listener.listen(where.at);
  await once(listener, "listening");
  const address = listener.address() as net.AddressInfo | string;
  const near = dialSocket(
    typeof address === "string" ? { path: address } : { host: address.address, port: address.port },
  );
  const [[accepted]] = await Promise.all([
    once(listener, "connection") as Promise<[net.Socket]>,
    once(near.socket, "connect"),
  ]);
  listener.close();
  return { near, accepted, listener, dispose: where.dispose };
}

transportSuite(readingKind("tcp, read into our memory", tcp));
transportSuite(readingKind("unix, read into our memory", unix));

/** The two calls by which Node gives bytes to the kernel. */
interface Handle {
  writeBuffer(req: unknown, bytes: Uint8Array): number;
  writev(req: unknown, chunks: unknown[], allBuffers: boolean): number;
}

function countWrites(socket: net.Socket): { count: number; chunks: number } {
  const seen = { count: 0, chunks: 0 };
  const handle = (socket as unknown as { _handle: Handle })._handle;
  const { writeBuffer, writev } = handle;
  handle.writeBuffer = (...args) => {
    seen.count++;
    seen.chunks++;
    return writeBuffer.apply(handle, args);
  };
  handle.writev = (...args) => {
    seen.count++;
    seen.chunks += args[1].length;
    return writev.apply(handle, args);
  };
  return seen;
}

describe("a socket that reads into our memory", () => {
  let before: Map<string, number>;

  beforeEach(() => {
    before = resources();
  });

  afterEach(() => expectNoResidue(before));

  it("what it is given before it is started, it has then", async () => {
    const { near, accepted, dispose } = await dialed(unix());
    const b = new SocketTransport("b", movedSocket(accepted));
    b.start(new Listener());
    b.write(new Writer().batch([1, 2, 3]));
    await turn();
    await turn();
    const a = new SocketTransport("a", near);
    expect(a.receivedBytes).toBe(0);
    const seen = listenTo(a);
    await seen.messages(3);
    expect(seen.numbers).toEqual([1, 2, 3]);
    a.end();
    await seen.ended();
    dispose();
  });

  it("C-FRM-21: a large message is read to where it stays, and the next one elsewhere", async () => {
    const { near, accepted, dispose } = await dialed(unix());
    const a = new SocketTransport("a", near);
    const b = new SocketTransport("b", movedSocket(accepted));
    const kept: { bytes: Uint8Array; number: number; own: boolean }[] = [];
    const seen = new Listener();
    const { message } = Listener.prototype;
    seen.message = (frame) => {
      const [start, end] = [frame.segStart[0]!, frame.segEnd[0]!];
      kept.push({
        bytes: frame.bytes.subarray(start, end),
        number: frame.view.getInt32(start, true),
        own: frame.memory !== null,
      });
      message.call(seen, frame);
    };
    b.start(seen);
    a.start(new Listener());
    const bytes = 70_000;
    a.write(new Writer().batch(numbers(0, 40), bytes));
    await seen.messages(40);
    // All but those that a read of the shared buffer held whole, which none of this size is.
    expect(kept.map(({ own }) => own)).toEqual(kept.map(() => true));
    expect(new Set(kept.map((one) => one.bytes.buffer)).size).toBe(40);
    for (const { bytes: words, number } of kept) {
      const view = new DataView(words.buffer, words.byteOffset, words.byteLength);
      expect([view.getInt32(0, true), view.getInt32(words.length - 8, true)]).toEqual([
        number,
        number,
      ]);
    }
    a.end();
    await seen.ended();
    dispose();
  });

  it("small and large messages in any mixture arrive whole and in order", async () => {
    const { near, accepted, dispose } = await dialed(tcp());
    const a = new SocketTransport("a", near);
    const b = new SocketTransport("b", movedSocket(accepted));
    const seen = listenTo(b);
    a.start(new Listener());
    const sizes = [16, 70_000, 16, 64, 20_000, 300_000, 24, 16_384, 16_376, 65_536, 8000, 16];
    const sent: number[] = [];
    for (let round = 0; round < 20; round++)
      for (const [i, size] of sizes.entries()) {
        const number = round * sizes.length + i;
        a.write(new Writer().batch([number], size));
        sent.push(size);
        if (number % 7 === 0) await turn();
      }
    await seen.messages(sent.length);
    expect(seen.numbers).toEqual(numbers(0, sent.length));
    expect(seen.sizes).toEqual(sent);
    a.end();
    await seen.ended();
    dispose();
  });

  it("C-FRM-21: nothing is read any more after a handler threw, least of all into the message it threw at", async () => {
    const { near, accepted, dispose } = await dialed(unix());
    const a = new SocketTransport("a", near);
    const owned = movedSocket(accepted);
    const b = new SocketTransport("b", owned);
    const seen = [listenTo(a), new Listener()] as const;
    seen[1].onMessage = () => {
      throw new Error("mine");
    };
    b.start(seen[1]);
    // As Node does it: where what is thrown comes out is the process's own affair, and not for a test to change.
    const { buffer, callback } = owned.into!.onread;
    const bytes = new Writer().batch([1]).chunks[0]!;
    buffer().set(bytes);
    expect(() => callback(bytes.length, buffer())).toThrow("mine");
    expect(await seen[1].ended()).toMatchObject({ code: "internal-error" });
    await seen[0].ended();
    expect(seen[1].numbers).toEqual([1]);
    dispose();
  });

  it("a server's count of connections holds for those that moved", async () => {
    const { near, accepted, listener, dispose } = await dialed(unix());
    const count = (): Promise<number> =>
      new Promise((resolve) => {
        listener.getConnections((_error, n) => resolve(n));
      });
    const a = new SocketTransport("a", near);
    const b = new SocketTransport("b", movedSocket(accepted));
    const seen = [listenTo(a), listenTo(b)];
    expect(await count()).toBe(1);
    a.close();
    await Promise.all(seen.map((one) => one.ended()));
    await turn();
    expect(await count()).toBe(0);
    dispose();
  });

  it("where a socket cannot be moved it is read by its events", async () => {
    const { near, accepted, dispose } = await dialed(unix());
    const handle = (accepted as unknown as { _handle: { useUserBuffer?: unknown } })._handle;
    Object.defineProperty(handle, "useUserBuffer", { value: undefined });
    const owned = movedSocket(accepted);
    expect(owned).toEqual({ socket: accepted, into: null });
    const a = new SocketTransport("a", near);
    const b = new SocketTransport("b", owned);
    const seen = listenTo(b);
    a.start(new Listener());
    a.write(new Writer().batch([1, 2], 70_000));
    await seen.messages(2);
    a.end();
    await seen.ended();
    dispose();
  });
});

describe("socket", () => {
  let before: Map<string, number>;
  let children: ChildProcess[];

  beforeEach(() => {
    before = resources();
    children = [];
  });

  afterEach(async () => {
    for (const child of children) {
      child.kill("SIGKILL");
      if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
    }
    await expectNoResidue(before);
  });

  for (const [name, where] of [
    ["tcp", tcp],
    ["unix", unix],
  ] as const) {
    it(`C-FRM-17: ${name}: a turn's messages leave in one write, referenced ones in the same`, async () => {
      const { client, server, dispose } = await sockets(where());
      const writes = countWrites(client);
      const a = socketTransport("a", client);
      const b = socketTransport("b", server);
      const atA = listenTo(a);
      const atB = listenTo(b);
      const writer = new Writer();
      a.write(writer.batch(numbers(0, 500), 112));
      expect(writes).toEqual({ count: 1, chunks: 1 });
      for (let i = 0; i < 4; i++) {
        writer.add(500 + 2 * i, 112);
        writer.add(501 + 2 * i, 16_384);
      }
      a.write(writer.take());
      await atB.messages(508);
      expect(writes).toEqual({ count: 2, chunks: 9 });
      expect(atB.numbers).toEqual(numbers(0, 508));
      expect(a.bufferedBytes).toBe(0);
      expect(writer.unreleased).toBe(0);
      a.close();
      await Promise.all([atA.ended(), atB.ended()]);
      dispose();
    });

    it(`${name}: keeps a slab until the kernel has its bytes`, async () => {
      const { client, server, dispose } = await sockets(where());
      const a = socketTransport("a", client);
      const b = socketTransport("b", server);
      const atA = listenTo(a);
      const atB = listenTo(b);
      b.pause();
      const writer = new Writer();
      const count = 400;
      for (let i = 0; i < count; i++) a.write(writer.batch([i], 8192 - 8));
      for (let i = 0; i < count; i++) {
        writer.add(count + i, 16);
        writer.add(2 * count + i, 100_000);
        a.write(writer.take());
      }
      await turn();
      expect(writer.unreleased).toBeGreaterThan(100);
      b.resume();
      await atB.messages(3 * count);
      expect(writer.unreleased).toBe(0);
      b.close();
      await Promise.all([atA.ended(), atB.ended()]);
      dispose();
    });

    it(`C-FLO-20: ${name}: a small batch that waits for its peer to read keeps no slab, and counts for what it takes`, async () => {
      const { client, server, dispose } = await sockets(where());
      const a = socketTransport("a", client);
      const b = socketTransport("b", server);
      const atA = listenTo(a);
      const atB = listenTo(b);
      b.pause();
      const writer = new Writer();
      // More than the system holds.
      for (let i = 0; i < 200; i++) a.write(writer.batch([i], 100_000));
      await turn();
      const large = writer.unreleased;
      expect(large).toBeGreaterThan(0);
      const waiting = a.bufferedBytes;
      for (let i = 200; i < 1200; i++) a.write(writer.batch([i]));
      expect(writer.unreleased).toBe(large);
      expect(a.bufferedBytes - waiting).toBe(1000 * (24 + 1024));
      b.resume();
      await atB.messages(1200);
      expect(atB.numbers).toEqual(numbers(0, 1200));
      expect([writer.unreleased, a.bufferedBytes]).toEqual([0, 0]);
      b.close();
      await Promise.all([atA.ended(), atB.ended()]);
      dispose();
    });

    it(`C-DIS-08: ${name}: a broken connection is said with its cause, and releases what waits`, async () => {
      const { client, server, dispose } = await sockets(where());
      const a = socketTransport(`${name} peer`, client);
      const atA = listenTo(a);
      const writer = new Writer();
      server.on("error", () => {});
      for (let i = 0; i < 30; i++) a.write(writer.batch([i], 1_000_000));
      const room = a.whenWritable();
      await turn();
      if (name === "tcp") server.resetAndDestroy();
      else server.destroy();
      const error = await atA.ended();
      expect(error).toMatchObject({ type: "disconnected", code: "connection-lost" });
      expect(error!.message).toMatch(new RegExp(`^${name} peer: .*(ECONNRESET|EPIPE)`));
      expect(error!.cause).toBeInstanceOf(Error);
      await room;
      expect(writer.unreleased).toBe(0);
      dispose();
    });
  }

  it("small messages are not held back on either side, and the kernel probes an idle peer", async () => {
    const { client, server, dispose } = await sockets(tcp());
    const seen: [verb: string, ...rest: unknown[]][] = [];
    for (const socket of [client, server]) {
      const handle = (socket as unknown as { _handle: Record<string, Function> })._handle;
      for (const verb of ["setNoDelay", "setKeepAlive"]) {
        const set = handle[verb]!;
        handle[verb] = (...args: unknown[]) => {
          // A current Node gives the kernel's other two settings as well, left to it as undefined.
          seen.push([verb, ...args.filter((arg) => arg !== undefined)]);
          return set.apply(handle, args);
        };
      }
    }
    const a = socketTransport("a", client, { keepAliveInterval: 20_000 });
    const b = socketTransport("b", server, { keepAliveInterval: 0 });
    const [atA, atB] = [listenTo(a), listenTo(b)];
    expect(seen).toEqual([
      ["setNoDelay", true],
      ["setKeepAlive", true, 20],
      ["setNoDelay", true],
    ]);
    a.close();
    await Promise.all([atA.ended(), atB.ended()]);
    dispose();
  });

  it("a peer that ends but never reads is given up after the grace", async () => {
    const { client, server, dispose } = await sockets(tcp());
    const a = socketTransport("a", client, { grace: 50 });
    const atA = listenTo(a);
    const writer = new Writer();
    for (let i = 0; i < 30; i++) a.write(writer.batch([i], 1_000_000));
    server.end();
    expect(await atA.ended()).toBeNull();
    expect(writer.unreleased).toBe(0);
    server.destroy();
    dispose();
  });

  /** A process that accepts one connection on a Unix socket, says so, and reads it. */
  async function reader(file: string): Promise<ChildProcess> {
    const script = `require("net").createServer((s) => { s.on("error", () => {}); s.resume(); console.log("in"); })
      .listen(${JSON.stringify(file)}, () => console.log("up"));`;
    const child = spawn(process.execPath, ["-e", script], { stdio: ["ignore", "pipe", "inherit"] });
    children.push(child);
    await once(child.stdout!, "data");
    return child;
  }

  it("C-LIF-28: a stopped process that takes no more bytes is reported within peerTimeout", async () => {
    const { at, dispose } = unix();
    const child = await reader(at.path!);
    const socket = net.connect(at.path!);
    await once(child.stdout!, "data");
    const a = socketTransport("unix peer", socket, { peerTimeout: 1200 });
    const atA = listenTo(a);
    const writer = new Writer();
    // While it lives, written bytes are taken, and a quiet connection is not a dead one.
    for (let i = 0; i < 3; i++) {
      a.write(writer.batch([i], 1_000_000));
      await a.whenWritable();
      await new Promise((resolve) => setTimeout(resolve, 1400));
    }
    expect(atA.log).toEqual([]);
    process.kill(child.pid!, "SIGSTOP");
    const stopped = performance.now();
    for (let i = 0; i < 5; i++) a.write(writer.batch([i], 1_000_000));
    const error = await atA.ended();
    const took = performance.now() - stopped;
    expect(error).toMatchObject({ type: "disconnected", code: "peer-unresponsive" });
    expect(took).toBeGreaterThan(500);
    expect(took).toBeLessThan(5000);
    expect(writer.unreleased).toBe(0);
    dispose();
  });
});
