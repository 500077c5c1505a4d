// Role: imports a bundled Worker module, and finds in it what a host and a front need.
// State: none. Must not know: how it was bundled, who calls it.

import type net from "node:net";
import { pathToFileURL } from "node:url";
import { RpcError } from "../../base/errors.js";
import type { Listener } from "../../vat/listen.node.js";
import { DurableObject, type ObjectClass } from "../object/durable-object.js";
import type { Classes } from "../object/host.js";
import { runIn } from "./ambient.node.js";
import type { Binding, ModuleConfig } from "./config.js";
import { WorkerEntrypoint } from "./entrypoint.js";
import type { EntryPoint, EntrypointClass } from "./events.js";
import type { ExposeOptions } from "./exposed.node.js";
import { installGlobals } from "./globals.js";
import type { BoundWorkerd } from "./workerd.node.js";

/** What a module is loaded with: plain values. */
export type ModuleTerms = Pick<
  ModuleConfig,
  "vars" | "bindings" | "collect" | "workerd" | "exposed"
>;

/** A module that can be served. */
export interface WorkerModule {
  /** Its default export. */
  readonly entryPoint: EntryPoint;
  /** What Workers of a workerd may call; null for nothing. */
  readonly exposed: EntrypointClass | null;
  /** The classes of objects, by the names by which these are stored. */
  readonly classes: Classes;
  /** The names in `env`, to the names in storage. */
  readonly bindings: Readonly<Record<string, string>>;
}

/**
 * Imports a module. Its code runs with the rights of the process.
 *
 * @param file made by `bundleModule`. @param terms the bindings and variables that it is for.
 * @throws RpcError module-failed when it throws or imports what is not there; module-export when it lacks what is to be served
 *   (as rejections).
 */
export async function loadModule(file: string, terms: ModuleTerms): Promise<WorkerModule> {
  installGlobals();
  const exports = await evaluate(file, terms);
  const bindings = terms.bindings ?? ownBindings(exports);
  const { collect, exposed } = terms;
  for (const name of collect)
    if (!bindings.some(({ className }) => className === name))
      throw missing(`the objects of ${name} are to be collected, and no binding is of that class`);
  return {
    entryPoint: entryPointOf(exports["default"]),
    exposed: exposed === null ? null : exposedOf(exports, exposed.entrypoint),
    classes: Object.fromEntries(
      bindings.map(({ className, storedAs }) => {
        const type = classOf(exports, className);
        return [storedAs, collect.includes(className) ? { class: type, collect: true } : type];
      }),
    ),
    bindings: Object.fromEntries(bindings.map(({ name, storedAs }) => [name, storedAs])),
  };
}

/** What of `env` is in a workerd. Nothing of the bridge is loaded where there is nothing. */
export async function bindTerms({ workerd }: Pick<ModuleTerms, "workerd">): Promise<BoundWorkerd> {
  if (workerd.length === 0) return { env: {}, close: () => Promise.resolve() };
  const { bindWorkerd } = await import("./workerd.node.js");
  return bindWorkerd(workerd);
}

/** As {@link exposeEntrypoint}, which is loaded for that alone. */
export async function expose(
  where: string | net.Server,
  options: ExposeOptions,
): Promise<Listener> {
  const { exposeEntrypoint } = await import("./exposed.node.js");
  return exposeEntrypoint(where, options);
}

type Exports = Readonly<Record<string, unknown>>;

async function evaluate(file: string, { vars, bindings, workerd }: ModuleTerms): Promise<Exports> {
  // Objects can be reached once the classes are there.
  const env: Record<string, unknown> = { ...vars };
  for (const { name } of [...(bindings ?? []), ...workerd])
    Object.defineProperty(env, name, {
      get: () => {
        const message = `env.${name} is not there while the module is loaded: use it when something is called`;
        throw new RpcError("failed", "invalid-state", message);
      },
    });
  const early: Promise<unknown>[] = [];
  const ambient = { env, waitUntil: (promise: Promise<unknown>) => void early.push(promise) };
  try {
    const exports = (await runIn(ambient, () => import(pathToFileURL(file).href))) as Exports;
    await Promise.all(early);
    return exports;
  } catch (thrown) {
    throw loadingError(thrown);
  }
}

function loadingError(thrown: unknown): RpcError {
  const error = thrown instanceof Error ? thrown : new Error(String(thrown));
  const name = /does not provide an export named '(.+)'/.exec(error.message)?.[1];
  const message =
    error instanceof SyntaxError && name !== undefined
      ? `the module imports ${name}, which is not there: docs/guide/host.md says what there is of cloudflare:workers`
      : `the module threw while it was loaded: ${error.message}`;
  return new RpcError("failed", "module-failed", message, { cause: thrown });
}

/** Where nothing was said of bindings: each exported class of objects, by its own name. */
function ownBindings(exports: Exports): Binding[] {
  return Object.keys(exports)
    .filter((name) => name !== "default" && isObjectClass(exports[name]))
    .map((name) => ({ name, className: name, storedAs: name }));
}

function isObjectClass(value: unknown): boolean {
  return typeof value === "function" && value.prototype instanceof DurableObject;
}

function classOf(exports: Exports, name: string): ObjectClass {
  const found = exports[name];
  if (
    typeof found === "function" &&
    typeof found.prototype === "object" &&
    found.prototype !== null
  )
    return found as ObjectClass;
  const others = Object.keys(exports).filter((one) => one !== "default");
  const what = found === undefined ? "does not export" : "exports, and not as a class,";
  throw missing(
    `the module ${what} ${name}, the class of a binding; it exports ${others.join(", ") || "no names"}`,
  );
}

function entryPointOf(found: unknown): EntryPoint {
  if (found === undefined)
    throw missing(
      "the module has no default export: it needs one with fetch(request, env, ctx), or a class that extends WorkerEntrypoint",
    );
  const holder: unknown = typeof found === "function" ? found.prototype : found;
  const { fetch } = (holder ?? {}) as { fetch?: unknown };
  if (typeof fetch !== "function") throw missing("the default export of the module has no fetch");
  return found as EntryPoint;
}

/** @param name of the export; null for the default one. */
function exposedOf(exports: Exports, name: string | null): EntrypointClass {
  const found = exports[name ?? "default"];
  if (isEntrypoint(found)) return found;
  const others = Object.keys(exports).filter((one) => isEntrypoint(exports[one]));
  const which = name === null ? "its default export" : `an export ${name}`;
  throw missing(
    `workerd is to call a class of the module that extends WorkerEntrypoint, as ${which}, and it is none; those that are: ${others.join(", ") || "none"}`,
  );
}

function isEntrypoint(value: unknown): value is EntrypointClass {
  return typeof value === "function" && value.prototype instanceof WorkerEntrypoint;
}

function missing(message: string): RpcError {
  return new RpcError("failed", "module-export", message);
}
