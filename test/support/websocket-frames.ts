// WebSocket frames on their bytes, right and wrong ones, and a peer on a bare socket that writes them.

import { createHash } from "node:crypto";
import { once } from "node:events";
import net from "node:net";

export interface FrameOptions {
  readonly opcode?: number;
  readonly fin?: boolean;
  /** The three reserved bits, 0 to 7. */
  readonly rsv?: number;
  readonly payload?: Uint8Array;
  /** Four bytes; none: not masked. */
  readonly key?: readonly number[] | undefined;
  /** What the header says instead of the payload's length. */
  readonly says?: bigint | undefined;
  /** Bytes of the length, 0, 2 or 8; by default as few as it takes. */
  readonly lengthBytes?: number | undefined;
}

export const KEY: readonly number[] = [0x37, 0xfa, 0x21, 0x3d];

/** One frame; by default a whole message of bytes. */
export function wsFrame(options: FrameOptions = {}): Uint8Array {
  const { opcode = 2, fin = true, rsv = 0, payload = new Uint8Array(0), key } = options;
  const says = options.says ?? BigInt(payload.length);
  const lengthBytes = options.lengthBytes ?? (says < 126n ? 0 : says < 65_536n ? 2 : 8);
  const head = [(fin ? 0x80 : 0) | (rsv << 4) | opcode];
  const mask = key === undefined ? 0 : 0x80;
  if (lengthBytes === 0) head.push(mask | Number(says & 127n));
  else {
    head.push(mask | (lengthBytes === 2 ? 126 : 127));
    for (let i = lengthBytes - 1; i >= 0; i--) head.push(Number((says >> BigInt(8 * i)) & 255n));
  }
  if (key !== undefined) head.push(...key);
  const bytes = new Uint8Array(head.length + payload.length);
  bytes.set(head);
  bytes.set(payload, head.length);
  if (key !== undefined)
    for (let i = 0; i < payload.length; i++) bytes[head.length + i]! ^= key[i & 3]!;
  return bytes;
}

/** The payload of a close frame. */
export function closing(code: number, reason: string | Uint8Array = ""): Uint8Array {
  return Buffer.concat([Uint8Array.of(code >> 8, code & 255), Buffer.from(reason as string)]);
}

/** What a well-behaved peer wrote: opcodes and payloads, unmasked, as far as they are whole. */
export function readFrames(bytes: Uint8Array): { opcode: number; payload: Buffer }[] {
  const view = Buffer.from(bytes);
  const found: { opcode: number; payload: Buffer }[] = [];
  for (let at = 0; at + 2 <= view.length;) {
    const opcode = view[at]! & 15;
    const masked = view[at + 1]! >= 0x80;
    let length = view[at + 1]! & 127;
    at += 2;
    if (length === 126) length = view.readUInt16BE(at);
    else if (length === 127) length = Number(view.readBigUInt64BE(at));
    at += length < 126 ? 0 : length < 65_536 ? 2 : 8;
    const key = masked ? view.subarray(at, at + 4) : null;
    if (masked) at += 4;
    const payload = Buffer.from(view.subarray(at, at + length));
    at += length;
    if (key !== null) for (let i = 0; i < payload.length; i++) payload[i]! ^= key[i & 3]!;
    if (payload.length === length) found.push({ opcode, payload });
  }
  return found;
}

/** A bare socket behind a handshake, and all that came since. */
export interface BarePeer {
  readonly socket: net.Socket;
  received(): Buffer;
}

/** Dials a WebSocket server by hand. @param early sent in one packet with the handshake. */
export async function bareClient(port: number, early?: Uint8Array): Promise<BarePeer> {
  const socket = net.connect(port, "127.0.0.1");
  await once(socket, "connect");
  const request = Buffer.from(
    "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
  );
  socket.write(early === undefined ? request : Buffer.concat([request, early]));
  return collect(socket, (head) => head.includes("101"));
}

/** Answers the next handshake at `server` by hand. */
export async function bareServer(server: net.Server, early?: Uint8Array): Promise<BarePeer> {
  const [socket] = (await once(server, "connection")) as [net.Socket];
  return collect(socket, (head) => {
    const key = /sec-websocket-key: (.*)\r\n/i.exec(head)![1]!;
    const accept = createHash("sha1")
      .update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
      .digest("base64");
    const answer = Buffer.from(
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
        `Sec-WebSocket-Accept: ${accept}\r\n\r\n`,
    );
    socket.write(early === undefined ? answer : Buffer.concat([answer, early]));
    return true;
  });
}

function collect(socket: net.Socket, greeted: (head: string) => boolean): Promise<BarePeer> {
  let received = Buffer.alloc(0);
  let open = false;
  // The victim may go before it has read all that was written to it.
  socket.on("error", () => {});
  return new Promise((resolve, reject) => {
    socket.on("data", (chunk) => {
      received = Buffer.concat([received, chunk]);
      if (open) return;
      const end = received.indexOf("\r\n\r\n");
      if (end < 0) return;
      open = true;
      const head = received.toString("latin1", 0, end + 4);
      received = received.subarray(end + 4);
      if (greeted(head)) resolve({ socket, received: () => received });
      else reject(new Error(head));
    });
  });
}
