// Objects as their callers see them: what can be called, order, gates around calls, references both ways.

import { describe, expect, it } from "vitest";
import { currentOrigin } from "../../../src/base/origin.js";
import { DurableObject, type Namespace } from "../../../src/host.node.js";
import { activationAt } from "../../../src/host/object/activation.js";
import { FaultyStore } from "../../../src/host/storage/faulty-store.js";
import { RpcError, RpcStub, RpcTarget } from "../../../src/index.js";
import { MemoryTokenStore, Realm, save, SturdyRef } from "../../../src/persist.js";
import { awaited, later, settle, testHost } from "../kit.js";

class Counter extends DurableObject<{ COUNTERS: Namespace<Counter> }> {
  secret = "an own property";
  log: unknown[] = [];

  get size(): number {
    return this.log.length;
  }
  async increment(by = 1): Promise<number> {
    const count = ((await this.ctx.storage.get<number>("count")) ?? 0) + by;
    void this.ctx.storage.put("count", count);
    return count;
  }
  /** Reads twice with a pause in between that is no event. */
  async slowly(): Promise<number> {
    await Promise.resolve();
    return this.increment();
  }
  note(what: unknown): number {
    return this.log.push(what);
  }
  notes(): unknown[] {
    return this.log;
  }
  idText(): string {
    return `${this.ctx.id.toString()} ${this.ctx.id.name}`;
  }
  fail(): never {
    throw new RangeError("too far");
  }
  tally(): Tally {
    return new Tally(this);
  }
  me(): this {
    return this;
  }
  async ask(name: string): Promise<number> {
    return 100 + (await this.env.COUNTERS.getByName(name).increment());
  }
  async tell(callback: (text: string) => unknown): Promise<unknown> {
    void this.ctx.storage.put("told", true);
    return callback("told");
  }
  fetch(): string {
    return "no method";
  }
  alarm(): void {}
}

class Tally extends RpcTarget {
  readonly #counter: Counter;
  constructor(counter: Counter) {
    super();
    this.#counter = counter;
  }
  add(by: number): Promise<number> {
    return this.#counter.increment(by);
  }
}

class Plain {
  readonly ctx: { id: { name?: string } };
  constructor(ctx: { id: { name?: string } }, _env: unknown) {
    this.ctx = ctx;
  }
  hello(): string {
    return `hello from ${this.ctx.id.name}`;
  }
}

describe("an object", () => {
  it("is one for each id, whoever has a stub of it", async () => {
    const { env } = await testHost({ COUNTERS: Counter });
    const id = env.COUNTERS.idFromName("a");
    expect(await env.COUNTERS.get(id).increment()).toBe(1);
    expect(await env.COUNTERS.getByName("a").increment()).toBe(2);
    expect(await env.COUNTERS.get(env.COUNTERS.idFromString(id.toString())).increment()).toBe(3);
    expect(await env.COUNTERS.getByName("b").increment()).toBe(1);
    expect(await env.COUNTERS.getByName("a").idText()).toBe(`${id.toString()} a`);
  });

  it("may be of a class that knows nothing of this library", async () => {
    const { env } = await testHost({ PLAIN: Plain });
    expect(await env.PLAIN.getByName("p").hello()).toBe("hello from p");
  });

  it("has the methods and getters of its class, and nothing else, for callers", async () => {
    const { env } = await testHost({ COUNTERS: Counter, PLAIN: Plain });
    const stub = env.COUNTERS.getByName("a") as unknown as Record<
      string,
      () => Promise<unknown>
    > & {
      size: Promise<number>;
      with(options: object): Record<string, () => Promise<unknown>>;
    };
    expect(await stub.size).toBe(0);
    for (const name of ["secret", "ctx", "env", "log", "fetch", "alarm", "missing"])
      // With options, `fetch` is a method like any other.
      await expect(awaited(stub.with({})[name]!()), name).rejects.toMatchObject({
        code: "method-unimplemented",
      });
    const plain = env.PLAIN.getByName("a") as unknown as Record<string, () => Promise<unknown>>;
    await expect(awaited(plain["ctx"]!())).rejects.toMatchObject({ code: "method-unimplemented" });
  });

  it("answers a thrown error, and goes on", async () => {
    const { env } = await testHost({ COUNTERS: Counter });
    const stub = env.COUNTERS.getByName("a");
    await expect(awaited(stub.fail())).rejects.toThrow("too far");
    expect(await stub.increment()).toBe(1);
  });

  it("takes the calls of one stub in the order they were made in", async () => {
    const { env } = await testHost({ COUNTERS: Counter });
    const stub = env.COUNTERS.getByName("a");
    for (let i = 0; i < 20; i++) void stub.note(i);
    expect(await stub.notes()).toEqual(Array.from({ length: 20 }, (_, i) => i));
  });

  it("never has a read and the write after it disturbed by another call", async () => {
    const { env } = await testHost({ COUNTERS: Counter });
    const stubs = Array.from({ length: 50 }, () => env.COUNTERS.getByName("a"));
    const counts = await Promise.all(
      stubs.map((stub, i) => (i % 2 === 0 ? stub.increment() : stub.slowly())),
    );
    expect([...counts].sort((a, b) => a - b)).toEqual(stubs.map((_, i) => i + 1));
  });

  it("is not reached by a call while it reads", async () => {
    const disk = new FaultyStore();
    const { env } = await testHost({ COUNTERS: Counter }, { store: disk });
    const stub = env.COUNTERS.getByName("a");
    await stub.note("before");
    disk.hold = { reads: true };
    const first = stub.increment();
    await settle();
    const second = stub.note("during");
    const tally = stub.tally().add(10);
    await settle();
    expect(disk.pendingReads).toBe(1);
    let answered = false;
    void second.then(() => (answered = true));
    await settle();
    expect(answered).toBe(false);
    disk.hold = {};
    disk.releaseReads();
    expect(await Promise.all([first, second, tally])).toEqual([1, 2, 11]);
  });

  it("is reached by a call while it reads with allowConcurrency", async () => {
    class Reader extends DurableObject {
      read(): Promise<unknown> {
        return this.ctx.storage.get("a", { allowConcurrency: true });
      }
      hello(): string {
        return "hello";
      }
    }
    const disk = new FaultyStore();
    const { env } = await testHost({ READERS: Reader }, { store: disk });
    const stub = env.READERS.getByName("a");
    await stub.hello();
    disk.hold = { reads: true };
    const reading = stub.read();
    await settle();
    expect(await stub.hello()).toBe("hello");
    expect(disk.pendingReads).toBe(1);
    disk.hold = {};
    disk.releaseReads();
    expect(await reading).toBeUndefined();
  });

  it("pipelines through what it returns, and gives references that are its own", async () => {
    const { env } = await testHost({ COUNTERS: Counter });
    const stub = env.COUNTERS.getByName("a");
    expect(await stub.tally().add(5)).toBe(5);
    using tally = await stub.tally();
    expect(await Promise.all([tally.add(1), stub.increment(), tally.add(1)])).toEqual([6, 7, 8]);
    using me = await stub.me();
    expect(await me.increment()).toBe(9);
  });

  it("calls another object, and is answered through its own gate", async () => {
    const { env } = await testHost({ COUNTERS: Counter });
    const stub = env.COUNTERS.getByName("a");
    expect(await Promise.all([stub.ask("b"), stub.ask("b"), stub.ask("a")])).toEqual([
      101, 102, 101,
    ]);
  });
});

describe("nothing leaves an object before what it wrote is on the disk", () => {
  it("no reply", async () => {
    const disk = new FaultyStore();
    const { env } = await testHost({ COUNTERS: Counter }, { store: disk });
    const stub = env.COUNTERS.getByName("a");
    disk.hold = { flushes: true };
    let answered = false;
    const reply = stub.increment().then(() => (answered = true));
    await settle();
    expect([answered, disk.pending]).toEqual([false, { uncommitted: 0, unflushed: 1 }]);
    disk.flush();
    await reply;
  });

  it("no call of a function that it was given, and none of another object", async () => {
    const disk = new FaultyStore();
    const { env } = await testHost({ COUNTERS: Counter }, { store: disk });
    const stub = env.COUNTERS.getByName("a");
    const told: string[] = [];
    disk.hold = { flushes: true };
    const reply = stub.tell((text) => void told.push(text));
    await settle();
    expect(told).toEqual([]);
    disk.flush();
    await reply;
    expect(told).toEqual(["told"]);
  });

  it("nothing called through a reference that it returns", async () => {
    class Lender extends DurableObject {
      lend(callback: () => unknown): { callback: () => unknown } {
        void this.ctx.storage.put("lent", true);
        return { callback: (callback as unknown as RpcStub<() => unknown>).dup() as () => unknown };
      }
    }
    const disk = new FaultyStore();
    const { env } = await testHost({ LENDERS: Lender }, { store: disk });
    let called = 0;
    disk.hold = { flushes: true };
    const lent = env.LENDERS.getByName("a").lend(() => ++called);
    const result = lent.callback();
    await settle();
    expect(called).toBe(0);
    disk.flush();
    expect(await result).toBe(1);
  });

  it("a reply that nothing was written before leaves at once, and one of a write with allowUnconfirmed too", async () => {
    class Loose extends DurableObject {
      write(): void {
        void this.ctx.storage.put("a", 1, { allowUnconfirmed: true });
      }
    }
    const disk = new FaultyStore();
    const { env } = await testHost({ LOOSE: Loose }, { store: disk });
    disk.hold = { flushes: true };
    await env.LOOSE.getByName("a").write();
    expect(disk.pending.unflushed).toBe(1);
    disk.hold = {};
    disk.flush();
  });
});

describe("a critical section", () => {
  class Careful extends DurableObject<{ CAREFUL: Namespace<Careful> }> {
    log: string[] = [];
    gate = later();

    note(text: string): void {
      this.log.push(text);
    }
    async block(text: string): Promise<void> {
      await this.ctx.blockConcurrencyWhile(async () => {
        this.log.push(`${text} begins`);
        await this.gate.promise;
        this.log.push(`${text} ends`);
      });
      this.log.push(`${text} is over`);
    }
    /** A section that nobody waits for. */
    begin(): void {
      void this.ctx.blockConcurrencyWhile(async () => {
        await this.gate.promise;
        void this.ctx.storage.put("begun", true);
      });
    }
    open(): void {
      this.gate.resolve();
    }
    async around(name: string): Promise<string> {
      try {
        return await this.ctx.blockConcurrencyWhile(async () => {
          try {
            return await this.env.CAREFUL.getByName(name).back(this.ctx.id.name!);
          } catch (error) {
            return (error as Error).message;
          }
        });
      } catch (error) {
        return `section: ${(error as Error).message}`;
      }
    }
    async back(name: string): Promise<string> {
      await this.env.CAREFUL.getByName(name).note("back");
      return "was there";
    }
    /** A call made in a section, awaited there. */
    async nested(name: string): Promise<string[]> {
      const said: string[] = [];
      await this.ctx.blockConcurrencyWhile(async () => {
        await this.ctx.blockConcurrencyWhile(async () => {
          await this.env.CAREFUL.getByName(name).note("called");
          said.push("inner");
        });
        said.push("outer");
      });
      return said;
    }
    read(): string[] {
      return this.log;
    }
    async slowRead(): Promise<string[]> {
      await this.gate.promise;
      return this.log;
    }
    /** Calls through a promise before it awaits it: its value is asked for by a call of its own. */
    async viaPromise(name: string): Promise<void> {
      const promise = this.env.CAREFUL.getByName(name).slowRead();
      void promise[0];
      void (promise as unknown as { length: PromiseLike<number> }).length.then(() => {});
      await promise;
      this.log.push("answered");
    }
  }

  it("keeps calls out until it ends, and is one after the other", async () => {
    const objects: Careful[] = [];
    class Known extends Careful {
      constructor(ctx: never, env: never) {
        super(ctx, env);
        objects.push(this);
      }
    }
    const host = await testHost({ CAREFUL: Known });
    const stub = host.env.CAREFUL.getByName("a");
    const blocked = [stub.block("1"), stub.note("call"), stub.block("2")];
    await settle();
    expect(objects[0]!.log).toEqual(["1 begins"]);
    objects[0]!.gate.resolve();
    await Promise.all(blocked);
    expect(await stub.read()).toEqual(
      "1 begins,1 ends,1 is over,call,2 begins,2 ends,2 is over".split(","),
    );
  });

  it("lets no answer in that is not its own", async () => {
    const objects = new Map<string, Careful>();
    class Known extends Careful {
      constructor(ctx: never, env: never) {
        super(ctx, env);
        objects.set(this.ctx.id.name!, this);
      }
    }
    const { env } = await testHost({ CAREFUL: Known });
    const stub = env.CAREFUL.getByName("a");
    const waiting = stub.viaPromise("b");
    await settle();
    const blocking = stub.block("1");
    await settle();
    objects.get("b")!.gate.resolve();
    await settle();
    expect(objects.get("a")!.log).toEqual(["1 begins"]);
    objects.get("a")!.gate.resolve();
    await Promise.all([waiting, blocking]);
    expect([...objects.get("a")!.log].sort()).toEqual([
      "1 begins",
      "1 ends",
      "1 is over",
      "answered",
    ]);
    expect(objects.get("a")!.log.indexOf("answered")).toBeGreaterThan(1);
  });

  it("has its writes written when it ends, whether anybody waits for them or not", async () => {
    const objects: Careful[] = [];
    class Known extends Careful {
      constructor(ctx: never, env: never) {
        super(ctx, env);
        objects.push(this);
      }
    }
    const disk = new FaultyStore();
    const host = await testHost({ CAREFUL: Known }, { store: disk });
    await host.env.CAREFUL.getByName("a").begin();
    const before = disk.written;
    objects[0]!.gate.resolve();
    await settle();
    expect(disk.written).toBe(before + 1);
  });

  it("gets the answers of the calls made in it, also inside of another", async () => {
    const { env } = await testHost({ CAREFUL: Careful });
    expect(await env.CAREFUL.getByName("a").nested("b")).toEqual(["inner", "outer"]);
  });

  it("fails a call that would wait for it, with the way it took", async () => {
    const { env } = await testHost({ CAREFUL: Careful });
    const stub = env.CAREFUL.getByName("a");
    const message = await stub.around("b");
    expect(message).toContain("CAREFUL/a -> CAREFUL/b -> CAREFUL/a");
    // Both go on.
    await stub.note("later");
    expect(await stub.read()).toEqual(["later"]);
  });

  it("may call what makes objects of its own, outside of any gate", async () => {
    class Target extends RpcTarget {
      answer(): number {
        return 42;
      }
    }
    class Asker extends DurableObject {
      ask(callback: () => unknown): Promise<unknown> {
        return this.ctx.blockConcurrencyWhile(() => callback());
      }
      own(): RpcStub<Target> {
        return new RpcStub(new Target());
      }
    }
    const { env } = await testHost({ ASKERS: Asker });
    const stub = env.ASKERS.getByName("a");
    const made = async (): Promise<number> => new RpcStub(new Target()).answer();
    expect(await stub.ask(made)).toBe(42);
    // What the object makes itself is the object's.
    expect(await stub.own().answer()).toBe(42);
  });

  it("answers a save as a call of its own", async () => {
    const runs: (string | undefined)[] = [];
    class Tokens extends MemoryTokenStore {
      override put(...entry: Parameters<MemoryTokenStore["put"]>): Promise<void> {
        runs.push(activationAt(currentOrigin())?.name);
        return super.put(...entry);
      }
    }
    const realm = new Realm({ store: new Tokens(), restore: () => null });
    class Saved extends DurableObject {
      keep(): void {
        realm.persistent(this, "me");
      }
    }
    const { env } = await testHost({ SAVED: Saved });
    const stub = env.SAVED.getByName("a");
    await stub.keep();
    const ref = await save(stub);
    expect(ref).toBeInstanceOf(SturdyRef);
    expect(runs).toEqual(["SAVED/a"]);
  });

  it("may call what calls back when it is over", async () => {
    const { env } = await testHost({ CAREFUL: Careful });
    expect(await env.CAREFUL.getByName("b").back("a")).toBe("was there");
    expect(await env.CAREFUL.getByName("a").read()).toEqual(["back"]);
  });
});

it("RpcError is what a stub of nothing gets", async () => {
  const { env } = await testHost({ COUNTERS: Counter });
  expect(() => env.COUNTERS.get("x" as never)).toThrow(RpcError);
});
