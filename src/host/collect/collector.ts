// Role: finds the objects of private namespaces that nobody can reach any more, and removes them, with what they stored.
// State: who is to be looked at, who was found unreachable and since when, who is being collected; the timer.
// Must not know: activations, stubs, how processes are reached.
//
// To be looked at are those who lost somebody who held them, in the store or in a process, and, at the start and now and then, everybody:
// what a process held that died is known to nobody. Each is looked at by itself (`reach.ts`). Who was unreachable for the
// grace period is condemned with all who lead to it (`participant.ts`), and then it is only a matter of going on (`records.ts`).

import { RpcError } from "../../base/errors.js";
import type { Clock } from "../../vat/clock.js";
import { readNode } from "../storage/keys.js";
import type { Bytes, Store } from "../storage/store.js";
import { type NodeName, nodeNamed } from "./live-roots.js";
import type { Participant } from "./participant.js";
import { isClosed, unreachableFrom, type Ways } from "./reach.js";
import {
  type CollectingState,
  DISPOSING,
  disposingWrites,
  DYING,
  dyingWrite,
  goneWrite,
  hasRecords,
  objectsOf,
  readCollecting,
  takeCandidates,
} from "./records.js";
import { type CollectionStats, newStats } from "./stats.js";

/** What is around a collector. */
export interface CollectorSurroundings {
  readonly store: Store;
  /** The host's. */
  readonly clock: Clock;
  /** The private namespaces, by `namespaceBytes`. */
  readonly namespaces: readonly Bytes[];
  /**
   * Every process of the host that has begun its work and is not known to have ended: whoever may hold a reference. For each process one
   * that is no other's, and stays the same.
   */
  participants(): readonly Participant[];
  /** How many processes have ever begun their work: one that has come and gone is not among the participants, and may have done much. */
  readonly begun: number;
  /** Milliseconds for which an object has to be unreachable. */
  readonly grace: number;
  isPrivate(node: Bytes): boolean;
  /** Whether this process is known to hold it. */
  isHeld(name: NodeName): boolean;
  /** Where an object runs; null while there is no such process. */
  placeOf(name: NodeName): Participant | null;
  /** Whether its class has a hook to be run. */
  hasHook(name: NodeName): boolean;
  /** Forgets saved references that have expired: until then they hold. */
  sweep(): Promise<unknown>;
  /** Resolves in another turn. */
  breathe(): Promise<void>;
  report(error: unknown, what: string): void;
}

/** An object, for people and tools. */
export interface CollectedObject {
  readonly namespace: string;
  /** As text. */
  readonly id: string;
}

export interface CollectOptions {
  /** Only says what there is to be collected. */
  readonly dryRun?: boolean | undefined;
  /** Milliseconds for which an object has to have been unreachable; by default the host's `collectGrace`. */
  readonly grace?: number | undefined;
}

/** What was found, and done about it. */
export interface CollectionReport {
  /** Objects that were looked at. */
  readonly checked: number;
  /** Objects that are gone now. */
  readonly collected: readonly CollectedObject[];
  /** Objects that nobody can reach, and that are still there: the grace period is not over, or it was a dry run. */
  readonly unreachable: readonly CollectedObject[];
}

/** Whether somebody reaches any of a set of objects; unknown while a process does not answer, or has just begun. */
export type Verdict = "reached" | "unreached" | "unknown";

/** So many objects are looked at in one step, and so many noted ones are taken up. */
const CHECKS = 64;
const HOOKS_AT_ONCE = 16;
const REMOVED_AT_ONCE = 100;
/** Between two steps while there is more to do, in milliseconds. */
const PAUSE = 20;
/** The same, while what there is to do waits for a process. */
const PATIENCE = 500;
/** Between two looks for something to do: as long as the grace period, within these. */
const LEAST_WAIT = 100;
const MOST_WAIT = 60_000;
const AFTER_FAILURE = 10_000;
/** Between two looks at everybody. */
const PASS_EVERY = 3_600_000;

export class Collector {
  readonly stats: CollectionStats = newStats();
  protected readonly around: CollectorSurroundings;
  protected readonly ways: Ways;
  private readonly queue = new Set<NodeName>();
  private readonly suspects = new Map<NodeName, number>();
  private collecting = new Map<NodeName, CollectingState>();
  /** Of those, whom not every process knows to be dying. */
  private readonly untold = new Set<NodeName>();
  /** While all are looked at: whom some process held when that began. */
  private held: ReadonlySet<NodeName> = new Set();
  /** Whether there is something that has to wait for a process. */
  private isWaiting = false;
  private pass: AsyncGenerator<NodeName> | null = null;
  private passAt = -Infinity;
  private sweepAt = -Infinity;
  private busy: Promise<unknown> = Promise.resolve();
  private stopTimer: () => void = () => {};
  private stopped = false;

  constructor(around: CollectorSurroundings) {
    this.around = around;
    const { store } = around;
    this.ways = {
      store,
      isPrivate: (node) => around.isPrivate(node),
      // Those who are being collected will let go of whom they hold.
      isRoot: (name) => around.isHeld(name) || this.held.has(name) || this.collecting.has(name),
      breathe: () => around.breathe(),
    };
  }

  /** Takes up what was begun before. Nothing may be activated until then. @throws RpcError what the store fails with (as a rejection). */
  async start(): Promise<void> {
    this.collecting = await readCollecting(this.around.store);
    for (const [name, state] of this.collecting) {
      if (state === DISPOSING) this.stats.interrupted++;
      this.untold.add(name);
    }
    await this.tell();
    this.arm(PAUSE);
  }

  /** A process has ended: nobody knows whom it held. Everybody is looked at, soon. */
  processEnded(): void {
    this.passAt = -Infinity;
  }

  stop(): void {
    this.stopped = true;
    this.stopTimer();
  }

  /** Resolves when nothing is under way: after {@link stop}, nothing more will be. */
  get settled(): Promise<unknown> {
    return this.busy;
  }

  /** How many are being collected. */
  get pending(): number {
    return this.collecting.size;
  }

  /**
   * Looks at everybody now, and collects what is due.
   *
   * @throws RpcError what the store fails with; why a process cannot be asked (as a rejection).
   */
  collect(options: CollectOptions = {}): Promise<CollectionReport> {
    return this.alone(() => this.lookAtAll(options));
  }

  /** One step. @returns whether there is more to be done at once. @throws RpcError what the store fails with (as a rejection). */
  step(): Promise<boolean> {
    return this.alone(async () => {
      if (await this.goOn()) return true;
      this.isWaiting = this.collecting.size > 0;
      await this.gather();
      let left = CHECKS;
      for (const name of this.queue) {
        if (left-- === 0) break;
        await this.check(name, this.around.grace);
      }
      const goesOn = this.collecting.size > 0 && !this.isWaiting;
      return this.queue.size > 0 || this.pass !== null || goesOn;
    });
  }

  // -- Whom to look at -----------------------------------------------------------------------------------------------

  private async gather(): Promise<void> {
    const { clock, grace } = this.around;
    const { now } = clock;
    if (now >= this.sweepAt) {
      await this.around.sweep();
      this.sweepAt = now + Math.max(grace, LEAST_WAIT);
    }
    await this.takeNoted();
    if (this.pass === null && now >= this.passAt) {
      this.pass = this.everybody();
      this.passAt = now + PASS_EVERY;
    }
    for (let i = 0; this.pass !== null && i < CHECKS; i++) {
      const next = await this.pass.next();
      if (next.done === true) this.pass = null;
      else this.queue.add(next.value);
    }
    for (const [name, since] of this.suspects) if (now - since >= grace) this.queue.add(name);
  }

  private async takeNoted(): Promise<void> {
    const { store } = this.around;
    // What one held that is gone is found when everybody is looked at.
    for (const names of await this.everywhere((one) => one.takeDropped(), []))
      for (const name of names) this.queue.add(name);
    // Who is looked at from now on is seen as he was when he was let go of, or later.
    store.renew?.();
    for (const name of await takeCandidates(store, 4 * CHECKS)) this.queue.add(name);
  }

  private async *everybody(): AsyncGenerator<NodeName> {
    const { store, namespaces } = this.around;
    let seen = 0;
    for (const namespace of namespaces)
      for await (const name of objectsOf(store, namespace)) {
        // A store that has its answers at hand lets nobody else run by itself.
        if (++seen % CHECKS === 0) await this.around.breathe();
        yield name;
      }
  }

  // -- Whether it can be reached -------------------------------------------------------------------------------------

  private async check(name: NodeName, grace: number): Promise<void> {
    const { clock } = this.around;
    this.queue.delete(name);
    const members = await this.unreachable(name);
    if (members === null) {
      this.suspects.delete(name);
      return;
    }
    const since = Math.min(this.suspects.get(name) ?? Infinity, clock.now);
    if (!this.suspects.has(name)) this.stats.suspected++;
    this.suspects.set(name, since);
    if (clock.now - since < grace) return;
    const verdict = await this.condemn(members);
    if (verdict === "unreached")
      for (const member of members) {
        this.suspects.delete(member);
        this.queue.delete(member);
      }
    else if (verdict === "reached") {
      // Whoever has reached it lets go of it some time, and then it is looked at again.
      this.suspects.delete(name);
      this.stats.raced++;
    }
    // It stays suspected, and is looked at soon.
    else this.isWaiting = true;
  }

  private async unreachable(name: NodeName): Promise<Set<NodeName> | null> {
    if (++this.stats.checked % CHECKS === 0) await this.around.breathe();
    if (this.collecting.has(name) || !(await hasRecords(this.around.store, name))) return null;
    return unreachableFrom(name, this.ways);
  }

  /** If nobody reaches them they are dying afterwards. */
  private async condemn(members: ReadonlySet<NodeName>): Promise<Verdict> {
    const { store } = this.around;
    const names = [...members];
    const asked = this.around.participants();
    const { begun } = this.around;
    try {
      const verdict = await this.judge(names, members, asked, begun);
      if (verdict !== "unreached" || this.stopped) return verdict;
      await store.write([dyingWrite(names)]).flushed;
      this.collecting = await readCollecting(store);
      this.stats.components++;
      if (names.length > 1) this.stats.joint++;
      for (const name of names) this.untold.add(name);
      await this.tell();
      return verdict;
    } finally {
      await Promise.all(asked.map((one) => one.endRound().catch(() => {})));
    }
  }

  /** See participant.ts: the order of these is what proves it. */
  protected async judge(
    names: readonly NodeName[],
    members: ReadonlySet<NodeName>,
    asked: readonly Participant[],
    begun: number,
  ): Promise<Verdict> {
    const unheld = verdictOf(await this.ask(asked, (one) => one.condemn(names), null));
    if (unheld !== "unreached") return unheld;
    this.around.store.renew?.();
    if (!(await isClosed(members, this.ways))) return "reached";
    if (!this.isSame(begun)) return "unknown";
    return verdictOf(await this.ask(asked, (one) => one.confirm(), null));
  }

  /** Whether no process has begun since. */
  protected isSame(begun: number): boolean {
    return this.around.begun === begun;
  }

  /**
   * Has every process know who is dying. Whoever begins later finds it in the store.
   *
   * @returns whether all do. Until then no hook may run: it could reach others who are dying.
   */
  private async tell(): Promise<boolean> {
    const names = [...this.untold];
    if (names.length === 0) return true;
    const told = await this.everywhere((one) => one.doom(names).then(() => true), false);
    if (told.includes(false)) return false;
    for (const name of names) this.untold.delete(name);
    return true;
  }

  // -- What is done --------------------------------------------------------------------------------------------------

  /** Goes on with those who are being collected. @returns whether something was done: it may have to wait for a process. */
  private async goOn(): Promise<boolean> {
    const { store, placeOf, hasHook } = this.around;
    if (this.collecting.size === 0 || this.stopped) return false;
    if (!(await this.tell())) return false;
    const isDue = (state: CollectingState, name: NodeName): boolean =>
      state === DYING && (!hasHook(name) || placeOf(name) !== null);
    const dying = this.first(HOOKS_AT_ONCE, isDue);
    if (dying.length > 0) {
      const hooked = dying.filter((name) => hasHook(name));
      const places = hooked.map((name) => placeOf(name)!);
      if (hooked.length > 0) await store.write(disposingWrites(hooked)).flushed;
      for (const name of dying) this.collecting.set(name, DISPOSING);
      await Promise.all(hooked.map((name, i) => this.dispose(places[i]!, name)));
      return true;
    }
    if (this.first(1, (state) => state === DYING).length > 0) return false;
    const names = this.first(REMOVED_AT_ONCE, () => true);
    await store.write([goneWrite(names)]).flushed;
    for (const name of names) this.collecting.delete(name);
    this.stats.collected += names.length;
    await this.everywhere((one) => one.forget(names), undefined);
    return true;
  }

  private async dispose(place: Participant, name: NodeName): Promise<void> {
    try {
      await place.dispose(name);
      this.stats.disposed++;
    } catch (thrown) {
      this.stats.disposeFailed++;
      const { namespace, id } = objectNamed(name);
      if (!this.stopped) this.around.report(thrown, `${namespace}/${id.slice(0, 8)}: dispose`);
    }
  }

  private first(
    count: number,
    matches: (state: CollectingState, name: NodeName) => boolean,
  ): NodeName[] {
    const names: NodeName[] = [];
    for (const [name, state] of this.collecting) {
      if (names.length === count) break;
      if (matches(state, name)) names.push(name);
    }
    return names;
  }

  private async lookAtAll(options: CollectOptions): Promise<CollectionReport> {
    const held = await Promise.all(this.around.participants().map((one) => one.held()));
    this.held = new Set(held.flat());
    this.around.store.renew?.();
    try {
      return await this.look(options);
    } finally {
      this.held = new Set();
    }
  }

  private async look({ dryRun, grace }: CollectOptions): Promise<CollectionReport> {
    const looked = new Set<NodeName>();
    const unreachable = new Set<NodeName>();
    const collected = new Set(this.collecting.keys());
    if (dryRun === true) {
      for (const name of collected) unreachable.add(name);
      for await (const name of this.everybody()) {
        looked.add(name);
        if ((await this.unreachable(name)) !== null) unreachable.add(name);
      }
      collected.clear();
    } else {
      await this.around.sweep();
      for await (const name of this.everybody()) this.queue.add(name);
      for (let before = -1; before < collected.size && !this.stopped;) {
        before = collected.size;
        for (const name of this.queue) {
          looked.add(name);
          await this.check(name, grace ?? this.around.grace);
          for (const one of this.collecting.keys()) collected.add(one);
        }
        while (await this.goOn());
        // Whom they held may be unreachable now.
        await this.takeNoted();
      }
      for (const name of this.suspects.keys()) unreachable.add(name);
      for (const name of this.collecting.keys()) {
        collected.delete(name);
        unreachable.add(name);
      }
    }
    return {
      checked: looked.size,
      collected: Array.from(collected, objectNamed),
      unreachable: Array.from(unreachable, objectNamed),
    };
  }

  // -- When ----------------------------------------------------------------------------------------------------------

  private arm(delay: number): void {
    if (this.stopped) return;
    this.stopTimer();
    this.stopTimer = this.around.clock.after(delay, () => void this.turn());
  }

  private async turn(): Promise<void> {
    try {
      this.arm((await this.step()) ? PAUSE : this.waitFor());
    } catch (thrown) {
      if (this.stopped) return;
      this.around.report(thrown, "collection");
      this.arm(AFTER_FAILURE);
    }
  }

  private waitFor(): number {
    if (this.isWaiting) return PATIENCE;
    const wait = Math.min(Math.max(this.around.grace, LEAST_WAIT), MOST_WAIT);
    let due = Infinity;
    for (const since of this.suspects.values()) due = Math.min(due, since + this.around.grace);
    return Math.min(wait, Math.max(due - this.around.clock.now, PAUSE));
  }

  /** Steps and looks are made one after the other. */
  private alone<T>(run: () => Promise<T>): Promise<T> {
    const done = this.busy.then(run);
    this.busy = done.catch(() => {});
    return done;
  }

  private everywhere<T, U>(ask: (one: Participant) => Promise<T>, unanswered: U) {
    return this.ask(this.around.participants(), ask, unanswered);
  }

  /** @param unanswered what stands for the answer of a process that does not give any. */
  private ask<T, U>(
    asked: readonly Participant[],
    ask: (one: Participant) => Promise<T>,
    unanswered: U,
  ): Promise<(T | U)[]> {
    const answer = async (one: Participant): Promise<T | U> => {
      try {
        return await ask(one);
      } catch (thrown) {
        this.stats.unanswered++;
        // One that has ended is known to whoever keeps it.
        if (RpcError.of(thrown)?.type !== "disconnected" && !this.stopped)
          this.around.report(thrown, "collection");
        return unanswered;
      }
    };
    return Promise.all(asked.map(answer));
  }
}

/** @param answers whether nobody there has reached any of them; null for none. */
function verdictOf(answers: readonly (boolean | null)[]): Verdict {
  if (answers.includes(false)) return "reached";
  return answers.includes(null) ? "unknown" : "unreached";
}

/** For people and tools. */
export function objectNamed(name: NodeName): CollectedObject {
  const { namespace, id } = readNode(nodeNamed(name));
  const hex = Array.from(id ?? [], (byte) => byte.toString(16).padStart(2, "0")).join("");
  return { namespace, id: hex };
}
