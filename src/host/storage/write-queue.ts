// Role: what an object has written and the disk does not have yet: collects writes, hands them over in order, shows them to
// readers meanwhile, and locks the output gate until they are safe.
// State: the open batch, the batches under way, the values in them.
// Must not know: how values are encoded, who reads.
//
// One batch is one transaction. It stays open until the code that writes comes to its next `await`, so what is written without
// one in between is there together or not at all. Batches are handed over in the order of their writes.

import type { RpcError } from "../../base/errors.js";
import type { OutputGate } from "../gates/output-gate.js";
import { costOf } from "./byte-cache.js";
import type { ObjectKeys } from "./keys.js";
import { type Bytes, type Store, storeFailure, type Write } from "./store.js";

/** How one write is made. */
export interface WriteOptions {
  /** What the object says meanwhile does not wait for this. */
  readonly unconfirmed: boolean;
  /** It is remembered when it is written. */
  readonly keep: boolean;
}

/** Knows of values whom they make the object hold. */
export interface HoldingWriter {
  /** What is written in the same transaction as `values`; null for nothing. @param clears all values are removed before. */
  writeFor(clears: boolean, values: ReadonlyMap<string, PendingValue>): Write | null;
}

/** Whom values hold that the store does not show yet. */
export interface ValueRoots {
  /** @returns to be called when the value is in the store, or never will be; null where there is nothing to be let go. */
  holdValue(value: Bytes): (() => void) | null;
  /** A read of the store that takes time has begun. @returns to be called when what it gave was taken. */
  reading(): () => void;
}

/** What is around a queue. */
export interface QueueSurroundings {
  readonly store: Store;
  readonly keys: ObjectKeys;
  readonly output: OutputGate;
  readonly holdings: HoldingWriter;
  readonly roots: ValueRoots;
  /** Bytes that may wait to be written before writers wait. */
  readonly bound: number;
  /** Calls `run` when the code that runs now has come to its next `await`. */
  soon(run: () => void): void;
  /** Whether what is written now may still turn out never to have been: then it is kept back while nobody waits for it. */
  isTentative(): boolean;
  /** The store shows this value from now on, and nothing newer is under way. */
  committed(name: string, value: PendingValue): void;
  /** For good: the store failed. */
  failed(error: RpcError): void;
}

export interface PendingValue {
  readonly key: Bytes;
  /** Null for one that is removed. */
  readonly value: Bytes | null;
  readonly keep: boolean;
}

class Batch {
  /** Whether all values from before are removed first. */
  clears = false;
  readonly values = new Map<string, PendingValue>();
  readonly others: Write[] = [];
  readonly onCommitted: (() => void)[] = [];
  /** What lets go of whom the values hold, those written over included: they may be seen for a moment. */
  readonly roots: (() => void)[] = [];
  unlock: (() => void) | null = null;
  bytes = 0;
}

export class WriteQueue {
  private readonly around: QueueSurroundings;
  private open: Batch | null = null;
  /** Values that the store does not show yet, and the batch that each is in. */
  private readonly pending = new Map<
    string,
    { readonly batch: Batch; readonly pending: PendingValue }
  >();
  private clearing: Batch | null = null;
  private readonly flushes = new Set<Promise<void>>();
  private unsaved = 0;
  private waitingForRoom: (() => void)[] = [];
  private broken: RpcError | null = null;

  constructor(around: QueueSurroundings) {
    this.around = around;
  }

  /** Whether all is safe. */
  get isIdle(): boolean {
    return this.open === null && this.flushes.size === 0;
  }

  put(name: string, key: Bytes, value: Bytes | null, options: WriteOptions): void {
    const batch = this.batchFor(options);
    const pending = { key, value, keep: options.keep };
    const cost = costOf(name, value);
    const root = value === null ? null : this.around.roots.holdValue(value);
    if (root !== null) batch.roots.push(root);
    batch.values.set(name, pending);
    batch.bytes += cost;
    this.unsaved += cost;
    this.pending.set(name, { batch, pending });
  }

  /** Removes all values. */
  clear(options: WriteOptions): void {
    const batch = this.batchFor(options);
    batch.clears = true;
    batch.values.clear();
    this.pending.clear();
    this.clearing = batch;
  }

  /** Writes that are no values. @param committed told when readers of the store see them. */
  add(writes: readonly Write[], options: WriteOptions, committed: () => void): void {
    const batch = this.batchFor(options);
    for (const write of writes) batch.others.push(write);
    batch.onCommitted.push(committed);
  }

  /** What is written of `name` and not shown by the store; undefined when it is what the store says. */
  find(name: string): PendingValue | undefined {
    const found = this.pending.get(name);
    return found?.pending ?? (this.clearing === null ? undefined : REMOVED);
  }

  /** Whether the store shows nothing that is still there. */
  get hidesStore(): boolean {
    return this.clearing !== null;
  }

  /** What is written and not shown by the store, in no order. */
  *all(): Generator<readonly [string, PendingValue]> {
    for (const [name, { pending }] of this.pending) yield [name, pending];
  }

  /** Hands the open batch over. */
  flush(): void {
    const { open, around } = this;
    if (open === null) return;
    this.open = null;
    const writes: Write[] = [];
    if (open.clears) writes.push(around.keys.valueRange(NO_BYTES, null));
    for (const { key, value } of open.values.values())
      writes.push({ key: around.keys.value(key), value });
    for (const write of open.others) writes.push(write);
    let commit;
    try {
      const holdings = around.holdings.writeFor(open.clears, open.values);
      if (holdings !== null) writes.push(holdings);
      commit = around.store.write(writes);
    } catch (thrown) {
      letGo(open);
      return around.failed(storeFailure(thrown));
    }
    commit.committed.then(
      () => this.committed(open),
      () => letGo(open),
    );
    const flushed: Promise<void> = commit.flushed.then(
      () => this.flushed(open, flushed),
      (thrown: unknown) => {
        this.flushes.delete(flushed);
        around.failed(storeFailure(thrown));
      },
    );
    this.flushes.add(flushed);
  }

  /** Resolves when all that was written until now is safe. @throws RpcError when it is not (as a rejection). */
  async sync(): Promise<void> {
    this.flush();
    await Promise.all(this.flushes);
    if (this.broken !== null) throw this.broken;
  }

  /**
   * Resolves when another write is welcome; undefined when it is at once. What is kept back on purpose makes nobody wait, who
   * might be the one that it is kept back for.
   */
  room(): Promise<void> | undefined {
    const { bound } = this.around;
    if (this.unsaved <= bound || this.broken !== null || this.around.isTentative())
      return undefined;
    return new Promise((resolve) => {
      this.waitingForRoom.push(resolve);
    });
  }

  /** For good: what is not handed over never will be. */
  break(error: RpcError): void {
    this.broken ??= error;
    if (this.open !== null) letGo(this.open);
    this.open = null;
    this.letIn();
  }

  /** Resolves when the store has done with all that was handed over, well or not. */
  async settled(): Promise<void> {
    await Promise.all(this.flushes);
  }

  private batchFor({ unconfirmed }: WriteOptions): Batch {
    if (this.broken !== null) throw this.broken;
    const { around } = this;
    let batch = this.open;
    if (batch === null) {
      batch = this.open = new Batch();
      around.soon(() => {
        if (!around.isTentative()) this.flush();
      });
    }
    if (!unconfirmed) batch.unlock ??= around.output.lock();
    return batch;
  }

  private committed(batch: Batch): void {
    if (this.clearing === batch) this.clearing = null;
    for (const [name, pending] of batch.values) {
      // Unless it was written over since, or cleared away.
      if (this.pending.get(name)?.pending !== pending) continue;
      this.pending.delete(name);
      this.around.committed(name, pending);
    }
    for (const listener of batch.onCommitted) listener();
    letGo(batch);
  }

  private flushed(batch: Batch, flush: Promise<void>): void {
    this.flushes.delete(flush);
    this.unsaved -= batch.bytes;
    batch.unlock?.();
    this.letIn();
  }

  private letIn(): void {
    if (this.unsaved > this.around.bound && this.broken === null) return;
    for (const go of this.waitingForRoom.splice(0)) go();
  }
}

function letGo(batch: Batch): void {
  for (const release of batch.roots.splice(0)) release();
}

const NO_BYTES = new Uint8Array();
const REMOVED: PendingValue = { key: NO_BYTES, value: null, keep: false };
