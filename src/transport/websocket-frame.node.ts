// Role: binary WebSocket frames, written beside the `ws` package's own: it copies what is already in one piece, and masks byte
// by byte. State: idle buffers and random bytes for masks, of the process. Must not know: transports, messages.

import { randomFillSync } from "node:crypto";
import type { Duplex } from "node:stream";

/** FIN and opcode 2: a whole message of bytes. */
const BINARY = 0x82;
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
 * Writes the bytes of `parts` as one frame, at once and whole, so that `ws` may write its own before and after it.
 *
 * @param bytes of all parts together.
 * @param masked whether this is a client's side.
 * @param done called when the bytes are gone or never will be; until then `parts` must not change.
 * Source: RFC 6455, sections 5.2 and 5.3.
 */
export function writeFrame(
  stream: Duplex,
  parts: readonly Uint8Array[],
  bytes: number,
  masked: boolean,
  done: (() => void) | undefined,
): void {
  const headerBytes = (bytes < 126 ? 2 : bytes < 65_536 ? 4 : 10) + (masked ? 4 : 0);
  if (!masked && bytes > JOINED_BYTES) {
    const header = Buffer.allocUnsafe(headerBytes);
    putHeader(header, 0, bytes, false);
    stream.write(header);
    const last = parts.length - 1;
    for (let i = 0; i < last; i++) stream.write(parts[i]);
    stream.write(parts[last], done);
    return;
  }
  const buffer = take(BODY + bytes);
  const start = BODY - headerBytes;
  putHeader(buffer, start, bytes, masked);
  let at = BODY;
  for (const part of parts) {
    buffer.set(part, at);
    at += part.length;
  }
  if (masked) mask(buffer, start + headerBytes - 4, bytes);
  stream.write(buffer.subarray(start, at), () => {
    give(buffer);
    done?.();
  });
}

function putHeader(buffer: Buffer, at: number, bytes: number, masked: boolean): void {
  const bit = masked ? MASKED : 0;
  buffer[at] = BINARY;
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

/** Masks what stands at {@link BODY}, with four random bytes that are put at `at`. */
function mask(buffer: Buffer, at: number, bytes: number): void {
  if (masksUsed === MASK_POOL_BYTES) {
    randomFillSync(masks);
    masksUsed = 0;
  }
  const from = masksUsed;
  masksUsed += 4;
  masks.copy(buffer, at, from, from + 4);
  const words = new Int32Array(buffer.buffer, buffer.byteOffset + BODY, (bytes + 3) >> 2);
  // Both are read and written in the machine's order of bytes.
  const key = new Int32Array(masks.buffer, masks.byteOffset + from, 1)[0]!;
  for (let i = 0; i < words.length; i++) words[i]! ^= key;
}

/** At least `bytes` bytes and up to a whole word, at a whole word. */
function take(bytes: number): Buffer {
  if (bytes <= JOINED_BYTES + BODY) return aligned(bytes);
  if (bytes + 3 > BUFFER_BYTES) return Buffer.allocUnsafeSlow((bytes + 3) & -4);
  return idle.pop() ?? Buffer.allocUnsafeSlow(BUFFER_BYTES);
}

/** A small one, from Node's pool, which hands out whole double words. */
function aligned(bytes: number): Buffer {
  const buffer = Buffer.allocUnsafe((bytes + 3) & -4);
  return (buffer.byteOffset & 3) === 0 ? buffer : Buffer.allocUnsafeSlow((bytes + 3) & -4);
}

function give(buffer: Buffer): void {
  if (buffer.length === BUFFER_BYTES && idle.length < MOST_IDLE) idle.push(buffer);
}
