// A program with private objects: owners that keep them, a front that holds some of them, hooks that say in a file that they run.

import fs from "node:fs";
import http from "node:http";
import type { Front, FrontContext } from "../../../../src/host/process/program.node.js";

interface Ctx {
  readonly storage: {
    get<T>(key: string): Promise<T | undefined>;
    put(key: string, value: unknown): Promise<void>;
    delete(key: string): Promise<boolean>;
  };
}

/** Stubs of parts, as far as this needs them. */
export interface PartStub extends Disposable {
  put(key: string, value: unknown): Promise<void>;
  get(key: string): Promise<string>;
  pid(): Promise<number>;
}
export interface OwnerStub extends Disposable {
  make(name: string): Promise<number>;
  pair(name: string): Promise<number[]>;
  keep(name: string, part: unknown): Promise<void>;
  take(name: string): Promise<PartStub>;
  text(name: string): Promise<string>;
  lose(name: string): Promise<void>;
  pid(): Promise<number>;
}
interface Env {
  readonly OWNERS: { getByName(name: string): OwnerStub };
  readonly PARTS: { create(): PartStub };
}

export interface CollectedData {
  /** The file in which hooks are noted: a line when one begins, another when it ends. */
  readonly log: string;
  /** So long a hook takes, in milliseconds, of parts whose name begins with "slow". */
  readonly slow?: number;
}

let data: CollectedData;
const say = (text: string): void => fs.appendFileSync(data.log, `${text}\n`);
const pause = (ms: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, ms);
  });

export class Part {
  readonly #ctx: Ctx;
  constructor(ctx: Ctx) {
    this.#ctx = ctx;
  }
  async put(key: string, value: unknown): Promise<void> {
    await this.#ctx.storage.put(key, value);
  }
  async get(key: string): Promise<string> {
    return (await this.#ctx.storage.get<string>(key))!;
  }
  pid(): number {
    return process.pid;
  }
  async [Symbol.asyncDispose](): Promise<void> {
    const name = await this.get("name");
    say(`begin ${name} ${process.pid}`);
    if (name.startsWith("slow")) await pause(data.slow ?? 0);
    // Whoever it was collected with is gone for it.
    const other = await this.#ctx.storage.get<PartStub>("other");
    const found = await other?.get("name").catch((error: { code: string }) => error.code);
    say(`end ${name} ${found ?? "alone"}`);
  }
}

export class Owner {
  readonly #ctx: Ctx;
  readonly #env: Env;
  constructor(ctx: Ctx, env: Env) {
    this.#ctx = ctx;
    this.#env = env;
  }
  /** Makes a part and keeps it. @returns the process that it is in. */
  async make(name: string): Promise<number> {
    using part = this.#env.PARTS.create();
    await part.put("name", name);
    await this.#ctx.storage.put(name, part);
    return await part.pid();
  }
  /** Makes two that hold each other, each in a process of its own, and keeps one. @returns these. */
  async pair(name: string): Promise<number[]> {
    using one = this.#env.PARTS.create();
    const first = await one.pid();
    for (;;) {
      using two = this.#env.PARTS.create();
      const second = await two.pid();
      if (second === first) continue;
      await Promise.all([one.put("name", `${name}-1`), two.put("name", `${name}-2`)]);
      await Promise.all([one.put("other", two), two.put("other", one)]);
      await this.#ctx.storage.put(name, one);
      return [first, second];
    }
  }
  async keep(name: string, part: unknown): Promise<void> {
    await this.#ctx.storage.put(name, part);
  }
  async take(name: string): Promise<PartStub> {
    return (await this.#ctx.storage.get<PartStub>(name))!;
  }
  async text(name: string): Promise<string> {
    using part = await this.take(name);
    return await part.get("name");
  }
  async lose(name: string): Promise<void> {
    await this.#ctx.storage.delete(name);
  }
  pid(): number {
    return process.pid;
  }
}

/**
 * `/hold/OWNER/NAME` takes a part of an owner's and holds it here, `/store/OWNER/NAME` has an owner keep it, `/drop/OWNER/NAME` lets go of
 * it; answers what it is called.
 */
export function front({ namespaces }: FrontContext): Front {
  const { OWNERS } = namespaces as unknown as Env;
  const held = new Map<string, PartStub>();
  const answer = async (what: string, ownerName: string, name: string): Promise<string> => {
    using owner = OWNERS.getByName(ownerName);
    if (what === "hold") held.set(name, await owner.take(name));
    else if (what === "store") await owner.keep(name, held.get(name));
    else {
      held.get(name)?.[Symbol.dispose]();
      held.delete(name);
    }
    return [...held.keys()].join();
  };
  const server = http.createServer((request, response) => {
    const [what, owner, name] = request.url!.slice(1).split("/");
    answer(what!, owner!, name!).then(
      (text) => response.end(text),
      (error: unknown) => {
        response.statusCode = 500;
        response.end(String(error));
      },
    );
  });
  return {
    accept: (socket) => void server.emit("connection", socket),
    async drain() {
      server.closeIdleConnections();
    },
  };
}

export function load(given: CollectedData) {
  data = given;
  return {
    classes: { OWNERS: Owner, PARTS: { class: Part, collect: true } },
    limits: { disposeTime: 600_000 },
  };
}
