// Role: a queue whose length others decide. State: what waits. Must not know: what it is.

/** So many places at the front may stay empty before the rest moves up. */
const EMPTY_PLACES = 1024;

/**
 * A queue. `shift` of a long array moves all that is behind: a peer that has a hundred thousand calls wait would have the
 * process do nothing else for seconds once they are made (C-HOS-08).
 *
 * @example
 * const queue = new Fifo<string>();
 * queue.push("a");
 * queue.take(); // "a"
 */
export class Fifo<T> {
  private items: (T | undefined)[] = [];
  private head = 0;

  get length(): number {
    return this.items.length - this.head;
  }

  /** The next to be taken; undefined when there is none. */
  get first(): T | undefined {
    return this.items[this.head];
  }

  push(item: T): void {
    this.items.push(item);
  }

  /** Drops what `keep` does not want. */
  sweep(keep: (item: T) => boolean): void {
    this.items = this.items.slice(this.head).filter((item) => keep(item as T));
    this.head = 0;
  }

  /** Puts what was just taken, or what is left of it, before all others. */
  putBack(item: T): void {
    if (this.head > 0) this.items[--this.head] = item;
    else this.items.unshift(item);
  }

  /** Takes all, in order. */
  takeAll(): T[] {
    const all = this.items.slice(this.head) as T[];
    this.items = [];
    this.head = 0;
    return all;
  }

  /** Takes the first; undefined when there is none. */
  take(): T | undefined {
    const { items } = this;
    if (this.head === items.length) return undefined;
    const item = items[this.head];
    items[this.head++] = undefined;
    if (this.head === items.length) items.length = this.head = 0;
    else if (this.head >= EMPTY_PLACES && this.head * 2 >= items.length) {
      items.splice(0, this.head);
      this.head = 0;
    }
    return item;
  }
}
