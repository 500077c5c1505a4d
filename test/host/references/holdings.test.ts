// Who holds whom, as the store knows it: exact after any writes, transactions and losses of power, and readable without activating.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  DurableObject,
  type Namespace,
  type ObjectState,
  openLmdbStore,
  type Store,
} from "../../../src/host.node.js";
import { heldByObject, holdersOfNode } from "../../../src/host/references/holdings.js";
import { FaultyStore } from "../../../src/host/storage/faulty-store.js";
import { ObjectKeys, namespaceBytes } from "../../../src/host/storage/keys.js";
import { MemoryStore } from "../../../src/host/storage/memory-store.js";
import { evict } from "../../../src/host/testing.js";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { reports, settle, testHost } from "../kit.js";
import { auditHoldings } from "./audit.js";

type Env = { THINGS: Namespace<Thing> };
type Code = (ctx: ObjectState, env: Env) => unknown;

class Thing extends DurableObject<Env> {
  static code: Code;
  run(): unknown {
    return Thing.code(this.ctx, this.env);
  }
}

async function things(store: Store) {
  const host = await testHost({ THINGS: Thing }, { store });
  return {
    host,
    keysOf: (name: string) =>
      new ObjectKeys(namespaceBytes("THINGS"), host.env.THINGS.idFromName(name)._bytes),
    async run(name: string, code: Code): Promise<void> {
      Thing.code = async (ctx, env) => void (await code(ctx, env));
      using stub = host.env.THINGS.getByName(name);
      await stub.run();
    },
    evict: (name: string) => evict(host.env.THINGS.getByName(name)),
  };
}

type Op =
  | { readonly type: "put"; readonly key: string; readonly to: readonly string[] }
  | { readonly type: "batch"; readonly puts: readonly (readonly [string, readonly string[]])[] }
  | { readonly type: "delete"; readonly keys: readonly string[] }
  | { readonly type: "deleteAll" }
  | {
      readonly type: "transaction";
      readonly puts: readonly (readonly [string, readonly string[]])[];
      readonly end: "commit" | "rollback" | "throw";
    };

type Step =
  | {
      readonly type: "object";
      readonly name: string;
      readonly ops: readonly Op[];
      readonly pause: boolean;
    }
  | { readonly type: "evict"; readonly name: string }
  | { readonly type: "remove"; readonly name: string }
  | {
      readonly type: "crash";
      readonly lucky: number;
      readonly commits: boolean;
      readonly before: readonly Op[];
      readonly name: string;
    };

const name = fc.constantFrom("a", "b", "c", "d");
const key = fc.constantFrom("k1", "k2", "k3", "k4");
/** Who is held by a value: `*` is the namespace, `-` a value of which nobody is. */
const targets = fc.array(fc.constantFrom("a", "b", "c", "d", "a", "b", "*"), { maxLength: 3 });
const puts = fc.array(fc.tuple(key, targets), { minLength: 1, maxLength: 3 });
const op: fc.Arbitrary<Op> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ type: fc.constant("put" as const), key, to: targets }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant("batch" as const), puts }) },
  {
    weight: 3,
    arbitrary: fc.record({
      type: fc.constant("delete" as const),
      keys: fc.array(key, { minLength: 1, maxLength: 2 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("deleteAll" as const) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      type: fc.constant("transaction" as const),
      puts,
      end: fc.constantFrom(
        "commit" as const,
        "commit" as const,
        "rollback" as const,
        "throw" as const,
      ),
    }),
  },
);
const ops = fc.array(op, { minLength: 1, maxLength: 5 });
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({ type: fc.constant("object" as const), name, ops, pause: fc.boolean() }),
  },
  { weight: 2, arbitrary: fc.record({ type: fc.constant("evict" as const), name }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("remove" as const), name }) },
  {
    weight: 2,
    arbitrary: fc.record({
      type: fc.constant("crash" as const),
      lucky: fc.nat(3),
      commits: fc.boolean(),
      before: ops,
      name,
    }),
  },
);

async function perform(op: Op, { storage }: ObjectState, env: Env): Promise<void> {
  const valueOf = (to: readonly string[]): unknown =>
    to.length === 0
      ? "nobody"
      : { to: to.map((one) => (one === "*" ? env.THINGS : env.THINGS.getByName(one))) };
  const entriesOf = (all: readonly (readonly [string, readonly string[]])[]) =>
    Object.fromEntries(all.map(([key, to]) => [key, valueOf(to)]));
  switch (op.type) {
    case "put":
      return storage.put(op.key, valueOf(op.to));
    case "batch":
      return storage.put(entriesOf(op.puts));
    case "delete":
      await storage.delete(op.keys);
      return;
    case "deleteAll":
      return storage.deleteAll();
    case "transaction":
      await storage
        .transaction(async (txn) => {
          void txn.put(entriesOf(op.puts));
          await Promise.resolve();
          if (op.end === "rollback") txn.rollback();
          if (op.end === "throw") throw new Error("undone");
        })
        .catch((thrown: Error) => expect(thrown.message).toBe("undone"));
  }
}

const performAll =
  (ops: readonly Op[], pause: boolean): Code =>
  async (ctx, env) => {
    for (const one of ops) {
      const done = perform(one, ctx, env);
      if (pause) await done;
    }
  };

describe("who holds whom", () => {
  it("is what the values say, after any writes and losses of power", async () => {
    const seen = { steps: 0, crashes: 0, removed: 0, pairs: 0, holding: 0 };
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 12 }), async (steps) => {
        let disk = new FaultyStore();
        let all = await things(disk);
        const removed = new Set<string>();
        for (const one of steps) {
          seen.steps++;
          if (removed.has(one.name)) continue;
          if (one.type === "object") await all.run(one.name, performAll(one.ops, one.pause));
          else if (one.type === "evict") await all.evict(one.name);
          else if (one.type === "remove") {
            removed.add(one.name);
            await all.host.delete("THINGS", all.host.env.THINGS.idFromName(one.name));
            seen.removed++;
          } else {
            disk.hold = { flushes: true, commits: one.commits };
            const lost = all.run(one.name, performAll(one.before, true)).catch(() => {});
            await settle(10);
            const after = disk.crash(one.lucky);
            disk.hold = {};
            disk.commit();
            disk.flush();
            await lost;
            await auditHoldings(after);
            await all.host.close();
            disk = after;
            all = await things(disk);
            seen.crashes++;
          }
        }
        await all.host.close();
        const { pairs, holding } = await auditHoldings(disk.crash());
        seen.pairs += pairs;
        seen.holding += holding;
        reports.splice(0);
      }),
      { numRuns: 150 },
    );
    expect(Math.min(...Object.values(seen)), JSON.stringify(seen)).toBeGreaterThan(20);
  });

  it("is read without activating anybody, in both directions", async () => {
    const store = new MemoryStore();
    const { host, run, keysOf } = await things(store);
    await run("a", ({ storage }, { THINGS }) =>
      storage.put({
        one: THINGS.getByName("b"),
        // Twice in one value is once.
        two: [THINGS.getByName("b"), THINGS.getByName("b"), THINGS.getByName("c")],
      }),
    );
    await run("b", ({ storage }, { THINGS }) =>
      storage.put("c", { THINGS, c: THINGS.getByName("c") }),
    );
    for (const name of ["a", "b"]) await evict(host.env.THINGS.getByName(name));
    const idOf = (name: string) => host.env.THINGS.idFromName(name)._bytes;
    const node = (name: string | null) => ({ namespace: "THINGS", id: name && idOf(name) });
    const sorted = <T extends { count: number }>(held: T[]) =>
      held.sort((a, b) => a.count - b.count);
    expect(sorted(await heldByObject(store, keysOf("a")))).toEqual([
      { node: node("c"), count: 1 },
      { node: node("b"), count: 2 },
    ]);
    expect(await holdersOfNode(store, keysOf("b").node)).toEqual([{ node: node("a"), count: 2 }]);
    expect(await holdersOfNode(store, keysOf("c").node)).toHaveLength(2);
    expect(await heldByObject(store, keysOf("b"))).toContainEqual({ node: node(null), count: 1 });
    expect(host.activeObjects).toBe(0);
  });

  it("costs nothing where nobody is held: not a look at what was there", async () => {
    const store = new FaultyStore();
    let derived = 0;
    const write = store.write.bind(store);
    store.write = (writes) => {
      derived += writes.filter((one) => "derive" in one).length;
      return write(writes);
    };
    const { run, evict } = await things(store);
    derived = 0;
    const plain: Code = async ({ storage }) => {
      for (let i = 0; i < 10; i++) await storage.put(`k${i}`, i);
      await storage.delete(["k1", "k2"]);
      await storage.deleteAll();
      await storage.put("k", 1);
    };
    await run("a", plain);
    await evict("a");
    await run("a", plain);
    expect(derived).toBe(0);
    await run("a", ({ storage }, { THINGS }) => storage.put("held", THINGS.getByName("b")));
    expect(derived).toBe(1);
    await evict("a");
    await run("a", ({ storage }) => storage.put("k", 2));
    expect(derived).toBe(1);
    await run("a", ({ storage }) => storage.put("held", 2));
    expect(derived).toBe(2);
    await run("a", ({ storage }) => storage.put("held", 3));
    expect(derived).toBe(2);
    await run("a", ({ storage }, { THINGS }) => storage.put("held", THINGS.getByName("b")));
    await run("a", ({ storage }) => storage.deleteAll());
    expect(derived).toBe(4);
    await run("a", ({ storage }) => storage.put("held", 4));
    expect(derived).toBe(4);
  });

  it("is exact where there are more values that hold somebody than an activation knows", async () => {
    const store = new FaultyStore();
    const { run, evict } = await things(store);
    const many = 300;
    const fill: Code = async ({ storage }, { THINGS }) => {
      for (let i = 0; i < many; i += 100)
        await storage.put(
          Object.fromEntries(
            Array.from({ length: 100 }, (_, j) => [`k${i + j}`, THINGS.getByName("b")]),
          ),
        );
    };
    await run("a", fill);
    await evict("a");
    await run("a", ({ storage }) => storage.put({ k7: 1, k250: 2, new: 3 }));
    await run("a", ({ storage }) => storage.delete(["k8", "none"]));
    expect(await auditHoldings(store)).toEqual({ holding: many - 3, pairs: 1 });
    await evict("a");
    await run("a", ({ storage }) => storage.deleteAll());
    expect(await auditHoldings(store)).toEqual({ holding: 0, pairs: 0 });
  });

  it("is exact on a disk, where objects write at once", async () => {
    const directory = fs.mkdtempSync(path.join(os.tmpdir(), "capstan-holdings-"));
    try {
      const { host, run } = await things(await openLmdbStore(directory));
      Thing.code = async ({ storage }, { THINGS }) => {
        for (let i = 0; i < 20; i++)
          void storage.put(
            `k${i % 7}`,
            i % 3 === 0 ? i : [THINGS.getByName("x"), THINGS.getByName(`y${i % 4}`)],
          );
        await storage.delete("k1");
      };
      await Promise.all(
        Array.from({ length: 10 }, (_, i) => host.env.THINGS.getByName(`o${i}`).run()),
      );
      await run("o3", ({ storage }) => storage.deleteAll());
      await host.close();
      const store = await openLmdbStore(directory);
      const { holding } = await auditHoldings(store);
      expect(holding).toBeGreaterThan(20);
      await store.close();
    } finally {
      fs.rmSync(directory, { recursive: true, force: true });
    }
  });
});
