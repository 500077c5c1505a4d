// Role: what a host keeps its objects in: an ordered map of bytes to bytes, written in transactions.
// State: none. Must not know: objects, values, gates.

import { RpcError } from "../../base/errors.js";

export type Bytes = Uint8Array;

export interface Entry {
  readonly key: Bytes;
  readonly value: Bytes;
}

/** One key set, or, with a null value, removed. */
export interface PutWrite {
  readonly key: Bytes;
  readonly value: Bytes | null;
}

/** Every key from `from` on, before `to`, removed. */
export interface ClearWrite {
  readonly from: Bytes;
  readonly to: Bytes;
}

/** What a transaction sees of the store while it is made: what it has written itself included. */
export interface View {
  get(key: Bytes): Bytes | undefined;
  range(range: Range): readonly Entry[];
}

/**
 * Writes that depend on what is there when they are made: asked for inside of the transaction, in their place among its other
 * writes, with nothing written by anybody in between. It does nothing else, and gives the same for the same view: it may be
 * asked more than once.
 */
export interface DerivedWrite {
  derive(view: View): readonly Write[];
}

export type Write = PutWrite | ClearWrite | DerivedWrite;

/** How far a transaction is. Both promises reject when it failed; of one that did not commit, nothing is there. */
export interface Commit {
  /** Readers see it. It may still be lost when the machine loses power. */
  readonly committed: Promise<void>;
  /** It is on the disk: nothing but the disk's end loses it. */
  readonly flushed: Promise<void>;
}

/** Which entries, in the order of their keys' bytes. */
export interface Range {
  /** The first key. */
  readonly from: Bytes;
  /** The first key that is not in it any more. */
  readonly to: Bytes;
  /** From the end. */
  readonly reverse?: boolean;
  /** At most so many. */
  readonly limit?: number;
}

/** What is at hand, or comes later. */
export type Soon<T> = T | Promise<T>;

/**
 * The interface of backends. Keys are of up to 2400 bytes, and compared byte by byte.
 *
 * - `write` makes all of its writes, in their order, or none; after all transactions of earlier calls.
 * - What is derived sees what was written before it, by whomever, and is made as a part of the same transaction.
 * - When one has failed, every later one fails until all who wrote in it have heard of that: what depends on it must not be there
 *   without it.
 * - A read gives what was committed when it was called, of one moment, or later; never less, never half of a transaction.
 * - Whoever has given bytes to `write` does not change them; those that a read gave are the reader's own.
 *
 * `test/suites/store.ts` is these sentences as tests.
 */
export interface Store {
  /**
   * From now on reads show all that any process had committed before this. Without it they may be a little behind other processes'
   * writes, never behind this one's own. Absent where there are no other processes.
   */
  renew?(): void;
  get(key: Bytes): Soon<Bytes | undefined>;
  range(range: Range): Soon<readonly Entry[]>;
  write(writes: readonly Write[]): Commit;
  /** Waits for what was written, then lets go of everything. */
  close(): Promise<void>;
}

export function isClear(write: Write): write is ClearWrite {
  return "from" in write;
}

export function isDerived(write: Write): write is DerivedWrite {
  return "derive" in write;
}

/** Compares keys byte by byte. @returns less than, equal to or more than 0. */
export function compareBytes(a: Bytes, b: Bytes): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) if (a[i] !== b[i]) return a[i]! - b[i]!;
  return a.length - b.length;
}

/** What an operation of a store fails with, if it is not closed by its user. */
export function storeFailure(thrown: unknown): RpcError {
  if (RpcError.is(thrown)) return thrown;
  const text = thrown instanceof Error ? thrown.message : String(thrown);
  const full = /MDB_MAP_FULL|ENOSPC|EFBIG|EDQUOT|no space|too large|quota/i.test(text);
  const corrupt = /MDB_(?:CORRUPTED|PAGE_NOTFOUND|PANIC|INVALID|BAD_TXN)|damaged/i.test(text);
  if (full)
    return new RpcError(
      "overloaded",
      "storage-full",
      `there is no room left on the disk: ${text}`,
      {
        cause: thrown,
      },
    );
  if (corrupt)
    return new RpcError("failed", "storage-corrupt", `the database is damaged: ${text}`, {
      cause: thrown,
    });
  return new RpcError("failed", "storage-failed", `the storage failed: ${text}`, { cause: thrown });
}
