// Role: a module being served: bundled, and run in processes of its own, or all in this one.
// State: these parts. Must not know: the command line.

import fs from "node:fs";
import path from "node:path";
import type { Listener } from "../../vat/listen.node.js";
import { Host, prepareStore } from "../object/host.js";
import type { Reporter } from "../object/parts.js";
import { nodeRuntime } from "../object/runtime.node.js";
import { listenForControl } from "../process/control.node.js";
import { controlledHost } from "../process/controlled.node.js";
import { Inspector, strayNamespaces } from "../process/inspect.js";
import { LEFTOVER_TIME, slotsFree } from "../process/paths.node.js";
import { DEFAULT_CONNECTIONS, HostServer, type ProgramSource } from "../process/supervisor.node.js";
import { openLmdbStore } from "../storage/lmdb-store.node.js";
import { runIn } from "./ambient.node.js";
import { bundleModule } from "./bundle.node.js";
import type { ModuleConfig } from "./config.js";
import { Events } from "./events.js";
import { bindTerms, expose, loadModule, type WorkerModule } from "./load.node.js";
import type { ModuleProgram } from "./program.node.js";
import { urlOf, WebServer } from "./server.node.js";
import type { BoundWorkerd } from "./workerd.node.js";

/** What is served. */
export interface ModuleSource {
  /** The module's file. */
  readonly main: string;
  readonly config: ModuleConfig;
}

export interface ServeOptions extends ModuleSource {
  /** The folder for all that is kept; it is made when it is missing. */
  readonly data: string;
  readonly address: string;
  readonly port: number;
  /** How many processes run objects, beside one for the front; 0: all is in this process. */
  readonly processes: number;
  readonly addressHeader: string | null;
  /** How many connections there may be at a time. Default 10 000. */
  readonly connections?: number | undefined;
  /** Milliseconds for which code may run without yielding, where objects have processes of their own; 0: for ever. Default 10 000. */
  readonly yieldTime?: number | undefined;
  readonly report: Reporter;
  /** Told of what does not stop anything. */
  readonly warn: (line: string) => void;
  /** Told of each process that begins its work. @param slot whose objects it runs; null for the front. */
  readonly started?: ((slot: number | null, pid: number) => void) | undefined;
}

export interface Serving {
  readonly url: string;
  /** Where Workers of a workerd can call, as `host:port`; null where they cannot. */
  readonly exposedAt: string | null;
  /** Has another version take over, object by object. @throws RpcError as serveModule: then the one before goes on. */
  reload(source: ModuleSource): Promise<void>;
  /** Takes no more requests, and ends when those under way have, or when `grace` milliseconds are over. */
  close(grace: number): Promise<void>;
}

/**
 * Serves a module until it is closed.
 *
 * @throws RpcError missing-dependency, module-failed, module-export, listen-failed, and what the store fails with (as rejections).
 */
export async function serveModule(options: ServeOptions): Promise<Serving> {
  return options.processes === 0 ? serveHere(options) : serveInProcesses(options);
}

async function bundle(options: ServeOptions, { main, config }: ModuleSource): Promise<string> {
  const into = path.join(options.data, "module");
  const { file, warnings } = await bundleModule({ main, into, rules: config.rules });
  for (const line of [...config.warnings, ...warnings]) options.warn(line);
  return file;
}

/** Objects may have been given up, or a name be wrong: whoever serves the module knows. */
function warnOfStray({ warn }: ServeOptions, namespaces: readonly string[]): void {
  for (const name of namespaces)
    warn(`objects of ${name} are stored, and the module has no such class: they stay as they are`);
}

/** Removes what was made of versions before. @param file that is served now. */
function tidy({ data }: ServeOptions, file: string): void {
  const into = path.join(data, "module");
  for (const name of fs.readdirSync(into))
    if (name !== path.basename(file)) fs.rmSync(path.join(into, name), { force: true });
}

async function serveInProcesses(options: ServeOptions): Promise<Serving> {
  const { data: directory, processes, address, port, report, started } = options;
  const { connections = DEFAULT_CONNECTIONS, yieldTime } = options;
  const sourceOf = async (source: ModuleSource): Promise<ProgramSource & { file: string }> => {
    const file = await bundle(options, source);
    const { vars, bindings, collect, workerd, exposed } = source.config;
    const { addressHeader } = options;
    const terms = { vars, bindings, collect, workerd, exposed };
    const data: ModuleProgram = { file, terms, addressHeader };
    return { program: PROGRAM, data, file };
  };
  const { file, ...first } = await sourceOf(options);
  const host = await HostServer.start({
    ...first,
    directory,
    processes,
    connections,
    listen: [{ host: address, port }, ...exposedAt(options.config)],
    report,
    ...(yieldTime === undefined ? {} : { yieldTime }),
    ...(started === undefined ? {} : { started }),
  });
  tidy(options, file);
  const tellStray = async (): Promise<void> => warnOfStray(options, await host._strayNamespaces());
  await tellStray();
  const [, exposed] = host.addresses;
  return {
    url: urlOf(host.address!, address),
    exposedAt: exposed === undefined ? null : placeOf(exposed.address, exposed.port),
    async reload(source) {
      const { file: next, ...version } = await sourceOf(source);
      await host.reload(version);
      tidy(options, next);
      await tellStray();
    },
    close: (grace) => host.drain(grace),
  };
}

/** Beside this file, built or not. */
const PROGRAM = new URL(
  `./program.node${import.meta.url.slice(import.meta.url.lastIndexOf("."))}`,
  import.meta.url,
).href;

function exposedAt({ exposed }: ModuleConfig): { host: string; port: number }[] {
  return exposed === null ? [] : [{ host: exposed.address ?? "127.0.0.1", port: exposed.port }];
}

/** As workerd has it in its configuration. */
function placeOf(host: string, port: number): string {
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}

async function openHere(
  { data, config, report }: ServeOptions,
  module: WorkerModule,
  bound: BoundWorkerd,
) {
  const { classes, bindings } = module;
  const runtime = nodeRuntime();
  const { crypto } = runtime;
  const store = await openLmdbStore(data);
  try {
    // Processes of a supervisor that was killed may still be there.
    await slotsFree(data, LEFTOVER_TIME);
    const { ids } = await prepareStore(store, crypto);
    const env = { ...config.vars, ...bound.env };
    const terms = { store, classes, bindings, env, report };
    const host = await Host.open(terms, runtime);
    const inspector = new Inspector(store, ids, crypto);
    return { host, store, controlled: controlledHost(host, inspector, process.pid) };
  } catch (thrown) {
    await store.close();
    throw thrown;
  }
}

async function serveHere(options: ServeOptions): Promise<Serving> {
  const { data, config, report } = options;
  const file = await bundle(options, options);
  const module = await loadModule(file, config);
  const { classes, entryPoint, exposed } = module;
  const bound = await bindTerms(config);
  const { host, store, controlled } = await openHere(options, module, bound);
  const events = new Events({ entryPoint, env: host.env, report, run: runIn });
  const addressHeader = options.addressHeader ?? undefined;
  const { connections = DEFAULT_CONNECTIONS } = options;
  const server = new WebServer({ handler: events.fetch, report, addressHeader, connections });
  let control: Listener | null = null;
  let calls: Listener | null = null;
  const end = async (grace: number): Promise<void> => {
    await Promise.all([server.close(grace), calls?.drain(grace), control?.close()]);
    await events.settled(grace);
    await host.close();
    await bound.close();
  };
  try {
    control = await listenForControl(data, controlled);
    const url = await server.listen(options.address, options.port);
    const [at] = exposedAt(config);
    if (exposed !== null && at !== undefined)
      calls = await expose(`tcp://${placeOf(at.host, at.port)}`, {
        type: exposed,
        events,
        report,
        connections,
      });
    tidy(options, file);
    warnOfStray(options, await strayNamespaces(store, Object.keys(classes)));
    let closing: Promise<void> | null = null;
    return {
      url,
      exposedAt: calls?.url.replace("tcp://", "") ?? null,
      reload: () => controlled.reload(),
      close: (grace) => (closing ??= end(grace)),
    };
  } catch (thrown) {
    await end(0);
    throw thrown;
  }
}
