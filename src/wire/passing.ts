// Role: memory for small contents that are read at once and never kept.
// State: one buffer, and a window on it for each length. Must not know: what is in them.
//
// A small typed array costs more than what it holds. So there is one for each length, made once, all of the same memory.

import { Content } from "./content.js";

const WORDS = 64;

/** @example const content = passing.room(bytes); if (content !== null) fill(content.bytes); */
export class Passing {
  private readonly bytes = new Uint8Array(WORDS * 8);
  private readonly contents: (Content | undefined)[] = new Array<undefined>(WORDS + 1).fill(
    undefined,
  );

  /**
   * A content to be filled, with whatever was there before. Borrowed, until the next is asked for.
   *
   * @param length in bytes, whole words. @returns null for one that is not small.
   */
  room(length: number): Content | null {
    if (length > WORDS * 8) return null;
    return (this.contents[length >> 3] ??= new Content(this.bytes.subarray(0, length), null, true));
  }
}
