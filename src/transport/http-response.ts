// Role: the answering half of an HTTP batch: hands over the messages of one request, gathers those of its response.
// State: the response so far. Must not know: what a message says, HTTP servers.

import type { RpcError } from "../base/errors.js";
import type { Batch } from "../wire/outbox.js";
import { BaseTransport } from "./base-transport.js";
import { Framing } from "./inlet.js";
import { type TransportOptions, transportSettings } from "./transport.js";
import { unitsOf } from "./units.js";

/**
 * Messages of one request, whose end is not the end: it ends when its owner calls `end`, once everything is answered.
 *
 * @example
 * const transport = new HttpResponseTransport("batch", body);
 * transport.start(handler);
 * const response = await transport.response;
 */
export class HttpResponseTransport extends BaseTransport {
  /** The body of the response, once all is answered. Never rejects. */
  readonly response: Promise<readonly Uint8Array[]>;
  /** Told when the last message of the request was handed over. */
  onInputEnd: (() => void) | null = null;
  private readonly answered: (pieces: readonly Uint8Array[]) => void;
  private readonly request: Uint8Array;
  private readonly pieces: Uint8Array[] = [];
  private bytes = 0;
  private heard = false;

  /** @param request the whole body; it must not change. */
  constructor(name: string, request: Uint8Array, options?: TransportOptions) {
    // Whole messages, or it is malformed: what was cut off on the way is not half answered.
    super(name, Framing.batch, transportSettings(options));
    let answered!: (pieces: readonly Uint8Array[]) => void;
    this.response = new Promise((resolve) => {
      answered = resolve;
    });
    this.answered = answered;
    this.request = request;
  }

  get batching(): boolean {
    return true;
  }

  /** All of the response: nothing of it is taken before its end. */
  override get bufferedBytes(): number {
    return this.bytes;
  }

  /** Whether every message of the request was handed over. */
  get inputEnded(): boolean {
    return this.heard;
  }

  override ended(error: RpcError | null): void {
    if (error !== null) {
      super.ended(error);
      return;
    }
    this.heard = true;
    this.onInputEnd?.();
  }

  protected open(): void {
    this.receivedBytes = this.request.length;
    this.inlet.accept(this.request);
    this.inlet.finish(null);
  }

  protected send(batch: Batch): void {
    this.bytes += batch.bytes;
    for (const unit of unitsOf(batch, true, true)) this.pieces.push(unit);
    this.taken(batch);
  }

  protected endOutput(): void {
    this.answered(this.pieces);
    queueMicrotask(() => this.close());
  }

  protected destroy(): void {
    this.answered(this.pieces);
    queueMicrotask(() => this.gone(null));
  }

  protected holdInput(): void {}

  protected releaseInput(): void {}

  protected detach(): void {}
}
