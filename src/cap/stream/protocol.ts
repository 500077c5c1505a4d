// Role: the interfaces of streams, and the structs of ByteStream on their bytes.
// State: none but scratch. Must not know: chunks that are values; who streams.
//
// A sink is one capability with two interfaces: Cap'n Proto's ByteStream for bytes and the end, so that any peer that streams
// bytes can write to it and be written to, and Sink of schema/js.capnp for all else.

import { Content } from "../../wire/content.js";
import { COPIES, copyToSend } from "./copies.js";
import { ContentView } from "../../wire/content-view.js";

/** ByteStream of capnp/compat/byte-stream.capnp. */
export const BYTES_HI = 0xd2e7d8a0 | 0;
export const BYTES_LO = 0xdc0a9766 | 0;
export const BYTES_WRITE = 0;
export const BYTES_END = 1;
export const BYTES_SUBSTREAM = 2;

/** SubstreamCallback of the same file. */
export const CALLBACK_HI = 0xb23c0a13 | 0;
export const CALLBACK_LO = 0xcf65c36e | 0;
export const CALLBACK_ENDED = 0;
export const CALLBACK_REACHED_LIMIT = 1;
/** Where `next` is in the results of reachedLimit. */
export const NEXT_PATH: readonly number[] = Object.freeze([0]);

/** Sink of schema/js.capnp. Its params and results are those of the value layer. */
export const SINK_HI = 0xbce02073 | 0;
export const SINK_LO = 0x13793fae | 0;
export const SINK_WRITE = 0;
export const SINK_ABORT = 1;
export const SINK_BROKEN = 2;
export const SINK_DISCARD = 3;

/** Source of schema/js.capnp. */
export const SOURCE_HI = 0xe6a62f59 | 0;
export const SOURCE_LO = 0x14ef1c04 | 0;
export const SOURCE_PIPE = 0;

/** Bytes in one write: what workerd accepts, and little enough to let a small call pass between two. */
export const WRITE_BYTES = 65_536;

/** A struct of one capability, number 0 of the table: params of Source.pipe, results of getSubstream. */
export const ONE_CAPABILITY: Content = /* @__PURE__ */ new Content(
  new Uint8Array([0, 0, 0, 0, 0, 0, 1, 0, 3, 0, 0, 0, 0, 0, 0, 0]),
);

/** Up to so many bytes are copied next to their struct; more would cost more than a part of its own. */
const COPY_UP_TO = 4096;

/** Writes what stands before the bytes in params of ByteStream.write, of 16 bytes: root, and a Data of `length` bytes. */
export function putBytesHead(bytes: Uint8Array, length: number): void {
  bytes.fill(0, 0, 16);
  bytes[6] = 1;
  bytes[8] = 1;
  const pointer = (length << 3) | 2;
  bytes[12] = pointer;
  bytes[13] = pointer >>> 8;
  bytes[14] = pointer >>> 16;
  bytes[15] = pointer >>> 24;
}

/**
 * Params of ByteStream.write.
 *
 * @param data of a large one nobody may write to it any more, unless it is `lent`, and so copied.
 */
export function bytesParams(data: Uint8Array, lent = false): Content {
  const { length } = data;
  const large = length > COPY_UP_TO;
  const bytes = new Uint8Array(large ? 16 : 16 + ((length + 7) & -8));
  putBytesHead(bytes, length);
  if (!large) bytes.set(data, 16);
  const tail = lent && large ? copyToSend(data) : data;
  return new Content(bytes, large ? tail : null, false, lent ? COPIES : null);
}

const view = /* @__PURE__ */ new ContentView();

/**
 * The bytes of ByteStream.write, for good: a copy; of many that came in memory of their own, a view on it.
 * @throws RpcError invalid-payload.
 */
export function readBytes(content: Content): Uint8Array {
  view.open(content);
  const data = view.data(0);
  view.close();
  if (data === null) return new Uint8Array(0);
  // Behind a tail is memory of whoever wrote it, in this process.
  return content.tail === null && data.length > COPY_UP_TO ? data : data.slice();
}

/** Index in the table of the one capability of {@link ONE_CAPABILITY}; -1 when there is none. @throws RpcError invalid-payload. */
export function readCapability(content: Content): number {
  view.open(content);
  const index = view.capability(0);
  view.close();
  return index;
}

/**
 * What getSubstream is asked: an index in the table, or -1, and bytes, of which so many never come that a number has lost
 * some. @throws RpcError invalid-payload.
 */
export function readSubstream(content: Content): { callback: number; limit: number } {
  view.open(content);
  const callback = view.capability(0);
  // The default is all ones, and stored numbers differ from their default.
  const limit = (~view.u32(4) >>> 0) * WORD + (~view.u32(0) >>> 0);
  view.close();
  return { callback, limit };
}

/** Params of getSubstream without a limit: the callback is number 0 of the table. */
export const SUBSTREAM_PARAMS: Content = /* @__PURE__ */ new Content(
  new Uint8Array([0, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0]),
);

const WORD = 2 ** 32;

/** A struct of one UInt64: End of schema/js.capnp, and params of SubstreamCallback.ended. */
export function countParams(count: number): Content {
  const bytes = new Uint8Array(16);
  bytes[4] = 1;
  const data = new DataView(bytes.buffer, 8);
  data.setUint32(0, count, true);
  data.setUint32(4, count / WORD, true);
  return new Content(bytes);
}

/** The number of {@link countParams}; 0 of an empty struct. @throws RpcError invalid-payload. */
export function readCount(content: Content): number {
  view.open(content);
  const count = view.u32(4) * WORD + view.u32(0);
  view.close();
  return count;
}
