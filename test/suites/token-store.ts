// What every token store must do, whatever it keeps its entries in. A kind of store brings a way to open one.

import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { TokenEntry, TokenStore } from "../../src/persist.js";

export interface OpenStore {
  readonly store: TokenStore;
  /** Closes it and opens it anew, as after the end of a process; only where entries outlive that. */
  reopen?(): Promise<TokenStore>;
  close?(): Promise<void> | void;
}

/** A key of 64 hexadecimal digits. */
const key = (n: number): string => n.toString(16).padStart(64, "0");
const ALICE = "a".repeat(64);
const BOB = "b".repeat(64);

const entry = (
  n: number,
  owner: string | null = null,
  expires: number | null = null,
): TokenEntry => ({
  record: Uint8Array.of(n & 0xff, n >> 8, 1, 2, 3),
  owner,
  expires,
});

async function all(store: TokenStore, owner?: string): Promise<Map<string, TokenEntry>> {
  const found = new Map<string, TokenEntry>();
  for await (const [id, one] of store.list(owner)) {
    expect(found.has(id), "listed twice").toBe(false);
    found.set(id, one);
  }
  return found;
}

/** What a store cannot do is no test of it: not one skipped. */
export interface TokenStoreKind {
  readonly name: string;
  /** Whether entries outlive the process: then its stores can be reopened. */
  readonly durable: boolean;
  /** An empty store. */
  open(): Promise<OpenStore>;
}

/** @example describeTokenStore({ name: "a MemoryTokenStore", durable: false, open: async () => ({ store: new MemoryTokenStore() }) }) */
export function describeTokenStore({ name, durable, open }: TokenStoreKind): void {
  describe(name, () => {
    let opened: OpenStore;
    let store: TokenStore;
    beforeEach(async () => {
      opened = await open();
      store = opened.store;
    });
    afterEach(() => opened.close?.());

    it("is empty at first", async () => {
      expect(await store.get(key(1))).toBeUndefined();
      expect(await store.delete(key(1))).toBe(false);
      expect(await store.deleteOwned(ALICE)).toBe(0);
      expect(await store.deleteExpired(Number.MAX_SAFE_INTEGER)).toBe(0);
      expect([...(await all(store))]).toEqual([]);
    });

    it("gives back what was put, by its key alone", async () => {
      const entries = [
        entry(1),
        entry(2, ALICE),
        entry(3, null, 5),
        entry(4, BOB, 2 ** 45),
        { record: new Uint8Array(0), owner: null, expires: 0 },
        { record: Uint8Array.from({ length: 5000 }, (_, i) => i), owner: ALICE, expires: null },
      ];
      for (const [i, one] of entries.entries()) await store.put(key(i), one);
      for (const [i, one] of entries.entries()) expect(await store.get(key(i))).toEqual(one);
      for (const near of [key(16), key(0).slice(1), `${key(0)}0`, key(0).toUpperCase() + " "])
        expect(await store.get(near)).toBeUndefined();
    });

    it("keeps copies, and gives copies", async () => {
      const mine = entry(1);
      await store.put(key(1), mine);
      mine.record.fill(9);
      const got = await store.get(key(1));
      expect(got).toEqual(entry(1));
      got!.record.fill(9);
      for (const one of (await all(store)).values()) one.record.fill(9);
      expect(await store.get(key(1))).toEqual(entry(1));
    });

    it("replaces an entry, its owner and its time too", async () => {
      await store.put(key(1), entry(1, ALICE, 10));
      await store.put(key(1), entry(2, BOB));
      expect(await store.get(key(1))).toEqual(entry(2, BOB));
      expect(await store.deleteOwned(ALICE)).toBe(0);
      expect(await store.deleteExpired(10)).toBe(0);
      expect([...(await all(store, BOB)).keys()]).toEqual([key(1)]);
      expect((await all(store, ALICE)).size).toBe(0);
    });

    it("deletes one, once", async () => {
      await store.put(key(1), entry(1, ALICE));
      await store.put(key(2), entry(2, ALICE));
      expect(await store.delete(key(1))).toBe(true);
      expect(await store.delete(key(1))).toBe(false);
      expect(await store.get(key(1))).toBeUndefined();
      expect([...(await all(store, ALICE)).keys()]).toEqual([key(2)]);
    });

    it("lists and deletes by owner", async () => {
      const owners = [ALICE, BOB, null, ALICE, null];
      for (const [i, owner] of owners.entries()) await store.put(key(i), entry(i, owner));
      expect((await all(store)).size).toBe(5);
      expect([...(await all(store, ALICE)).keys()].sort()).toEqual([key(0), key(3)]);
      expect((await all(store, BOB)).get(key(1))).toEqual(entry(1, BOB));
      expect(await store.deleteOwned(ALICE)).toBe(2);
      expect(await store.deleteOwned(ALICE)).toBe(0);
      expect([...(await all(store)).keys()].sort()).toEqual([key(1), key(2), key(4)]);
    });

    it("deletes what has expired, from its time on and not before", async () => {
      for (const [i, expires] of [null, 100, 101, 99, 2 ** 45].entries())
        await store.put(key(i), entry(i, i % 2 === 0 ? ALICE : null, expires));
      expect(await store.deleteExpired(98)).toBe(0);
      // Expired is still there: whether it is refused is not for the store to say.
      expect(await store.get(key(3))).toEqual(entry(3, null, 99));
      expect(await store.deleteExpired(100)).toBe(2);
      expect([...(await all(store)).keys()].sort()).toEqual([key(0), key(2), key(4)]);
      expect((await all(store, ALICE)).size).toBe(3);
    });

    it("does what was asked in the order it was asked, awaited or not", async () => {
      const asked = [
        store.put(key(1), entry(1)),
        store.put(key(1), entry(2)),
        store.delete(key(1)),
        store.put(key(1), entry(3, ALICE)),
        store.put(key(2), entry(4, ALICE)),
        store.deleteOwned(ALICE),
        store.put(key(2), entry(5)),
      ];
      await Promise.all(asked);
      expect([...(await all(store))]).toEqual([[key(2), entry(5)]]);
    });

    it("can be changed while it is listed", async () => {
      for (let i = 0; i < 50; i++) await store.put(key(i), entry(i));
      const seen = [];
      for await (const [id] of store.list()) {
        seen.push(id);
        await store.delete(id);
        if (seen.length < 10) await store.put(key(1000 + seen.length), entry(0));
      }
      expect(new Set(seen).size).toBe(seen.length);
      expect(seen.length).toBeGreaterThanOrEqual(50);
      for (const id of seen) expect(await store.get(id)).toBeUndefined();
    });

    it("holds many", async () => {
      const many = 2000;
      await Promise.all(
        Array.from({ length: many }, (_, i) => store.put(key(i), entry(i, i % 2 ? ALICE : BOB))),
      );
      expect((await all(store)).size).toBe(many);
      expect(await store.get(key(1234))).toEqual(entry(1234, BOB));
      expect(await store.deleteOwned(ALICE)).toBe(many / 2);
      expect((await all(store)).size).toBe(many / 2);
    });

    if (durable)
      it("keeps entries over the end of the process", async () => {
        await store.put(key(1), entry(1, ALICE, 7));
        await store.put(key(2), entry(2));
        await store.delete(key(2));
        const next = await opened.reopen!();
        expect([...(await all(next))]).toEqual([[key(1), entry(1, ALICE, 7)]]);
        expect(await next.deleteOwned(ALICE)).toBe(1);
      });
  });
}
