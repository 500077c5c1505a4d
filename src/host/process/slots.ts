// Role: which slot an object belongs to. State: none. Must not know: processes.

import type { ObjectId } from "../object/ids.js";

/** So many object processes a host may have. */
export const MOST_SLOTS = 256;

/**
 * The slot of an object: the same in every process of a host, and in the next one that has as many slots.
 *
 * Ids are hashes or random, so any part of one is spread evenly; the namespace has gone into it.
 */
export function slotOf(id: ObjectId, slots: number): number {
  const bytes = id._bytes;
  return (((bytes[0]! << 24) | (bytes[1]! << 16) | (bytes[2]! << 8) | bytes[3]!) >>> 0) % slots;
}
