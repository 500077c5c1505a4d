// The collection of private objects, in a host of one process: what holds one, what becomes of it when nothing does.

import { describe, expect, it } from "vitest";
import {
  DurableObject,
  MemoryStore,
  type Namespace,
  type ObjectState,
  type ObjectStub,
  type PrivateNamespace,
  restore,
  type Store,
} from "../../../src/host.node.js";
import { HttpResponse, type PairedWebSocket, WebSocketPair } from "../../../src/http.js";
import { LiveRoots, nameOfNode } from "../../../src/host/collect/live-roots.js";
import { SavedStore } from "../../../src/host/references/saved-store.js";
import { namespaceBytes, nodeOf } from "../../../src/host/storage/keys.js";
import { FaultyStore } from "../../../src/host/storage/faulty-store.js";
import { crash, evict, VirtualClock } from "../../../src/host/testing.js";
import { RpcError, RpcStub, RpcTarget } from "../../../src/index.js";
import { KeyPair, save } from "../../../src/persist.js";
import { awaited, later, reports, settle, testHost } from "../kit.js";

const GRACE = 60_000;
/** Until all that is due by then is done, eviction included. */
const LONG = 4 * GRACE;

interface Env {
  OWNERS: Namespace<Owner>;
  PARTS: PrivateNamespace<Part>;
}

/** Runs code of a test inside. */
class Coded extends DurableObject<Env> {
  static code: (self: Coded, ...args: never[]) => unknown = () => undefined;
  run(...args: unknown[]): unknown {
    return Coded.code(this, ...(args as never[]));
  }
  get state(): ObjectState {
    return this.ctx;
  }
  get bindings(): Env {
    return this.env;
  }
  put(key: string, value: unknown): Promise<void> {
    return this.ctx.storage.put(key, value);
  }
  async keep(stub: RpcStub<Part>): Promise<void> {
    await save(stub);
  }
  delete(key: string): Promise<boolean> {
    return this.ctx.storage.delete(key);
  }
  async ask(key: string): Promise<string> {
    return (await this.ctx.storage.get<RpcStub<Part>>(key))!.tell();
  }
}

class Owner extends Coded {}

class Part extends Coded {
  static disposed: string[] = [];
  static dispose: (self: Part) => unknown = () => undefined;
  rings = 0;
  async call(name: string): Promise<this> {
    await this.ctx.storage.put("name", name);
    return this;
  }
  async tell(): Promise<string> {
    return `I am ${(await this.ctx.storage.get<string>("name")) ?? "nobody"}`;
  }
  view(params: unknown): RpcStub<View> {
    return this.ctx.facet<View>(params);
  }
  [restore](params: { of: string; beside?: RpcStub<Part> }): View {
    return new View(params);
  }
  attach: RpcStub<Part> | null = null;
  fetch(): Response {
    const { 0: client, 1: server } = new WebSocketPair();
    this.ctx.acceptWebSocket(server);
    server.serializeAttachment({ held: this.attach });
    this.attach?.[Symbol.dispose]();
    return new HttpResponse(null, { status: 101, webSocket: client });
  }
  async webSocketMessage(ws: PairedWebSocket): Promise<void> {
    const { held } = ws.deserializeAttachment() as { held: RpcStub<Part> };
    ws.send(await held.tell());
    held[Symbol.dispose]();
  }
  alarm(): void {
    this.rings++;
  }
  async [Symbol.asyncDispose](): Promise<void> {
    Part.disposed.push(await this.tell());
    await Part.dispose(this);
  }
}

class View extends RpcTarget {
  readonly #params: { of: string; beside?: RpcStub<Part> };
  constructor(params: { of: string; beside?: RpcStub<Part> }) {
    super();
    this.#params = params;
  }
  tell(): string | Promise<string> {
    return this.#params.beside?.tell() ?? this.#params.of;
  }
}

const CLASSES = { OWNERS: Owner, PARTS: { class: Part, collect: true } } as const;

async function parts(store: Store = new MemoryStore()) {
  Part.disposed = [];
  Part.dispose = () => undefined;
  const clock = new VirtualClock();
  const host = await testHost(CLASSES, { store, clock });
  const env = host.env as unknown as Env;
  const owner = (name = "owner"): RpcStub<Owner> => env.OWNERS.getByName(name);
  return {
    host,
    clock,
    env,
    owner,
    /** A part that has a name, and whatever is put in it. */
    async part(name: string, held: Record<string, unknown> = {}): Promise<ObjectStub<Part>> {
      const stub = env.PARTS.create();
      using same = await stub.call(name);
      for (const [key, value] of Object.entries(held)) await same.put(key, value);
      return stub;
    },
    async inside(stub: RpcStub<Coded>, code: (self: Coded, arg: never) => unknown, arg?: unknown) {
      Coded.code = async (self, ...args) => void (await code(self, args[0] as never));
      await stub.run(arg);
    },
    /** How many objects of the private namespace have records. */
    async left(): Promise<number> {
      return (await host.collect({ dryRun: true })).checked;
    },
    pass: () => clock.advance(LONG),
  };
}

describe("a private object", () => {
  it("is collected when nobody holds it any more, not before, and not before the grace period", async () => {
    const { host, clock, part, left } = await parts();
    const stub = await part("a");
    await clock.advance(LONG);
    expect(await stub.tell()).toBe("I am a");
    stub[Symbol.dispose]();
    await settle();
    expect((await host.collect({ dryRun: true })).unreachable).toEqual([]); // It is still active.
    await clock.advance(11_000);
    expect((await host.collect({ dryRun: true })).unreachable).toHaveLength(1);
    await clock.advance(GRACE / 2);
    expect(await left()).toBe(1);
    expect(Part.disposed).toEqual([]);
    await clock.advance(LONG);
    expect(await left()).toBe(0);
    expect(Part.disposed).toEqual(["I am a"]);
    expect(host.collection).toMatchObject({ collected: 1, components: 1, joint: 0, disposed: 1 });
  });

  it("stays as long as a public object stores a reference, through restarts", async () => {
    const store = new MemoryStore();
    const kept = Object.assign(Object.create(store) as Store, { close: async () => {} });
    const first = await parts(kept);
    {
      using owner = first.owner();
      using stub = await first.part("a");
      await owner.put("part", { deep: [stub] });
    }
    await first.pass();
    await first.host.close();
    const { owner, pass, left } = await parts(kept);
    await pass();
    expect(await left()).toBe(1);
    await owner().delete("part");
    await pass();
    expect(await left()).toBe(0);
    expect(Part.disposed).toEqual(["I am a"]);
  });

  it("is collected with others in a cycle, and with whom only it held", async () => {
    const { host, part, pass, left, inside } = await parts();
    {
      using c = await part("c");
      using b = await part("b", { c });
      using a = await part("a", { b });
      await b.put("a", a);
      using alone = await part("alone", { a });
      // It holds itself.
      await inside(
        alone,
        ({ state }, self: RpcStub<Part>) => state.storage.put("self", self),
        alone,
      );
    }
    await pass();
    expect(await left()).toBe(0);
    expect(Part.disposed.sort()).toEqual(["I am a", "I am alone", "I am b", "I am c"]);
    expect(host.collection).toMatchObject({ collected: 4, disposed: 4 });
    expect(host.collection.joint).toBeGreaterThan(0);
  });

  it("that is held by an object that is collected in memory only is let go when that one is evicted", async () => {
    const { part, pass, left, inside } = await parts();
    {
      using a = await part("a");
      using b = await part("b");
      for (const [one, other] of [
        [a, b],
        [b, a],
      ] as const)
        await inside(
          one,
          (self, held: RpcStub<Part>) => Object.assign(self, { held: held.dup() }),
          other,
        );
    }
    await pass();
    expect(await left()).toBe(0);
  });

  it("is held by its alarm, until that has rung or was given up", async () => {
    const { host, clock, part, pass, left, inside } = await parts();
    {
      using stub = await part("a");
      await inside(stub, ({ state }) => state.storage.setAlarm(clock.now + 10 * LONG));
      using fails = await part("b");
      await inside(fails, (self) => {
        (self as Part).alarm = () => {
          throw new Error("no");
        };
        return self.state.storage.setAlarm(clock.now + 1000);
      });
    }
    await pass();
    await pass();
    expect(await left()).toBe(1);
    await clock.advance(10 * LONG);
    await pass();
    expect(await left()).toBe(0);
    expect(host.collection.collected).toBe(2);
    expect(reports.splice(0).length).toBeGreaterThanOrEqual(1);
  });

  it("is held by a saved reference, until that is revoked or has expired", async () => {
    const { host, clock, part, pass, left } = await parts();
    let first;
    {
      using a = await part("a");
      using b = await part("b");
      using view = await b.view({ of: "view", beside: a });
      first = await save(view);
      await save(b, { sealFor: KeyPair.generate().publicKey });
    }
    await pass();
    expect(await left()).toBe(2);
    using restorer = host.saved.restorer();
    {
      using again = restorer.restore(first, RpcStub<View>);
      expect(await again.tell()).toBe("I am a");
    }
    await host.saved.revoke(first);
    await pass();
    expect(await left()).toBe(1);
    for await (const { id } of host.saved.list()) await host.saved.revoke(id);
    await pass();
    expect(await left()).toBe(0);
    await clock.advance(1);
  });

  it("is held by the parameters of a facet, of a stub and in storage", async () => {
    const { owner, part, pass, left } = await parts();
    using of = await part("of");
    let view: RpcStub<View>;
    {
      using beside = await part("beside");
      view = await of.view({ of: "x", beside });
    }
    await pass();
    expect(await view.tell()).toBe("I am beside");
    await owner().put("view", view);
    view[Symbol.dispose]();
    of[Symbol.dispose]();
    await pass();
    expect(await left()).toBe(2);
    expect(await owner().ask("view")).toBe("I am beside");
    await owner().delete("view");
    await pass();
    expect(await left()).toBe(0);
  });

  it("is held by the WebSockets that it has accepted, and by what is attached to those of others", async () => {
    const { part, pass, left, inside } = await parts();
    const sockets: PairedWebSocket[] = [];
    {
      using attached = await part("attached");
      using room = await part("room");
      await inside(
        room,
        (self, held: RpcStub<Part>) => {
          (self as Part).attach = held.dup();
          return undefined;
        },
        attached,
      );
      const response = (await room.fetch("http://room.test/", {
        headers: { Upgrade: "websocket" },
      })) as unknown as { webSocket: PairedWebSocket };
      response.webSocket.accept();
      sockets.push(response.webSocket);
    }
    await pass();
    await pass();
    expect(await left()).toBe(2);
    const heard = new Promise((resolve) =>
      sockets[0]!.addEventListener("message", ({ data }) => resolve(data)),
    );
    sockets[0]!.send("who");
    expect(await heard).toBe("I am attached");
    sockets[0]!.close(1000, "");
    await pass();
    expect(await left()).toBe(0);
  });

  it.each(["section", "transaction"])(
    "is held by what is written in a %s that is not over",
    async (kind) => {
      const { clock, host, owner, left, inside } = await parts();
      const go = later();
      const done = inside(owner(), ({ state, bindings }) =>
        state.blockConcurrencyWhile(async () => {
          const write = async (to: { put(key: string, value: unknown): Promise<void> }) => {
            {
              using part = bindings.PARTS.create();
              using _same = await part.call("a");
              await to.put("part", part);
            }
            await go.promise;
          };
          await (kind === "section" ? write(state.storage) : state.storage.transaction(write));
        }),
      );
      await clock.advance(25_000);
      expect(host.activeObjects).toBe(1);
      await host.collect({ grace: 0 });
      expect(await left()).toBe(1);
      go.resolve();
      await done;
      await clock.advance(LONG);
      expect(await left()).toBe(1);
      expect(await owner().ask("part")).toBe("I am a");
    },
  );

  it("is held by the parameters of a facet that is called, when nobody holds the facet any more", async () => {
    const { clock, host, part, inside } = await parts();
    using of = await part("of");
    const go = later();
    let busy: Promise<unknown>;
    let told: Promise<string>;
    {
      using beside = await part("beside");
      using view = await of.view({ of: "x", beside });
      busy = inside(of, ({ state }) => state.blockConcurrencyWhile(() => go.promise));
      await settle();
      told = awaited(view.tell());
    }
    await clock.advance(25_000);
    await host.collect({ grace: 0 });
    go.resolve();
    await busy;
    expect(await told).toBe("I am beside");
  });

  it("is held by a token that is being stored, and by a read of the store that is not over", async () => {
    const node = nodeOf(namespaceBytes("N"), new Uint8Array(32).fill(1));
    const disk = new FaultyStore();
    const roots = new LiveRoots([namespaceBytes("N")]);
    disk.hold = { commits: true };
    const saved = new SavedStore(disk, () => [node], 10, roots);
    const put = saved.put("00".repeat(32), { record: node, owner: null, expires: null });
    expect(roots.isHeld(nameOfNode(node))).toBe(true);
    disk.commit();
    await put;
    expect(roots.size).toBe(0);

    const store = new FaultyStore();
    const { host, owner, inside } = await parts(store);
    await inside(owner(), ({ state }) => state.storage.put("key", 1));
    await evict(owner());
    const { roots: ofHost } = host as unknown as { roots: LiveRoots };
    const reading = inside(owner(), async ({ state }) => {
      store.hold = { reads: true };
      expect(await state.storage.get("key")).toBe(1);
    });
    await settle();
    ofHost.condemn([]);
    let confirmed = false;
    const round = ofHost.confirm().then((answer) => (confirmed = answer));
    await settle();
    expect(confirmed).toBe(false);
    store.hold = {};
    store.releaseReads();
    await reading;
    expect(await round).toBe(true);
    ofHost.endRound();
  });

  it("is not stored by whoever has it from an activation that broke: nobody is held by that", async () => {
    const { host, owner, part, pass } = await parts();
    {
      using stub = await part("a");
      using given = await stub.call("b");
      await owner().put("before", given);
      crash(stub);
      await settle();
      const storing = awaited(owner().put("after", given));
      await expect(storing).rejects.toMatchObject({ code: "unstorable-value" });
      await expect(storing).rejects.toThrow(/it is broken/);
    }
    expect(await owner().ask("before")).toBe("I am b");
    await owner().delete("before");
    await pass();
    expect(host.collection).toMatchObject({ collected: 1 });
  });

  it("without anything stored is nothing to be collected", async () => {
    const { host, env, pass } = await parts();
    {
      using stub = env.PARTS.create();
      expect(await stub.tell()).toBe("I am nobody");
    }
    await pass();
    expect(Part.disposed).toEqual([]);
    expect(host.collection).toMatchObject({ collected: 0, suspected: 0 });
  });

  it("has an id that leads nowhere, and a namespace that has no way to it but what it creates", async () => {
    const { env, part, inside } = await parts();
    expect(Object.getOwnPropertyNames(Object.getPrototypeOf(env.PARTS)).sort()).toEqual([
      "constructor",
      "create",
    ]);
    using stub = await part("a");
    let id = "";
    await inside(stub, async ({ state }) => {
      id = state.id.toString();
      await state.storage.put("same", state.id.equals(state.id));
    });
    expect(id).toMatch(/^[0-9a-f]{64}$/);
    await evict(stub);
    await inside(stub, ({ state }) => expect(state.id.toString()).toBe(id));
    expect(() => env.OWNERS.idFromString(id)).toThrow(/invalid|none of/i);
  });
});

describe("a [dispose] hook", () => {
  it("has its own storage, reaches others, and gives nobody a reference to what is collected", async () => {
    const { host, env, owner, part, pass, left } = await parts();
    const seen: string[] = [];
    const failure = async (run: () => unknown): Promise<void> => {
      try {
        await run();
        seen.push("nothing");
      } catch (thrown) {
        seen.push(RpcError.from(thrown).code);
      }
    };
    Part.dispose = async (self) => {
      if ((await self.tell()) !== "I am a") return;
      const { storage } = self.state;
      const b = (await storage.get<RpcStub<Part>>("b"))!;
      await failure(() => b.tell());
      await failure(() => self.state.facet({ of: "x" }));
      await failure(() => storage.setAlarm(1));
      using other = env.OWNERS.getByName("other");
      await failure(() => other.put("b", b));
      await failure(() => other.put("self", self));
      await failure(() => other.keep(self));
      await failure(() => storage.put("self", self));
      await other.put("note", "a is gone");
      await storage.put("kept", (await storage.get("good"))!);
      seen.push(await self.ask("good"));
    };
    {
      using good = await part("good");
      await owner().put("good", good);
      using b = await part("b");
      using a = await part("a", { b, good });
      await b.put("a", a);
    }
    await pass();
    expect(seen).toEqual([
      "object-collected",
      "object-collected",
      "object-collected",
      "unstorable-value",
      "unstorable-value",
      "not-persistent",
      "unstorable-value",
      "I am good",
    ]);
    expect(Part.disposed.sort()).toEqual(["I am a", "I am b"]);
    expect(await left()).toBe(1);
    expect(await owner().ask("good")).toBe("I am good");
    let note: unknown;
    Coded.code = async (self) => void (note = await self.state.storage.get("note"));
    await owner("other").run();
    expect(note).toBe("a is gone");
    expect(host.collection).toMatchObject({ collected: 2, disposed: 2, disposeFailed: 0 });
  });

  it("that fails, and one that takes too long, is reported, and its object is gone all the same", async () => {
    const { host, part, pass, left } = await parts();
    Part.dispose = async (self) => {
      if ((await self.tell()) === "I am a") throw new Error("not so");
      await new Promise(() => {});
    };
    {
      using _a = await part("a");
      using _b = await part("b");
    }
    await pass();
    expect(await left()).toBe(0);
    expect(host.collection).toMatchObject({ collected: 2, disposed: 0, disposeFailed: 2 });
    const told = reports.splice(0).sort();
    expect(told[0]).toMatch(/PARTS\/[0-9a-f]{8}: dispose: .*(not so|longer than 30000 ms)/);
    expect(told).toHaveLength(2);
  });

  it("is not run again after the process has ended in it", async () => {
    const disk = new FaultyStore();
    const first = await parts(disk);
    let begun = false;
    Part.dispose = async () => {
      begun = true;
      await new Promise(() => {});
    };
    {
      using _ = await first.part("a");
    }
    while (!begun) await first.clock.advance(5000);
    const after = disk.crash();
    await first.host.close();
    const { host, pass, left } = await parts(after);
    expect(host.collection.interrupted).toBe(1);
    await pass();
    expect(Part.disposed).toEqual([]);
    expect(await left()).toBe(0);
    expect(host.collection).toMatchObject({ collected: 1, disposed: 0 });
  });
});

describe("a host", () => {
  it("says what it would collect, and collects it when it is told to", async () => {
    const { host, clock, part, left } = await parts();
    {
      using b = await part("b");
      using _ = await part("a", { b });
    }
    await clock.advance(11_000);
    const dry = await host.collect({ dryRun: true });
    expect(dry).toMatchObject({ checked: 2, collected: [] });
    expect(dry.unreachable.map(({ namespace }) => namespace)).toEqual(["PARTS", "PARTS"]);
    expect(await left()).toBe(2);
    const later = await host.collect();
    expect(later.collected).toEqual([]);
    expect(later.unreachable).toHaveLength(2);
    const done = await host.collect({ grace: 0 });
    expect(done.collected.map(({ id }) => id).sort()).toEqual(
      dry.unreachable.map(({ id }) => id).sort(),
    );
    expect(done.unreachable).toEqual([]);
    expect(await left()).toBe(0);
  });

  it("collects a chain with one call", async () => {
    const { host, clock, part, left } = await parts();
    {
      let next = await part("0");
      for (let i = 1; i < 10; i++) {
        const before = next;
        next = await part(`${i}`, { next: before });
        before[Symbol.dispose]();
      }
      next[Symbol.dispose]();
    }
    await clock.advance(11_000);
    const { collected, unreachable } = await host.collect({ grace: 0 });
    expect([collected.length, unreachable.length, await left()]).toEqual([10, 0, 0]);
  });

  it("refuses to collect a namespace that has objects from when it was public", async () => {
    const store = new MemoryStore();
    const kept = Object.assign(Object.create(store) as Store, { close: async () => {} });
    const first = await testHost({ PARTS: Part }, { store: kept });
    await first.env.PARTS.getByName("a").call("a");
    await first.close();
    const opened = testHost({ PARTS: { class: Part, collect: true } }, { store: kept });
    await expect(opened).rejects.toMatchObject({ code: "invalid-argument" });
  });

  it("without private namespaces has no collector", async () => {
    const clock = new VirtualClock();
    const host = await testHost({ OWNERS: Owner }, { clock });
    expect(clock.pendingTimers).toBe(0);
    expect(await host.collect()).toEqual({ checked: 0, collected: [], unreachable: [] });
  });
});
