// Role: cuts a byte stream into Frames.
// State: the received part of one frame that is not yet complete. Must not know: sockets, or what a frame holds.

import { RpcError } from "../base/errors.js";
import type { Limits } from "../base/limits.js";
import {
  Frame,
  headerBytes,
  malformed,
  plainBytes,
  pointFrame,
  readFrameLength,
  readSegmentCount,
} from "./frame.js";

export { parseFrame } from "./frame.js";

/** A buffer up to this size is kept for the next frame that straddles two chunks; larger ones are dropped at once. */
const KEPT_BYTES = 4096;
/** What is allocated at once for a frame begun, on its header's word alone; beyond, the buffer grows with what came (C-FRM-07). */
const EAGER_BYTES = 128 * 1024;

/**
 * Turns stream bytes into Frames, whatever the chunking (C-FRM-01). A frame that lies inside one chunk is not copied; one
 * that straddles chunks is assembled in a buffer that grows with the bytes received, not with those promised (C-FRM-07).
 *
 * @example
 * socket.on("data", (chunk) => framer.push(chunk, (frame) => connection.handle(frame, now())));
 * socket.on("end", () => { const error = framer.end(); });
 *
 * Source: C-FRM-01 to 08.
 */
export class Framer {
  private readonly limits: Limits;
  private readonly frame = new Frame();
  /** The beginning of the current frame; `need` bytes finish the stage: the count, the header, the frame. */
  private buf: Uint8Array | null = null;
  private view: DataView | null = null;
  private have = 0;
  private need = 4;
  private segments = 0;
  private error: RpcError | null = null;

  constructor(limits: Limits) {
    this.limits = limits;
  }

  /** Bytes held of a frame that is not yet complete. Zero at a frame boundary. */
  get pendingBytes(): number {
    return this.have;
  }

  /** Bytes that are surely still part of the current frame: at least 1. */
  get wantedBytes(): number {
    return this.need - this.have;
  }

  /**
   * Takes a chunk and calls back for each frame it completes, in order. The Frame and the chunk's bytes may be reused
   * when `push` returns. `onFrame` must not call `push`.
   *
   * @throws RpcError malformed-frame, after the frames before the fault were handed over (C-HOS-20); then at every call.
   */
  push(chunk: Uint8Array, onFrame: (frame: Frame) => void): void {
    if (this.error !== null) throw this.error;
    try {
      this.cut(plainBytes(chunk), onFrame);
      this.frame.clear();
    } catch (thrown) {
      if (thrown instanceof RpcError && thrown.code === "malformed-frame") {
        this.error = thrown;
        this.forget();
      }
      throw thrown;
    }
  }

  /** The stream has ended: null at a frame boundary, else the `disconnected` error of a cut-off frame (C-FRM-03). */
  end(): RpcError | null {
    if (this.have === 0) return null;
    const error = new RpcError(
      "disconnected",
      "connection-lost",
      `the stream ended after ${this.have} bytes of a frame: premature end`,
    );
    this.forget();
    return error;
  }

  private cut(chunk: Uint8Array, onFrame: (frame: Frame) => void): void {
    let at = this.have > 0 ? this.assemble(chunk, onFrame) : 0;
    const left = chunk.length;
    if (left - at < 8) {
      if (at < left) this.keep(chunk, at);
      return;
    }
    const view = new DataView(chunk.buffer, chunk.byteOffset, left);
    const frame = this.frame;
    const limits = this.limits;
    while (left - at >= 8) {
      const segments = readSegmentCount(view, at, limits);
      if (left - at < headerBytes(segments)) break;
      const length = readFrameLength(view, at, segments, limits);
      if (left - at < length) break;
      pointFrame(frame, chunk, view, at, segments, length);
      at += length;
      onFrame(frame);
    }
    if (at < left) this.keep(chunk, at);
  }

  /** Starts to assemble the frame of which only a part, from `at` on, is in the chunk. */
  private keep(chunk: Uint8Array, at: number): void {
    this.need = 4;
    this.segments = 0;
    const used = this.fill(chunk, at);
    if (used !== chunk.length) throw malformed("internal: a whole frame was taken for a part");
  }

  /** Goes on with the frame begun in earlier chunks; returns where the next one begins. */
  private assemble(chunk: Uint8Array, onFrame: (frame: Frame) => void): number {
    const at = this.fill(chunk, 0);
    if (this.have < this.need) return at;
    const buf = this.buf!;
    pointFrame(this.frame, buf, this.view!, 0, this.segments, this.have);
    // Forgotten first: the callback may look at pendingBytes, and the frame stays valid until it returns.
    this.have = 0;
    this.need = 4;
    this.segments = 0;
    if (buf.length > KEPT_BYTES) {
      this.buf = this.view = null;
      this.frame.owned = true;
    }
    onFrame(this.frame);
    return at;
  }

  /** Copies from the chunk until the frame is complete or the chunk is used up; returns where it stopped. */
  private fill(chunk: Uint8Array, at: number): number {
    for (;;) {
      const n = Math.min(this.need - this.have, chunk.length - at);
      this.reserve(this.have + n);
      this.buf!.set(n === chunk.length ? chunk : chunk.subarray(at, at + n), this.have);
      this.have += n;
      at += n;
      if (this.have < this.need) return at;
      if (!this.nextStage()) return at;
    }
  }

  /** The stage is complete; whether more bytes are wanted for the next one. */
  private nextStage(): boolean {
    const view = this.view!;
    if (this.segments === 0) {
      this.segments = readSegmentCount(view, 0, this.limits);
      this.need = headerBytes(this.segments);
      return true;
    }
    const length = readFrameLength(view, 0, this.segments, this.limits);
    if (this.need === length) return false;
    this.need = length;
    return true;
  }

  /** Grows the buffer to hold `bytes`: doubling, never beyond the frame's own size by more than the kept buffer. */
  private reserve(bytes: number): void {
    const old = this.buf;
    if (old !== null && old.length >= bytes) return;
    const size = Math.max(bytes, Math.min(this.need, Math.max(bytes * 2, EAGER_BYTES)), 512);
    const buf = new Uint8Array(size);
    if (old !== null) buf.set(old.subarray(0, this.have));
    this.buf = buf;
    this.view = new DataView(buf.buffer);
  }

  private forget(): void {
    this.buf = this.view = null;
    this.have = 0;
    this.need = 4;
    this.segments = 0;
  }
}
