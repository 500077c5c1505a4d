// Role: buffers and views of V8's bytes.
// State: none. Must not know: other kinds.

import { overLimit } from "../../cap/dynamic/values/failures.js";
import { GROWTH_SHIFT, VIEW_TYPES, type ViewType } from "../../cap/dynamic/values/kinds.js";
import { growthOf } from "../../cap/dynamic/values/memory.js";
import type { ValueReader } from "./reader.js";
import {
  FLOAT16_TAG,
  FOLLOWS_LENGTH,
  OF_RESIZABLE,
  VERSION_WITH_FLAGS,
  VERSION_WITH_LONG_SIZES,
  VIEW_TAGS,
} from "./tags.js";

type Resizable = new (length: number, options: { maxByteLength: number }) => ArrayBuffer;
type View = new (buffer: ArrayBuffer, byteOffset: number, length?: number) => ArrayBufferView;

const CAN_RESIZE = "resizable" in ArrayBuffer.prototype;

/** A length or an offset. */
function size(reader: ValueReader): number {
  return reader.version >= VERSION_WITH_LONG_SIZES ? reader.varint() : reader.uint32();
}

export function readBuffer(reader: ValueReader): ArrayBuffer {
  // A copy of these bytes alone.
  return new Uint8Array(reader.raw(size(reader))).buffer;
}

export function readResizable(reader: ValueReader): ArrayBuffer {
  const length = size(reader);
  const most = size(reader);
  if (most < length) throw reader.invalid("a buffer is longer than it may be");
  const bytes = reader.raw(length);
  // An engine may set the memory aside at once.
  if (most > reader.limits.bytes)
    throw overLimit("bytes", reader.limits.bytes, "a buffer's growth");
  reader.charge(most >>> GROWTH_SHIFT);
  if (!CAN_RESIZE) throw reader.invalid("this runtime has no buffers that can be resized");
  const buffer = new (ArrayBuffer as unknown as Resizable)(length, { maxByteLength: most });
  new Uint8Array(buffer).set(bytes);
  return buffer;
}

/** A view of `buffer`, behind its tag. */
export function readView(reader: ValueReader, buffer: ArrayBuffer): ArrayBufferView {
  const number = reader.pend();
  const { make, size: step } = typeOf(reader);
  const offset = size(reader);
  const length = size(reader);
  const flags = reader.version >= VERSION_WITH_FLAGS ? reader.uint32() : 0;
  const follows = (flags & FOLLOWS_LENGTH) !== 0;
  if ((flags & ~(FOLLOWS_LENGTH | OF_RESIZABLE)) !== 0)
    throw reader.invalid("a view has an unknown flag");
  if (flags !== 0 && growthOf(buffer) < 0)
    throw reader.invalid("a view is of a buffer that can be resized, and its buffer cannot");
  if (offset + length > buffer.byteLength) throw reader.invalid("a view is past its buffer");
  if (offset % step !== 0 || length % step !== 0) throw reader.invalid("a view is not aligned");
  const View = make as View;
  const view = follows ? new View(buffer, offset) : new View(buffer, offset, length / step);
  return reader.settle(number, view);
}

function typeOf(reader: ValueReader): ViewType {
  const tag = reader.byte();
  const type = VIEW_TYPES[VIEW_TAGS.indexOf(tag)];
  if (type !== undefined) return type;
  const { Float16Array } = globalThis as { Float16Array?: ViewType["make"] };
  if (tag !== FLOAT16_TAG) throw reader.invalid(`there is no type ${tag} of views`);
  if (Float16Array === undefined) throw reader.invalid("this runtime has no Float16Array");
  return { make: Float16Array, size: 2 };
}
