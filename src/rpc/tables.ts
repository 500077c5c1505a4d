// Role: tables by id: one for ids chosen here, one for ids chosen by the peer.
// State: the entries. Must not know: what they mean.

/**
 * Entries under ids that we choose: an array with a free list. An id is handed out again only after `remove`.
 *
 * @example const id = table.insert(question); table.get(id); table.remove(id);
 */
export class OwnTable<K extends number, T> {
  private readonly slots: (T | undefined)[] = [];
  private readonly free: K[] = [];

  get size(): number {
    return this.slots.length - this.free.length;
  }

  insert(entry: T): K {
    const id = this.free.pop();
    if (id !== undefined) {
      this.slots[id] = entry;
      return id;
    }
    return (this.slots.push(entry) - 1) as K;
  }

  get(id: number): T | undefined {
    return this.slots[id];
  }

  remove(id: K): void {
    if (this.slots[id] === undefined) return;
    this.slots[id] = undefined;
    this.free.push(id);
  }

  values(): T[] {
    const entries: T[] = [];
    for (const entry of this.slots) if (entry !== undefined) entries.push(entry);
    return entries;
  }

  /** Empties the table and returns what was in it. */
  drain(): T[] {
    const entries = this.values();
    this.slots.length = 0;
    this.free.length = 0;
    return entries;
  }
}

/** Ids below this are always dense: a peer with many calls in a batch would else move between array and Map all the time. */
const DENSE_SLACK = 1024;

/**
 * Entries under ids that the peer chooses, any 32-bit number: an array while they are small compared to what is live, a
 * Map beyond, so that a hostile id costs one entry and never an array of its size (C-HOS-06, C-IOP-30).
 */
export class PeerTable<K extends number, T> {
  private readonly dense: (T | undefined)[] = [];
  /** By the id as a signed number: keys of 2^31 and more would be objects of their own, and slow ones. */
  private readonly sparse = new Map<number, T>();
  private count = 0;

  get size(): number {
    return this.count;
  }

  get(id: number): T | undefined {
    // Never past the end: an index that is no small number would be looked up as a property.
    const entry = id < this.dense.length ? this.dense[id] : undefined;
    return entry !== undefined || this.sparse.size === 0 ? entry : this.sparse.get(id | 0);
  }

  set(id: K, entry: T): void {
    this.count++;
    if (id < this.dense.length) this.dense[id] = entry;
    else if (id < 2 * this.count + DENSE_SLACK) {
      while (this.dense.length < id) this.dense.push(undefined);
      this.dense.push(entry);
    } else this.sparse.set(id | 0, entry);
  }

  delete(id: K): void {
    if (id < this.dense.length && this.dense[id] !== undefined) {
      this.dense[id] = undefined;
      this.count--;
    } else if (this.sparse.delete(id | 0)) this.count--;
  }

  values(): T[] {
    const entries: T[] = [];
    for (const entry of this.dense) if (entry !== undefined) entries.push(entry);
    for (const entry of this.sparse.values()) entries.push(entry);
    return entries;
  }

  drain(): T[] {
    const entries = this.values();
    this.dense.length = 0;
    this.sparse.clear();
    this.count = 0;
    return entries;
  }
}
