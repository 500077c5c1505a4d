// Role: Content, the immutable bytes of one payload: a single segment whose word 0 is its root pointer.
// State: the bytes. Must not know: capabilities (a pointer to one is only an index), messages, who owns the payload.

import { invalidArgument } from "../base/checks.js";
import type { ErrorPolicy } from "../base/errors.js";
import { type FrameMemory, isPassedOn } from "./frame-memory.js";

/** Where memory goes that nobody reads any more. */
type Memory = Pick<FrameMemory, "recycle">;

/**
 * The content of a Payload (params or results): ONE segment with near pointers only; word 0 is the root pointer.
 * Capability pointers are indexes into the Payload's own table. Never written after it was made.
 *
 * @example new Content(new Uint8Array(8)) // a null root
 *
 * Source: rpc.capnp `Payload.content`.
 */
export class Content {
  /**
   * A null root. Like {@link EMPTY_STRUCT} it is one object for the whole process: a reader that scribbles on its
   * input (capnp-ts does) must be given a copy.
   */
  static readonly NULL: Content = new Content(new Uint8Array(8));
  /** A struct of size zero: what a method without parameters sends (C-IOP-08). Shared, see {@link NULL}. */
  static readonly EMPTY_STRUCT: Content = new Content(
    new Uint8Array([0xfc, 0xff, 0xff, 0xff, 0, 0, 0, 0]),
  );

  /**
   * A multiple of 8 bytes, at least 8. Of a received content: its whole private ArrayBuffer or, when it is large, its part
   * of the buffer that its message alone had.
   */
  readonly bytes: Uint8Array;
  /** Bytes that follow `bytes` in the same segment, zero padded to a word: one large Data that is never copied. */
  readonly tail: Uint8Array | null;
  /** Whether `bytes` is scratch, valid only during the call it is handed to; who keeps it longer calls {@link own}. */
  readonly borrowed: boolean;
  /** Where the buffer came from that this content alone is in; of one with a tail, that of the tail. */
  private memory: Memory | null;

  /**
   * @param bytes the segment; not copied. @param tail see {@link tail}; not copied. @param borrowed see {@link borrowed}.
   * @param memory where the buffer of `tail`, or without one of `bytes`, came from, when it is used for nothing else.
   * @throws RpcError invalid-argument when `bytes` is not a whole number of words, or empty.
   */
  constructor(
    bytes: Uint8Array,
    tail: Uint8Array | null = null,
    borrowed = false,
    memory: Memory | null = null,
  ) {
    if ((bytes.length & 7) !== 0 || bytes.length === 0)
      throw invalidArgument(
        `a content of ${bytes.length} bytes is not a segment: give whole words, at least one`,
      );
    this.bytes = bytes;
    this.tail = tail;
    this.borrowed = borrowed;
    this.memory = memory;
  }

  /** Bytes on the wire, padding of the tail counted. */
  get byteLength(): number {
    const tail = this.tail;
    return tail === null ? this.bytes.length : this.bytes.length + ((tail.length + 7) & -8);
  }

  /** A content that may be kept: this one when it is not borrowed, else a private copy. */
  own(): Content {
    return this.borrowed ? new Content(this.joined()) : this;
  }

  /** The same content in one buffer: this one when it has no tail, else a private copy that is not borrowed. */
  flat(): Content {
    return this.tail === null ? this : new Content(this.joined());
  }

  /**
   * What a peer is to have of this content, where it holds errors; else this one. The structure is the same, capability pointers
   * included. Perhaps borrowed.
   */
  leaving(_policy: ErrorPolicy): Content {
    return this;
  }

  /** There will be two who read this: neither can say that nobody does any more. */
  shared(): this {
    this.memory = null;
    return this;
  }

  /** Nobody reads this content any more, nor any view on it: its memory may serve another message. */
  recycle(): void {
    const { memory } = this;
    this.memory = null;
    const { buffer } = this.tail ?? this.bytes;
    if (memory !== null && !isPassedOn(buffer)) memory.recycle(buffer);
  }

  private joined(): Uint8Array {
    const bytes = new Uint8Array(this.byteLength);
    bytes.set(this.bytes);
    if (this.tail !== null) bytes.set(this.tail, this.bytes.length);
    return bytes;
  }
}
