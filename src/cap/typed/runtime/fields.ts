// Role: what generated accessors of pointer fields, groups and unions call.
// State: none. Must not know: any particular struct.

import { AnyPointer } from "./any.js";
import { readData, readText, writeData, writeText, initDataAt } from "./blobs.js";
import { forget } from "./copy.js";
import { invalidArgument, invalidState } from "./errors.js";
import type { PointerType } from "./info.js";
import type { Literal } from "./literal.js";
import type { List, ListInfo } from "./list.js";
import { clearPointer, isNull } from "./pointer.js";
import { getUint16, noRoom, setUint16 } from "./scalars.js";
import { nullSegment } from "./segment.js";
import { slotOf, type StructState } from "./state.js";
import type { Struct, StructInfo, StructType } from "./struct.js";

function slotToWrite(s: StructState, index: number): number {
  const at = slotOf(s, index);
  if (at < 0) throw noRoom();
  forget(s.segment, at);
  return at;
}

/** Whether the pointer field was set (a null pointer reads as the default). */
export function has(s: StructState, index: number): boolean {
  const at = slotOf(s, index);
  return at >= 0 && !isNull(s.segment, at);
}

/** Sets the pointer field to null. */
export function clear(s: StructState, index: number): void {
  clearPointer(s.segment, slotToWrite(s, index));
}

export function getText(s: StructState, index: number, otherwise = ""): string {
  const at = slotOf(s, index);
  return at < 0 || isNull(s.segment, at) ? otherwise : readText(s.segment, at);
}

export function setText(s: StructState, index: number, value: string | null): void {
  const at = slotToWrite(s, index);
  if (value === null) clearPointer(s.segment, at);
  else writeText(s.segment, at, value);
}

export function getData(s: StructState, index: number, otherwise?: Literal): Uint8Array {
  const at = slotOf(s, index);
  if (at >= 0 && !isNull(s.segment, at)) return readData(s.segment, at);
  return otherwise === undefined ? new Uint8Array(0) : readData(otherwise.segment, 0);
}

export function setData(s: StructState, index: number, value: Uint8Array | null): void {
  const at = slotToWrite(s, index);
  if (value === null) clearPointer(s.segment, at);
  else writeData(s.segment, at, value);
}

export function initData(s: StructState, index: number, length: number): Uint8Array {
  return initDataAt(s.segment, slotToWrite(s, index), length);
}

/** A field of any pointer type, by its type. */
export function getPointer<T>(
  s: StructState,
  index: number,
  type: PointerType<T>,
  otherwise?: Literal,
): T {
  const at = slotOf(s, index);
  if (otherwise !== undefined && (at < 0 || isNull(s.segment, at)))
    return type._capnp.read(otherwise.segment, 0);
  return at >= 0 ? type._capnp.read(s.segment, at) : type._capnp.read(nullSegment(s.segment), 0);
}

export function setPointer<T>(
  s: StructState,
  index: number,
  type: PointerType<T>,
  value: unknown,
): void {
  type._capnp.write(s.segment, slotToWrite(s, index), value);
}

export function initStruct<S extends Struct>(
  s: StructState,
  index: number,
  type: StructType<S>,
): S {
  return type._capnp.init(s.segment, slotToWrite(s, index));
}

export function initList<T>(
  s: StructState,
  index: number,
  type: { readonly _capnp: ListInfo<T> },
  length: number,
): List<T> {
  return type._capnp.init(s.segment, slotToWrite(s, index), length);
}

/** A group: another class over the same sections. */
export function getGroup<G extends Struct>(
  parent: Struct,
  type: { readonly _capnp: StructInfo<Struct> },
): G {
  const { segment, byteOffset, _capnp } = parent;
  const bound = bindingsOf(parent);
  const info = type._capnp;
  const Bound = bound.length === 0 ? info.type : info.bind(bound);
  const { depthLimit, compositeIndex } = _capnp;
  return new Bound(segment, byteOffset, depthLimit, compositeIndex, _capnp) as G;
}

/** The type bound to parameter `index` of the generic struct's class; AnyPointer when none is. */
export function boundType<T>(struct: Struct, index: number): PointerType<T> {
  const info: StructInfo = (struct.constructor as unknown as StructType<Struct>)._capnp;
  return (info.bindings[index] ?? AnyPointer) as PointerType<T>;
}

/** The bindings of the generic struct's class, for a type of the same scope. */
function bindingsOf(struct: Struct): readonly PointerType<unknown>[] {
  return (struct.constructor as unknown as StructType<Struct>)._capnp.bindings;
}

/** The names of a union's members, and `_unknown` for what only a newer schema knows (C-VAL-21). */
export type Which<Names extends readonly string[]> = Names[number] | "_unknown";

/**
 * The name of a union's active member.
 * @param names by tag. @returns `_unknown` for a tag this schema does not know (C-VAL-21).
 */
export function whichOf<W extends string>(
  s: StructState,
  at: number,
  names: readonly W[],
): W | "_unknown" {
  return names[getUint16(s, at)] ?? "_unknown";
}

/** Throws unless member `tag` of the union is the active one. */
export function checkTag(s: StructState, at: number, tag: number, name: string): void {
  const found = getUint16(s, at);
  if (found !== tag)
    throw invalidState(
      `${name} is not the active member of its union (the tag is ${found}, not ${tag})`,
    );
}

/** Makes member `tag` of the union the active one. */
export function setTag(s: StructState, at: number, tag: number): void {
  setUint16(s, at, tag);
}

/** Where the fields of a group are. */
export interface Slots {
  /** Pairs of offset and length. */
  readonly bytes: readonly number[];
  readonly bits: readonly number[];
  readonly pointers: readonly number[];
}

/** Zeroes the bits of a group that is made the active member: others of the union may have left theirs. */
export function clearGroup(s: StructState, { bytes, bits, pointers }: Slots): void {
  for (let i = 0; i < bytes.length; i += 2)
    for (let at = bytes[i]!, end = at + bytes[i + 1]!; at < end; at++) {
      if (at >= s.dataBytes) throw noRoom();
      s.segment.setUint8(s.base + at, 0);
    }
  for (const bit of bits) {
    const at = s.base + (bit >>> 3);
    s.segment.setUint8(at, s.segment.getUint8(at) & ~(1 << (bit & 7)));
  }
  for (const index of pointers) clear(s, index);
}

/** Refuses an object that sets two members of one union. */
export function oneMember(value: object, names: readonly string[]): void {
  let first = "";
  for (const name of names) {
    if ((value as Record<string, unknown>)[name] === undefined) continue;
    if (first !== "")
      throw invalidArgument(`${first} and ${name} are members of one union: set one of them`);
    first = name;
  }
}
