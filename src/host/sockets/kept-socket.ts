// Role: a WebSocket that an object has accepted for longer than its activation: what arrives becomes events, and wakes it.
// State: the end that the client is joined to; tags, attachment, when it was answered without the object; how far it is closed.
// Must not know: activations, what the object holds of it.

import { RpcError } from "../../base/errors.js";
import { type Message, type Receiver, SocketEnd } from "../../http/socket-end.js";
import type { Bytes } from "../storage/store.js";
import type { WebSocketRequestResponsePair } from "./auto-response.js";

/** How a socket came to its end. */
export type SocketOver =
  | { readonly code: number; readonly reason: string; readonly wasClean: boolean }
  | { readonly error: unknown };

/** Whoever has all sockets of one object. */
export interface SocketOwner {
  readonly autoResponse: WebSocketRequestResponsePair | null;
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** @returns resolves when the object was given it, or never will be. */
  message(socket: KeptSocket, message: Message): Promise<void>;
  /** Nothing comes after it. */
  over(socket: KeptSocket, over: SocketOver): void;
}

/** What Workers say of a client that goes without a word. */
const NO_CLOSE = "WebSocket disconnected without sending Close frame.";

export class KeptSocket implements Receiver {
  readonly tags: readonly string[];
  /** What the client is joined to. */
  readonly outer: SocketEnd;
  /** A stored value. */
  attachment: Bytes | null = null;
  /** Lets go of whom the attachment holds. */
  root: (() => void) | null = null;
  /** When a message was last answered without the object: milliseconds since the epoch. */
  answeredAt: number | null = null;
  /** Whether the object has closed it. */
  closing = false;
  /** How it ended; null while it has not. */
  ended: SocketOver | null = null;
  private readonly owner: SocketOwner;
  private readonly inner: SocketEnd;

  constructor(owner: SocketOwner, tags: readonly string[]) {
    this.owner = owner;
    this.tags = tags;
    [this.inner, this.outer] = SocketEnd.pair();
  }

  /** Begins to take what the client sends. Once. */
  open(): void {
    this.inner.receive(this);
  }

  /** Sends to the client. @returns settles when another message is welcome, if it is not now. */
  send(message: Message): Promise<void> | void {
    this.inner.send(message);
    if (this.inner.isFull) return this.inner.drained();
  }

  /** The object closes it. The object hears of the end when the client has closed it, too. */
  close(code: number, reason: string): void {
    this.closing = true;
    this.inner.close(code, reason);
  }

  /** Closes it without the object, which hears no more of it. Nothing after its end. */
  drop(code: number, reason: string): void {
    if (this.ended !== null) return;
    this.ended = { code, reason, wasClean: false };
    this.inner.close(code, reason);
  }

  message(message: Message): Promise<void> | void {
    if (this.ended !== null) return;
    const { autoResponse, now } = this.owner;
    if (autoResponse === null || message !== autoResponse.request)
      return this.owner.message(this, message);
    this.answeredAt = now;
    return this.send(autoResponse.response);
  }

  closed(code: number, reason: string): void {
    this.inner.close(code, reason);
    this.end({ code, reason, wasClean: true });
  }

  lost(error: unknown): void {
    const gone = error === null || RpcError.of(error)?.type === "disconnected";
    this.end(gone ? { code: 1006, reason: NO_CLOSE, wasClean: false } : { error });
  }

  private end(over: SocketOver): void {
    if (this.ended !== null) return;
    this.ended = over;
    this.owner.over(this, over);
  }
}
