// Role: a transport on a MessagePort, of worker threads or of a browser.
// State: what each side has said of itself, and how many bytes the peer has taken. Must not know: Node, workers.
//
// A unit is an ArrayBuffer. The first message of each side is HELLO: it says that this side reads units of many messages,
// answers pings and marks. To a peer that never says it (a bare port of someone else's) units of one message go, and no
// control message but that HELLO and the last one.

import type { RpcError } from "../base/errors.js";
import { WAITING_EACH } from "../base/limits.js";
import { malformed } from "../wire/frame.js";
import type { Batch } from "../wire/outbox.js";
import { BaseTransport } from "./base-transport.js";
import { Heartbeat, type HeartbeatOwner } from "./heartbeat.js";
import { Framing } from "./inlet.js";
import {
  connectionLost,
  peerUnresponsive,
  transportSettings,
  type TransportOptions,
} from "./transport.js";
import { unitsOf } from "./units.js";

/** The part of a MessagePort that is used. */
export interface MessagePortLike {
  postMessage(message: unknown, transfer: ArrayBuffer[]): void;
  start?(): void;
  close(): void;
  addEventListener(type: string, listener: (event: never) => void): void;
  removeEventListener(type: string, listener: (event: never) => void): void;
}

/** What is said beside units. A mark asks to be told, by an ack, that all before it was read. */
type Control =
  | { readonly capnp: "hello" | "ping" | "pong" | "end" }
  | { readonly capnp: "mark" | "ack"; readonly bytes: number };

/** How much may be under way before the peer is asked how far it has read: a port itself does not say. */
const MARK_BYTES = 64 * 1024;

/**
 * Messages over a MessagePort; owns it from now on.
 *
 * @example
 * const { port1, port2 } = new MessageChannel();
 * worker.postMessage(port2, [port2]);
 * const transport = new MessagePortTransport("worker", port1);
 */
export class MessagePortTransport extends BaseTransport implements HeartbeatOwner {
  /** Messages of any kind that came. */
  signsOfLife = 0;
  readonly expecting = true;
  private readonly port: MessagePortLike;
  private readonly heartbeat: Heartbeat;
  private greeted = false;
  /** Bytes posted in all, {@link WAITING_EACH} for each batch with them, those up to the last mark, those up to the last ack. */
  private posted = 0;
  private marked = 0;
  private acked = 0;
  private holding = false;
  /** An ack that waits for the pause to end, or -1. */
  private owedAck = -1;

  constructor(name: string, port: MessagePortLike, options?: TransportOptions) {
    // This side's HELLO allows units of many messages, so they may come from now on.
    super(name, Framing.batch, transportSettings(options));
    this.port = port;
    this.heartbeat = new Heartbeat(this, this.settings);
    port.addEventListener("close", this.onClose);
    this.say({ capnp: "hello" });
  }

  get batching(): boolean {
    return this.greeted;
  }

  override get bufferedBytes(): number {
    return this.marked - this.acked;
  }

  override whenWritable(): Promise<void> {
    const room = super.whenWritable();
    if (this.awaited) this.mark();
    return room;
  }

  probe(): void {
    this.say({ capnp: "ping" });
  }

  silent(): void {
    this.fail(
      peerUnresponsive(this.name, "the other side answers no heartbeat; is it busy or gone?"),
    );
  }

  protected open(): void {
    const { port } = this;
    port.addEventListener("message", this.onMessage);
    port.addEventListener("messageerror", this.onMessageError);
    port.start?.();
  }

  protected send(batch: Batch): void {
    for (const unit of unitsOf(batch, this.greeted, true))
      this.port.postMessage(unit.buffer, [unit.buffer]);
    this.posted += batch.bytes + WAITING_EACH;
    if (this.posted - this.marked >= MARK_BYTES) this.mark();
    this.taken(batch);
  }

  protected endOutput(): void {
    this.say({ capnp: "end" });
  }

  override ended(error: RpcError | null): void {
    super.ended(error);
    this.letGo();
  }

  protected destroy(): void {
    this.endOutput();
    this.letGo();
  }

  protected holdInput(): void {
    this.holding = true;
  }

  protected releaseInput(): void {
    this.holding = false;
    if (this.owedAck >= 0) this.say({ capnp: "ack", bytes: this.owedAck });
    this.owedAck = -1;
  }

  protected detach(): void {
    this.heartbeat.stop();
    const { port } = this;
    port.removeEventListener("message", this.onMessage);
    port.removeEventListener("messageerror", this.onMessageError);
    port.removeEventListener("close", this.onClose);
  }

  private letGo(): void {
    this.port.close();
    // Browsers have no event, or a late one, for it.
    queueMicrotask(() => this.gone(null));
  }

  private say(control: Control): void {
    this.port.postMessage(control, []);
  }

  private mark(): void {
    if (!this.greeted || this.marked === this.posted) return;
    this.marked = this.posted;
    this.say({ capnp: "mark", bytes: this.marked });
  }

  private readonly onMessage = (event: { data: unknown }): void => {
    const { data } = event;
    this.signsOfLife++;
    if (data instanceof ArrayBuffer) this.accept(new Uint8Array(data));
    else if (data instanceof Uint8Array) this.accept(data);
    else if (isControl(data)) this.heed(data);
    else this.inlet.refuse(malformed("a port message that is neither bytes nor a control message"));
  };

  private accept(unit: Uint8Array): void {
    this.receivedBytes += unit.length;
    this.inlet.accept(unit);
  }

  private heed(control: Control): void {
    switch (control.capnp) {
      case "hello":
        if (!this.greeted) this.heartbeat.start();
        this.greeted = true;
        break;
      case "ping":
        this.say({ capnp: "pong" });
        break;
      case "pong":
        break;
      case "end":
        this.inlet.finish(null);
        break;
      case "mark":
        if (this.holding) this.owedAck = control.bytes;
        else this.say({ capnp: "ack", bytes: control.bytes });
        break;
      case "ack":
        if (control.bytes > this.acked && control.bytes <= this.marked) this.acked = control.bytes;
        this.roomGrew();
        if (this.awaited) this.mark();
    }
  }

  private readonly onMessageError = (): void => {
    this.inlet.refuse(malformed("a port message that cannot be read"));
  };

  private readonly onClose = (): void => {
    this.gone(connectionLost(this.name, "the other side of the port is gone"));
  };
}

const WITH_BYTES = new Set(["mark", "ack"]);
const BARE = new Set(["hello", "ping", "pong", "end"]);

function isControl(data: unknown): data is Control {
  if (typeof data !== "object" || data === null || !("capnp" in data)) return false;
  const { capnp } = data as { capnp: unknown };
  if (BARE.has(capnp as string)) return true;
  const { bytes } = data as { bytes?: unknown };
  return WITH_BYTES.has(capnp as string) && typeof bytes === "number" && bytes >= 0;
}
