// Role: bytes to a value.
// State: none. Must not know: who sent them.

import { RpcError } from "../../../base/errors.js";
import type { DecodeOptions, ReferenceSource, Span, ValueLimits } from "./contract.js";
import { DEFAULT_VALUE_LIMITS, spanOf } from "./contract.js";
import { invalidValue, overLimit } from "./failures.js";
import { EXTENDED } from "./kinds.js";
import { unpack } from "./pack.js";
import { Raising } from "./raise.js";
import { scan, scanned } from "./scan.js";
import { decodeSimple, NOT_SIMPLE } from "./simple.js";
import { NO_TYPES } from "./types.js";

/**
 * The value in bytes that {@link encodeValue}, or any peer that follows docs/js-values.md, made. Total on hostile bytes:
 * bounded by `limits` in time and memory. The value shares no memory with `bytes`.
 *
 * @throws RpcError `invalid-payload` for bytes that are no value, `limit-exceeded` naming the limit, and what `refs` or a codec
 *   throws, as it is if it is an RpcError. References that were given before the throw stay with whoever gave them.
 * @example decodeValue(params.data(0), refs)
 */
export function decodeValue(
  bytes: Uint8Array,
  refs: ReferenceSource,
  limits: ValueLimits = DEFAULT_VALUE_LIMITS,
  options?: DecodeOptions,
): unknown {
  return decodeSpan(spanOf(bytes), refs, limits, options);
}

/** The same for a part of an array. */
export function decodeSpan(
  span: Span,
  refs: ReferenceSource,
  limits: ValueLimits = DEFAULT_VALUE_LIMITS,
  options?: DecodeOptions,
): unknown {
  const { bytes, from, to } = span;
  if (to - from > limits.bytes) throw overLimit("bytes", limits.bytes, "the value");
  try {
    if (limits === DEFAULT_VALUE_LIMITS) {
      const simple = decodeSimple(span);
      if (simple !== NOT_SIMPLE) return simple;
    }
    if (from === to || bytes[from] !== EXTENDED) {
      scan(bytes, from, to, true, limits.depth, limits.nodes);
      if (scanned.end !== to) throw invalidValue("bytes follow its end");
      return unpack(bytes, from, to);
    }
    // A primitive in the deepest object is an array there.
    scan(bytes, from + 1, to, false, limits.depth + 1, limits.nodes);
    const { end, nodes } = scanned;
    const tail = bytes.subarray(end, to);
    const types = options?.types ?? NO_TYPES;
    return new Raising(refs, types, limits, nodes, tail).run(unpack(bytes, from + 1, end));
  } catch (error) {
    if (error instanceof RpcError) throw error;
    // A constructor that refused what it was given (a URL, a RegExp, a view past its buffer), `refs`, or a name that a
    // frozen Object.prototype does not let be set.
    throw invalidValue("a part of it cannot be made", error);
  }
}
