// Role: the short way of the codec, for what most calls carry: numbers, short texts, booleans and null, alone or in small
// lists and records. The bytes are those of the long way.
// State: a scratch, and how far it is written or the bytes are read. Must not know: references.

import type { Span } from "./contract.js";
import { packBorrowed } from "./pack.js";
import { isWellFormed } from "./text.js";
import { decodeName, decodeText } from "../../../wire/text.js";

/** A text up to here is looked at at once; longer ones count towards the limits. */
const SHORT_TEXT = 1024;
/** So many arguments. */
const FEW = 16;
/** Texts of this length and no more are written here. */
const SMALL_TEXT = 32;

/** A number, a short text, a boolean, or null: no reference, and nothing that needs a second look. */
export function isSimple(value: unknown): boolean {
  switch (typeof value) {
    case "number":
      return value !== 0 || 1 / value > 0;
    case "string":
      return value.length <= SHORT_TEXT && isWellFormed(value);
    case "boolean":
      return true;
    default:
      return value === null;
  }
}

/** Whether `list`, arguments as the engine lists them, without properties of their own, is short and of simple values. */
export function isSimpleList(list: readonly unknown[]): boolean {
  if (list.length > FEW || Object.getPrototypeOf(list) !== Array.prototype) return false;
  for (let i = 0; i < list.length; i++) if (!isSimple(list[i])) return false;
  return true;
}

/** Lists and records in one another. */
const DEEPEST = 8;

const float = new Float64Array(1);
const floatBytes = new Uint8Array(float.buffer);

// -- Writing ---------------------------------------------------------------------------------------------------------

/** Bytes up to which is looked whether there is room for one more. */
const ROOM = 512;
const scratch = new Uint8Array(ROOM + 1 + SMALL_TEXT);
let end = 0;

/**
 * The bytes that `encodeValue` makes of `value`; borrowed: they are to be copied before anything else is encoded.
 * @param value one that {@link isSimple}, or a list for which {@link isSimpleList} holds.
 */
export function encodeSimple(value: unknown): Span {
  return encodeSmall(value) ?? packBorrowed(value);
}

/**
 * The same of a tree of arrays and plain objects whose leaves are MessagePack's, if it is small and holds nothing that takes
 * a second look; null else.
 */
export function encodeSmall(value: unknown): Span | null {
  end = 0;
  return put(value, DEEPEST) ? { bytes: scratch, from: 0, to: end } : null;
}

function put(value: unknown, depth: number): boolean {
  if (end > ROOM) return false;
  switch (typeof value) {
    case "number":
      putNumber(value);
      return true;
    case "string":
      return putText(value);
    case "boolean":
      scratch[end++] = value ? 0xc3 : 0xc2;
      return true;
    case "object":
      if (value === null) {
        scratch[end++] = 0xc0;
        return true;
      }
      if (depth === 0) return false;
      return Array.isArray(value) ? putList(value, depth - 1) : putRecord(value, depth - 1);
    default:
      return false;
  }
}

function putList(list: readonly unknown[], depth: number): boolean {
  if (list.length >= FEW) return false;
  scratch[end++] = 0x90 | list.length;
  for (let i = 0; i < list.length; i++) if (!put(list[i], depth)) return false;
  return true;
}

function putRecord(record: object, depth: number): boolean {
  const names = Object.keys(record);
  if (names.length >= FEW) return false;
  scratch[end++] = 0x80 | names.length;
  for (let i = 0; i < names.length; i++) {
    const name = names[i]!;
    if (end > ROOM || !putText(name)) return false;
    if (!put((record as Record<string, unknown>)[name], depth)) return false;
  }
  return true;
}

function putNumber(value: number): void {
  if (value >>> 0 === value) {
    if (value < 0x80) scratch[end++] = value;
    else putInteger(0xcc, value, value < 0x100 ? 0 : value < 0x10000 ? 1 : 2);
  } else if (value >> 0 === value) {
    if (value >= -0x20) scratch[end++] = value;
    else putInteger(0xd0, value, value >= -0x80 ? 0 : value >= -0x8000 ? 1 : 2);
  } else {
    float[0] = value;
    scratch[end++] = 0xcb;
    for (let i = 7; i >= 0; i--) scratch[end++] = floatBytes[i]!;
  }
}

/** In 1, 2 or 4 bytes: as `log` says, and the token. */
function putInteger(token: number, value: number, log: number): void {
  scratch[end++] = token + log;
  for (let shift = 8 << log; (shift -= 8) >= 0;) scratch[end++] = value >> shift;
}

function putText(text: string): boolean {
  const { length } = text;
  if (length >= SMALL_TEXT) return false;
  scratch[end++] = 0xa0 | length;
  for (let i = 0; i < length; i++) {
    const c = text.charCodeAt(i);
    if (c > 127) return false;
    scratch[end++] = c;
  }
  return true;
}

// -- Reading ---------------------------------------------------------------------------------------------------------

/** What is not simple, or no value at all, is said to be this: the long way tells which. */
export const NOT_SIMPLE: unique symbol = /* @__PURE__ */ Symbol("not simple");

/** So small a value stays within any budget. */
const SMALL = 512;

let at = 0;

/**
 * The value in `bytes[from, to)` if it is small, and made of simple ones; {@link NOT_SIMPLE} for anything else. Lists and
 * records are new.
 * @throws TypeError for a name that Object.prototype, where a program froze it, does not let be set.
 */
export function decodeSimple({ bytes, from, to }: Span): unknown {
  if (to - from > SMALL) return NOT_SIMPLE;
  at = from;
  const value = take(bytes, to, DEEPEST);
  return at === to ? value : NOT_SIMPLE;
}

function take(bytes: Uint8Array, to: number, depth: number): unknown {
  if (at >= to) return NOT_SIMPLE;
  const token = bytes[at++]!;
  if (token < 0x80) return token;
  if (token >= 0xe0) return token - 0x100;
  if (token < 0x90) return takeRecord(bytes, token & 15, to, depth - 1);
  if (token < 0xa0) return takeList(bytes, token & 15, to, depth - 1);
  if (token < 0xc0) return takeText(bytes, token & 31, to);
  switch (token) {
    case 0xc0:
      return null;
    case 0xc2:
      return false;
    case 0xc3:
      return true;
    case 0xcb:
      return takeFloat(bytes, to);
    default:
      return (token & 3) < 3 && token > 0xcb && token < 0xd3
        ? takeInteger(bytes, 1 << (token & 3), token < 0xd0, to)
        : NOT_SIMPLE;
  }
}

function takeList(bytes: Uint8Array, count: number, to: number, depth: number): unknown {
  if (depth < 0) return NOT_SIMPLE;
  const list = new Array<unknown>(count);
  for (let i = 0; i < count; i++) {
    const value = take(bytes, to, depth);
    if (value === NOT_SIMPLE) return NOT_SIMPLE;
    list[i] = value;
  }
  return list;
}

function takeRecord(bytes: Uint8Array, count: number, to: number, depth: number): unknown {
  if (depth < 0) return NOT_SIMPLE;
  const record: Record<string, unknown> = {};
  for (let i = 0; i < count; i++) {
    const token = at < to ? bytes[at++]! : 0;
    const length = token & 31;
    // A setter that every object has must not be met.
    if (token < 0xa0 || token >= 0xc0 || at + length > to || bytes[at] === UNDERSCORE)
      return NOT_SIMPLE;
    for (let k = at; k < at + length; k++) if (bytes[k]! > 127) return NOT_SIMPLE;
    const name = decodeName(bytes, at, length);
    at += length;
    const value = take(bytes, to, depth);
    if (value === NOT_SIMPLE) return NOT_SIMPLE;
    record[name] = value;
  }
  return record;
}

const UNDERSCORE = 0x5f;

function takeFloat(bytes: Uint8Array, to: number): unknown {
  if (at + 8 > to) return NOT_SIMPLE;
  for (let i = 7; i >= 0; i--) floatBytes[i] = bytes[at++]!;
  const value = float[0]!;
  return isSimple(value) ? value : NOT_SIMPLE;
}

function takeInteger(bytes: Uint8Array, size: number, unsigned: boolean, to: number): unknown {
  if (at + size > to) return NOT_SIMPLE;
  let value = 0;
  for (let i = 0; i < size; i++) value = (value << 8) | bytes[at++]!;
  const unused = 32 - size * 8;
  return unsigned ? value >>> 0 : (value << unused) >> unused;
}

/** ASCII only: other texts need a look at what they are made of. */
function takeText(bytes: Uint8Array, length: number, to: number): unknown {
  const from = at;
  if (from + length > to) return NOT_SIMPLE;
  for (; at < from + length; at++) if (bytes[at]! > 127) return NOT_SIMPLE;
  return decodeText(bytes, from, length);
}
