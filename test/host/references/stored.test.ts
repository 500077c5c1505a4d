// References that objects store: what may be stored, what is read, what becomes of it when its target is gone.

import { describe, expect, it } from "vitest";
import { DurableObject, MemoryStore, type Namespace, type Store } from "../../../src/host.node.js";
import { FaultyStore } from "../../../src/host/storage/faulty-store.js";
import { crash, evict } from "../../../src/host/testing.js";
import {
  Membrane,
  processScheduler,
  RpcError,
  RpcStub,
  RpcTarget,
  serve,
} from "../../../src/index.js";
import { awaited, later, reports, settle, testHost } from "../kit.js";

interface Env {
  PEOPLE: Namespace<Person>;
  ROOMS: Namespace<Room>;
}

class Person extends DurableObject<Env> {
  met = 0;
  async befriend(friend: RpcStub<Person>): Promise<void> {
    await this.ctx.storage.put("friend", friend);
  }
  async friend(): Promise<RpcStub<Person>> {
    return (await this.ctx.storage.get<RpcStub<Person>>("friend"))!;
  }
  async greetFriend(): Promise<string> {
    using friend = await this.friend();
    return friend.greet();
  }
  greet(): string {
    this.met++;
    return `${this.ctx.id.name} greets, ${this.met}`;
  }
  me(): this {
    return this;
  }
  put(key: string, value: unknown): Promise<void> {
    return this.ctx.storage.put(key, value);
  }
  async keep(key: string, of: RpcStub<unknown>): Promise<void> {
    await this.ctx.storage.put(key, { list: [of, new Map([["again", of]])] });
  }
  async sameTwice(key: string): Promise<boolean> {
    const { list } = (await this.ctx.storage.get<{ list: [unknown, Map<string, unknown>] }>(key))!;
    return list[0] === list[1].get("again");
  }
  /** Runs `code` of a test inside. */
  static code: (self: Person) => unknown = () => undefined;
  run(): unknown {
    return Person.code(this);
  }
  get state() {
    return this.ctx;
  }
  get bindings() {
    return this.env;
  }
}

class Room extends DurableObject<Env> {
  enter(): string {
    return `in ${this.ctx.id.name}`;
  }
}

const CLASSES = { PEOPLE: Person, ROOMS: Room };

async function people(store: Store = new MemoryStore()) {
  const host = await testHost(CLASSES, { store });
  const person = (name: string): RpcStub<Person> => host.env.PEOPLE.getByName(name);
  const run = async <T>(name: string, code: (self: Person) => T | Promise<T>): Promise<T> => {
    let value!: T;
    Person.code = async (self) => {
      value = await code(self);
    };
    using stub = person(name);
    await stub.run();
    return value;
  };
  return { host, person, run };
}

describe("a stub that is stored", () => {
  it("is read as a live one, after evictions and a restart, and activates nobody before its first call", async () => {
    const store = new MemoryStore();
    const first = await people(store);
    using ann = first.person("ann");
    using bob = first.person("bob");
    await ann.befriend(bob);
    expect(await ann.greetFriend()).toBe("bob greets, 1");
    await evict(ann);
    await evict(bob);
    expect(first.host.activeObjects).toBe(0);
    using friend = await ann.friend();
    expect(first.host.activeObjects).toBe(1);
    expect(await friend.greet()).toBe("bob greets, 1");
    expect(await evict(bob)).toBe(true);
    expect(await friend.greet()).toBe("bob greets, 1");

    const second = await people(
      Object.assign(Object.create(store) as Store, { close: async () => {} }),
    );
    using again = second.person("ann");
    expect(await again.greetFriend()).toBe("bob greets, 1");
  });

  it("does not keep its owner or its target active", async () => {
    const { person } = await people();
    using ann = person("ann");
    await ann.befriend(person("bob"));
    await ann.greetFriend();
    expect(await evict(ann)).toBe(true);
    expect(await evict(person("bob"))).toBe(true);
  });

  it("may be anywhere in a value, and is one object where it was one", async () => {
    const { person } = await people();
    using ann = person("ann");
    await ann.keep("nested", person("bob"));
    await evict(ann);
    expect(await ann.sameTwice("nested")).toBe(true);
  });

  it("may be put in batches and transactions, and is read by all kinds of reads", async () => {
    const { run } = await people();
    const heard = await run("ann", async ({ state: { storage }, bindings }) => {
      const bob = bindings.PEOPLE.getByName("bob");
      void storage.put({ a: bob, b: { bob }, c: 1 });
      await storage.transaction(async (txn) => {
        void txn.put("d", [bob]);
        const [inside] = (await txn.get<[RpcStub<Person>]>("d"))!;
        await inside.greet();
      });
      const several = await storage.get<RpcStub<Person>>(["a", "c"]);
      const list = await storage.list<{ bob: RpcStub<Person> }>({ prefix: "b" });
      return [
        await several.get("a")!.greet(),
        await list.get("b")!.bob.greet(),
        await storage.delete("d"),
      ];
    });
    expect(heard).toEqual(["bob greets, 2", "bob greets, 3", true]);
  });

  it("may stand for the object itself, as itself, as this and as what a method returned", async () => {
    const { person, run } = await people();
    using ann = person("ann");
    const me = await ann.me();
    await ann.put("me", me);
    await run("ann", (self) => self.put("this", self));
    await person("bob").put("ann", me);
    await evict(ann).catch(() => {});
    me[Symbol.dispose]();
    const names = await run("ann", async ({ state: { storage } }) => {
      const stubs = await storage.get<RpcStub<Person>>(["me", "this"]);
      return Promise.all(Array.from(stubs.values(), (stub) => stub.greet()));
    });
    expect(names).toEqual(["ann greets, 1", "ann greets, 2"]);
    expect(
      await run("bob", async (self) =>
        (await self.state.storage.get<RpcStub<Person>>("ann"))!.greet(),
      ),
    ).toBe("ann greets, 3");
  });

  it("calls in order, with what its owner calls by another stub of that object after it is restored", async () => {
    const { run } = await people();
    const order = await run("ann", async ({ state: { storage }, bindings }) => {
      void storage.put("bob", bindings.PEOPLE.getByName("bob"));
      const bob = (await storage.get<RpcStub<Person>>("bob"))!;
      return Promise.all([bob.greet(), bob.greet(), bob.greet()]);
    });
    expect(order).toEqual(["bob greets, 1", "bob greets, 2", "bob greets, 3"]);
  });

  it("reaches an object that broke since, and breaks with one that breaks while it is used", async () => {
    const { person, run } = await people();
    using ann = person("ann");
    await ann.befriend(person("bob"));
    await ann.greetFriend();
    await run("ann", async (self) => {
      const friend = await self.friend();
      await friend.greet();
      crash(person("bob"));
      await expect(awaited(friend.greet())).rejects.toMatchObject({ code: "object-broken" });
      expect(await self.greetFriend()).toBe("bob greets, 1");
    });
  });

  it("is written together with the values beside it or not at all", async () => {
    const store = new FaultyStore();
    const { person } = await people(store);
    store.hold = { flushes: true };
    const done = person("ann").befriend(person("bob"));
    await settle();
    const after = store.crash();
    store.hold = {};
    store.flush();
    await done;
    const { run } = await people(after);
    expect(await run("ann", ({ state: { storage } }) => storage.get("friend"))).toBeUndefined();
    const { run: later } = await people(store.crash());
    expect(await later("ann", (self) => self.greetFriend())).toBe("bob greets, 1");
  });
});

describe("a namespace that is stored", () => {
  it("is read as one", async () => {
    const { run, person } = await people();
    await run("ann", ({ state: { storage }, bindings }) =>
      storage.put("rooms", { ns: bindings.ROOMS }),
    );
    await evict(person("ann"));
    const entered = await run("ann", async ({ state: { storage } }) => {
      const { ns } = (await storage.get<{ ns: Namespace<Room> }>("rooms"))!;
      return ns.getByName("lobby").enter();
    });
    expect(entered).toBe("in lobby");
  });
});

describe("what lives only as long as somebody holds it is refused with its path", () => {
  class Live extends RpcTarget {}

  it("and nothing is written", async () => {
    const { run } = await people();
    const { promise, resolve } = later<number>();
    await run("ann", async ({ state: { storage }, bindings }) => {
      void storage.put("old", 1);
      const bob = bindings.PEOPLE.getByName("bob");
      const closed = bindings.PEOPLE.getByName("eve");
      closed[Symbol.dispose]();
      using live = new RpcStub(new Live());
      for (const [value, what] of [
        [{ list: [() => 1] }, '"new".list[0] cannot be stored: it is a function'],
        [new Live(), '"new" cannot be stored: it lives only as long as this process: make a facet'],
        [
          live,
          '"new" cannot be stored: it stands for something that lives only as long as whoever gave it',
        ],
        [bob.me(), '"new" cannot be stored: it is a promise: await it first'],
        [{ at: bob.state }, '"new".at cannot be stored: it is a promise: await it first'],
        [new ReadableStream(), '"new" cannot be stored: it is a stream'],
        [AbortSignal.abort(), '"new" cannot be stored: it is a signal'],
        [promise, '"new" cannot be stored: it is a promise: await it first'],
      ] as const) {
        const error: unknown = await storage
          .put({ old: 2, new: value })
          .catch((thrown: unknown) => thrown);
        expect(error, what).toBeInstanceOf(RpcError);
        expect((error as RpcError).code).toBe("unstorable-value");
        expect((error as RpcError).message).toContain(what);
      }
      await expect(storage.put("new", closed)).rejects.toMatchObject({
        code: "capability-disposed",
      });
      expect([...(await storage.list())]).toEqual([["old", 1]]);
    });
    resolve(1);
  });

  it("such as a callback of a caller, or an object behind somebody's membrane", async () => {
    const { person, host } = await people();
    using ann = person("ann");
    const callback = (): number => 1;
    await expect(awaited(ann.put("callback", callback))).rejects.toThrow(
      /lives only as long as whoever gave it/,
    );
    const membrane = new Membrane({}, processScheduler());
    using less = new RpcStub<Person>(membrane.wrap(serve(host.env.PEOPLE.getByName("bob"))));
    expect(await less.greet()).toBe("bob greets, 1");
    await expect(awaited(ann.put("less", less))).rejects.toMatchObject({
      code: "unstorable-value",
    });
    membrane.revoke();
  });
});

describe("a target that is gone", () => {
  it("because its namespace is: calls fail, what is read can be stored again, and lives when the namespace is back", async () => {
    const store = new MemoryStore();
    const keep = Object.assign(Object.create(store) as Store, { close: async () => {} });
    const first = await people(keep);
    await first.run("ann", ({ state: { storage }, bindings }) =>
      storage.put({ room: bindings.ROOMS.getByName("lobby"), rooms: bindings.ROOMS }),
    );
    await first.host.close();

    const host = await testHost({ PEOPLE: Person }, { store: keep });
    Person.code = async ({ state: { storage } }) => {
      const room = (await storage.get<RpcStub<Room>>("room"))!;
      await expect(awaited(room.enter())).rejects.toMatchObject({
        code: "reference-lost",
        type: "failed",
        delivery: "not-sent",
        message: expect.stringContaining("no namespace ROOMS") as string,
      });
      const rooms = (await storage.get<Namespace<Room>>("rooms"))!;
      expect(() => rooms.getByName("lobby")).toThrow(/no namespace ROOMS/);
      await storage.put({ room: { room }, rooms: { rooms } });
    };
    await host.env.PEOPLE.getByName("ann").run();
    await host.close();

    const third = await people(keep);
    const entered = await third.run("ann", async ({ state: { storage } }) => {
      const { room } = (await storage.get<{ room: RpcStub<Room> }>("room"))!;
      const { rooms } = (await storage.get<{ rooms: Namespace<Room> }>("rooms"))!;
      return [await room.enter(), await rooms.getByName("attic").enter()];
    });
    expect(entered).toEqual(["in lobby", "in attic"]);
  });

  it("because it was deleted: calls fail, and say so", async () => {
    const { host, person, run } = await people();
    using bob = person("bob");
    using ann = person("ann");
    await ann.befriend(bob);
    await bob.befriend(ann);
    await bob.greet();
    await host.delete("PEOPLE", host.env.PEOPLE.idFromName("bob"));
    await expect(awaited(bob.greet())).rejects.toMatchObject({ code: "object-deleted" });
    await expect(awaited(ann.greetFriend())).rejects.toThrow(/PEOPLE\/bob was deleted/);
    await run("ann", async (self) => {
      const friend = await self.friend();
      await expect(awaited(friend.greet())).rejects.toMatchObject({
        code: "object-deleted",
        type: "failed",
      });
    });
    expect(reports).toEqual([]);
  });
});
