// Role: the receiving half that all transports share: bytes to frames, handed over one by one, none while paused, the
// fault and the end only after the frames before them.
// State: what arrived and may not be handed over yet. Must not know: where the bytes come from.

import { RpcError } from "../base/errors.js";
import { Fifo } from "../base/fifo.js";
import { type Limits, WAITING_EACH } from "../base/limits.js";
import { Frame, malformed, parseFrame, parseFrameAt, plainBytes, trailing } from "../wire/frame.js";
import { type FrameMemory, PLAIN_MEMORY } from "../wire/frame-memory.js";
import type { Framer } from "../wire/framer.js";

/** How units that arrive relate to messages. */
export const Framing = {
  /** Any chunking of a byte stream. */
  stream: 0,
  /** One unit is one message, no byte more (C-FRM-19). */
  single: 1,
  /** One unit is any number of whole messages: only where both sides agreed on it. */
  batch: 2,
} as const;
export type Framing = (typeof Framing)[keyof typeof Framing];

/** Told in this order: messages, then at most one fault, then the end once. */
export interface InletOwner {
  /** Messages may follow that arrived together. */
  arriving(): void;
  message(frame: Frame): void;
  faulted(error: RpcError): void;
  ended(error: RpcError | null): void;
}

/** A queue of byte arrays that counts their bytes. */
class ByteQueue {
  private items = new Fifo<Uint8Array>();
  bytes = 0;

  get length(): number {
    return this.items.length;
  }

  push(item: Uint8Array): void {
    this.items.push(item);
    this.bytes += item.length;
  }

  /** Puts the rest of what was just taken before all others. */
  putBack(rest: Uint8Array): void {
    this.items.putBack(rest);
    this.bytes += rest.length;
  }

  take(): Uint8Array {
    const item = this.items.take()!;
    this.bytes -= item.length;
    return item;
  }

  clear(): void {
    this.items = new Fifo();
    this.bytes = 0;
  }
}

export class Inlet {
  framing: Framing;
  private readonly limits: Limits;
  private readonly owner: InletOwner;
  private readonly framer: Framer | null;
  private readonly frame = new Frame();
  /** Messages of a stream already cut when the pause came: copied, since a Frame is gone when its callback returns. */
  private readonly cut = new ByteQueue();
  /** Units that came later, uncut, behind the rest of one whose messages the pause came between. */
  private readonly units = new ByteQueue();
  private paused = false;
  private busy = false;
  /** Nothing more is taken in: a fault was found, the end was seen, or the owner closed. */
  private shut = false;
  private fault: RpcError | null = null;
  private end: RpcError | null | undefined = undefined;
  private killed = false;

  private readonly onFrame = (frame: Frame): void => {
    if (this.killed) return;
    if (this.paused || this.cut.length > 0) this.cut.push(frame.copy());
    else this.owner.message(frame);
  };

  /** @param framer cuts a stream; those who have none need not load one. */
  constructor(framing: Framing, limits: Limits, owner: InletOwner, framer: Framer | null = null) {
    this.framing = framing;
    this.limits = limits;
    this.owner = owner;
    this.framer = framer;
  }

  /** Takes one unit as it arrived. It must not change afterwards. */
  accept(unit: Uint8Array): void {
    if (this.shut) return;
    if (this.holding) this.hold(unit);
    else this.cutUp(unit);
    this.pump();
  }

  /**
   * Takes the first `end` bytes of `memory`, a part of a stream, which may change as soon as this returns. Who lends has
   * stopped reading during a pause: what waits came in one read, and no limit is asked.
   * @param view on `memory`, which is plain.
   */
  acceptFrom(memory: Uint8Array, view: DataView, end: number): void {
    if (this.shut) return;
    if (this.holding) this.units.push(memory.slice(0, end));
    else this.cutting(() => this.framer!.pushPart(memory, view, end, this.onFrame));
    this.pump();
  }

  /**
   * Takes one unit, from `at` to `end` of `memory`, which may change as soon as this returns; as {@link acceptFrom}.
   * @param view on `memory`. @param from where `memory` came from when it is nobody else's, nor will be.
   */
  acceptUnit(
    memory: Uint8Array,
    view: DataView,
    at: number,
    end: number,
    from: FrameMemory | null,
  ): void {
    if (this.shut) return;
    if (this.holding) this.units.push(memory.slice(at, end));
    else
      this.cutting(() => {
        const rest = this.cutMessages(memory, view, at, end, from);
        if (rest < end) this.units.putBack(memory.slice(rest, end));
      });
    this.pump();
  }

  /** Where the next bytes of a stream should be put, to be told by {@link filled}; null: anywhere. */
  get space(): Uint8Array | null {
    return this.shut || this.holding ? null : this.framer!.space;
  }

  /** `bytes` bytes were put into {@link space}. */
  filled(bytes: number): void {
    if (this.shut) return;
    this.cutting(() => this.framer!.filled(bytes, this.onFrame));
    this.pump();
  }

  /** The peer sent what is no message; said after the messages before it. */
  refuse(error: RpcError): void {
    if (this.shut) return;
    this.shut = true;
    this.fault = error;
    this.pump();
  }

  /** The peer will send no more. @param error why, or null when it ended in an orderly way. */
  finish(error: RpcError | null): void {
    if (this.end !== undefined) return;
    this.shut = true;
    this.end = error;
    this.pump();
  }

  /** Drops all that is held; the owner is told nothing any more. */
  kill(): void {
    this.shut = true;
    this.killed = true;
    this.cut.clear();
    this.units.clear();
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    if (!this.paused) return;
    this.paused = false;
    // Not here: an owner that resumes from inside its own work must not be handed a message in the midst of it.
    queueMicrotask(() => this.pump());
  }

  /** Whether what comes now has to wait behind what came before. */
  private get holding(): boolean {
    return this.busy || this.paused || this.cut.length > 0 || this.units.length > 0;
  }

  private cutUp(unit: Uint8Array): void {
    this.cutting(() => {
      if (this.framer !== null) {
        this.framer.push(unit, this.onFrame);
        return;
      }
      const bytes = plainBytes(unit);
      const { buffer, byteOffset, length } = bytes;
      // In a buffer of its own: what is large in it may stay there.
      const memory = length === buffer.byteLength ? PLAIN_MEMORY : null;
      const view = new DataView(buffer, byteOffset, length);
      const rest = this.cutMessages(bytes, view, 0, length, memory);
      if (rest < length) this.units.putBack(bytes.subarray(rest));
    });
  }

  private cutting(work: () => void): void {
    this.busy = true;
    this.owner.arriving();
    try {
      work();
    } catch (thrown) {
      if (!RpcError.is(thrown) || thrown.code !== "malformed-frame") throw thrown;
      // What follows a message that cannot be trusted is no message either.
      this.units.clear();
      // Also when the end has been seen since: these bytes had waited for the end of a pause.
      this.shut = true;
      this.fault = thrown;
    } finally {
      this.busy = false;
      this.frame.clear();
    }
  }

  /**
   * Hands over the messages of a unit until a pause: to copy the others one by one would make of a unit many times its bytes.
   * @param memory where `bytes` came from, when nobody else has them. @returns where the rest begins, if one is wanted.
   */
  private cutMessages(
    bytes: Uint8Array,
    view: DataView,
    at: number,
    end: number,
    memory: FrameMemory | null,
  ): number {
    const { frame, limits } = this;
    const begin = at;
    if (begin === end) throw malformed("an empty unit holds no message");
    do {
      at = parseFrameAt(bytes, view, at, end, frame, limits);
      if (at !== end && this.framing === Framing.single) throw trailing(end - at);
      if (frame.length === end - begin) frame.memory = memory;
      this.onFrame(frame);
    } while (at < end && !this.paused && !this.killed);
    return this.killed ? end : at;
  }

  private hold(unit: Uint8Array): void {
    this.units.push(unit);
    const held = this.units.bytes + this.units.length * WAITING_EACH + this.cut.bytes;
    const limit = this.limits.withheldCallBytes;
    // Only carriers that cannot be stopped, a browser's WebSocket and a MessagePort, get anywhere near this.
    if (held > limit)
      this.refuse(
        new RpcError(
          "overloaded",
          "queue-full",
          `what arrived while reading was paused takes ${held} bytes; the limit withheldCallBytes is ${limit}`,
        ),
      );
  }

  /** Hands over what is held, as far as pauses allow; then the fault, then the end. */
  private pump(): void {
    if (this.busy) return;
    while (!this.paused && this.cut.length + this.units.length > 0) {
      if (this.cut.length > 0) this.handOver(this.cut.take());
      else this.cutUp(this.units.take());
    }
    if (this.paused || this.killed) return;
    const fault = this.fault;
    if (fault !== null) {
      this.fault = null;
      this.owner.faulted(fault);
    }
    const end = this.end;
    if (end === undefined || this.killed) return;
    this.killed = true;
    const cutOff = this.framer?.end() ?? null;
    this.owner.ended(end ?? cutOff);
  }

  private handOver(bytes: Uint8Array): void {
    this.busy = true;
    this.owner.arriving();
    try {
      parseFrame(bytes, this.frame, this.limits);
      this.owner.message(this.frame);
    } finally {
      this.busy = false;
      this.frame.clear();
    }
  }
}
