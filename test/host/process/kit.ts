// Hosts of several processes for tests: compiled once for a file, ended after each test, with no process left.

import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, afterEach, beforeAll, expect, vi } from "vitest";
import { HostServer, type StartOptions } from "../../../src/host/process/supervisor.node.js";
import type { RpcError, RpcStub } from "../../../src/index.js";
import { compilePrograms, type Programs } from "../../support/programs.js";
import { expectNoResidue, resources } from "../../support/residue.js";
import type { Counter, Data } from "./programs/program.js";

const ENTRY = "src/host/process/child-main.node.ts";
const WATCHDOG = "src/host/process/watchdog.node.ts";
const PROGRAM = "test/host/process/programs/program.ts";
const COLLECTED = "test/host/process/programs/collected.ts";
const COMMAND = "src/cli/main.node.ts";
const SUPERVISOR = "test/host/process/programs/supervisor.ts";

let programs: Programs;
const hosts: TestHost[] = [];
const folders: string[] = [];
let before: Map<string, number>;

/** To be called once in a file of tests. */
export function hostsOfProcesses(): void {
  // Processes that start and end, on a machine that may have other things to do.
  vi.setConfig({ testTimeout: 300_000 });
  beforeAll(() => {
    programs = compilePrograms([ENTRY, WATCHDOG, PROGRAM, COLLECTED, SUPERVISOR, COMMAND]);
    before = resources();
  });
  afterEach(async () => {
    for (const { server, pids } of hosts.splice(0)) {
      await server.close();
      await vanished(pids());
    }
    for (const folder of folders.splice(0)) fs.rmSync(folder, { recursive: true, force: true });
    await expectNoResidue(before);
  });
  afterAll(() => programs.dispose());
}

export interface TestHost {
  readonly server: HostServer;
  /** What was reported. */
  readonly reports: string[];
  counter(name: string): RpcStub<Counter>;
  /** All processes that it has shown to have. */
  pids(): number[];
}

export function dataFolder(): string {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "capstan-proc-"));
  folders.push(folder);
  return folder;
}

export const programUrl = (): string => pathToFileURL(programs.file(PROGRAM)).href;
/** A program with private objects. */
export const collectedUrl = (): string => pathToFileURL(programs.file(COLLECTED)).href;
export const commandFile = (): string => programs.file(COMMAND);
export const supervisorFile = (): string => programs.file(SUPERVISOR);
export const entryUrl = (): URL => pathToFileURL(programs.file(ENTRY));

export async function startTestHost(
  options: Partial<StartOptions> & { data?: Data } = {},
): Promise<TestHost> {
  const reports: string[] = [];
  const server = await HostServer.start({
    directory: options.directory ?? dataFolder(),
    program: programUrl(),
    report: (error, what) => reports.push(`${what}: ${(error as Error).message}`),
    _entry: entryUrl(),
    ...options,
  });
  const seen = new Set<number>();
  const pids = (): number[] => {
    const { objects, front } = server.processes;
    for (const pid of [...objects, front]) if (pid !== null) seen.add(pid);
    return [...seen];
  };
  pids();
  const counter = (name: string): RpcStub<Counter> =>
    server.env["COUNTERS"]!.getByName(name) as never;
  const host = { server, reports, counter, pids };
  hosts.push(host);
  return host;
}

/** Names of counters, one for each slot, in their order. */
export async function nameInEachSlot(host: TestHost): Promise<string[]> {
  const { objects } = host.server.processes;
  const names: string[] = [];
  for (let i = 0; names.filter(Boolean).length < objects.length; i++) {
    using stub = host.counter(`c${i}`);
    names[objects.indexOf(await stub.pid())] ??= `c${i}`;
  }
  return names;
}

/** Waits until none of the processes is there any more. */
export async function vanished(pids: readonly number[]): Promise<void> {
  await until(() => pids.every((pid) => !isAlive(pid)), "processes are left");
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  // One that was killed and that nobody has asked for is no process any more.
  return !/^State:\s+Z/m.test(fs.readFileSync(`/proc/${pid}/status`, "utf8"));
}

/** Waits for what comes about by itself. */
export async function until(test: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const end = performance.now() + 60_000;
  while (!(await test())) {
    if (performance.now() > end) expect.fail(what);
    await new Promise((resolve) => {
      setTimeout(resolve, 10);
    });
  }
}

/** What `promise` fails with. */
export async function failure(promise: PromiseLike<unknown>): Promise<RpcError> {
  try {
    await promise;
  } catch (error) {
    return error as RpcError;
  }
  return expect.fail("it did not fail");
}
