// Hosts for tests: each is closed, and what it reported is looked at.

import { afterEach, expect } from "vitest";
import {
  type Classes,
  createHost,
  type Host,
  MemoryStore,
  type Store,
} from "../../src/host.node.js";
import type { HostLimits } from "../../src/host.node.js";
import { VirtualClock } from "../../src/host/testing.js";
import type { ValueTypes } from "../../src/index.js";

export interface TestHostOptions {
  readonly store?: Store;
  readonly clock?: VirtualClock;
  readonly limits?: Partial<HostLimits>;
  readonly types?: ValueTypes;
  readonly env?: object;
}

const hosts: { host: Host; clock: VirtualClock }[] = [];

/** What hosts reported since this was last emptied. */
export const reports: string[] = [];

afterEach(async () => {
  for (const { host, clock } of hosts.splice(0)) {
    await host.close();
    expect(clock.pendingTimers, "timers of a host that is closed").toBe(0);
  }
  expect(reports.splice(0), "reports that no test has looked at").toEqual([]);
});

/** A host that is closed after the test. */
export async function testHost<C extends Classes>(
  classes: C,
  options: TestHostOptions = {},
): Promise<Host<C>> {
  const clock = options.clock ?? new VirtualClock();
  const host = await createHost({
    store: options.store ?? new MemoryStore(),
    clock,
    classes,
    report: (error, what) => reports.push(`${what}: ${(error as Error).message}`),
    ...(options.limits === undefined ? {} : { limits: options.limits }),
    ...(options.types === undefined ? {} : { types: options.types }),
    ...(options.env === undefined ? {} : { env: options.env }),
  });
  hosts.push({ host: host as unknown as Host, clock });
  return host;
}

/** Lets everything come to rest that needs nothing from outside. */
export async function settle(turns = 30): Promise<void> {
  for (let i = 0; i < turns; i++)
    await new Promise<void>((resolve) => {
      setImmediate(resolve);
    });
}

/** The promise behind an RpcPromise, which `expect` takes for a function and calls. */
export function awaited<T>(promise: PromiseLike<T>): Promise<T> {
  return Promise.resolve(promise);
}

/** A promise with its ends. */
export function later<T = void>(): { promise: Promise<T>; resolve(value: T): void } {
  let resolve!: (value: T) => void;
  const promise = new Promise<T>((done) => (resolve = done));
  return { promise, resolve };
}
