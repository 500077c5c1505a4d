// Role: `ctx.storage`: the storage of one object, over a store and the object's gates.
// State: what is cached, what is under way, the alarm. Must not know: how the object is run.

import { RpcError } from "../../base/errors.js";
import type { InputGate } from "../gates/input-gate.js";
import type { OutputGate } from "../gates/output-gate.js";
import type { Turns } from "../gates/turns.js";
import { AlarmSlot, type AlarmRecord } from "./alarm.js";
import { isWithin, type KeyRange, type PutOptions, type ReadOptions } from "./arguments.js";
import { ByteCache } from "./byte-cache.js";
import type { ObjectKeys } from "./keys.js";
import { KeyValues, type Named, overlay } from "./key-values.js";
import { type Bytes, type Soon, type Store, storeFailure, type Write } from "./store.js";
import { Transaction, type TransactionBase } from "./transaction.js";
import type { ValueCodecs } from "./values.js";
import { type HoldingWriter, type ValueRoots, WriteQueue } from "./write-queue.js";

/** What is around the storage of one object. */
export interface StorageSurroundings {
  readonly store: Store;
  readonly keys: ObjectKeys;
  readonly input: InputGate;
  readonly output: OutputGate;
  readonly turns: Turns;
  readonly codecs: ValueCodecs;
  readonly holdings: HoldingWriter;
  readonly roots: ValueRoots;
  /** Whether the object is being collected: it can do nothing that would wake it again. */
  readonly isLast: boolean;
  /** Bytes of the cache; and, once more, of what waits for the disk. */
  readonly cacheBytes: number;
  /** The alarm as it was when the object was activated. */
  readonly alarm: AlarmRecord | null;
  /** Runs `body` as a critical section. */
  section<T>(body: () => Promise<T>): Promise<T>;
  /** Whether a failure may still undo what is written now. */
  isTentative(): boolean;
  /** The store has failed, and the object with it. */
  failed(error: RpcError): void;
  /** The store has the alarm at another time, or none. */
  readonly alarmChanged: () => void;
}

/**
 * The storage of one object: Workers' asynchronous key-value interface.
 *
 * @example
 * const count = (await ctx.storage.get<number>("count")) ?? 0;
 * void ctx.storage.put("count", count + 1); // the reply waits for the disk by itself
 */
export class ObjectStorage extends KeyValues {
  protected readonly codecs: ValueCodecs;
  readonly #around: StorageSurroundings;
  readonly #cache: ByteCache;
  readonly #queue: WriteQueue;
  readonly #alarm: AlarmSlot;
  /** Changes with every write: what is read meanwhile from the store may be old when it comes. */
  #epoch = 0;
  #broken: RpcError | null = null;
  readonly #transactions = new Set<Transaction>();

  constructor(around: StorageSurroundings) {
    super();
    this.#around = around;
    this.codecs = around.codecs;
    this.#cache = new ByteCache(around.cacheBytes);
    this.#alarm = new AlarmSlot(around.keys, around.alarm);
    const { store, keys, output, holdings, roots, turns } = around;
    this.#queue = new WriteQueue({
      store,
      keys,
      output,
      holdings,
      roots,
      bound: around.cacheBytes,
      soon: (run) => turns.soon(run),
      isTentative: () => around.isTentative(),
      committed: (name, { value, keep }) => {
        if (keep) this.#cache.set(name, value);
      },
      failed: (error) => around.failed(error),
    });
  }

  /**
   * Removes everything, the alarm included.
   *
   * @throws RpcError what broke the storage (as a rejection).
   */
  async deleteAll(options: PutOptions = {}): Promise<void> {
    this.#use();
    this.#epoch++;
    this.#cache.clear();
    this.#queue.clear(writeOptions(options));
    this.changeAlarm(null, options);
    await this.room();
  }

  /**
   * Runs `closure` with nothing else of the object in between: what it writes through its argument is there together, or, if
   * it throws or calls `rollback()`, not at all.
   *
   * @returns what the closure returns. @throws what it throws (as a rejection); the object goes on.
   * @example
   * await storage.transaction(async (txn) => {
   *   const balance = (await txn.get<number>("balance")) ?? 0;
   *   if (balance < price) throw new Error("too expensive");
   *   void txn.put("balance", balance - price);
   * });
   */
  async transaction<T>(closure: (txn: Transaction) => Promise<T> | T): Promise<T> {
    this.#use();
    const outcome = await this.#around.section(async () => {
      const txn = new Transaction(this.#base());
      this.#transactions.add(txn);
      try {
        const value = await closure(txn);
        txn.commit();
        return { value };
      } catch (thrown) {
        txn.abandon();
        return { thrown };
      } finally {
        this.#transactions.delete(txn);
      }
    });
    if ("thrown" in outcome) throw outcome.thrown;
    return outcome.value as T;
  }

  /** Resolves when all that was written before is on the disk. @throws RpcError when it is not (as a rejection). */
  async sync(): Promise<void> {
    this.#use();
    await this.#queue.sync();
  }

  /** Not there. @throws RpcError method-unimplemented */
  get sql(): never {
    throw notHere("storage.sql", "use get, put and list");
  }

  /** Not there. @throws RpcError method-unimplemented */
  transactionSync(): never {
    throw notHere("storage.transactionSync", "use transaction");
  }

  // -- For whoever runs the object -----------------------------------------------------------------------------------

  /** @internal */
  get _alarm(): AlarmSlot {
    return this.#alarm;
  }

  /** @internal Writes that are not values, in their place among the values. */
  _write(writes: readonly Write[]): void {
    if (writes.length > 0) this.#queue.add(writes, CONFIRMED, this.#around.alarmChanged);
  }

  /** @internal Hands over what was kept back. */
  _flush(): void {
    this.#queue.flush();
  }

  /** @internal Whether all is safe. */
  get _isIdle(): boolean {
    return this.#queue.isIdle;
  }

  /** @internal For good: nothing is read or written any more. */
  _break(error: RpcError): void {
    this.#broken ??= error;
    this.#queue.break(error);
    for (const txn of this.#transactions) txn.abandon();
  }

  /** @internal Resolves when the store has nothing of this object in its hands any more. */
  _settled(): Promise<void> {
    return this.#queue.settled();
  }

  // -- For KeyValues -------------------------------------------------------------------------------------------------

  protected load(name: string, key: Bytes, options: ReadOptions): Soon<Bytes | null> {
    this.#use();
    const written = this.#queue.find(name);
    if (written !== undefined) return written.value;
    const cached = this.#cache.get(name);
    if (cached !== undefined) return cached;
    const { store, keys } = this.#around;
    const found = this.#asked(() => store.get(keys.value(key)));
    const epoch = this.#epoch;
    const take = (value: Bytes | undefined): Bytes | null => {
      if (options.noCache !== true && epoch === this.#epoch) this.#cache.set(name, value ?? null);
      return value ?? null;
    };
    return found instanceof Promise ? found.then(take) : take(found);
  }

  protected loadRange(range: KeyRange): Soon<readonly Named[]> {
    this.#use();
    const changes: Named[] = [];
    for (const [name, { key, value }] of this.#queue.all())
      if (isWithin(key, range)) changes.push({ name, key, value });
    if (this.#queue.hidesStore) return overlay([], changes, range);
    const { store, keys } = this.#around;
    const limit = range.limit + changes.length;
    const found = this.#asked(() =>
      store.range({ ...keys.valueRange(range.from, range.to), reverse: range.reverse, limit }),
    );
    const take = (entries: Awaited<typeof found>): Named[] => {
      const there = entries.map(({ key: record, value }) => {
        const { name, key } = keys.nameOf(record);
        return { name, key, value };
      });
      return overlay(there, changes, range);
    };
    return found instanceof Promise ? found.then(take) : take(found);
  }

  protected save({ name, key, value }: Named, options: PutOptions): void {
    this.#use();
    this.#epoch++;
    this.#cache.delete(name);
    this.#queue.put(name, key, value, writeOptions(options));
  }

  protected held<T>(soon: Soon<T>, { allowConcurrency }: ReadOptions): Soon<T> {
    if (!(soon instanceof Promise) || allowConcurrency === true) return soon;
    const { input, turns } = this.#around;
    const release = input.hold();
    const end = (): void => turns.after(release);
    // Who reads goes on before the next event comes.
    soon.then(end, end);
    return soon;
  }

  protected room(): Promise<void> | undefined {
    return this.#queue.room();
  }

  protected get alarm(): number | null {
    this.#use();
    return this.#alarm.shown;
  }

  protected changeAlarm(time: number | null, options: PutOptions): void {
    this.#use();
    if (time !== null && this.#around.isLast) {
      const message = "an object that is being collected cannot set an alarm";
      throw new RpcError("failed", "object-collected", message);
    }
    const writes = this.#alarm.change(time);
    if (writes.length > 0)
      this.#queue.add(writes, writeOptions(options), this.#around.alarmChanged);
  }

  /** Code of the object is here: it must not be disturbed before it has come to its next `await`. */
  #use(): void {
    if (this.#broken !== null) throw this.#broken;
    this.#around.input.turn();
  }

  /** What the store says; its failure is the object's. */
  #asked<T>(ask: () => Soon<T>): Soon<T> {
    try {
      const soon = ask();
      if (!(soon instanceof Promise)) return soon;
      const { roots, turns } = this.#around;
      const read = roots.reading();
      // Whoever reads has what was read before this turn is over.
      const end = (): void => turns.after(read);
      soon.then(end, end);
      return soon.catch((thrown: unknown) => this.#failed(thrown));
    } catch (thrown) {
      return this.#failed(thrown);
    }
  }

  #failed(thrown: unknown): never {
    const error = storeFailure(thrown);
    this.#around.failed(error);
    throw error;
  }

  #base(): TransactionBase {
    const load = this.load.bind(this);
    const loadRange = this.loadRange.bind(this);
    const held = this.held.bind(this);
    const shown = (): number | null => this.alarm;
    return {
      codecs: this.codecs,
      load,
      loadRange,
      held,
      holdValue: (value) => this.#around.roots.holdValue(value),
      get alarm() {
        return shown();
      },
      saveAll: (writes) => {
        for (const { named, options } of writes) this.save(named, options);
      },
      changeAlarm: this.changeAlarm.bind(this),
    };
  }
}

const CONFIRMED = { unconfirmed: false, keep: true };

function writeOptions({ allowUnconfirmed, noCache }: PutOptions): {
  unconfirmed: boolean;
  keep: boolean;
} {
  return { unconfirmed: allowUnconfirmed === true, keep: noCache !== true };
}

function notHere(what: string, instead: string): RpcError {
  return new RpcError(
    "unimplemented",
    "method-unimplemented",
    `${what} is not part of this host's storage: ${instead}`,
  );
}
