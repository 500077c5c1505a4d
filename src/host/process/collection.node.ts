// Role: collection in a host of several processes: who takes part, and the collector, which runs in the supervisor.
// State: the processes that may hold a reference, what the program has private, the collector once there is something to collect.
// Must not know: how processes are started, what they answer.

import type { Clock } from "../../vat/clock.js";
import { Collector, type CollectionReport, type CollectOptions } from "../collect/collector.js";
import { LiveRoots, nodeNamed } from "../collect/live-roots.js";
import { LocalParticipant, NO_OBJECTS, type Participant } from "../collect/participant.js";
import { type CollectionStats, newStats } from "../collect/stats.js";
import { DEFAULT_HOST_LIMITS, type Reporter } from "../object/parts.js";
import { SavedStore } from "../references/saved-store.js";
import { namespaceBytes, readNode } from "../storage/keys.js";
import type { Store } from "../storage/store.js";
import type { Child } from "./child.node.js";
import { ChildParticipant } from "./child-participant.node.js";
import type { CollectedParts } from "./messages.js";

/** What is around the collection of a host. */
export interface CollectionSurroundings {
  readonly store: Store;
  readonly clock: Clock;
  /** Resolves when what others had sent to this process when it was called is there. */
  arrived(): Promise<void>;
  /** The process in which an object runs; null while there is none. */
  placeOf(id: Uint8Array): Child | null;
  readonly report: Reporter;
}

const NOTHING: CollectedParts = { namespaces: [], hooked: [], limits: {} };

export class HostCollection {
  /** What the supervisor itself holds. */
  readonly roots = new LiveRoots([]);
  private readonly around: CollectionSurroundings;
  private readonly own: Participant;
  private readonly others = new Map<Child, Participant>();
  /** How many of them were told to begin. */
  private begun = 0;
  private parts = NOTHING;
  private names: ReadonlySet<string> = new Set();
  private collector: Collector | null = null;

  constructor(around: CollectionSurroundings) {
    this.around = around;
    this.own = new LocalParticipant(this.roots, NO_OBJECTS, () => around.arrived());
  }

  /** A process was launched. It takes part from when it is told to begin until it is known to have ended. */
  add(child: Child): void {
    this.others.set(child, new ChildParticipant(child));
    child.onStart = () => this.begun++;
    void child.ended.then(() => {
      this.others.delete(child);
      this.collector?.processEnded();
    });
  }

  /** What the program has private from now on; all who run know it. */
  async use(parts: CollectedParts): Promise<void> {
    this.parts = parts;
    this.names = new Set(parts.namespaces);
    this.roots.watch(parts.namespaces.map(namespaceBytes));
    if (this.collector !== null || parts.namespaces.length === 0) return;
    const collector = this.makeCollector();
    this.collector = collector;
    await collector.start();
  }

  /** See {@link Host.collect}. */
  async collect(options: CollectOptions): Promise<CollectionReport> {
    return (
      (await this.collector?.collect(options)) ?? { checked: 0, collected: [], unreachable: [] }
    );
  }

  get stats(): Readonly<CollectionStats> {
    return { ...(this.collector?.stats ?? newStats()) };
  }

  stop(): void {
    this.collector?.stop();
  }

  /** Resolves, after {@link stop}, when it has done with the store. */
  async settled(): Promise<void> {
    await this.collector?.settled;
  }

  private participants(): Participant[] {
    const others = [...this.others].filter(([child]) => child.isStarted);
    return [this.own, ...others.map(([, participant]) => participant)];
  }

  private makeCollector(): Collector {
    const { store, clock, placeOf, report } = this.around;
    const parts = (): CollectedParts => this.parts;
    const begun = (): number => this.begun;
    const forgotten = new SavedStore(store, () => [], 0, this.roots);
    return new Collector({
      store,
      clock,
      get namespaces() {
        return parts().namespaces.map(namespaceBytes);
      },
      get grace() {
        return parts().limits.collectGrace ?? DEFAULT_HOST_LIMITS.collectGrace;
      },
      participants: () => this.participants(),
      get begun() {
        return begun();
      },
      isPrivate: (node) => this.names.has(readNode(node).namespace),
      isHeld: (name) => this.roots.isHeld(name),
      placeOf: (name) => {
        const { id } = readNode(nodeNamed(name));
        const child = id === null ? null : placeOf(id);
        return (child && this.others.get(child)) ?? null;
      },
      hasHook: (name) => parts().hooked.includes(readNode(nodeNamed(name)).namespace),
      sweep: () => forgotten.deleteExpired(clock.now),
      breathe: () =>
        new Promise((resolve) => {
          setImmediate(resolve);
        }),
      report,
    });
  }
}
