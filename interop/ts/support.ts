// What both roles share: counters of live objects, memory of this process, a promised capability, waiting.
// Knows nothing of any scenario.

import { readFileSync } from "node:fs";
import { brokenHook, processScheduler, PromiseHook, RpcError, type Session } from "capstan/node";
import type { CallContext, Client, InterfaceType, Struct } from "capstan/typed";

/** What this process has made and not yet lost. A server answers it as `Counts`; a client reads its own. */
export class Tally {
  objects = 0;
  hanging = 0;
  canceled = 0;
  held = 0;
  hangsLost = 0;
}

/** Base of every server object: counts in `objects` from its birth until its last reference is gone. */
export abstract class Counted {
  protected readonly tally: Tally;

  constructor(tally: Tally) {
    this.tally = tally;
    tally.objects++;
  }

  [Symbol.dispose](): void {
    this.tally.objects--;
  }
}

/** Never answers; counts in `hanging` until the caller loses interest, and then in `canceled`. */
export function hangForever(
  tally: Tally,
  { signal }: Pick<CallContext<Struct, object>, "signal">,
): Promise<never> {
  tally.hanging++;
  return new Promise((_, reject) => {
    signal.addEventListener("abort", () => {
      tally.hanging--;
      tally.canceled++;
      reject(RpcError.from(signal.reason));
    });
  });
}

/** A client of a capability that is known later; takes over what `later` gives. */
export function promised<C extends Client>(type: InterfaceType<C>, later: Promise<C>): C {
  const promise = new PromiseHook(processScheduler());
  void later.then(
    (client) => {
      promise.resolve(client._hook!.addRef());
      client[Symbol.dispose]();
    },
    (error: unknown) => promise.resolve(brokenHook(RpcError.from(error), processScheduler())),
  );
  return new type(promise);
}

export interface MemoryUse {
  /** Bytes in main memory now, and the most since this program started. */
  readonly resident: number;
  readonly peak: number;
}

export function memoryUse(): MemoryUse {
  const status = readFileSync("/proc/self/status", "utf8");
  const bytes = (name: string): number => {
    const found = new RegExp(`^${name}:\\s*(\\d+) kB$`, "m").exec(status);
    if (found === null) throw new Error(`/proc/self/status has no ${name}`);
    return Number(found[1]) * 1024;
  };
  return { resident: bytes("VmRSS"), peak: bytes("VmHWM") };
}

/** Ends this process when its parent ends, so that a runner that dies leaves no server behind. */
export function dieWithParent(): void {
  const parent = process.ppid;
  setInterval(() => {
    if (process.ppid !== parent) process.exit(1);
  }, 500).unref();
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

/** Lets what has arrived be read. */
export function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

/** @throws Error saying what is wrong, unless the values are equal. */
export function expect(actual: unknown, expected: unknown, what: string): void {
  if (!Object.is(actual, expected))
    throw new Error(`${what}: ${String(actual)}, not ${String(expected)}`);
}

/** What must not remain on a connection after all clients and calls are disposed. */
const TABLES = ["questions", "answers", "imports", "exports", "embargoes"] as const;

/** Waits until nothing is left on the connection, as is so once the peer has answered all. */
export async function mustBeEmpty({ connection }: Session): Promise<void> {
  const isEmpty = (): boolean => {
    const stats = connection.stats();
    return TABLES.every((table) => stats[table] === 0);
  };
  const end = performance.now() + 5000;
  while (!isEmpty() && performance.now() < end) await sleep(5);
  connection.check();
  if (!isEmpty()) throw new Error(`not empty at the end: ${connection.dump()}`);
}
