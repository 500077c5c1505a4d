// Role: Frame, one received message as a view on the bytes it arrived in, and the parser of its segment table.
// State: the reused segment table. Must not know: what is inside the segments, or where the bytes come from.

import { RpcError } from "../base/errors.js";
import type { Limits } from "../base/limits.js";
import type { FrameMemory } from "./frame-memory.js";

const NO_BYTES = new Uint8Array(0);
const NO_VIEW = new DataView(NO_BYTES.buffer);

/**
 * One received message: its bytes and segment table. Reused and mutable, so it is valid only during the callback that
 * hands it over; nothing of it may be kept (C-FRM-21). All offsets are bytes counted from the start of `bytes`, which
 * may hold other frames too: whoever reads must stay between `segStart[i]` and `segEnd[i]`.
 */
export class Frame {
  /** The bytes around the frame: always a plain Uint8Array, so that call sites stay monomorphic. */
  bytes: Uint8Array = NO_BYTES;
  /** A view on exactly `bytes`, made once per chunk. */
  view: DataView = NO_VIEW;
  /** Where the frame's header begins. */
  start = 0;
  /** Bytes of the whole frame, header included. */
  length = 0;
  /** Number of segments. Entries of the two tables beyond it are stale. */
  segments = 0;
  readonly segStart: number[] = [0];
  readonly segEnd: number[] = [0];
  /**
   * Where the bytes came from when they belong to this frame alone: a large content may stay where it is, and its memory go
   * back when nobody reads it any more. Null when others use them too.
   */
  memory: FrameMemory | null = null;

  /** Lets go of the bytes: a large message must not stay alive until the next one comes. */
  clear(): void {
    this.bytes = NO_BYTES;
    this.view = NO_VIEW;
  }

  /** A copy of the whole frame: for logs and recorders. */
  copy(): Uint8Array {
    return this.bytes.slice(this.start, this.start + this.length);
  }
}

/** Bytes of a frame header with `segments` segments. */
export function headerBytes(segments: number): number {
  return (4 + 4 * segments + 7) & -8;
}

/**
 * Reads the segment count at `at`.
 *
 * @throws RpcError malformed-frame when it is over the limit (C-FRM-05) or wraps to zero (C-FRM-04).
 */
export function readSegmentCount(view: DataView, at: number, limits: Limits): number {
  // The field 0xFFFFFFFF gives 2^32 here, never 0: it is a double, not a 32-bit sum.
  const segments = view.getUint32(at, true) + 1;
  if (segments > limits.segments)
    throw malformed(
      `limit segments: a frame of ${segments} segments is over the limit of ${limits.segments}`,
    );
  return segments;
}

/**
 * Adds up the segment table at `at`, whose header is wholly there.
 *
 * @returns bytes of the whole frame, header included.
 * @throws RpcError malformed-frame when the sum is over the limit: told from the header alone (C-FRM-06).
 */
export function readFrameLength(
  view: DataView,
  at: number,
  segments: number,
  limits: Limits,
): number {
  let words = 0;
  for (let i = 0; i < segments; i++) words += view.getUint32(at + 4 + 4 * i, true);
  if (words > limits.messageWords)
    throw malformed(
      `limit messageWords: a frame of ${words} words is over the limit of ${limits.messageWords}`,
    );
  return headerBytes(segments) + words * 8;
}

/** Points `frame` at the complete frame at `at` of `bytes`; the header was checked before. */
export function pointFrame(
  frame: Frame,
  bytes: Uint8Array,
  view: DataView,
  at: number,
  segments: number,
  length: number,
): void {
  frame.bytes = bytes;
  frame.view = view;
  frame.start = at;
  frame.length = length;
  frame.segments = segments;
  frame.memory = null;
  let pos = at + headerBytes(segments);
  for (let i = 0; i < segments; i++) {
    frame.segStart[i] = pos;
    pos += view.getUint32(at + 4 + 4 * i, true) * 8;
    frame.segEnd[i] = pos;
  }
}

/** A plain view on the same memory; a private copy when that memory is shared, since it could change under us (C-HOS-17). */
export function plainBytes(chunk: Uint8Array): Uint8Array {
  if (typeof SharedArrayBuffer !== "undefined" && chunk.buffer instanceof SharedArrayBuffer) {
    const copy = new Uint8Array(chunk.length);
    copy.set(chunk);
    return copy;
  }
  return new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength);
}

/**
 * Parses a message that came whole, as from a WebSocket: exactly one frame, no byte more (C-FRM-19).
 *
 * @param bytes the message; the frame is a view on it. @param frame filled in, and as short-lived as `bytes`.
 * @throws RpcError malformed-frame.
 * @example parseFrame(event.data, frame, limits); reader.read(frame);
 */
export function parseFrame(bytes: Uint8Array, frame: Frame, limits: Limits): void {
  const plain = plainBytes(bytes);
  const view = new DataView(plain.buffer, plain.byteOffset, plain.byteLength);
  const at = parseFrameAt(plain, view, 0, plain.length, frame, limits);
  if (at !== plain.length) throw trailing(plain.length - at);
}

/**
 * Parses the frame at `at` of a message that may hold several (the batch subprotocols), and that reaches to `end`.
 *
 * @returns where the next frame begins. @throws RpcError malformed-frame when the frame is not all there.
 */
export function parseFrameAt(
  bytes: Uint8Array,
  view: DataView,
  at: number,
  end: number,
  frame: Frame,
  limits: Limits,
): number {
  const available = end - at;
  if (available < 8) throw malformed(`${available} bytes are too few for a frame header`);
  const segments = readSegmentCount(view, at, limits);
  if (available < headerBytes(segments))
    throw malformed(`the message ends inside the header of a frame of ${segments} segments`);
  const length = readFrameLength(view, at, segments, limits);
  if (available < length)
    throw malformed(`the message ends ${length - available} bytes before its frame does`);
  pointFrame(frame, bytes, view, at, segments, length);
  return at + length;
}

/** What there is behind the one frame that a message may hold. */
export function trailing(bytes: number): RpcError {
  return malformed(`${bytes} bytes after the frame: a message must hold exactly one`);
}

/** A peer's framing cannot be trusted any more. */
export function malformed(what: string): RpcError {
  return new RpcError("failed", "malformed-frame", what);
}
