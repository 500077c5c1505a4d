// Role: a transport on any WebSocket that looks like the browser's.
// State: the listeners on it, and one timer while somebody waits for room. Must not know: Node.

import type { RpcError } from "../base/errors.js";
import type { Batch } from "../wire/outbox.js";
import { malformed } from "../wire/frame.js";
import { BaseTransport } from "./base-transport.js";
import { Framing } from "./inlet.js";
import {
  connectionLost,
  type Timer,
  transportSettings,
  type TransportOptions,
} from "./transport.js";
import { unitsOf } from "./units.js";

/**
 * The subprotocol under which one binary frame may hold many whole messages. Without it each holds exactly one, as
 * other implementations expect (C-FRM-19).
 */
export const BATCH_PROTOCOL = "capnp-rpc.batch";

/** How often `bufferedAmount` is looked at while somebody waits for room: the browser has no event for it. */
const POLL_MS = 5;

/** The part of a WebSocket that is used. */
export interface WebSocketLike {
  binaryType: string;
  readonly readyState: number;
  readonly bufferedAmount: number;
  readonly protocol: string;
  send(data: Uint8Array<ArrayBuffer>): void;
  close(code?: number, reason?: string): void;
  addEventListener(type: string, listener: (event: never) => void): void;
  removeEventListener(type: string, listener: (event: never) => void): void;
}

export interface WebSocketOptions extends TransportOptions {
  /**
   * Whether {@link BATCH_PROTOCOL} was agreed on. By default it is as the socket says; a server whose end of the socket
   * says nothing, such as a Worker's WebSocketPair, knows what it answered.
   */
  readonly batch?: boolean | undefined;
}

/** Close codes: in order, and for a reason of ours (the browser allows no code below 3000 but this one). */
export const NORMAL = 1000;
const FAILED = 4000;

/** Codes by which a peer ends in order: normal, going away, none given. */
const ORDERLY = new Set([NORMAL, 1001, 1005]);

/** What a close of this code is to the transport called `name`: null when it is an end in order. */
export function closeError(name: string, code: number, reason = ""): RpcError | null {
  if (ORDERLY.has(code)) return null;
  const why = reason === "" ? "" : `: ${reason}`;
  return connectionLost(name, `the WebSocket was closed with code ${code}${why}`);
}

/** What a message of text is. */
export function textRefused(): RpcError {
  return malformed("a WebSocket frame of text: every message is one binary frame");
}

/**
 * Messages over an open WebSocket; owns it from now on. Make it in the `open` event at the latest: what arrives before
 * nobody holds.
 *
 * A browser's WebSocket can be neither paused nor probed: what arrives during a pause is kept here, up to
 * `limits.withheldCallBytes`; that a server died without a word is noticed by the browser or by the session's timeout.
 *
 * @example
 * socket.addEventListener("open", () => start(new WebSocketTransport("ws", socket)));
 */
export class WebSocketTransport extends BaseTransport {
  private readonly socket: WebSocketLike;
  private poll: Timer | undefined;
  private failed = false;

  constructor(name: string, socket: WebSocketLike, options?: WebSocketOptions) {
    const batch = options?.batch ?? socket.protocol === BATCH_PROTOCOL;
    const framing = batch ? Framing.batch : Framing.single;
    super(name, framing, transportSettings(options));
    this.socket = socket;
    // From the beginning: the inlet keeps what comes before `start`.
    socket.binaryType = "arraybuffer";
    socket.addEventListener("message", this.onMessage);
    socket.addEventListener("close", this.onClose);
    // It says nothing that the close after it does not; in Node, one that nobody hears ends the process.
    socket.addEventListener("error", () => {});
  }

  get batching(): boolean {
    return this.inlet.framing === Framing.batch;
  }

  override get bufferedBytes(): number {
    return this.socket.bufferedAmount;
  }

  override whenWritable(): Promise<void> {
    const room = super.whenWritable();
    if (this.awaited) this.poll ??= setTimeout(this.onPoll, POLL_MS);
    return room;
  }

  override close(error?: RpcError): void {
    this.failed ||= error !== undefined;
    super.close(error);
  }

  protected open(): void {}

  protected send(batch: Batch): void {
    for (const unit of unitsOf(batch, this.batching)) this.socket.send(unit);
    // The socket has copied the bytes; how many it still holds is for it to say.
    this.taken(batch);
  }

  protected endOutput(): void {
    this.socket.close(NORMAL);
  }

  protected destroy(): void {
    this.socket.close(this.failed ? FAILED : NORMAL);
    // The close event may take as long as the peer likes.
    queueMicrotask(() => this.gone(null));
  }

  protected holdInput(): void {}

  protected releaseInput(): void {}

  protected detach(): void {
    clearTimeout(this.poll);
    this.socket.removeEventListener("message", this.onMessage);
    this.socket.removeEventListener("close", this.onClose);
  }

  private accept(unit: Uint8Array): void {
    this.receivedBytes += unit.length;
    this.inlet.accept(unit);
  }

  private readonly onMessage = (event: { data: unknown }): void => {
    const { data } = event;
    if (data instanceof ArrayBuffer) this.accept(new Uint8Array(data));
    else if (data instanceof Uint8Array) this.accept(data);
    else this.inlet.refuse(textRefused());
  };

  private readonly onClose = (event: { code: number; reason: string }): void => {
    const error = closeError(this.name, event.code, event.reason);
    if (error === null) this.inlet.finish(null);
    this.gone(error);
  };

  private readonly onPoll = (): void => {
    this.roomGrew();
    this.poll = this.awaited ? setTimeout(this.onPoll, POLL_MS) : undefined;
  };
}
