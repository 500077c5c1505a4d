// Role: a WebSocket as a program holds it: with the events of browsers, in pairs as Workers have them.
// State: whether it was accepted, and how far it is closed. Must not know: where its other end is.

import { invalidArgument } from "../base/checks.js";
import { RpcError } from "../base/errors.js";
import { currentOrigin } from "../base/origin.js";
import type { Scheduler } from "../base/scheduler.js";
import { comeBack, happen } from "./entry.js";
import { MAX_MESSAGE, type Message, SocketEnd } from "./socket-end.js";

/** The end of a {@link PairedWebSocket}: browsers have a class of this name, and Node 20 does not. */
export class SocketCloseEvent extends Event {
  readonly code: number;
  readonly reason: string;
  /** Whether both sides closed it. */
  readonly wasClean: boolean;

  constructor(code: number, reason: string, wasClean: boolean) {
    super("close");
    this.code = code;
    this.reason = reason;
    this.wasClean = wasClean;
  }
}

/** Why a {@link PairedWebSocket} broke; a `close` of 1006 follows. */
export class SocketErrorEvent extends Event {
  readonly error: unknown;
  readonly message: string;

  constructor(error: unknown) {
    super("error");
    this.error = error;
    this.message = RpcError.from(error).message;
  }
}

export interface PairedWebSocketEvents {
  message: MessageEvent<string | ArrayBuffer | Blob>;
  close: SocketCloseEvent;
  error: SocketErrorEvent;
}

/** Bytes that may wait: a program that sends and never looks at `bufferedAmount` meets this. */
const MAX_BUFFERED = 64 * 1024 * 1024;

type Listener<E> = ((event: E) => unknown) | { handleEvent(event: E): unknown };

const encoder = new TextEncoder();

/** The end inside of a socket, for hosts and the rest of this folder. */
export let endOf: (socket: PairedWebSocket) => SocketEnd;
/** A socket around an end. */
export let socketOf: (end: SocketEnd, protocol: string) => PairedWebSocket;
/**
 * Takes what arrives at a socket away from its events: the socket is still sent by, and closed.
 *
 * @param shelf has its attachment from now on. @returns to be called when it is over.
 * @throws RpcError invalid-state when somebody receives from it already.
 */
export let handOver: (socket: PairedWebSocket, shelf: Shelf) => () => void;

/** Where the attachment of a socket is. */
export interface Shelf {
  /** @throws RpcError when it cannot be kept. */
  put(value: unknown): void;
  /** @returns null when there is none. */
  get(): unknown;
}

/** Of a socket that nobody keeps: as it is, until somebody does. */
class OwnShelf implements Shelf {
  private value: unknown = null;

  put(value: unknown): void {
    this.value = value;
  }

  get(): unknown {
    return this.value;
  }
}

/**
 * One end of a WebSocket, as in Workers: what {@link WebSocketPair} has two of, and what `response.webSocket` is. Nothing arrives
 * until `accept()` is called; what was sent before waits.
 *
 * A close is answered with a close of the same code by itself, before the event `close`. When the other side goes without one,
 * there is an `error`, if it is known why, and a `close` of code 1006.
 *
 * @example
 * socket.addEventListener("message", (event) => socket.send(`you said ${event.data}`));
 * socket.accept();
 * Source: the WebSocket of Workers; RFC 6455.
 */
export class PairedWebSocket extends EventTarget {
  static readonly CONNECTING = 0;
  static readonly OPEN = 1;
  static readonly CLOSING = 2;
  static readonly CLOSED = 3;
  declare readonly CONNECTING: 0;
  declare readonly OPEN: 1;
  declare readonly CLOSING: 2;
  declare readonly CLOSED: 3;

  /** What binary messages arrive as. */
  binaryType: "arraybuffer" | "blob" = "arraybuffer";
  onmessage: ((event: PairedWebSocketEvents["message"]) => unknown) | null = null;
  onclose: ((event: SocketCloseEvent) => unknown) | null = null;
  onerror: ((event: SocketErrorEvent) => unknown) | null = null;
  /** The subprotocol that the server chose; empty for none. */
  readonly protocol: string;
  readonly #end: SocketEnd;
  #state: 1 | 2 | 3 = 1;
  #shelf: Shelf | null = null;

  static {
    endOf = (socket) => socket.#end;
    socketOf = (end, protocol) => new PairedWebSocket(end, protocol);
    handOver = (socket, shelf) => {
      const ended = (): void => {
        socket.#state = 3;
      };
      socket.#end.receive({ message() {}, closed: ended, lost: ended });
      const before = socket.#shelf?.get() ?? null;
      socket.#shelf = shelf;
      if (before !== null) shelf.put(before);
      return ended;
    };
    const states = { CONNECTING: 0, OPEN: 1, CLOSING: 2, CLOSED: 3 };
    for (const [name, value] of Object.entries(states))
      Object.defineProperty(this.prototype, name, { value });
  }

  private constructor(end: SocketEnd, protocol: string) {
    super();
    this.#end = end;
    this.protocol = protocol;
  }

  /** {@link OPEN}, {@link CLOSING} when one side has closed it, {@link CLOSED}. */
  get readyState(): number {
    return this.#state;
  }

  /** Bytes sent and not yet taken by whatever is next on the way. */
  get bufferedAmount(): number {
    return this.#end.buffered;
  }

  /**
   * Begins to receive here: messages become events.
   * @throws RpcError invalid-state when it was accepted, or given away in a Response.
   */
  accept(): void {
    // Of an object that a host runs, each of these is an event.
    const scheduler = currentOrigin()?.scheduler ?? null;
    this.#end.receive({
      message: (message) => this.#arrives(message, scheduler),
      closed: (code, reason) => {
        this.#end.close(code, reason);
        happen(scheduler, () => this.#ended(new SocketCloseEvent(code, reason, true)));
      },
      lost: (error) => {
        happen(scheduler, () => {
          if (this.#state === 3) return;
          if (error !== null) this.#tell(new SocketErrorEvent(error));
          this.#ended(new SocketCloseEvent(1006, "", false));
        });
      },
    });
  }

  /**
   * Sends a message, without waiting. Bytes are copied.
   *
   * @throws RpcError invalid-state before `accept()` and after `close()`; limit-exceeded when too much waits
   *   ({@link drained}) or the message is larger than 32 MiB; TypeError for what is no message.
   */
  send(data: string | ArrayBuffer | ArrayBufferView): void {
    if (!this.#end.isReceived)
      throw new RpcError(
        "failed",
        "invalid-state",
        "call accept() on this WebSocket before send()",
      );
    if (this.#state === 2)
      throw new RpcError(
        "failed",
        "invalid-state",
        "this WebSocket was closed: send() comes before close()",
      );
    const message = messageOf(data);
    if (message.length > MAX_MESSAGE)
      throw new RpcError(
        "overloaded",
        "limit-exceeded",
        `a message has at most ${MAX_MESSAGE} bytes`,
      );
    const waiting = this.#end.buffered;
    if (waiting > 0 && waiting + message.length > MAX_BUFFERED) {
      const why = `${MAX_BUFFERED} bytes wait to be sent on this WebSocket: await drained() between messages`;
      throw new RpcError("overloaded", "limit-exceeded", why);
    }
    this.#end.send(message);
  }

  /** Resolves when another message is welcome: less than 64 KiB wait, or the socket is over. */
  async drained(): Promise<void> {
    const origin = currentOrigin();
    await this.#end.drained();
    return new Promise((resolve) => comeBack(origin, resolve, () => resolve()));
  }

  /**
   * Closes this side; `close` arrives once the other side has closed, too.
   *
   * @param code 1000, or 1001 to 4999 but for those that no close frame may have. @param reason at most 123 bytes.
   * @throws RpcError invalid-argument.
   */
  close(code?: number, reason = ""): void {
    if (code !== undefined && !isCloseCode(code))
      throw invalidArgument(`${code} is no code to close a WebSocket with`);
    if (encoder.encode(reason).length > 123 || (code === undefined && reason !== ""))
      throw invalidArgument("a reason has a code and at most 123 bytes");
    if (this.#state === 1) this.#state = 2;
    this.#end.close(code ?? 1005, reason);
  }

  /**
   * Keeps `value` with the socket: what an object attaches to one that `ctx.acceptWebSocket` took is there again after the object
   * was evicted. Until then it is only kept here, as it is.
   *
   * @throws RpcError unstorable-value, limit-exceeded when a host keeps it and it cannot be kept.
   * @example ws.serializeAttachment({ user: "ann" });
   * Source: the WebSocket of Workers.
   */
  serializeAttachment(value: unknown): void {
    (this.#shelf ??= new OwnShelf()).put(value);
  }

  /** What {@link serializeAttachment} kept last, a new copy if a host keeps it; null for nothing. */
  deserializeAttachment(): unknown {
    return this.#shelf?.get() ?? null;
  }

  override addEventListener<K extends keyof PairedWebSocketEvents>(
    type: K,
    listener: Listener<PairedWebSocketEvents[K]> | null,
    options?: AddEventListenerOptions | boolean,
  ): void {
    super.addEventListener(type, listener as EventListener, options);
  }

  override removeEventListener<K extends keyof PairedWebSocketEvents>(
    type: K,
    listener: Listener<PairedWebSocketEvents[K]> | null,
    options?: EventListenerOptions | boolean,
  ): void {
    super.removeEventListener(type, listener as EventListener, options);
  }

  #arrives(message: Message, scheduler: Scheduler | null): Promise<void> | void {
    if (scheduler === null) return this.#received(message);
    return new Promise((resolve, reject) => {
      const received = (): void => {
        resolve();
        this.#received(message);
      };
      happen(scheduler, received, reject);
    });
  }

  #received(message: Message): void {
    const { binaryType } = this;
    const data =
      typeof message === "string"
        ? message
        : binaryType === "blob"
          ? new Blob([message as Uint8Array<ArrayBuffer>])
          : bufferOf(message);
    this.#tell(new MessageEvent("message", { data }));
  }

  #ended(event: SocketCloseEvent): void {
    this.#state = 3;
    this.#tell(event);
  }

  /** A handler set by name is the last listener. */
  #tell(event: Event): void {
    const handler = this[`on${event.type}` as "onmessage"];
    if (handler !== null)
      super.addEventListener(event.type, handler as unknown as EventListener, { once: true });
    this.dispatchEvent(event);
  }
}

function messageOf(data: unknown): Message {
  if (typeof data === "string") return data;
  if (data instanceof ArrayBuffer) return new Uint8Array(data.slice(0));
  if (ArrayBuffer.isView(data))
    return new Uint8Array(data.buffer, data.byteOffset, data.byteLength).slice();
  throw new TypeError("a message is a string, an ArrayBuffer or a view on one");
}

/** The bytes of a message as programs get them. */
export function bufferOf(bytes: Uint8Array): ArrayBuffer {
  const { buffer } = bytes;
  return bytes.byteLength === buffer.byteLength && buffer instanceof ArrayBuffer
    ? buffer
    : (bytes.slice().buffer as ArrayBuffer);
}

/** Whether a close frame may have this code (RFC 6455, 7.4). */
export function isCloseCode(code: number): boolean {
  if (!Number.isInteger(code) || code < 1000 || code > 4999) return false;
  return code !== 1004 && code !== 1005 && code !== 1006 && code !== 1015;
}

/**
 * Two WebSockets that are each other's other side. Give one away in a Response of status 101, and accept the other.
 *
 * @example
 * const { 0: client, 1: server } = new WebSocketPair();
 * server.accept();
 * return new Response(null, { status: 101, webSocket: client });
 * Source: the class of Workers.
 */
export class WebSocketPair {
  readonly 0: PairedWebSocket;
  readonly 1: PairedWebSocket;

  constructor() {
    const [a, b] = SocketEnd.pair();
    this[0] = socketOf(a, "");
    this[1] = socketOf(b, "");
  }
}
