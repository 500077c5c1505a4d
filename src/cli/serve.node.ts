// Role: the command `capstan serve`: from its arguments to a module being served, until a signal ends it.
// State: none. Must not know: how a module is served.

import path from "node:path";
import { type Binding, type ModuleConfig, NO_CONFIG } from "../host/module/config.js";
import { findConfig, readConfigFile } from "../host/module/config-file.node.js";
import { prepareProcess, report, surviveFaults } from "../host/module/program.node.js";
import { type ServeOptions, serveModule } from "../host/module/serve.node.js";
import { parseWorkerdBinding, type WorkerdBinding } from "../host/module/workerd-config.js";
import { MOST_SLOTS } from "../host/process/slots.js";
import { readArguments } from "./arguments.node.js";
import { Misuse } from "./misuse.js";

export const SERVE_USAGE = `usage: capstan serve [MODULE] [options]

Serves a Worker module with durable objects, over HTTP and WebSocket. The module runs with the rights of the process.

MODULE is a .ts or .js file; by default the one that the configuration names as main.

options:
  -c, --config FILE     a wrangler.toml, .jsonc or .json; by default the one beside MODULE or in the working folder
  --no-config           take none
  -d, --data DIR        where objects are kept; by default .capstan
  -p, --port PORT       by default 8787; 0 for any that is free
  --host ADDRESS        where to listen; by default 127.0.0.1, which nobody else can reach
  --bind NAME=CLASS     objects of the exported CLASS as env.NAME (may be repeated); without any, and without a
                        configuration of them, each exported class that extends DurableObject by its own name
  --collect CLASS       objects of the exported CLASS have no names, and are collected when nobody can reach them
                        (may be repeated)
  --workerd NAME=URL?.. something that lives in a workerd as env.NAME (may be repeated): behind URL, which is
                        tcp://HOST:PORT or unix:/PATH, either service=S&class_name=C&unique_key=K, for the objects of a
                        class, or service=S&entrypoint=E, or connect_host=H
  --workerd-port PORT   where Workers in a workerd can call the module, by an external service with a capnpConnectHost;
                        0 for any that is free
  --workerd-entrypoint CLASS
                        what they call: an exported class that extends WorkerEntrypoint; by default the default one
  --workerd-host ADDRESS
                        where to listen for that; by default 127.0.0.1, which nobody else can reach
  --var NAME[=TEXT]     a text as env.NAME (may be repeated); without TEXT that of the environment
  --address-header NAME the header in which a proxy before this tells the address of a client
  --processes N         how many processes run objects, beside one that answers requests; by default 1. 0: all in one
  --connections N       how many connections there may be at a time; by default 10000
  --yield-time SECONDS  how long the code of an object may run without yielding; then the object is named and its
                        process replaced; by default 10. 0: for ever
  --grace SECONDS       how long what is under way may take when it is to end; by default 10
  --json                print events on stdout, one JSON text a line: serving, process
  -h, --help            this text

When it serves, its URL is printed on stdout. SIGTERM and SIGINT end it; a second one does so at once. SIGHUP has it
read the configuration and the module again, and the new version take over.
`;

const DEFAULT_PORT = 8787;
const DEFAULT_GRACE = 10;

interface Job extends Omit<ServeOptions, "report" | "warn"> {
  readonly grace: number;
  readonly json: boolean;
}

/**
 * Runs the command, until it is ended by a signal.
 *
 * @returns the exit status. @throws Misuse for arguments that make no sense, other errors for what went wrong.
 */
export async function runServe(args: string[], stdout: (text: string) => void): Promise<number> {
  const job = parse(args);
  if (job === null) {
    stdout(SERVE_USAGE);
    return 0;
  }
  const tell = (event: object, text?: string): void => {
    if (job.json) stdout(`${JSON.stringify(event)}\n`);
    else if (text !== undefined) stdout(`${text}\n`);
  };
  const started = (slot: number | null, pid: number): void => {
    if (slot === null) tell({ event: "process", role: "front", pid });
    else tell({ event: "process", role: "objects", slot, pid });
  };
  if (job.processes === 0) {
    prepareProcess();
    surviveFaults();
  }
  const signals = new Signals();
  try {
    const serving = await serveModule({ ...job, report, warn: say, started });
    const { url, exposedAt: workerd } = serving;
    tell(
      { event: "serving", url, ...(workerd === null ? {} : { workerd }), pid: process.pid },
      url,
    );
    if (workerd !== null) say(`Workers of a workerd can call the module at ${workerd}`);
    signals.onReload = oneByOne(async () => {
      try {
        await serving.reload(parse(args)!);
        say("the new version has taken over");
      } catch (thrown) {
        say(`the version before goes on: ${(thrown as { message?: string }).message}`);
      }
    });
    await signals.ended;
    await serving.close(job.grace);
  } finally {
    signals.stop();
  }
  return 0;
}

function say(line: string): void {
  process.stderr.write(`capstan: ${line}\n`);
}

/** Does `job`, never rejecting, whenever it is called; once more, when it is called meanwhile, however often. */
function oneByOne(job: () => Promise<void>): () => void {
  let wanted = false;
  let running = false;
  const run = async (): Promise<void> => {
    running = true;
    while (wanted) {
      wanted = false;
      await job();
    }
    running = false;
  };
  return () => {
    wanted = true;
    if (!running) void run();
  };
}

/** What the process is told from outside. */
class Signals {
  /** Resolves at the first that ends it. At a second one it ends at once: who asks again does not want to wait. */
  readonly ended: Promise<void>;
  onReload: () => void = () => {};
  private readonly end: () => void;
  private readonly reload = (): void => this.onReload();

  constructor() {
    let count = 0;
    let resolve!: () => void;
    this.ended = new Promise((done) => (resolve = done));
    this.end = () => {
      if (++count > 1) process.exit(1);
      resolve();
    };
    process.on("SIGTERM", this.end).on("SIGINT", this.end).on("SIGHUP", this.reload);
  }

  stop(): void {
    process.off("SIGTERM", this.end).off("SIGINT", this.end).off("SIGHUP", this.reload);
  }
}

function parse(args: string[]): Job | null {
  const { values, positionals } = readArguments(args, {
    config: { type: "string", short: "c" },
    "no-config": { type: "boolean" },
    data: { type: "string", short: "d" },
    port: { type: "string", short: "p" },
    host: { type: "string" },
    bind: { type: "string", multiple: true },
    collect: { type: "string", multiple: true },
    workerd: { type: "string", multiple: true },
    "workerd-port": { type: "string" },
    "workerd-entrypoint": { type: "string" },
    "workerd-host": { type: "string" },
    var: { type: "string", multiple: true },
    "address-header": { type: "string" },
    grace: { type: "string" },
    "yield-time": { type: "string" },
    connections: { type: "string" },
    processes: { type: "string" },
    json: { type: "boolean" },
    help: { type: "boolean", short: "h" },
  });
  if (values.help === true) return null;
  const [module, ...more] = positionals;
  if (more.length > 0) throw new Misuse("one MODULE is served, and no more");
  if (values["no-config"] === true && values.config !== undefined)
    throw new Misuse("--config and --no-config contradict each other");
  const port = number(values.port, "--port", 65_535);
  const yieldTime = number(values["yield-time"], "--yield-time", 86_400);
  const grace = number(values.grace, "--grace", 86_400) ?? DEFAULT_GRACE;
  const bound = (values.bind ?? []).map((text) => pair(text, "--bind", "CLASS"));
  const vars = (values.var ?? []).map((text) => pair(fromEnvironment(text), "--var", "TEXT"));
  const workerd = (values.workerd ?? []).map((text) => {
    const [name, place] = pair(text, "--workerd", "URL?...");
    return workerdBinding(name, place);
  });
  const names = [...bound, ...new Map(vars)].map(([name]) => name);
  names.push(...workerd.map(({ name }) => name));
  const twice = names.find((name, i) => names.indexOf(name) < i);
  if (twice !== undefined) throw new Misuse(`${twice} is the name of two things in env`);
  const file = values["no-config"] === true ? null : (values.config ?? configBeside(module));
  const found = file === null ? NO_CONFIG : readConfigFile(file);
  const main =
    module ?? (found.main === null ? null : path.resolve(path.dirname(file!), found.main));
  if (main === null) throw new Misuse("name a MODULE: there is no configuration that names one");
  const exposed = exposedBy(values, found.exposed);
  const bindings = withFlags(found, bound, values.collect ?? [], workerd, vars);
  const config = { ...bindings, exposed };
  return {
    main,
    config,
    data: values.data ?? ".capstan",
    port: port ?? config.port ?? DEFAULT_PORT,
    address: notEmpty(values.host, "--host") ?? config.address ?? "127.0.0.1",
    addressHeader: values["address-header"] ?? null,
    processes: number(values.processes, "--processes", MOST_SLOTS) ?? 1,
    connections: number(values.connections, "--connections", 1_000_000),
    yieldTime: yieldTime === undefined ? undefined : yieldTime * 1000,
    json: values.json === true,
    grace: grace * 1000,
  };
}

function configBeside(module: string | undefined): string | null {
  return (module === undefined ? null : findConfig(path.dirname(module))) ?? findConfig(".");
}

/** What a flag gives a name takes the place of whatever the configuration has by that name. */
function withFlags(
  config: ModuleConfig,
  bound: readonly (readonly [string, string])[],
  collect: readonly string[],
  workerd: readonly WorkerdBinding[],
  vars: readonly (readonly [string, string])[],
): ModuleConfig {
  const more = bound.map(([name, className]): Binding => ({
    name,
    className,
    storedAs: config.storedName(className),
  }));
  const given = new Set([...bound, ...vars].map(([name]) => name));
  for (const { name } of workerd) given.add(name);
  const others = (config.bindings ?? []).filter(({ name }) => !given.has(name));
  const bindings = config.bindings === null && more.length === 0 ? null : [...others, ...more];
  // What the file says of a class that a flag has put another one in the place of is said of nobody.
  const collected = config.collect.filter((one) =>
    [...others, ...more].some(({ className }) => className === one),
  );
  const kept = Object.entries(config.vars).filter(([name]) => !given.has(name));
  return {
    ...config,
    bindings,
    collect: [...collected, ...collect],
    workerd: [...config.workerd.filter(({ name }) => !given.has(name)), ...workerd],
    vars: Object.fromEntries([...kept, ...vars]),
  };
}

/** @param otherwise what the configuration says. */
function exposedBy(
  values: { readonly [flag in "workerd-port" | "workerd-host" | "workerd-entrypoint"]?: string },
  otherwise: ModuleConfig["exposed"],
): ModuleConfig["exposed"] {
  const port = number(values["workerd-port"], "--workerd-port", 65_535) ?? otherwise?.port;
  const address = notEmpty(values["workerd-host"], "--workerd-host") ?? otherwise?.address ?? null;
  const entrypoint =
    notEmpty(values["workerd-entrypoint"], "--workerd-entrypoint") ?? otherwise?.entrypoint ?? null;
  if (port !== undefined) return { port, address, entrypoint };
  if (address === null && entrypoint === null) return null;
  throw new Misuse("--workerd-entrypoint and --workerd-host say more of --workerd-port");
}

function workerdBinding(name: string, place: string): WorkerdBinding {
  try {
    return parseWorkerdBinding(name, place, `--workerd ${name}`);
  } catch (thrown) {
    throw new Misuse((thrown as Error).message);
  }
}

/** What is secret need not be seen in a list of processes. */
function fromEnvironment(text: string): string {
  if (!/^[\w$]+$/.test(text)) return text;
  const value = process.env[text];
  if (value === undefined) throw new Misuse(`--var ${text} is not in the environment`);
  return `${text}=${value}`;
}

function pair(text: string, flag: string, what: string): readonly [string, string] {
  const [, name, value] = /^([A-Za-z_$][\w$]*)=([^]*)$/.exec(text) ?? [];
  if (name === undefined || value === undefined)
    throw new Misuse(`${flag} takes NAME=${what}, not ${text}`);
  return [name, value];
}

/** An empty address would be every one of the machine's. */
function notEmpty(text: string | undefined, flag: string): string | undefined {
  if (text === "") throw new Misuse(`${flag} is empty`);
  return text;
}

function number(text: string | undefined, flag: string, most: number): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (/^\d+$/.test(text) && value <= most) return value;
  throw new Misuse(`${flag} takes a whole number from 0 to ${most}, not ${text}`);
}
