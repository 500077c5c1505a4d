// Facets: views of an object that are nothing but parameters, made again by the object whenever they are needed.

import { describe, expect, it } from "vitest";
import {
  DurableObject,
  MemoryStore,
  type Namespace,
  restore,
  type Store,
} from "../../../src/host.node.js";
import { crash, evict } from "../../../src/host/testing.js";
import { type RpcStub, RpcTarget } from "../../../src/index.js";
import { awaited, later, settle, testHost } from "../kit.js";
import { auditHoldings } from "./audit.js";

interface Env {
  FILES: Namespace<Folder>;
  KEEPERS: Namespace<Keeper>;
}

type Params =
  | { readonly kind: "reader"; readonly prefix: string; readonly log?: RpcStub<Keeper> }
  | { readonly kind: "function" | "nothing" | "thrown" | "late" | "elsewhere" | "value" | "this" };

class Folder extends DurableObject<Env> {
  static restored: string[] = [];
  static gate: Promise<void> | null = null;
  opened = 0;
  async write(name: string, text: string): Promise<void> {
    await this.ctx.storage.put(name, text);
  }
  facet(params: Params): RpcStub<Reader> {
    return this.ctx.facet<Reader>(params);
  }
  reader(prefix: string): RpcStub<Reader> {
    return this.ctx.facet<Reader>({ kind: "reader", prefix });
  }
  /** The target itself, not a stub of it. */
  lastReader(): Reader {
    return this.last!;
  }
  private last: Reader | null = null;
  async readMyself(): Promise<unknown> {
    using reader = this.ctx.facet<Reader>({ kind: "reader", prefix: "my-" });
    return await this.ctx.blockConcurrencyWhile(() =>
      reader.read("letter").catch((error: unknown) => error),
    );
  }
  get context() {
    return this.ctx;
  }

  async [restore](params: Params): Promise<unknown> {
    Folder.restored.push(params.kind);
    await Folder.gate;
    switch (params.kind) {
      case "reader":
        return (this.last = new Reader(this, params.prefix, ++this.opened, params.log ?? null));
      case "function":
        return (text: string) => `${text}!`;
      case "nothing":
        return null;
      case "thrown":
        throw new RangeError("not any more");
      case "late":
        await this.ctx.storage.get("anything");
        return new Reader(this, "", 0, null);
      case "elsewhere":
        return this.env.KEEPERS.getByName("elsewhere");
      case "value":
        return { read: 1 };
      case "this":
        return this;
    }
  }
}

class Reader extends RpcTarget {
  static disposed = 0;
  readonly #folder: Folder;
  readonly #prefix: string;
  readonly #number: number;
  readonly #log: RpcStub<Keeper> | null;
  constructor(folder: Folder, prefix: string, number: number, log: RpcStub<Keeper> | null) {
    super();
    this.#folder = folder;
    this.#prefix = prefix;
    this.#number = number;
    this.#log = log;
  }
  async read(name: string): Promise<string | undefined> {
    if (this.#log !== null) await this.#log.note(name);
    return this.#folder.context.storage.get<string>(this.#prefix + name);
  }
  number(): number {
    return this.#number;
  }
  [Symbol.dispose](): void {
    Reader.disposed++;
  }
}

class Keeper extends DurableObject<Env> {
  async keep(what: unknown): Promise<void> {
    await this.ctx.storage.put("kept", what);
  }
  async kept(): Promise<RpcStub<Reader>> {
    return (await this.ctx.storage.get<RpcStub<Reader>>("kept"))!;
  }
  async readKept(name: string): Promise<string | undefined> {
    using reader = await this.kept();
    return reader.read(name);
  }
  async note(name: string): Promise<void> {
    const noted = (await this.ctx.storage.get<string[]>("noted")) ?? [];
    await this.ctx.storage.put("noted", [...noted, name]);
  }
  async noted(): Promise<string[]> {
    return (await this.ctx.storage.get<string[]>("noted")) ?? [];
  }
  read(name: string): string {
    return `${this.ctx.id.name} reads ${name}`;
  }
}

async function opened(store: Store = new MemoryStore()) {
  Folder.restored = [];
  Folder.gate = null;
  const host = await testHost({ FILES: Folder, KEEPERS: Keeper }, { store });
  const folder = host.env.FILES.getByName("a");
  const keeper = host.env.KEEPERS.getByName("k");
  await folder.write("my-letter", "dear");
  await folder.write("letter", "secret");
  return { host, store, folder, keeper };
}

describe("a facet", () => {
  it("gives what its object's [restore] makes, at its first call and not before", async () => {
    const { folder } = await opened();
    using reader = await folder.reader("my-");
    expect(Folder.restored).toEqual([]);
    expect(await reader.read("letter")).toBe("dear");
    expect(await reader.number()).toBe(1);
    expect(Folder.restored).toEqual(["reader"]);
    await expect(
      awaited((reader as unknown as RpcStub<Folder>).write("x", "y")),
    ).rejects.toMatchObject({
      code: "method-unimplemented",
    });
  });

  it("takes pipelined calls in order, also while it is being made", async () => {
    const { folder } = await opened();
    const { promise, resolve } = later();
    Folder.gate = promise;
    const reader = folder.reader("my-");
    const numbers = [reader.read("letter"), reader.number(), reader.read("none")];
    await settle();
    resolve();
    expect(await Promise.all(numbers)).toEqual(["dear", 1, undefined]);
    expect(await folder.facet({ kind: "late" }).read("letter")).toBe("secret");
  });

  it("is one for the same parameters, as long as its object is active, and another for others", async () => {
    const { folder } = await opened();
    using one = await folder.reader("my-");
    using same = await folder.reader("my-");
    using other = await folder.reader("");
    expect(await Promise.all([one.number(), same.number(), other.number()])).toEqual([1, 1, 2]);
    expect(await evict(folder)).toBe(true);
    expect(await Promise.all([other.number(), one.number(), same.number()])).toEqual([1, 2, 2]);
  });

  it("does not keep its object active, and outlives its eviction in whoever's hands", async () => {
    const { folder, keeper, host } = await opened();
    using reader = await folder.reader("my-");
    await reader.read("letter");
    await keeper.keep(reader);
    expect(await evict(reader)).toBe(true);
    expect(await evict(keeper)).toBe(true);
    expect(host.activeObjects).toBe(0);
    expect(await keeper.readKept("letter")).toBe("dear");
    expect(await reader.read("letter")).toBe("dear");
  });

  it("is stored, also over a restart, and who holds it holds its object", async () => {
    const store = new MemoryStore();
    const keep = Object.assign(Object.create(store) as Store, { close: async () => {} });
    const first = await opened(keep);
    await first.keeper.keep({ deep: await first.folder.reader("my-") });
    await first.keeper.keep(await first.folder.reader("my-"));
    expect(await auditHoldings(store)).toEqual({ holding: 1, pairs: 1 });
    await first.host.close();
    const { host } = await opened(keep);
    expect(await host.env.KEEPERS.getByName("k").readKept("letter")).toBe("dear");
  });

  it("holds what is in its parameters, wherever it is stored", async () => {
    const { folder, keeper, host, store } = await opened();
    const log = host.env.KEEPERS.getByName("log");
    using reader = await folder.facet({ kind: "reader", prefix: "", log });
    await keeper.keep(reader);
    // The keeper holds the folder, and the log in the parameters.
    expect(await auditHoldings(store)).toEqual({ holding: 1, pairs: 2 });
    await evict(folder);
    expect(await keeper.readKept("letter")).toBe("secret");
    expect(await log.noted()).toEqual(["letter"]);
  });

  it("can be stored as the object that [restore] made, too, and by the object itself", async () => {
    const { folder, keeper } = await opened();
    await folder.reader("my-").read("letter");
    await keeper.keep(await folder.lastReader());
    await evict(keeper);
    expect(await keeper.readKept("letter")).toBe("dear");
  });

  it("may be a function, a stub of something else, or the object itself", async () => {
    const { folder } = await opened();
    const shout = folder.facet({ kind: "function" }) as unknown as RpcStub<
      (text: string) => string
    >;
    expect(await shout("hello")).toBe("hello!");
    expect(await folder.facet({ kind: "elsewhere" }).read("it")).toBe("elsewhere reads it");
    const self = folder.facet({ kind: "this" }) as unknown as RpcStub<Folder>;
    expect(await self.reader("my-").read("letter")).toBe("dear");
  });

  it("that is not made fails its calls, and is asked for again by the next", async () => {
    const { folder, keeper } = await opened();
    using nothing = await folder.facet({ kind: "nothing" });
    await keeper.keep(nothing);
    await expect(awaited(nothing.read("x"))).rejects.toMatchObject({ code: "reference-lost" });
    await expect(awaited(keeper.readKept("x"))).rejects.toThrow(/leads to nothing any more/);
    using thrown = await folder.facet({ kind: "thrown" });
    await expect(awaited(thrown.read("x"))).rejects.toThrow("not any more");
    await expect(awaited(thrown.read("x"))).rejects.toThrow("not any more");
    expect(Folder.restored).toEqual(["nothing", "nothing", "thrown", "thrown"]);
    await expect(awaited(folder.facet({ kind: "value" }).read("x"))).rejects.toMatchObject({
      code: "invalid-argument",
    });
    expect(await folder.reader("my-").read("letter")).toBe("dear");
  });

  it("breaks with its object, and a new one is good", async () => {
    const { folder, host } = await opened();
    using reader = await folder.reader("my-");
    expect(await reader.number()).toBe(1);
    crash(folder);
    await expect(awaited(reader.number())).rejects.toMatchObject({ code: "object-broken" });
    Folder.gate = later().promise;
    using again = await host.env.FILES.getByName("a").reader("my-");
    const called = awaited(again.number());
    await settle();
    crash(again);
    await expect(called).rejects.toMatchObject({ code: "object-broken" });
    Folder.gate = null;
    expect(await host.env.FILES.getByName("a").reader("my-").read("letter")).toBe("dear");
  });

  it("would wait for itself in a critical section of its own object, and says so", async () => {
    const { folder } = await opened();
    await expect(awaited(folder.readMyself())).resolves.toMatchObject({ code: "gate-cycle" });
  });

  it("is refused where there is no [restore], and with parameters that cannot be kept or are too big", async () => {
    class Bare extends DurableObject {
      facet(params: unknown): object {
        return this.ctx.facet(params);
      }
    }
    const host = await testHost({ BARE: Bare });
    await expect(awaited(host.env.BARE.getByName("a").facet(1))).rejects.toMatchObject({
      code: "method-unimplemented",
    });
    const { folder } = await opened();
    const facet = (params: unknown) => awaited(folder.facet(params as Params));
    await expect(facet({ call: () => 1 })).rejects.toThrow(/params\.call cannot be stored/);
    await expect(facet(new Uint8Array(20_000))).rejects.toMatchObject({ code: "limit-exceeded" });
  });

  it("that nobody uses any more is let go, when there are many", async () => {
    const { folder } = await opened();
    Reader.disposed = 0;
    for (let i = 0; i < 300; i++) {
      using reader = await folder.reader(`${i}`);
      await reader.number();
    }
    await settle();
    expect(Reader.disposed).toBeGreaterThan(200);
  });
});
