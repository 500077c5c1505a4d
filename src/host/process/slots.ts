// Role: which slot an object belongs to. State: none. Must not know: processes.

/** So many object processes a host may have. */
export const MOST_SLOTS = 256;

/**
 * The slot of the object with this id: the same in every process of a host, and in the next one that has as many slots.
 *
 * Ids are hashes or random, so any part of one is spread evenly; the namespace has gone into it.
 */
export function slotOf(id: Uint8Array, slots: number): number {
  return (((id[0]! << 24) | (id[1]! << 16) | (id[2]! << 8) | id[3]!) >>> 0) % slots;
}
