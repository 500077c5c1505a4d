// Role: one end of a WebSocket: what was sent to it and not yet taken, in order, and who takes it.
// State: the queue; which of both sides has closed. Must not know: events, capabilities, frames.
//
// A WebSocket is two ends, each of which is the other's `peer`. Behind an end is the program (websocket.ts), a capability
// (socket-link.ts) or a connection of Node's (front-socket.node.ts). All that is between any two of them is here.

import { RpcError } from "../base/errors.js";
import { Fifo } from "../base/fifo.js";

export type Message = string | Uint8Array;

/** What takes what arrives at an end, one thing after the other. */
export interface Receiver {
  /** @returns settles when it was taken, if not at once; only then comes the next. A rejection breaks the socket. */
  message(message: Message): Promise<void> | void;
  /** The peer sends nothing after this. @param code 1005 when the peer gave none. */
  closed(code: number, reason: string): void;
  /** Nothing more comes, and nobody closed it. @param error null when no more is known. */
  lost(error: unknown): void;
}

type Arrival =
  | { readonly kind: "message"; readonly message: Message; readonly bytes: number }
  | { readonly kind: "closed"; readonly code: number; readonly reason: string }
  | { readonly kind: "lost"; readonly error: unknown };

/** While so many bytes or fewer wait at the other end, more is welcome. */
const LOW_BYTES = 64 * 1024;

/** Bytes of the largest message, by default. */
export const MAX_MESSAGE = 32 * 1024 * 1024;

/** What an empty message costs to keep. */
const MESSAGE_COST = 64;

function costOf(message: Message): number {
  return MESSAGE_COST + (typeof message === "string" ? 2 * message.length : message.byteLength);
}

export class SocketEnd {
  private peer!: SocketEnd;
  private receiver: Receiver | null = null;
  private inbox = new Fifo<Arrival>();
  private inboxBytes = 0;
  private delivering = false;
  private sentClose = false;
  private dead = false;
  private waiting: (() => void)[] = [];

  static pair(): readonly [SocketEnd, SocketEnd] {
    const ends = [new SocketEnd(), new SocketEnd()] as const;
    ends[0].peer = ends[1];
    ends[1].peer = ends[0];
    return ends;
  }

  /** The other end. */
  get other(): SocketEnd {
    return this.peer;
  }

  /** Whether anything sent here still goes somewhere. */
  get isOpen(): boolean {
    return !this.sentClose && !this.dead;
  }

  /** Whether somebody takes what arrives. */
  get isReceived(): boolean {
    return this.receiver !== null;
  }

  /** Bytes sent here that the other side has not taken. */
  get buffered(): number {
    return this.peer.inboxBytes;
  }

  /** Whether so much waits that more should not come before {@link drained}. */
  get isFull(): boolean {
    return this.buffered > LOW_BYTES;
  }

  /** Begins to take what has arrived and will. Once. */
  receive(receiver: Receiver): void {
    if (this.receiver !== null)
      throw new RpcError(
        "failed",
        "invalid-state",
        "somebody receives from this WebSocket already",
      );
    this.receiver = receiver;
    this.deliver();
  }

  /** Sends to the peer. Nothing happens after the end. Who sends what others bring waits for {@link drained}. */
  send(message: Message): void {
    if (this.isOpen) this.peer.arrived({ kind: "message", message, bytes: costOf(message) });
  }

  /** Resolves once more is welcome at the other side, or nothing is ever again. */
  drained(): Promise<void> {
    if (!this.isFull || this.dead) return Promise.resolve();
    return new Promise((resolve) => this.waiting.push(resolve));
  }

  /** Sends the end, after all messages. Idempotent. */
  close(code: number, reason: string): void {
    if (!this.isOpen) return;
    this.sentClose = true;
    this.peer.arrived({ kind: "closed", code, reason });
  }

  /** Breaks both ends: the peer hears of it after what it was sent, this one does not. Idempotent. */
  lose(error: unknown): void {
    if (this.dead) return;
    this.dead = true;
    this.wake();
    this.peer.arrived({ kind: "lost", error });
  }

  private arrived(arrival: Arrival): void {
    if (this.dead) return;
    this.inbox.push(arrival);
    if (arrival.kind === "message") this.inboxBytes += arrival.bytes;
    if (this.receiver !== null) this.deliver();
  }

  private deliver(): void {
    if (this.delivering) return;
    this.delivering = true;
    void this.run(this.receiver!);
  }

  /** Never rejects. */
  private async run(receiver: Receiver): Promise<void> {
    // A turn of its own: whoever sends does not run what receives.
    await Promise.resolve();
    for (let next = this.inbox.take(); next !== undefined; next = this.inbox.take()) {
      if (next.kind === "lost") {
        this.dead = true;
        receiver.lost(next.error);
        this.wake();
        break;
      }
      if (next.kind === "closed") {
        receiver.closed(next.code, next.reason);
        continue;
      }
      try {
        await receiver.message(next.message);
      } catch (error) {
        this.inbox = new Fifo();
        this.inboxBytes = 0;
        this.lose(error);
        receiver.lost(error);
        break;
      }
      this.inboxBytes -= next.bytes;
      if (this.inboxBytes <= LOW_BYTES) this.peer.wake();
    }
    this.delivering = false;
  }

  private wake(): void {
    const { waiting } = this;
    this.waiting = [];
    for (const resolve of waiting) resolve();
  }
}
