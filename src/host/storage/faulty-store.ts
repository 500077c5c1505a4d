// Role: a store under a test's control: it commits, flushes, reads and fails when it is told to, and can lose its power.
// State: what readers see, what is on the disk, the transactions between the two. Must not know: objects, values, gates.

import { MemoryStore } from "./memory-store.js";
import { milestone, type Milestone } from "./milestone.js";
import type { Bytes, Commit, Entry, Range, Soon, Store, Write } from "./store.js";

interface Transaction {
  readonly writes: readonly Write[];
  readonly committed: Milestone;
  readonly flushed: Milestone;
}

/** What a {@link FaultyStore} does only when it is told to. */
export interface Held {
  readonly commits?: boolean;
  readonly flushes?: boolean;
  /** Reads then take until `releaseReads`, instead of giving what is at hand. */
  readonly reads?: boolean;
}

/**
 * A store for tests. Without being told otherwise it commits and flushes at once, as MemoryStore does.
 *
 * @example
 * const disk = new FaultyStore();
 * disk.hold = { flushes: true };
 * void room.say("hi"); // written and committed, but not answered before
 * disk.flush();
 */
export class FaultyStore implements Store {
  hold: Held = {};
  /** Every read fails with it, while it is set. */
  readFailure: Error | null = null;
  /** The next commit fails with it, and every later one. */
  commitFailure: Error | null = null;
  /** The next flush fails with it, and every later one. */
  flushFailure: Error | null = null;
  /** How many transactions were written. */
  written = 0;
  private readonly visible: MemoryStore;
  private readonly durable: MemoryStore;
  private uncommitted: Transaction[] = [];
  private unflushed: Transaction[] = [];
  private reads: (() => void)[] = [];

  constructor() {
    this.visible = new MemoryStore();
    this.durable = new MemoryStore();
  }

  /** Transactions that are not committed, and those that are but not flushed. */
  get pending(): { readonly uncommitted: number; readonly unflushed: number } {
    return { uncommitted: this.uncommitted.length, unflushed: this.unflushed.length };
  }

  /** Reads that wait for {@link releaseReads}. */
  get pendingReads(): number {
    return this.reads.length;
  }

  get(key: Bytes): Soon<Bytes | undefined> {
    return this.read(() => this.visible.get(key));
  }

  range(range: Range): Soon<readonly Entry[]> {
    return this.read(() => this.visible.range(range));
  }

  write(writes: readonly Write[]): Commit {
    this.written++;
    const transaction = { writes: [...writes], committed: milestone(), flushed: milestone() };
    this.uncommitted.push(transaction);
    if (this.hold.commits !== true) this.commit();
    return { committed: transaction.committed.promise, flushed: transaction.flushed.promise };
  }

  /** Commits the next `count` transactions. */
  commit(count = Infinity): void {
    for (const transaction of this.uncommitted.splice(0, count)) {
      if (this.commitFailure !== null) {
        transaction.committed.reject(this.commitFailure);
        transaction.flushed.reject(this.commitFailure);
        continue;
      }
      this.visible.write(transaction.writes);
      transaction.committed.resolve();
      this.unflushed.push(transaction);
    }
    if (this.hold.flushes !== true) this.flush();
  }

  /** Flushes the next `count` transactions that are committed. */
  flush(count = Infinity): void {
    for (const { writes, flushed } of this.unflushed.splice(0, count)) {
      if (this.flushFailure !== null) {
        flushed.reject(this.flushFailure);
        continue;
      }
      this.durable.write(writes);
      flushed.resolve();
    }
  }

  /** Lets the reads that wait go on. */
  releaseReads(): void {
    for (const go of this.reads.splice(0)) go();
  }

  /**
   * The power fails: a store with what was flushed.
   *
   * @param lucky so many transactions more, which had been committed: a disk may have written more than it has confirmed.
   */
  crash(lucky = 0): FaultyStore {
    const after = new FaultyStore();
    const all = { from: new Uint8Array(), to: Uint8Array.of(0xff) };
    for (const half of [after.visible, after.durable]) {
      half.write(this.durable.range(all));
      for (const { writes } of this.unflushed.slice(0, lucky)) half.write(writes);
    }
    return after;
  }

  async close(): Promise<void> {
    this.hold = {};
    this.releaseReads();
    this.commit();
    this.flush();
    await this.visible.close();
  }

  private read<T>(read: () => T): Soon<T> {
    if (this.hold.reads !== true) {
      if (this.readFailure !== null) throw this.readFailure;
      return read();
    }
    // What was there when it was asked for.
    const found = read();
    return new Promise((resolve, reject) => {
      this.reads.push(() => {
        if (this.readFailure !== null) reject(this.readFailure);
        else resolve(found);
      });
    });
  }
}

/** The error of a disk that is full, as Node gives it. */
export function diskFull(): Error {
  return Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" });
}
