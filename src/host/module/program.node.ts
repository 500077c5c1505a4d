// Role: a Worker module as the program of a host's processes: its classes for those of objects, its fetch for the front.
// State: what of the process a module finds changed: the console. Must not know: how processes are kept.

import { Console } from "node:console";
import net from "node:net";
import { RpcError } from "../../base/errors.js";
import { envWithin, type Reporter } from "../object/parts.js";
import type { Front, FrontContext, LoadedProgram } from "../process/program.node.js";
import { runIn } from "./ambient.node.js";
import { type EntryPoint, type EntrypointClass, Events } from "./events.js";
import { bindTerms, expose, loadModule, type ModuleTerms } from "./load.node.js";
import { WebServer } from "./server.node.js";
import type { BoundWorkerd } from "./workerd.node.js";

/** What the program is started with. */
export interface ModuleProgram {
  /** The bundled module. */
  readonly file: string;
  readonly terms: ModuleTerms;
  /** See {@link WebServer}. */
  readonly addressHeader: string | null;
}

interface LoadedModule extends LoadedProgram {
  readonly env: object;
  readonly entryPoint: EntryPoint;
  readonly exposed: EntrypointClass | null;
  readonly bound: BoundWorkerd;
}

/** For {@link HostProgram}. */
export async function load(data: unknown): Promise<LoadedModule> {
  const { file, terms } = data as ModuleProgram;
  prepareProcess();
  try {
    const { classes, bindings, entryPoint, exposed } = await loadModule(file, terms);
    const bound = await bindTerms(terms);
    const env = { ...terms.vars, ...bound.env };
    return { classes, bindings, env, entryPoint, exposed, bound };
  } catch (thrown) {
    // The supervisor hears what went wrong, not where.
    const cause = RpcError.of(thrown)?.cause;
    if (cause instanceof Error) console.error(cause);
    throw thrown;
  }
}

/** For {@link HostProgram}. */
export async function front({ data, loaded, namespaces }: FrontContext): Promise<Front> {
  surviveFaults();
  const { addressHeader } = data as ModuleProgram;
  const { entryPoint, exposed, bindings = {}, env: others, bound } = loaded as LoadedModule;
  const own = Object.entries(bindings).map(([name, stored]) => [name, namespaces[stored]]);
  const env = { ...envWithin(others, null), ...Object.fromEntries(own) };
  const events = new Events({ entryPoint, env, report, run: runIn });
  const web = new WebServer({
    handler: events.fetch,
    report,
    addressHeader: addressHeader ?? undefined,
  });
  // It never listens, either.
  const door = new net.Server();
  const calls = exposed === null ? null : await expose(door, { type: exposed, events, report });
  return {
    accept(socket, at) {
      if (at === 0) web.accept(socket);
      else if (calls !== null) door.emit("connection", socket);
      else socket.destroy();
    },
    async drain(timeout) {
      await Promise.all([web.close(timeout), calls?.drain(timeout)]);
      await events.settled(timeout);
      await bound.close();
    },
  };
}

/** Makes this process one that runs a module's code, before that is loaded. */
export function prepareProcess(): void {
  // What a module throws is told by the lines of its sources.
  process.setSourceMapsEnabled(true);
  // What it says is for people; stdout is for programs.
  globalThis.console = new Console(process.stderr);
}

/**
 * From now on what the module throws where nobody catches it, in a timer or a forgotten promise, is told to people, and ends nothing: a front
 * that ends cuts off everybody else's requests and WebSockets, and has no state that could be wrong afterwards.
 */
export function surviveFaults(): void {
  process.on("uncaughtException", (error) => report(error, "nobody caught"));
  process.on("unhandledRejection", (reason) => report(reason, "nobody caught"));
}

/** Told to people: what failed, and why. */
export const report: Reporter = (error, what) => {
  const shown = error instanceof Error ? (error.stack ?? error.message) : String(error);
  // Of what failed in another process, where that was.
  const trace = RpcError.of(error)?.trace ?? "";
  process.stderr.write(`capstan: ${what}: ${shown}\n${trace === "" ? "" : `${trace}\n`}`);
};
