// Role: buffers and views as V8 writes them.
// State: none. Must not know: other kinds.

import { overLimit } from "../../cap/dynamic/values/failures.js";
import { GROWTH_SHIFT, VIEW_TYPES } from "../../cap/dynamic/values/kinds.js";
import { growthOf } from "../../cap/dynamic/values/memory.js";
import type { BufferPart, ViewPart } from "../../cap/dynamic/values/parts.js";
import { FOLLOWS_LENGTH, OF_RESIZABLE, Tag, VIEW_TAGS } from "./tags.js";
import type { ValueWriter } from "./writer.js";

const GONE = "a getter in the value took its memory away";

export function writeBuffer(writer: ValueWriter, part: BufferPart): void {
  const { out } = writer;
  const bytes = memory(writer, () => new Uint8Array(part.buffer));
  const growth = growthOf(part.buffer);
  if (growth < 0) {
    out.byte(Tag.buffer);
    out.sized(bytes);
    return;
  }
  // An engine may set the memory aside at once.
  if (growth > out.limit) throw overLimit("bytes", out.limit, "a buffer's growth");
  writer.charge(growth >>> GROWTH_SHIFT);
  out.byte(Tag.resizableBuffer);
  out.varint(bytes.length);
  out.varint(growth);
  out.raw(bytes);
}

/**
 * Its buffer, then the view. A buffer that one view alone shows travels as that view's bytes: V8 writes all of it, and so gives
 * away what others have in a buffer that Node shares between strangers. One that can be resized belongs to nobody else.
 */
export function writeView(writer: ValueWriter, part: ViewPart): void {
  const { out } = writer;
  const { view, shape, type, of } = part;
  const bytes = memory(writer, () => shape.bytesOf(view));
  let offset = 0;
  let length = bytes.length;
  let flags = 0;
  if (of === null || (!of.held && of.views <= 1 && growthOf(of.buffer) < 0)) {
    out.byte(Tag.buffer);
    out.sized(bytes);
    writer.number();
  } else {
    writer.value(of);
    offset = bytes.byteOffset;
    if (growthOf(of.buffer) >= 0) flags = OF_RESIZABLE;
    if (flags !== 0 && followsLength(part, of.buffer, bytes)) {
      flags |= FOLLOWS_LENGTH;
      length = 0;
    }
  }
  out.byte(Tag.view);
  out.byte(VIEW_TAGS[type]!);
  out.varint(offset);
  out.varint(length);
  out.varint(flags);
}

/**
 * Whether a view of a resizable buffer is as long as that is. No property says so, and the buffer is not ours to resize: so a
 * copy of both is shrunk below the view's end, where a view of a certain length is out of bounds.
 */
function followsLength({ view, type }: ViewPart, buffer: ArrayBuffer, bytes: Uint8Array): boolean {
  const end = bytes.byteOffset + bytes.length;
  if (end + VIEW_TYPES[type]!.size <= buffer.byteLength || bytes.length === 0) return false;
  const copy = structuredClone(view) as Uint8Array | DataView;
  (copy.buffer as unknown as { resize(length: number): void }).resize(bytes.byteOffset);
  try {
    if (copy instanceof DataView) return copy.byteLength === 0;
    // Throws for a view that is out of bounds, whose own properties are all 0.
    copy.keys();
    return true;
  } catch {
    return false;
  }
}

/** Memory that was there in the walk, but code that ran later in it may have taken away. */
function memory(writer: ValueWriter, read: () => Uint8Array): Uint8Array {
  try {
    return read();
  } catch {
    throw writer.refuse(GONE);
  }
}
