// Role: the short way of the codec, for what most calls carry: lists of numbers, short texts, booleans and null.
// State: none. Must not know: references. The bytes are those of the long way.

import { DEFAULT_V8_LIMITS } from "./contract.js";
import { ByteWriter } from "./byte-writer.js";
import { HEADER, Tag, WRITTEN_VERSION } from "./tags.js";

/** @param list one for which `isSimpleList` holds. @returns bytes of their own. */
export function encodeSimpleList(list: readonly unknown[]): Uint8Array {
  const out = new ByteWriter(DEFAULT_V8_LIMITS.bytes);
  out.byte(HEADER);
  out.varint(WRITTEN_VERSION);
  out.byte(Tag.denseArray);
  out.varint(list.length);
  for (let i = 0; i < list.length; i++) out.primitive(list[i]);
  out.byte(Tag.denseArrayEnd);
  out.varint(0);
  out.varint(list.length);
  return out.finish();
}
