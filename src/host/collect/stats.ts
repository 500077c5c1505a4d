// Role: what a collector has done, in numbers.
// State: none. Must not know: how it is done.

/** Counts since the host was opened. */
export interface CollectionStats {
  /** Objects that were looked at. */
  checked: number;
  /** Objects that were found to be unreachable, before the grace period. */
  suspected: number;
  /** Objects that were about to be collected, and that somebody had reached meanwhile. */
  raced: number;
  /** Questions to processes that ended before they had answered, or took too long: then nothing is collected. */
  unanswered: number;
  /** Sets of objects that were collected together; and how many of those were of more than one. */
  components: number;
  joint: number;
  /** Objects that are gone. */
  collected: number;
  /** `[dispose]` hooks that ran to their end, and that failed or took too long. */
  disposed: number;
  disposeFailed: number;
  /** Objects whose collection a hook may have begun for in a process that ended: it is not run again. */
  interrupted: number;
}

export function newStats(): CollectionStats {
  return {
    checked: 0,
    suspected: 0,
    raced: 0,
    unanswered: 0,
    components: 0,
    joint: 0,
    collected: 0,
    disposed: 0,
    disposeFailed: 0,
    interrupted: 0,
  };
}
