// Role: V8's bytes to a value.
// State: none. Must not know: who sent them, how an external travels.

import { RpcError } from "../../base/errors.js";
import type { ValueLimits } from "../../cap/dynamic/values/contract.js";
import { invalidValue, overLimit } from "../../cap/dynamic/values/failures.js";
import { DEFAULT_V8_LIMITS, type ExternalSource } from "./contract.js";
import { Reading } from "./read.js";

/**
 * The value in bytes that V8 or {@link encodeV8} made, of version 13 to 16. Total on hostile bytes: bounded by `limits` in time
 * and memory. The value shares no memory with `bytes`.
 *
 * @throws RpcError `invalid-payload` for bytes that are no value, or one that cannot be here, with the byte where that shows;
 *   `limit-exceeded` naming the limit; what `source` throws, as it is if it is an RpcError. What was taken from `source` before
 *   the throw stays with whoever gave it.
 * @example decodeV8(results.data(0), externals)
 *
 * Source: V8's value-serializer.cc; workerd's SerializationTag.
 */
export function decodeV8(
  bytes: Uint8Array,
  source: ExternalSource,
  limits: ValueLimits = DEFAULT_V8_LIMITS,
): unknown {
  if (bytes.length > limits.bytes) throw overLimit("bytes", limits.bytes, "the value");
  try {
    return new Reading(bytes, source, limits).run();
  } catch (error) {
    if (error instanceof RpcError) throw error;
    // A constructor that refused what it was given: a URL, a RegExp, a header, a status.
    throw invalidValue("a part of it cannot be made", error);
  }
}
