// Role: what was thrown in another process of the host, as a value: errors of any class, which go to strangers only where registered.
// State: none. Must not know: sessions.

import { DEFAULT_LIMITS } from "../../base/limits.js";
import { budget, errorBytes, NO_SOURCE } from "../../cap/dynamic/errors.js";
import { decodeValue } from "../../cap/dynamic/values/index.js";
import { NO_TYPES } from "../../cap/dynamic/values/types.js";

const OPTIONS = { root: "error", types: NO_TYPES, limits: budget(DEFAULT_LIMITS) };

/**
 * What of it can be sent and fits, without its stack.
 *
 * @throws RpcError, or what its getters throw, when not even its message fits.
 */
export function thrownBytes(error: Error): Uint8Array {
  return errorBytes(error, Object.getPrototypeOf(error) as object | null, OPTIONS);
}

/** The same the other way; undefined for what is malformed, or no error. */
export function errorFrom(data: Uint8Array): Error | undefined {
  try {
    const made = decodeValue(data, NO_SOURCE, OPTIONS.limits, { types: NO_TYPES });
    return made instanceof Error ? made : undefined;
  } catch {
    return undefined;
  }
}
