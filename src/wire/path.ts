// Role: follows a promised answer's transform through a content to the capability it names.
// State: none. Must not know: what the capability is.

import { RpcError } from "../base/errors.js";
import type { Content } from "./content.js";

/**
 * Follows `path`, pointer indexes from the root, through `content`.
 *
 * @returns the capability's index in the payload's table (it may be out of range: C-VAL-22), or -1 for a null pointer, a
 *   null struct on the way, or a pointer beyond the struct's section (C-PIP-03, C-VAL-24).
 * @throws RpcError not-a-capability when the path leads through or to something that is no struct, or ends at one
 *   (C-PIP-04, C-VAL-24, C-VAL-25); invalid-payload when a pointer leaves the content.
 * @example followPath(payload.content, [0]) // the capability in the first pointer field of the results
 */
export function followPath(content: Content, path: readonly number[]): number {
  const b = content.bytes;
  let at = 0;
  for (let step = 0; ; step++) {
    const lo = word(b, at);
    const hi = word(b, at + 4);
    if ((lo | hi) === 0) return -1;
    if (step === path.length) {
      if (lo === 3) return hi >>> 0;
      throw notCapability(path, step, "a capability");
    }
    if ((lo & 3) !== 0) throw notCapability(path, step, "a struct");
    const dataWords = hi & 0xffff;
    const pointers = hi >>> 16;
    const target = at + 8 + (lo >> 2) * 8;
    if (target < 0 || target + (dataWords + pointers) * 8 > b.length)
      throw new RpcError("failed", "invalid-payload", "a struct pointer leaves its segment");
    const index = path[step]!;
    if (index >= pointers) return -1;
    at = target + (dataWords + index) * 8;
  }
}

function word(b: Uint8Array, at: number): number {
  return b[at]! | (b[at + 1]! << 8) | (b[at + 2]! << 16) | (b[at + 3]! << 24);
}

function notCapability(path: readonly number[], step: number, what: string): RpcError {
  const where = step === 0 ? "the root" : `pointer ${path.slice(0, step).join(".")}`;
  return new RpcError("failed", "not-a-capability", `${where} of the content is not ${what}`);
}
