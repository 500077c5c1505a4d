// Role: a stranger's bytes, read from front to back: numbers, strings, runs of bytes, each within what is there.
// State: how far they are read. Must not know: what the bytes mean to a value.

import type { RpcError } from "../../base/errors.js";
import { invalidValue } from "../../cap/dynamic/values/failures.js";
import { decodeName, decodeText } from "../../wire/text.js";
import { Tag } from "./tags.js";

/** So many units are made into a string at a time. */
const CHUNK = 8192;
/** Bytes of a varint: enough for 2^53. */
const LONGEST_VARINT = 8;

export class ByteReader {
  protected at = 0;
  private readonly bytes: Uint8Array;
  private viewMade: DataView | null = null;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  /** Small values need none, and it costs as much as to read one. */
  private get view(): DataView {
    const { bytes } = this;
    return (this.viewMade ??= new DataView(bytes.buffer, bytes.byteOffset, bytes.length));
  }

  /** How many bytes are not read. */
  get left(): number {
    return this.bytes.length - this.at;
  }

  /** What is wrong with what was just read. */
  invalid(why: string, cause?: unknown): RpcError {
    return invalidValue(`${why}, at byte ${this.at}`, cause);
  }

  byte(): number {
    if (this.at >= this.bytes.length) throw this.invalid("it ends too early");
    return this.bytes[this.at++]!;
  }

  /** The next tag, which stays; padding before it is gone. 0 at the end. */
  peek(): number {
    const { bytes } = this;
    while (this.at < bytes.length && bytes[this.at] === Tag.padding) this.at++;
    return this.at < bytes.length ? bytes[this.at]! : 0;
  }

  tag(): number {
    this.peek();
    return this.byte();
  }

  /** A whole number of up to 53 bits. */
  varint(): number {
    let value = 0;
    let scale = 1;
    for (let count = 0; count < LONGEST_VARINT; count++) {
      const byte = this.byte();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        if (!Number.isSafeInteger(value)) break;
        return value;
      }
      scale *= 0x80;
    }
    throw this.invalid("a number is too long");
  }

  /** A whole number of 32 bits. */
  uint32(): number {
    const value = this.varint();
    if (value > 0xffffffff) throw this.invalid("a number is over 32 bits");
    return value;
  }

  int32(): number {
    const value = this.uint32();
    return (value >>> 1) ^ -(value & 1);
  }

  double(): number {
    const at = this.advance(8);
    return this.view.getFloat64(at, true);
  }

  /** A view on the next `length` bytes, which are read then. */
  raw(length: number): Uint8Array {
    const at = this.advance(length);
    return this.bytes.subarray(at, at + length);
  }

  /** A length, then as many bytes: a view on them. */
  sized(): Uint8Array {
    return this.raw(this.varint());
  }

  /** A length and UTF-8, without a tag. Bytes that are none become U+FFFD, as in V8. */
  utf8(): string {
    const length = this.varint();
    const at = this.advance(length);
    return decodeText(this.bytes, at, length);
  }

  /** What follows the tag of a string. */
  stringOf(tag: number): string {
    switch (tag) {
      case Tag.oneByte:
        return this.oneByteString(decodeText);
      case Tag.twoByte:
        return this.units();
      case Tag.utf8:
        return this.utf8();
      default:
        throw this.invalid("something is no string that must be");
    }
  }

  string(): string {
    return this.stringOf(this.tag());
  }

  /** The same for a name, of which a program has few: see decodeName. */
  protected nameOf(tag: number): string {
    return tag === Tag.oneByte ? this.oneByteString(decodeName) : this.stringOf(tag);
  }

  /** @param ascii makes the string where all its characters are ASCII. */
  private oneByteString(ascii: (bytes: Uint8Array, at: number, length: number) => string): string {
    const length = this.uint32();
    const { bytes } = this;
    const from = this.advance(length);
    const end = from + length;
    let high = 0;
    let at = from;
    for (; at + 4 <= end; at += 4) high |= this.view.getUint32(at);
    for (; at < end; at++) high |= bytes[at]!;
    if ((high & 0x80808080) === 0) return ascii(bytes, from, length);
    let text = "";
    for (at = from; at < end; at += CHUNK)
      text += String.fromCharCode(...bytes.subarray(at, Math.min(at + CHUNK, end)));
    return text;
  }

  private units(): string {
    const length = this.uint32();
    if (length % 2 !== 0) throw this.invalid("a string has half a unit");
    const from = this.advance(length);
    const end = from + length;
    let text = "";
    for (let at = from; at < end; at += 2 * CHUNK) {
      const units = new Array<number>(Math.min(CHUNK, (end - at) / 2));
      for (let i = 0; i < units.length; i++) units[i] = this.view.getUint16(at + 2 * i, true);
      text += String.fromCharCode(...units);
    }
    return text;
  }

  bigint(): bigint {
    const bits = this.uint32();
    const negative = bits % 2 === 1;
    const bytes = this.raw(Math.floor(bits / 2) % 0x40000000);
    if (bytes.length === 0) {
      if (negative) throw this.invalid("no bigint is -0");
      return 0n;
    }
    const magnitude = BigInt(`0x${hexOf(bytes)}`);
    return negative ? -magnitude : magnitude;
  }

  private advance(length: number): number {
    const { at } = this;
    if (length > this.left) throw this.invalid("it ends too early");
    this.at += length;
    return at;
  }
}

/** The digits of a number whose lowest byte comes first. */
function hexOf(bytes: Uint8Array): string {
  const digits = new Uint8Array(2 * bytes.length);
  for (let i = 0, end = digits.length; i < bytes.length; i++) {
    digits[end - 2 * i - 1] = HEX.charCodeAt(bytes[i]! & 15);
    digits[end - 2 * i - 2] = HEX.charCodeAt(bytes[i]! >> 4);
  }
  return decodeText(digits, 0, digits.length);
}
const HEX = "0123456789abcdef";
