// Role: deep copies between messages: validates while it copies, and moves capability indexes to the new table.
// State: the words left in the budget of the copy that runs. Must not know: schemas.
//
// capnp-ts's own copy throws on a capability and moves words as float64, which may change the bits of a NaN.

import type { Hook } from "../../../hook/hook.js";
import { BrokenHook } from "../../../hook/results.js";
import type { Caps } from "./caps.js";
import { invalidPayload } from "./errors.js";
import {
  CAPABILITY,
  clearPointer,
  ELEMENT_BYTES,
  found,
  inside,
  LIST,
  resolve,
  STRUCT,
} from "./pointer.js";
import { writeCapPointer, writeListPointer, writeStructPointer } from "./pointer.js";
import { allocate, type Segment, TypedMessage } from "./segment.js";
import type { StructState } from "./state.js";

/** Levels of structs and lists in one copy: far over what a received message may have, far under the stack. */
const MAX_DEPTH = 500;
/**
 * Words in one copy, beside four times those of the message copied from: a cycle, or a web of shared pointers, ends here
 * (C-VAL-13, 14).
 */
const SPARE_WORDS = 1024 * 1024;

let budget = 0;

/** Copies what the pointer at `from` leads to, and points `to` at the copy (C-VAL-26). */
export function copyPointer(source: Segment, from: number, target: Segment, to: number): void {
  allow(source);
  copyAt(source, from, target, to, MAX_DEPTH);
}

/**
 * Copies a struct, given by its location, and points `to` at the copy.
 * @param dataWords, pointerCount the least size of the copy: that of the schema, so that its fields can be set.
 */
export function copyStruct(
  from: StructState,
  target: Segment,
  to: number,
  dataWords: number,
  pointerCount: number,
): void {
  allow(from.segment);
  const words = Math.max((from.dataBytes + 7) >> 3, dataWords);
  const count = Math.max(from.pointerCount, pointerCount);
  const at = allocate(target, (words + count) * 8);
  writeStructPointer(target, to, at, words, count);
  const { segment, base, dataBytes, pointers } = from;
  copySections(
    segment,
    base,
    dataBytes,
    pointers,
    from.pointerCount,
    target,
    at,
    words * 8,
    MAX_DEPTH - 1,
  );
}

/** Copies the sections of a struct over those of another, as far as both reach. */
export function copyOver(
  from: StructState,
  target: Segment,
  at: number,
  dataBytes: number,
  pointerCount: number,
): void {
  allow(from.segment);
  const count = Math.min(from.pointerCount, pointerCount);
  const bytes = Math.min(from.dataBytes, dataBytes);
  copySections(
    from.segment,
    from.base,
    bytes,
    from.pointers,
    count,
    target,
    at,
    dataBytes,
    MAX_DEPTH - 1,
  );
}

function copySections(
  source: Segment,
  base: number,
  dataBytes: number,
  pointers: number,
  pointerCount: number,
  target: Segment,
  at: number,
  targetDataBytes: number,
  depth: number,
): void {
  copyBytes(source, base, target, at, dataBytes);
  for (let i = 0; i < pointerCount; i++)
    copyAt(source, pointers + i * 8, target, at + targetDataBytes + i * 8, depth);
}

function copyBytes(
  source: Segment,
  from: number,
  target: Segment,
  to: number,
  bytes: number,
): void {
  if (bytes === 0) return;
  new Uint8Array(target.buffer, to, bytes).set(new Uint8Array(source.buffer, from, bytes));
}

function copyAt(source: Segment, from: number, target: Segment, to: number, depth: number): void {
  const kind = resolve(source, from);
  if (kind < 0) return clearPointer(target, to);
  if (depth === 0) throw invalidPayload(`a message nests deeper than ${MAX_DEPTH} levels`);
  const { hi, target: content, segment } = found;
  if (kind === STRUCT) {
    const dataWords = hi & 0xffff;
    const pointerCount = hi >>> 16;
    spend(dataWords + pointerCount + 1);
    inside(segment, content, (dataWords + pointerCount) * 8, "a struct");
    const at = allocate(target, (dataWords + pointerCount) * 8);
    writeStructPointer(target, to, at, dataWords, pointerCount);
    const pointers = content + dataWords * 8;
    copySections(
      segment,
      content,
      dataWords * 8,
      pointers,
      pointerCount,
      target,
      at,
      dataWords * 8,
      depth - 1,
    );
  } else if (kind === LIST) copyList(segment, content, hi, target, to, depth);
  else if (kind === CAPABILITY) copyCap(found.lo, hi >>> 0, source, target, to);
}

function copyList(
  source: Segment,
  from: number,
  hi: number,
  target: Segment,
  to: number,
  depth: number,
): void {
  const code = hi & 7;
  const count = hi >>> 3;
  const bytes =
    code === 7 ? count * 8 + 8 : code === 1 ? (count + 7) >>> 3 : ELEMENT_BYTES[code]! * count;
  spend(((bytes + 7) >>> 3) + 1);
  inside(source, from, bytes, "a list");
  const at = allocate(target, bytes);
  writeListPointer(target, to, at, code, count);
  if (code === 6) {
    for (let i = 0; i < count; i++) copyAt(source, from + i * 8, target, at + i * 8, depth - 1);
    return;
  }
  if (code !== 7) return copyBytes(source, from, target, at, bytes);
  const size = source.getInt32(from + 4);
  const length = source.getInt32(from) >>> 2;
  const dataBytes = (size & 0xffff) * 8;
  const pointerCount = size >>> 16;
  const stride = dataBytes + pointerCount * 8;
  if ((source.getInt32(from) & 3) !== STRUCT || stride * length > count * 8)
    throw invalidPayload("a list of structs has a tag that does not fit it");
  if (pointerCount === 0) return copyBytes(source, from, target, at, 8 + stride * length);
  copyBytes(source, from, target, at, 8);
  for (let i = 0; i < length; i++) {
    const element = 8 + i * stride;
    const pointers = from + element + dataBytes;
    copySections(
      source,
      from + element,
      dataBytes,
      pointers,
      pointerCount,
      target,
      at + element,
      dataBytes,
      depth - 1,
    );
  }
}

/** A capability keeps its meaning, not its index; where the target has no table it becomes null (C-VAL-27). */
function copyCap(lo: number, index: number, source: Segment, target: Segment, to: number): void {
  if (lo !== CAPABILITY) throw invalidPayload("a pointer of an unknown kind was found");
  const from = capsOf(source);
  const into = capsOf(target);
  if (from === null || into === null) return clearPointer(target, to);
  const hook = from.share(index);
  if (hook === null) clearPointer(target, to);
  else writeHook(target, to, into, hook);
}

/**
 * Points at a capability, whose reference passes to the table `caps`. The null capability is a null pointer: C++ takes a
 * pointer to an entry of kind `none` for an error.
 */
export function writeHook(segment: Segment, at: number, caps: Caps, hook: Hook): void {
  const end = hook.resolved();
  if (!(end instanceof BrokenHook) || !end.isNull) {
    writeCapPointer(segment, at, caps.add(hook));
    return;
  }
  hook.release();
  clearPointer(segment, at);
}

/**
 * Takes what a pointer of a message being built leads to out of the message: the capabilities in it leave the table, whose
 * other indexes stay as they are (C-VAL-28). Call it before the pointer is overwritten.
 */
export function forget(segment: Segment, at: number): void {
  const caps = capsOf(segment);
  if (caps !== null && caps.holds) forgetAt(caps, segment, at);
}

function forgetAt(caps: Caps, segment: Segment, at: number): void {
  const kind = resolve(segment, at);
  if (kind < 0) return;
  const { hi, target } = found;
  if (kind === CAPABILITY) return caps.remove(hi >>> 0);
  if (kind === STRUCT) return forgetPointers(caps, segment, target + (hi & 0xffff) * 8, hi >>> 16);
  const count = hi >>> 3;
  if ((hi & 7) === 6) forgetPointers(caps, segment, target, count);
  if ((hi & 7) !== 7) return;
  const size = segment.getInt32(target + 4);
  const dataBytes = (size & 0xffff) * 8;
  const pointers = size >>> 16;
  for (let i = 0; i < segment.getInt32(target) >>> 2; i++)
    forgetPointers(
      caps,
      segment,
      target + 8 + i * (dataBytes + pointers * 8) + dataBytes,
      pointers,
    );
}

function forgetPointers(caps: Caps, segment: Segment, at: number, count: number): void {
  for (let i = 0; i < count; i++) {
    forgetAt(caps, segment, at + i * 8);
    clearPointer(segment, at + i * 8);
  }
}

export function capsOf(segment: Segment): Caps | null {
  const message = segment.message;
  return message instanceof TypedMessage ? (message.caps as Caps | null) : null;
}

function spend(words: number): void {
  budget -= words;
  if (budget < 0) throw invalidPayload("a message unfolds to many times its size, or has a cycle");
}

function allow(source: Segment): void {
  let bytes = 0;
  for (const segment of source.message._capnp.segments) bytes += segment.byteLength;
  budget = SPARE_WORDS + bytes / 2;
}
