// The store as the objects and the collector of a run have it: some writes are left out by planted faults, those of the collector are
// looked at when they are made, and each of its reads takes a time that the run decides, and may give what there was a while ago.

import { MemoryStore } from "../../../../src/host/storage/memory-store.js";
import type { FaultyStore } from "../../../../src/host/storage/faulty-store.js";
import {
  type Bytes,
  type Commit,
  type Entry,
  isClear,
  isDerived,
  type PutWrite,
  type Range,
  type Store,
  type View,
  type Write,
} from "../../../../src/host/storage/store.js";
import { readHolderKey } from "../../../../src/host/storage/keys.js";
import type { EventName } from "./counts.js";
import type { Fault } from "./faults.js";

const OBJECTS = 1;
const HOLDERS = 3;
const COLLECTION = 5;
const [CANDIDATE, COLLECTING] = [1, 2];
const KIND_ALARM = 2;
const ALL = { from: new Uint8Array(), to: Uint8Array.of(0xff) };

const isOf = (key: Bytes, table: number, part: number): boolean =>
  key[0] === table && key[1] === part;
const kindOf = (key: Bytes): number => key[2 + key[1]! + 32]!;

/** Of writes those that are to be made. */
function only(writes: readonly Write[], wanted: (write: PutWrite) => boolean): Write[] {
  return writes.flatMap((write): Write[] => {
    if (isDerived(write)) return [{ derive: (view) => only(write.derive(view), wanted) }];
    return isClear(write) || wanted(write) ? [write] : [];
  });
}

/** What the store of a run does not do, by a planted fault. */
export function withoutFaulty(writes: readonly Write[], fault: Fault | null): readonly Write[] {
  if (fault === "candidates in the store")
    return only(writes, ({ key, value }) => !isOf(key, COLLECTION, CANDIDATE) || value === null);
  return writes;
}

/** What the collector's writes do, as it is known when they are made. */
export interface CollectorWatch {
  /** The collector waits here until the run goes on with it. */
  point(): Promise<void>;
  /** Whether a read is to see what other processes have committed since the last one. */
  isFresh(): boolean;
  /** It looks who holds an object. */
  looks(node: Bytes): void;
  /** It hands a write over. */
  writes(step: EventName | null): void;
  /** In the transaction: it becomes one that is being collected. */
  dying(node: Bytes, view: View): unknown;
  /** In the transaction: it is gone. */
  gone(node: Bytes, view: View): unknown;
}

export class CollectorStore implements Store {
  private readonly disk: FaultyStore;
  private readonly fault: Fault | null;
  private readonly watch: CollectorWatch;

  /** What readers in this process see; null: what there is. */
  private seen: MemoryStore | null = null;

  constructor(disk: FaultyStore, fault: Fault | null, watch: CollectorWatch) {
    this.disk = disk;
    this.fault = fault;
    this.watch = watch;
  }

  /** Reads from now on see what others have written. */
  renew(): void {
    if (this.fault !== "a stale second look") this.seen = null;
  }

  async get(key: Bytes): Promise<Bytes | undefined> {
    await this.watch.point();
    const isAlarm = key[0] === OBJECTS && kindOf(key) === KIND_ALARM;
    if (isAlarm) this.watch.looks(key.slice(1, 2 + key[1]! + 32));
    if (this.fault === "alarms" && isAlarm) return undefined;
    return this.reader.get(key);
  }

  async range(range: Range): Promise<readonly Entry[]> {
    await this.watch.point();
    const found = this.reader.range(range);
    if (this.fault !== "saved references" || range.from[0] !== HOLDERS) return found;
    return found.filter(({ key }) => readHolderKey(key).holder[0] !== 0);
  }

  write(writes: readonly Write[]): Commit {
    const { fault } = this;
    this.watch.writes(this.stepOf(writes));
    let wanted = withoutFaulty(writes, fault);
    if (fault === "hook not noted")
      wanted = only(
        wanted,
        ({ key, value }) => !isOf(key, COLLECTION, COLLECTING) || value?.[0] !== 2,
      );
    if (fault === "edges stay")
      wanted = only(wanted, ({ key, value }) => key[0] !== HOLDERS || value !== null);
    const commit = this.disk.write(this.watched(wanted));
    // What this process has written it sees.
    void commit.committed.then(() => (this.seen = null));
    return commit;
  }

  private get reader(): MemoryStore {
    if (this.seen !== null && !this.watch.isFresh()) return this.seen;
    this.seen = new MemoryStore();
    this.seen.write(this.disk.range(ALL) as readonly Entry[]);
    return this.seen;
  }

  close(): Promise<void> {
    return this.disk.close();
  }

  private stepOf(writes: readonly Write[]): EventName | null {
    for (const write of writes) {
      if (isClear(write)) continue;
      if (isDerived(write)) {
        const step = this.stepOf(write.derive(this.disk as unknown as View));
        if (step !== null) return step;
      } else if (isOf(write.key, COLLECTION, COLLECTING)) {
        if (write.value === null) return "crashes at gone";
        // A derived write begins it, a plain one notes that the hook runs.
        return isOf(write.key, COLLECTION, COLLECTING) && this.disk.get(write.key) === undefined
          ? "crashes at dying"
          : "crashes at disposing";
      } else if (isOf(write.key, COLLECTION, CANDIDATE) && write.value === null)
        return "crashes at candidates";
    }
    return null;
  }

  /** FaultyStore makes each write twice, as readers see it and as the disk has it: the first is looked at. */
  private watched(writes: readonly Write[]): Write[] {
    let isFirst = true;
    return [
      {
        derive: (view) => {
          if (!isFirst) return writes;
          isFirst = false;
          this.look(writes, view);
          return writes;
        },
      },
    ];
  }

  private look(writes: readonly Write[], view: View): void {
    for (const write of writes) {
      if (isClear(write)) continue;
      if (isDerived(write)) this.look(write.derive(view), view);
      else if (isOf(write.key, COLLECTION, COLLECTING)) {
        const node = write.key.slice(2);
        if (write.value === null) this.watch.gone(node, view);
        else if (view.get(write.key) === undefined) this.watch.dying(node, view);
      }
    }
  }
}
