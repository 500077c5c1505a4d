#!/usr/bin/env node
// Role: the program `capstan`: picks a command, turns its outcome into an exit status.
// State: none. Must not know: what a command does. Machine output goes to stdout, all else to stderr; the status is 0
// for done, 1 for failed, 2 for misuse.

import fs from "node:fs";
import { runCompile } from "./compile.node.js";
import { Misuse } from "./misuse.js";

const USAGE = `usage: capstan COMMAND [options]

commands:
  compile FILE...   generate TypeScript from Cap'n Proto schemas
  serve [MODULE]    serve a Worker module with durable objects
  objects ACTION    list, show, export, delete or evict the objects of a host

options:
  -h, --help        this text, or that of a command
  --version         the version of capstan
`;

const COMMANDS: Readonly<
  Record<string, (args: string[], stdout: (text: string) => void) => number | Promise<number>>
> = {
  compile: runCompile,
  // Loaded when they are asked for: each is a whole host.
  objects: async (args, stdout) => (await import("./objects.node.js")).runObjects(args, stdout),
  serve: async (args, stdout) => (await import("./serve.node.js")).runServe(args, stdout),
};

async function main(args: string[]): Promise<number> {
  const stdout = (text: string): void => void fs.writeSync(1, text);
  const [command, ...rest] = args;
  if (command === "--help" || command === "-h") {
    stdout(USAGE);
    return 0;
  }
  if (command === "--version") {
    stdout(`${version()}\n`);
    return 0;
  }
  try {
    if (command === undefined) throw new Misuse("name a command");
    const run = Object.hasOwn(COMMANDS, command) ? COMMANDS[command] : undefined;
    if (run === undefined) throw new Misuse(`there is no command ${command}`);
    return await run(rest, stdout);
  } catch (thrown) {
    const message = thrown instanceof Error ? thrown.message : String(thrown);
    process.stderr.write(`capstan: ${message}\n`);
    if (!(thrown instanceof Misuse)) return 1;
    process.stderr.write("try capstan --help\n");
    return 2;
  }
}

function version(): string {
  for (let at = new URL(import.meta.url); ; at = new URL("..", at)) {
    const file = new URL("package.json", at);
    if (fs.existsSync(file))
      return (JSON.parse(fs.readFileSync(file, "utf8")) as { version: string }).version;
    if (at.pathname === "/") throw new Error("the package.json of capstan was not found");
  }
}

process.exitCode = await main(process.argv.slice(2));
