// Role: Outbox gathers the messages of one turn in pooled slabs; Batch carries them to a transport for one write.
// State: the open slab and the list of finished chunks; the process-wide pool of idle slabs.
// Must not know: what a message says, or when the turn ends.

import { joinBytes } from "../base/bytes.js";
import type { Content } from "./content.js";

/** Bytes of a pooled slab. A message that does not fit in one gets a buffer of its own. */
export const SLAB_BYTES = 64 * 1024;

const NO_WORDS = new Int32Array(0);
const NOTHING: readonly (() => void)[] = [];
const PADDING: readonly Uint8Array[] = Array.from({ length: 8 }, (_, n) => new Uint8Array(n));

/** A buffer with the two views that writing needs. Its bytes are stale: writers set every word. */
class Slab {
  readonly u8: Uint8Array;
  readonly i32: Int32Array;

  constructor(bytes: number) {
    this.u8 = new Uint8Array(bytes);
    this.i32 = new Int32Array(this.u8.buffer);
  }
}

/**
 * Idle slabs, shared by all connections so that a thousand idle ones hold none.
 * @example new Outbox(new SlabPool(4))
 */
export class SlabPool {
  private readonly idle: Slab[] = [];
  private readonly most: number;

  /** @param most slabs kept; further ones are left to the garbage collector. */
  constructor(most = 64) {
    // Everything here writes whole words through Int32Array.
    if (new Uint8Array(new Int32Array([1]).buffer)[0] !== 1)
      throw new RangeError("this machine is big-endian, which is not supported");
    this.most = most;
  }

  /** Slabs waiting for use. */
  get size(): number {
    return this.idle.length;
  }

  take(bytes: number): Slab {
    if (bytes > SLAB_BYTES) return new Slab((bytes + 7) & -8);
    return this.idle.pop() ?? new Slab(SLAB_BYTES);
  }

  give(slab: Slab): void {
    if (slab.u8.length === SLAB_BYTES && this.idle.length < this.most) this.idle.push(slab);
  }
}

/** Bytes of small messages after which what waits may leave before the turn ends. */
const FULL_BYTES = 32 * 1024;

/** How soon the owner was asked to {@link Outbox.take}. */
const ASKED_LATER = 1;
const ASKED_NOW = 2;

/* @__PURE__ */ const sharedPool = new SlabPool();

/**
 * The messages of one turn, handed to a transport, which owns it from then on and calls {@link release} once the bytes
 * are gone. After that its chunks must not be read: the slabs serve another turn.
 *
 * @example socket.write(batch.chunks[0], () => batch.release());
 */
export class Batch {
  /** All bytes in order; adjacent messages are one chunk. */
  chunks: readonly Uint8Array[];
  readonly bytes: number;
  /** Number of messages. */
  readonly count: number;
  private readonly sizes: readonly number[];
  private spent: readonly (() => void)[];

  constructor(
    chunks: readonly Uint8Array[],
    bytes: number,
    sizes: readonly number[],
    spent: readonly (() => void)[],
  ) {
    this.chunks = chunks;
    this.bytes = bytes;
    this.count = sizes.length;
    this.sizes = sizes;
    this.spent = spent;
  }

  /** Each message apart, as the pieces that make it up in order: for transports that carry whole messages (C-FRM-19). */
  *messages(): Generator<Uint8Array[], void, void> {
    const chunks = this.chunks;
    let chunk = 0;
    let at = 0;
    for (const size of this.sizes) {
      const parts: Uint8Array[] = [];
      let left = size;
      while (left > 0) {
        const from = chunks[chunk]!;
        const n = Math.min(left, from.length - at);
        parts.push(n === from.length ? from : from.subarray(at, at + n));
        left -= n;
        at += n;
        if (at === from.length) {
          chunk++;
          at = 0;
        }
      }
      yield parts;
    }
  }

  /**
   * Keeps no more than a few times its bytes from now on: for a batch that waits until its peer reads, which may take for ever. A
   * small one is copied and gives its slab back; thousands of them, each with a slab, would hold gigabytes under a limit of bytes.
   */
  shrink(): void {
    if (this.bytes >= SLAB_BYTES / 4) return;
    this.chunks = [joinBytes(this.chunks, this.bytes)];
    this.release();
  }

  /** Gives the slabs back, and other memory that only waited for this. A second call does nothing. */
  release(): void {
    const { spent } = this;
    this.spent = NOTHING;
    for (let i = 0; i < spent.length; i++) spent[i]!();
  }
}

/**
 * Where a connection's messages wait for the end of the turn (C-FRM-17). Writing one: {@link begin}, set words from
 * byte {@link at} of the views on, {@link commit}. Nothing is in the outbox before the commit.
 *
 * @example
 * outbox.wake = () => queueMicrotask(() => { const batch = outbox.take(); if (batch) transport.write(batch); });
 */
export class Outbox {
  /**
   * Called at the first commit after a {@link take}: the owner arranges the next one. While all that was committed can
   * wait it is told so, and called again at the first that cannot.
   */
  wake: ((canWait: boolean) => void) | null = null;
  /**
   * Called whenever many small messages wait, from inside the commit of the last of them: the owner may take them at once,
   * so that the peer can begin with them while this turn goes on. It must not come back into whoever commits.
   */
  full: (() => void) | null = null;
  /** Bytes and messages waiting. */
  bytes = 0;
  count = 0;
  /** Messages ever committed, and how many of those were handed out by {@link take}: tells what was never sent. */
  committed = 0;
  taken = 0;
  /** The open slab's views and the byte, a multiple of 8, where the next message begins; set by {@link begin}. */
  u8: Uint8Array = PADDING[0]!;
  i32: Int32Array = NO_WORDS;
  at = 0;

  private readonly pool: SlabPool;
  private asked = 0;
  private runStart = 0;
  /** Bytes waiting that were written into slabs. What is referenced beside them is large, and better kept together. */
  private written = 0;
  private chunks: Uint8Array[] = [];
  private sizes: number[] = [];
  /** What gives memory back once it has left. */
  private spent: (() => void)[] = [];

  constructor(pool: SlabPool = sharedPool) {
    this.pool = pool;
  }

  /** Makes room for a message of which at most `maxBytes` will be written into the slab. */
  begin(maxBytes: number): void {
    if (this.u8.length - this.at >= maxBytes) return;
    this.closeRun();
    const slab = this.pool.take(maxBytes);
    this.spent.push(() => this.pool.give(slab));
    this.u8 = slab.u8;
    this.i32 = slab.i32;
    this.at = 0;
    this.runStart = 0;
  }

  /**
   * Ends the message begun: `bytes` in the slab, then the referenced arrays, then zeros up to a whole word. Those arrays
   * are not copied and must not change until the batch is released.
   *
   * @param bytes what was written from {@link at} on: a multiple of 8. @param canWait see {@link wake}.
   * @param sent what is referenced of it; with a tail, its memory serves again once the batch is released.
   */
  commit(
    bytes: number,
    tail: Uint8Array | null = null,
    second: Uint8Array | null = null,
    canWait = false,
    sent: Content | null = null,
  ): void {
    if (sent !== null && sent.tail !== null) this.spent.push(() => sent.recycle());
    this.at += bytes;
    this.written += bytes;
    if (tail !== null || second !== null) {
      this.closeRun();
      if (tail !== null) bytes += this.refer(tail);
      if (second !== null) bytes += this.refer(second);
      const pad = -bytes & 7;
      bytes += this.refer(PADDING[pad]!);
    }
    this.bytes += bytes;
    this.sizes.push(bytes);
    this.committed++;
    this.count++;
    const asks = canWait ? ASKED_LATER : ASKED_NOW;
    if (this.asked < asks) {
      this.asked = asks;
      this.wake?.(canWait);
    }
    if (this.written >= FULL_BYTES) this.full?.();
  }

  /** Whether something waits, and nobody for any of it. */
  get canWait(): boolean {
    return this.asked === ASKED_LATER;
  }

  /** All that was committed, or null when nothing was. The outbox is empty afterwards and holds no slab. */
  take(): Batch | null {
    if (this.count === 0) return null;
    this.taken = this.committed;
    this.closeRun();
    const batch = new Batch(this.chunks, this.bytes, this.sizes, this.spent);
    this.clear();
    return batch;
  }

  /** Forgets all that was committed: for a connection that is gone. */
  drop(): void {
    const { taken } = this;
    this.take()?.release();
    this.taken = taken;
  }

  private clear(): void {
    this.chunks = [];
    this.sizes = [];
    this.spent = [];
    this.bytes = 0;
    this.count = 0;
    this.asked = 0;
    this.u8 = PADDING[0]!;
    this.i32 = NO_WORDS;
    this.at = 0;
    this.runStart = 0;
    this.written = 0;
  }

  private refer(bytes: Uint8Array): number {
    if (bytes.length > 0) this.chunks.push(bytes);
    return bytes.length;
  }

  private closeRun(): void {
    if (this.at > this.runStart) this.chunks.push(this.u8.subarray(this.runStart, this.at));
    this.runStart = this.at;
  }
}
