// Role: where a realm keeps what it knows of its references; and a store of that kind in memory.
// State: the entries. Must not know: tokens: it never sees one, only the hash of it.

import { RpcError } from "../base/errors.js";

/** What is kept of one reference. */
export interface TokenEntry {
  /** The record of what it restores, as the realm encoded it. */
  readonly record: Uint8Array;
  /** The owner's public key in hexadecimal; null: whoever has the reference. */
  readonly owner: string | null;
  /** Milliseconds since the epoch from which on it is refused; null: never. */
  readonly expires: number | null;
}

/**
 * Keeps entries by key, the hash of a token in hexadecimal (64 digits). Each method is one transaction: it happened as a whole
 * when its promise resolves, as durably as the store promises, or not at all when that rejects. Entries are copied both ways.
 *
 * A host implements this over whatever it keeps its objects in; `test/suites/token-store.ts` is what it must pass.
 */
export interface TokenStore {
  /** Keeps `entry`, in the place of one with the same key. */
  put(key: string, entry: TokenEntry): Promise<void>;
  get(key: string): Promise<TokenEntry | undefined>;
  /** @returns whether it was there. */
  delete(key: string): Promise<boolean>;
  /** All of one owner's. @returns how many there were. */
  deleteOwned(owner: string): Promise<number>;
  /** All that have expired at the time `now`. @returns how many there were. */
  deleteExpired(now: number): Promise<number>;
  /** All, or those of one owner, in no certain order. What is put or deleted meanwhile may be among them or not. */
  list(owner?: string): AsyncIterable<readonly [key: string, entry: TokenEntry]>;
}

/**
 * A store that lives as long as the process: for tests, and for realms whose references need not outlive it.
 *
 * @example const realm = new Realm({ store: new MemoryTokenStore(), restore: ({ room }) => rooms.get(room) });
 */
export class MemoryTokenStore implements TokenStore {
  private readonly entries = new Map<string, TokenEntry>();
  private readonly most: number;

  /** @param most entries; one more is refused with `limit-exceeded`, since a peer may save without end. */
  constructor(most = 100_000) {
    this.most = most;
  }

  get size(): number {
    return this.entries.size;
  }

  async put(key: string, entry: TokenEntry): Promise<void> {
    if (this.entries.size >= this.most && !this.entries.has(key)) {
      const message = `there are ${this.most} saved references: revoke some, or let them expire`;
      throw new RpcError("overloaded", "limit-exceeded", message);
    }
    this.entries.set(key, copyOf(entry));
  }

  async get(key: string): Promise<TokenEntry | undefined> {
    const entry = this.entries.get(key);
    return entry && copyOf(entry);
  }

  async delete(key: string): Promise<boolean> {
    return this.entries.delete(key);
  }

  async deleteOwned(owner: string): Promise<number> {
    return this.deleteWhere((entry) => entry.owner === owner);
  }

  async deleteExpired(now: number): Promise<number> {
    return this.deleteWhere(({ expires }) => expires !== null && expires <= now);
  }

  async *list(owner?: string): AsyncIterable<readonly [string, TokenEntry]> {
    for (const [key, entry] of this.entries)
      if (owner === undefined || entry.owner === owner) yield [key, copyOf(entry)];
  }

  private deleteWhere(condition: (entry: TokenEntry) => boolean): number {
    let count = 0;
    for (const [key, entry] of this.entries) {
      if (!condition(entry)) continue;
      this.entries.delete(key);
      count++;
    }
    return count;
  }
}

function copyOf({ record, owner, expires }: TokenEntry): TokenEntry {
  return { record: record.slice(), owner, expires };
}
