// The token store in a host's store: in memory and on a disk.

import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { expect, it } from "vitest";
import { MemoryStore, openLmdbStore, type Store } from "../../../src/host.node.js";
import { LiveRoots } from "../../../src/host/collect/live-roots.js";
import { SavedStore } from "../../../src/host/references/saved-store.js";
import { FaultyStore } from "../../../src/host/storage/faulty-store.js";
import { namespaceBytes, nodeOf } from "../../../src/host/storage/keys.js";
import { describeTokenStore } from "../../suites/token-store.js";
import { settle } from "../kit.js";
import { auditHoldings } from "./audit.js";

const ALL = { from: new Uint8Array(), to: Uint8Array.of(0xff) };
/** As if each record led to two objects, of which its first byte says which. */
const leads = (record: Uint8Array) =>
  [0, 1].map((n) =>
    nodeOf(namespaceBytes("N"), new Uint8Array(32).fill(1 + n + ((record[0] ?? 0) % 4))),
  );
const over = (store: Store, most = 10_000) => new SavedStore(store, leads, most, new LiveRoots([]));

describeTokenStore({
  name: "a SavedStore in memory",
  durable: false,
  open: async () => {
    const store = new MemoryStore();
    return { store: over(store), close: () => audited(store) };
  },
});

describeTokenStore({
  name: "a SavedStore in LMDB",
  durable: true,
  open: async () => {
    const directory = fs.mkdtempSync(path.join(os.tmpdir(), "capstan-saved-"));
    let store = await openLmdbStore(directory);
    return {
      store: over(store),
      async reopen() {
        await store.close();
        store = await openLmdbStore(directory);
        return over(store);
      },
      async close() {
        await audited(store);
        await store.close();
        fs.rmSync(directory, { recursive: true, force: true });
      },
    };
  },
});

/** Every test ends with tables that agree: the entries, their two indexes, their number, and whom they hold. */
async function audited(store: Store): Promise<void> {
  const saved = over(store);
  const entries = new Map<string, Awaited<ReturnType<typeof saved.get>>>();
  for await (const [key, entry] of saved.list()) entries.set(key, entry);
  const rows = (await store.range(ALL)).filter(({ key }) => key[0] === 4);
  const count = (table: number) => rows.filter(({ key }) => key[1] === table).length;
  expect(count(1)).toBe(entries.size);
  expect(count(2)).toBe([...entries.values()].filter((entry) => entry!.owner !== null).length);
  expect(count(3)).toBe([...entries.values()].filter((entry) => entry!.expires !== null).length);
  const number = rows.find(({ key }) => key[1] === 4)?.value;
  expect(number === undefined ? 0 : Buffer.from(number).readUInt32BE()).toBe(entries.size);
  expect((await auditHoldings(store)).pairs).toBe(entries.size * 2);
}

const key = (n: number): string => n.toString(16).padStart(64, "0");
const entry = { record: Uint8Array.of(1), owner: null, expires: null };

it("a SavedStore holds no more than it was told to, over restarts", async () => {
  const store = new MemoryStore();
  await over(store, 2).put(key(1), entry);
  await over(store, 2).put(key(2), entry);
  await expect(over(store, 2).put(key(3), entry)).rejects.toMatchObject({
    code: "limit-exceeded",
    type: "overloaded",
  });
  await over(store, 2).put(key(2), entry);
  await over(store, 2).delete(key(1));
  await over(store, 2).put(key(3), entry);
  await audited(store);
});

it("a SavedStore refuses to keep what is no hash, and promises no more than the disk has", async () => {
  const disk = new FaultyStore();
  const saved = over(disk);
  await expect(saved.put("a", entry)).rejects.toMatchObject({ code: "invalid-argument" });
  disk.hold = { flushes: true };
  let done = false;
  const put = saved.put(key(1), { ...entry, owner: "a", expires: 5 }).then(() => (done = true));
  await settle();
  expect(done).toBe(false);
  expect(await over(disk.crash()).get(key(1))).toBeUndefined();
  disk.flush();
  await put;
  await audited(disk.crash());
  disk.hold = {};
  disk.commitFailure = new Error("ENOSPC");
  await expect(saved.put(key(2), entry)).rejects.toMatchObject({ code: "storage-full" });
});
