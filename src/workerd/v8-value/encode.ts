// Role: a value to V8's bytes, and the bytes of its Blobs.
// State: none. Must not know: who sends them, how an external travels.

import { type ErrorPolicy, RpcError } from "../../base/errors.js";
import { unsendable } from "../../cap/dynamic/values/failures.js";
import { Collector } from "./collect.js";
import {
  DEFAULT_V8_LIMITS,
  type EncodedV8,
  type EncodeV8Options,
  type ExternalSink,
} from "./contract.js";
import { Writing } from "./write.js";

const NO_STACKS: ErrorPolicy = { sendTrace: false, redact: null };

/**
 * A value in V8's format, version 15, as workerd takes it: what goes by value over Capstan goes by value here, and every property
 * is read once. What workerd has no place for is refused, never changed.
 *
 * @param sink is asked for what goes beside the bytes; it sees everything before this returns.
 * @throws RpcError `unsendable-value` with the path of what cannot be sent; `limit-exceeded` naming the limit; what `sink` throws,
 *   if that is an RpcError. What `sink` gave slots to is in no value then.
 * @example
 * const { bytes, externals } = encodeV8([1, () => 2], sink, { root: "args" });
 * const entries = externals.map((index) => sink.entries[index]);
 *
 * Source: V8's value-serializer.cc; workerd's SerializationTag.
 */
export function encodeV8(value: unknown, sink: ExternalSink, options?: EncodeV8Options): EncodedV8 {
  const limits = options?.limits ?? DEFAULT_V8_LIMITS;
  const root = options?.root ?? "value";
  const collector = new Collector(sink, limits);
  const copy = collector.copy(value, root);
  const writing = new Writing(collector.found, options?.errors ?? NO_STACKS, root, limits);
  return { bytes: writing.run(copy), externals: writing.externals, blobs: writing.blobs };
}

/**
 * Puts the bytes of Blobs in their places.
 *
 * @throws RpcError `unsendable-value` with the path of a Blob that cannot be read, such as that of a file that changed.
 * @example if (encoded.blobs.length > 0) await fillBlobs(encoded);
 */
export async function fillBlobs({ bytes, blobs }: EncodedV8): Promise<void> {
  await Promise.all(
    blobs.map(async ({ blob, at, path }) => {
      try {
        const content = new Uint8Array(await blob.arrayBuffer());
        if (content.length !== blob.size) throw new RangeError("it is of another size now");
        bytes.set(content, at);
      } catch (error) {
        throw error instanceof RpcError ? error : unsendable(path, "it cannot be read", error);
      }
    }),
  );
}
