// Role: a store in memory, for tests and for what may be forgotten.
// State: all entries, sorted. Must not know: objects, values, gates.

import { RpcError } from "../../base/errors.js";
import {
  type Bytes,
  type Commit,
  compareBytes,
  type Entry,
  isClear,
  isDerived,
  type Range,
  type Store,
  type Write,
} from "./store.js";

const DONE: Promise<void> = Promise.resolve();
const AT_ONCE: Commit = { committed: DONE, flushed: DONE };

/**
 * A store that lives as long as it is held. What is written is committed and flushed at once.
 *
 * @example const host = await createHost({ store: new MemoryStore(), classes: { ROOMS: Room } });
 */
export class MemoryStore implements Store {
  /** By key. A search by halves finds any; a new key costs moving those behind it, which is a copy of memory. */
  private entries: Entry[] = [];
  private closed = false;

  /** How many entries there are. */
  get size(): number {
    return this.entries.length;
  }

  get(key: Bytes): Bytes | undefined {
    this.check();
    const entry = this.entries[this.at(key)];
    return entry !== undefined && compareBytes(entry.key, key) === 0
      ? entry.value.slice()
      : undefined;
  }

  range({ from, to, reverse = false, limit = Infinity }: Range): readonly Entry[] {
    this.check();
    const [start, end] = [this.at(from), this.at(to)];
    const count = Math.min(Math.max(end - start, 0), limit);
    const found = reverse
      ? this.entries.slice(end - count, end).reverse()
      : this.entries.slice(start, start + count);
    return found.map(({ key, value }) => ({ key: key.slice(), value: value.slice() }));
  }

  write(writes: readonly Write[]): Commit {
    this.check();
    for (const write of writes) this.apply(write);
    return AT_ONCE;
  }

  close(): Promise<void> {
    this.closed = true;
    return DONE;
  }

  private apply(write: Write): void {
    const { entries } = this;
    if (isDerived(write)) {
      for (const derived of write.derive(this)) this.apply(derived);
      return;
    }
    if (isClear(write)) {
      const start = this.at(write.from);
      entries.splice(start, Math.max(this.at(write.to) - start, 0));
      return;
    }
    const { key, value } = write;
    const at = this.at(key);
    const there = entries[at] !== undefined && compareBytes(entries[at].key, key) === 0;
    if (value === null) entries.splice(at, there ? 1 : 0);
    else entries.splice(at, there ? 1 : 0, { key: key.slice(), value: value.slice() });
  }

  /** Where `key` is, or would go. */
  private at(key: Bytes): number {
    let [low, high] = [0, this.entries.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (compareBytes(this.entries[middle]!.key, key) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  private check(): void {
    if (this.closed) throw new RpcError("failed", "storage-closed", "the store was closed before");
  }
}
