// @ts-check
// The peers as processes: how each role of each language is started, told apart and ended.
//
// Ends only what it started, by the handle it got. Knows nothing of scenarios but that a client is given the name of one.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { program } from "./cxx/build.js";

const here = dirname(fileURLToPath(import.meta.url));
const START_MS = 20_000;
const END_MS = 5_000;

/**
 * How to start the roles of a language. A server is started with its address and the name of its bootstrap object and says
 * "listening ADDRESS" in a line of its own when it is ready; a client with the address and a scenario, and its last line is
 * JSON.
 *
 * @typedef {{ title: string, server: string[], client: string[] }} Language
 */

/**
 * The command of a program in `ts/`, as `npm run build` leaves it.
 *
 * The young generation is kept small. Buffers are no part of V8's heap, and it looks for dead ones when the young generation
 * is full, or when they come to 32 MB: with the default size that is the rule for a stream of large chunks, and a receiver grows
 * by some 40 MB, a few more on a bad day. With this it grows by 25, at the same speed.
 *
 * @param {string} name
 * @returns {string[]}
 */
const tsProgram = (name) => [
  process.execPath,
  "--max-semi-space-size=1",
  join(here, `../build/programs/interop/ts/${name}.js`),
];

/** @type {Record<string, Language>} */
export const LANGUAGES = {
  cxx: { title: "C++", server: [program("server")], client: [program("client")] },
  ts: {
    title: "TS",
    server: tsProgram("server"),
    client: tsProgram("client"),
  },
};

/** The client of workerd's debug port. */
export const WORKERD_SMOKE = tsProgram("workerd-smoke");

/**
 * @param {string} name
 * @returns {Language} throws when there is no such language or it is not built
 */
export function languageOf(name) {
  const language = LANGUAGES[name];
  if (language === undefined) throw new Error(`no such language: ${name}`);
  for (const command of [language.server, language.client]) {
    const path = command.at(-1) ?? "";
    if (!existsSync(path)) throw new Error(`the ${language.title} roles are not built: no ${path}`);
  }
  return language;
}

/** A started program with what it printed. */
class Program {
  stdout = "";
  stderr = "";

  /** @param {readonly string[]} command */
  constructor(command) {
    this.child = spawn(command[0] ?? "", command.slice(1), { stdio: ["ignore", "pipe", "pipe"] });
    this.child.stdout.setEncoding("utf8").on("data", (text) => (this.stdout += text));
    this.child.stderr
      .setEncoding("utf8")
      .on("data", (text) => (this.stderr = (this.stderr + text).slice(-4000)));
    this.child.on("error", (error) => (this.stderr += error.message));
    /** @type {Promise<{ code: number | null, signal: string | null }>} */
    this.ended = new Promise((resolve) => {
      this.child.on("close", (code, signal) => resolve({ code, signal }));
    });
  }

  get running() {
    return (
      this.child.exitCode === null && this.child.signalCode === null && this.child.pid !== undefined
    );
  }

  async stop() {
    if (this.running) this.child.kill("SIGTERM");
    const timer = setTimeout(() => this.child.kill("SIGKILL"), END_MS);
    await this.ended;
    clearTimeout(timer);
  }
}

/**
 * Starts a server and waits until it listens.
 *
 * @param {Language} language
 * @param {string} address `unix:PATH` or `tcp://HOST:PORT`, port 0 for one the system chooses
 * @param {string} bootstrap the name of its bootstrap object
 * @returns {Promise<{ address: string, stop(): Promise<void>, running: boolean, stderr: string }>} the address as
 *   the server says it, with the real port
 */
export async function startServer(language, address, bootstrap) {
  const server = new Program([...language.server, address, bootstrap]);
  const timer = setTimeout(() => server.child.kill("SIGKILL"), START_MS);
  for (;;) {
    const said = /^listening (.*)$/m.exec(server.stdout);
    if (said !== null) {
      clearTimeout(timer);
      return Object.assign(server, { address: said[1] ?? address });
    }
    const event = await Promise.race([once(server.child.stdout, "data"), server.ended]);
    if (!Array.isArray(event)) {
      clearTimeout(timer);
      throw new Error(`the server ended before it listened: ${server.stderr.trim()}`);
    }
  }
}

/**
 * Runs a client to its end.
 *
 * @param {readonly string[]} command
 * @param {string} address
 * @param {string} scenario
 * @param {number} limitMs after which it is killed
 * @returns {Promise<{ ok: boolean, signal: string | null, notes: string[], error: string }>}
 */
export async function runClient(command, address, scenario, limitMs) {
  const client = new Program([...command, address, scenario]);
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    client.child.kill("SIGKILL");
  }, limitMs);
  const { code, signal } = await client.ended;
  clearTimeout(timer);
  /** @param {string} error */
  const failed = (error) => ({ ok: false, signal, notes: [], error });
  if (late) return failed(`not done after ${limitMs} ms ${client.stderr.trim()}`);
  try {
    const said = JSON.parse(client.stdout.trim().split("\n").at(-1) ?? "");
    return said.ok && code === 0
      ? { ok: true, signal, notes: said.notes ?? [], error: "" }
      : failed(said.error);
  } catch {
    return failed(
      `ended with ${signal ?? `code ${code}`} and without a result: ${client.stderr.trim()}`,
    );
  }
}
