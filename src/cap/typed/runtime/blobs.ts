// Role: Text and Data: lists of bytes that are one value to the user.
// State: the coders. Must not know: structs.

import { invalidArgument, invalidPayload } from "./errors.js";
import { PointerInfo, type PointerType } from "./info.js";
import { clearPointer, found, inside, LIST, resolve, writeListPointer } from "./pointer.js";
import { allocate, type Segment } from "./segment.js";
import { KINDS } from "./state.js";

const decoder = /* @__PURE__ */ new TextDecoder("utf-8", { ignoreBOM: true });
const encoder = /* @__PURE__ */ new TextEncoder();

/** Up to this many bytes a loop beats TextDecoder. */
const SHORT = 48;

/** Finds a list of bytes; leaves it in `found`, with the count as result; -1 for null. */
function openBytes(segment: Segment, at: number, what: string): number {
  const kind = resolve(segment, at);
  if (kind < 0) return -1;
  if (kind !== LIST) throw invalidPayload(`expected ${what}, found ${KINDS[kind]!}`);
  if ((found.hi & 7) !== 2)
    throw invalidPayload(`expected ${what}, found a list of elements that are not bytes`);
  const count = found.hi >>> 3;
  inside(found.segment, found.target, count, what);
  return count;
}

/**
 * Reads Text. Null is "", as is a list of no bytes; NUL inside is kept, invalid UTF-8 becomes U+FFFD (C-VAL-16).
 * @throws RpcError invalid-payload when the final NUL is missing or this is no list of bytes.
 */
export function readText(segment: Segment, at: number): string {
  const count = openBytes(segment, at, "Text");
  if (count <= 0) return "";
  const content = found.segment;
  const start = found.target;
  const end = start + count - 1;
  if (content.getUint8(end) !== 0) throw invalidPayload("a Text does not end with NUL");
  if (count <= SHORT) {
    let text = "";
    for (let i = start; i < end; i++) {
      const byte = content.getUint8(i);
      if (byte > 0x7f) return decoder.decode(new Uint8Array(content.buffer, start, count - 1));
      text += String.fromCharCode(byte);
    }
    return text;
  }
  return decoder.decode(new Uint8Array(content.buffer, start, count - 1));
}

export function writeText(segment: Segment, at: number, text: string): void {
  if (typeof text !== "string")
    throw invalidArgument(`Text is set from a string, not from ${typeof text}`);
  const length = utf8Length(text);
  const target = allocate(segment, length + 1);
  writeListPointer(segment, at, target, 2, length + 1);
  if (length === text.length && length <= SHORT) {
    for (let i = 0; i < length; i++) segment.setUint8(target + i, text.charCodeAt(i));
  } else {
    encoder.encodeInto(text, new Uint8Array(segment.buffer, target, length));
  }
}

/** Bytes of `text` in UTF-8; an unpaired surrogate counts as U+FFFD, which it is written as. */
function utf8Length(text: string): number {
  let bytes = text.length;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x80) continue;
    if (unit < 0x800) bytes += 1;
    else if (unit >= 0xd800 && unit < 0xdc00 && (text.charCodeAt(i + 1) & 0xfc00) === 0xdc00) {
      bytes += 2; // four bytes for two units
      i++;
    } else bytes += 2;
  }
  return bytes;
}

/**
 * Reads Data: a view bounded to its bytes, not a copy. Of a received message the memory is private and stays alive with
 * the view; of a message being built the view is good until the next change of the message.
 */
export function readData(segment: Segment, at: number): Uint8Array {
  const count = openBytes(segment, at, "Data");
  if (count < 0) return new Uint8Array(0);
  return new Uint8Array(found.segment.buffer, found.target, count);
}

export function writeData(segment: Segment, at: number, data: Uint8Array): void {
  if (!(data instanceof Uint8Array))
    throw invalidArgument(`Data is set from a Uint8Array, not from ${typeof data}`);
  const target = allocate(segment, data.length);
  writeListPointer(segment, at, target, 2, data.length);
  new Uint8Array(segment.buffer, target, data.length).set(data);
}

/** Makes a zeroed Data of `length` bytes; the view is good until the next change of the message. */
export function initDataAt(segment: Segment, at: number, length: number): Uint8Array {
  if (!Number.isSafeInteger(length) || length < 0)
    throw invalidArgument(`a Data of ${length} bytes cannot be built`);
  const target = allocate(segment, length);
  writeListPointer(segment, at, target, 2, length);
  return new Uint8Array(segment.buffer, target, length);
}

class TextInfo extends PointerInfo<string> {
  readonly displayName = "Text";
  read(segment: Segment, at: number): string {
    return readText(segment, at);
  }
  write(segment: Segment, at: number, value: unknown): void {
    if (value === null) clearPointer(segment, at);
    else writeText(segment, at, value as string);
  }
}

class DataInfo extends PointerInfo<Uint8Array> {
  readonly displayName = "Data";
  read(segment: Segment, at: number): Uint8Array {
    return readData(segment, at);
  }
  write(segment: Segment, at: number, value: unknown): void {
    if (value === null) clearPointer(segment, at);
    else writeData(segment, at, value as Uint8Array);
  }
}

/** The type Text: a string. */
export const Text: PointerType<string> = { _capnp: /* @__PURE__ */ new TextInfo() };
/** The type Data: bytes. */
export const Data: PointerType<Uint8Array> = { _capnp: /* @__PURE__ */ new DataInfo() };
