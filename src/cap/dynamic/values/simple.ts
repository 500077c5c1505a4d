// Role: the short way of the codec, for what most calls carry: numbers, short texts, booleans and null, alone or in a
// short list. The bytes are those of the long way.
// State: a scratch, and how far it is written or the bytes are read. Must not know: references.

import type { Span } from "./contract.js";
import { packBorrowed } from "./pack.js";
import { isWellFormed } from "./text.js";
import { decodeText } from "../../../wire/text.js";

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

const float = new Float64Array(1);
const floatBytes = new Uint8Array(float.buffer);

// -- Writing ---------------------------------------------------------------------------------------------------------

/** Room for a list that is as long as can be. */
const scratch = new Uint8Array(1 + FEW * (1 + SMALL_TEXT));
let end = 0;

/**
 * The bytes that `encodeValue` makes of `value`; borrowed: they are to be copied before anything else is encoded.
 * @param value one that {@link isSimple}, or a list for which {@link isSimpleList} holds.
 */
export function encodeSimple(value: unknown): Span {
  end = 0;
  if (Array.isArray(value) ? putList(value) : put(value))
    return { bytes: scratch, from: 0, to: end };
  return packBorrowed(value);
}

function putList(list: readonly unknown[]): boolean {
  if (list.length >= 16) return false;
  scratch[end++] = 0x90 | list.length;
  for (let i = 0; i < list.length; i++) if (!put(list[i])) return false;
  return true;
}

function put(value: unknown): boolean {
  if (typeof value === "number") putNumber(value);
  else if (typeof value === "string") return putText(value);
  else scratch[end++] = value === null ? 0xc0 : value === true ? 0xc3 : 0xc2;
  return true;
}

function putNumber(value: number): void {
  if (value >>> 0 === value) {
    if (value < 0x80) scratch[end++] = value;
    else if (value < 0x100) putInteger(0xcc, value, 1);
    else if (value < 0x10000) putInteger(0xcd, value, 2);
    else putInteger(0xce, value, 4);
  } else if (value >> 0 === value) {
    if (value >= -0x20) scratch[end++] = value;
    else if (value >= -0x80) putInteger(0xd0, value, 1);
    else if (value >= -0x8000) putInteger(0xd1, value, 2);
    else putInteger(0xd2, value, 4);
  } else {
    float[0] = value;
    scratch[end++] = 0xcb;
    for (let i = 7; i >= 0; i--) scratch[end++] = floatBytes[i]!;
  }
}

function putInteger(token: number, value: number, bytes: number): void {
  scratch[end++] = token;
  for (let shift = (bytes - 1) * 8; shift >= 0; shift -= 8) scratch[end++] = value >> shift;
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

let at = 0;

/** The simple value in `bytes[from, to)`; {@link NOT_SIMPLE} for anything else. */
export function decodeSimple({ bytes, from, to }: Span): unknown {
  at = from;
  const value = take(bytes, to);
  return at === to ? value : NOT_SIMPLE;
}

/** The short list of simple values in `bytes[from, to)`; null for anything else. */
export function decodeSimpleList({ bytes, from, to }: Span): unknown[] | null {
  if (from === to || (bytes[from]! & 0xf0) !== 0x90) return null;
  const list = new Array<unknown>(bytes[from]! & 15);
  at = from + 1;
  for (let i = 0; i < list.length; i++) {
    const value = take(bytes, to);
    if (value === NOT_SIMPLE) return null;
    list[i] = value;
  }
  return at === to ? list : null;
}

function take(bytes: Uint8Array, to: number): unknown {
  if (at >= to) return NOT_SIMPLE;
  const token = bytes[at++]!;
  if (token < 0x80) return token;
  if (token >= 0xe0) return token - 0x100;
  if (token >= 0xa0 && token < 0xc0) return takeText(bytes, token & 31, to);
  switch (token) {
    case 0xc0:
      return null;
    case 0xc2:
      return false;
    case 0xc3:
      return true;
    case 0xcb:
      return takeFloat(bytes, to);
    case 0xcc:
    case 0xcd:
    case 0xce:
      return takeInteger(bytes, 1 << (token - 0xcc), to) ?? NOT_SIMPLE;
    case 0xd0:
    case 0xd1:
    case 0xd2:
      return takeSigned(bytes, 1 << (token - 0xd0), to);
    default:
      return NOT_SIMPLE;
  }
}

function takeFloat(bytes: Uint8Array, to: number): unknown {
  if (at + 8 > to) return NOT_SIMPLE;
  for (let i = 7; i >= 0; i--) floatBytes[i] = bytes[at++]!;
  const value = float[0]!;
  return isSimple(value) ? value : NOT_SIMPLE;
}

function takeInteger(bytes: Uint8Array, size: number, to: number): number | null {
  if (at + size > to) return null;
  let value = 0;
  for (let i = 0; i < size; i++) value = value * 256 + bytes[at++]!;
  return value;
}

function takeSigned(bytes: Uint8Array, size: number, to: number): unknown {
  const value = takeInteger(bytes, size, to);
  if (value === null) return NOT_SIMPLE;
  const unused = 32 - size * 8;
  return (value << unused) >> unused;
}

/** ASCII only: other texts need a look at what they are made of. */
function takeText(bytes: Uint8Array, length: number, to: number): unknown {
  const from = at;
  if (from + length > to) return NOT_SIMPLE;
  for (; at < from + length; at++) if (bytes[at]! > 127) return NOT_SIMPLE;
  return decodeText(bytes, from, length);
}
