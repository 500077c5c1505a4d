// WebSocket: the suite on `ws` with and without the batch subprotocol and on a browser's kind of socket, what a frame may
// hold, pings, the payload limit.

import { once } from "node:events";
import http from "node:http";
import type net from "node:net";
import { Duplex } from "node:stream";
import { describe, expect, it } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { limitsWith } from "../../src/base/limits.js";
import { FrameKind, writeFrame } from "../../src/transport/websocket-frame.node.js";
import { maxPayload, NodeWebSocketTransport } from "../../src/transport/websocket.node.js";
import {
  type Transport,
  transportSettings,
  type TransportOptions,
} from "../../src/transport/transport.js";
import {
  BATCH_PROTOCOL,
  type WebSocketLike,
  WebSocketTransport,
} from "../../src/transport/websocket.js";
import { listenTo, numberOf, numbers, turn, Writer, until } from "../support/messages.js";
import { cleaningUp, resources } from "../support/residue.js";
import { frameBytes, transportSuite, type TransportKind } from "../suites/transport.js";

interface Ends<C> {
  readonly client: C;
  readonly serverSide: Transport;
  readonly stream: net.Socket;
  readonly sent: { frames: number };
  dispose(): Promise<void>;
}

/**
 * A server for one WebSocket, and a client made by `connect`, which must not wait before it listens.
 * @param before is shown the connection of the server's side before the transport is.
 */
async function connected<C>(
  protocol: string | undefined,
  options: TransportOptions | undefined,
  connect: (ws: WebSocket, stream: net.Socket) => C,
  before: (stream: net.Socket) => void = () => {},
): Promise<Ends<C>> {
  const server = http.createServer();
  const wss = new WebSocketServer({
    server,
    maxPayload: maxPayload(transportSettings(options)),
    perMessageDeflate: false,
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as net.AddressInfo;
  const ws = new WebSocket(`ws://127.0.0.1:${port}`, protocol === undefined ? [] : [protocol], {
    perMessageDeflate: false,
  });
  let stream!: net.Socket;
  ws.on("upgrade", (response) => (stream = response.socket));
  const opened = new Promise<C>((resolve) => {
    ws.on("open", () => resolve(connect(ws, stream)));
  });
  const serverSide = new Promise<Transport>((resolve) => {
    wss.on("connection", (ws, request) => {
      before(request.socket);
      resolve(new NodeWebSocketTransport("ws server", ws, request.socket, options));
    });
  });
  const client = await opened;
  const result = {
    client,
    serverSide: await serverSide,
    stream,
    sent: { frames: 0 },
    dispose: async () => {
      wss.close();
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
  wss.on("connection", () => {});
  return result;
}

function kind(
  name: string,
  protocol: string | undefined,
  stoppable: boolean,
  make: (ws: WebSocket, stream: net.Socket, options?: TransportOptions) => Transport,
  before?: (stream: net.Socket) => void,
): TransportKind {
  return {
    name,
    stoppable,
    backlog: stoppable,
    stream: false,
    halfClose: false,
    pair: async (options) => {
      const connect = (ws: WebSocket, stream: net.Socket): Transport => make(ws, stream, options);
      const ends = await connected(protocol, options, connect, before);
      return { a: ends.serverSide, b: ends.client, dispose: ends.dispose };
    },
    raw: async (options) => {
      let received = 0;
      const connect = (ws: WebSocket): WebSocket => {
        ws.on("message", (data: Buffer) => (received += data.length));
        ws.on("error", () => {});
        return ws;
      };
      const ends = await connected(protocol, options, connect, before);
      return {
        transport: ends.serverSide,
        send: (unit) => ends.client.send(unit),
        end: () => ends.client.close(),
        received: () => received,
        dispose: async () => {
          ends.client.terminate();
          await ends.dispose();
        },
      };
    },
  };
}

const node = (ws: WebSocket, stream: net.Socket, options?: TransportOptions): Transport =>
  new NodeWebSocketTransport("ws client", ws, stream, options);

/** As with TLS, or where Node has changed: the connection cannot move to a socket that reads into memory of ours. */
function unmovable(stream: net.Socket): void {
  (stream as unknown as { _handle: { useUserBuffer: unknown } })._handle.useUserBuffer = undefined;
}

/** The same socket seen through what a browser has: no pause, no callbacks, no terminate. */
function browserLike(ws: WebSocket): WebSocketLike {
  const hidden = {
    get readyState() {
      return ws.readyState;
    },
    get bufferedAmount() {
      return ws.bufferedAmount;
    },
    get protocol() {
      return ws.protocol;
    },
    get binaryType() {
      return ws.binaryType;
    },
    set binaryType(type: string) {
      ws.binaryType = type as "arraybuffer";
    },
    // A browser copies what it is given.
    send: (data: Uint8Array) => {
      if (ws.readyState === ws.OPEN) ws.send(data.slice());
    },
    close: (code?: number, reason?: string) => ws.close(code, reason),
    addEventListener: (type: string, listener: (event: never) => void) =>
      ws.addEventListener(type as "message", listener as never),
    removeEventListener: (type: string, listener: (event: never) => void) =>
      ws.removeEventListener(type as "message", listener as never),
  };
  return hidden;
}

transportSuite(kind("websocket", undefined, true, node));
transportSuite(kind("websocket, batch", BATCH_PROTOCOL, true, node));
transportSuite(
  kind(
    "websocket, read by events",
    BATCH_PROTOCOL,
    true,
    (ws, stream, options) => {
      unmovable(stream);
      return node(ws, stream, options);
    },
    unmovable,
  ),
);
transportSuite(
  kind("websocket of a browser", BATCH_PROTOCOL, false, (ws, _stream, options) => {
    return new WebSocketTransport("browser", browserLike(ws), options);
  }),
);

describe("websocket", () => {
  const cleanup = cleaningUp();

  async function raw(protocol?: string, options?: TransportOptions) {
    const frames: Buffer[] = [];
    const ends = await connected(protocol, options, (ws) => {
      ws.on("message", (data: Buffer) => frames.push(data));
      ws.on("error", () => {});
      return ws;
    });
    cleanup(async () => {
      ends.serverSide.close();
      ends.client.terminate();
      await ends.dispose();
    });
    return { ws: ends.client, transport: ends.serverSide, frames, stream: ends.stream };
  }

  it("C-FRM-19: one message per frame, unless the batch subprotocol was agreed", async () => {
    const writer = new Writer();
    const plain = await raw();
    listenTo(plain.transport);
    expect(plain.transport.batching).toBe(false);
    writer.add(1, 16);
    writer.add(2, 16_384);
    writer.add(3, 24);
    plain.transport.write(writer.take());
    await until(() => plain.frames.length >= 3);
    expect(plain.frames.map((frame) => frame.length)).toEqual([24, 16_392, 32]);
    expect(plain.frames[1]!.equals(frameBytes(2, 16_384))).toBe(true);

    const batch = await raw(BATCH_PROTOCOL);
    listenTo(batch.transport);
    expect(batch.transport.batching).toBe(true);
    batch.transport.write(writer.batch(numbers(0, 500), 112));
    await until(() => batch.frames.length >= 1);
    await turn();
    expect(batch.frames.map((frame) => frame.length)).toEqual([60_000]);
  });

  it("a frame of many messages stays under a mebibyte, a large message goes alone", async () => {
    const { transport, frames } = await raw(BATCH_PROTOCOL);
    listenTo(transport);
    const writer = new Writer();
    for (let i = 0; i < 110; i++) writer.add(i, 10_000);
    writer.add(110, 20_000);
    writer.add(111, 2_000_000);
    writer.add(112, 16);
    writer.add(113, 16);
    transport.write(writer.take());
    await until(() => frames.length >= 5);
    const lengths = frames.map((frame) => frame.length);
    expect(lengths).toEqual([104 * 10_008, 6 * 10_008, 20_008, 2_000_008, 48]);
  });

  it("frames of every length reach a peer whole and masked as they must be, in both directions", async () => {
    // Around what one, three and nine bytes of length say, and what is put together in one buffer or another.
    const sizes = [
      16, 104, 112, 120, 4080, 4088, 65_512, 65_520, 65_528, 131_040, 131_064, 300_000,
    ];
    const { ws, transport, frames } = await raw();
    listenTo(transport);
    const writer = new Writer();
    sizes.forEach((size, i) => writer.add(i, size));
    transport.write(writer.take());
    await until(() => frames.length >= sizes.length);
    frames.forEach((frame, i) => expect(frame.equals(frameBytes(i, sizes[i]!))).toBe(true));
    expect(frames).toHaveLength(sizes.length);
    // A ping of the package's goes between them.
    const client = await connected(undefined, undefined, node);
    cleanup(async () => {
      client.client.close();
      client.serverSide.close();
      await client.dispose();
    });
    listenTo(client.client);
    const listener = listenTo(client.serverSide);
    sizes.forEach((size, i) => writer.add(i, size));
    client.client.write(writer.take());
    (client.client as NodeWebSocketTransport).probe();
    writer.add(99, 16);
    client.client.write(writer.take());
    await until(() => listener.log.length > sizes.length);
    expect(listener.log).toEqual([...sizes.map((_, i) => `message ${i}`), "message 99"]);
    expect(listener.faults).toEqual([]);
    expect(ws.readyState).toBe(ws.OPEN);
  });

  for (const protocol of [undefined, BATCH_PROTOCOL]) {
    const how = protocol === undefined ? "plain" : "batch";
    it(`C-FRM-17: ${how}: all frames of a turn leave in one write`, async () => {
      const { transport, frames } = await raw(protocol);
      listenTo(transport);
      const { stream } = transport as unknown as { stream: net.Socket };
      const seen = { writes: 0, chunks: 0 };
      const handle = (stream as unknown as { _handle: Record<string, Function> })._handle;
      for (const verb of ["writev", "writeBuffer", "writeLatin1String", "writeUtf8String"]) {
        const write = handle[verb]!;
        handle[verb] = (...args: unknown[]) => {
          seen.writes++;
          return write.apply(handle, args);
        };
      }
      transport.write(new Writer().batch(numbers(0, 100), 112));
      await until(() => frames.length >= (protocol === undefined ? 100 : 1));
      expect(seen.writes).toBe(1);
    });
  }

  it("C-FLO-20: a small batch that waits for its peer to read keeps no slab, and counts for what it takes", async () => {
    const { ws, transport, frames } = await raw(BATCH_PROTOCOL);
    listenTo(transport);
    ws.pause();
    const writer = new Writer();
    // More than the system holds.
    for (let i = 0; i < 200; i++) transport.write(writer.batch([i], 100_000));
    await turn();
    const large = writer.unreleased;
    expect(large).toBeGreaterThan(0);
    const waiting = transport.bufferedBytes;
    for (let i = 200; i < 1200; i++) transport.write(writer.batch([i]));
    expect(writer.unreleased).toBe(large);
    expect(transport.bufferedBytes - waiting).toBe(1000 * (24 + 1024));
    ws.resume();
    await until(() => frames.length >= 1200);
    expect(frames[1199]!.equals(frameBytes(1199, 16))).toBe(true);
    expect([writer.unreleased, transport.bufferedBytes]).toEqual([0, 0]);
  });

  it("a frame of some kilobytes that waits holds its own bytes, not the buffer of a large one", () => {
    const written: Buffer[] = [];
    let next = (): void => {};
    const stuck = new Duplex({
      write: (chunk: Buffer, _encoding, done) => {
        written.push(chunk);
        next = done;
      },
    });
    const frame = new Uint8Array(5000);
    for (let i = 0; i < 3; i++)
      writeFrame(stuck, FrameKind.binary, [frame], frame.length, true, undefined);
    for (let i = 0; i < 3; i++) next();
    const [, second, third] = written.map(({ buffer }) => buffer.byteLength);
    expect([second, third]).toEqual([5016, 5016]);
    stuck.destroy();
  });

  it("C-FRM-19: a text frame, trailing bytes and half a message are faults", async () => {
    const text = await raw();
    const one = listenTo(text.transport);
    text.ws.send(frameBytes(1));
    text.ws.send("hello");
    await one.faulted();
    expect(one.log).toEqual(["message 1", "fault"]);
    expect(one.faults[0]).toMatchObject({ type: "failed", code: "malformed-frame" });
    expect(one.faults[0]!.message).toContain("text");

    const trailing = await raw();
    const two = listenTo(trailing.transport);
    trailing.ws.send(Buffer.concat([frameBytes(1), frameBytes(2)]));
    await two.faulted();
    expect(two.log).toEqual(["fault"]);

    const half = await raw(BATCH_PROTOCOL);
    const three = listenTo(half.transport);
    half.ws.send(Buffer.concat([frameBytes(1), frameBytes(2).subarray(0, 16)]));
    await three.faulted();
    expect(three.log).toEqual(["message 1", "fault"]);

    const empty = await raw(BATCH_PROTOCOL);
    const four = listenTo(empty.transport);
    empty.ws.send(new Uint8Array(0));
    await four.faulted();
    expect(four.log).toEqual(["fault"]);
  });

  it("memory is a message's own only where no other message is in it", async () => {
    const { ws, transport } = await raw(BATCH_PROTOCOL);
    const own: boolean[] = [];
    const seenNumbers: number[] = [];
    transport.start({
      message: (frame) => {
        own.push(frame.memory !== null);
        seenNumbers.push(numberOf(frame));
      },
      fault: (error) => expect.fail(String(error)),
      closed: () => {},
    });
    const seen = async (count: number): Promise<boolean[]> => {
      await until(() => own.length >= count);
      return own.splice(0);
    };
    ws.send(frameBytes(1, 200_000));
    expect(await seen(1)).toEqual([true]);
    ws.send(Buffer.concat([frameBytes(2, 100_000), frameBytes(3, 100_000)]));
    expect(await seen(2)).toEqual([false, false]);
    ws.send(frameBytes(4));
    expect(await seen(1)).toEqual([false]);
    expect(seenNumbers).toEqual([1, 2, 3, 4]);
  });

  it("a frame over the payload limit ends the connection before it is read", async () => {
    const limits = limitsWith({ messageWords: 1000, segments: 4 });
    expect(maxPayload(transportSettings({ limits }))).toBe(1024 * 1024);
    const { ws, transport } = await raw(undefined, { limits });
    const listener = listenTo(transport);
    ws.send(new Uint8Array(1024 * 1024 + 8));
    expect(await listener.ended()).toMatchObject({ type: "failed", code: "malformed-frame" });
  });

  it("a close that is not orderly is a lost connection with its code and reason", async () => {
    const failed = await raw();
    const one = listenTo(failed.transport);
    failed.ws.close(1011, "no room");
    const error = await one.ended();
    expect(error).toMatchObject({ type: "disconnected", code: "connection-lost" });
    expect(error!.message).toContain("1011: no room");

    const cut = await raw();
    const two = listenTo(cut.transport);
    cut.ws.terminate();
    expect(await two.ended()).toMatchObject({ code: "connection-lost" });

    const away = await raw();
    const three = listenTo(away.transport);
    away.ws.close(1001);
    expect(await three.ended()).toBeNull();
  });

  it("C-LIF-28: a peer that answers no ping is reported within peerTimeout", async () => {
    const { ws, transport, stream } = await raw(undefined, { peerTimeout: 450 });
    const listener = listenTo(transport);
    let pings = 0;
    ws.on("ping", () => pings++);
    await until(() => pings > 3);
    expect(listener.log).toEqual([]);
    stream.pause();
    const stopped = performance.now();
    expect(await listener.ended()).toMatchObject({ code: "peer-unresponsive" });
    const took = performance.now() - stopped;
    // Two thirds of it since the last sign of life, which may have come a third before; a busy machine may add some.
    expect(took).toBeGreaterThan(140);
    expect(took).toBeLessThan(5000);
    stream.resume();
  });

  it("C-LIF-28: while this side reads nothing, that nothing comes says nothing of the peer", async () => {
    const { ws, transport } = await raw(undefined, { peerTimeout: 150 });
    const listener = listenTo(transport);
    ws.send(frameBytes(1));
    await listener.messages(1);
    transport.pause();
    // So much that the pongs behind it stay in the system's hands.
    for (let i = 0; i < 8; i++) ws.send(frameBytes(2 + i, 1024 * 1024));
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(listener.ends).toEqual([]);
    transport.resume();
    await listener.messages(9);
    expect(listener.ends).toEqual([]);
    ws.close(1000);
    expect(await listener.ended()).toBeNull();
  });

  it("C-LIF-28: any byte is a sign of life, a pong that is held up behind it is no death", async () => {
    const { ws, transport } = await raw(undefined, { peerTimeout: 300 });
    const listener = listenTo(transport);
    // A peer that never answers pings, but sends one large message slowly.
    ws.on("ping", () => {});
    (ws as unknown as { _autoPong: boolean })._autoPong = false;
    for (let i = 0; i < 10; i++) {
      ws.send(frameBytes(i));
      await new Promise((resolve) => setTimeout(resolve, 80));
    }
    expect(listener.ends).toEqual([]);
    expect(await listener.ended()).toMatchObject({ code: "peer-unresponsive" });
  });

  it("a WebSocket with compression is refused at once: no frame would be understood", async () => {
    const server = new WebSocketServer({ port: 0, host: "127.0.0.1", perMessageDeflate: true });
    await once(server, "listening");
    const { port } = server.address() as net.AddressInfo;
    const ws = new WebSocket(`ws://127.0.0.1:${port}`);
    let stream!: net.Socket;
    ws.on("upgrade", (response) => (stream = response.socket));
    await once(ws, "open");
    expect(() => node(ws, stream)).toThrow(/perMessageDeflate: false/);
    ws.terminate();
    server.close();
    await once(server, "close");
  });

  it("keepAliveInterval 0 sends no ping and reports nobody", async () => {
    const { ws, transport } = await raw(undefined, { peerTimeout: 50, keepAliveInterval: 0 });
    const listener = listenTo(transport);
    let pings = 0;
    ws.on("ping", () => pings++);
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect([listener.log.length, pings]).toEqual([0, 0]);
  });

  it("the option batch says what was agreed on where the socket does not, or says otherwise", () => {
    const agreed = (protocol: string, batch?: boolean): boolean => {
      const socket = {
        readyState: 1,
        bufferedAmount: 0,
        binaryType: "",
        protocol,
        send: () => {},
        close: () => {},
        addEventListener: () => {},
        removeEventListener: () => {},
      };
      return new WebSocketTransport("fake", socket, { batch }).batching;
    };
    expect([agreed(""), agreed("", true), agreed("", false)]).toEqual([false, true, false]);
    expect(agreed("capnp-rpc.batch")).toBe(true);
    expect(agreed("capnp-rpc.batch", false)).toBe(false);
  });

  it("bufferedAmount is polled only while somebody waits for room", async () => {
    let amount = 5000;
    const port = {
      readyState: 1,
      protocol: "",
      binaryType: "",
      get bufferedAmount() {
        return amount;
      },
      send: () => {},
      close: () => {},
      addEventListener: () => {},
      removeEventListener: () => {},
    };
    const transport = new WebSocketTransport("fake", port, {
      limits: limitsWith({ outgoingBytes: 1000 }),
    });
    listenTo(transport);
    const timers = (): number => resources().get("Timeout") ?? 0;
    const idle = timers();
    transport.write(new Writer().batch([1]));
    expect(timers()).toBe(idle);
    const rooms = [transport.whenWritable(), transport.whenWritable()];
    expect(timers()).toBe(idle + 1);
    await turn();
    amount = 1000;
    await Promise.all(rooms);
    expect(timers()).toBe(idle);
    amount = 1001;
    const last = transport.whenWritable();
    transport.close();
    await last;
    await turn();
    expect(timers()).toBe(idle);
  });
});
