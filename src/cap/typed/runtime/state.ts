// Role: where the fields of one struct object are: a data section and a pointer section of a segment.
// State: that location, found once. Must not know: the fields.
//
// It stands in for capnp-ts's per-object record (`_capnp`), so capnp-ts's own utilities work on our structs. capnp-ts
// finds the sections anew at each field access, 60 to 110 ns; here a getter is one comparison and one DataView read.

import { invalidPayload } from "./errors.js";
import { ELEMENT_BYTES, found, inside, LIST, resolve, STRUCT } from "./pointer.js";
import { ReadSegment, type Segment } from "./segment.js";

/** The location of a struct's sections. */
export class StructState {
  /** What capnp-ts keeps here. */
  readonly compositeIndex?: number;
  readonly compositeList: boolean;
  readonly depthLimit: number;
  /** The segment of the sections; before they are found, of the pointer. */
  segment: Segment;
  /** Byte offset of the pointer to this struct, in the segment it was made with. */
  readonly at: number;
  /** Byte offset of the data section. */
  base = 0;
  /** Bytes of the data section; -1 while the sections are not found yet. */
  dataBytes = -1;
  /** Byte offset of the pointer section. */
  pointers = 0;
  pointerCount = 0;

  constructor(
    segment: Segment,
    at: number,
    depthLimit: number,
    compositeIndex: number | undefined,
  ) {
    this.compositeIndex = compositeIndex as number;
    this.compositeList = compositeIndex !== undefined;
    this.depthLimit = depthLimit;
    this.segment = segment;
    this.at = at;
  }

  place(base: number, dataBytes: number, pointerCount: number): void {
    this.base = base;
    this.dataBytes = dataBytes;
    this.pointers = base + dataBytes;
    this.pointerCount = pointerCount;
  }
}

/**
 * Whether the data section reaches `end` bytes. The slow half of every scalar accessor: a struct shorter than the
 * schema (C-VAL-20) or one whose sections are not found yet.
 */
export function reaches(s: StructState, end: number): boolean {
  refresh(s);
  return end <= s.dataBytes;
}

/** Byte offset of pointer `index`, or -1 when the pointer section is too short for it (C-VAL-24). */
export function slotOf(s: StructState, index: number): number {
  if (index >= s.pointerCount) {
    refresh(s);
    if (index >= s.pointerCount) return -1;
  }
  return s.pointers + index * 8;
}

/** Finds the sections, if they are not found or could have come into being since. */
function refresh(s: StructState): void {
  if (s.dataBytes < 0) open(s);
  else if (
    s.dataBytes === 0 &&
    s.pointerCount === 0 &&
    !s.compositeList &&
    !(s.segment instanceof ReadSegment)
  )
    open(s);
}

/** Finds the sections by the pointer. A null pointer is a struct of size zero. */
export function open(s: StructState): void {
  if (s.compositeIndex !== undefined) {
    openElement(s, s.compositeIndex);
    return;
  }
  const kind = resolve(s.segment, s.at);
  if (kind < 0) {
    s.place(0, 0, 0);
    return;
  }
  if (kind !== STRUCT) throw invalidPayload(`expected a struct, found ${KINDS[kind]!}`);
  const dataBytes = (found.hi & 0xffff) * 8;
  const pointerCount = found.hi >>> 16;
  inside(found.segment, found.target, dataBytes + pointerCount * 8, "a struct");
  s.segment = found.segment;
  s.place(found.target, dataBytes, pointerCount);
}

export const KINDS: readonly string[] = ["a struct", "a list", "a far pointer", "a capability"];

/** The sections of an element of a list that capnp-ts's own list class handed out. */
function openElement(s: StructState, index: number): void {
  const kind = resolve(s.segment, s.at);
  if (kind !== LIST) throw invalidPayload("expected a list of structs");
  const code = found.hi & 7;
  if (code === 7) {
    inside(found.segment, found.target, 8, "a list");
    const size = found.segment.getInt32(found.target + 4);
    const dataBytes = (size & 0xffff) * 8;
    const stride = dataBytes + (size >>> 16) * 8;
    inside(found.segment, found.target + 8 + index * stride, stride, "a list");
    s.segment = found.segment;
    s.place(found.target + 8 + index * stride, dataBytes, size >>> 16);
    return;
  }
  if (code === 1) throw invalidPayload("a list of bits was found where structs were expected");
  const bytes = ELEMENT_BYTES[code]!;
  inside(found.segment, found.target + index * bytes, bytes, "a list");
  s.segment = found.segment;
  if (code === 6) s.place(found.target + index * 8, 0, 1);
  else s.place(found.target + index * bytes, bytes, 0);
}
