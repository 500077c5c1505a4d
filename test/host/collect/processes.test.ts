// What holds an object in a host of several processes: three of them in this one, two with objects and a front, over connections
// that carry what they are told to, and no earlier.

import { afterEach, expect, it } from "vitest";
import { HOLD, holderOf } from "../../../src/hook/holder.js";
import {
  DurableObject,
  MemoryStore,
  type Namespace,
  type PrivateNamespace,
  type Store,
} from "../../../src/host.node.js";
import { Collector } from "../../../src/host/collect/collector.js";
import { LiveRoots } from "../../../src/host/collect/live-roots.js";
import { LocalParticipant, NO_OBJECTS } from "../../../src/host/collect/participant.js";
import { Host } from "../../../src/host/object/host.js";
import { nodeRuntime } from "../../../src/host/object/runtime.node.js";
import { fence } from "../../../src/host/process/fence.js";
import { ObjectServers } from "../../../src/host/process/object-server.js";
import { SlotPlacement } from "../../../src/host/process/placement.js";
import { RemoteHost } from "../../../src/host/process/remote-host.js";
import { slotOf } from "../../../src/host/process/slots.js";
import { hostSession } from "../../../src/host/process/trusted.js";
import { referenceOf } from "../../../src/host/references/identity.js";
import { metaKey, namespaceBytes } from "../../../src/host/storage/keys.js";
import { VirtualClock } from "../../../src/host/testing.js";
import type { RpcStub } from "../../../src/index.js";
import { memoryPair } from "../../../src/transport/memory.js";
import { Session } from "../../../src/vat/session.js";
import { later, settle } from "../kit.js";

interface Env {
  OWNERS: Namespace<Owner>;
  PARTS: PrivateNamespace<Part>;
}

class Part extends DurableObject<Env> {
  async put(key: string, value: unknown): Promise<void> {
    await this.ctx.storage.put(key, value);
  }
  async tell(): Promise<string> {
    return (await this.ctx.storage.get<string>("name"))!;
  }
}

class Owner extends DurableObject<Env> {
  async keep(part: RpcStub<Part>): Promise<void> {
    await this.ctx.storage.put("part", part);
  }
  async take(): Promise<RpcStub<Part>> {
    return (await this.ctx.storage.get<RpcStub<Part>>("part"))!;
  }
  async ask(): Promise<string> {
    using part = await this.take();
    return await part.tell();
  }
  async lose(): Promise<void> {
    await this.ctx.storage.delete("part");
  }
  /** Calls a part, holds it no more, and has the store hold it no more. */
  callAndLose(): void {
    void this.take().then((part) => {
      void part.put("called", true);
      part[Symbol.dispose]();
      return this.lose();
    });
  }
  /** Passes its part on to another owner, and loses it. */
  async passTo(name: string): Promise<void> {
    const part = await this.take();
    using other = this.env.OWNERS.getByName(name);
    void other.keep(part);
    part[Symbol.dispose]();
    await this.lose();
  }
}

const CLASSES = { OWNERS: Owner, PARTS: { class: Part, collect: true } } as const;
const FRONT = 2;

const cleanUps: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

/** Each connection carries something when it is let: by default at once. */
class Wire {
  private readonly waiting: (() => void)[] = [];
  isHeld = false;
  readonly defer = (deliver: () => void): void => {
    if (this.isHeld) this.waiting.push(deliver);
    else queueMicrotask(deliver);
  };
  release(): void {
    this.isHeld = false;
    for (const deliver of this.waiting.splice(0)) queueMicrotask(deliver);
  }
}

async function threeProcesses() {
  const clock = new VirtualClock();
  const runtime = nodeRuntime();
  const memory = new MemoryStore();
  const store: Store = {
    get: (key) => memory.get(key),
    range: (range) => memory.range(range),
    write: (writes) => memory.write(writes),
    // It is the others', too.
    close: async () => {},
  };
  const roots = [0, 1, 2].map(() => new LiveRoots([namespaceBytes("PARTS")]));
  const accepted = [new Set<Session>(), new Set<Session>(), new Set<Session>()];
  /** By who dials and who is dialled. */
  const wires = new Map<string, Wire>();
  const sessions = new Map<string, Session>();
  const dials = new Map<string, Promise<void>>();
  const wire = (from: number, to: number): Wire => {
    const key = `${from}>${to}`;
    const known = wires.get(key) ?? new Wire();
    wires.set(key, known);
    return known;
  };
  const servers: ObjectServers[] = [];
  const placements = [0, 1, null].map(
    (own, from) =>
      new SlotPlacement({
        slots: 2,
        own,
        slot: (to) => ({
          name: `slot ${to}`,
          dial: async () => {
            await dials.get(`${from}>${to}`);
            const [here, there] = memoryPair({ defer: wire(from, to).defer });
            const server = new Session(there, {
              bootstrap: () => servers[to]!.offer(),
              ...hostSession(roots[to]!, null),
            });
            accepted[to]!.add(server);
            void server.closed.then(() => accepted[to]!.delete(server));
            const session = new Session(here, hostSession(roots[from]!, null));
            sessions.set(`${from}>${to}`, session);
            cleanUps.push(() => session.close());
            return session;
          },
          clock,
          reachTime: 600_000,
          hold: (reference) => roots[from]!.holdReference(reference),
        }),
      }),
  );
  const options = { store, classes: CLASSES, clock, limits: { idleTime: 1000 } };
  const hosts: Host<typeof CLASSES>[] = [];
  for (const slot of [0, 1]) {
    const host = await Host.open(options, runtime, placements[slot]!, roots[slot]!);
    hosts.push(host);
    servers.push(new ObjectServers({ reach: (reference) => host._reach(reference) }));
    cleanUps.push(() => host.close());
  }
  const front = new RemoteHost({
    namespaces: ["OWNERS", "PARTS"],
    collected: ["PARTS"],
    roots: roots[FRONT]!,
    secret: memory.get(metaKey("secret"))!,
    crypto: runtime.crypto,
    placement: placements[FRONT]!,
  });
  cleanUps.push(() => Promise.all(placements.map((one) => one.close())));
  const arrived = (index: number) => () =>
    fence([...placements[index]!.sessions(), ...accepted[index]!]);
  const participants = [
    ...hosts.map((host, index) => host._participant(arrived(index))),
    new LocalParticipant(roots[FRONT]!, NO_OBJECTS, arrived(FRONT)),
  ];
  const reports: unknown[] = [];
  const collector = new Collector({
    store,
    clock,
    namespaces: [namespaceBytes("PARTS")],
    participants: () => participants,
    begun: 3,
    grace: 0,
    isPrivate: (node) => roots[0]!.isPrivate(node),
    isHeld: () => false,
    placeOf: (name) => participants[slotOf(new TextEncoder().encode(name).subarray(-32), 2)]!,
    hasHook: () => false,
    sweep: () => Promise.resolve(),
    breathe: () => settle(1),
    report: (error) => reports.push(error),
  });
  cleanUps.push(() => {
    collector.stop();
    expect(reports).toEqual([]);
  });
  const env = front.env as unknown as Env;
  /** An owner of a slot. */
  const nameIn = (slot: number): string => {
    for (let i = 0; ; i++)
      if (slotOf(env.OWNERS.idFromName(`o${i}`)._bytes, 2) === slot) return `o${i}`;
  };
  const slotOfStub = (stub: object): number => {
    const hook = holderOf(stub)![HOLD](false);
    const { id } = referenceOf(hook)!;
    hook.release();
    return slotOf(id!, 2);
  };
  return {
    roots,
    wire,
    sessions,
    dials,
    collector,
    owner: (slot: number) => env.OWNERS.getByName(nameIn(slot)),
    nameIn,
    /** A part of a slot, which an owner of another has. */
    async partOf(slot: number, owner: RpcStub<Owner>): Promise<void> {
      for (;;) {
        using part = env.PARTS.create();
        if (slotOfStub(part) !== slot) continue;
        await part.put("name", `of ${slot}`);
        await owner.keep(part as never);
        return;
      }
    },
    /** Lets objects be evicted, and collects what nobody holds. @returns how many are gone. */
    async pass(): Promise<number> {
      await clock.advance(5000);
      await settle();
      return (await collector.collect({ grace: 0 })).collected.length;
    },
    /** How many have records. */
    left: async () => (await collector.collect({ dryRun: true })).checked,
    evict: () => clock.advance(5000),
  };
}

it("whoever was given it holds it, when the process that gave it is gone as well", async () => {
  const { owner, partOf, sessions, pass, roots } = await threeProcesses();
  const one = owner(0);
  await partOf(1, one);
  const part = await one.take();
  await one.lose();
  expect(await pass()).toBe(0);
  await sessions.get("2>0")!.close();
  expect(await pass()).toBe(0);
  // It is broken, and is stored by whoever it is passed to.
  const two = owner(1);
  await two.keep(part);
  part[Symbol.dispose]();
  await settle();
  expect(roots[FRONT]!.size).toBe(0);
  expect(await pass()).toBe(0);
  expect(await two.ask()).toBe("of 1");
  await two.lose();
  expect(await pass()).toBe(1);
});

it("a call that waits for a connection holds whom it is on", async () => {
  const { owner, partOf, dials, pass, roots } = await threeProcesses();
  const go = later();
  dials.set("0>1", go.promise);
  const one = owner(0);
  await partOf(1, one);
  await one.callAndLose();
  await settle();
  expect(roots[0]!.size).toBe(1);
  expect(await pass()).toBe(0);
  go.resolve();
  await settle();
  expect(roots[0]!.size).toBe(0);
  expect(await pass()).toBe(1);
});

it("what a process had sent that has closed the connection is waited for", async () => {
  const { owner, nameIn, partOf, wire, sessions, collector, evict, roots } = await threeProcesses();
  const one = owner(0);
  const two = owner(1);
  await partOf(1, one);
  // The way is there before.
  await one.passTo(nameIn(1));
  await settle();
  const back = await two.take();
  await one.keep(back);
  back[Symbol.dispose]();
  await two.lose();
  await evict();
  const between = wire(0, 1);
  between.isHeld = true;
  await one.passTo(nameIn(1));
  await settle();
  void sessions.get("0>1")!.close();
  await evict();
  await settle();
  // Nobody holds it now but the message.
  expect(roots.map(({ size }) => size)).toEqual([0, 0, 0]);
  let isOver = false;
  const looking = collector.collect({ grace: 0 }).finally(() => (isOver = true));
  await settle(100);
  expect(isOver).toBe(false);
  between.release();
  expect((await looking).collected).toEqual([]);
  await evict();
  expect(await two.ask()).toBe("of 1");
  expect((await collector.collect({ grace: 0 })).collected).toEqual([]);
});

it("a process that does not count a namespace vouches for none of its objects", async () => {
  const roots = new LiveRoots([namespaceBytes("PARTS")]);
  const node = (name: string): string =>
    String.fromCharCode(...namespaceBytes(name), ...new Uint8Array(32));
  expect(roots.condemn([node("PARTS")])).toBe(true);
  expect(roots.condemn([node("PARTS"), node("OTHERS")])).toBe(false);
  expect(await roots.confirm()).toBe(false);
  roots.watch([namespaceBytes("OTHERS")]);
  expect(roots.condemn([node("PARTS"), node("OTHERS")])).toBe(true);
});
