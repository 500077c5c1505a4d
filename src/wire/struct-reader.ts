// Role: reads structs of interfaces of our own out of a Content, by the offsets that their schema gives.
// State: none beside the content. Must not know: any schema, or what a capability index stands for.
//
// Total on any bytes: each read checks its own bounds, so a bad pointer fails that field alone and its siblings stay
// readable (C-VAL-01). Structs may be shorter or longer than the reader's schema.

import { invalidArgument } from "../base/checks.js";
import { DEFAULT_LIMITS, type Limits } from "../base/limits.js";
import { Content } from "./content.js";
import { ElementSize, ListRef, PointerKind, PointerReader, StructRef } from "./pointer.js";
import { decodeText } from "./text.js";
import { contentFrame, PayloadCopier } from "./validate.js";

const NO_BYTES = new Uint8Array(0);

/** What all readers of one content share. */
class Source {
  readonly p = new PointerReader("invalid-payload");
  readonly limits: Limits;
  readonly content: Content;
  private readonly tail: Uint8Array | null;
  private readonly split: number;

  constructor(content: Content, limits: Limits) {
    this.limits = limits;
    this.content = content;
    this.p.frame = contentFrame(content);
    this.tail = content.tail;
    this.split = content.bytes.length;
  }

  /** A Text's or Data's bytes as a view; null when the pointer is. Only these may lie in the content's tail. */
  bytes(ref: StructRef, index: number): Uint8Array | null {
    const p = this.p;
    if (this.tail !== null && index < ref.pointerCount) {
      const at = ref.pointers + index * 8;
      const lo = p.frame.view.getInt32(at, true);
      const hi = p.frame.view.getInt32(at + 4, true);
      const from = at + 8 + (lo >> 2) * 8 - this.split;
      if ((lo & 3) === 1 && (hi & 7) === ElementSize.byte && from >= 0) {
        const to = from + (hi >>> 3);
        if (to > this.tail.length) throw p.fail("a pointer leaves its segment");
        return this.tail.subarray(from, to);
      }
    }
    return p.enterBytes(ref, index) ? p.frame.bytes.subarray(p.pos, p.pos + p.count) : null;
  }
}

/**
 * One struct, read by byte offsets in its data section and indexes in its pointer section. What the struct on the wire is
 * too short to hold reads as its default; `xor` is the schema's default of a number, whose stored form it is XORed with.
 *
 * @example
 * const params = StructReader.of(payload.content);
 * const size = params.u32(0);
 * const name = params.text(0);
 *
 * Throws RpcError invalid-payload when the pointer it reads is bad.
 */
export class StructReader {
  private readonly source: Source;
  private readonly ref: StructRef;

  private constructor(source: Source, ref: StructRef) {
    this.source = source;
    this.ref = ref;
  }

  /** The root struct of `content`; one of defaults when it is null. @throws RpcError invalid-payload when it is none. */
  static of(content: Content, limits: Limits = DEFAULT_LIMITS): StructReader {
    const source = new Source(content, limits);
    const ref = new StructRef();
    source.p.enterAt(ref, 0, 0);
    return new StructReader(source, ref);
  }

  /** @param bit counted from the start of the data section. */
  bool(bit: number, xor = false): boolean {
    return ((this.u8(bit >> 3) >> (bit & 7)) & 1) !== (xor ? 1 : 0);
  }

  u8(at: number, xor = 0): number {
    return this.source.p.u8(this.ref, at) ^ xor;
  }

  /** Also for enums and union tags: given raw, so that unknown ones can be told (C-VAL-21). */
  u16(at: number, xor = 0): number {
    return this.source.p.u16(this.ref, at) ^ xor;
  }

  u32(at: number, xor = 0): number {
    return (this.source.p.u32(this.ref, at) ^ xor) >>> 0;
  }

  i32(at: number, xor = 0): number {
    return this.source.p.u32(this.ref, at) ^ xor;
  }

  u64(at: number, xor = 0n): bigint {
    const ref = this.ref;
    if (at + 8 > ref.dataBytes) return xor;
    return this.source.p.frame.view.getBigUint64(ref.data + at, true) ^ xor;
  }

  i64(at: number, xor = 0n): bigint {
    return BigInt.asIntN(64, this.u64(at, BigInt.asUintN(64, xor)));
  }

  /** The default, if not 0, is the caller's to handle. */
  f64(at: number): number {
    const ref = this.ref;
    return at + 8 > ref.dataBytes ? 0 : this.source.p.frame.view.getFloat64(ref.data + at, true);
  }

  isNull(index: number): boolean {
    const ref = this.ref;
    if (index >= ref.pointerCount) return true;
    const view = this.source.p.frame.view;
    const at = ref.pointers + index * 8;
    return (view.getInt32(at, true) | view.getInt32(at + 4, true)) === 0;
  }

  /** Invalid UTF-8 becomes U+FFFD; NULs inside stay (C-VAL-16). @throws also when the final NUL is missing. */
  text(index: number, fallback = ""): string {
    const bytes = this.source.bytes(this.ref, index);
    if (bytes === null) return fallback;
    const length = bytes.length - 1;
    if (length < 0) return "";
    if (bytes[length] !== 0) throw this.source.p.fail("a text lacks its final NUL");
    return decodeText(bytes, 0, length);
  }

  /** A view on the content, not a copy; empty when null. */
  data(index: number): Uint8Array {
    return this.source.bytes(this.ref, index) ?? NO_BYTES;
  }

  /** The struct that the pointer names; one of defaults when it is null. */
  struct(index: number): StructReader {
    const ref = new StructRef();
    this.source.p.enter(ref, this.ref, index);
    return new StructReader(this.source, ref);
  }

  /**
   * A list of structs, or of anything that can be read as one: see {@link ListReader}. Empty when null.
   *
   * @param bytes data, and @param pointers pointers, that every element must have: for a schema whose elements are no
   *   structs, so that structs without the field are an error and not zeros (C-VAL-19).
   */
  list(index: number, bytes = 0, pointers = 0): ListReader {
    const p = this.source.p;
    const list = new ListRef();
    // Composite lists may claim many elements of size zero: no more than the content could be worth (C-VAL-11).
    if (p.enterStructs(this.ref, index, this.source.limits.traversalWords))
      Object.assign(list, p.list);
    if (list.count > 0 && (list.dataBytes < bytes || list.pointerCount < pointers))
      throw p.fail("the elements of a list lack the field that it is read for");
    return new ListReader(list, (i) => {
      const ref = new StructRef();
      p.element(list, i, ref);
      return new StructReader(this.source, ref);
    });
  }

  /** The capability's index in the payload's table, or -1 when null. @throws when it is no capability (C-VAL-09). */
  capability(index: number): number {
    if (this.isNull(index)) return -1;
    const p = this.source.p;
    if (p.resolve(this.ref.seg, this.ref.pointers + index * 8) !== PointerKind.capability)
      throw p.fail("a pointer leads to something that is no capability");
    return p.count;
  }

  /** Whatever the pointer names, as a content of its own: a validated copy; capability indexes stay (C-VAL-26). */
  any(index: number): Content {
    if (this.isNull(index)) return Content.NULL;
    const { limits, content } = this.source;
    const frame = contentFrame(content.flat());
    return new PayloadCopier(limits).copy(frame, 0, this.ref.pointers + index * 8);
  }
}

/**
 * A list. Elements of a primitive list read as structs with that one field, as for a schema that has since made a struct
 * of it (C-VAL-18); so `list(n, 4).at(i).u32(0)` reads a List(UInt32) and `list(n, 0, 1).at(i).text(0)` a List(Text), and
 * both still work when a newer peer sends structs (C-VAL-19). There is no reader for List(Bool).
 *
 * @example for (let i = 0; i < names.length; i++) greet(names.at(i).text(0));
 */
export class ListReader {
  readonly length: number;
  private readonly element: (i: number) => StructReader;

  constructor(list: ListRef, element: (i: number) => StructReader) {
    this.length = list.count;
    this.element = element;
  }

  /** @throws RpcError invalid-argument when there is no element `i`. */
  at(i: number): StructReader {
    if (!(i >= 0 && i < this.length))
      throw invalidArgument(`there is no element ${i} in a list of ${this.length}`);
    return this.element(i);
  }
}
