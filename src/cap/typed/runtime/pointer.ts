// Role: finds what a pointer word points to, and writes pointer words.
// State: one result record, reused by every call of `resolve`. Must not know: schemas, capabilities behind an index.
//
// Contents from the wire hold near pointers only and were validated; far pointers and bounds are checked here all the
// same, because a generated struct can be laid over any capnp-ts message.

import { invalidPayload, invalidState } from "./errors.js";
import type { Segment } from "./segment.js";

export const STRUCT = 0;
export const LIST = 1;
export const FAR = 2;
export const CAPABILITY = 3;

/** What the last `resolve` found. Read it at once: the next call overwrites it. */
export const found = {
  /** The segment of the content. */
  segment: null as unknown as Segment,
  /** Byte offset of the content; of a composite list, that of its tag word. */
  target: 0,
  /** Low word of the pointer that carries the kind; 0 in both words is null. */
  lo: 0,
  /** High word: sizes of a struct, element code and count of a list, index of a capability. */
  hi: 0,
};

/**
 * Reads the pointer at byte `at` of `segment` into {@link found}, through far pointers.
 * @returns its kind, or -1 for null.
 * @throws RpcError invalid-payload when the pointer leads out of the message.
 */
export function resolve(segment: Segment, at: number): number {
  const lo = segment.getInt32(at);
  const hi = segment.getInt32(at + 4);
  found.hi = hi;
  found.lo = lo;
  if ((lo | hi) === 0) return -1;
  if ((lo & 3) === FAR) return resolveFar(segment, lo, hi);
  found.segment = segment;
  found.target = at + 8 + (lo >> 2) * 8;
  return lo & 3;
}

function resolveFar(from: Segment, lo: number, hi: number): number {
  const pad = padOf(from, lo, hi, (lo & 4) === 0 ? 8 : 16);
  const at = (lo >>> 3) * 8;
  const first = pad.getInt32(at);
  const second = pad.getInt32(at + 4);
  if ((lo & 4) === 0) {
    if ((first & 3) === FAR) throw invalidPayload("a far pointer leads to another far pointer");
    found.lo = first;
    found.hi = second;
    if ((first | second) === 0) return -1;
    found.segment = pad;
    found.target = at + 8 + (first >> 2) * 8;
    return first & 3;
  }
  if ((first & 7) !== FAR)
    throw invalidPayload("the landing pad of a double far pointer is not a far pointer");
  const tag = pad.getInt32(at + 8);
  if (tag !== STRUCT && tag !== LIST)
    throw invalidPayload("a double far pointer has a tag that is no struct or list");
  found.segment = padOf(pad, first, second, 0);
  found.target = (first >>> 3) * 8;
  found.lo = tag;
  found.hi = pad.getInt32(at + 12);
  return tag;
}

function padOf(from: Segment, lo: number, hi: number, bytes: number): Segment {
  const segment = from.message._capnp.segments[hi >>> 0];
  if (segment === undefined)
    throw invalidPayload(`a far pointer names segment ${hi >>> 0}, which is not there`);
  if ((lo >>> 3) * 8 + bytes > segment.byteLength)
    throw invalidPayload("a far pointer leaves its segment");
  return segment;
}

/** Throws unless `bytes` from `target` on are inside `segment`. */
export function inside(segment: Segment, target: number, bytes: number, what: string): void {
  if (target < 0 || target + bytes > segment.byteLength)
    throw invalidPayload(`${what} pointer leaves its segment`);
}

/** Bytes of one element of a list by its code, for codes 2 to 6; 0 for void and bit. */
export const ELEMENT_BYTES: readonly number[] = [0, 0, 1, 2, 4, 8, 8];

export function isNull(segment: Segment, at: number): boolean {
  return (segment.getInt32(at) | segment.getInt32(at + 4)) === 0;
}

export function clearPointer(segment: Segment, at: number): void {
  segment.setInt32(at, 0);
  segment.setInt32(at + 4, 0);
}

/** Writes a struct pointer at `at` to content at `target` of the same segment. */
export function writeStructPointer(
  segment: Segment,
  at: number,
  target: number,
  dataWords: number,
  pointerCount: number,
): void {
  // The offset of an empty struct is -1, so that its pointer is not null.
  const offset = dataWords + pointerCount === 0 ? -1 : (target - at - 8) >> 3;
  segment.setInt32(at, offset << 2);
  segment.setInt32(at + 4, dataWords | (pointerCount << 16));
}

/** The most elements, or words of a composite list, that a list pointer can name. */
export const MAX_COUNT = 0x1fff_ffff;

export function writeListPointer(
  segment: Segment,
  at: number,
  target: number,
  code: number,
  count: number,
): void {
  if (!(count >= 0 && count <= MAX_COUNT))
    throw invalidState(`a list of ${count} elements cannot be built`);
  segment.setInt32(at, (((target - at - 8) >> 3) << 2) | LIST);
  segment.setInt32(at + 4, code | (count << 3));
}

export function writeCapPointer(segment: Segment, at: number, index: number): void {
  segment.setInt32(at, CAPABILITY);
  segment.setInt32(at + 4, index);
}
