// @ts-check
// Starts the `workerd` that npm installed, with its debug port on a Unix socket, and ends it again.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const START_MS = 20_000;

/** The service, class and object that the smoke test calls; the object's id is any 64 hexadecimal digits. */
export const OBJECT = { service: "main", entrypoint: "Room", actorId: "ca".repeat(32) };

/** V8's serialization of a JavaScript value, format version 15, of the few values that the smoke test has. */
export const V8 = {
  /** @param {readonly number[]} numbers integers from -64 to 63 @returns {Uint8Array} an Array of them */
  array: (numbers) => {
    const items = numbers.flatMap((value) => [0x49, zigzag(value)]);
    return Uint8Array.of(0xff, 15, 0x41, numbers.length, ...items, 0x24, 0, numbers.length);
  },
  /** @param {number} value an integer from -64 to 63 @returns {Uint8Array} */
  number: (value) => Uint8Array.of(0xff, 15, 0x49, zigzag(value)),
};

/** @param {number} value @returns {number} its signed variable-length form, when that is one byte */
function zigzag(value) {
  return value < 0 ? -value * 2 - 1 : value * 2;
}

/**
 * The path of the program. It is run as it is: the install script of the npm package, which npm may hold back, is not needed.
 * Throws when the package for this machine is not installed.
 */
export function programPath() {
  const machine = process.arch === "x64" ? "64" : process.arch;
  const name = `@cloudflare/workerd-${process.platform}-${machine}`;
  const require = createRequire(createRequire(import.meta.url).resolve("workerd/package.json"));
  return join(dirname(require.resolve(`${name}/package.json`)), "bin/workerd");
}

/**
 * @param {string} folder an empty one, for the socket
 * @param {string} [config] the file that says what it serves; by default what the smoke test calls
 * @returns {Promise<{ path: string, pid: number, version: string, stop(): Promise<void> }>} `path` is that of the debug port's socket
 */
export async function startWorkerd(folder, config = join(here, "config.capnp")) {
  const path = join(folder, "debug-port");
  const program = programPath();
  const args = ["serve", config, `--debug-port=unix:${path}`, "--control-fd=3"];
  const child = spawn(program, args, { stdio: ["ignore", "inherit", "pipe", "pipe"] });
  let said = "";
  let complaint = "";
  child.stderr?.on("data", (chunk) => (complaint = (complaint + chunk).slice(-4000)));
  const ended = once(child, "close");
  const stop = async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill("SIGTERM");
    await ended;
  };
  const timer = setTimeout(() => child.kill("SIGKILL"), START_MS);
  const control = /** @type {import("node:stream").Readable} */ (child.stdio[3]);
  control.on("data", (chunk) => (said += chunk));
  // One line of JSON for each socket that it listens on; the debug port is the only one.
  while (!said.includes('"debug-port"')) {
    const first = await Promise.race([once(control, "data"), ended.then(() => null)]);
    if (first === null) throw new Error(`workerd did not start: ${complaint.trim()}`);
  }
  clearTimeout(timer);
  const pid = /** @type {number} */ (child.pid);
  return { path, pid, version: await versionOf(program), stop };
}

/** @param {string} program @returns {Promise<string>} */
async function versionOf(program) {
  const child = spawn(program, ["--version"], { stdio: ["ignore", "pipe", "inherit"] });
  let text = "";
  child.stdout.on("data", (chunk) => (text += chunk));
  await once(child, "close");
  return text.trim();
}
