// How activations end: failed starts, aborts, faults, time limits, storage that fails; and what becomes of stubs, writes, neighbours.

import { describe, expect, it } from "vitest";
import { DurableObject, type Namespace } from "../../../src/host.node.js";
import { diskFull, FaultyStore } from "../../../src/host/storage/faulty-store.js";
import { MemoryStore } from "../../../src/host/storage/memory-store.js";
import { crash, evict, VirtualClock } from "../../../src/host/testing.js";
import type { RpcError, RpcStub } from "../../../src/index.js";
import { RpcTarget } from "../../../src/index.js";
import { later, reports, settle, testHost } from "../kit.js";

class Note extends RpcTarget {
  read(): string {
    return "note";
  }
}

class Box extends DurableObject<{ BOXES: Namespace<Box> }> {
  static starts = 0;
  memory = 0;

  constructor(ctx: never, env: never) {
    super(ctx, env);
    Box.starts++;
  }
  remember(): number {
    return ++this.memory;
  }
  put(key: string, value: unknown): void {
    void this.ctx.storage.put(key, value);
  }
  get(key: string): Promise<unknown> {
    return this.ctx.storage.get(key);
  }
  async all(): Promise<[string, unknown][]> {
    return [...(await this.ctx.storage.list())];
  }
  hang(): Promise<never> {
    return new Promise(() => {});
  }
  async putAndAbort(): Promise<void> {
    void this.ctx.storage.put("lost", true);
    this.ctx.abort(new Error("on purpose"));
  }
  async failInside(): Promise<void> {
    await this.ctx.blockConcurrencyWhile(async () => {
      void this.ctx.storage.put("half", true);
      await Promise.resolve();
      throw new Error("the section failed");
    });
  }
  async failAfter(show: (text: string) => unknown): Promise<void> {
    await this.ctx.blockConcurrencyWhile(async () => {
      void this.ctx.storage.put("shown", 1);
      await show("here");
      void this.ctx.storage.put("not shown", 1);
      throw new Error("after all");
    });
  }
  async tooLong(): Promise<void> {
    await this.ctx.blockConcurrencyWhile(() => new Promise<never>(() => {}));
  }
  note(): Note {
    return new Note();
  }
  kept: Disposable[] = [];
  keep(callback: () => unknown): void {
    this.kept.push((callback as unknown as RpcStub<() => unknown>).dup());
  }
  keepFriend(): void {
    this.kept.push(this.env.BOXES.getByName("friend"));
  }
  drop(): void {
    for (const one of this.kept.splice(0)) one[Symbol.dispose]();
  }
  work(promise: () => Promise<unknown>): void {
    const kept = (promise as unknown as RpcStub<() => Promise<unknown>>).dup();
    this.ctx.waitUntil(
      (async () => {
        await kept();
        kept[Symbol.dispose]();
      })(),
    );
  }
  async use(other: string): Promise<unknown> {
    return this.env.BOXES.getByName(other).hang();
  }
}

const failure = async (promise: PromiseLike<unknown>): Promise<RpcError> => {
  try {
    await promise;
  } catch (error) {
    return error as RpcError;
  }
  throw new Error("it did not fail");
};

describe("an object that breaks", () => {
  it("takes its calls and the stubs that called it along; a new stub reaches it as it is in storage", async () => {
    const { env } = await testHost({ BOXES: Box });
    const stub = env.BOXES.getByName("a");
    const unused = env.BOXES.getByName("a");
    await stub.put("kept", 1);
    await stub.remember();
    const broken = later<RpcError>();
    using _listening = stub.onRpcBroken((error) => broken.resolve(error));
    const [hanging, waiting] = [stub.hang(), stub.hang()];
    await settle();
    crash(stub, new Error("a fault"));
    expect(await failure(hanging)).toMatchObject({
      type: "disconnected",
      code: "object-broken",
      delivery: "unknown",
      message: expect.stringContaining("a fault") as string,
    });
    expect(await failure(waiting)).toMatchObject({ code: "object-broken" });
    expect(await failure(stub.remember())).toMatchObject({
      code: "object-broken",
      delivery: "not-sent",
    });
    expect((await broken.promise).code).toBe("object-broken");
    expect(await unused.remember()).toBe(1);
    expect(await env.BOXES.getByName("a").get("kept")).toBe(1);
  });

  it("says of calls that it had not been given that they were not sent", async () => {
    const disk = new FaultyStore();
    const { env } = await testHost({ BOXES: Box }, { store: disk });
    const stub = env.BOXES.getByName("a");
    await stub.remember();
    disk.hold = { reads: true };
    const reading = stub.get("x");
    await settle();
    const waiting = stub.remember();
    await settle();
    crash(stub);
    disk.hold = {};
    disk.releaseReads();
    expect((await failure(reading)).delivery).toBe("unknown");
    expect((await failure(waiting)).delivery).toBe("not-sent");
  });

  it("breaks what it had handed out, and not its neighbours", async () => {
    const { env } = await testHost({ BOXES: Box });
    const [a, b] = [env.BOXES.getByName("a"), env.BOXES.getByName("b")];
    using note = await a.note();
    await b.remember();
    const neighbour = b.hang();
    crash(a);
    expect(await failure(note.read())).toMatchObject({ code: "object-broken" });
    expect(await b.remember()).toBe(2);
    crash(b);
    await failure(neighbour);
  });

  it("tells an object that waits for its answer", async () => {
    const { env } = await testHost({ BOXES: Box });
    const [a, b] = [env.BOXES.getByName("a"), env.BOXES.getByName("b")];
    const asking = a.use("b");
    await settle();
    crash(b);
    expect((await failure(asking)).message).toContain("BOXES/b is broken");
    expect(await a.remember()).toBe(1);
  });

  it("does not write what it had not handed over when it aborts, nor go on", async () => {
    const { env } = await testHost({ BOXES: Box });
    const stub = env.BOXES.getByName("a");
    const error = await failure(stub.putAndAbort());
    expect(error).toMatchObject({ code: "object-broken" });
    expect(error.message).toContain("on purpose");
    expect(await env.BOXES.getByName("a").all()).toEqual([]);
  });

  it("is started again only when the store is done with what it wrote", async () => {
    const disk = new FaultyStore();
    const { env } = await testHost({ BOXES: Box }, { store: disk });
    const stub = env.BOXES.getByName("a");
    await stub.remember();
    disk.hold = { commits: true };
    const reply = stub.put("a", 1);
    await settle();
    crash(stub);
    await failure(reply);
    const next = env.BOXES.getByName("a").get("a");
    await settle();
    disk.hold = {};
    disk.commit();
    expect(await next).toBe(1);
  });
});

describe("an object that does not start", () => {
  class Broken extends DurableObject {
    static fails = true;
    constructor(ctx: never, env: never) {
      super(ctx, env);
      void this.ctx.storage.put("begun", true);
      if (Broken.fails) throw new Error("no start");
    }
    async all(): Promise<number> {
      return (await this.ctx.storage.list()).size;
    }
  }
  class BrokenLater extends DurableObject {
    static fails = true;
    constructor(ctx: never, env: never) {
      super(ctx, env);
      const { storage } = this.ctx;
      void this.ctx.blockConcurrencyWhile(async () => {
        void storage.put("begun", true);
        await storage.get("other");
        await new Promise((resolve) => setImmediate(resolve));
        if (BrokenLater.fails) throw new Error("no start");
      });
    }
    async all(): Promise<number> {
      return (await this.ctx.storage.list()).size;
    }
  }

  it.each([
    ["its constructor throws", Broken],
    ["its constructor's section throws", BrokenLater],
  ] as const)("leaves no state when %s, and breaks the stubs", async (_why, type) => {
    type.fails = true;
    const store = new MemoryStore();
    const { env } = await testHost({ BROKEN: type }, { store });
    const size = store.size;
    const stub = env.BROKEN.getByName("a");
    const error = await failure(stub.all());
    expect(error).toMatchObject({
      type: "disconnected",
      code: "object-broken",
      delivery: "not-sent",
    });
    expect(error.message).toContain("no start");
    expect(await failure(stub.all())).toMatchObject({ code: "object-broken" });
    expect(store.size).toBe(size);
    type.fails = false;
    expect(await env.BROKEN.getByName("a").all()).toBe(1);
  });
});

describe("a critical section that fails", () => {
  it("keeps of what it wrote what it had shown to others", async () => {
    const { env } = await testHost({ BOXES: Box });
    const shown: unknown[] = [];
    const stub = env.BOXES.getByName("a");
    const error = await failure(stub.failAfter((text) => void shown.push(text)));
    expect([shown, error.message]).toEqual([["here"], expect.stringContaining("after all")]);
    expect(await env.BOXES.getByName("a").all()).toEqual([["shown", 1]]);
  });

  it("breaks the object, and what it wrote is not there", async () => {
    const { env } = await testHost({ BOXES: Box });
    const stub = env.BOXES.getByName("a");
    const error = await failure(stub.failInside());
    expect(error.message).toContain("the section failed");
    expect(await env.BOXES.getByName("a").all()).toEqual([]);
  });

  it("breaks the object when it takes too long", async () => {
    const clock = new VirtualClock();
    const { env } = await testHost({ BOXES: Box }, { clock, limits: { sectionTime: 500 } });
    const stub = env.BOXES.getByName("a");
    const failed = failure(stub.tooLong());
    await clock.advance(499);
    const waiting = failure(stub.remember());
    await clock.advance(2);
    expect((await failed).message).toContain("longer than 500 ms");
    expect((await waiting).delivery).toBe("not-sent");
    expect(await env.BOXES.getByName("a").remember()).toBe(1);
  });
});

describe("storage that fails", () => {
  it.each(["commitFailure", "flushFailure"] as const)(
    "breaks the object: no reply, and no more memory that the disk does not have (%s)",
    async (kind) => {
      const disk = new FaultyStore();
      const { env } = await testHost({ BOXES: Box }, { store: disk });
      const stub = env.BOXES.getByName("a");
      await stub.put("a", 1);
      disk[kind] = diskFull();
      const error = await failure(stub.put("a", 2));
      expect(error).toMatchObject({ type: "disconnected", code: "object-broken" });
      expect(error.cause).toMatchObject({ code: "storage-full" });
      disk[kind] = null;
      expect(await failure(stub.get("a"))).toMatchObject({ code: "object-broken" });
      // A commit that was not flushed may be there or not; a commit that failed is not.
      if (kind === "commitFailure") expect(await env.BOXES.getByName("a").get("a")).toBe(1);
    },
  );

  it("breaks the object when it cannot be read", async () => {
    const disk = new FaultyStore();
    const { env } = await testHost({ BOXES: Box }, { store: disk });
    const stub = env.BOXES.getByName("a");
    await stub.remember();
    disk.readFailure = new Error("MDB_CORRUPTED: Located page was wrong type");
    expect(await failure(stub.get("a"))).toMatchObject({ code: "object-broken" });
    const unreadable = env.BOXES.getByName("a");
    expect((await failure(unreadable.remember())).cause).toMatchObject({ code: "storage-corrupt" });
    disk.readFailure = null;
    expect(await env.BOXES.getByName("a").remember()).toBe(1);
  });
});

describe("an object that is idle", () => {
  it("is evicted after ten seconds without an event, and wakes with the next call of the same stub", async () => {
    const clock = new VirtualClock();
    const host = await testHost({ BOXES: Box }, { clock });
    const stub = host.env.BOXES.getByName("a");
    await stub.put("kept", 1);
    expect(await stub.remember()).toBe(1);
    await clock.advance(9000);
    expect(await stub.remember()).toBe(2);
    await clock.advance(9999);
    expect(host.activeObjects).toBe(1);
    await clock.advance(2);
    expect(host.activeObjects).toBe(0);
    expect(clock.pendingTimers).toBe(0);
    expect([await stub.remember(), await stub.get("kept")]).toEqual([1, 1]);
  });

  it("is evicted all the same when the clock of the machine is set back, or jumps ahead", async () => {
    const clock = new VirtualClock();
    const host = await testHost({ BOXES: Box }, { clock });
    const stub = host.env.BOXES.getByName("a");
    expect(await stub.remember()).toBe(1);
    await clock.advance(5000);
    clock.jump(clock.now - 86_400_000);
    await clock.advance(5000);
    // What is left of its time counts from when that was seen.
    expect(host.activeObjects).toBe(1);
    await clock.advance(10_000);
    expect(host.activeObjects).toBe(0);
    expect(await stub.remember()).toBe(1);
    clock.jump(clock.now + 86_400_000);
    await clock.advance(10_000);
    expect(host.activeObjects).toBe(0);
  });

  it("is not idle while a call runs, something of it is held, or it waits for something", async () => {
    const clock = new VirtualClock();
    const host = await testHost({ BOXES: Box }, { clock });
    const stub = host.env.BOXES.getByName("a");
    const controller = new AbortController();
    const hanging = stub.with({ signal: controller.signal }).hang();
    await clock.advance(30_000);
    expect(host.activeObjects).toBe(1);
    controller.abort();
    await failure(hanging);
    const note = await stub.note();
    await clock.advance(30_000);
    expect(host.activeObjects).toBe(1);
    note[Symbol.dispose]();
    await stub.keep(() => {});
    await clock.advance(30_000);
    expect(host.activeObjects).toBe(1);
    await stub.drop();
    // Another object it can reach again.
    await stub.keepFriend();
    const work = later();
    await stub.work(() => work.promise);
    await clock.advance(30_000);
    expect(host.activeObjects).toBe(1);
    work.resolve();
    await clock.advance(30_000);
    expect(host.activeObjects).toBe(0);
  });

  it("is evicted by a test, with no harm to its stubs; one that is not idle is named", async () => {
    const { env } = await testHost({ BOXES: Box });
    const stub = env.BOXES.getByName("a");
    await stub.remember();
    const before = Box.starts;
    expect(await evict(env.BOXES.getByName("a"))).toBe(true);
    expect(await evict(stub)).toBe(false);
    expect(await stub.remember()).toBe(1);
    expect(Box.starts).toBe(before + 1);
    using _note = await stub.note();
    await expect(evict(stub)).rejects.toThrow(/BOXES\/a does not become idle/);
    await expect(evict({})).rejects.toMatchObject({ code: "invalid-argument" });
  });
});

describe("a host that is closed", () => {
  it("writes what was written, fails what runs, and activates nothing more", async () => {
    const disk = new FaultyStore();
    const host = await testHost({ BOXES: Box }, { store: disk });
    const stub = host.env.BOXES.getByName("a");
    const hanging = failure(stub.hang());
    await stub.put("a", 1);
    await host.close();
    expect(await hanging).toMatchObject({ type: "disconnected", code: "object-closed" });
    expect(await failure(host.env.BOXES.getByName("b").remember())).toMatchObject({
      code: "object-closed",
      delivery: "not-sent",
    });
    const again = await testHost({ BOXES: Box }, { store: disk.crash() });
    expect(again.env.BOXES.idFromName("a").toString()).toBe(
      host.env.BOXES.idFromName("a").toString(),
    );
    expect(await again.env.BOXES.getByName("a").get("a")).toBe(1);
  });

  it("is told of work that failed behind its back", async () => {
    const { env } = await testHost({ BOXES: Box });
    await env.BOXES.getByName("a").work(() => Promise.reject(new Error("no luck")));
    await settle();
    expect(reports.splice(0)).toEqual(["BOXES/a: waitUntil: no luck"]);
  });
});
