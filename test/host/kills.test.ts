// Killed at random moments: every write that was answered is there, in order, none of them in half. What is flushed kill -9
// cannot show, since the system keeps what was written: that a reply waits for the flush is in test/host/object/calls.test.ts.

import { type ChildProcess, spawn } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { faultOf, type WriterState } from "./writer.js";
import { bundle } from "../../scripts/bundle.js";

const KILLS = 200;
const CHAINS = 4;
/** Answers that are waited for before a kill, at most; and milliseconds after the last of them. */
const ANSWERS = 12;
const MILLISECONDS = 4;
const ROOT = path.join(import.meta.dirname, "../..");

type States = Record<string, WriterState>;

/** The program as one file, since it is started so often; in the project, where it finds lmdb. */
let folder: string;
let program: string;
beforeAll(async () => {
  const source = 'import "./test/host/programs/kill-writer.ts";';
  const { code } = await bundle(ROOT, source, { platform: "node" });
  fs.mkdirSync(path.join(ROOT, ".tmp"), { recursive: true });
  folder = fs.mkdtempSync(path.join(ROOT, ".tmp", "kills-"));
  program = path.join(folder, "writer.mjs");
  fs.writeFileSync(program, code);
});
afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));

/** Numbers from 0 to 1, the same in each run. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fff_ffff;
    return state / 0x8000_0000;
  };
}

/** A writer over `directory`, its lines as they come. */
class Writer {
  readonly lines: string[] = [];
  private readonly child: ChildProcess;
  private readonly closed: Promise<true>;
  private waiting: (() => void) | null = null;
  private errors = "";
  private rest = "";

  constructor(directory: string) {
    this.child = spawn(process.execPath, [program, directory], {
      stdio: ["pipe", "pipe", "pipe"],
    });
    this.closed = new Promise((resolve) => this.child.once("close", () => resolve(true)));
    this.child.stdout!.setEncoding("utf8").on("data", (text: string) => {
      const lines = (this.rest + text).split("\n");
      this.rest = lines.pop()!;
      this.lines.push(...lines);
      this.waiting?.();
    });
    this.child.stderr!.setEncoding("utf8").on("data", (text: string) => (this.errors += text));
  }

  async states(): Promise<States> {
    await this.answers(1);
    return JSON.parse(this.lines.shift()!) as States;
  }

  /** Waits until there are `count` lines. */
  async answers(count: number): Promise<void> {
    while (this.lines.length < count) {
      const exited = await Promise.race([
        new Promise<false>((resolve) => (this.waiting = () => resolve(false))),
        this.closed,
      ]);
      if (exited && this.lines.length < count) throw new Error(`it ended: ${this.errors}`);
    }
  }

  start(): void {
    this.child.stdin!.write("go\n");
  }

  async kill(): Promise<void> {
    this.child.kill("SIGKILL");
    await this.closed;
  }
}

function check(states: States, acknowledged: Map<string, number>): void {
  for (const [name, state] of Object.entries(states))
    expect(faultOf(state, acknowledged.get(name) ?? 0), name).toBeUndefined();
}

async function chain(number: number, kills: number): Promise<number> {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), "capstan-kills-"));
  const chance = random(number);
  const acknowledged = new Map<string, number>();
  let answers = 0;
  for (let i = 0; i <= kills; i++) {
    const writer = new Writer(directory);
    check(await writer.states(), acknowledged);
    if (i === kills) {
      await writer.kill();
      break;
    }
    writer.start();
    await writer.answers(Math.floor(chance() * ANSWERS));
    await new Promise((resolve) => {
      setTimeout(resolve, chance() * MILLISECONDS);
    });
    await writer.kill();
    for (const line of writer.lines) {
      const [name, count] = line.split(" ") as [string, string];
      const before = acknowledged.get(name) ?? 0;
      expect(Number(count), `${name}: answers in order`).toBeGreaterThan(before);
      acknowledged.set(name, Number(count));
      answers++;
    }
  }
  fs.rmSync(directory, { recursive: true, force: true });
  return answers;
}

it(
  `${KILLS} times: nothing that was answered is lost, nothing is there in half`,
  { timeout: 300_000 },
  async () => {
    const chains = Array.from({ length: CHAINS }, (_, i) => chain(i + 1, KILLS / CHAINS));
    const answers = (await Promise.all(chains)).reduce((sum, one) => sum + one, 0);
    // They were killed while they wrote.
    expect(answers).toBeGreaterThan(KILLS);
  },
);
