// Role: what code finds without being given it: `env` and `waitUntil`, as imports from `cloudflare:workers`.
// State: per chain of asynchronous code, the event that it runs for. Must not know: what events there are.

import { AsyncLocalStorage } from "node:async_hooks";
import { RpcError } from "../../base/errors.js";
import { currentOrigin } from "../../base/origin.js";
import { activationAt } from "../object/activation.js";

/** What surrounds running code. */
export interface Ambient {
  readonly env: object;
  waitUntil(promise: Promise<unknown>): void;
}

const events = new AsyncLocalStorage<Ambient>();

/** Runs `body`, and all that it leads to, with `ambient` around it; objects that it leads to have their own. */
export function runIn<T>(ambient: Ambient, body: () => T): T {
  return events.run(ambient, body);
}

function current(): Ambient | undefined {
  return activationAt(currentOrigin())?.surroundings ?? events.getStore();
}

function needed(): Ambient {
  const ambient = current();
  if (ambient !== undefined) return ambient;
  const message =
    "nothing of a host runs here: env and waitUntil are there while a module is loaded or handles an event";
  throw new RpcError("failed", "invalid-state", message);
}

/** Keeps the event or the object that runs until `promise` settles. @throws RpcError invalid-state where none does. */
export function waitUntil(promise: Promise<unknown>): void {
  needed().waitUntil(promise);
}

/** The `env` of whoever runs. Outside of a host it is empty. */
export const env: Readonly<Record<string, unknown>> = new Proxy(Object.create(null), {
  get: (_, key) => Reflect.get(current()?.env ?? {}, key) as unknown,
  has: (_, key) => Reflect.has(current()?.env ?? {}, key),
  ownKeys: () => Reflect.ownKeys(current()?.env ?? {}),
  getOwnPropertyDescriptor(_, key) {
    const found = Reflect.getOwnPropertyDescriptor(current()?.env ?? {}, key);
    return found === undefined ? undefined : { ...found, configurable: true };
  },
  set: () => false,
  defineProperty: () => false,
  deleteProperty: () => false,
}) as Readonly<Record<string, unknown>>;
