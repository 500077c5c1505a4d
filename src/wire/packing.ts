// Role: Cap'n Proto's packing, both ways: opt-in by agreement outside the protocol (C-FRM-12).
// State: of the unpacker, the unfinished word and run. Must not know: transports, or what a frame holds.
//
// Packed form of a word: a tag byte with one bit per byte of the word, then the bytes that are not zero. Tag 0x00 is
// followed by a count of further zero words; tag 0xff by its 8 bytes and a count of further words that follow verbatim.

import { joinBytes } from "../base/bytes.js";
import { RpcError } from "../base/errors.js";
import type { Limits } from "../base/limits.js";
import { type Frame, malformed } from "./frame.js";
import { Framer } from "./framer.js";

/** Bytes inflated before they go to the framer, which checks a frame's promised size from its header alone. */
const SCRATCH = 8192;

/**
 * Packs one message. Runs never cross its end, so messages packed apart can be joined.
 *
 * @param parts the message's bytes in order, in all a multiple of 8.
 * @example for (const parts of batch.messages()) socket.write(packMessage(parts));
 */
export function packMessage(parts: readonly Uint8Array[]): Uint8Array {
  const from = joinBytes(parts);
  const size = from.length;
  // A word takes at most its tag, 8 bytes and a run's count.
  const to = new Uint8Array((size / 8) * 10);
  let n = 0;
  for (let i = 0; i < size; i += 8) {
    const tagAt = n++;
    let tag = 0;
    for (let bit = 0; bit < 8; bit++) {
      const byte = from[i + bit]!;
      if (byte !== 0) {
        tag |= 1 << bit;
        to[n++] = byte;
      }
    }
    to[tagAt] = tag;
    if (tag !== 0 && tag !== 0xff) continue;
    // A run of zeros, or of words with at most one zero byte: more of them would be cheaper by tags.
    let run = 0;
    const most = tag === 0 ? 0 : 1;
    while (run < 255 && i + 8 < size && suits(from, i + 8, tag, most)) {
      i += 8;
      run++;
      if (tag !== 0) to.set(from.subarray(i, i + 8), n + run * 8 - 7);
    }
    to[n] = run;
    n += tag === 0 ? 1 : 1 + run * 8;
  }
  return to.slice(0, n);
}

function suits(from: Uint8Array, at: number, tag: number, most: number): boolean {
  let zeros = 0;
  for (let i = 0; i < 8; i++) if (from[at + i] === 0) zeros++;
  return tag === 0 ? zeros === 8 : zeros <= most;
}

/**
 * A {@link Framer} for a packed stream: the same calls and the same limits. What it inflates is bounded by the frame's
 * header, which is checked first: a run of zeros may stand for a thousand times its size (C-FRM-13).
 *
 * @example const framer = packed ? new PackedFramer(limits) : new Framer(limits);
 */
export class PackedFramer {
  private readonly framer: Framer;
  private readonly scratch = new Uint8Array(SCRATCH);
  /** Bytes in `scratch`; the last word may be unfinished. */
  private n = 0;
  /** Bits of the current tag still to be filled, from `bit` on; 8 when there is none. */
  private tag = 0;
  private bit = 8;
  /** Whether the next byte is the count of a run: 0 no, 1 of zeros, 2 of literal words. */
  private counting = 0;
  private zeros = 0;
  private literals = 0;
  private error: RpcError | null = null;

  constructor(limits: Limits) {
    this.framer = new Framer(limits);
  }

  /** Inflated bytes held of a frame that is not yet complete. */
  get pendingBytes(): number {
    return this.framer.pendingBytes + this.n;
  }

  /** See {@link Framer.push}. @throws RpcError malformed-frame, also when a run goes past the end of its message. */
  push(chunk: Uint8Array, onFrame: (frame: Frame) => void): void {
    if (this.error !== null) throw this.error;
    try {
      let at = 0;
      for (;;) {
        const room = Math.min(SCRATCH, Math.max(8, this.framer.wantedBytes));
        at = this.inflate(chunk, at, room);
        const whole = this.n & -8;
        if (whole > 0) {
          this.framer.push(this.scratch.subarray(0, whole), onFrame);
          this.scratch.copyWithin(0, whole, this.n);
          this.n -= whole;
          if (this.framer.pendingBytes === 0 && this.zeros + this.literals > 0) throw overrun();
        } else if (at === chunk.length) return;
      }
    } catch (thrown) {
      if (thrown instanceof RpcError && thrown.code === "malformed-frame") this.error = thrown;
      throw thrown;
    }
  }

  /** See {@link Framer.end}: null only between two messages, with no run, count or word unfinished. */
  end(): RpcError | null {
    const error = this.framer.end();
    if (error !== null) return error;
    if (this.n === 0 && this.bit === 8 && this.counting === 0) return null;
    return new RpcError(
      "disconnected",
      "connection-lost",
      "the packed stream ended inside a word: premature end",
    );
  }

  /** Inflates into the scratch until it holds `room` bytes or the chunk is used up; returns where it stopped. */
  private inflate(chunk: Uint8Array, at: number, room: number): number {
    const out = this.scratch;
    while (this.n < room) {
      if (this.zeros > 0) {
        const words = Math.min(this.zeros, (room - this.n) >> 3);
        out.fill(0, this.n, this.n + words * 8);
        this.n += words * 8;
        this.zeros -= words;
        continue;
      }
      // A tag's zero bytes need no input.
      if (this.bit < 8 && (this.tag & (1 << this.bit)) === 0) {
        out[this.n++] = 0;
        this.endBit();
        continue;
      }
      if (at === chunk.length) return at;
      if (this.literals > 0) {
        const bytes = Math.min(this.literals, room - this.n, chunk.length - at);
        out.set(chunk.subarray(at, at + bytes), this.n);
        this.n += bytes;
        this.literals -= bytes;
        at += bytes;
      } else if (this.bit < 8) {
        out[this.n++] = chunk[at++]!;
        this.endBit();
      } else if (this.counting !== 0) {
        at = this.count(chunk, at);
      } else {
        this.tag = chunk[at++]!;
        this.bit = 0;
      }
    }
    // A count that is already there is read now, so that a run past the end of a message is seen at that end.
    return this.counting !== 0 && at < chunk.length ? this.count(chunk, at) : at;
  }

  private count(chunk: Uint8Array, at: number): number {
    const words = chunk[at]!;
    if (this.counting === 1) this.zeros = words;
    else this.literals = words * 8;
    this.counting = 0;
    // The word before may have ended a message that was handed over with the chunk before this one.
    if (words > 0 && this.pendingBytes === 0) throw overrun();
    return at + 1;
  }

  private endBit(): void {
    if (++this.bit < 8) return;
    if (this.tag === 0) this.counting = 1;
    else if (this.tag === 0xff) this.counting = 2;
  }
}

function overrun(): RpcError {
  return malformed("a packed run goes past the end of its message");
}
