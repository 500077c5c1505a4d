// What objects and others do in a run, one step at a time.

import {
  type LiveRoots,
  type NodeName,
  nameOfNode,
} from "../../../../src/host/collect/live-roots.js";
import { holdingWrite } from "../../../../src/host/references/holdings.js";
import {
  nodeOfReference,
  type ObjectReference,
  readReference,
  referenceBytes,
} from "../../../../src/host/references/reference.js";
import { SavedStore } from "../../../../src/host/references/saved-store.js";
import { heldBy, heldByReference, joined } from "../../../../src/host/references/table.js";
import { alarmWrites, readAlarm } from "../../../../src/host/storage/alarm.js";
import { keysOfNode, type ObjectKeys, savedKey } from "../../../../src/host/storage/keys.js";
import type { Bytes, Store } from "../../../../src/host/storage/store.js";
import {
  type Holder,
  idOf,
  joinReleases,
  outsider,
  PRIVATE,
  type Process,
  type Stub,
} from "./process.js";
import { withoutFaulty } from "./stores.js";
import { Traffic } from "./traffic.js";
import { FRONT, WITH_OBJECTS, PUBLIC, KEYS, encoder } from "./state.js";

const MOST_PRIVATE = 40;

export class World extends Traffic {
  // -- What objects and others do ------------------------------------------------------------------------------------

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
    const front = this.outside[FRONT]!;
    const anybody = rng.chance(50) ? this.pick(some) : rng.recent(some);
    const holder = rng.chance(15) && !front.isOver ? front : anybody;
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
      this.slowDown(process);
      this.send(holder, stub.reference, null);
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

  /**
   * A public object that holds `name` is made to hold it in a value alone, and its process is to end: whoever it is that reads the value then,
   * and takes it away, has not been asked.
   *
   * @returns the process.
   */
  hide(name: NodeName): Process | null {
    const isOne = ({ reference }: Stub): boolean =>
      heldByReference(reference).some((node) => nameOfNode(node) === name);
    const names = new Set(this.objects.map(nameOfNode));
    // Others cannot be called by whoever comes next, unless somebody holds them.
    const isPublic = ({ node }: Holder): boolean => node !== null && names.has(nameOfNode(node));
    const holder = this.pick(this.holders.filter((one) => isPublic(one) && one.stubs.some(isOne)));
    if (holder === undefined) return null;
    const key = this.pick(KEYS)!;
    this.counts.puts++;
    void this.write(holder, key, [holder.stubs.find(isOne)!.reference]);
    this.disk.commit();
    this.hidden = { node: holder.node!, key };
    return holder.process;
  }

  protected comeBack(hidden: { readonly node: Bytes; readonly key: string }): void {
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

  protected create(holder: Holder): void {
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
  protected wake(): void {
    this.activate(this.pick(this.objects)!);
  }

  protected call(holder: Holder, stub: Stub): void {
    const passed = this.rng.chance(70) ? this.pick(holder.stubs)! : null;
    this.send(holder, this.rng.chance(40) ? this.publicReference() : stub.reference, passed);
  }

  protected publicReference(): ObjectReference {
    const { id } = this.pick([1, 2, 3].map((n) => ({ id: idOf(n) })))!;
    return { namespace: PUBLIC, id, name: undefined, facet: null };
  }

  protected store(holder: Holder, stub: Stub): void {
    this.counts.puts++;
    if (stub.end?.isOver === true) this.counts["stored from a lost connection"]++;
    const other = this.rng.chance(20) ? [this.pick(holder.stubs)!.reference] : [];
    void this.write(holder, this.pick(KEYS)!, [stub.reference, ...other]);
    if (this.rng.chance(40)) this.drop(holder, stub);
  }

  protected remove(holder: Holder): void {
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
  protected read(holder: Holder): void {
    const key = this.pick(KEYS)!;
    this.beginRead(holder, key);
    if (this.rng.chance(40)) void this.put(holder, key, null);
  }

  protected beginRead(holder: Holder, key: string): void {
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

  protected evict(holder: Holder): void {
    if (holder.busy > 0 || this.rng.chance(50)) return;
    this.counts.evictions++;
    this.end(holder);
  }

  protected loseClient(holder: Holder): void {
    if (this.rng.chance(75)) return;
    this.counts["lost clients"]++;
    while (holder.stubs.length > 0) this.drop(holder, holder.stubs[0]!);
  }

  protected alarms(holder: Holder | null): void {
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

  protected alarmOf(keys: ObjectKeys): ReturnType<typeof readAlarm> {
    return readAlarm(this.view.get(keys.alarm));
  }

  protected changeAlarm(holder: Holder, time: number | null): void {
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

  protected savedReferences(holder: Holder, stub: Stub | undefined): void {
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

  protected attachments(holder: Holder | null, stub: Stub | undefined): void {
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

  protected attach(holder: Holder, stub: Stub): void {
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

  protected facet(holder: Holder, stub: Stub | undefined): void {
    const other = this.pick(holder.stubs);
    if (stub === undefined || other === undefined || other.reference.facet !== null) return;
    this.makeFacet(holder, stub.reference, other);
    if (this.rng.chance(60)) this.drop(holder, other);
  }

  /** A facet of an object, with parameters that hold another. */
  protected makeFacet(holder: Holder, of: ObjectReference, held: Stub): void {
    this.counts.facets++;
    const facet = joined([held.reference], Uint8Array.of(0xc0));
    holder.stubs.push(this.stub(holder.process, { ...of, facet }));
  }

  // -- Ends ----------------------------------------------------------------------------------------------------------

  /** Everybody lets go of everything, as far as that goes now. @returns whether all is over. */
  wind(): boolean {
    this.disk.commit();
    this.disk.flush();
    for (let index = 0; index <= FRONT; index++)
      if (this.processes[index] === null) this.restart(index);
    for (const process of this.alive) if (!process.isReady) this.ready(process);
    for (const read of this.readsUnderWay.splice(0)) read();
    for (const process of this.alive) {
      process.slowUntil = 0;
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
