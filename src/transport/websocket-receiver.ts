// Role: the receiving half of a WebSocket: bytes as they were read, to messages and control frames.
// State: the header being read; the part of a message that has come. Must not know: sockets, or what messages hold.

import { type FrameMemory, giveAside, takeAside } from "../wire/frame-memory.js";
import { mask } from "./websocket-mask.js";

/** What a receiver tells, in the order of the bytes. None of these may call the receiver, but for `discard`. */
export interface ReceiverOwner {
  /**
   * A message of bytes, from `at` to `end` of `memory`, which may change as soon as this returns.
   * @param view on `memory`. @param own `memory` came from the receiver's {@link FrameMemory}, and is the owner's from now on.
   */
  unit(memory: Uint8Array, view: DataView, at: number, end: number, own: boolean): void;
  /** A message of text, which nobody here reads. */
  text(): void;
  /** @param payload as short-lived as the bytes of `unit`. */
  ping(payload: Uint8Array): void;
  /** The peer's close frame, the last that is read. @param code 1005 when it named none. */
  closeFrame(code: number, reason: string): void;
  /** The peer broke the rules, and nothing more is read. @param code what to close with. @param what for people. */
  broken(code: number, what: string): void;
}

/** Close codes for what a peer did wrong. Source: RFC 6455, section 7.4.1. */
const PROTOCOL_ERROR = 1002;
const NOT_UTF8 = 1007;
const TOO_LARGE = 1009;
const NO_CODE = 1005;

/** Opcodes, and the bit that tells control frames. */
const CONTINUATION = 0;
const TEXT = 1;
const BINARY = 2;
const CLOSE = 8;
const PING = 9;
const PONG = 10;
const CONTROL = 8;
const CONTROL_BYTES = 125;

/** Messages up to this size that come in parts share one buffer. */
const KEPT_BYTES = 4096;
/** What is allocated at once on a header's word alone; beyond, the buffer grows with what came (C-FRM-07). */
const EAGER_BYTES = 128 * 1024;
/** The rest of a frame of this size is worth a read of its own, straight to where it belongs. */
const DIRECT_BYTES = 16 * 1024;
/** What such a read may take besides: the header of the next frame, and the beginning of what it holds. */
const BESIDE_BYTES = 4096;

/**
 * Cuts what was read from a WebSocket. No extension is known to it, so every reserved bit is a fault.
 *
 * A message that lies inside what was read is unmasked there and not copied; of a larger one the rest is read to where it
 * stays ({@link space}). Whatever the bytes are, what is held is at most twice what came, and 128 KiB.
 *
 * Source: RFC 6455, sections 5 and 7.4.
 */
export class WebSocketReceiver {
  private readonly owner: ReceiverOwner;
  private readonly memory: FrameMemory;
  private readonly masked: boolean;
  private readonly maxBytes: number;
  /** The header of the current frame as far as it came; `need` bytes finish the stage: two bytes, the length, the key. */
  private readonly head = new Uint8Array(14);
  private have = 0;
  private need = 2;
  /** Whether the header is whole, and what it said. */
  private inFrame = false;
  private opcode = 0;
  private last = false;
  private length = 0;
  /** Bytes of the frame's payload that have not come. */
  private left = 0;
  /** Of the current message: whether it is text or bytes, 0 between messages; and bytes announced so far. */
  private kind = 0;
  private total = 0;
  /** Bytes of the message before. */
  private lastTotal = 0;
  /** What came of it, when that is not all in one piece. */
  private gathered: Uint8Array | null = null;
  private filledTo = 0;
  /** What {@link KEPT_BYTES} says. */
  private kept: Uint8Array | null = null;
  private control: Uint8Array | null = null;
  private discarding = false;
  private over = false;

  /**
   * @param memory for messages that come in several reads. @param masked whether the peer is a client, who must mask.
   * @param maxBytes of a message.
   */
  constructor(owner: ReceiverOwner, memory: FrameMemory, masked: boolean, maxBytes: number) {
    this.owner = owner;
    this.memory = memory;
    this.masked = masked;
    this.maxBytes = maxBytes;
  }

  /** From now on messages are thrown away; control frames are told. */
  discard(): void {
    this.discarding = true;
    this.forget();
  }

  /** Takes the first `end` bytes of `bytes`, which are unmasked in place. @param view on `bytes`, which are plain. */
  take(bytes: Uint8Array, view: DataView, end: number): void {
    for (let at = 0; at < end && !this.over;)
      at = this.inFrame ? this.payload(bytes, view, at, end) : this.header(bytes, at, end);
  }

  /** Where the next bytes should be put, to be told by {@link filled}; null: anywhere. Changes with every call here. */
  get space(): Uint8Array | null {
    if (this.left < DIRECT_BYTES || this.passing || this.over) return null;
    const from = this.filledTo;
    this.reserve(from + 1);
    const memory = this.gathered!;
    return memory.subarray(from, Math.min(memory.length, from + this.left + BESIDE_BYTES));
  }

  /**
   * How many bytes are worth reading to where they cannot stay, when there is no {@link space}. Behind a large message another
   * is expected: of that only the beginning, so that the rest goes to its place. Else one that fills a read would be copied
   * whole, and so would all behind it: each read would end shortly before a message does.
   */
  get worthCopying(): number {
    return this.lastTotal < DIRECT_BYTES ? Infinity : this.left + BESIDE_BYTES;
  }

  /** Takes the first `count` bytes, at least 1, of `into`, which is the latest {@link space}; else as {@link take}. */
  filled(into: Uint8Array, count: number): void {
    const memory = this.gathered;
    if (memory === null) {
      // The message was given up in the meantime.
      this.take(into, new DataView(into.buffer, into.byteOffset, into.length), count);
      return;
    }
    const from = this.filledTo;
    const part = Math.min(count, this.left);
    // Set aside first: from then on the memory is the message's.
    const rest = count - part;
    const beside = rest > 0 ? takeAside(memory.subarray(from + part, from + part + rest)) : null;
    this.unmask(memory, from, from + part);
    this.filledTo += part;
    this.left -= part;
    if (this.left > 0) return;
    this.frameEnds();
    if (beside === null) return;
    this.take(beside, new DataView(beside.buffer), rest);
    giveAside(beside);
  }

  /** Whether the payload of this frame is read by nobody. */
  private get passing(): boolean {
    return this.discarding || this.kind === TEXT;
  }

  private header(bytes: Uint8Array, at: number, end: number): number {
    const { head } = this;
    while (at < end && !this.inFrame && !this.over) {
      head[this.have++] = bytes[at++]!;
      if (this.have === this.need) this.stage();
    }
    return at;
  }

  /** A stage of the header is there. */
  private stage(): void {
    const { head, have } = this;
    const short = head[1]! & 0x7f;
    if (have === 2) {
      if (!this.begins(head[0]!, head[1]!, short)) return;
      if (short > 125) {
        this.need = short === 126 ? 4 : 10;
        return;
      }
      this.length = short;
    }
    const before = short < 126 ? 2 : short === 126 ? 4 : 10;
    if (have === before) {
      if (before > 2) this.length = readLength(head, before);
      if (!this.fits()) return;
      if (this.masked) {
        this.need = before + 4;
        return;
      }
    }
    this.inFrame = true;
    this.left = this.length;
    if (this.left === 0) this.frameEnds();
  }

  /** Checks the first two bytes. */
  private begins(first: number, second: number, length: number): boolean {
    const opcode = first & 15;
    const last = first >= 0x80;
    if ((first & 0x70) !== 0) return this.fails(PROTOCOL_ERROR, "a reserved bit is set");
    if ((opcode & CONTROL) !== 0) {
      if (opcode > PONG) return this.fails(PROTOCOL_ERROR, `there is no opcode ${opcode}`);
      if (!last) return this.fails(PROTOCOL_ERROR, "a control frame is a fragment");
      if (length > CONTROL_BYTES || (opcode === CLOSE && length === 1))
        return this.fails(PROTOCOL_ERROR, "a control frame of a length that none has");
    } else if (opcode === CONTINUATION) {
      if (this.kind === 0) return this.fails(PROTOCOL_ERROR, "a fragment continues no message");
    } else {
      if (opcode > BINARY) return this.fails(PROTOCOL_ERROR, `there is no opcode ${opcode}`);
      if (this.kind !== 0)
        return this.fails(PROTOCOL_ERROR, "a message begins before the last one has ended");
      this.kind = opcode;
    }
    if (second >= 0x80 !== this.masked)
      return this.fails(
        PROTOCOL_ERROR,
        this.masked ? "a client's frame is not masked" : "a server's frame is masked",
      );
    this.opcode = opcode;
    this.last = last;
    return true;
  }

  /** Checks the length. */
  private fits(): boolean {
    if ((this.opcode & CONTROL) !== 0) return true;
    this.total += this.length;
    return (
      this.total <= this.maxBytes ||
      this.fails(
        TOO_LARGE,
        `a message of over ${this.maxBytes} bytes, which is what the limits allow`,
      )
    );
  }

  private payload(bytes: Uint8Array, view: DataView, at: number, end: number): number {
    const part = Math.min(this.left, end - at);
    const to = at + part;
    if ((this.opcode & CONTROL) !== 0) {
      this.control ??= new Uint8Array(CONTROL_BYTES);
      this.control.set(bytes.subarray(at, to), this.length - this.left);
    } else if (!this.passing) {
      if (part === this.total && this.last) {
        this.unmask(bytes, at, to);
        this.left = 0;
        this.messageEnds();
        this.owner.unit(bytes, view, at, to, false);
        return to;
      }
      const from = this.filledTo;
      this.reserve(from + part);
      this.gathered!.set(bytes.subarray(at, to), from);
      this.unmask(this.gathered!, from, from + part);
      this.filledTo += part;
    }
    this.left -= part;
    if (this.left === 0) this.frameEnds();
    return to;
  }

  /** Unmasks bytes of the payload that have just come. */
  private unmask(bytes: Uint8Array, from: number, to: number): void {
    if (this.masked) mask(bytes, from, to, this.head, this.have - 4, (this.length - this.left) & 3);
  }

  /** All of the frame has come. */
  private frameEnds(): void {
    if ((this.opcode & CONTROL) !== 0) {
      this.nextFrame();
      this.controlled();
      return;
    }
    if (!this.last) {
      this.nextFrame();
      return;
    }
    const { kind, gathered: memory, filledTo: end, passing } = this;
    this.messageEnds();
    if (kind === TEXT) {
      if (!this.discarding) this.owner.text();
    } else if (!passing) this.handOver(memory, end);
  }

  private handOver(gathered: Uint8Array | null, end: number): void {
    const memory = gathered ?? new Uint8Array(0);
    const own = gathered !== null && gathered !== this.kept;
    this.owner.unit(memory, new DataView(memory.buffer), 0, end, own);
  }

  private messageEnds(): void {
    this.kind = 0;
    this.lastTotal = this.total;
    this.total = 0;
    this.forget();
    this.nextFrame();
  }

  private nextFrame(): void {
    this.inFrame = false;
    this.have = 0;
    this.need = 2;
  }

  private controlled(): void {
    const { opcode, length } = this;
    const payload = this.control?.subarray(0, length) ?? new Uint8Array(0);
    // The header is not overwritten before the next byte.
    if (this.masked && length > 0) mask(payload, 0, length, this.head, 2, 0);
    if (opcode === PING) this.owner.ping(payload);
    else if (opcode === CLOSE) this.closes(payload);
  }

  private closes(payload: Uint8Array): void {
    if (payload.length === 0) return this.ends(NO_CODE, "");
    const code = payload[0]! * 256 + payload[1]!;
    if (!isCloseCode(code)) {
      this.fails(PROTOCOL_ERROR, `there is no close code ${code}`);
      return;
    }
    let reason: string;
    try {
      reason = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(
        payload.subarray(2),
      );
    } catch {
      this.fails(NOT_UTF8, "the reason of a close is not UTF-8");
      return;
    }
    this.ends(code, reason);
  }

  private ends(code: number, reason: string): void {
    this.stop();
    this.owner.closeFrame(code, reason);
  }

  private fails(code: number, what: string): false {
    this.stop();
    this.owner.broken(code, what);
    return false;
  }

  private stop(): void {
    this.over = true;
    this.forget();
    this.kept = null;
  }

  private forget(): void {
    this.gathered = null;
    this.filledTo = 0;
  }

  /** Grows what is gathered to hold `bytes`. */
  private reserve(bytes: number): void {
    const old = this.gathered;
    if (old !== null && old.length >= bytes) return;
    // Behind a fragment nobody says how much follows.
    const goal = this.last ? this.total : Math.max(this.total, bytes * 2);
    const size = Math.max(bytes, Math.min(goal, Math.max(bytes * 2, EAGER_BYTES)));
    let memory: Uint8Array;
    if (size > KEPT_BYTES) memory = this.memory.allocate(size);
    else memory = this.kept ??= new Uint8Array(KEPT_BYTES);
    if (old !== null) memory.set(old.subarray(0, this.filledTo));
    this.gathered = memory;
  }
}

/** @returns Infinity for what no number says exactly. */
function readLength(head: Uint8Array, end: number): number {
  let length = 0;
  for (let i = 2; i < end; i++) length = length * 256 + head[i]!;
  return length <= Number.MAX_SAFE_INTEGER ? length : Infinity;
}

/** Whether a close frame may name the code. Source: RFC 6455, section 7.4, and the registry of codes that it began. */
function isCloseCode(code: number): boolean {
  if (code >= 3000) return code < 5000;
  return code >= 1000 && code <= 1014 && code !== 1004 && code !== 1005 && code !== 1006;
}
