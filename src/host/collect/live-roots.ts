// Role: what this process holds of objects that are collected: stubs, activations, values on their way to the store.
// State: per object that is held, how often; who was let go of since the collector asked; the round of the collector that is under way.
// Must not know: stores, hooks, activations, how anything is collected.
//
// An object is named by its node's bytes, as text. Only those of private namespaces are counted: all others are roots as they are.

import type { Reference } from "../references/reference.js";
import { heldBy, heldByReference } from "../references/table.js";
import type { Bytes } from "../storage/store.js";

/** A node, as a key of maps. */
export type NodeName = string;

export function nameOfNode(node: Bytes): NodeName {
  return String.fromCharCode(...node);
}

export function nodeNamed(name: NodeName): Bytes {
  return Uint8Array.from(name, (character) => character.charCodeAt(0));
}

/** Lets go of what was held, once. */
export type Release = () => void;

interface Round {
  readonly members: ReadonlySet<NodeName>;
  /** Reads of the store that have begun before: what they give may be older than the round. */
  readonly reads: ReadonlySet<symbol>;
  touched: boolean;
}

/**
 * Counts what is held, and says of a set of objects whether nobody held any of them for a while: what the collector needs of each process.
 *
 * @example
 * const release = roots.holdReference(reference);
 * // as long as a stub of it is there
 * release?.();
 */
export class LiveRoots {
  private readonly namespaces: Set<string>;
  private readonly counts = new Map<NodeName, number>();
  private dropped = new Set<NodeName>();
  private readonly doomed = new Set<NodeName>();
  private readonly reads = new Set<symbol>();
  private round: Round | null = null;
  private readsChanged: () => void = () => {};

  /** @param namespaces those whose objects are collected, by `namespaceBytes`. */
  constructor(namespaces: Iterable<Bytes>) {
    this.namespaces = new Set(Array.from(namespaces, nameOfNode));
  }

  /** From now on objects of these are counted, too: nobody can hold one yet. */
  watch(namespaces: Iterable<Bytes>): void {
    for (const namespace of namespaces) this.namespaces.add(nameOfNode(namespace));
  }

  /** Whether there is anything to be collected. */
  get isWatching(): boolean {
    return this.namespaces.size > 0;
  }

  /** How many objects are held here. */
  get size(): number {
    return this.counts.size;
  }

  /** Whether it is an object of a private namespace, or such a namespace. */
  isPrivate(node: Bytes): boolean {
    return this.isWatching && this.namespaces.has(nameOfNode(node.subarray(0, 1 + node[0]!)));
  }

  isHeld(name: NodeName): boolean {
    return this.counts.has(name);
  }

  // -- What holds ----------------------------------------------------------------------------------------------------

  /** @returns null where nothing of it is collected. */
  hold(nodes: readonly Bytes[]): Release | null {
    if (!this.isWatching) return null;
    const names = nodes.filter((node) => this.isPrivate(node)).map(nameOfNode);
    if (names.length === 0) return null;
    for (const name of names) this.add(name);
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      for (const name of names) this.remove(name);
    };
  }

  /** Whom a stored value holds, while it is not in the store. */
  holdValue(value: Bytes): Release | null {
    return this.isWatching ? this.hold(heldBy(value)) : null;
  }

  /** An object, and whom the parameters hold if it is a facet of it. */
  holdReference(reference: Reference): Release | null {
    return this.isWatching ? this.hold(heldByReference(reference)) : null;
  }

  /** A read of the store that takes time has begun. @returns to be called when what it gave is held, or thrown away. */
  reading(): Release {
    const read = Symbol("read");
    this.reads.add(read);
    return () => {
      this.reads.delete(read);
      this.readsChanged();
    };
  }

  /** Whether it is being collected: nothing leads to it any more. */
  isDoomed(node: Bytes): boolean {
    return this.doomed.size > 0 && this.doomed.has(nameOfNode(node));
  }

  // -- For the collector ---------------------------------------------------------------------------------------------

  /** Whom nobody here holds any more since this was last called. */
  takeDropped(): NodeName[] {
    const { dropped } = this;
    this.dropped = new Set();
    return [...dropped];
  }

  /** All who are held here. */
  held(): NodeName[] {
    return [...this.counts.keys()];
  }

  /** Begins a round: from now on it is noted when one of them is held. @returns whether none is. */
  condemn(members: Iterable<NodeName>): boolean {
    const all = new Set(members);
    let touched = false;
    // Of those who are not counted here, as by a program that knows their namespace as public, it cannot be said.
    for (const name of all) touched ||= this.counts.has(name) || !this.isPrivate(nodeNamed(name));
    this.round = { members: all, reads: new Set(this.reads), touched };
    return !touched;
  }

  /** @returns whether none of them was held since {@link condemn}, when every read that had begun before is over. */
  async confirm(): Promise<boolean> {
    const { round } = this;
    while (round !== null && !round.touched && this.round === round && this.reads.size > 0) {
      if (![...round.reads].some((read) => this.reads.has(read))) break;
      await new Promise<void>((resolve) => (this.readsChanged = resolve));
    }
    return round !== null && this.round === round && !round.touched;
  }

  /** The round is over. */
  endRound(): void {
    this.round = null;
    this.readsChanged();
  }

  /** They are being collected. */
  doom(members: Iterable<NodeName>): void {
    for (const name of members) this.doomed.add(name);
  }

  /** They are gone, with everything that could lead to them. */
  forget(members: Iterable<NodeName>): void {
    for (const name of members) this.doomed.delete(name);
  }

  private add(name: NodeName): void {
    this.counts.set(name, (this.counts.get(name) ?? 0) + 1);
    if (this.round?.members.has(name) === true) this.round.touched = true;
  }

  private remove(name: NodeName): void {
    const count = this.counts.get(name)! - 1;
    if (count > 0) {
      this.counts.set(name, count);
      return;
    }
    this.counts.delete(name);
    this.dropped.add(name);
  }
}
