// Role: a store in a directory, by LMDB.
// State: the database, the transaction under way, those that wait for it. Must not know: objects, values, gates.
//
// Transactions that are asked for while one commits are made together in the next: one flush of the disk serves them all. LMDB
// would take them one after the other without being waited for, but then a small one could commit after a large one failed.

import fs from "node:fs";
import path from "node:path";
import type { Database, open as openLmdb } from "lmdb";
import { RpcError } from "../../base/errors.js";
import { type DirectoryLock, lockDirectory } from "./directory-lock.node.js";
import { checkDatabaseFile } from "./lmdb-header.node.js";
import { milestone, type Milestone } from "./milestone.js";
import {
  type Bytes,
  type Commit,
  type Entry,
  isClear,
  isDerived,
  type Range,
  type Store,
  storeFailure,
  type View,
  type Write,
} from "./store.js";

export interface LmdbOptions {
  /** Whether this process alone may have the directory; true by default. Who says false has another way to make sure. */
  readonly lock?: boolean;
  /** Told when a transaction fails. */
  readonly failed?: (error: RpcError) => void;
}

/** For so long after a transaction has failed every other fails as well, in milliseconds. */
const FAILURE_MS = 1000;

/** So long closing may take after a failure, in milliseconds. */
const CLOSE_MS = 500;
/** A disk with so few bytes left is full: that is no more than the pages of a large transaction. */
const LITTLE_ROOM = 4 << 20;

interface Failure {
  readonly error: RpcError;
  readonly at: number;
}

interface Group {
  readonly writes: Write[];
  readonly committed: Milestone;
  readonly flushed: Milestone;
}

/**
 * Opens, or makes, a store in a directory. It needs the package `lmdb`.
 *
 * @param directory made when it is missing.
 * @throws RpcError missing-dependency, storage-locked, storage-corrupt, storage-failed (as a rejection).
 * @example const host = await createHost({ store: await openLmdbStore("./data"), classes: { ROOMS: Room } });
 */
export async function openLmdbStore(directory: string, options: LmdbOptions = {}): Promise<Store> {
  const open = await loadLmdb();
  let lock: DirectoryLock | null = null;
  try {
    fs.mkdirSync(directory, { recursive: true, mode: 0o700 });
    if (options.lock !== false) lock = await lockDirectory(directory);
    const file = path.join(directory, "data.mdb");
    checkDatabaseFile(file);
    const database = open({
      path: directory,
      // Room for keys of 2048 bytes and what is before them.
      pageSize: 8192,
      // A name with a dot in it is a directory all the same.
      noSubdir: false,
      encoding: "binary",
      keyEncoding: "binary",
      cache: false,
      // Groups are made here. The promises of those that lmdb makes by itself cannot be listened to: one that failed would end the process.
      eventTurnBatching: false,
      // Also in a directory that was there, and that others may read.
      permissionsMode: 0o600,
    });
    return new LmdbStore(directory, database, lock, options.failed);
  } catch (thrown) {
    await lock?.release();
    throw storeFailure(thrown);
  }
}

async function loadLmdb(): Promise<typeof openLmdb> {
  try {
    return (await import("lmdb")).open;
  } catch (thrown) {
    const message =
      "the package lmdb cannot be loaded: install it beside capstan with `npm install lmdb`";
    throw new RpcError("failed", "missing-dependency", message, { cause: thrown });
  }
}

class LmdbStore implements Store {
  private readonly directory: string;
  private readonly database: Database;
  private readonly lock: DirectoryLock | null;
  private group: Group | null = null;
  /** What LMDB commits now. */
  private committing: Group | null = null;
  private readonly unflushed = new Set<Group>();
  private readonly onFailed: LmdbOptions["failed"];
  private failure: Failure | null = null;
  private closing: Promise<void> | null = null;
  private readonly view: View;

  constructor(
    directory: string,
    database: Database,
    lock: DirectoryLock | null,
    onFailed: LmdbOptions["failed"],
  ) {
    this.directory = directory;
    this.database = database;
    this.onFailed = onFailed;
    this.view = {
      get: (key) => database.get(key),
      range: (range) => entriesOf(database, range),
    };
    this.lock = lock;
  }

  get(key: Bytes): Bytes | undefined {
    return this.read(() => this.view.get(key));
  }

  range(range: Range): readonly Entry[] {
    return this.read(() => this.view.range(range));
  }

  /** LMDB reads what there was when the first read of a turn began. */
  renew(): void {
    this.read(() => this.database.resetReadTxn());
  }

  write(writes: readonly Write[]): Commit {
    if (this.closing !== null) throw closedError();
    this.checkFailure();
    if (this.group === null) {
      this.group = { writes: [], committed: milestone(), flushed: milestone() };
      // With what else is written in this turn, by other objects too.
      if (this.committing === null) setImmediate(() => this.commit());
    }
    const { group } = this;
    // One by one: as the arguments of one call, some 120,000 of them overflow the stack.
    for (const write of writes) group.writes.push(write);
    return { committed: group.committed.promise, flushed: group.flushed.promise };
  }

  close(): Promise<void> {
    return (this.closing ??= this.end());
  }

  private async end(): Promise<void> {
    for (;;) {
      const all = [...this.unflushed, this.committing, this.group].filter((one) => one !== null);
      // To wait for nothing, while something is being committed, would let nobody else run.
      if (all.length === 0) break;
      await Promise.allSettled(all.map(({ flushed }) => flushed.promise));
    }
    const closed = this.database.close();
    // All that was written is safe or was refused; lmdb may wait for a flush of what failed, which never comes.
    await (this.failure === null ? closed : Promise.race([closed, pause(CLOSE_MS)]));
    await this.lock?.release();
  }

  private commit(): void {
    const { group, database } = this;
    if (group === null || this.committing !== null) return;
    this.group = null;
    this.committing = group;
    const made = this.make(group.writes);
    // When the commit fails, it may never settle, or fail as well.
    const flush = new Promise<void>((resolve) => {
      database.flushed.then(
        () => resolve(),
        () => {},
      );
    });
    made.then(
      () => {
        this.committing = null;
        group.committed.resolve();
        this.unflushed.add(group);
        void flush.then(() => {
          this.unflushed.delete(group);
          group.flushed.resolve();
        });
        this.commit();
      },
      (thrown: unknown) => this.failed(group, thrown),
    );
  }

  private async make(writes: readonly Write[]): Promise<void> {
    const { database } = this;
    const all = (): void => {
      for (const write of writes) this.apply(write);
    };
    // What is looked up is to be found when all that was written before is there.
    const looks = writes.some((write) => isClear(write) || isDerived(write));
    const made = looks ? database.transaction(all) : database.batch(all);
    // Another promise of the same, which nobody else listens to.
    database.committed.then(undefined, () => {});
    try {
      await made;
    } catch (thrown) {
      const { commitError } = thrown as { commitError?: Promise<never> };
      if (commitError === undefined) throw thrown;
      // Why it failed comes as a promise.
      await commitError;
    }
  }

  private apply(write: Write): void {
    const { database } = this;
    if (isDerived(write)) {
      for (const derived of write.derive(this.view)) this.apply(derived);
    } else if (isClear(write)) {
      const keys = [...database.getKeys({ start: write.from, end: write.to })];
      for (const key of keys) void database.remove(key);
    } else if (write.value === null) void database.remove(write.key);
    else void database.put(write.key, write.value);
  }

  /** What was to come after a transaction that is not there must not be there either. */
  private failed(group: Group, thrown: unknown): void {
    const error = this.failureOf(thrown);
    this.failure = { error, at: performance.now() };
    this.committing = null;
    // Whether those before it are on the disk is never told then.
    for (const lost of [group, this.group, ...this.unflushed]) {
      lost?.committed.reject(error);
      lost?.flushed.reject(error);
    }
    this.group = null;
    this.unflushed.clear();
    this.onFailed?.(error);
  }

  /** LMDB calls it an error of input and output when a disk has room for less than it is to write. */
  private failureOf(thrown: unknown): RpcError {
    const error = storeFailure(thrown);
    if (error.code !== "storage-failed") return error;
    try {
      const { bavail, bsize } = fs.statfsSync(this.directory);
      if (bavail * bsize >= LITTLE_ROOM) return error;
      const text = `no space but ${bavail * bsize} bytes (${error.message})`;
      return storeFailure(new Error(text, { cause: thrown }));
    } catch {
      return error;
    }
  }

  /** @throws the failure of a transaction, until everybody who wrote in it has long heard of that. Then the disk may have room again. */
  private checkFailure(): void {
    const { failure } = this;
    if (failure === null) return;
    if (performance.now() - failure.at < FAILURE_MS) throw failure.error;
    this.failure = null;
  }

  private read<T>(read: () => T): T {
    if (this.closing !== null) throw closedError();
    try {
      return read();
    } catch (thrown) {
      throw storeFailure(thrown);
    }
  }
}

function entriesOf(
  database: Database,
  { from, to, reverse = false, limit = Infinity }: Range,
): readonly Entry[] {
  const bounds = reverse
    ? { start: to, end: from, reverse, exclusiveStart: true, inclusiveEnd: true }
    : { start: from, end: to };
  const options = limit === Infinity ? bounds : { ...bounds, limit };
  const found: Entry[] = [];
  for (const { key, value } of database.getRange(options)) found.push({ key, value });
  return found;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

function closedError(): RpcError {
  return new RpcError("failed", "storage-closed", "the store was closed before");
}
