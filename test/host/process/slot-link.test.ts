// The way to a slot, over connections whose end the test decides: nothing here is another process.

import { afterEach, expect, it } from "vitest";
import type { Namespace } from "../../../src/host.node.js";
import { RpcError, type RpcStub } from "../../../src/index.js";
import { processScheduler } from "../../../src/cap/scheduler.js";
import { LiveRoots } from "../../../src/host/collect/live-roots.js";
import { Host } from "../../../src/host/object/host.js";
import { ALL_HERE } from "../../../src/host/object/parts.js";
import { nodeRuntime } from "../../../src/host/object/runtime.node.js";
import { ObjectServers } from "../../../src/host/process/object-server.js";
import { SlotPlacement } from "../../../src/host/process/placement.js";
import { RemoteHost } from "../../../src/host/process/remote-host.js";
import { slotOf } from "../../../src/host/process/slots.js";
import { MemoryStore } from "../../../src/host/storage/memory-store.js";
import { metaKey } from "../../../src/host/storage/keys.js";
import { evict, VirtualClock } from "../../../src/host/testing.js";
import { memoryPair } from "../../../src/transport/memory.js";
import { Session } from "../../../src/vat/session.js";
import { settle } from "../kit.js";
import { failure } from "./kit.js";

class Box {
  readonly items: string[] = [];
  add(item: string): number {
    return this.items.push(item);
  }
  fail(): Promise<void> {
    return Promise.reject(new Error("only this call"));
  }
}

const cleanUps: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

/** Says that it leaves in one breath with the answer to who connects. */
class Leaving extends ObjectServers {
  override attached(server: Parameters<ObjectServers["attached"]>[0]): void {
    super.attached(server);
    processScheduler().post({ run: () => this.leave(5000) });
  }
}

/** A host, and another that reaches its objects by connections that are made as `refusals` says. */
async function twoHosts(leavesAtOnce = false) {
  const clock = new VirtualClock();
  const runtime = nodeRuntime();
  const store = new MemoryStore();
  const host = await Host.open({ store, classes: { BOXES: Box }, clock }, runtime, ALL_HERE);
  const servers: ObjectServers = new (leavesAtOnce ? Leaving : ObjectServers)({
    reach: (reference) => host._reach(reference),
  });
  const sessions: Session[] = [];
  /** What becomes of the next connections: refused, or ended as soon as they are there. */
  const fates: ("refused" | "ended")[] = [];
  let dials = 0;
  const placement = new SlotPlacement({
    slots: 1,
    own: null,
    slot: () => ({
      name: "slot 0",
      dial: async () => {
        dials++;
        const fate = fates.shift();
        if (fate === "refused")
          throw new RpcError("disconnected", "connect-failed", "nobody there");
        const [here, there] = memoryPair();
        const server = new Session(there, { bootstrap: () => servers.offer() });
        const session = new Session(here);
        sessions.push(session);
        if (fate === "ended") await server.close();
        return session;
      },
      clock,
      reachTime: 1000,
      hold: () => null,
    }),
  });
  const secret = store.get(metaKey("secret"))!;
  const roots = new LiveRoots([]);
  const options = {
    namespaces: ["BOXES"],
    collected: [],
    roots,
    secret,
    crypto: runtime.crypto,
    placement,
  };
  const remote = new RemoteHost(options);
  cleanUps.push(
    async () => {
      await host.close();
      expect(clock.pendingTimers).toBe(0);
    },
    () => remote.close(),
  );
  const boxes = remote.env["BOXES"] as Namespace<never>;
  const box = (name: string): RpcStub<Box> => boxes.getByName(name) as never;
  const local = (name: string): RpcStub<Box> => host.env.BOXES.getByName(name);
  return { host, servers, sessions, fates, clock, box, local, dials: () => dials };
}

it("calls wait while nobody is there, in their order, and one connection serves all", async () => {
  const { fates, clock, box, dials } = await twoHosts();
  fates.push("refused", "ended", "refused");
  using a = box("a");
  using b = box("b");
  const all = Promise.all([a.add("1"), b.add("1"), a.add("2"), a.add("3")]);
  for (let i = 0; i < 3; i++) await clock.advance(600);
  // A connection that ended before it was answered does not count, and loses nobody's call.
  expect(await all).toEqual([1, 1, 2, 3]);
  expect(dials()).toBe(4);
});

it("when nobody comes, calls fail as not sent and their stubs are broken; later ones try again", async () => {
  const { fates, clock, box } = await twoHosts();
  for (let i = 0; i < 100; i++) fates.push("refused");
  using a = box("a");
  const failed = failure(a.add("1"));
  for (let i = 0; i < 5; i++) await clock.advance(600);
  const expected = { type: "disconnected", code: "connect-failed", delivery: "not-sent" };
  expect(RpcError.of(await failed)).toMatchObject(expected);
  expect(RpcError.of(await failed)!.message).toContain("nobody there");
  expect(RpcError.of(await failure(a.add("2")))).toMatchObject(expected);
  fates.length = 0;
  using again = box("a");
  expect(await again.add("1")).toBe(1);
});

it("an object that is evicted is none that broke; one whose stubs are all gone is let go", async () => {
  const { host, sessions, box, local } = await twoHosts();
  using a = box("a");
  expect(await a.add("1")).toBe(1);
  expect(await evict(local("a"))).toBe(true);
  expect(await a.add("1")).toBe(1);
  // A method that throws fails its call, and nothing else.
  await failure(a.fail());
  expect(await a.add("2")).toBe(2);
  const imports = (): number => sessions[0]!.connection.stats().imports;
  const before = imports();
  {
    using other = box("b");
    using same = box("b");
    await Promise.all([other.add("1"), same.add("1")]);
    expect(imports()).toBe(before + 1);
  }
  await settle();
  expect(imports()).toBe(before);
  expect(host.activeObjects).toBe(2);
  expect(sessions).toHaveLength(1);
});

it("one that leaves: calls under way are answered, those who called get broken stubs, new ones wait", async () => {
  const { servers, box, clock, sessions } = await twoHosts();
  using used = box("a");
  await used.add("1");
  const before = used.add("2");
  servers.leave(5000);
  const broken = new Promise<RpcError>((resolve) => used.onRpcBroken(resolve as never));
  expect(await before).toBe(2);
  expect(await broken).toMatchObject({ type: "disconnected", code: "connection-draining" });
  expect(await sessions[0]!.closed).toBe(null);
  const error = RpcError.of(await failure(used.add("3")))!;
  expect(error).toMatchObject({ code: "connection-draining", delivery: "not-sent" });
  // Nobody takes its place here, so a new one waits for as long as it may.
  using fresh = box("a");
  const waiting = failure(fresh.add("3"));
  for (let i = 0; i < 5; i++) await clock.advance(600);
  expect(RpcError.of(await waiting)).toMatchObject({ code: "connect-failed" });
});

it("one that leaves before anybody has called: what waited is answered, and no more", async () => {
  const { box, sessions } = await twoHosts(true);
  using a = box("a");
  expect(await Promise.all([a.add("1"), a.add("2")])).toEqual([1, 2]);
  expect(RpcError.of(await failure(a.add("3")))).toMatchObject({ code: "connection-draining" });
  expect(await sessions[0]!.closed).toBe(null);
});

it("ids are spread over slots, each always to the same", async () => {
  const { host } = await twoHosts();
  const counts = [0, 0, 0];
  for (let i = 0; i < 3000; i++) {
    const id = host.env.BOXES.idFromName(`name ${i}`);
    const slot = slotOf(id._bytes, 3);
    expect(slotOf(host.env.BOXES.idFromString(id.toString())._bytes, 3)).toBe(slot);
    counts[slot]!++;
  }
  for (const count of counts) expect(count).toBeGreaterThan(850);
});
