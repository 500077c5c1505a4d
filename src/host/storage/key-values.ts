// Role: the operations that a storage and a transaction have in common, as Workers' objects know them.
// State: none. Must not know: where values are read from or written to.

import {
  checkBatch,
  invalid,
  keyBytes,
  type KeyRange,
  type ListOptions,
  type PutOptions,
  rangeOf,
  type ReadOptions,
  timeOf,
} from "./arguments.js";
import { type Bytes, compareBytes, type Soon } from "./store.js";
import type { ValueCodecs } from "./values.js";

/** A value, or the lack of one, by its key as text and as bytes. */
export interface Named {
  readonly name: string;
  readonly key: Bytes;
  readonly value: Bytes | null;
}

/**
 * Reads and writes of values by key. Every method does all of its part at once, before it returns its promise: reads see what
 * was written before them, writes are made in the order they are called in, awaited or not.
 */
export abstract class KeyValues {
  protected abstract readonly codecs: ValueCodecs;

  /** The bytes of a value; null when there is none. @throws RpcError when nothing can be read any more. */
  protected abstract load(name: string, key: Bytes, options: ReadOptions): Soon<Bytes | null>;
  protected abstract loadRange(range: KeyRange): Soon<readonly Named[]>;
  protected abstract save(named: Named, options: PutOptions): void;
  /** Waits for what is read, and keeps events out meanwhile. */
  protected abstract held<T>(soon: Soon<T>, options: ReadOptions): Soon<T>;
  /** Waits until another write is welcome. */
  protected abstract room(): Promise<void> | undefined;
  protected abstract get alarm(): number | null;
  protected abstract changeAlarm(time: number | null, options: PutOptions): void;

  /**
   * The value of a key, or those of several that have one, in the order of their keys.
   *
   * @returns undefined when there is none; for several keys a Map.
   * @throws RpcError invalid-argument for what is no key, and for more than 128 of them.
   */
  async get<T = unknown>(key: string, options?: ReadOptions): Promise<T | undefined>;
  async get<T = unknown>(keys: readonly string[], options?: ReadOptions): Promise<Map<string, T>>;
  async get(keys: string | readonly string[], options: ReadOptions = {}): Promise<unknown> {
    if (!Array.isArray(keys)) {
      const { name, bytes } = keyBytes(keys);
      const value = await this.held(this.load(name, bytes, options), options);
      return value === null ? undefined : this.codecs.decode(value);
    }
    checkBatch(keys.length);
    const wanted = keys.map(keyBytes).sort((a, b) => compareBytes(a.bytes, b.bytes));
    const soon = wanted.map(({ name, bytes }) => this.load(name, bytes, options));
    const values = await this.held(allOf(soon), options);
    const found = new Map<string, unknown>();
    wanted.forEach(({ name }, i) => {
      const value = values[i];
      if (value != null) found.set(name, this.codecs.decode(value));
    });
    return found;
  }

  /**
   * Sets the value of a key, or of each property of an object. The value is taken as it is now.
   *
   * @returns resolves when another write is welcome, most often at once; what leaves the object waits for the disk by itself.
   * @throws RpcError unstorable-value, before anything changes, with the path of what cannot be stored; invalid-argument;
   *   limit-exceeded.
   * @example void storage.put("count", count); // no need to wait
   */
  async put(key: string, value: unknown, options?: PutOptions): Promise<void>;
  async put(entries: Readonly<Record<string, unknown>>, options?: PutOptions): Promise<void>;
  async put(
    keys: string | Readonly<Record<string, unknown>>,
    second?: unknown,
    third?: PutOptions,
  ): Promise<void> {
    const several = typeof keys === "object" && keys !== null;
    const entries = several ? Object.entries(keys) : [[keys, second] as const];
    const options = ((several ? second : third) ?? {}) as PutOptions;
    checkBatch(entries.length);
    const named = entries.map(([key, value]) => {
      const { name, bytes } = keyBytes(key);
      if (value === undefined) throw invalid(`the value of "${name}" is undefined: use delete`);
      return { name, key: bytes, value: this.codecs.encode(value, rootOf(name)) };
    });
    for (const one of named) this.save(one, options);
    await this.room();
  }

  /**
   * Removes a key, or several.
   *
   * @returns whether it was there; of several, how many were.
   * @throws RpcError invalid-argument
   */
  async delete(key: string, options?: PutOptions): Promise<boolean>;
  async delete(keys: readonly string[], options?: PutOptions): Promise<number>;
  async delete(
    keys: string | readonly string[],
    options: PutOptions = {},
  ): Promise<boolean | number> {
    const several = Array.isArray(keys);
    const names = (several ? keys : [keys]).map(keyBytes);
    checkBatch(names.length);
    // What was there is asked for before it is gone.
    const soon = names.map(({ name, bytes }) => this.load(name, bytes, options));
    for (const { name, bytes } of names) this.save({ name, key: bytes, value: null }, options);
    const values = await this.held(allOf(soon), options);
    const count = values.filter((value) => value !== null).length;
    return several ? count : count > 0;
  }

  /**
   * The values of a range of keys, in the order of their keys' bytes as UTF-8.
   *
   * @throws RpcError invalid-argument
   * @example const last = await storage.list({ prefix: "message:", reverse: true, limit: 20 });
   */
  async list<T = unknown>(options: ListOptions = {}): Promise<Map<string, T>> {
    const found = await this.held(this.loadRange(rangeOf(options)), options);
    const values = new Map<string, T>();
    for (const { name, value } of found)
      if (value !== null) values.set(name, this.codecs.decode(value) as T);
    return values;
  }

  /** When the alarm is due, in milliseconds since the epoch; null when none is set, and while it runs. */
  async getAlarm(_options?: ReadOptions): Promise<number | null> {
    return this.alarm;
  }

  /**
   * Has the object's `alarm` method called once at `time`, or soon after: also when the process was stopped meanwhile. A
   * second alarm takes the place of the first.
   *
   * @param time a Date, or milliseconds since the epoch; in the past, it is due now.
   * @throws RpcError invalid-argument
   */
  async setAlarm(time: number | Date, options: PutOptions = {}): Promise<void> {
    this.changeAlarm(timeOf(time), options);
    await this.room();
  }

  async deleteAlarm(options: PutOptions = {}): Promise<void> {
    this.changeAlarm(null, options);
    await this.room();
  }
}

/** What of `changes` lies in `range`, laid over what was there. */
export function overlay(
  there: readonly Named[],
  changes: readonly Named[],
  { reverse, limit }: KeyRange,
): Named[] {
  const sign = reverse ? -1 : 1;
  const sorted = [...changes].sort((a, b) => sign * compareBytes(a.key, b.key));
  const merged: Named[] = [];
  let [i, j] = [0, 0];
  while (merged.length < limit && (i < there.length || j < sorted.length)) {
    const [old, change] = [there[i], sorted[j]];
    const order =
      old === undefined ? 1 : change === undefined ? -1 : sign * compareBytes(old.key, change.key);
    if (order <= 0) i++;
    if (order >= 0) j++;
    const next = order < 0 ? old! : change!;
    if (next.value !== null) merged.push(next);
  }
  return merged;
}

/** All of them, at once if all are at hand. */
function allOf<T>(soon: readonly Soon<T>[]): Soon<readonly T[]> {
  return soon.some((one) => one instanceof Promise) ? Promise.all(soon) : (soon as readonly T[]);
}

/** How a value is called in an error. */
function rootOf(name: string): string {
  return name.length <= 64 ? `the value of "${name}"` : `the value of "${name.slice(0, 64)}..."`;
}
