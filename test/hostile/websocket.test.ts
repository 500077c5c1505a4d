// A peer at the other end of a WebSocket that writes its frames by hand: each broken rule ends its connection with the code for
// it, and nothing it does fills the memory.

import { once } from "node:events";
import net from "node:net";
import type { Duplex } from "node:stream";
import { describe, expect, it } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { limitsWith } from "../../src/base/limits.js";
import type { TransportOptions } from "../../src/transport/transport.js";
import { NodeWebSocketTransport } from "../../src/transport/websocket.node.js";
import { listenTo, numbers, turn } from "../support/messages.js";
import { cleaningUp } from "../support/residue.js";
import {
  bareClient,
  type BarePeer,
  bareServer,
  closing,
  KEY,
  readFrames,
  wsFrame,
} from "../support/websocket-frames.js";
import { frameBytes } from "../suites/transport.js";

const cleanup = cleaningUp();

interface Victim {
  readonly transport: NodeWebSocketTransport;
  readonly peer: BarePeer;
  /** The peer's mask: a client has one. */
  readonly key: readonly number[] | undefined;
}

/** A server of ours whose client writes by hand. */
async function asServer(options?: TransportOptions, early?: Uint8Array): Promise<Victim> {
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1", perMessageDeflate: false });
  await once(server, "listening");
  // In the event itself: what came with the handshake is handed on by `ws` in the next tick.
  const opened = new Promise<NodeWebSocketTransport>((resolve) => {
    server.on("connection", (ws, request) =>
      resolve(new NodeWebSocketTransport("victim", ws, request.socket, options)),
    );
  });
  const { port } = server.address() as net.AddressInfo;
  const peer = await bareClient(port, early);
  const transport = await opened;
  cleanup(async () => {
    transport.close();
    peer.socket.destroy();
    server.close();
    await once(server, "close");
  });
  return { transport, peer, key: KEY };
}

/** A client of ours whose server writes by hand. */
async function asClient(options?: TransportOptions, early?: Uint8Array): Promise<Victim> {
  const server = net.createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as net.AddressInfo;
  const answered = bareServer(server, early);
  const ws = new WebSocket(`ws://127.0.0.1:${port}`, { perMessageDeflate: false });
  let stream!: Duplex;
  ws.on("upgrade", (response) => (stream = response.socket));
  const transport = await new Promise<NodeWebSocketTransport>((resolve) => {
    ws.on("open", () => resolve(new NodeWebSocketTransport("victim", ws, stream, options)));
  });
  const peer = await answered;
  cleanup(async () => {
    transport.close();
    peer.socket.destroy();
    server.close();
    await once(server, "close");
  });
  return { transport, peer, key: undefined };
}

/** Waits until the peer has a close frame. @returns its payload. */
async function closeFrame(peer: BarePeer): Promise<Buffer> {
  for (let i = 0; i < 500; i++) {
    const found = readFrames(peer.received()).find(({ opcode }) => opcode === 8);
    if (found !== undefined) return found.payload;
    await turn();
  }
  throw new Error("no close frame came");
}

const FAULTS: [string, number, (key: readonly number[] | undefined) => Uint8Array][] = [
  ...[1, 2, 4].map((rsv): (typeof FAULTS)[number] => [
    `reserved bit ${rsv}, also that of compression, which was not agreed on`,
    1002,
    (key) => wsFrame({ rsv, key, payload: frameBytes(2) }),
  ]),
  ["opcode 3", 1002, (key) => wsFrame({ opcode: 3, key })],
  ["opcode 11", 1002, (key) => wsFrame({ opcode: 11, key })],
  ["a mask where none belongs, or none", 1002, (key) => wsFrame({ key: key ? undefined : KEY })],
  ["a ping in fragments", 1002, (key) => wsFrame({ opcode: 9, fin: false, key })],
  [
    "a pong of 126 bytes",
    1002,
    (key) => wsFrame({ opcode: 10, payload: new Uint8Array(126), key }),
  ],
  ["a close of one byte", 1002, (key) => wsFrame({ opcode: 8, payload: new Uint8Array(1), key })],
  [
    "a close with a code that none may send",
    1002,
    (key) => wsFrame({ opcode: 8, payload: closing(1006), key }),
  ],
  [
    "a close whose reason is not UTF-8",
    1007,
    (key) => wsFrame({ opcode: 8, payload: closing(1000, Uint8Array.of(0xff)), key }),
  ],
  ["a continuation of nothing", 1002, (key) => wsFrame({ opcode: 0, key })],
  [
    "a message inside another",
    1002,
    (key) => Buffer.concat([wsFrame({ fin: false, key }), wsFrame({ key })]),
  ],
  ["a length of 2^63", 1009, (key) => wsFrame({ says: 2n ** 63n, key })],
  ["a length over the limit", 1009, (key) => wsFrame({ says: 2n ** 27n, key })],
];

for (const [side, open] of [
  ["client's", asServer],
  ["server's", asClient],
] as const)
  describe(`C-HOS-01: a ${side} bad WebSocket frame ends its connection, with the code for it`, () => {
    for (const [what, code, frame] of FAULTS)
      it(what, async () => {
        const { transport, peer, key } = await open({ grace: 200 });
        const listener = listenTo(transport);
        peer.socket.write(wsFrame({ payload: frameBytes(1), key }));
        peer.socket.write(frame(key));
        // Behind it nothing counts, and the peer does not close: it is not waited for.
        peer.socket.write(wsFrame({ payload: frameBytes(3), key }));
        const gone = once(peer.socket, "close");
        expect((await closeFrame(peer)).readUInt16BE(0)).toBe(code);
        expect(await listener.ended()).toMatchObject({ type: "failed", code: "malformed-frame" });
        expect(listener.log).toEqual(["message 1", "closed"]);
        await gone;
      });

    it("frames in fragments, with pings between and byte by byte, are the messages they are", async () => {
      const { transport, peer, key } = await open();
      const listener = listenTo(transport);
      const large = frameBytes(2, 100_000);
      const bytes = Buffer.concat([
        wsFrame({ payload: frameBytes(1), key }),
        wsFrame({ fin: false, payload: large.subarray(0, 30_001), key }),
        wsFrame({ opcode: 9, payload: Buffer.from("are you there"), key }),
        wsFrame({ opcode: 0, fin: false, key }),
        wsFrame({ opcode: 10, payload: Buffer.from("nobody asked"), key }),
        wsFrame({ opcode: 0, payload: large.subarray(30_001), key }),
      ]);
      peer.socket.write(bytes);
      const small = wsFrame({ payload: frameBytes(3, 200), key });
      for (const byte of small) {
        peer.socket.write(Uint8Array.of(byte));
        await turn();
      }
      await listener.messages(3);
      expect(listener.log).toEqual(["message 1", "message 2", "message 3"]);
      expect(listener.sizes).toEqual([16, 100_000, 200]);
      expect(transport.receivedBytes).toBe(bytes.length + small.length);
      const pongs = readFrames(peer.received()).map(
        ({ opcode, payload }) => `${opcode} ${payload.toString()}`,
      );
      expect(pongs).toEqual(["10 are you there"]);
    });

    it("what comes in one packet with the handshake is not lost", async () => {
      const early = Buffer.concat(
        [1, 2].map((n) =>
          wsFrame({ payload: frameBytes(n), key: open === asServer ? KEY : undefined }),
        ),
      );
      const { transport } = await open(undefined, early);
      for (let i = 0; i < 3; i++) await turn();
      const listener = listenTo(transport);
      await listener.messages(2);
      expect(listener.log).toEqual(["message 1", "message 2"]);
    });

    it("C-FLO-20: pings whose pongs are not read do not fill the memory", async () => {
      const { transport, peer, key } = await open();
      const listener = listenTo(transport);
      const { stream } = transport as unknown as { stream: Duplex };
      peer.socket.pause();
      const pings = Buffer.concat(
        Array.from({ length: 10_000 }, () =>
          wsFrame({ opcode: 9, payload: new Uint8Array(125), key }),
        ),
      );
      // Until the system takes no more, and then as much again.
      let most = 0;
      for (let i = 0; i < 20; i++) {
        peer.socket.write(pings);
        peer.socket.write(wsFrame({ payload: frameBytes(i), key }));
        await listener.messages(i + 1);
        most = Math.max(most, stream.writableLength);
      }
      expect(listener.numbers).toEqual(numbers(0, 20));
      expect(most).toBeLessThan(1000);
    });

    it("a close is answered with its code, one that named none with none", async () => {
      for (const [payload, answer] of [
        [closing(1001, "leaving"), "03e9"],
        [new Uint8Array(0), ""],
        [closing(3999), "0f9f"],
      ] as const) {
        const { transport, peer, key } = await open();
        const listener = listenTo(transport);
        peer.socket.write(wsFrame({ opcode: 8, payload, key }));
        expect((await closeFrame(peer)).toString("hex")).toBe(answer);
        peer.socket.end();
        const error = await listener.ended();
        if (answer !== "0f9f") expect(error).toBeNull();
        else expect(error).toMatchObject({ type: "disconnected", code: "connection-lost" });
      }
    });

    it("one that ends without a close frame is a lost connection, and is sent none", async () => {
      const { transport, peer } = await open();
      const listener = listenTo(transport);
      const gone = once(peer.socket, "close");
      peer.socket.end();
      const error = await listener.ended();
      expect(error).toMatchObject({ type: "disconnected", code: "connection-lost" });
      expect(error!.message).toContain("1006");
      await gone;
      expect(peer.received()).toHaveLength(0);
    });

    it("text is a fault behind the messages before it, and an Abort can still leave", async () => {
      const { transport, peer, key } = await open();
      const listener = listenTo(transport);
      peer.socket.write(wsFrame({ payload: frameBytes(1), key }));
      peer.socket.write(wsFrame({ opcode: 1, fin: false, payload: Buffer.from("hel"), key }));
      peer.socket.write(wsFrame({ opcode: 0, payload: Buffer.from("lo"), key }));
      peer.socket.write(wsFrame({ payload: frameBytes(2), key }));
      await listener.faulted();
      // Also afterwards it is read, into nothing, and pings are answered.
      peer.socket.write(wsFrame({ payload: new Uint8Array(300_000), key }));
      peer.socket.write(wsFrame({ opcode: 9, payload: Uint8Array.of(7), key }));
      for (let i = 0; i < 500 && peer.received().length === 0; i++) await turn();
      expect(readFrames(peer.received())).toEqual([{ opcode: 10, payload: Buffer.of(7) }]);
      expect(listener.log).toEqual(["message 1", "fault"]);
      const { receivedBytes } = transport;
      const large = wsFrame({ payload: new Uint8Array(300_000), key });
      peer.socket.write(large.subarray(0, 100_000));
      for (let i = 0; i < 500 && transport.receivedBytes < receivedBytes + 100_000; i++)
        await turn();
      expect(transport.space).toBeNull();
    });

    it("our own close, once answered, ends the connection without waiting", async () => {
      const { transport, peer, key } = await open({ grace: 60_000 });
      const listener = listenTo(transport);
      const ended = once(peer.socket, "end");
      transport.end();
      expect((await closeFrame(peer)).readUInt16BE(0)).toBe(1000);
      // Until the answer messages still come.
      peer.socket.write(wsFrame({ payload: frameBytes(1), key }));
      peer.socket.write(wsFrame({ opcode: 8, payload: closing(1000), key }));
      await ended;
      expect(await listener.ended()).toBeNull();
      expect(listener.log).toEqual(["message 1", "closed"]);
    });

    it("a message over the limits is refused by its header, in fragments too", async () => {
      const limits = limitsWith({ messageWords: 1000, segments: 4 });
      const { transport, peer, key } = await open({ limits, grace: 200 });
      const listener = listenTo(transport);
      const half = new Uint8Array(600_000);
      peer.socket.write(wsFrame({ fin: false, payload: half, key }));
      peer.socket.write(wsFrame({ opcode: 0, payload: half, key }).subarray(0, 14));
      expect((await closeFrame(peer)).readUInt16BE(0)).toBe(1009);
      expect(await listener.ended()).toMatchObject({ type: "failed", code: "malformed-frame" });
    });
  });
