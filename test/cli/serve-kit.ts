// `capstan serve` as a process: compiled once for a file of tests, each test in a folder of its own.

import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import path from "node:path";
import { createInterface } from "node:readline";
import { afterAll, afterEach, beforeAll, beforeEach } from "vitest";
import { compilePrograms, type Programs } from "../support/programs.js";

const root = path.join(import.meta.dirname, "../..");

let programs: Programs;
let folder = "";
/** Those that no test has ended, when one fails. */
const running = new Set<ChildProcess>();

/** To be called once in a file of tests. */
export function serveCommands(): void {
  beforeAll(() => {
    const names = [
      "index",
      "workers.node",
      "host/module/program.node",
      "host/process/child-main.node",
      "host/process/watchdog.node",
    ];
    const entries = names.map((name) => `src/${name}.ts`);
    programs = compilePrograms(["src/cli/main.node.ts", ...entries]);
  });
  afterAll(() => programs.dispose());
  beforeEach(() => {
    fs.mkdirSync(path.join(root, ".tmp"), { recursive: true });
    folder = fs.mkdtempSync(path.join(root, ".tmp", "serve-"));
    return () => fs.rmSync(folder, { recursive: true, force: true });
  });
  afterEach(() => {
    for (const child of running) child.kill("SIGKILL");
    running.clear();
  });
}

/** The folder of this test, in which commands run. */
export function testFolder(): string {
  return folder;
}

export function put(name: string, text: string): string {
  const file = path.join(folder, name);
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(file, text);
  return file;
}

function command(args: string[]): string[] {
  return [programs.file("src/cli/main.node.ts"), "serve", ...args];
}

/** Runs it to its end. */
export function run(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  const done = spawnSync(process.execPath, command(args), {
    cwd: folder,
    encoding: "utf8",
    timeout: 120_000,
  });
  return { status: done.status, stdout: done.stdout, stderr: done.stderr };
}

export interface Served {
  readonly url: string;
  /** What it has told with --json. */
  readonly events: Record<string, unknown>[];
  kill(signal: NodeJS.Signals): void;
  /** Resolves when this was written to stderr. */
  said(text: string): Promise<void>;
  /** @returns the exit status and what was written until then. */
  end(signal: NodeJS.Signals): Promise<{ status: number | null; stdout: string; stderr: string }>;
}

/** Runs it until it serves. */
export async function serve(...args: string[]): Promise<Served> {
  const child = spawn(process.execPath, command(args), { cwd: folder });
  running.add(child);
  child.once("exit", () => running.delete(child));
  const said = { stdout: "", stderr: "" };
  child.stderr.on("data", (data: Buffer) => (said.stderr += data.toString()));
  const events: Record<string, unknown>[] = [];
  const url = await new Promise<string>((resolve, reject) => {
    createInterface(child.stdout).on("line", (line) => {
      said.stdout += `${line}\n`;
      if (!args.includes("--json")) return resolve(line);
      const event = JSON.parse(line) as Record<string, unknown>;
      events.push(event);
      if (event["event"] === "serving") resolve(event["url"] as string);
    });
    child.on("exit", (status) => reject(new Error(`it ended with ${status}: ${said.stderr}`)));
  });
  return {
    url,
    events,
    kill: (signal) => void child.kill(signal),
    async said(text) {
      while (!said.stderr.includes(text)) await once(child.stderr, "data");
    },
    async end(signal) {
      const closed = once(child, "close");
      child.kill(signal);
      const [status] = (await closed) as [number | null];
      return { status, ...said };
    },
  };
}

export const get = (url: string): Promise<Response> =>
  fetch(url, { headers: { connection: "close" } });
