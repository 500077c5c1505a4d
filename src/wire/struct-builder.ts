// Role: builds a Content for structs of interfaces of our own, by the offsets that their schema gives.
// State: one growing buffer, reused. Must not know: any schema, or what a capability index stands for.

import { invalidArgument } from "../base/checks.js";
import { DEFAULT_LIMITS } from "../base/limits.js";
import { Content } from "./content.js";
import { PayloadCopier } from "./validate.js";

const encoder = new TextEncoder();

/**
 * Builds one content at a time in a buffer that is reused. `root` begins a new one and makes the builders of the one
 * before invalid; `finish` gives it as a borrowed Content, valid until the next `root`.
 *
 * @example
 * const root = builder.root(1, 1);
 * root.u32(0, 42);
 * root.text(0, "hello");
 * hook.call(new CallRequest(hi, lo, method, new Payload(builder.finish(), [])));
 */
export class ContentBuilder {
  private bytes: Uint8Array;
  private view: DataView;
  private end = 0;
  private tail: Uint8Array | null = null;
  private tailPointer = 0;
  private copier: PayloadCopier | null = null;

  /** @param size bytes of the buffer at the start; it doubles as needed. */
  constructor(size = 512) {
    this.bytes = new Uint8Array((size + 7) & -8);
    this.view = new DataView(this.bytes.buffer);
  }

  /** Begins a content whose root is a struct of these sections, counted in words and in pointers. */
  root(dataWords: number, pointers: number): StructBuilder {
    this.end = 0;
    this.tail = null;
    return this.structAt(this.allocate(1), dataWords, pointers);
  }

  /** What was built. Borrowed: `own()` it to keep it. */
  finish(): Content {
    const tail = this.tail;
    if (tail !== null) this.setList(this.tailPointer, this.end, 2, tail.length);
    return new Content(this.bytes.subarray(0, this.end), tail, true);
  }

  // The methods below serve StructBuilder. Positions are bytes from the start of the buffer.

  get dataView(): DataView {
    return this.view;
  }

  /** Zeroed room for `words`; growing replaces the view, so none is kept across this. */
  allocate(words: number): number {
    const at = this.end;
    const end = at + words * 8;
    if (end > this.bytes.length) {
      const bytes = new Uint8Array(Math.max(this.bytes.length * 2, end));
      bytes.set(this.bytes.subarray(0, at));
      this.bytes = bytes;
      this.view = new DataView(bytes.buffer);
    } else this.bytes.fill(0, at, end);
    this.end = end;
    return at;
  }

  structAt(pointer: number, dataWords: number, pointers: number): StructBuilder {
    const at = this.allocate(dataWords + pointers);
    const empty = dataWords + pointers === 0;
    this.view.setInt32(pointer, empty ? -4 : (at - pointer - 8) >> 1, true);
    this.view.setInt32(pointer + 4, dataWords | (pointers << 16), true);
    return new StructBuilder(this, at, dataWords * 8, pointers);
  }

  structsAt(pointer: number, count: number, dataWords: number, pointers: number): StructBuilder[] {
    const stride = dataWords + pointers;
    const tag = this.allocate(1 + count * stride);
    this.setList(pointer, tag, 7, count * stride);
    this.view.setInt32(tag, count << 2, true);
    this.view.setInt32(tag + 4, dataWords | (pointers << 16), true);
    return Array.from(
      { length: count },
      (_, i) => new StructBuilder(this, tag + 8 + i * stride * 8, dataWords * 8, pointers),
    );
  }

  textsAt(pointer: number, texts: readonly string[]): void {
    const at = this.allocate(texts.length);
    this.setList(pointer, at, 6, texts.length);
    for (let i = 0; i < texts.length; i++) this.textAt(at + i * 8, texts[i]!);
  }

  textAt(pointer: number, text: string): void {
    const bytes = encoder.encode(text);
    this.bytesAt(pointer, bytes, bytes.length + 1);
  }

  bytesAt(pointer: number, bytes: Uint8Array, length: number): void {
    const at = this.allocate((length + 7) >>> 3);
    this.bytes.set(bytes, at);
    this.setList(pointer, at, 2, length);
  }

  referTo(pointer: number, bytes: Uint8Array): void {
    if (this.tail !== null) throw invalidArgument("a content can refer to one Data only");
    this.tail = bytes;
    this.tailPointer = pointer;
  }

  anyAt(pointer: number, content: Content, map: ((index: number) => number) | null): void {
    const copy = (this.copier ??= new PayloadCopier(DEFAULT_LIMITS)).renumber(content, map);
    const from = copy.bytes;
    const words = from.length / 8 - 1;
    const at = this.allocate(words);
    this.bytes.set(from.subarray(8), at);
    const source = new DataView(from.buffer, from.byteOffset, 8);
    const lo = source.getInt32(0, true);
    const hi = source.getInt32(4, true);
    // Null, capabilities and the empty struct mean the same everywhere; other roots are aimed anew.
    const fixed = (lo & 3) === 3 || (hi === 0 && (lo & 3) === 0);
    this.view.setInt32(pointer, fixed ? lo : lo + (at - pointer - 8) / 2, true);
    this.view.setInt32(pointer + 4, hi, true);
  }

  private setList(pointer: number, at: number, size: number, count: number): void {
    this.view.setInt32(pointer, 1 | ((at - pointer - 8) >> 1), true);
    this.view.setInt32(pointer + 4, size | (count << 3), true);
  }
}

/**
 * One struct being built. Offsets are bytes in its data section, indexes count its pointers; `xor` is the schema's
 * default of a number. Each pointer is set once. A field outside the struct is a programming error: RangeError.
 */
export class StructBuilder {
  private readonly builder: ContentBuilder;
  private readonly start: number;
  private readonly dataBytes: number;
  private readonly pointers: number;

  constructor(builder: ContentBuilder, start: number, dataBytes: number, pointers: number) {
    this.builder = builder;
    this.start = start;
    this.dataBytes = dataBytes;
    this.pointers = pointers;
  }

  /** @param bit counted from the start of the data section. */
  bool(bit: number, value: boolean, xor = false): void {
    const at = this.field(bit >> 3, 1);
    const mask = 1 << (bit & 7);
    const view = this.builder.dataView;
    const old = view.getUint8(at);
    view.setUint8(at, value !== xor ? old | mask : old & ~mask);
  }

  u8(at: number, value: number, xor = 0): void {
    this.builder.dataView.setUint8(this.field(at, 1), value ^ xor);
  }

  u16(at: number, value: number, xor = 0): void {
    this.builder.dataView.setUint16(this.field(at, 2), value ^ xor, true);
  }

  /** Also for Int32. */
  u32(at: number, value: number, xor = 0): void {
    this.builder.dataView.setInt32(this.field(at, 4), value ^ xor, true);
  }

  /** Also for Int64. */
  u64(at: number, value: bigint, xor = 0n): void {
    this.builder.dataView.setBigUint64(this.field(at, 8), BigInt.asUintN(64, value ^ xor), true);
  }

  f64(at: number, value: number): void {
    this.builder.dataView.setFloat64(this.field(at, 8), value, true);
  }

  text(index: number, value: string): void {
    this.builder.textAt(this.pointer(index), value);
  }

  texts(index: number, values: readonly string[]): void {
    this.builder.textsAt(this.pointer(index), values);
  }

  /** Copies `bytes`. */
  data(index: number, bytes: Uint8Array): void {
    this.builder.bytesAt(this.pointer(index), bytes, bytes.length);
  }

  /** Refers to `bytes` as the content's tail, without a copy: they must not change while the content lives. Once only. */
  dataByReference(index: number, bytes: Uint8Array): void {
    this.builder.referTo(this.pointer(index), bytes);
  }

  struct(index: number, dataWords: number, pointers: number): StructBuilder {
    return this.builder.structAt(this.pointer(index), dataWords, pointers);
  }

  /** A list of `count` structs. */
  structs(index: number, count: number, dataWords: number, pointers: number): StructBuilder[] {
    return this.builder.structsAt(this.pointer(index), count, dataWords, pointers);
  }

  /** @param capability index in the payload's table. */
  capability(index: number, capability: number): void {
    const at = this.pointer(index);
    this.builder.dataView.setInt32(at, 3, true);
    this.builder.dataView.setInt32(at + 4, capability, true);
  }

  /**
   * An AnyPointer field: a validated copy of `content` with its capabilities renumbered by `map`, or nulled without one
   * (C-VAL-26, C-VAL-27).
   *
   * @throws RpcError invalid-payload.
   */
  any(index: number, content: Content, map: ((index: number) => number) | null): void {
    this.builder.anyAt(this.pointer(index), content, map);
  }

  private field(at: number, size: number): number {
    if (at < 0 || at + size > this.dataBytes)
      throw new RangeError(`no field of ${size} bytes at ${at} of ${this.dataBytes}`);
    return this.start + at;
  }

  private pointer(index: number): number {
    if (!(index >= 0 && index < this.pointers))
      throw new RangeError(`no pointer ${index} of ${this.pointers}`);
    return this.start + this.dataBytes + index * 8;
  }
}
