// Role: a transaction as its closure sees it: reads see its writes, and nobody else does until it is over.
// State: what was written in it. Must not know: stores, gates.

import { RpcError } from "../../base/errors.js";
import { isWithin, type KeyRange, type PutOptions, type ReadOptions } from "./arguments.js";
import { KeyValues, type Named, overlay } from "./key-values.js";
import type { Bytes, Soon } from "./store.js";
import type { ValueCodecs } from "./values.js";

/** What a transaction is made on. */
export interface TransactionBase {
  readonly codecs: ValueCodecs;
  load(name: string, key: Bytes, options: ReadOptions): Soon<Bytes | null>;
  loadRange(range: KeyRange): Soon<readonly Named[]>;
  held<T>(soon: Soon<T>, options: ReadOptions): Soon<T>;
  readonly alarm: number | null;
  /** @returns lets go of whom the value holds; null for nobody. */
  holdValue(value: Bytes): (() => void) | null;
  /** All of these are there together, or none. */
  saveAll(writes: Iterable<{ readonly named: Named; readonly options: PutOptions }>): void;
  changeAlarm(time: number | null, options: PutOptions): void;
}

/** What the closure of `storage.transaction` is given. */
export class Transaction extends KeyValues {
  protected readonly codecs: ValueCodecs;
  private readonly base: TransactionBase;
  private readonly writes = new Map<
    string,
    { readonly named: Named; readonly options: PutOptions }
  >();
  private readonly roots: (() => void)[] = [];
  private alarmChange: { readonly time: number | null; readonly options: PutOptions } | null = null;
  private state: "open" | "rolled back" | "over" = "open";

  constructor(base: TransactionBase) {
    super();
    this.base = base;
    this.codecs = base.codecs;
  }

  /** Forgets all that was written in it, for good. */
  rollback(): void {
    this.check();
    this.state = "rolled back";
    this.letGo();
  }

  /** The closure has ended: what it wrote is written, unless it rolled back. */
  commit(): void {
    if (this.state !== "open") return;
    this.state = "over";
    this.base.saveAll(this.writes.values());
    if (this.alarmChange !== null)
      this.base.changeAlarm(this.alarmChange.time, this.alarmChange.options);
    this.letGo();
  }

  /** The closure has failed. */
  abandon(): void {
    this.state = "over";
    this.letGo();
  }

  protected load(name: string, key: Bytes, options: ReadOptions): Soon<Bytes | null> {
    this.check();
    const written = this.writes.get(name);
    return written === undefined ? this.base.load(name, key, options) : written.named.value;
  }

  protected loadRange(range: KeyRange): Soon<readonly Named[]> {
    this.check();
    const changes = [...this.writes.values()]
      .map(({ named }) => named)
      .filter(({ key }) => isWithin(key, range));
    const there = this.base.loadRange({ ...range, limit: range.limit + changes.length });
    if (there instanceof Promise) return there.then((found) => overlay(found, changes, range));
    return overlay(there, changes, range);
  }

  protected save(named: Named, options: PutOptions): void {
    this.check();
    const root = named.value === null ? null : this.base.holdValue(named.value);
    if (root !== null) this.roots.push(root);
    this.writes.set(named.name, { named, options });
  }

  protected held<T>(soon: Soon<T>, options: ReadOptions): Soon<T> {
    return this.base.held(soon, options);
  }

  protected room(): undefined {
    return undefined;
  }

  protected get alarm(): number | null {
    this.check();
    return this.alarmChange === null ? this.base.alarm : this.alarmChange.time;
  }

  protected changeAlarm(time: number | null, options: PutOptions): void {
    this.check();
    this.alarmChange = { time, options };
  }

  private letGo(): void {
    for (const release of this.roots.splice(0)) release();
  }

  private check(): void {
    if (this.state === "open") return;
    const what = this.state === "over" ? "is over" : "was rolled back";
    throw new RpcError("failed", "invalid-state", `the transaction ${what}`);
  }
}
