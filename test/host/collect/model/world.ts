// The objects of a run: plain things that hold each other in some processes and in a store, by the host's own records and counts of
// what is held; and what is reachable, as it really is.

import {
  type LiveRoots,
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
import { End, type Exported, type Said } from "./connections.js";
import type { Fault } from "./faults.js";
import {
  type Holder,
  idOf,
  joinReleases,
  outsider,
  PRIVATE,
  Process,
  type Socket,
  type Stub,
} from "./process.js";
import { withoutFaulty } from "./stores.js";

/** Those that have objects; one more has none. */
const WITH_OBJECTS = 3;
export const FRONT = WITH_OBJECTS;
const PUBLIC = "P";
const KEYS = ["a", "b", "c"];
const MOST_PRIVATE = 40;
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
  /** By index; null where there is none now. */
  processes: (Process | null)[] = [];
  /** How many processes have begun, in all. */
  begun = 0;
  /** An object that alone holds somebody, in a value: by the next process of its place. */
  private hidden: { readonly node: Bytes; readonly key: string } | null = null;
  private readonly objects: Bytes[];
  private outside: Holder[] = [];
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

  private stub(process: Process, reference: ObjectReference): Stub {
    return { reference, release: this.holdReference(process, reference), end: null };
  }

  private holdReference(process: Process, reference: ObjectReference, isCounted = true): Release {
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

  private drop(holder: Holder, stub: Stub): void {
    holder.stubs.splice(holder.stubs.indexOf(stub), 1);
    stub.release();
  }

  /** Where an object runs; null while there is no such process, or it does not do its work yet. */
  processOf(node: Bytes): Process | null {
    const process = this.processes[node.at(-1)! % WITH_OBJECTS]!;
    return process?.isReady === true ? process : null;
  }

  private activate(node: Bytes): Holder | null {
    const process = this.processOf(node);
    return process === null ? null : this.activateIn(process, node);
  }

  private activateIn(process: Process, node: Bytes): Holder {
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
    return [
      ...this.outside.filter(({ isOver }) => !isOver),
      ...this.alive.flatMap(({ active }) => [...active.values()]),
    ];
  }

  private pick<T>(list: readonly T[]): T | undefined {
    return list.length === 0 ? undefined : list[this.rng.below(list.length)];
  }

  /** Somebody does something. */
  act(): void {
    const { rng } = this;
    if (rng.chance(60)) this.carry();
    // What is idle does not stay active for long.
    const idle = this.pick(this.holders);
    if (idle !== undefined && idle.node !== null && idle.stubs.length === 0) this.evict(idle);
    if (this.hidden !== null && rng.chance(50)) return this.comeBack(this.hidden);
    if (this.condemned.size > 0 && rng.chance(80) && this.rescue()) return;
    const all = this.holders;
    // Those who have something to do something with, mostly.
    const some = rng.chance(70) ? all.filter(({ stubs }) => stubs.length > 0) : all;
    const holder = rng.chance(50) ? this.pick(some) : rng.recent(some);
    // All processes may have ended.
    if (holder === undefined) return;
    const stub = this.pick(holder.stubs);
    const inside = holder.node === null ? null : holder;
    switch (rng.below(21)) {
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
        return this.carry();
      case 9:
      case 10:
        if (inside !== null && stub !== undefined && rng.chance(60)) this.store(inside, stub);
        return;
      case 11:
        return inside === null ? this.wake() : this.remove(inside);
      case 12:
        return inside === null ? this.carry() : this.read(inside);
      case 13:
        return this.readsUnderWay.splice(rng.below(this.readsUnderWay.length || 1), 1)[0]?.();
      case 14:
        if (stub !== undefined && rng.chance(50)) {
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
      case 19:
        if (rng.chance(25)) this.loseConnection(this.pick([...holder.process.ends]));
        return;
      default:
        return this.facet(holder, stub);
    }
  }

  /** Whoever has a reference to one who is condemned brings it elsewhere, and lets go of it. */
  rescue(): boolean {
    const isOne = ({ reference }: Stub): boolean =>
      heldByReference(reference).some((node) => this.condemned.has(nameOfNode(node)));
    const holder = this.pick(this.holders.filter(({ stubs }) => stubs.some(isOne)));
    const stub = holder?.stubs.find(isOne);
    if (holder === undefined || stub === undefined) return false;
    this.counts.rescues++;
    const { process } = holder;
    if (this.rng.chance(70)) this.condemned = new Set();
    const nearby = this.objects.find((node) => this.processOf(node) === process);
    const near = nearby === undefined ? null : this.activate(nearby);
    const to = this.publicReference();
    const what = near === null ? this.rng.below(6) : this.rng.below(10);
    if (what === 0) {
      // All the way at once: it is held there before it is let go here.
      this.send(holder, to, stub);
      while (this.dispatch(process));
      this.carryAll(process);
    } else if (what === 1) {
      this.send(holder, to, stub);
      this.slowDown(process);
    } else if (what === 2) {
      this.send(holder, to, stub);
      while (this.dispatch(process));
      this.slowDown(process);
      // The message is all that is left of it.
      for (const end of process.ends) if (this.rng.chance(50)) this.loseConnection(end);
    } else if (what === 3) {
      this.send(holder, stub.reference, null);
      this.slowDown(process);
    } else if (what === 4 || what === 5) this.give(process, stub);
    else if (what === 6) {
      this.counts.puts++;
      void this.write(near!, this.pick(KEYS)!, [stub.reference]);
      if (this.rng.chance(50)) this.disk.commit();
      else this.slow = 60;
    } else if (what === 7) this.attach(near!, stub);
    else if (what === 8) this.makeFacet(holder, to, stub);
    else {
      // It is stored, read, and removed while the read is under way.
      const key = this.pick(KEYS)!;
      void this.write(near!, key, [stub.reference]);
      this.disk.commit();
      this.beginRead(near!, key);
      void this.put(near!, key, null);
      this.disk.commit();
    }
    if (holder.stubs.includes(stub)) this.drop(holder, stub);
    return true;
  }

  /** Somebody outside of all objects has got it, in another process. */
  private give(process: Process, { reference }: Stub): void {
    const others = this.outside.filter((one) => !one.isOver && one.process !== process);
    const client = this.pick(others);
    if (client === undefined) return;
    const end = End.between(process, client.process);
    client.stubs.push(this.import(end.other, this.export(end, reference)));
    if (this.rng.chance(50)) this.loseConnection(this.rng.chance(50) ? end : end.other);
  }

  /** What a process has to say takes its time. */
  private slowDown(process: Process): void {
    process.slowUntil = this.now + 60;
    for (const { other } of process.ends) other.slowUntil = this.now + 60;
  }

  /**
   * An object that holds `name` is made to hold it in a value alone, and its process is to end: whoever it is that reads the value then,
   * and takes it away, has not been asked.
   *
   * @returns the process.
   */
  hide(name: NodeName): Process | null {
    const isOne = ({ reference }: Stub): boolean =>
      heldByReference(reference).some((node) => nameOfNode(node) === name);
    const holder = this.pick(
      this.holders.filter(({ node, stubs }) => node !== null && stubs.some(isOne)),
    );
    if (holder === undefined) return null;
    const key = this.pick(KEYS)!;
    this.counts.puts++;
    void this.write(holder, key, [holder.stubs.find(isOne)!.reference]);
    this.disk.commit();
    this.hidden = { node: holder.node!, key };
    return holder.process;
  }

  private comeBack(hidden: { readonly node: Bytes; readonly key: string }): void {
    const index = hidden.node.at(-1)! % WITH_OBJECTS;
    if (this.processes[index] === null) this.restart(index);
    const process = this.processes[index]!;
    if (!process.isReady) this.ready(process);
    this.hidden = null;
    const holder = this.activateIn(process, hidden.node);
    const value = this.view.get(keysOfNode(hidden.node).value(encoder.encode(hidden.key)));
    for (const reference of this.references(value))
      holder.stubs.push(this.stub(process, reference));
    this.counts["read by a newcomer"]++;
    void this.put(holder, hidden.key, null);
    this.disk.commit();
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
    this.dispatch(holder.process);
    this.carryAll(holder.process);
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
    const { process } = holder;
    this.counts.calls++;
    if (this.processOf(nodeOfReference(to)) === process) {
      const called = this.activateIn(process, nodeOfReference(to));
      if (passed !== null) called.stubs.push(this.stub(process, passed.reference));
    } else {
      const isCounted = this.fault !== "calls on their way";
      const release = this.hold(process, heldByReference(to), isCounted);
      const params = passed && {
        reference: passed.reference,
        release: this.hold(process, heldByReference(passed.reference)),
      };
      process.outgoing.push({ to, call: { holder, release }, passed: params });
      if (this.rng.chance(50)) this.dispatch(process);
    }
    // Whoever passes something on often needs it no more.
    if (passed !== null && this.rng.chance(25)) this.drop(holder, passed);
  }

  private publicReference(): ObjectReference {
    const { id } = this.pick([1, 2, 3].map((n) => ({ id: idOf(n) })))!;
    return { namespace: PUBLIC, id, name: undefined, facet: null };
  }

  /** The first call of a process that waits for a connection is sent, if there is somebody to send it to. @returns whether it was. */
  private dispatch(process: Process): boolean {
    const first = process.outgoing[0];
    if (first === undefined) return false;
    const target = this.processOf(nodeOfReference(first.to));
    if (target === null) {
      this.counts["calls that waited for a process"]++;
      return false;
    }
    process.outgoing.shift();
    const { to, call, passed } = first;
    this.counts["calls between processes"]++;
    const end = End.between(process, target);
    end.calls.add(call);
    const given = passed === null ? null : this.export(end, passed.reference);
    const nodes = [...heldByReference(to), ...(given ? heldByReference(given.reference) : [])];
    const onItsWay = this.hold(target, nodes, false);
    end.say({ kind: "call", to, passed: given, call, onItsWay });
    passed?.release();
    return true;
  }

  private export(end: End, reference: ObjectReference): Exported {
    const isCounted = this.fault !== "references on their way";
    const release = this.hold(end.process, heldByReference(reference), isCounted);
    const exported = { reference, release };
    end.exports.add(exported);
    return exported;
  }

  /** Whoever has it is told whom it stands for, and holds that for himself. */
  private import(end: End, exported: Exported): Stub {
    const { reference } = exported;
    const release = this.holdReference(end.process, reference, this.fault !== "imports");
    const giveBack = (): void => end.say({ kind: "release", exported, onItsWay: () => {} });
    return { reference, release: joinReleases([release, giveBack]), end };
  }

  /** Something is read, somewhere. */
  private carry(): void {
    const isSlow = ({ slowUntil }: { readonly slowUntil: number }): boolean => slowUntil > this.now;
    const waiting = this.alive.filter((one) => one.outgoing.length > 0 && !isSlow(one));
    if (waiting.length > 0 && this.rng.chance(20)) this.dispatch(this.pick(waiting)!);
    const end = this.pick(
      this.alive.flatMap(({ ends }) => [...ends].filter((one) => one.isReadable && !isSlow(one))),
    );
    if (end === undefined) return;
    // What comes after its sender's end takes the longest.
    if (end.other.isOver && this.rng.chance(85)) return;
    this.receive(end);
  }

  /** All that a process has sent arrives. */
  private carryAll(from: Process): void {
    for (const { other } of from.ends) while (other.queue.length > 0) this.receive(other);
  }

  private receive(end: End): void {
    const wasAfter = end.other.isOver;
    const said = end.next();
    if (said === null) return;
    if (wasAfter) this.counts["read after the sender's end"]++;
    this.heed(end, said);
    said.onItsWay();
  }

  private heed(end: End, said: Said): void {
    const { rng, counts } = this;
    if (said.kind === "ask")
      return end.say({ kind: "answered", done: said.done, onItsWay: () => {} });
    if (said.kind === "answered") {
      end.asked.delete(said.done);
      return said.done();
    }
    if (said.kind === "release") {
      counts["given back"]++;
      end.exports.delete(said.exported);
      return said.exported.release();
    }
    if (said.kind === "answer") {
      counts.answers++;
      const { holder, release } = said.call;
      end.calls.delete(said.call);
      for (const exported of said.given) {
        const stub = this.import(end, exported);
        if (holder.isOver || rng.chance(40)) stub.release();
        else holder.stubs.push(stub);
      }
      return release();
    }
    const called = this.activateIn(end.process, nodeOfReference(said.to));
    if (said.passed !== null) {
      called.stubs.push(this.import(end, said.passed));
      counts["passed between processes"]++;
    }
    const given = rng.chance(40) ? [this.export(end, said.to)] : [];
    const result = rng.chance(20) ? this.pick(called.stubs) : undefined;
    if (result !== undefined) given.push(this.export(end, result.reference));
    const nodes = given.flatMap(({ reference }) => heldByReference(reference));
    const onItsWay = this.hold(end.other.process, nodes, false);
    end.say({ kind: "answer", call: said.call, given, onItsWay });
  }

  private loseConnection(end: End | undefined): void {
    if (end === undefined) return;
    this.counts["lost connections"]++;
    end.close(this.rng);
    if (this.rng.chance(20)) end.other.lose();
  }

  /** Resolves when what others had sent to a process is there. */
  async arrived(process: Process): Promise<void> {
    if (this.fault === "no fence") return;
    const ends = [...process.ends];
    if (ends.some(({ other }) => other.isOver)) this.counts["fences that waited"]++;
    const asked = ends.map(
      (end) =>
        new Promise<void>((resolve) => {
          end.asked.add(resolve);
          end.say({ kind: "ask", done: resolve, onItsWay: () => {} });
        }),
    );
    await Promise.all(asked);
  }

  private store(holder: Holder, stub: Stub): void {
    this.counts.puts++;
    if (stub.end?.isOver === true) this.counts["stored from a lost connection"]++;
    const other = this.rng.chance(20) ? [this.pick(holder.stubs)!.reference] : [];
    void this.write(holder, this.pick(KEYS)!, [stub.reference, ...other]);
    if (this.rng.chance(40)) this.drop(holder, stub);
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
    const rung = node === undefined ? null : this.activate(node);
    if (rung === null) return;
    this.counts["alarms rung"]++;
    this.changeAlarm(rung, null);
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

  savedStore(roots: LiveRoots): SavedStore {
    const leads = (record: Bytes): readonly Bytes[] => heldByReference(readReference(record));
    const { disk, fault } = this;
    const store: Store = {
      get: (key) => disk.get(key),
      range: (range) => disk.range(range),
      write: (writes) => disk.write(withoutFaulty(writes, fault)),
      close: () => disk.close(),
    };
    return new SavedStore(store, leads, 1000, roots);
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
      void this.savedStore(process.roots).put(key, entry).then(release);
      return;
    }
    const there = [...this.saved].filter(
      ([key]) => this.view.get(savedKey([1], Buffer.from(key, "hex"))) !== undefined,
    );
    const found = this.pick(there);
    if (found === undefined) return;
    if (this.rng.chance(50)) {
      const client = this.pick(this.outside.filter(({ isOver }) => !isOver));
      if (client === undefined) return;
      this.counts.restored++;
      client.stubs.push(this.stub(client.process, found[1]));
    } else {
      this.counts.revoked++;
      void this.savedStore(process.roots).delete(found[0]);
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
    const woken = this.activateIn(socket.process, socket.node);
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
  kill(old = this.pick(this.alive)): void {
    if (old === undefined) return;
    this.counts["killed processes"]++;
    this.disk.commit();
    const { index } = old;
    this.processes[index] = null;
    old.end();
    // What is on its way to others is still theirs.
    for (const end of [...old.ends]) end.close(this.rng);
    for (const entry of this.held) if (entry.process === old) this.held.delete(entry);
    for (const holder of [...old.active.values(), this.outside[index]!]) {
      holder.isOver = true;
      holder.stubs.splice(0);
    }
    this.sockets = this.sockets.filter(({ process }) => process !== old);
  }

  /** Another begins in the place of one that has ended. */
  restart(index = this.pick([0, 1, 2, 3].filter((one) => this.processes[one] === null))): void {
    if (index === undefined) return;
    this.counts["restarted processes"]++;
    this.begun++;
    this.processes[index] = new Process(index, false);
  }

  /** It has read who is being collected, and does its work. */
  ready(process = this.pick(this.alive.filter(({ isReady }) => !isReady))): void {
    if (process === undefined) return;
    const collecting = this.view.range({ from: Uint8Array.of(5, 2), to: Uint8Array.of(5, 3) });
    if (this.fault !== "newcomers know nobody")
      process.roots.doom(Array.from(collecting, ({ key }) => nameOfNode(key.slice(2))));
    process.isReady = true;
    this.outside[process.index] = outsider(process);
  }

  /** Everybody lets go of everything, as far as that goes now. @returns whether all is over. */
  wind(): boolean {
    this.disk.commit();
    this.disk.flush();
    for (let index = 0; index <= FRONT; index++)
      if (this.processes[index] === null) this.restart(index);
    for (const process of this.alive) if (!process.isReady) this.ready(process);
    for (const read of this.readsUnderWay.splice(0)) read();
    for (const process of this.alive) {
      while (this.dispatch(process));
      for (const end of process.ends) while (end.isReadable) this.receive(end);
    }
    for (const { release } of this.sockets.splice(0)) release();
    for (const node of this.made.values())
      if (this.alarmOf(keysOfNode(node)) !== null) this.changeAlarm(this.activate(node)!, null);
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
    const process = this.processOf(node)!;
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
      // It stores whom it holds with another, of its own process.
      const near = this.objects.find((one) => this.processOf(one) === process);
      if (this.rng.chance(50) && !process.isOver && near !== undefined)
        void this.write(this.activateIn(process, near), "c", [stub.reference]);
    }
    for (const { release } of holder.stubs.splice(0)) release();
  }
}
