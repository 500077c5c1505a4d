// One run: objects, others and the collector do things in an order that a seed decides, power fails, processes end; what is reachable
// is never collected, and in the end everything else is.

import { Collector, type Verdict } from "../../../../src/host/collect/collector.js";
import {
  LiveRoots,
  type NodeName,
  nameOfNode,
  nodeNamed,
} from "../../../../src/host/collect/live-roots.js";
import { LocalParticipant, type Participant } from "../../../../src/host/collect/participant.js";
import { DISPOSING, readCollecting } from "../../../../src/host/collect/records.js";
import { FaultyStore } from "../../../../src/host/storage/faulty-store.js";
import { namespaceBytes, privateKey } from "../../../../src/host/storage/keys.js";
import type { Bytes, View } from "../../../../src/host/storage/store.js";
import { RpcError } from "../../../../src/index.js";
import { Rng } from "../../../model/rng.js";
import { auditHoldings } from "../../references/audit.js";
import type { Counts, EventName } from "./counts.js";
import type { Fault } from "./faults.js";
import { CollectorStore } from "./stores.js";
import { PRIVATE, type Process } from "./process.js";
import { FRONT } from "./state.js";
import { World } from "./world.js";

const STEPS = 6000;
const GRACE = 10;

export interface Outcome {
  readonly violations: readonly string[];
  readonly counts: Counts;
}

class ModelCollector extends Collector {
  private readonly fault: Fault | null;
  constructor(fault: Fault | null, around: ConstructorParameters<typeof Collector>[0]) {
    super(around);
    this.fault = fault;
  }
  private asked: readonly Participant[] = [];
  /** Told when a process has begun in a round. */
  newcomer = (): void => {};
  protected override async judge(
    names: readonly NodeName[],
    members: ReadonlySet<NodeName>,
    asked: readonly Participant[],
    begun: number,
  ): Promise<Verdict> {
    this.asked = asked;
    if (this.fault !== "no second look") return super.judge(names, members, asked, begun);
    try {
      const unheld = await Promise.all(asked.map((one) => one.condemn(names)));
      const untouched = await Promise.all(asked.map((one) => one.confirm()));
      return [...unheld, ...untouched].includes(false) ? "reached" : "unreached";
    } catch {
      return "unknown";
    }
  }
  protected override isSame(begun: number): boolean {
    const same = super.isSame(begun);
    if (!same) this.newcomer();
    if (this.fault === "newcomers that are gone") {
      const now = this.around.participants();
      return now.length === this.asked.length && this.asked.every((one) => now.includes(one));
    }
    return same || this.fault === "newcomers" || this.fault === "answers of the dead";
  }
}

class Run {
  private readonly rng: Rng;
  private readonly fault: Fault | null;
  private readonly world: World;
  private collector!: ModelCollector;
  private points: (() => void)[] = [];
  private stepping = false;
  private isFresh = true;
  /** Steps, one after the other, after which there was nothing more to be done at once. */
  private idle = 0;
  private crashAt: EventName | null = null;
  private inRound = false;
  private readonly participants = new WeakMap<Process, Participant>();
  /** Whom the collector looked at last. */
  private lookedAt: NodeName | null = null;
  private hasChanged = false;
  /** Whether everybody is looked at often: then there are many rounds, and nothing depends on who is noted. */
  private readonly passes: boolean;
  /** Answers in this round. */
  private answers: boolean[] = [];
  private confirms = 0;
  private readonly hooks = new Map<NodeName, number>();
  private readonly interrupted = new Set<NodeName>();
  private gone = new Set<NodeName>();

  constructor(seed: number, fault: Fault | null) {
    this.passes = seed % 2 === 0;
    this.rng = new Rng(seed);
    this.fault = fault;
    const disk = new FaultyStore();
    disk.hold = {};
    disk.write([{ key: privateKey(namespaceBytes(PRIVATE)), value: new Uint8Array() }]);
    this.world = new World(this.rng, fault, disk);
    this.open();
  }

  async go(): Promise<Outcome> {
    const { rng, world } = this;
    for (let i = 0; i < STEPS && world.violations.length === 0; i++) {
      world.now += rng.below(4);
      world.slow--;
      if (rng.chance(3)) world.restart();
      if (rng.chance(4)) world.ready();
      const what = rng.below(100);
      if (this.crashAt !== null) await this.crash(this.crashAt);
      else if (what < 50) this.goOn();
      else if (what < 57 && world.slow <= 0) world.disk.commit(1 + rng.below(8));
      else if (what < 62) world.disk.flush(1 + rng.below(12));
      else if (what < 63 && rng.chance(2)) await this.crash("crashes between steps");
      else if (what < 64 && rng.chance(4)) this.kill();
      else if (what < 66 && this.passes) this.collector.processEnded();
      else {
        world.act();
        if (this.inRound && world.disk.pending.uncommitted > 0)
          world.counts["writes during a round"]++;
      }
      await turn();
    }
    if (world.violations.length === 0) await this.finish();
    this.close();
    return { violations: world.violations, counts: world.counts };
  }

  /** Nobody does anything any more but the collector. */
  private async finish(): Promise<void> {
    const { world } = this;
    for (let i = 0; i < 100 && !world.wind(); i++) {
      this.drainPoints();
      await turn();
    }
    // Long enough for all, and not so long that everybody would be looked at again by himself.
    this.idle = 0;
    for (let i = 0; i < 20_000 && this.idle < 100; i++) {
      world.now++;
      if (!this.stepping) this.goOn();
      this.drainPoints();
      world.disk.commit();
      world.disk.flush();
      world.wind();
      await turn();
    }
    const reachable = world.reachable(world.view);
    for (const name of world.made.keys()) {
      const isThere = world.hasRecords(name);
      if (isThere && !reachable.has(name)) world.violations.push("garbage is left");
      if (isThere && reachable.has(name)) world.counts["kept at the end"]++;
      if (this.gone.has(name)) world.counts["collected at the end"]++;
      if (
        this.gone.has(name) &&
        hasHook(name) &&
        !this.hooks.has(name) &&
        !this.interrupted.has(name)
      )
        world.violations.push("a hook was never run");
    }
    if ((await readCollecting(world.disk)).size > 0)
      world.violations.push("a collection has not come to its end");
    try {
      if (world.violations.length === 0) await auditHoldings(world.disk);
    } catch (thrown) {
      world.violations.push(`who holds whom is not what the values say: ${String(thrown)}`);
    }
  }

  // -- The collector -------------------------------------------------------------------------------------------------

  private open(): void {
    const { world, fault } = this;
    this.points = [];
    this.stepping = false;
    this.isFresh = true;
    this.inRound = false;
    const { disk } = world;
    const isPrivate = new LiveRoots([namespaceBytes(PRIVATE)]);
    const isCurrent = (): boolean => world.disk === disk;
    const store = new CollectorStore(disk, fault, {
      point: () => this.point(),
      isFresh: () => this.rng.chance(15),
      looks: (node) => (this.lookedAt = nameOfNode(node)),
      writes: (step) => {
        if (step === null || !isCurrent()) return;
        const percent = { "crashes at candidates": 1, "crashes at dying": 4 }[step as string] ?? 8;
        if (this.rng.chance(percent)) this.crashAt = step;
      },
      dying: (node, view) => isCurrent() && this.isDying(node, view),
      gone: (node, view) => isCurrent() && this.isGone(node, view),
    });
    const collector = new ModelCollector(fault, {
      store,
      clock: {
        get now() {
          return world.now;
        },
        after: () => () => {},
      },
      namespaces: [namespaceBytes(PRIVATE)],
      participants: () => {
        // Just before everybody is asked.
        if (isCurrent() && this.lookedAt !== null) this.arrange(this.lookedAt);
        return world.alive.map((process) => this.participant(process));
      },
      get begun() {
        return world.begun;
      },
      grace: GRACE,
      isPrivate: (node) => isPrivate.isPrivate(node),
      // It only saves rounds that would be lost.
      isHeld: (name) => this.rng.chance(10) && world.processes[FRONT]?.roots.isHeld(name) === true,
      placeOf: (name) => {
        const process = world.processOf(nodeNamed(name));
        if (process === null) world.counts["hooks that waited for a process"]++;
        return process && this.participant(process);
      },
      hasHook,
      sweep: async () => {
        const { now } = world;
        const expired = await world.savedStore(isPrivate).deleteExpired(now);
        world.counts.expired += expired;
      },
      breathe: () => this.point(),
      report: (error, what) => {
        if (RpcError.of(error)?.type !== "disconnected")
          world.violations.push(`reported: ${what}: ${String(error)}`);
      },
    });
    this.collector = collector;
    collector.newcomer = () => {
      world.counts["rounds lost to a newcomer"]++;
      this.hasChanged = true;
    };
  }

  /** It waits until the run goes on with it. */
  private point(): Promise<void> {
    return new Promise((resolve) => this.points.push(resolve));
  }

  private drainPoints(): void {
    for (const go of this.points.splice(0)) go();
  }

  private goOn(): void {
    if (this.points.length === 0 && !this.stepping) void this.step(this.collector);
    // Of several that go on by themselves, some.
    for (let count = 1 + this.rng.below(3); count > 0 && this.points.length > 0; count--)
      this.points.splice(this.rng.below(this.points.length), 1)[0]!();
  }

  private async step(collector: ModelCollector): Promise<void> {
    this.stepping = true;
    try {
      if (this.isFresh) await collector.start();
      else if (await collector.step()) this.idle = 0;
      else this.idle++;
      if (this.collector === collector) this.isFresh = false;
    } catch (thrown) {
      if (this.collector === collector && RpcError.of(thrown)?.type !== "disconnected")
        this.world.violations.push(`the collector failed: ${String(thrown)}`);
    }
    if (this.collector === collector) this.stepping = false;
  }

  /** One process, as the collector reaches it: each question takes its time, and is lost with the process. */
  private participant(process: Process): Participant {
    let known = this.participants.get(process);
    if (known === undefined) {
      known = this.makeParticipant(process);
      this.participants.set(process, known);
    }
    return known;
  }

  private makeParticipant(process: Process): Participant {
    const { world, fault, rng } = this;
    const { disk } = world;
    const local = new LocalParticipant(
      process.roots,
      {
        // Nobody can have reached whatever may be active.
        breakCollected: () => {},
        runDispose: (node) => world.runHook(node, (of) => this.gone.has(of)),
      },
      () => world.arrived(process),
    );
    const isLost = (): boolean => world.disk !== disk;
    const ask = async <T>(answer: (one: Participant) => Promise<T>): Promise<T> => {
      while (rng.chance(50)) await this.point();
      while (!isLost() && !process.isReady && !process.isOver) await this.point();
      // The collector of before the power failed asks nobody any more.
      if (isLost()) await new Promise(() => {});
      if (rng.chance(10)) await this.point();
      const found = process.isOver ? undefined : await Promise.race([process.over, answer(local)]);
      if (process.isOver) throw new RpcError("disconnected", "connection-lost", "it has ended");
      if (rng.chance(20)) await this.point();
      if (isLost()) await new Promise(() => {});
      return found as T;
    };
    const unanswered = (): boolean => {
      world.counts["rounds without an answer"]++;
      if (fault === "answers of the dead") return true;
      throw new RpcError("disconnected", "connection-lost", "it has ended");
    };
    const isAsked =
      (fault !== "a process is not asked" || process.index === 0) &&
      (fault !== "the front is not asked" || process.index !== FRONT);
    return {
      takeDropped: () =>
        ask((one) => (fault === "candidates in memory" ? Promise.resolve([]) : one.takeDropped())),
      held: () => ask((one) => one.held()),
      condemn: async (members) => {
        if (!this.inRound) {
          world.counts.rounds++;
          this.answers = [];
          this.confirms = 0;
          this.hasChanged = false;
          world.condemned = new Set(members);
        }
        this.inRound = true;
        const unheld = await ask((one) => one.condemn(isAsked ? members : [])).catch(unanswered);
        this.answers.push(unheld);
        if (!unheld) world.counts["rounds lost to a holder"]++;
        return unheld;
      },
      confirm: async () => {
        this.confirms++;
        const untouched = await ask((one) => one.confirm()).catch(unanswered);
        if (!untouched) world.counts["rounds lost to a touch"]++;
        return untouched || fault === "no barrier";
      },
      endRound: () => {
        const areUnheld = this.answers.length > 0 && !this.answers.includes(false);
        if (this.inRound && areUnheld && this.confirms === 0 && !this.hasChanged)
          world.counts["rounds lost to the second look"]++;
        this.inRound = false;
        world.condemned = new Set();
        return ask((one) => one.endRound());
      },
      doom: (members) => ask((one) => one.doom(members)),
      forget: (members) => ask((one) => one.forget(members)),
      dispose: async (name) => {
        world.counts.hooks++;
        const runs = (this.hooks.get(name) ?? 0) + 1;
        this.hooks.set(name, runs);
        if (runs > 1) world.violations.push("a hook was run twice");
        try {
          await ask((one) => one.dispose(name));
        } catch (thrown) {
          world.counts["hooks lost with their process"]++;
          throw thrown;
        }
      },
    };
  }

  private isDying(node: Bytes, view: View): void {
    const { world } = this;
    if (world.reachable(view).has(nameOfNode(node)))
      world.violations.push("an object was condemned that can be reached");
  }

  private isGone(node: Bytes, view: View): void {
    const { world } = this;
    world.counts.collected++;
    this.gone.add(nameOfNode(node));
    if (world.reachable(view).has(nameOfNode(node)))
      world.violations.push("an object is gone that can be reached");
  }

  private close(): void {
    this.collector.stop();
    this.world.counts["components of several"] += this.collector.stats.joint;
  }

  // -- Ends ----------------------------------------------------------------------------------------------------------

  private kill(which?: Process): void {
    this.world.kill(which);
    if (this.fault !== "ended processes") this.collector.processEnded();
  }

  /** Whoever holds whom the collector looks at does something about it. */
  private arrange(name: NodeName): void {
    const { world } = this;
    if (this.rng.chance(10)) {
      // It is stored where nobody is asked.
      const process = world.hide(name);
      if (process !== null) this.kill(process);
    } else if (!this.inRound && this.rng.chance(60)) {
      world.condemned = new Set([name]);
      world.rescue();
      world.condemned = new Set();
    }
  }

  private async crash(at: EventName): Promise<void> {
    const { world, rng } = this;
    this.crashAt = null;
    world.counts[at]++;
    const old = world.disk;
    old.commit(rng.below(3));
    old.flush(rng.below(3));
    const next = old.crash(rng.below(3));
    this.close();
    for (const [name, state] of await readCollecting(next))
      if (state === DISPOSING) {
        this.interrupted.add(name);
        world.counts["hooks not run again"]++;
      }
    world.begin(next);
    this.gone = new Set([...this.gone].filter((name) => !world.hasRecords(name)));
    const reachable = world.reachable(world.view, false);
    for (const name of (await readCollecting(next)).keys())
      if (reachable.has(name))
        world.violations.push("an object that can be reached is condemned on the disk");
    this.open();
  }
}

/** Half of the objects have one. */
function hasHook(name: NodeName): boolean {
  return name.charCodeAt(5) % 2 === 0;
}

function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

export async function run(seed: number, fault: Fault | null = null): Promise<Outcome> {
  return new Run(seed, fault).go();
}
