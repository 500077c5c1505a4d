// Role: reads and writes the scalar fields of a struct. A default value is XORed over what is stored, so that a field
// that was never written, or that an older writer did not know, reads as its default (C-VAL-20).
// State: one scratch word for the defaults of floats. Must not know: pointers.
//
// Every accessor takes the StructState, which has one shape for all structs, so these functions stay monomorphic and
// are inlined into the generated getters.

import { invalidArgument, invalidState } from "./errors.js";
import { reaches, type StructState } from "./state.js";

const word = new DataView(new ArrayBuffer(8));

function room(s: StructState, end: number): void {
  if (end > s.dataBytes && !reaches(s, end)) throw noRoom();
}

export function noRoom(): Error {
  return invalidState(
    "this struct has no room for the field: it is null (call the init method of the field that holds it), was copied " +
      "from a message of an older schema, or its builder was closed",
  );
}

function refuse(type: string, value: unknown): Error {
  const shown =
    typeof value === "bigint" || typeof value === "number" ? String(value) : typeof value;
  return invalidArgument(`${shown} is not a value of ${type}`);
}

export function getBool(s: StructState, bit: number, mask = false): boolean {
  const at = bit >>> 3;
  if (at >= s.dataBytes && !reaches(s, at + 1)) return mask;
  return ((s.segment.getUint8(s.base + at) >>> (bit & 7)) & 1) !== (mask ? 1 : 0);
}

export function setBool(s: StructState, bit: number, value: boolean, mask = false): void {
  const at = bit >>> 3;
  room(s, at + 1);
  if (typeof value !== "boolean") throw refuse("Bool", value);
  const old = s.segment.getUint8(s.base + at);
  const flag = 1 << (bit & 7);
  s.segment.setUint8(s.base + at, value === mask ? old & ~flag : old | flag);
}

export function getInt8(s: StructState, at: number, mask = 0): number {
  if (at >= s.dataBytes && !reaches(s, at + 1)) return mask;
  return s.segment.getInt8(s.base + at) ^ mask;
}

export function setInt8(s: StructState, at: number, value: number, mask = 0): void {
  room(s, at + 1);
  if ((value << 24) >> 24 !== value) throw refuse("Int8", value);
  s.segment.setInt8(s.base + at, value ^ mask);
}

export function getUint8(s: StructState, at: number, mask = 0): number {
  if (at >= s.dataBytes && !reaches(s, at + 1)) return mask;
  return s.segment.getUint8(s.base + at) ^ mask;
}

export function setUint8(s: StructState, at: number, value: number, mask = 0): void {
  room(s, at + 1);
  if ((value & 0xff) !== value) throw refuse("UInt8", value);
  s.segment.setUint8(s.base + at, value ^ mask);
}

export function getInt16(s: StructState, at: number, mask = 0): number {
  if (at + 2 > s.dataBytes && !reaches(s, at + 2)) return mask;
  return s.segment.getInt16(s.base + at) ^ mask;
}

export function setInt16(s: StructState, at: number, value: number, mask = 0): void {
  room(s, at + 2);
  if ((value << 16) >> 16 !== value) throw refuse("Int16", value);
  s.segment.setInt16(s.base + at, value ^ mask);
}

/** Also every enum: a value this schema does not know stays the number it is (C-VAL-21). */
export function getUint16(s: StructState, at: number, mask = 0): number {
  if (at + 2 > s.dataBytes && !reaches(s, at + 2)) return mask;
  return s.segment.getUint16(s.base + at) ^ mask;
}

export function setUint16(s: StructState, at: number, value: number, mask = 0): void {
  room(s, at + 2);
  if ((value & 0xffff) !== value) throw refuse("UInt16", value);
  s.segment.setUint16(s.base + at, value ^ mask);
}

export function getInt32(s: StructState, at: number, mask = 0): number {
  if (at + 4 > s.dataBytes && !reaches(s, at + 4)) return mask;
  return s.segment.getInt32(s.base + at) ^ mask;
}

export function setInt32(s: StructState, at: number, value: number, mask = 0): void {
  room(s, at + 4);
  if ((value | 0) !== value) throw refuse("Int32", value);
  s.segment.setInt32(s.base + at, value ^ mask);
}

export function getUint32(s: StructState, at: number, mask = 0): number {
  if (at + 4 > s.dataBytes && !reaches(s, at + 4)) return mask;
  return (s.segment.getInt32(s.base + at) ^ mask) >>> 0;
}

export function setUint32(s: StructState, at: number, value: number, mask = 0): void {
  room(s, at + 4);
  if (value >>> 0 !== value) throw refuse("UInt32", value);
  s.segment.setInt32(s.base + at, value ^ mask);
}

export function getInt64(s: StructState, at: number, mask?: bigint): bigint {
  if (at + 8 > s.dataBytes && !reaches(s, at + 8)) return mask ?? 0n;
  const raw = s.segment.getBigInt64(s.base + at, true);
  return mask === undefined ? raw : raw ^ mask;
}

export function setInt64(s: StructState, at: number, value: bigint | number, mask?: bigint): void {
  room(s, at + 8);
  const big = toInt64(value);
  s.segment.setBigInt64(s.base + at, mask === undefined ? big : big ^ mask, true);
}

export function getUint64(s: StructState, at: number, mask?: bigint): bigint {
  if (at + 8 > s.dataBytes && !reaches(s, at + 8)) return mask ?? 0n;
  const raw = s.segment.getBigUint64(s.base + at, true);
  return mask === undefined ? raw : raw ^ mask;
}

export function setUint64(s: StructState, at: number, value: bigint | number, mask?: bigint): void {
  room(s, at + 8);
  const big = toUint64(value);
  s.segment.setBigUint64(s.base + at, mask === undefined ? big : big ^ mask, true);
}

/** A 64-bit value given as a bigint, or as a number that is exact. */
export function toInt64(value: bigint | number): bigint {
  if (typeof value === "number" && Number.isSafeInteger(value)) return BigInt(value);
  if (typeof value !== "bigint" || BigInt.asIntN(64, value) !== value) throw refuse("Int64", value);
  return value;
}

export function toUint64(value: bigint | number): bigint {
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return BigInt(value);
  if (typeof value !== "bigint" || BigInt.asUintN(64, value) !== value)
    throw refuse("UInt64", value);
  return value;
}

/** `mask` is the default's bit pattern. */
export function getFloat32(s: StructState, at: number, mask = 0): number {
  if (at + 4 > s.dataBytes && !reaches(s, at + 4)) return float32Of(mask);
  if (mask === 0) return s.segment.getFloat32(s.base + at);
  return float32Of(s.segment.getInt32(s.base + at) ^ mask);
}

export function setFloat32(s: StructState, at: number, value: number, mask = 0): void {
  room(s, at + 4);
  if (typeof value !== "number") throw refuse("Float32", value);
  s.segment.setFloat32(s.base + at, value);
  if (mask !== 0) s.segment.setInt32(s.base + at, s.segment.getInt32(s.base + at) ^ mask);
}

function float32Of(bits: number): number {
  word.setInt32(0, bits);
  return word.getFloat32(0);
}

/** `lo` and `hi` are the halves of the default's bit pattern. */
export function getFloat64(s: StructState, at: number, lo = 0, hi = 0): number {
  const reached = at + 8 <= s.dataBytes || reaches(s, at + 8);
  if (reached && (lo | hi) === 0) return s.segment.getFloat64(s.base + at);
  word.setInt32(4, reached ? s.segment.getInt32(s.base + at) ^ lo : lo);
  word.setInt32(0, reached ? s.segment.getInt32(s.base + at + 4) ^ hi : hi);
  return word.getFloat64(0);
}

export function setFloat64(s: StructState, at: number, value: number, lo = 0, hi = 0): void {
  room(s, at + 8);
  if (typeof value !== "number") throw refuse("Float64", value);
  s.segment.setFloat64(s.base + at, value);
  if ((lo | hi) === 0) return;
  s.segment.setInt32(s.base + at, s.segment.getInt32(s.base + at) ^ lo);
  s.segment.setInt32(s.base + at + 4, s.segment.getInt32(s.base + at + 4) ^ hi);
}
