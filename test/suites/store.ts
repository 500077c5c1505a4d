// What every store keeps, whatever it is made of: the sentences of `Store` as tests.

import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { RpcError } from "../../src/base/errors.js";
import { compareBytes, type Store, type Write } from "../../src/host/storage/store.js";

/** One store to be tested: how it is made, and how it is opened again with what it had. */
export interface StoreUnderTest {
  open(): Promise<Store>;
  /** Null where nothing outlives a store. */
  reopen: ((store: Store) => Promise<Store>) | null;
  cleanUp(): Promise<void> | void;
}

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (value: Uint8Array | undefined): string | undefined =>
  value === undefined ? undefined : new TextDecoder().decode(value);
const put = (key: string, value: string | null): Write => ({
  key: bytes(key),
  value: value === null ? null : bytes(value),
});
const ALL = { from: new Uint8Array([0]), to: new Uint8Array([0xff]) };

/** Runs the suite. */
export function storeSuite(name: string, make: () => StoreUnderTest): void {
  describe(name, () => {
    let under: StoreUnderTest;
    let store: Store;
    beforeEach(async () => {
      under = make();
      store = await under.open();
    });
    afterEach(async () => {
      await store.close();
      await under.cleanUp();
    });

    const keys = async (range: Parameters<Store["range"]>[0] = ALL): Promise<string[]> =>
      (await store.range(range)).map(({ key }) => text(key)!);
    const write = (...writes: Write[]): Promise<void> => store.write(writes).flushed;

    it("gives what was written, and nothing for what was not", async () => {
      await write(put("a", "1"), put("b", ""));
      expect(text(await store.get(bytes("a")))).toBe("1");
      expect(text(await store.get(bytes("b")))).toBe("");
      expect(await store.get(bytes("c"))).toBeUndefined();
    });

    it("takes as many writes at once as a turn makes", async () => {
      const all = Array.from({ length: 150_000 }, (_, i) => put(String(i), ""));
      store.write([]);
      await store.write(all).flushed;
      expect((await keys()).length).toBe(all.length);
    });

    it("is committed before it is flushed", async () => {
      const order: string[] = [];
      const { committed, flushed } = store.write([put("a", "1")]);
      await Promise.all([
        committed.then(() => order.push("committed")),
        flushed.then(() => order.push("flushed")),
      ]);
      expect(order).toEqual(["committed", "flushed"]);
    });

    it("shows a transaction once it is committed", async () => {
      await store.write([put("a", "1")]).committed;
      expect(text(await store.get(bytes("a")))).toBe("1");
    });

    it("makes the writes of a transaction in their order", async () => {
      await write(
        put("a", "1"),
        put("a", "2"),
        put("b", "1"),
        put("b", null),
        put("c", null),
        put("c", "3"),
      );
      expect(await keys()).toEqual(["a", "c"]);
      expect(text(await store.get(bytes("a")))).toBe("2");
    });

    it("derives writes from what is there, in their place among the others", async () => {
      const count = (key: string, from: string): Write => ({
        derive: (view) => {
          const there = view.range({ from: bytes(from), to: bytes(`${from}~`) });
          const before = Number(text(view.get(bytes(key))) ?? 0);
          return [put(key, `${before + there.length}`)];
        },
      });
      await write(
        put("x1", ""),
        count("n", "x"),
        put("x2", ""),
        { from: bytes("x1"), to: bytes("x2") },
        count("n", "x"),
      );
      expect(text(await store.get(bytes("n")))).toBe("2");
      // Of what was not even committed when they were asked for.
      const last = Array.from({ length: 20 }, (_, i) =>
        store.write([put(`x${i}`, ""), { derive: () => [count("n", "x")] }]),
      ).at(-1)!;
      await last.flushed;
      // x0, x1 and x2 are three, then there is one more each time.
      let sum = 2 + 2 + 3;
      for (let there = 3; there <= 20; there++) sum += there;
      expect(text(await store.get(bytes("n")))).toBe(`${sum}`);
    });

    it("makes transactions in the order they were called in, awaited or not", async () => {
      const last = Array.from({ length: 50 }, (_, i) => store.write([put("a", `${i}`)])).at(-1)!;
      await last.flushed;
      expect(text(await store.get(bytes("a")))).toBe("49");
    });

    it("clears a range, with what was written to it before and not yet committed", async () => {
      await write(put("a", "1"), put("b", "1"), put("d", "1"));
      void store.write([put("bb", "2")]);
      void store.write([{ from: bytes("b"), to: bytes("d") }, put("bc", "3")]);
      await write(put("e", "4"));
      expect(await keys()).toEqual(["a", "bc", "d", "e"]);
    });

    it("clears what the same transaction wrote before", async () => {
      await write(put("b", "1"), { from: bytes("b"), to: bytes("c") });
      expect(await keys()).toEqual([]);
    });

    it("lists a range from its first key to before its end, either way round, up to a limit", async () => {
      await write(...["a", "b", "c", "d"].map((key) => put(key, key)));
      const range = { from: bytes("b"), to: bytes("d") };
      expect(await keys(range)).toEqual(["b", "c"]);
      expect(await keys({ ...range, reverse: true })).toEqual(["c", "b"]);
      expect(await keys({ ...range, limit: 1 })).toEqual(["b"]);
      expect(await keys({ ...range, reverse: true, limit: 1 })).toEqual(["c"]);
      expect(await keys({ from: bytes("d"), to: bytes("b") })).toEqual([]);
      expect(await keys({ from: bytes("aa"), to: bytes("ab"), reverse: true })).toEqual([]);
    });

    it("takes keys of 2400 bytes and values of a megabyte", async () => {
      const [key, value] = [new Uint8Array(2400).fill(1), new Uint8Array(1 << 20).fill(7)];
      await store.write([{ key, value }]).flushed;
      expect(compareBytes((await store.get(key))!, value)).toBe(0);
    });

    it("gives bytes that are the reader's own", async () => {
      await write(put("a", "1"));
      const first = (await store.get(bytes("a")))!;
      const [listed] = await store.range(ALL);
      first.fill(0);
      listed!.value.fill(0);
      expect(text(await store.get(bytes("a")))).toBe("1");
    });

    it("is what a map would be, sorted by the bytes of its keys", async () => {
      const key = fc.uint8Array({ minLength: 1, maxLength: 4 }).map((array) => {
        const made = array.slice();
        made[0] = 1;
        return made;
      });
      const one = fc.record({ key, value: fc.option(fc.uint8Array({ maxLength: 8 })) });
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.array(one, { maxLength: 6 }), { maxLength: 6 }),
          async (all) => {
            await store.write([ALL]).flushed;
            const model = new Map<string, Uint8Array>();
            for (const writes of all) {
              void store.write(writes);
              for (const { key, value } of writes) {
                if (value === null) model.delete(key.join());
                else model.set(key.join(), value);
              }
            }
            await store.write([]).flushed;
            const found = await store.range(ALL);
            expect(new Map(found.map(({ key, value }) => [key.join(), [...value]]))).toEqual(
              new Map([...model].map(([key, value]) => [key, [...value]])),
            );
            const sorted = found.map(({ key }) => key).sort(compareBytes);
            expect(found.map(({ key }) => key)).toEqual(sorted);
          },
        ),
        { numRuns: 40, seed: 4 },
      );
    });

    it("has it all when it is opened again", async () => {
      if (under.reopen === null) return;
      for (let i = 0; i < 20; i++) void store.write([put(`k${i % 7}`, `${i}`)]);
      await store.close();
      store = await under.reopen(store);
      expect(await keys()).toHaveLength(7);
      expect(text(await store.get(bytes("k5")))).toBe("19");
    });

    it("waits for what was written when it is closed, and does nothing after", async () => {
      const { flushed } = store.write([put("a", "1")]);
      await Promise.all([store.close(), flushed]);
      expect(() => store.get(bytes("a"))).toThrow(RpcError);
      expect(() => store.write([])).toThrow(/closed/);
    });
  });
}
