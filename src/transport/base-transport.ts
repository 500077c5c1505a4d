// Role: what all transports have in common: the order of events, the one terminal event, room for the writer, the grace.
// State: how far the transport has ended, and why; who waits for room. Must not know: what carries the bytes.

import type { RpcError } from "../base/errors.js";
import { WAITING_EACH } from "../base/limits.js";
import type { Frame } from "../wire/frame.js";
import type { Framer } from "../wire/framer.js";
import type { Batch } from "../wire/outbox.js";
import { type Framing, Inlet, type InletOwner } from "./inlet.js";
import type { Timer, Transport, TransportHandler, TransportSettings } from "./transport.js";

/** A queue that is never quite empty must not keep what left it. */
const COMPACT_AT = 256;

/**
 * The skeleton of a {@link Transport}. A kind gives it the carrier's verbs (`open`, `send`, `endOutput`, `destroy`,
 * `holdInput`, `releaseInput`, `detach`) and tells it the carrier's news (`inlet.accept`, `inlet.refuse`,
 * `inlet.finish`, `taken`, `gone`).
 *
 * Life: reading -> (fault) -> peer ended | closed here -> carrier gone -> `closed` said once.
 */
export abstract class BaseTransport implements Transport, InletOwner {
  readonly name: string;
  receivedBytes = 0;
  protected readonly settings: TransportSettings;
  protected readonly inlet: Inlet;
  /** Bytes of batches not yet taken, {@link WAITING_EACH} for each with them. */
  protected unsent = 0;
  /** No more is written: this side ended, or the peer did. */
  protected outputEnded = false;
  /** The first reason known; undefined while there is none. */
  private cause: RpcError | null | undefined = undefined;
  private handler: TransportHandler | null = null;
  private closing = false;
  private peerEnded = false;
  private carrierGone = false;
  private over = false;
  /** Batches not yet taken, oldest first from `oldest` on: their messages and when they came. */
  private readonly batches: { readonly count: number; readonly at: number }[] = [];
  private oldest = 0;
  private waiters: (() => void)[] = [];
  private graceTimer: Timer | undefined;

  /** @param framer of a stream, and only of one. */
  constructor(
    name: string,
    framing: Framing,
    settings: TransportSettings,
    framer: Framer | null = null,
  ) {
    this.name = name;
    this.settings = settings;
    this.inlet = new Inlet(framing, settings.limits, this, framer);
    this.inlet.pause();
  }

  abstract get batching(): boolean;

  get bufferedBytes(): number {
    return this.unsent;
  }

  get backlog(): { messages: number; oldestMs: number } {
    let messages = 0;
    for (let i = this.oldest; i < this.batches.length; i++) messages += this.batches[i]!.count;
    const oldest = this.batches[this.oldest];
    return { messages, oldestMs: oldest === undefined ? 0 : performance.now() - oldest.at };
  }

  /** Attaches what hands over input; `releaseInput` follows. */
  protected abstract open(): void;
  /** Writes the batch; `taken(batch)` when its bytes are gone or never will be. */
  protected abstract send(batch: Batch): void;
  /** Lets the peer see the end, behind all that was sent. */
  protected abstract endOutput(): void;
  /** Lets go of the carrier now; `gone` follows, not from inside this call. */
  protected abstract destroy(): void;
  /** Stops and restarts the flow at its source, where the carrier can. */
  protected abstract holdInput(): void;
  protected abstract releaseInput(): void;
  /** Last call of all: no listener and no timer of this transport may live on. */
  protected abstract detach(): void;

  start(handler: TransportHandler): void {
    this.handler = handler;
    if (this.over) {
      queueMicrotask(() => handler.closed(this.cause ?? null));
      return;
    }
    if (!this.carrierGone) {
      this.open();
      this.releaseInput();
    }
    this.inlet.resume();
  }

  write(batch: Batch): void {
    if (this.outputEnded) {
      batch.release();
      return;
    }
    this.unsent += batch.bytes + WAITING_EACH;
    this.batches.push({ count: batch.count, at: performance.now() });
    this.send(batch);
  }

  whenWritable(): Promise<void> {
    if (this.hasRoom()) return Promise.resolve();
    return new Promise((resolve) => {
      this.waiters.push(resolve);
    });
  }

  pause(): void {
    this.inlet.pause();
    if (!this.carrierGone) this.holdInput();
  }

  resume(): void {
    this.inlet.resume();
    if (!this.carrierGone) this.releaseInput();
  }

  end(): void {
    if (this.outputEnded) return;
    this.outputEnded = true;
    this.wakeWriters();
    if (!this.carrierGone) this.endOutput();
  }

  close(error?: RpcError): void {
    if (this.closing || this.over) return;
    this.closing = true;
    this.outputEnded = true;
    this.blame(error ?? null);
    this.inlet.kill();
    this.wakeWriters();
    if (this.carrierGone) queueMicrotask(() => this.finish());
    else this.destroy();
  }

  // What the inlet says.

  arriving(): void {
    this.handler!.arriving?.();
  }

  message(frame: Frame): void {
    this.handler!.message(frame);
  }

  faulted(error: RpcError): void {
    this.blame(error);
    // The carrier reads on, into nothing: a peer that is stuck in writing would never come to read our Abort, and a socket
    // closed with unread bytes resets the connection, which takes the Abort along.
    this.handler!.fault(error);
  }

  ended(error: RpcError | null): void {
    this.peerEnded = true;
    this.blame(error);
    if (this.carrierGone) {
      this.finish();
      return;
    }
    this.end();
    this.graceTimer ??= setTimeout(() => this.destroy(), this.settings.grace);
  }

  // What the carrier says.

  /** The carrier has taken these bytes, or never will. */
  protected taken(batch: Batch): void {
    this.unsent -= batch.bytes + WAITING_EACH;
    // Carriers take batches in the order they were given them.
    if (++this.oldest === this.batches.length || this.oldest === COMPACT_AT) {
      this.batches.splice(0, this.oldest);
      this.oldest = 0;
    }
    batch.release();
    this.roomGrew();
  }

  /** Somebody may be waiting for the room that there is now. */
  protected roomGrew(): void {
    if (this.waiters.length > 0 && this.hasRoom()) this.wakeWriters();
  }

  /** Whether somebody waits for room. */
  protected get awaited(): boolean {
    return this.waiters.length > 0;
  }

  /** The carrier is no more. @param error why, when it was not in order. Never from inside a call of the owner's. */
  protected gone(error: RpcError | null): void {
    if (this.carrierGone) return;
    this.carrierGone = true;
    this.outputEnded = true;
    this.wakeWriters();
    if (this.closing || this.peerEnded) this.finish();
    else this.inlet.finish(error);
  }

  /** Closes because the carrier, not the owner, found a reason. */
  protected fail(error: RpcError): void {
    this.blame(error);
    this.close(error);
  }

  /** The first reason stays, an orderly end too: what breaks afterwards is of no interest. */
  private blame(error: RpcError | null): void {
    if (this.cause === undefined) this.cause = error;
  }

  private hasRoom(): boolean {
    return this.outputEnded || this.bufferedBytes <= this.settings.limits.outgoingBytes;
  }

  private wakeWriters(): void {
    const waiters = this.waiters;
    this.waiters = [];
    for (const wake of waiters) wake();
  }

  private finish(): void {
    this.over = true;
    clearTimeout(this.graceTimer);
    this.detach();
    this.blame(null);
    this.handler?.closed(this.cause!);
  }
}
