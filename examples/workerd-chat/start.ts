// Starts both: the host of the rooms, by `capstan serve`, and workerd with the Worker.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";

/** From build/programs, where this runs. */
const project = new URL("../../../../", import.meta.url);
const file = (name: string): string => fileURLToPath(new URL(name, project));
/** The program that npm has installed. */
const { default: program } = createRequire(import.meta.url)("workerd") as { default: string };

export interface Running {
  /** Of the page. */
  readonly url: string;
  /** Of workerd. */
  readonly debugPort: string;
  /** The processes that have run objects; the last one does. */
  readonly objects: readonly number[];
  /** Resolves when one of both has ended. */
  readonly ended: Promise<unknown>;
  stop(): Promise<void>;
}

/** @param data where the rooms are kept. @param port of the page; 0 for any. @throws Error when one of both does not start. */
export async function start(data: string, port: number): Promise<Running> {
  const folder = mkdtempSync(join(tmpdir(), "capstan-workerd-chat-"));
  const children: [ChildProcess, NodeJS.Signals][] = [];
  const stop = async (): Promise<void> => {
    for (const [child, signal] of children.splice(0).reverse()) await end(child, signal);
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    const objects: number[] = [];
    const flags = "--no-config --json --port 0 --workerd-port 0 --workerd-entrypoint Chat --data";
    const serve = [file("dist/cli/main.node.js"), "serve", file("examples/workerd-chat/rooms.ts")];
    const rooms = spawn(process.execPath, [...serve, ...flags.split(" "), data]);
    children.push([rooms, "SIGTERM"]);
    rooms.stderr.pipe(process.stderr);
    const chat = await said(rooms, rooms.stdout, (line) => {
      const { role, pid, workerd } = line;
      if (role === "objects") objects.push(pid as number);
      return workerd as string | undefined;
    });
    const debugPort = `unix:${join(folder, "debug-port")}`;
    const args = [
      "serve",
      file("examples/workerd-chat/worker/config.capnp"),
      `--external-addr=chat=${chat}`,
      `--socket-addr=http=127.0.0.1:${port}`,
      `--debug-port=${debugPort}`,
      "--control-fd=3",
    ];
    const workerd = spawn(program, args, { stdio: ["ignore", "inherit", "inherit", "pipe"] });
    // It would wait for pages that are open, and has nothing to lose.
    children.push([workerd, "SIGKILL"]);
    const page = await said(workerd, workerd.stdio[3] as Readable, (line) =>
      line["socket"] === "http" ? (line["port"] as number) : undefined,
    );
    const ended = Promise.race(children.map(([child]) => once(child, "exit")));
    return { url: `http://127.0.0.1:${page}/`, debugPort, objects, ended, stop };
  } catch (thrown) {
    await stop();
    throw thrown;
  }
}

/** Reads lines of JSON, also after `find` has found something in one. */
function said<T>(
  child: ChildProcess,
  lines: Readable,
  find: (line: Record<string, unknown>) => T | undefined,
): Promise<T> {
  return new Promise((resolve, reject) => {
    createInterface(lines).on("line", (line) => {
      const found = find(JSON.parse(line) as Record<string, unknown>);
      if (found !== undefined) resolve(found);
    });
    child.once("error", reject);
    child.once("exit", (code) => reject(new Error(`it ended with ${code}`)));
  });
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  child.kill(signal);
  await once(child, "exit");
}
