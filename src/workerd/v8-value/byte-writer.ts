// Role: the bytes of V8's format as they are written: numbers, strings, runs of bytes.
// State: a growing buffer, never larger than the budget; one that nobody has now. Must not know: what the bytes mean to a value.

import { overLimit } from "../../cap/dynamic/values/failures.js";
import { Tag } from "./tags.js";

const encoder = /* @__PURE__ */ new TextEncoder();

/** Strings from here on are worth a call of the encoder. */
const LONG = 64;
/** The buffer that is kept from one value to the next has at most this length. */
const SPARE = 64 * 1024;

/** A buffer with the two views that writing needs. */
class Room {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly view: DataView;

  constructor(size: number) {
    this.bytes = new Uint8Array(size);
    this.view = new DataView(this.bytes.buffer);
  }
}

/** One that no writer has now: most values are small, and making one costs as much as writing them. */
let spare: Room | null = null;

export class ByteWriter {
  private room: Room;
  private bytes: Uint8Array<ArrayBuffer>;
  private view: DataView;
  private end = 0;
  readonly limit: number;

  /** @param limit how many bytes there may be. */
  constructor(limit: number) {
    this.limit = limit;
    this.room = spare ?? new Room(1024);
    this.bytes = this.room.bytes;
    this.view = this.room.view;
    spare = null;
  }

  /** A copy of what was written. Nothing can be written after. */
  finish(): Uint8Array {
    const bytes = this.bytes.slice(0, this.end);
    if (this.bytes.length <= SPARE) spare = this.room;
    return bytes;
  }

  /** Bytes of value 0, and where they begin. */
  zeros(count: number): number {
    const at = this.reserve(count);
    this.bytes.fill(0, at, this.end);
    return at;
  }

  /** Room for `count` bytes that are to be written, and where it begins. @throws RpcError limit-exceeded */
  private reserve(count: number): number {
    const at = this.end;
    const end = at + count;
    if (end > this.limit) throw overLimit("bytes", this.limit, "the value");
    if (end > this.bytes.length) {
      const room = new Room(Math.min(Math.max(2 * this.bytes.length, end), this.limit));
      room.bytes.set(this.bytes.subarray(0, at));
      this.room = room;
      this.bytes = room.bytes;
      this.view = room.view;
    }
    this.end = end;
    return at;
  }

  byte(value: number): void {
    // Growing takes another buffer, so it comes first.
    const at = this.end < this.limit && this.end < this.bytes.length ? this.end++ : this.reserve(1);
    this.bytes[at] = value;
  }

  /** @param value a whole number from 0 to 2^53 - 1. */
  varint(value: number): void {
    let rest = value;
    while (rest > 0x7f) {
      this.byte((rest % 0x80) | 0x80);
      rest = Math.floor(rest / 0x80);
    }
    this.byte(rest);
  }

  /** @param value a whole number of 32 bits with a sign. */
  zigzag(value: number): void {
    this.varint(((value << 1) ^ (value >> 31)) >>> 0);
  }

  double(value: number): void {
    const at = this.reserve(8);
    this.view.setFloat64(at, value, true);
  }

  raw(bytes: Uint8Array): void {
    const at = this.reserve(bytes.length);
    this.bytes.set(bytes, at);
  }

  /** A length, then as many bytes. */
  sized(bytes: Uint8Array): void {
    this.varint(bytes.length);
    this.raw(bytes);
  }

  /** A number, a string, a boolean, a bigint or null, with its tag. @returns false, and nothing is written, for anything else. */
  primitive(value: unknown): boolean {
    switch (typeof value) {
      case "number":
        this.number(value);
        return true;
      case "string":
        this.string(value);
        return true;
      case "boolean":
        this.byte(value ? Tag.true : Tag.false);
        return true;
      case "bigint":
        this.byte(Tag.bigint);
        this.bigint(value);
        return true;
      default:
        if (value === null) this.byte(Tag.null);
        return value === null;
    }
  }

  /** With its tag. @param value not -0, which would lose its sign. */
  number(value: number): void {
    if (value >> 0 === value) {
      this.byte(Tag.int32);
      this.zigzag(value);
    } else {
      this.byte(Tag.double);
      this.double(value);
    }
  }

  /** A length and UTF-8, without a tag. */
  utf8(text: string): void {
    this.sized(encoder.encode(text));
  }

  /** A string with its tag: a byte for each character while that holds them, else two. */
  string(text: string): void {
    const from = this.end;
    const { length } = text;
    this.byte(Tag.oneByte);
    this.varint(length);
    const at = this.reserve(length);
    if (length >= LONG) {
      // As many bytes as characters, and all of them: it is ASCII.
      const room = this.bytes.subarray(at, this.end);
      const { read, written } = encoder.encodeInto(text, room);
      if (read === length && written === length) return;
    }
    for (let i = 0; i < length; i++) {
      const unit = text.charCodeAt(i);
      if (unit > 0xff) {
        this.end = from;
        this.twoByteString(text);
        return;
      }
      this.bytes[at + i] = unit;
    }
  }

  /** V8 reads units in place, so they stand at an even one. */
  private twoByteString(text: string): void {
    const size = 2 * text.length;
    if ((this.end + 1 + varintLength(size)) % 2 !== 0) this.byte(Tag.padding);
    this.byte(Tag.twoByte);
    this.varint(size);
    const at = this.reserve(size);
    for (let i = 0; i < text.length; i++) this.view.setUint16(at + 2 * i, text.charCodeAt(i), true);
  }

  /** Sign and length, then the magnitude in words of 64 bits, the lowest first; without a tag. */
  bigint(value: bigint): void {
    const negative = value < 0n;
    const digits = (negative ? -value : value).toString(16);
    const words = value === 0n ? 0 : Math.ceil(digits.length / 16);
    this.varint(16 * words + (negative ? 1 : 0));
    let at = this.reserve(8 * words);
    for (let end = digits.length; words > 0 && end > 0; end -= 16, at += 8)
      this.view.setBigUint64(at, BigInt(`0x${digits.slice(Math.max(0, end - 16), end)}`), true);
  }
}

function varintLength(value: number): number {
  let length = 1;
  for (let rest = value; rest > 0x7f; rest = Math.floor(rest / 0x80)) length++;
  return length;
}
