// The references beside a stored value, on their bytes; and values with very many of them.

import { expect, it } from "vitest";
import { DurableObject, MemoryStore, type Namespace } from "../../../src/host.node.js";
import { heldBy, joined, split } from "../../../src/host/references/table.js";
import { readReference, type Reference } from "../../../src/host/references/reference.js";
import { evict } from "../../../src/host/testing.js";
import type { RpcStub } from "../../../src/index.js";
import { awaited, testHost } from "../kit.js";
import { auditHoldings, textOf } from "./audit.js";

const id = (n: number): Uint8Array => new Uint8Array(32).fill(n);
const object = (n: number, facet: Uint8Array | null = null): Reference => ({
  namespace: "N",
  id: id(n),
  name: undefined,
  facet,
});
const VALUE = Uint8Array.of(0x93, 1, 2, 3);

it("are told from a value that has none, and read as they were written", () => {
  expect(split(VALUE)).toEqual({ value: VALUE, references: null });
  const references = [object(1), { namespace: "M", id: null }, object(2, VALUE)];
  const bytes = joined(references, VALUE);
  expect(bytes[0]).toBe(0xc7);
  const read = split(bytes);
  expect(read.value).toEqual(VALUE);
  expect(read.references!.map(readReference)).toEqual(references);
});

it("make their owner hold each once, those in the parameters of facets included", () => {
  const inner = joined([object(3), object(1)], VALUE);
  const bytes = joined(
    [object(2, inner), object(1), { namespace: "M", id: null }, object(2)],
    VALUE,
  );
  expect(heldBy(bytes).map(textOf)).toEqual(["M/*", "N/01010101", "N/02020202", "N/03030303"]);
  expect(heldBy(VALUE)).toEqual([]);
  expect(heldBy(new Uint8Array())).toEqual([]);
});

it("are refused as damaged, wherever they are cut off, and never read past their end", () => {
  const bytes = joined([object(1), object(2, VALUE)], new Uint8Array());
  for (let length = 1; length < bytes.length; length++)
    expect(() => heldBy(bytes.slice(0, length)), `${length}`).toThrow(
      expect.objectContaining({ code: "storage-corrupt" }) as Error,
    );
  for (let at = 1; at < 9; at++) {
    const damaged = bytes.slice();
    damaged[at] = 0xff;
    expect(() => heldBy(damaged), `${at}`).toThrow(/damaged/);
  }
});

class Many extends DurableObject<{ MANY: Namespace<Many> }> {
  async fill(count: number): Promise<void> {
    const stubs = Array.from({ length: count }, (_, i) => this.env.MANY.getByName(`${i}`));
    await this.ctx.storage.put("all", stubs);
  }
  async last(): Promise<string> {
    const all = (await this.ctx.storage.get<RpcStub<Many>[]>("all"))!;
    return `${all.length} ${await all.at(-1)!.name()}`;
  }
  name(): string {
    return this.ctx.id.name!;
  }
}

it("may be very many, up to the size of a value", async () => {
  const store = new MemoryStore();
  const host = await testHost({ MANY: Many }, { store });
  using registry = host.env.MANY.getByName("registry");
  await registry.fill(3000);
  await evict(registry);
  expect(await registry.last()).toBe("3000 2999");
  expect(await auditHoldings(store)).toEqual({ holding: 1, pairs: 3000 });
  await registry.fill(1);
  expect(await auditHoldings(store)).toEqual({ holding: 1, pairs: 1 });
  const small = await testHost({ MANY: Many }, { limits: { valueBytes: 10_000 } });
  await expect(awaited(small.env.MANY.getByName("registry").fill(1000))).rejects.toMatchObject({
    code: "limit-exceeded",
    message: expect.stringContaining("with its references") as string,
  });
});

it("of a value that lost its table are damaged values", async () => {
  const store = new MemoryStore();
  const host = await testHost({ MANY: Many }, { store });
  using registry = host.env.MANY.getByName("registry");
  await registry.fill(2);
  await evict(registry);
  const found = store.range({ from: Uint8Array.of(1), to: Uint8Array.of(2) });
  const stored = found.find(({ value }) => value[0] === 0xc7)!;
  store.write([{ key: stored.key, value: split(stored.value).value }]);
  await expect(awaited(registry.last())).rejects.toMatchObject({ code: "storage-corrupt" });
});
