// ctx.storage as an object uses it: what is read, written, listed; order, atomicity, transactions, bounds, refusals.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DurableObject, type Host, type ObjectStorage } from "../../../src/host.node.js";
import { FaultyStore } from "../../../src/host/storage/faulty-store.js";
import { MemoryStore } from "../../../src/host/storage/memory-store.js";
import { evict } from "../../../src/host/testing.js";
import { RpcError, ValueTypes, valueCodec } from "../../../src/index.js";
import { difference } from "../../support/difference.js";
import { settle, testHost, type TestHostOptions } from "../kit.js";

/** Runs code of a test inside of an object. */
class Bench extends DurableObject {
  static code: (storage: ObjectStorage) => unknown;
  run(): unknown {
    return Bench.code(this.ctx.storage);
  }
}

type Code<T> = (storage: ObjectStorage) => Promise<T> | T;

interface BenchHost {
  readonly host: Host<{ BENCH: typeof Bench }>;
  run<T>(code: Code<T>, name?: string): Promise<T>;
  evict(name?: string): Promise<void>;
}

async function bench(options: TestHostOptions = {}): Promise<BenchHost> {
  const host = await testHost({ BENCH: Bench }, options);
  return {
    host,
    async run<T>(code: Code<T>, name = "a"): Promise<T> {
      let value!: T;
      let failure: { thrown: unknown } | null = null;
      Bench.code = async (storage) => {
        try {
          value = await code(storage);
        } catch (thrown) {
          failure = { thrown };
        }
      };
      await host.env.BENCH.getByName(name).run();
      if (failure !== null) throw (failure as { thrown: unknown }).thrown;
      return value;
    },
    async evict(name = "a") {
      await evict(host.env.BENCH.getByName(name));
    },
  };
}

describe("values", () => {
  it("are read as they were written, from the cache, from what is under way and from the store", async () => {
    const { run, evict } = await bench();
    const value = {
      map: new Map<unknown, unknown>([["a", new Set([1n, undefined, -0])]]),
      date: new Date(5),
      bytes: Uint8Array.of(1, 2),
      error: new RangeError("no"),
      text: "\ud800",
      holes: [1, , 3], // eslint-disable-line no-sparse-arrays
    };
    const cyclic: { self?: unknown; value: unknown } = { value };
    cyclic.self = cyclic;
    await run(async (storage) => {
      void storage.put("v", cyclic);
      expect(difference(await storage.get("v"), cyclic)).toBeNull();
    });
    await run(async (storage) => expect(difference(await storage.get("v"), cyclic)).toBeNull());
    await evict();
    await run(async (storage) => expect(difference(await storage.get("v"), cyclic)).toBeNull());
  });

  it("keep the stacks of errors", async () => {
    const { run, evict } = await bench();
    const error = new RangeError("no");
    await run((storage) => storage.put("v", { error }));
    await evict();
    const stored = (await run((storage) => storage.get("v"))) as { error: RangeError };
    expect(stored.error.stack).toBe(error.stack);
    expect(stored.error.message).toBe("no");
  });

  it("are taken as they are when they are put, and each reader has its own", async () => {
    const { run } = await bench();
    await run(async (storage) => {
      const value = { list: [1] };
      void storage.put("v", value);
      value.list.push(2);
      const read = (await storage.get<typeof value>("v"))!;
      read.list.push(3);
      expect(await storage.get("v")).toEqual({ list: [1] });
    });
  });

  it("of registered classes are stored as such", async () => {
    class Money {
      readonly cents: bigint;
      constructor(cents: bigint) {
        this.cents = cents;
      }
    }
    const money = valueCodec({
      name: "Money",
      class: Money,
      encode: (m) => m.cents,
      decode: (c) => new Money(c as bigint),
    });
    const { run } = await bench({ types: new ValueTypes({ codecs: [money] }) });
    await run(async (storage) => {
      void storage.put("m", { price: new Money(5n) });
      expect((await storage.get<{ price: Money }>("m"))!.price).toBeInstanceOf(Money);
    });
  });

  it("that cannot be stored are refused with their path, before anything changes", async () => {
    const { run } = await bench();
    await run(async (storage) => {
      void storage.put("old", 1);
      class Socket {}
      for (const [value, message] of [
        [{ list: [() => 1] }, 'the value of "new".list[0] cannot be stored: it is a function'],
        [{ at: Promise.resolve(1) }, 'the value of "new".at cannot be stored: it is a promise'],
        [new Socket(), 'the value of "new" cannot be stored: it is an instance of Socket'],
        [Symbol("s"), "cannot be stored: a symbol"],
        [new ReadableStream(), "cannot be stored"],
      ] as const) {
        const error = await storage.put({ old: 2, new: value }).catch((thrown: unknown) => thrown);
        expect(error).toBeInstanceOf(RpcError);
        expect((error as RpcError).code).toBe("unstorable-value");
        expect((error as RpcError).message).toContain(message);
      }
      await expect(storage.put("new", undefined)).rejects.toThrow(/is undefined: use delete/);
      expect([...(await storage.list())]).toEqual([["old", 1]]);
    });
  });

  it("that are too big, and keys that are, are refused with what is allowed", async () => {
    const { run } = await bench({ limits: { valueBytes: 10_000 } });
    await run(async (storage) => {
      await storage.put("k".repeat(2048), "longest");
      await storage.put("v", new Uint8Array(9900));
      await expect(storage.put("v", new Uint8Array(10_001))).rejects.toMatchObject({
        code: "limit-exceeded",
        message: expect.stringContaining("bytes is 10000") as string,
      });
      await expect(storage.get("k".repeat(2049))).rejects.toThrow(/at most 2048 bytes.*2049/);
      await expect(storage.put("é".repeat(1025), 1)).rejects.toThrow(/2048 bytes.*2050/);
      await expect(storage.put("k".repeat(10 << 20), 1)).rejects.toThrow(
        /"k{32}\.\.\." has at least 10485760/,
      );
      await expect(storage.put("\ud800", 1)).rejects.toThrow(/half of a surrogate pair/);
      await expect(storage.get(undefined as never)).rejects.toThrow(/not undefined/);
      await expect(storage.get({} as never)).rejects.toThrow(/not object/);
      await storage.put(7 as never, "seven");
      expect(await storage.get("7")).toBe("seven");
    });
  });
});

describe("several at once", () => {
  it("come as a Map of those that are there, in the order of their keys", async () => {
    const { run } = await bench();
    await run(async (storage) => {
      await storage.put({ b: 2, a: 1, c: 3 });
      expect([...(await storage.get(["c", "x", "a"]))]).toEqual([
        ["a", 1],
        ["c", 3],
      ]);
      expect(await storage.delete(["a", "x", "c"])).toBe(2);
      expect([await storage.delete("b"), await storage.delete("b")]).toEqual([true, false]);
    });
  });

  it("are at most 128", async () => {
    const { run } = await bench();
    const keys = (count: number): string[] => Array.from({ length: count }, (_, i) => `k${i}`);
    await run(async (storage) => {
      const entries = Object.fromEntries(keys(129).map((key) => [key, 1]));
      await expect(storage.put(entries)).rejects.toThrow(/at most 128 keys, not 129/);
      await expect(storage.get(keys(129))).rejects.toThrow(/128/);
      await expect(storage.delete(keys(129))).rejects.toThrow(/128/);
      delete entries["k128"];
      await storage.put(entries);
      expect((await storage.get(keys(128))).size).toBe(128);
      expect(await storage.delete(keys(128))).toBe(128);
    });
  });
});

describe("a list", () => {
  const keysOf = async (
    storage: ObjectStorage,
    options?: Parameters<ObjectStorage["list"]>[0],
  ): Promise<string[]> => [...(await storage.list(options)).keys()];

  it("has ranges, prefixes, directions and limits", async () => {
    const { run } = await bench();
    await run(async (storage) => {
      await storage.put({ a: 1, b: 2, ba: 3, bb: 4, c: 5 });
      expect(await keysOf(storage, { start: "b" })).toEqual(["b", "ba", "bb", "c"]);
      expect(await keysOf(storage, { startAfter: "b" })).toEqual(["ba", "bb", "c"]);
      expect(await keysOf(storage, { end: "bb" })).toEqual(["a", "b", "ba"]);
      expect(await keysOf(storage, { prefix: "b" })).toEqual(["b", "ba", "bb"]);
      expect(await keysOf(storage, { prefix: "b", start: "ba", end: "bb" })).toEqual(["ba"]);
      expect(await keysOf(storage, { prefix: "b", reverse: true, limit: 2 })).toEqual(["bb", "ba"]);
      expect(await keysOf(storage, { limit: 1 })).toEqual(["a"]);
      await expect(storage.list({ start: "a", startAfter: "a" })).rejects.toThrow(/exclude/);
      await expect(storage.list({ limit: 0 })).rejects.toThrow(/limit/);
    });
  });

  it("is in the order of UTF-8, which is not that of JavaScript", async () => {
    const { run, evict } = await bench();
    const keys = ["z", "\u{10000}", "\uffff", "é"];
    expect([...keys].sort()).not.toEqual(["z", "é", "\uffff", "\u{10000}"]);
    await run(async (storage) => {
      for (const key of keys) void storage.put(key, 1);
      expect(await keysOf(storage)).toEqual(["z", "é", "\uffff", "\u{10000}"]);
    });
    await evict();
    await run(async (storage) =>
      expect(await keysOf(storage)).toEqual(["z", "é", "\uffff", "\u{10000}"]),
    );
  });

  it("shows what is under way, and nothing of another object", async () => {
    const disk = new FaultyStore();
    const { run } = await bench({ store: disk });
    await run((storage) => storage.put({ a: 1, b: 1, c: 1 }));
    await run((storage) => storage.put("other", 1), "b");
    await run(async (storage) => {
      void storage.delete("b");
      void storage.put("bb", 2);
      void storage.put("c", 3);
      expect([...(await storage.list())]).toEqual([
        ["a", 1],
        ["bb", 2],
        ["c", 3],
      ]);
      expect(await keysOf(storage, { limit: 2 })).toEqual(["a", "bb"]);
      expect(await keysOf(storage, { reverse: true, limit: 2 })).toEqual(["c", "bb"]);
    });
  });

  it("is what a map would be, in random programs, with evictions in between", async () => {
    const key = fc.constantFrom("a", "aa", "ab", "b", "\uffff", "\u{10000}", "z");
    const operation = fc.oneof(
      fc.record({ what: fc.constant("put" as const), key, value: fc.nat(9) }),
      fc.record({ what: fc.constant("delete" as const), key }),
      fc.record({ what: fc.constant("clear" as const) }),
      fc.record({
        what: fc.constant("list" as const),
        start: fc.option(key, { nil: undefined }),
        end: fc.option(key, { nil: undefined }),
        prefix: fc.option(fc.constantFrom("a", "z"), { nil: undefined }),
        reverse: fc.boolean(),
        limit: fc.option(fc.integer({ min: 1, max: 4 }), { nil: undefined }),
      }),
      fc.record({ what: fc.constant("get" as const), key }),
      fc.record({ what: fc.constant("pause" as const), turns: fc.nat(3) }),
    );
    const order = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(operation, { maxLength: 12 }), { maxLength: 4 }),
        fc.boolean(),
        async (visits, slow) => {
          const store = new FaultyStore();
          const { run, evict, host } = await bench({ store, limits: { cacheBytes: 500 } });
          const model = new Map<string, number>();
          for (const visit of visits) {
            store.hold = slow ? { reads: true, commits: true } : {};
            const go = setInterval(() => {
              store.releaseReads();
              store.commit(1);
            }, 0);
            await run(async (storage) => {
              for (const one of visit) {
                if (one.what === "put") {
                  void storage.put(one.key, one.value);
                  model.set(one.key, one.value);
                } else if (one.what === "delete") {
                  const there = model.delete(one.key);
                  expect(await storage.delete(one.key)).toBe(there);
                } else if (one.what === "clear") {
                  void storage.deleteAll();
                  model.clear();
                } else if (one.what === "get")
                  expect(await storage.get(one.key)).toBe(model.get(one.key));
                else if (one.what === "pause") await settle(one.turns);
                else {
                  const { start, end, prefix = "", reverse, limit } = one;
                  const expected = [...model]
                    .filter(([key]) => key.startsWith(prefix))
                    .filter(([key]) => start === undefined || order(key, start) >= 0)
                    .filter(([key]) => end === undefined || order(key, end) < 0)
                    .sort(([a], [b]) => order(a, b) * (reverse ? -1 : 1))
                    .slice(0, limit);
                  const options = { start, end, prefix, reverse, limit };
                  expect([...(await storage.list(options))]).toEqual(expected);
                }
              }
            });
            clearInterval(go);
            store.hold = {};
            store.releaseReads();
            store.commit();
            await evict();
          }
          await host.close();
        },
      ),
      { numRuns: 60, seed: 5 },
    );
  });
});

describe("writes", () => {
  it("with no await between them are one transaction; others are committed in their order", async () => {
    const disk = new FaultyStore();
    const { run } = await bench({ store: disk });
    await run(() => undefined);
    const before = disk.written;
    await run(async (storage) => {
      void storage.put("a", 1);
      void storage.delete("b");
      void storage.setAlarm(Date.now() + 1e6);
      void storage.put("c", 1);
      await Promise.resolve();
    });
    expect(disk.written - before).toBe(1);
    disk.hold = { commits: true, flushes: true };
    const writing = run(async (storage) => {
      for (let i = 0; i < 5; i++) {
        void storage.put("n", i);
        void storage.put(`k${i}`, i);
        await new Promise((resolve) => setImmediate(resolve));
      }
    });
    await settle();
    expect(disk.pending.uncommitted).toBe(5);
    // Each of them is there with its other half, whenever the power fails.
    for (let i = 0; i < 5; i++) {
      disk.commit(1);
      disk.flush();
      const after = await bench({ store: disk.crash() });
      await after.run(async (storage) => {
        expect(await storage.get("n")).toBe(i);
        expect((await storage.list({ prefix: "k" })).size).toBe(i + 1);
      });
    }
    await writing;
  });

  it("make no reply wait longer for the cache's sake, but writers, over its bound", async () => {
    const disk = new FaultyStore();
    const { run } = await bench({ store: disk, limits: { cacheBytes: 10_000 } });
    await run(() => undefined);
    disk.hold = { commits: true, flushes: true };
    let done = 0;
    const writing = run(async (storage) => {
      for (let i = 0; i < 10; i++) {
        await storage.put(`k${i}`, new Uint8Array(3000));
        done++;
      }
    });
    await settle();
    expect(done).toBe(3);
    disk.hold = {};
    disk.commit();
    await writing;
    expect(done).toBe(10);
  });

  it("make nobody wait in a critical section, which keeps them back as a whole", async () => {
    const disk = new FaultyStore();
    const { run } = await bench({ store: disk, limits: { cacheBytes: 10_000 } });
    await run(() => undefined);
    const before = disk.written;
    await run((storage) =>
      storage.transaction(async () => {
        for (let i = 0; i < 10; i++) await storage.put(`k${i}`, new Uint8Array(3000));
        expect(disk.written).toBe(before);
      }),
    );
    expect(disk.written).toBe(before + 1);
  });

  it("are all on the disk when sync resolves", async () => {
    const disk = new FaultyStore();
    const { run } = await bench({ store: disk });
    await run(() => undefined);
    disk.hold = { flushes: true };
    let synced = false;
    const syncing = run(async (storage) => {
      void storage.put("a", 1, { allowUnconfirmed: true });
      await storage.sync();
      synced = true;
    });
    await settle();
    expect(synced).toBe(false);
    disk.flush();
    await syncing;
    expect(synced).toBe(true);
  });

  it("are not hidden by earlier ones that are committed while they are under way", async () => {
    const disk = new FaultyStore();
    const { run } = await bench({ store: disk });
    await run(() => undefined);
    disk.hold = { commits: true };
    const turn = (): Promise<void> => settle(1);
    const seen = run(async (storage) => {
      void storage.put({ a: 1, b: 1 });
      await turn();
      void storage.put("a", 2);
      void storage.delete("b");
      await turn();
      disk.commit(1);
      await turn();
      const reads = [await storage.get("a"), await storage.get("b"), (await storage.list()).size];
      disk.hold = {};
      disk.commit();
      await turn();
      return [...reads, await storage.get("a")];
    });
    expect(await seen).toEqual([2, undefined, 1, 2]);
  });

  it("are not hidden by what was read before them and comes later", async () => {
    const disk = new FaultyStore();
    const { run, evict } = await bench({ store: disk });
    await run((storage) => storage.put("a", 1));
    await evict();
    await run(() => undefined);
    disk.hold = { reads: true };
    const both = run(async (storage) => {
      const before = storage.get("a", { allowConcurrency: true });
      void storage.put("a", 2);
      await storage.sync();
      disk.hold = {};
      disk.releaseReads();
      return [await before, await storage.get("a")];
    });
    expect(await both).toEqual([1, 2]);
  });

  it("are remembered, unless noCache says otherwise", async () => {
    const disk = new FaultyStore();
    const { run } = await bench({ store: disk });
    await run((storage) => {
      void storage.put("kept", 1);
      void storage.put("not", 1, { noCache: true });
    });
    disk.hold = { reads: true };
    await run(async (storage) => expect(await storage.get("kept")).toBe(1));
    const reading = run((storage) => storage.get("not"));
    await settle();
    expect(disk.pendingReads).toBe(1);
    disk.hold = {};
    disk.releaseReads();
    expect(await reading).toBe(1);
  });

  it("deleteAll takes everything, the alarm too, and keeps what comes after", async () => {
    const store = new MemoryStore();
    const { run, evict } = await bench({ store });
    await run(() => undefined);
    const { size } = store;
    await run(async (storage) => {
      void storage.put("a", 1);
      void storage.setAlarm(Date.now() + 1e6);
      await storage.sync();
      void storage.put("b", 1);
      void storage.deleteAll();
      expect([await storage.get("a"), await storage.get("b"), await storage.getAlarm()]).toEqual([
        undefined,
        undefined,
        null,
      ]);
      void storage.put("c", 1);
      expect([...(await storage.list()).keys()]).toEqual(["c"]);
    });
    expect(store.size).toBe(size + 1);
    await evict();
    await run(async (storage) => expect([...(await storage.list()).keys()]).toEqual(["c"]));
  });
});

describe("a transaction", () => {
  it("is there as a whole, and its reads see its writes", async () => {
    const disk = new FaultyStore();
    const { run } = await bench({ store: disk });
    await run((storage) => storage.put({ a: 1, b: 1 }));
    const before = disk.written;
    await run(async (storage) => {
      const result = await storage.transaction(async (txn) => {
        void txn.put("a", 2);
        await new Promise((resolve) => setImmediate(resolve));
        void txn.delete("b");
        void txn.put("c", 3);
        void txn.setAlarm(5e12);
        expect(await txn.get("a")).toBe(2);
        expect([...(await txn.list()).keys()]).toEqual(["a", "c"]);
        expect(await txn.getAlarm()).toBe(5e12);
        expect([await storage.get("a"), await storage.getAlarm()]).toEqual([1, null]);
        return "done";
      });
      expect(result).toBe("done");
      expect([...(await storage.list())]).toEqual([
        ["a", 2],
        ["c", 3],
      ]);
      expect(await storage.getAlarm()).toBe(5e12);
    });
    expect(disk.written - before).toBe(1);
  });

  it("that throws, or rolls back, has written nothing, and the object goes on", async () => {
    const { run } = await bench();
    await run(async (storage) => {
      void storage.put("a", 1);
      await expect(
        storage.transaction((txn) => {
          void txn.put("a", 2);
          throw new RangeError("no");
        }),
      ).rejects.toThrow(RangeError);
      await storage.transaction(async (txn) => {
        void txn.put("a", 3);
        txn.rollback();
        await expect(txn.put("a", 4)).rejects.toThrow(/rolled back/);
      });
      expect(await storage.get("a")).toBe(1);
      let escaped: { put(key: string, value: unknown): Promise<void> } | undefined;
      await storage.transaction((txn) => void (escaped = txn));
      await expect(escaped!.put("a", 5)).rejects.toThrow(/is over/);
    });
    await run(async (storage) => expect(await storage.get("a")).toBe(1));
  });

  it("has nothing of the object in between", async () => {
    const { run } = await bench();
    const add = async (storage: ObjectStorage): Promise<void> =>
      storage.transaction(async (txn) => {
        const count = (await txn.get<number>("n")) ?? 0;
        await new Promise((resolve) => setImmediate(resolve));
        void txn.put("n", count + 1);
      });
    await run((storage) => Promise.all([add(storage), add(storage), add(storage)]));
    expect(await run((storage) => storage.get("n"))).toBe(3);
  });
});

it("has neither sql nor transactionSync, and says what to use", async () => {
  const { run } = await bench();
  await run((storage) => {
    expect(() => storage.sql).toThrow(/storage\.sql is not part.*get, put and list/);
    expect(() => storage.transactionSync()).toThrow(/use transaction/);
  });
});
