// The store in memory.

import { expect, it } from "vitest";
import { MemoryTokenStore } from "../../src/persist.js";
import { describeTokenStore } from "../suites/token-store.js";
import { failure } from "./kit.js";

describeTokenStore({
  name: "a MemoryTokenStore",
  durable: false,
  open: async () => ({ store: new MemoryTokenStore() }),
});

it("a MemoryTokenStore holds no more than it was told to", async () => {
  const entry = { record: new Uint8Array(1), owner: null, expires: null };
  const store = new MemoryTokenStore(2);
  await store.put("a", entry);
  await store.put("b", entry);
  expect(await failure(store.put("c", entry))).toMatchObject({
    code: "limit-exceeded",
    type: "overloaded",
  });
  await store.put("b", entry);
  await store.delete("a");
  await store.put("c", entry);
  expect(store.size).toBe(2);
});
