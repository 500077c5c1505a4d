// A program for hosts of several processes: counters that know where they run, and what goes wrong with objects.

import fs from "node:fs";
import http from "node:http";
import type { Front, FrontContext } from "../../../../src/host/process/program.node.js";

interface Storage {
  get<T>(key: string): Promise<T | undefined>;
  put(key: string, value: unknown): Promise<void>;
  list(options: { prefix: string }): Promise<Map<string, unknown>>;
  setAlarm(time: number): Promise<void>;
  transactionSync(closure: () => void): void;
  readonly sql: unknown;
}
interface Ctx {
  readonly storage: Storage;
  readonly id: { readonly name?: string; toString(): string };
  blockConcurrencyWhile<T>(callback: () => Promise<T>): Promise<T>;
  abort(reason?: unknown): never;
  waitUntil(promise: Promise<unknown>): void;
  facet(params: unknown): object;
  restorer(): object;
}
interface Stub {
  add(by?: number): Promise<number>;
  get(): Promise<number>;
  pid(): Promise<number>;
  inside(names: string[]): Promise<number>;
  spin(): Promise<void>;
}
interface Env {
  readonly COUNTERS: { getByName(name: string): Stub };
}

export interface Data {
  /** The namespaces that there are; by default COUNTERS. */
  readonly namespaces?: readonly string[];
  /** Whether they are private. */
  readonly collect?: boolean;
  readonly version?: number;
  readonly fails?: string;
  /** Milliseconds that it takes to load. */
  readonly loads?: number;
}

let version = 1;

export class Counter {
  readonly #ctx: Ctx;
  readonly #env: Env;
  readonly #log: string[] = [];

  constructor(ctx: Ctx, env: Env) {
    this.#ctx = ctx;
    this.#env = env;
    void ctx.blockConcurrencyWhile(async () => {
      const known = (await ctx.storage.get<number>("version")) ?? 0;
      if (known >= version) return;
      const migrations = (await ctx.storage.get<number[]>("migrations")) ?? [];
      void ctx.storage.put("migrations", [...migrations, version]);
      void ctx.storage.put("version", version);
    });
  }
  async add(by = 1): Promise<number> {
    const count = ((await this.#ctx.storage.get<number>("count")) ?? 0) + by;
    void this.#ctx.storage.put("count", count);
    return count;
  }
  async get(): Promise<number> {
    return (await this.#ctx.storage.get<number>("count")) ?? 0;
  }
  async migrations(): Promise<number[]> {
    return (await this.#ctx.storage.get<number[]>("migrations")) ?? [];
  }
  version(): number {
    return version;
  }
  pid(): number {
    return process.pid;
  }
  note(text: string): void {
    this.#log.push(text);
  }
  log(): string[] {
    return this.#log;
  }
  /** By way of another object, wherever that is. */
  async addAt(name: string, by: number): Promise<{ count: number; pid: number }> {
    const other = this.#env.COUNTERS.getByName(name);
    const [count, pid] = await Promise.all([other.add(by), other.pid()]);
    return { count, pid };
  }
  async wait(ms: number): Promise<string> {
    await new Promise((resolve) => {
      setTimeout(resolve, ms);
    });
    return "waited";
  }
  async waitAndTell(ms: number): Promise<number> {
    await this.wait(ms);
    return version;
  }
  /** Does something when it has answered, and something at another object. */
  later(ms: number, name: string): void {
    this.#ctx.waitUntil(
      this.wait(ms).then(async () => {
        await this.#env.COUNTERS.getByName(name).add(10);
        await this.add();
      }),
    );
  }
  async each(times: number, told: (count: number) => Promise<unknown>): Promise<void> {
    for (let i = 0; i < times; i++) await told(await this.add());
  }
  /** Keeps an object or a facet, in whichever process that is. */
  async keep(key: string, other: unknown): Promise<void> {
    await this.#ctx.storage.put(key, { other });
  }
  async addAtKept(key: string, by: number): Promise<number> {
    return (await this.#ctx.storage.get<{ other: Stub }>(key))!.other.add(by);
  }
  async callKept(key: string, times: number): Promise<number> {
    type Adder = (times: number) => Promise<number>;
    return (await this.#ctx.storage.get<{ other: Adder }>(key))!.other(times);
  }
  /** A facet: a function that adds. */
  adder(by: number): object {
    return this.#ctx.facet({ by });
  }
  [Symbol.for("capstan.restore")]({ by }: { by: number }): unknown {
    return (times: number) => this.add(by * times);
  }
  restorer(): object {
    return this.#ctx.restorer();
  }
  /** Calls the others one by another, each from a critical section. */
  async inside([next, ...more]: string[]): Promise<number> {
    if (next === undefined) return this.get();
    return this.#ctx.blockConcurrencyWhile(() => this.#env.COUNTERS.getByName(next).inside(more));
  }
  /** Calls another from a critical section, once `begun` has answered. @returns its count, or the code that it failed with. */
  async meet(next: string, begun: () => Promise<void>): Promise<number | string> {
    return this.#ctx.blockConcurrencyWhile(async () => {
      await begun();
      try {
        return await this.#env.COUNTERS.getByName(next).get();
      } catch (error) {
        return (error as Error).message;
      }
    });
  }
  async failInside(): Promise<void> {
    await this.#ctx.blockConcurrencyWhile(async () => {
      void this.#ctx.storage.put("count", 1000);
      await this.wait(1);
      throw new Error("the section failed");
    });
  }
  throwLater(): void {
    setTimeout(() => {
      throw new Error("in a timer");
    });
  }
  async fill(bytes: number): Promise<void> {
    await this.#ctx.storage.put("filled", new Uint8Array(bytes));
  }
  sql(): unknown {
    return this.#ctx.storage.sql;
  }
  transactionSync(): unknown {
    return this.#ctx.storage.transactionSync(() => {});
  }
  abort(): never {
    return this.#ctx.abort(new Error("on purpose"));
  }
  async exit(): Promise<void> {
    await this.#ctx.storage.get("count");
    process.exit(3);
  }
  /** Has the disk be full for this process. */
  fillDisk(): void {
    const fds = fs.readdirSync("/proc/self/fd").map((fd) => `/proc/self/fd/${fd}`);
    const isData = (fd: string): boolean =>
      fs.existsSync(fd) && fs.readlinkSync(fd).endsWith("data.mdb");
    const numbers = fds.filter(isData).map((fd) => Number(fd.slice("/proc/self/fd/".length)));
    for (const number of numbers) fs.closeSync(number);
    // The lowest numbers that are free are the next ones'.
    const last = Math.max(...numbers);
    while (fs.openSync("/dev/full", "r+") < last);
  }
  /** Says what its supervisor does not understand, wherever that listens. */
  babble(): void {
    for (const nonsense of [null, "ready", { say: "answer" }, { say: "nonsense" }])
      process.send!(nonsense);
    fs.writeSync(3, "ready\n");
  }
  async spin(): Promise<void> {
    // Not in the first turn: what was let in last is not what runs.
    await this.wait(1);
    for (;;);
  }
  remind(ms: number): void {
    void this.#ctx.storage.setAlarm(Date.now() + ms);
  }
  async alarm(): Promise<void> {
    void this.#ctx.storage.put(`rung:${process.pid}`, true);
  }
  /** The processes in which its alarm rang. */
  async rung(): Promise<number[]> {
    const keys = (await this.#ctx.storage.list({ prefix: "rung:" })).keys();
    return [...keys].map((key) => Number(key.slice("rung:".length)));
  }
}

/**
 * Answers `GET /NAME?wait=MS` with the version of the front, its process, the count of a counter, by one more, and where that is; has
 * the counter spin with `?spin`, and spins itself at `/spin`.
 */
export function front({ namespaces }: FrontContext): Front {
  const { COUNTERS } = namespaces as unknown as Env;
  const server = http.createServer((request, response) => {
    const url = new URL(request.url!, "http://front");
    const answer = async (): Promise<void> => {
      if (url.pathname === "/exit") process.exit(4);
      while (url.pathname === "/spin");
      const counter = COUNTERS.getByName(url.pathname);
      if (url.searchParams.has("spin")) await counter.spin();
      const wait = Number(url.searchParams.get("wait") ?? 0);
      await new Promise((resolve) => {
        setTimeout(resolve, wait);
      });
      const [count, at] = await Promise.all([counter.add(), counter.pid()]);
      response.end(JSON.stringify({ version, pid: process.pid, count, at }));
    };
    answer().catch((error: unknown) => {
      response.statusCode = 500;
      response.end(String(error));
    });
  });
  return {
    accept(socket, at) {
      if (at === 0) server.emit("connection", socket);
      else socket.end(`address ${at}`);
    },
    async drain() {
      server.closeIdleConnections();
    },
  };
}

export async function load(data: Data | null) {
  await new Promise((resolve) => {
    setTimeout(resolve, data?.loads ?? 0);
  });
  if (data?.fails !== undefined) throw new Error(data.fails);
  version = data?.version ?? 1;
  const names = data?.namespaces ?? ["COUNTERS"];
  const declared = data?.collect === true ? { class: Counter, collect: true } : Counter;
  return { classes: Object.fromEntries(names.map((name) => [name, declared])) };
}
