// Role: reads the root struct of a Content in place, for the interfaces that every call pays for.
// State: the content being read. Must not know: any schema, or what a capability index stands for.
//
// What StructReader does for any struct, at a tenth of the price, since it makes nothing: one view is used over and over.
// It reads the fields of the root or of one struct below it, and lists of texts and of structs in it; total on any bytes, like
// all readers here.

import { RpcError } from "../base/errors.js";
import type { Content } from "./content.js";
import { decodeName } from "./text.js";

const NO_BYTES = new Uint8Array(0);

const BYTE = 2;
const POINTER = 6;
const COMPOSITE = 7;

/**
 * A reader to be kept and used again. Offsets and defaults are those of StructReader. It throws RpcError invalid-payload for
 * what cannot be read.
 *
 * @example
 * view.open(payload.content);
 * const size = view.u32(0);
 * const name = view.data(0);
 */
export class ContentView {
  /** Elements of the list that {@link list} found. */
  length = 0;
  private bytes: Uint8Array = NO_BYTES;
  private tail: Uint8Array | null = null;
  private dataAt = 0;
  private dataBytes = 0;
  private pointersAt = 0;
  private pointers = 0;
  // The list: its first element, and the sections of each.
  private first = 0;
  private stride = 0;
  private elementData = 0;
  private elementPointers = 0;
  // The last pointer read.
  private lo = 0;
  private hi = 0;

  /** Makes `content` the one that is read. It is looked at until {@link close}. */
  open(content: Content): void {
    this.bytes = content.bytes;
    this.tail = content.tail;
    // The root is what the one pointer of nothing names.
    this.pointersAt = 0;
    this.pointers = 1;
    this.enter(0);
  }

  /** From here on reads the struct that pointer `index` names: of defaults when it is null. */
  enter(index: number): void {
    const isThere = this.field(index);
    this.dataBytes = 0;
    this.pointers = 0;
    if (!isThere) return;
    if ((this.lo & 3) !== 0) throw bad("a pointer leads to no struct");
    const data = this.hi & 0xffff;
    const pointers = this.hi >>> 16;
    const at = this.pointersAt + index * 8 + 8 + (this.lo >> 2) * 8;
    this.within(at, (data + pointers) * 8);
    this.dataAt = at;
    this.dataBytes = data * 8;
    this.pointersAt = at + data * 8;
    this.pointers = pointers;
  }

  /** Lets the content go, which must not live as long as this. */
  close(): void {
    this.bytes = NO_BYTES;
    this.tail = null;
    this.dataBytes = 0;
    this.pointers = 0;
  }

  u8(at: number): number {
    return at < this.dataBytes ? this.bytes[this.dataAt + at]! : 0;
  }

  u16(at: number): number {
    if (at + 2 > this.dataBytes) return 0;
    const from = this.dataAt + at;
    return this.bytes[from]! | (this.bytes[from + 1]! << 8);
  }

  u32(at: number): number {
    return at + 4 > this.dataBytes ? 0 : this.word(this.dataAt + at) >>> 0;
  }

  /** A Data as a part of the content's bytes: a window would cost more than most of them hold. Null when it is null. */
  span(index: number): { bytes: Uint8Array; from: number; to: number } | null {
    if (!this.field(index)) return null;
    if ((this.lo & 3) !== 1 || (this.hi & 7) !== BYTE) throw bad("a pointer leads to no Data");
    const from = this.pointersAt + index * 8 + 8 + (this.lo >> 2) * 8;
    const length = this.hi >>> 3;
    const inTail = from - this.bytes.length;
    if (this.tail !== null && inTail >= 0) {
      if (inTail + length > this.tail.length) throw bad("a pointer leaves its segment");
      return { bytes: this.tail, from: inTail, to: inTail + length };
    }
    this.within(from, length);
    return { bytes: this.bytes, from, to: from + length };
  }

  /** The same as a view on the content. */
  data(index: number): Uint8Array | null {
    const span = this.span(index);
    return span === null ? null : span.bytes.subarray(span.from, span.to);
  }

  /** Whether pointer `index` is null, or is not there. */
  isNull(index: number): boolean {
    return !this.field(index);
  }

  /** The capability's index in the table, or -1 when null. */
  capability(index: number): number {
    return this.field(index) ? this.capabilityHere() : -1;
  }

  /**
   * Finds a list of structs with at least one pointer each, or of pointers, which are read as such structs (C-VAL-19).
   * @param most elements. @returns whether it has any.
   */
  list(index: number, most: number): boolean {
    this.length = 0;
    if (!this.field(index)) return false;
    const size = this.hi & 7;
    const count = this.hi >>> 3;
    const at = this.pointersAt + index * 8 + 8 + (this.lo >> 2) * 8;
    if ((this.lo & 3) !== 1 || (size !== POINTER && size !== COMPOSITE))
      throw bad("a pointer leads to no list of structs");
    if (size === POINTER) {
      this.within(at, count * 8);
      this.first = at;
      this.elementData = 0;
      this.elementPointers = 1;
      this.length = count;
    } else {
      this.within(at, (count + 1) * 8);
      const tag = this.word(at);
      const sizes = this.word(at + 4);
      this.elementData = (sizes & 0xffff) * 8;
      this.elementPointers = sizes >>> 16;
      this.length = tag >>> 2;
      this.first = at + 8;
      if ((tag & 3) !== 0) throw bad("the tag of a list of structs is no struct");
      if (this.elementPointers === 0 && this.length > 0)
        throw bad("the elements of a list lack the pointer that it is read for");
      if ((this.elementData / 8 + this.elementPointers) * this.length > count)
        throw bad("a list of structs is longer than its pointer says");
    }
    this.stride = this.elementData + this.elementPointers * 8;
    if (this.length > most)
      throw new RpcError(
        "failed",
        "limit-exceeded",
        `a list of ${this.length} elements: ${most} is the most`,
      );
    return this.length > 0;
  }

  /** The number at the start of element `i` of the list. */
  elementU16(i: number): number {
    if (this.elementData === 0) return 0;
    const at = this.first + i * this.stride;
    return this.bytes[at]! | (this.bytes[at + 1]! << 8);
  }

  /** The capability that the first pointer of element `i` names, or -1. */
  elementCapability(i: number): number {
    return this.pointer(this.first + i * this.stride + this.elementData)
      ? this.capabilityHere()
      : -1;
  }

  /** The text that the first pointer of element `i` names, taken for a name; "" for none. */
  elementText(i: number): string {
    const at = this.first + i * this.stride + this.elementData;
    if (!this.pointer(at)) return "";
    if ((this.lo & 3) !== 1 || (this.hi & 7) !== BYTE) throw bad("a pointer leads to no Text");
    const from = at + 8 + (this.lo >> 2) * 8;
    const length = (this.hi >>> 3) - 1;
    this.within(from, length + 1);
    if (length < 0) return "";
    if (this.bytes[from + length] !== 0) throw bad("a text lacks its final NUL");
    return decodeName(this.bytes, from, length);
  }

  private field(index: number): boolean {
    return index < this.pointers && this.pointer(this.pointersAt + index * 8);
  }

  /** Reads the pointer at `at`; false when it is null. */
  private pointer(at: number): boolean {
    this.lo = this.word(at);
    this.hi = this.word(at + 4);
    return (this.lo | this.hi) !== 0;
  }

  private capabilityHere(): number {
    if (this.lo !== 3) throw bad("a pointer leads to something that is no capability");
    return this.hi >>> 0;
  }

  private within(at: number, length: number): void {
    if (at < 0 || at + length > this.bytes.length) throw bad("a pointer leaves its segment");
  }

  private word(at: number): number {
    const b = this.bytes;
    return b[at]! | (b[at + 1]! << 8) | (b[at + 2]! << 16) | (b[at + 3]! << 24);
  }
}

function bad(what: string): RpcError {
  return new RpcError("failed", "invalid-payload", what);
}
