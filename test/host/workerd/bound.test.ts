// Objects of a host with an `env` that leads into the real workerd: the gates of the object hold for it as for all else.

import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { DurableObject, type Namespace } from "../../../src/host.node.js";
import { type BoundWorkerd, bindWorkerd } from "../../../src/host/module/workerd.node.js";
import { FaultyStore } from "../../../src/host/storage/faulty-store.js";
import { crash, evict } from "../../../src/host/testing.js";
import { RpcError, type RpcStub } from "../../../src/node.js";
import { connectWorkerd, type Workerd } from "../../../src/workerd.node.js";
import type { Service } from "../../../src/workers.node.js";
import { missingWorkerd } from "../../runtimes/workerd.js";
import { expectNoResidue, resources } from "../../support/residue.js";
import type { Desk, Room } from "../../workerd/bridge/api.js";
import { SLOWLY, type Started, startBridge } from "../../workerd/bridge/start.js";
import { awaited, later, settle, testHost } from "../kit.js";

const objects = { kind: "objects", service: "main", className: "Room" } as const;
const desk = { kind: "entrypoint", service: "main", entrypoint: "Desk", props: null } as const;

interface Env {
  readonly ROOMS: Namespace<Room>;
  readonly DESK: Service<Desk>;
  readonly NOTES: Namespace<Notes>;
}

/** Of a connection that no object was given. */
let plain: RpcStub<Room>;

class Notes extends DurableObject<Env> {
  readonly log: string[] = [];
  private kept: RpcStub<Room> | null = null;

  async tell(name: string, n: number): Promise<number> {
    void this.ctx.storage.put("told", n);
    using room = this.env.ROOMS.getByName(name);
    void room.note(n);
    return await room.add(n, 1);
  }
  async ask(): Promise<void> {
    using room = this.env.ROOMS.getByName("asked");
    this.log.push(`answer ${await room.add(1, 2)}`);
  }
  async askDesk(): Promise<void> {
    this.log.push(`desk ${await this.env.DESK.add(1, 2)}`);
  }
  async askPlain(): Promise<void> {
    this.log.push(`plain ${await plain.add(1, 2)}`);
  }
  async subscribePlain(): Promise<void> {
    await plain.keep((n) => this.log.push(`heard ${n}`));
  }
  async read(key: string): Promise<void> {
    await this.ctx.storage.get(key);
    this.log.push("read");
  }
  said(): readonly string[] {
    return [...this.log];
  }
  /** Has an object of workerd keep a callback. */
  async subscribe(name: string): Promise<void> {
    using room = this.env.ROOMS.getByName(name);
    await room.keep((n) => this.log.push(`heard ${n}`));
  }
  hold(): void {
    this.kept = this.env.ROOMS.getByName("held");
  }
  async useHeld(): Promise<number> {
    return await this.kept!.add(2, 3);
  }
  async never(): Promise<void> {
    using room = this.env.ROOMS.getByName("never");
    await room.never();
  }
  async fetches(): Promise<string> {
    using room = this.env.ROOMS.getByName("web");
    const response = await room.fetch("http://room/here");
    return await response.text();
  }
  async streams(): Promise<number[]> {
    using room = this.env.ROOMS.getByName("streams");
    const there = await room.size(new Response("x".repeat(100_000)).body!);
    const back = await new Response(await room.stream(70_000)).arrayBuffer();
    return [there, back.byteLength];
  }
  async stores(what: "stub" | "namespace"): Promise<void> {
    const value: unknown = what === "stub" ? this.env.ROOMS.getByName("a") : this.env.ROOMS;
    await this.ctx.storage.put("it", value);
  }
  async lends(other: string): Promise<number> {
    using room = this.env.ROOMS.getByName("lent");
    return await this.env.NOTES.getByName(other).adds(room as never);
  }
  async adds(room: RpcStub<Room>): Promise<number> {
    return await room.add(3, 5);
  }
  async chain(): Promise<number> {
    using room = this.env.ROOMS.getByName("chain");
    using counter = await room.counter(5).fork();
    await counter.add(2);
    return await counter.count;
  }
}

async function failure(promise: PromiseLike<unknown>): Promise<RpcError> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof RpcError) return error;
    throw error;
  }
  throw new Error("it did not fail");
}

/** Whether it could be evicted. */
async function isEvicted(stub: object): Promise<boolean> {
  try {
    return await evict(stub);
  } catch (thrown) {
    if (RpcError.of(thrown)?.code === "invalid-state") return false;
    throw thrown;
  }
}

// skip: where npm has no workerd; missingWorkerd prints the reason
describe.skipIf(missingWorkerd() !== null)("an env that leads into workerd", () => {
  const before = resources();
  let started: Started;
  let bound: BoundWorkerd;
  let workerd: Workerd;
  const closing: BoundWorkerd[] = [];
  beforeAll(async () => {
    started = await startBridge();
    bound = bind(started.url);
    workerd = await connectWorkerd(started.url);
    plain = workerd.getObject("main", "Room", { name: "plain", uniqueKey: "capstan-bridge-room" });
  });
  afterEach(async () => {
    for (const one of closing.splice(1)) await one.close();
  });
  afterAll(async () => {
    await bound.close();
    await workerd.close();
    await started.stop();
    await expectNoResidue(before);
  });

  function bind(url: string, reachTime = 60_000): BoundWorkerd {
    const one = bindWorkerd(
      [
        { name: "ROOMS", url, to: { ...objects, uniqueKey: "capstan-bridge-room" } },
        { name: "DESK", url, to: desk },
      ],
      reachTime,
    );
    closing.push(one);
    return one;
  }

  async function hosted(store = new FaultyStore(), { env } = bound) {
    const host = await testHost({ NOTES: Notes }, { store, env });
    const outside = host.env as unknown as Env;
    return { host, store, outside, notes: host.env.NOTES.getByName("n") };
  }

  it("has ids that are the same over there", async () => {
    const { outside } = await hosted();
    const { ROOMS } = outside;
    const id = ROOMS.idFromName("lobby");
    using lobby = ROOMS.get(id);
    expect(await lobby.idOf("lobby")).toBe(id.toString());
    expect(await lobby.id()).toBe(id.toString());
    expect(id.name).toBe("lobby");
    const unique = ROOMS.newUniqueId();
    using other = ROOMS.get(ROOMS.idFromString(unique.toString()));
    expect(await other.id()).toBe(unique.toString());
    const forged = unique.toString().replace(/^./, (digit) => (digit === "0" ? "1" : "0"));
    expect(() => ROOMS.idFromString(forged)).toThrow("none of namespace Room in workerd");
    expect(() => ROOMS.get(outside.NOTES.idFromName("n"))).toThrow("none of namespace Room");
    expect(() => ROOMS.idFromString("z".repeat(64))).toThrow("64 hexadecimal digits");
    expect(() => outside.NOTES.get(id)).toThrow("none of namespace NOTES");
  });

  it("is called from inside of an object: results, chains, requests, streams", async () => {
    const { notes } = await hosted();
    expect(await notes.tell("called", 4)).toBe(5);
    expect(await notes.chain()).toBe(7);
    expect(await notes.fetches()).toBe("hello from /here");
    expect(await notes.streams()).toEqual([100_000, 70_000]);
    await notes.askDesk();
    expect(await notes.said()).toEqual(["desk 3"]);
  });

  it("hears of a call when what the object wrote before is on the disk, and not before", async () => {
    const { store, outside, notes } = await hosted();
    using room = outside.ROOMS.getByName("told");
    await room.notes();
    store.hold = { flushes: true };
    const told = awaited(notes.tell("told", 1));
    while (store.pending.unflushed === 0) await settle(1);
    // Whatever had left by now would be there before this.
    expect(await room.add(1, 1)).toBe(2);
    await settle();
    expect(await room.notes()).toEqual([]);
    store.hold = {};
    store.flush();
    expect(await told).toBe(2);
    expect(await room.notes()).toEqual([1]);
  });

  for (const [what, method, said] of [
    ["an object", "ask", "answer 3"],
    ["an entry point", "askDesk", "desk 3"],
    ["what the object has from elsewhere", "askPlain", "plain 3"],
  ] as const)
    it(`has the answer of ${what} wait while a read is pending`, async () => {
      const { store, outside, notes } = await hosted();
      expect(await notes.said()).toEqual([]);
      store.hold = { reads: true };
      const read = awaited(notes.read("a"));
      const asked = awaited(notes[method]());
      const again = awaited(notes.read("b"));
      while (store.pendingReads === 0) await settle(1);
      store.releaseReads();
      await read;
      // What is asked has left now, and the next read is pending.
      while (store.pendingReads === 0) await settle(1);
      using room = outside.ROOMS.getByName("asked");
      for (let i = 0; i < 3; i++) await room.add(1, 1);
      await settle();
      store.hold = {};
      store.releaseReads();
      await Promise.all([again, asked]);
      expect(await notes.said()).toEqual(["read", "read", said]);
    });

  it("calls back into the object, which stays for it, and hears nothing when that is gone", async () => {
    const { outside, notes } = await hosted();
    using room = outside.ROOMS.getByName("subscribed");
    await notes.subscribe("subscribed");
    await room.callKept(1);
    expect(await notes.said()).toEqual(["heard 1"]);
    expect(await isEvicted(notes)).toBe(false);
    await room.dropKept();
    await expect.poll(() => isEvicted(notes), SLOWLY).toBe(true);
    await notes.subscribe("subscribed");
    crash(notes, new Error("for a test"));
    expect((await failure(room.callKept(2))).type).toBe("disconnected");
    await room.dropKept();
  });

  it("has what is called back by a stub from elsewhere come in by the gate, too", async () => {
    const { store, notes } = await hosted();
    await notes.subscribePlain();
    store.hold = { reads: true };
    const read = awaited(notes.read("a"));
    while (store.pendingReads === 0) await settle(1);
    const called = awaited(plain.callKept(1));
    await expect.poll(() => workerd.stats().answers, SLOWLY).toBeGreaterThan(0);
    await settle();
    store.hold = {};
    store.releaseReads();
    await Promise.all([read, called]);
    expect(await notes.said()).toEqual(["read", "heard 1"]);
    await plain.dropKept();
  });

  it("does not keep an object from being evicted by a stub that it could get again", async () => {
    const { notes } = await hosted();
    await notes.hold();
    expect(await notes.useHeld()).toBe(5);
    await expect.poll(() => isEvicted(notes), SLOWLY).toBe(true);
  });

  it("ends calls under way with the object that made them", async () => {
    const { notes } = await hosted();
    const never = awaited(notes.never());
    await notes.said();
    crash(notes, new Error("for a test"));
    expect((await failure(never)).code).toBe("object-broken");
  });

  it("cannot be stored; its stubs go to other objects, whose calls go on by this one", async () => {
    const { notes } = await hosted();
    for (const what of ["stub", "namespace"] as const)
      expect((await failure(notes.stores(what))).code).toBe("unstorable-value");
    expect(await notes.lends("other")).toBe(8);
  });

  it("is reached again by new stubs after it was started anew; an entry point by the same", async () => {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "capstan-bound-"));
    const socket = path.join(folder, "debug-port");
    const first = await startBridge("unix", socket);
    const { outside, notes } = await hosted(undefined, bind(first.url));
    using room = outside.ROOMS.getByName("a");
    const broken = later<RpcError>();
    room.onRpcBroken((error) => broken.resolve(error));
    using unused = outside.ROOMS.getByName("b");
    expect(await room.add(1, 1)).toBe(2);
    expect(await outside.DESK.add(1, 1)).toBe(2);
    await notes.hold();
    expect(await notes.useHeld()).toBe(5);
    // Each has a connection of its own, whose end is known once calls on it have failed.
    const lost = [failure(room.never()), failure(outside.DESK.never())];
    await first.stop();
    fs.rmSync(socket);
    for (const error of await Promise.all(lost)) expect(error.type).toBe("disconnected");
    expect((await broken.promise).type).toBe("disconnected");
    expect((await failure(room.add(1, 1))).delivery).toBe("not-sent");
    const waiting = awaited(outside.DESK.add(2, 2));
    const inside = awaited(notes.tell("a", 5));
    const second = await startBridge("unix", socket);
    try {
      expect(await waiting).toBe(4);
      expect(await inside).toBe(6);
      using again = outside.ROOMS.getByName("a");
      expect(await again.add(3, 3)).toBe(6);
      expect(await unused.add(1, 2)).toBe(3);
      expect((await failure(notes.useHeld())).type).toBe("disconnected");
    } finally {
      await second.stop();
      fs.rmSync(folder, { recursive: true });
    }
  });

  it("says what is wrong: nobody there, another class, another service", async () => {
    const away = bind("unix:/nowhere/workerd.sock", 200);
    const { outside, notes } = await hosted(undefined, away);
    using room = outside.ROOMS.getByName("a");
    for (const [asked, delivery] of [
      [room.add(1, 1), "not-sent"],
      [outside.DESK.add(1, 1), "not-sent"],
      // The object itself was called.
      [notes.tell("a", 1), "started"],
    ] as const) {
      const error = await failure(asked);
      expect([error.code, error.delivery]).toEqual(["connect-failed", delivery]);
      expect(error.message).toContain("unix:/nowhere/workerd.sock");
    }
    const { url } = started;
    const wrong = bindWorkerd(
      [
        { name: "A", url, to: { ...objects, className: "Rooom", uniqueKey: "k" } },
        { name: "B", url, to: { ...desk, service: "mian" } },
        { name: "C", url, to: { ...desk, entrypoint: "Dsk" } },
        { name: "D", url: started.deskUrl, to: { kind: "socket", connectHost: "rpc.tset" } },
        { name: "E", url: started.deskUrl, to: { kind: "socket", connectHost: "rpc.test" } },
      ],
      200,
    );
    closing.push(wrong);
    const env = (await testHost({}, { env: wrong.env })).env as unknown as {
      A: Namespace<Room>;
    } & Record<"B" | "C" | "D" | "E", RpcStub<Desk>>;
    const said = async (call: PromiseLike<unknown>): Promise<string> =>
      (await failure(call)).message;
    expect(await said(env.A.getByName("a").add(1, 1))).toContain("Rooom");
    expect(await said(env.B.add(1, 1))).toContain("mian");
    expect(await said(env.C.add(1, 1))).toContain("Dsk");
    expect(await said(env.D.add(1, 1))).toContain("rpc.tset");
    expect(await env.E.add(1, 1)).toBe(2);
  });

  it("fails once it is closed", async () => {
    const one = bind(started.url);
    const { outside } = await hosted(undefined, one);
    expect(await outside.DESK.add(1, 1)).toBe(2);
    outside.DESK[Symbol.dispose]();
    expect(await outside.DESK.add(1, 1)).toBe(2);
    await one.close();
    expect((await failure(outside.DESK.add(1, 1))).code).toBe("connection-closed");
    using room = outside.ROOMS.getByName("a");
    expect((await failure(room.add(1, 1))).code).toBe("connection-closed");
  });
});
