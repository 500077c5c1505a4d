// Role: a pair of transports inside one process: for local vats, for users' tests and ours.
// State: what each side wrote and the other has not yet been handed. Must not know: anything of a machine.

import type { Batch } from "../wire/outbox.js";
import { BaseTransport } from "./base-transport.js";
import { Framing } from "./inlet.js";
import { transportSettings, type TransportOptions } from "./transport.js";

export interface MemoryOptions extends TransportOptions {
  /**
   * Runs `deliver` later, never at once; default `queueMicrotask`. A test brings its own order of delivery here: whichever
   * it runs first, what one side does reaches the other in the order it was done.
   */
  readonly defer?: ((deliver: () => void) => void) | undefined;
  /** Names of the two sides, for messages. */
  readonly names?: readonly [string, string] | undefined;
}

/**
 * Two transports, each the other's peer.
 *
 * @example
 * const [a, b] = memoryPair();
 * b.start(handler);
 * a.write(batch); // handler.message(frame) follows in a later microtask
 */
export function memoryPair(options: MemoryOptions = {}): [MemoryTransport, MemoryTransport] {
  const [left, right] = options.names ?? ["memory a", "memory b"];
  const a = new MemoryTransport(left, options);
  const b = new MemoryTransport(right, options);
  a.join(b);
  b.join(a);
  return [a, b];
}

interface Parcel {
  readonly unit: Uint8Array;
  readonly batch: Batch;
}

/** One side of {@link memoryPair}. Like a socket it never hands over anything from inside the writer's call. */
export class MemoryTransport extends BaseTransport {
  private peer: MemoryTransport | null = null;
  private readonly defer: (deliver: () => void) => void;
  /** What this side has done and the other has not yet felt. */
  private readonly acts: (() => void)[] = [];
  /** Arrived and not handed over, since this side is paused or has not started. */
  private waiting: Parcel[] = [];
  private held = true;
  private inputEnded = false;
  private outputGone = false;
  private dead = false;

  constructor(name: string, options: MemoryOptions) {
    super(name, Framing.batch, transportSettings(options));
    // Not the function itself: browsers refuse to run it as a method of something else.
    this.defer = options.defer ?? ((deliver) => queueMicrotask(deliver));
  }

  get batching(): boolean {
    return true;
  }

  join(peer: MemoryTransport): void {
    this.peer = peer;
  }

  protected open(): void {}

  protected send(batch: Batch): void {
    // Copied: the chunks are the writer's slabs, and the peer may be paused for as long as it likes.
    const unit = new Uint8Array(batch.bytes);
    let at = 0;
    for (const chunk of batch.chunks) {
      unit.set(chunk, at);
      at += chunk.length;
    }
    this.later(() => {
      const peer = this.peer;
      if (peer === null) {
        this.taken(batch);
        return;
      }
      peer.waiting.push({ unit, batch });
      peer.flow();
    });
  }

  protected endOutput(): void {
    this.later(() => this.sayEnd());
  }

  protected destroy(): void {
    this.later(() => {
      this.sayEnd();
      this.dead = true;
      const peer = this.peer;
      this.detach();
      this.gone(null);
      peer?.peerVanished();
    });
  }

  protected holdInput(): void {
    this.held = true;
  }

  protected releaseInput(): void {
    this.held = false;
    this.later(() => this.flow());
  }

  /** What the peer was still writing to us is lost, as with a closed socket. */
  protected detach(): void {
    for (const { batch } of this.waiting) this.peer?.taken(batch);
    this.waiting = [];
    this.peer = null;
  }

  private later(act: () => void): void {
    this.acts.push(act);
    this.defer(() => this.acts.shift()!());
  }

  private sayEnd(): void {
    if (this.outputGone) return;
    this.outputGone = true;
    const peer = this.peer;
    if (peer !== null) {
      peer.inputEnded = true;
      peer.flow();
    }
    this.goneIfBothEnded();
  }

  private flow(): void {
    while (!this.held && !this.dead && this.waiting.length > 0) {
      const { unit, batch } = this.waiting.shift()!;
      this.receivedBytes += unit.length;
      this.peer?.taken(batch);
      this.inlet.accept(unit);
    }
    if (this.dead || !this.inputEnded || this.waiting.length > 0) return;
    this.inlet.finish(null);
    this.goneIfBothEnded();
  }

  private goneIfBothEnded(): void {
    if (!this.outputGone || !this.inputEnded || this.waiting.length > 0 || this.dead) return;
    this.dead = true;
    this.gone(null);
  }

  /** The other side closed. What it had written before is still ours to read. */
  private peerVanished(): void {
    for (const { batch } of this.waiting) batch.release();
    this.peer = null;
    this.flow();
  }
}
