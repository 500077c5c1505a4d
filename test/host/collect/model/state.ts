// What there is in a run: processes, who holds whom in them and in a store, by the host's own records and counts of what is held; and what
// is reachable, as it really is.

import {
  type NodeName,
  nameOfNode,
  type Release,
} from "../../../../src/host/collect/live-roots.js";
import { holdingWrite } from "../../../../src/host/references/holdings.js";
import {
  nodeOfReference,
  type ObjectReference,
  readReference,
} from "../../../../src/host/references/reference.js";
import { heldBy, heldByReference, joined, split } from "../../../../src/host/references/table.js";
import type { FaultyStore } from "../../../../src/host/storage/faulty-store.js";
import { KIND_VALUE, keysOfNode, savedKey } from "../../../../src/host/storage/keys.js";
import type { Bytes, Store, View } from "../../../../src/host/storage/store.js";
import type { Rng } from "../../../model/rng.js";
import { type Counts, noCounts } from "./counts.js";
import type { Fault } from "./faults.js";
import {
  type Holder,
  idOf,
  joinReleases,
  outsider,
  Process,
  type Socket,
  type Stub,
} from "./process.js";
import { withoutFaulty } from "./stores.js";

/** Those that have objects; one more has none. */
export const WITH_OBJECTS = 3;
export const FRONT = WITH_OBJECTS;
/** The namespace of those that have names. */
export const PUBLIC = "P";
export const KEYS = ["a", "b", "c"];
export const encoder = new TextEncoder();
const ALL = { from: new Uint8Array(), to: Uint8Array.of(0xff) };

export class State {
  readonly rng: Rng;
  readonly fault: Fault | null;
  readonly counts: Counts = noCounts();
  readonly violations: string[] = [];
  /** Every private object there ever was. */
  readonly made = new Map<NodeName, Bytes>();
  now = 1_000_000;
  /** About whom the collector asks just now: what is done to them matters most. */
  condemned: ReadonlySet<NodeName> = new Set();
  /** For so many steps the disk commits nothing. */
  slow = 0;
  disk: FaultyStore;
  /** By index; null where there is none now. */
  processes: (Process | null)[] = [];
  /** How many processes have begun, in all. */
  begun = 0;
  /** An object that alone holds somebody, in a value: by the next process of its place. */
  protected hidden: { readonly node: Bytes; readonly key: string } | null = null;
  protected readonly objects: Bytes[];
  protected outside: Holder[] = [];
  protected sockets: Socket[] = [];
  protected readsUnderWay: (() => void)[] = [];
  /** Whom somebody holds, whatever the host counts. */
  protected held = new Set<{ readonly process: Process; readonly names: readonly NodeName[] }>();
  /** By key, what was saved, also if the store does not have it. */
  protected saved = new Map<string, ObjectReference>();
  protected lastToken = 0;

  constructor(rng: Rng, fault: Fault | null, disk: FaultyStore) {
    this.rng = rng;
    this.fault = fault;
    this.disk = disk;
    this.objects = [0, 1, 2].map((n) =>
      nodeOfReference({ namespace: PUBLIC, id: idOf(n + 1), name: undefined, facet: null }),
    );
    this.begin(disk);
  }

  /** Everything in memory is new. */
  begin(disk: FaultyStore): void {
    this.disk = disk;
    disk.hold = { commits: true, flushes: true };
    for (const process of this.alive) process.end();
    this.held = new Set();
    this.sockets = [];
    this.readsUnderWay = [];
    this.hidden = null;
    const all = Array.from({ length: WITH_OBJECTS + 1 }, (_, index) => new Process(index, true));
    this.processes = all;
    this.outside = all.map((process) => outsider(process));
  }

  /** Those that have begun, and have not ended. */
  get alive(): Process[] {
    return this.processes.filter((process) => process !== null);
  }

  // -- What is really so ---------------------------------------------------------------------------------------------

  /** Who can be reached, by what `view` says and what is held in memory. @param inMemory false after a loss of power. */
  reachable(view: View, inMemory = true): Set<NodeName> {
    const edges = new Map<NodeName, NodeName[]>();
    const roots = this.objects.map(nameOfNode);
    for (const { key, value } of view.range(ALL)) {
      if (key[0] !== 1) continue;
      const end = 2 + key[1]! + 32;
      const name = nameOfNode(key.slice(1, end));
      if (key[end] === KIND_VALUE)
        edges.set(name, [...(edges.get(name) ?? []), ...heldBy(value).map(nameOfNode)]);
      if (key[end] === 2) roots.push(name);
    }
    for (const [key, reference] of this.saved)
      if (view.get(savedKey([1], Buffer.from(key, "hex"))) !== undefined)
        roots.push(...heldByReference(reference).map(nameOfNode));
    if (inMemory) for (const { names } of this.held) roots.push(...names);
    const found = new Set(roots);
    for (const name of found) for (const to of edges.get(name) ?? []) found.add(to);
    return found;
  }

  get view(): View {
    return this.disk as unknown as View;
  }

  hasRecords(name: NodeName, view = this.view): boolean {
    return view.range({ ...keysOfNode(this.made.get(name)!).all, limit: 1 } as never).length > 0;
  }

  // -- Holding -------------------------------------------------------------------------------------------------------

  /** @param isCounted whether the host knows of it. */
  hold(process: Process, nodes: readonly Bytes[], isCounted = true): Release {
    const entry = { process, names: nodes.map(nameOfNode) };
    if (!process.isOver) this.held.add(entry);
    const release = isCounted && !process.isOver ? process.roots.hold(nodes) : null;
    return () => {
      this.held.delete(entry);
      if (!process.isOver) release?.();
    };
  }

  protected stub(process: Process, reference: ObjectReference): Stub {
    return { reference, release: this.holdReference(process, reference), end: null };
  }

  protected holdReference(process: Process, reference: ObjectReference, isCounted = true): Release {
    const node = nodeOfReference(reference);
    if (process.roots.isDoomed(node))
      this.violations.push("somebody got a reference to an object that is being collected");
    if (this.fault !== "parameters of facets")
      return this.hold(process, heldByReference(reference), isCounted);
    return joinReleases([
      this.hold(process, [node], isCounted),
      this.hold(process, heldByReference(reference), false),
    ]);
  }

  protected drop(holder: Holder, stub: Stub): void {
    holder.stubs.splice(holder.stubs.indexOf(stub), 1);
    stub.release();
  }

  /** Where an object runs; null while there is no such process, or it does not do its work yet. */
  processOf(node: Bytes): Process | null {
    const process = this.processes[node.at(-1)! % WITH_OBJECTS] ?? null;
    return process !== null && process.isReady ? process : null;
  }

  protected activate(node: Bytes): Holder | null {
    const process = this.processOf(node);
    return process === null ? null : this.activateIn(process, node);
  }

  protected activateIn(process: Process, node: Bytes): Holder {
    const name = nameOfNode(node);
    const known = process.active.get(name);
    if (known !== undefined) return known;
    if (process.roots.isDoomed(node))
      this.violations.push("an object that is being collected was called");
    const holder: Holder = {
      process,
      node,
      stubs: [],
      root: this.hold(process, [node]),
      busy: 0,
      isOver: false,
    };
    process.active.set(name, holder);
    if (this.disk.get(keysOfNode(node).value(encoder.encode("made"))) === undefined)
      void this.write(holder, "made", []);
    return holder;
  }

  protected end(holder: Holder): void {
    holder.isOver = true;
    for (const { release } of holder.stubs.splice(0)) release();
    holder.process.active.delete(nameOfNode(holder.node!));
    holder.root?.();
  }

  // -- Storage -------------------------------------------------------------------------------------------------------

  /** Resolves when it is on the disk. */
  protected async commit(
    holder: Holder,
    nodes: readonly Bytes[],
    writes: Parameters<Store["write"]>[0],
  ): Promise<void> {
    const { process, fault, disk } = this.contextOf(holder);
    const release = this.hold(process, nodes, fault !== "pending writes");
    holder.busy++;
    const { committed, flushed } = disk.write(withoutFaulty(writes, fault));
    void committed.then(release);
    await flushed;
    holder.busy--;
  }

  protected contextOf({ process }: Holder): {
    process: Process;
    fault: Fault | null;
    disk: FaultyStore;
  } {
    return { process, fault: this.fault, disk: this.disk };
  }

  write(holder: Holder, key: string, references: readonly ObjectReference[]): Promise<void> {
    const plain = Uint8Array.of(0xc0);
    const value = references.length === 0 ? plain : joined(references, plain);
    return this.put(holder, key, value);
  }

  protected put(holder: Holder, key: string, value: Bytes | null): Promise<void> {
    const keys = keysOfNode(holder.node!);
    const bytes = encoder.encode(key);
    const nodes = value === null ? [] : heldBy(value);
    return this.commit(holder, nodes, [
      { key: keys.value(bytes), value },
      holdingWrite(keys, [{ kind: KIND_VALUE, key: bytes, nodes }]),
    ]);
  }

  protected references(value: Bytes | undefined): ObjectReference[] {
    if (value === undefined) return [];
    return (split(value).references ?? []).map((bytes) => readReference(bytes) as ObjectReference);
  }

  protected get holders(): Holder[] {
    return [
      ...this.outside.filter(({ isOver }) => !isOver),
      ...this.alive.flatMap(({ active }) => [...active.values()]),
    ];
  }

  protected pick<T>(list: readonly T[]): T | undefined {
    return list.length === 0 ? undefined : list[this.rng.below(list.length)];
  }
}
