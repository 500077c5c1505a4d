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
import { type FrameMemory, giveAside, PLAIN_MEMORY, takeAside } from "./frame-memory.js";

export { parseFrame } from "./frame.js";

/** Frames up to this size that straddle two chunks share one buffer, and of larger ones it takes the beginning. */
const KEPT_BYTES = 4096;
/** What is allocated at once for a frame begun, on its header's word alone; beyond, the buffer grows with what came (C-FRM-07). */
const EAGER_BYTES = 128 * 1024;
/** The rest of a frame of this size is worth a read of its own, straight to where it belongs. */
const DIRECT_BYTES = 16 * 1024;

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
  private readonly memory: FrameMemory;
  private readonly frame = new Frame();
  /** What {@link KEPT_BYTES} says, and a view on it. */
  private kept: Uint8Array | null = null;
  private keptView: DataView | null = null;
  /** The beginning of the current frame; `need` bytes finish the stage: the count, the header, the frame. */
  private buf: Uint8Array | null = null;
  private view: DataView | null = null;
  private have = 0;
  private need = 4;
  private segments = 0;
  private error: RpcError | null = null;

  constructor(limits: Limits, memory: FrameMemory = PLAIN_MEMORY) {
    this.limits = limits;
    this.memory = memory;
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
    const bytes = plainBytes(chunk);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.pushPart(bytes, view, bytes.length, onFrame);
  }

  /**
   * {@link push} of the first `end` bytes of `bytes`, plain memory that `view` is a view on: for a carrier that reads into
   * the same buffer every time.
   */
  pushPart(bytes: Uint8Array, view: DataView, end: number, onFrame: (frame: Frame) => void): void {
    if (this.error !== null) throw this.error;
    try {
      const at = this.have > 0 ? this.assemble(bytes, end, onFrame) : 0;
      this.cut(bytes, view, at, end, onFrame);
      this.frame.clear();
    } catch (thrown) {
      this.fails(thrown);
    }
  }

  /**
   * Where the next bytes should be put, by {@link filled}: the rest of a large frame begun, which then needs no copy. Null
   * when there is none; then they are to be pushed. Changes with every call here.
   */
  get space(): Uint8Array | null {
    if (this.segments === 0 || this.need < DIRECT_BYTES || this.error !== null) return null;
    // As many segments as a raised limit allows have a header of this size, which is no frame yet.
    if (this.need === headerBytes(this.segments)) return null;
    // What was pushed may have filled the buffer exactly, and to read into no memory breaks a socket.
    this.reserve(this.have + 1);
    return this.buf!.subarray(this.have);
  }

  /** Takes the `count` bytes, at least 1, that were put into {@link space}; else as {@link push}. */
  filled(count: number, onFrame: (frame: Frame) => void): void {
    const buf = this.buf!;
    const end = this.have + count;
    try {
      this.have = Math.min(end, this.need);
      if (this.have < this.need) {
        this.reserve(this.have + 1);
        return;
      }
      // Set aside first: from then on the buffer is the message's, whose receiver may transfer it to another thread.
      const rest = end - this.need;
      const bytes = rest > 0 ? takeAside(buf.subarray(this.need, end)) : null;
      this.complete(onFrame);
      if (bytes !== null) {
        this.cut(bytes, new DataView(bytes.buffer), 0, rest, onFrame);
        giveAside(bytes);
      }
      this.frame.clear();
    } catch (thrown) {
      this.fails(thrown);
    }
  }

  /** A stream that is malformed once stays so. */
  private fails(thrown: unknown): never {
    if (thrown instanceof RpcError && thrown.code === "malformed-frame") {
      this.error = thrown;
      this.forget();
    }
    throw thrown;
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

  /** Hands over the whole frames between `at` and `end`, and keeps what is left. */
  private cut(
    bytes: Uint8Array,
    view: DataView,
    at: number,
    end: number,
    onFrame: (frame: Frame) => void,
  ): void {
    const frame = this.frame;
    const limits = this.limits;
    while (end - at >= 8) {
      const segments = readSegmentCount(view, at, limits);
      if (end - at < headerBytes(segments)) break;
      const length = readFrameLength(view, at, segments, limits);
      if (end - at < length) break;
      pointFrame(frame, bytes, view, at, segments, length);
      at += length;
      onFrame(frame);
    }
    if (at < end) this.keep(bytes, at, end);
  }

  /** Starts to assemble the frame of which only a part, from `at` to `end`, is there. */
  private keep(bytes: Uint8Array, at: number, end: number): void {
    this.need = 4;
    this.segments = 0;
    const used = this.fill(bytes, at, end);
    if (used !== end) throw malformed("internal: a whole frame was taken for a part");
  }

  /** Goes on with the frame begun in earlier bytes; returns where the next one begins. */
  private assemble(bytes: Uint8Array, end: number, onFrame: (frame: Frame) => void): number {
    const at = this.fill(bytes, 0, end);
    if (this.have === this.need) this.complete(onFrame);
    return at;
  }

  /** Hands over the frame that was assembled. */
  private complete(onFrame: (frame: Frame) => void): void {
    const buf = this.buf!;
    pointFrame(this.frame, buf, this.view!, 0, this.segments, this.have);
    // Forgotten first: the callback may look at pendingBytes, and the frame stays valid until it returns.
    this.have = 0;
    this.need = 4;
    this.segments = 0;
    if (buf !== this.kept) {
      this.buf = this.kept;
      this.view = this.keptView;
      this.frame.memory = this.memory;
    }
    onFrame(this.frame);
  }

  /** Copies from `at` on until the frame is complete or `end` is reached; returns where it stopped. */
  private fill(bytes: Uint8Array, at: number, end: number): number {
    for (;;) {
      const n = Math.min(this.need - this.have, end - at);
      this.reserve(this.have + n);
      if (n > 0) this.buf!.set(bytes.subarray(at, at + n), this.have);
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
    const small = size <= KEPT_BYTES;
    const buf = small ? new Uint8Array(size) : this.memory.allocate(size);
    if (old !== null) buf.set(old.subarray(0, this.have));
    this.buf = buf;
    this.view = new DataView(buf.buffer);
    if (!small) return;
    this.kept = buf;
    this.keptView = this.view;
  }

  private forget(): void {
    this.kept = this.keptView = this.buf = this.view = null;
    this.have = 0;
    this.need = 4;
    this.segments = 0;
  }
}
