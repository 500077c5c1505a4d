// Role: a module being served: its objects, its events, its server, opened and closed in order.
// State: these parts. Must not know: the command line.

import path from "node:path";
import { Host } from "../object/host.js";
import type { Reporter } from "../object/parts.js";
import { nodeRuntime } from "../object/runtime.node.js";
import { openLmdbStore } from "../storage/lmdb-store.node.js";
import { runIn } from "./ambient.node.js";
import { bundleModule } from "./bundle.node.js";
import type { ModuleConfig } from "./config.js";
import { Events } from "./events.js";
import { loadModule, type WorkerModule } from "./load.node.js";
import { WebServer } from "./server.node.js";

export interface ServeOptions {
  /** The module's file. */
  readonly main: string;
  readonly config: ModuleConfig;
  /** The folder for all that is kept; it is made when it is missing. */
  readonly data: string;
  readonly address: string;
  readonly port: number;
  readonly addressHeader?: string | undefined;
  readonly report: Reporter;
  /** Told of what does not stop anything. */
  readonly warn: (line: string) => void;
}

export interface Serving {
  readonly url: string;
  /** Takes no more requests, and ends when those under way have, or when `grace` milliseconds are over. */
  close(grace: number): Promise<void>;
}

/** The objects of a module, wherever they are. */
export interface Objects {
  /** As the module's front sees it. */
  readonly env: object;
  close(): Promise<void>;
}

/**
 * Serves a module until it is closed.
 *
 * @throws RpcError missing-dependency, module-failed, module-export, listen-failed, and what the store fails with (as rejections).
 */
export async function serveModule(options: ServeOptions): Promise<Serving> {
  const { config, report } = options;
  const into = path.join(options.data, "module");
  const bundle = await bundleModule({ main: options.main, into, rules: config.rules });
  for (const line of [...config.warnings, ...bundle.warnings]) options.warn(line);
  const module = await loadModule(bundle.file, config);
  const objects = await openHere(module, options);
  const { env } = objects;
  const events = new Events({ entryPoint: module.entryPoint, env, report, run: runIn });
  const server = new WebServer({
    handler: events.fetch,
    report,
    addressHeader: options.addressHeader,
  });
  let url: string;
  try {
    url = await server.listen(options.address, options.port);
  } catch (thrown) {
    await server.close(0);
    await objects.close();
    throw thrown;
  }
  let closing: Promise<void> | null = null;
  const end = async (grace: number): Promise<void> => {
    await server.close(grace);
    await Promise.race([events.settled(), pause(grace)]);
    await objects.close();
  };
  return { url, close: (grace) => (closing ??= end(grace)) };
}

/** The objects in this process. */
async function openHere(
  { classes, bindings }: WorkerModule,
  { data, config, report }: ServeOptions,
): Promise<Objects> {
  const store = await openLmdbStore(path.join(data, "objects"));
  return Host.open({ store, classes, bindings, env: { ...config.vars }, report }, nodeRuntime());
}

function pause(time: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, time).unref();
  });
}
