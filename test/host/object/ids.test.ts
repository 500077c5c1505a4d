// Ids: made from names or at random, bound to their namespace and to their host's secret.

import { describe, expect, it } from "vitest";
import { DurableObject } from "../../../src/host.node.js";
import { FaultyStore } from "../../../src/host/storage/faulty-store.js";
import { RpcError } from "../../../src/index.js";
import { testHost } from "../kit.js";

class A extends DurableObject {
  hello(): string {
    return "hello";
  }
  async keep(): Promise<void> {
    await this.ctx.storage.put("kept", true);
  }
}
class B extends DurableObject {}

describe("an id", () => {
  it("is 64 hexadecimal digits, the same for a name, another for each new one", async () => {
    const { env } = await testHost({ A, B });
    const id = env.A.idFromName("x");
    expect(id.toString()).toMatch(/^[0-9a-f]{64}$/);
    expect(id.name).toBe("x");
    expect(id.equals(env.A.idFromName("x"))).toBe(true);
    expect(id.equals(env.A.idFromName("y"))).toBe(false);
    const [one, other] = [env.A.newUniqueId(), env.A.newUniqueId()];
    expect(one.equals(other)).toBe(false);
    expect(one.name).toBeUndefined();
    expect(await env.A.get(one).hello()).toBe("hello");
  });

  it("is made again from its text, in either case", async () => {
    const { env } = await testHost({ A });
    const id = env.A.newUniqueId();
    expect(env.A.idFromString(id.toString()).equals(id)).toBe(true);
    expect(env.A.idFromString(id.toString().toUpperCase()).equals(id)).toBe(true);
  });

  it("that is forged, of another namespace, or of another host is refused", async () => {
    const { env } = await testHost({ A, B });
    const other = await testHost({ A });
    const id = env.A.idFromName("x");
    const text = id.toString();
    const refused = (make: () => unknown): void => {
      let error: unknown;
      try {
        make();
      } catch (thrown) {
        error = thrown;
      }
      expect(RpcError.is(error) && error.code).toBe("invalid-id");
    };
    for (let digit = 0; digit < 64; digit++) {
      const changed = text[digit] === "0" ? "1" : "0";
      refused(() => env.A.idFromString(text.slice(0, digit) + changed + text.slice(digit + 1)));
    }
    refused(() => env.B.idFromString(text));
    refused(() => env.B.get(id as never));
    refused(() => other.env.A.idFromString(text));
    refused(() => other.env.A.get(id));
    refused(() => env.A.get({ toString: () => text } as never));
    for (const bad of ["", "12", "z".repeat(64), `${text}0`, undefined, 5])
      refused(() => env.A.idFromString(bad as never));
    refused(() => env.A.idFromName(5 as never));
  });

  it("is the same after a restart", async () => {
    const store = new FaultyStore();
    const first = await testHost({ A }, { store });
    const id = first.env.A.idFromName("x").toString();
    const second = await testHost({ A }, { store: store.crash() });
    expect(second.env.A.idFromName("x").toString()).toBe(id);
  });
});

it("data whose secret is gone is refused, not given another: no id would lead to its object", async () => {
  const store = new FaultyStore();
  const host = await testHost({ A }, { store });
  await host.env.A.getByName("a").keep();
  const key = new TextEncoder().encode("\0format");
  await store.write([{ key, value: null }]).flushed;
  await expect(testHost({ A }, { store: store.crash() })).rejects.toMatchObject({
    code: "storage-corrupt",
    message: expect.stringContaining("the database is damaged") as string,
  });
});

it("data of another format is refused", async () => {
  const store = new FaultyStore();
  await testHost({ A }, { store });
  const key = new TextEncoder().encode("\0format");
  await store.write([{ key, value: Uint8Array.of(9) }]).flushed;
  await expect(testHost({ A }, { store: store.crash() })).rejects.toMatchObject({
    code: "storage-version",
    message: "the data is of format 9, and this version reads 1",
  });
});
