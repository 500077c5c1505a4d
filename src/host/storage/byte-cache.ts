// Role: what an object has read or written lately, as bytes, up to a bound.
// State: the values, the least recently used first. Must not know: stores, writes.

import type { Bytes } from "./store.js";

/** What an entry costs beside its value and key. */
const OVERHEAD = 100;

/** A cache bounded by bytes. It also knows what is not there. */
export class ByteCache {
  private readonly values = new Map<string, Bytes | null>();
  private readonly bound: number;
  private used = 0;

  /** @param bound bytes of keys and values, with what it costs to keep them. */
  constructor(bound: number) {
    this.bound = bound;
  }

  get bytes(): number {
    return this.used;
  }

  /** @returns null when it is known that there is none; undefined when nothing is known. */
  get(key: string): Bytes | null | undefined {
    const value = this.values.get(key);
    if (value === undefined) return undefined;
    this.values.delete(key);
    this.values.set(key, value);
    return value;
  }

  set(key: string, value: Bytes | null): void {
    this.delete(key);
    const cost = costOf(key, value);
    if (cost > this.bound) return;
    this.values.set(key, value);
    this.used += cost;
    for (const [oldest, old] of this.values) {
      if (this.used <= this.bound) break;
      this.values.delete(oldest);
      this.used -= costOf(oldest, old);
    }
  }

  delete(key: string): void {
    const value = this.values.get(key);
    if (value === undefined) return;
    this.values.delete(key);
    this.used -= costOf(key, value);
  }

  clear(): void {
    this.values.clear();
    this.used = 0;
  }
}

export function costOf(key: string, value: Bytes | null): number {
  return OVERHEAD + key.length * 2 + (value?.length ?? 0);
}
