// The objects of a run: plain things that hold each other in some processes and in a store, by the host's own records and counts of
// what is held; and what is reachable, as it really is.

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
  referenceBytes,
} from "../../../../src/host/references/reference.js";
import { SavedStore } from "../../../../src/host/references/saved-store.js";
import { heldBy, heldByReference, joined, split } from "../../../../src/host/references/table.js";
import { alarmWrites, readAlarm } from "../../../../src/host/storage/alarm.js";
import type { FaultyStore } from "../../../../src/host/storage/faulty-store.js";
import {
  KIND_VALUE,
  keysOfNode,
  type ObjectKeys,
  savedKey,
} from "../../../../src/host/storage/keys.js";
import type { Bytes, Store, View } from "../../../../src/host/storage/store.js";
import type { Rng } from "../../../model/rng.js";
import { type Counts, noCounts } from "./counts.js";
import type { Fault } from "./faults.js";
import {
  type Holder,
  idOf,
  joinReleases,
  type Message,
  outsider,
  PRIVATE,
  Process,
  type Socket,
  type Stub,
} from "./process.js";
import { withoutFaulty } from "./stores.js";

export const PROCESSES = 3;
const PUBLIC = "P";
const KEYS = ["a", "b", "c"];
const MOST_PRIVATE = 24;
const encoder = new TextEncoder();
const ALL = { from: new Uint8Array(), to: Uint8Array.of(0xff) };

export class World {
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
  processes: Process[] = [];
  private readonly objects: Bytes[];
  private outside: Holder[] = [];
  private messages: Message[] = [];
  private sockets: Socket[] = [];
  private readsUnderWay: (() => void)[] = [];
  /** Whom somebody holds, whatever the host counts. */
  private held = new Set<{ readonly process: Process; readonly names: readonly NodeName[] }>();
  /** By key, what was saved, also if the store does not have it. */
  private saved = new Map<string, ObjectReference>();
  private lastToken = 0;

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
    for (const process of this.processes) process.end();
    this.held = new Set();
    this.messages = [];
    this.sockets = [];
    this.readsUnderWay = [];
    this.processes = Array.from({ length: PROCESSES }, (_, index) => new Process(index));
    this.outside = this.processes.map((process) => outsider(process));
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

  private stub(process: Process, reference: ObjectReference): Stub {
    const node = nodeOfReference(reference);
    if (process.roots.isDoomed(node))
      this.violations.push("somebody got a reference to an object that is being collected");
    const facetHolds = this.fault !== "parameters of facets";
    const release = facetHolds
      ? this.hold(process, heldByReference(reference))
      : joinReleases([
          this.hold(process, [node]),
          this.hold(process, heldByReference(reference), false),
        ]);
    return { reference, release };
  }

  private drop(holder: Holder, stub: Stub): void {
    holder.stubs.splice(holder.stubs.indexOf(stub), 1);
    stub.release();
  }

  processOf(node: Bytes): Process {
    return this.processes[node.at(-1)! % PROCESSES]!;
  }

  private activate(node: Bytes): Holder {
    const process = this.processOf(node);
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

  private end(holder: Holder): void {
    holder.isOver = true;
    for (const { release } of holder.stubs.splice(0)) release();
    holder.process.active.delete(nameOfNode(holder.node!));
    holder.root?.();
  }

  // -- Storage -------------------------------------------------------------------------------------------------------

  /** Resolves when it is on the disk. */
  private async commit(
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

  private contextOf({ process }: Holder): {
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

  private put(holder: Holder, key: string, value: Bytes | null): Promise<void> {
    const keys = keysOfNode(holder.node!);
    const bytes = encoder.encode(key);
    const nodes = value === null ? [] : heldBy(value);
    return this.commit(holder, nodes, [
      { key: keys.value(bytes), value },
      holdingWrite(keys, [{ kind: KIND_VALUE, key: bytes, nodes }]),
    ]);
  }

  private references(value: Bytes | undefined): ObjectReference[] {
    if (value === undefined) return [];
    return (split(value).references ?? []).map((bytes) => readReference(bytes) as ObjectReference);
  }

  // -- What objects and others do ------------------------------------------------------------------------------------

  private get holders(): Holder[] {
    return [...this.outside, ...this.processes.flatMap(({ active }) => [...active.values()])];
  }

  private pick<T>(list: readonly T[]): T | undefined {
    return list.length === 0 ? undefined : list[this.rng.below(list.length)];
  }

  /** Somebody does something. */
  act(): void {
    const { rng } = this;
    if (this.condemned.size > 0 && rng.chance(80) && this.rescue()) return;
    const holder = rng.chance(50) ? this.pick(this.holders)! : rng.recent(this.holders);
    const stub = this.pick(holder.stubs);
    const inside = holder.node === null ? null : holder;
    switch (rng.below(20)) {
      case 0:
      case 1:
        return this.create(holder);
      case 2:
      case 3:
      case 4:
      case 5:
        return stub === undefined ? this.wake() : this.call(holder, stub);
      case 6:
      case 7:
      case 8:
        return this.arrive();
      case 9:
      case 10:
        if (inside !== null && stub !== undefined) this.store(inside, stub);
        return;
      case 11:
        return inside === null ? this.wake() : this.remove(inside);
      case 12:
        return inside === null ? this.arrive() : this.read(inside);
      case 13:
        return this.readsUnderWay.splice(rng.below(this.readsUnderWay.length || 1), 1)[0]?.();
      case 14:
        if (stub !== undefined) {
          this.counts.drops++;
          this.drop(holder, stub);
        }
        return;
      case 15:
        return inside === null ? this.loseClient(holder) : this.evict(inside);
      case 16:
        return this.alarms(inside);
      case 17:
        return this.savedReferences(holder, stub);
      case 18:
        return this.attachments(inside, stub);
      default:
        return this.facet(holder, stub);
    }
  }

  /** Whoever has a reference to one who is condemned brings it elsewhere, and lets go of it. */
  private rescue(): boolean {
    const isOne = ({ reference }: Stub): boolean =>
      heldByReference(reference).some((node) => this.condemned.has(nameOfNode(node)));
    const holder = this.pick(this.holders.filter(({ stubs }) => stubs.some(isOne)));
    const stub = holder?.stubs.find(isOne);
    if (holder === undefined || stub === undefined) return false;
    this.counts.rescues++;
    if (this.rng.chance(70)) this.condemned = new Set();
    const near = this.activate(
      this.objects.find((node) => this.processOf(node) === holder.process)!,
    );
    switch (this.rng.below(6)) {
      case 0:
        this.send(holder, this.publicReference(), stub);
        // All the way at once: it is held there before it is let go here.
        for (const message = this.messages.at(-1)!; this.messages.includes(message);)
          this.arrive(message);
        break;
      case 1:
        this.send(holder, this.publicReference(), stub);
        break;
      case 2:
        this.counts.puts++;
        void this.write(near, this.pick(KEYS)!, [stub.reference]);
        if (this.rng.chance(50)) this.disk.commit();
        else this.slow = 60;
        break;
      case 3:
        this.attach(near, stub);
        break;
      case 4:
        this.makeFacet(holder, this.publicReference(), stub);
        break;
      default: {
        // It is stored, read, and removed while the read is under way.
        const key = this.pick(KEYS)!;
        void this.write(near, key, [stub.reference]);
        this.disk.commit();
        this.beginRead(near, key);
        void this.put(near, key, null);
        this.disk.commit();
      }
    }
    if (holder.stubs.includes(stub)) this.drop(holder, stub);
    return true;
  }

  private create(holder: Holder): void {
    const there = [...this.made.keys()].filter((name) => this.hasRecords(name));
    if (there.length >= MOST_PRIVATE) return;
    this.counts.creates++;
    const id = new Uint8Array(32).map(() => this.rng.below(256));
    const reference = { namespace: PRIVATE, id, name: undefined, facet: null };
    const node = nodeOfReference(reference);
    this.made.set(nameOfNode(node), node);
    holder.stubs.push(this.stub(holder.process, reference));
    // From then on it has something stored.
    this.send(holder, reference, null);
    this.arrive(this.messages.at(-1));
  }

  /** Somebody outside calls a public object. */
  private wake(): void {
    this.activate(this.pick(this.objects)!);
  }

  private call(holder: Holder, stub: Stub): void {
    const passed = this.rng.chance(70) ? this.pick(holder.stubs)! : null;
    this.send(holder, this.rng.chance(40) ? this.publicReference() : stub.reference, passed);
  }

  private send(holder: Holder, to: ObjectReference, passed: Stub | null): void {
    const counted = this.fault !== "references on their way";
    const nodes = [
      ...heldByReference(to),
      ...(passed === null ? [] : heldByReference(passed.reference)),
    ];
    const release = this.hold(holder.process, nodes, counted);
    this.messages.push({
      from: holder.process,
      to,
      passed: passed?.reference ?? null,
      release,
      arrived: false,
    });
    this.counts.calls++;
    // Whoever passes something on often needs it no more.
    if (passed !== null && this.rng.chance(50)) this.drop(holder, passed);
  }

  private publicReference(): ObjectReference {
    const { id } = this.pick([1, 2, 3].map((n) => ({ id: idOf(n) })))!;
    return { namespace: PUBLIC, id, name: undefined, facet: null };
  }

  private arrive(message = this.pick(this.messages)): void {
    if (message === undefined) return;
    if (message.arrived) {
      this.messages.splice(this.messages.indexOf(message), 1);
      message.release();
      return;
    }
    message.arrived = true;
    const called = this.activate(nodeOfReference(message.to));
    if (message.passed === null) return;
    called.stubs.push(this.stub(called.process, message.passed));
    if (called.process !== message.from) this.counts["passed between processes"]++;
  }

  private store(holder: Holder, stub: Stub): void {
    this.counts.puts++;
    const other = this.rng.chance(20) ? [this.pick(holder.stubs)!.reference] : [];
    void this.write(holder, this.pick(KEYS)!, [stub.reference, ...other]);
    if (this.rng.chance(60)) this.drop(holder, stub);
  }

  private remove(holder: Holder): void {
    if (this.rng.chance(80)) {
      this.counts.deletes++;
      return void this.put(holder, this.pick(KEYS)!, null);
    }
    this.counts.clears++;
    const keys = keysOfNode(holder.node!);
    void this.commit(
      holder,
      [],
      [
        keys.valueRange(new Uint8Array(), null),
        holdingWrite(keys, [], keys.heldByValues),
        { key: keys.value(encoder.encode("made")), value: Uint8Array.of(0xc0) },
      ],
    );
  }

  /** What is read is there now; whoever reads has it later. */
  private read(holder: Holder): void {
    const key = this.pick(KEYS)!;
    this.beginRead(holder, key);
    if (this.rng.chance(40)) void this.put(holder, key, null);
  }

  private beginRead(holder: Holder, key: string): void {
    this.counts.reads++;
    const { process } = holder;
    const value = this.view.get(keysOfNode(holder.node!).value(encoder.encode(key)));
    const nodes = value === undefined ? [] : heldBy(value);
    const isKnown = this.fault !== "reads under way";
    const end = isKnown ? process.roots.reading() : () => {};
    const release = this.hold(process, nodes, false);
    holder.busy++;
    this.readsUnderWay.push(() => {
      if (process.isOver) return release();
      for (const reference of this.references(value))
        holder.stubs.push(this.stub(process, reference));
      release();
      end();
      holder.busy--;
    });
  }

  private evict(holder: Holder): void {
    if (holder.busy > 0 || this.rng.chance(50)) return;
    this.counts.evictions++;
    this.end(holder);
  }

  private loseClient(holder: Holder): void {
    if (this.rng.chance(75)) return;
    this.counts["lost clients"]++;
    while (holder.stubs.length > 0) this.drop(holder, holder.stubs[0]!);
  }

  private alarms(holder: Holder | null): void {
    if (holder !== null && this.rng.chance(50)) {
      this.counts["alarms set"]++;
      this.changeAlarm(holder, this.now + 10);
      return;
    }
    const set = [...this.made.values()].filter((node) => this.alarmOf(keysOfNode(node)) !== null);
    const node = this.pick(set);
    if (node === undefined) return;
    this.counts["alarms rung"]++;
    this.changeAlarm(this.activate(node), null);
  }

  private alarmOf(keys: ObjectKeys): ReturnType<typeof readAlarm> {
    return readAlarm(this.view.get(keys.alarm));
  }

  private changeAlarm(holder: Holder, time: number | null): void {
    const keys = keysOfNode(holder.node!);
    void this.commit(
      holder,
      [],
      [
        {
          derive: (view) =>
            alarmWrites(
              keys,
              readAlarm(view.get(keys.alarm)),
              time === null ? null : { time, retries: 0 },
            ),
        },
      ],
    );
  }

  savedStore(process: Process): SavedStore {
    const leads = (record: Bytes): readonly Bytes[] => heldByReference(readReference(record));
    const { disk, fault } = this;
    const store: Store = {
      get: (key) => disk.get(key),
      range: (range) => disk.range(range),
      write: (writes) => disk.write(withoutFaulty(writes, fault)),
      close: () => disk.close(),
    };
    return new SavedStore(store, leads, 1000, process.roots);
  }

  private savedReferences(holder: Holder, stub: Stub | undefined): void {
    const { process } = holder;
    if (stub !== undefined && this.rng.chance(50)) {
      this.counts.saved++;
      const key = Buffer.from(idOf(++this.lastToken)).toString("hex");
      this.saved.set(key, stub.reference);
      const release = this.hold(process, heldByReference(stub.reference), false);
      const expires = this.rng.chance(30) ? this.now + 200 : null;
      const entry = { record: referenceBytes(stub.reference), owner: null, expires };
      void this.savedStore(process).put(key, entry).then(release);
      return;
    }
    const there = [...this.saved].filter(
      ([key]) => this.view.get(savedKey([1], Buffer.from(key, "hex"))) !== undefined,
    );
    const found = this.pick(there);
    if (found === undefined) return;
    if (this.rng.chance(50)) {
      this.counts.restored++;
      const client = this.outside[0]!;
      client.stubs.push(this.stub(client.process, found[1]));
    } else {
      this.counts.revoked++;
      void this.savedStore(process).delete(found[0]);
    }
  }

  private attachments(holder: Holder | null, stub: Stub | undefined): void {
    if (holder !== null && stub !== undefined && this.rng.chance(60)) {
      this.attach(holder, stub);
      if (this.rng.chance(60)) this.drop(holder, stub);
      return;
    }
    const socket = this.pick(this.sockets);
    if (socket === undefined) return;
    const woken = this.activate(socket.node);
    woken.stubs.push(this.stub(woken.process, socket.attached));
    if (this.rng.chance(50)) return;
    this.counts.detached++;
    this.sockets.splice(this.sockets.indexOf(socket), 1);
    socket.release();
  }

  private attach(holder: Holder, stub: Stub): void {
    this.counts.attached++;
    const counted = this.fault !== "attachments";
    const release = joinReleases([
      this.hold(holder.process, [holder.node!]),
      this.hold(holder.process, heldByReference(stub.reference), counted),
    ]);
    this.sockets.push({
      node: holder.node!,
      process: holder.process,
      attached: stub.reference,
      release,
    });
  }

  private facet(holder: Holder, stub: Stub | undefined): void {
    const other = this.pick(holder.stubs);
    if (stub === undefined || other === undefined || other.reference.facet !== null) return;
    this.makeFacet(holder, stub.reference, other);
    if (this.rng.chance(60)) this.drop(holder, other);
  }

  /** A facet of an object, with parameters that hold another. */
  private makeFacet(holder: Holder, of: ObjectReference, held: Stub): void {
    this.counts.facets++;
    const facet = joined([held.reference], Uint8Array.of(0xc0));
    holder.stubs.push(this.stub(holder.process, { ...of, facet }));
  }

  // -- Ends ----------------------------------------------------------------------------------------------------------

  /** A process ends. What it had given to the store is made: others' writes are behind it. */
  kill(): Process {
    this.counts["killed processes"]++;
    this.disk.commit();
    const index = this.rng.below(PROCESSES);
    const old = this.processes[index]!;
    const next = new Process(index);
    this.processes[index] = next;
    old.end();
    for (const entry of this.held) if (entry.process === old) this.held.delete(entry);
    for (const holder of [...old.active.values(), this.outside[index]!]) {
      holder.isOver = true;
      holder.stubs.splice(0);
    }
    this.outside[index] = outsider(next);
    this.messages = this.messages.filter(({ from }) => from !== old);
    this.sockets = this.sockets.filter(({ process }) => process !== old);
    return next;
  }

  /** Everybody lets go of everything, as far as that goes now. @returns whether all is over. */
  wind(): boolean {
    this.disk.commit();
    this.disk.flush();
    for (const read of this.readsUnderWay.splice(0)) read();
    while (this.messages.length > 0) this.arrive();
    for (const { release } of this.sockets.splice(0)) release();
    for (const node of this.made.values())
      if (this.alarmOf(keysOfNode(node)) !== null) this.changeAlarm(this.activate(node), null);
    let over = true;
    for (const holder of this.holders) {
      if (holder.busy > 0) over = false;
      else if (holder.node !== null) this.end(holder);
      else while (holder.stubs.length > 0) this.drop(holder, holder.stubs[0]!);
    }
    return over && this.held.size === 0;
  }

  /** A [dispose] hook of the object, or what it does with those whom it holds. */
  async runHook(node: Bytes, isGone: (name: NodeName) => boolean): Promise<void> {
    const process = this.processOf(node);
    const holder = outsider(process);
    for (const key of KEYS)
      for (const reference of this.references(
        this.view.get(keysOfNode(node).value(encoder.encode(key))),
      )) {
        const nodes = heldByReference(reference);
        if (nodes.some((one) => isGone(nameOfNode(one))))
          this.violations.push("a hook has read a reference to nothing");
        else if (nodes.some((one) => process.roots.isDoomed(one)))
          this.counts["references refused to hooks"]++;
        else holder.stubs.push(this.stub(process, reference));
      }
    const own = { ...holder, node };
    for (const stub of holder.stubs) {
      if (process.isOver) break;
      await this.write(own, "b", [stub.reference]);
      if (this.rng.chance(50) && !process.isOver)
        void this.write(this.activate(this.objects[0]!), "c", [stub.reference]);
    }
    for (const { release } of holder.stubs.splice(0)) release();
  }
}
