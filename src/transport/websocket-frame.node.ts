// Role: WebSocket frames as they are written.
// State: idle buffers and random bytes for masks, of the process. Must not know: transports, messages.

import { randomFillSync } from "node:crypto";
import type { Duplex } from "node:stream";
import { mask } from "./websocket-mask.js";

/** The first byte of frames that are whole messages: FIN, and the opcode. */
export const FrameKind = { binary: 0x82, close: 0x88, ping: 0x89, pong: 0x8a } as const;
export type FrameKind = (typeof FrameKind)[keyof typeof FrameKind];

const MASKED = 0x80;
/** Where the payload begins in a buffer of ours: behind the longest header, at a whole word. */
const BODY = 16;
/** A frame up to this size is put together: cheaper than to hand the system several pieces. */
const JOINED_BYTES = 4096;
/** What a large chunk and its messages around take. */
const BUFFER_BYTES = 128 * 1024;
const MOST_IDLE = 16;
const MASK_POOL_BYTES = 8192;

const idle: Buffer[] = [];
const masks = /* @__PURE__ */ Buffer.alloc(MASK_POOL_BYTES);
let masksUsed = MASK_POOL_BYTES;

/**
 * Writes the bytes of `parts` as one frame, at once and whole.
 *
 * @param bytes of all parts together.
 * @param masked whether this is a client's side.
 * @param done called when the bytes are gone or never will be; until then `parts` must not change.
 * Source: RFC 6455, sections 5.2 and 5.3.
 */
export function writeFrame(
  stream: Duplex,
  kind: FrameKind,
  parts: readonly Uint8Array[],
  bytes: number,
  masked: boolean,
  done: (() => void) | undefined,
): void {
  const headerBytes = (bytes < 126 ? 2 : bytes < 65_536 ? 4 : 10) + (masked ? 4 : 0);
  if (!masked && bytes > JOINED_BYTES) {
    const header = Buffer.allocUnsafe(headerBytes);
    putHeader(header, 0, kind, bytes, false);
    stream.write(header);
    const last = parts.length - 1;
    for (let i = 0; i < last; i++) stream.write(parts[i]);
    stream.write(parts[last], done);
    return;
  }
  const buffer = take(BODY + bytes, stream.writableLength > 0);
  const start = BODY - headerBytes;
  putHeader(buffer, start, kind, bytes, masked);
  let at = BODY;
  for (const part of parts) {
    buffer.set(part, at);
    at += part.length;
  }
  if (masked) {
    const key = nextMask();
    masks.copy(buffer, BODY - 4, key, key + 4);
    mask(buffer, BODY, at, masks, key, 0);
  }
  stream.write(buffer.subarray(start, at), () => {
    give(buffer);
    done?.();
  });
}

function putHeader(
  buffer: Buffer,
  at: number,
  kind: FrameKind,
  bytes: number,
  masked: boolean,
): void {
  const bit = masked ? MASKED : 0;
  buffer[at] = kind;
  if (bytes < 126) buffer[at + 1] = bit | bytes;
  else if (bytes < 65_536) {
    buffer[at + 1] = bit | 126;
    buffer.writeUInt16BE(bytes, at + 2);
  } else {
    buffer[at + 1] = bit | 127;
    buffer.writeUInt32BE(Math.floor(bytes / 2 ** 32), at + 2);
    buffer.writeUInt32BE(bytes >>> 0, at + 6);
  }
}

/** Where in {@link masks} four random bytes are that served nobody yet. */
function nextMask(): number {
  if (masksUsed === MASK_POOL_BYTES) {
    randomFillSync(masks);
    masksUsed = 0;
  }
  masksUsed += 4;
  return masksUsed - 4;
}

/** @param waits whether the frame may wait until its peer reads: then a small one must not hold the buffer of a large one. */
function take(bytes: number, waits: boolean): Buffer {
  if (bytes <= JOINED_BYTES + BODY) return Buffer.allocUnsafe(bytes);
  if (bytes > BUFFER_BYTES || (waits && bytes < BUFFER_BYTES / 8))
    return Buffer.allocUnsafeSlow(bytes);
  return idle.pop() ?? Buffer.allocUnsafeSlow(BUFFER_BYTES);
}

function give(buffer: Buffer): void {
  if (buffer.length === BUFFER_BYTES && idle.length < MOST_IDLE) idle.push(buffer);
}
