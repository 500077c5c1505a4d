// @ts-check
// The two hosts of the benchmark, each serving bench/host/objects.js with durable storage in a folder of its own.

import { spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { programPath } from "../../interop/workerd/workerd.js";

const here = path.dirname(fileURLToPath(import.meta.url));
const START_MS = 60_000;

/**
 * @typedef {object} HostServer
 * @property {string} url where its Worker is reached
 * @property {number} pid of its first process; those it has started are its descendants
 * @property {() => Promise<void>} stop
 */

const WORKERD_CONFIG = `using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    (name = "main", worker = (
      modules = [(name = "objects.js", esModule = embed "objects.js")],
      compatibilityDate = "2026-08-01",
      durableObjectNamespaces = [(className = "Counter", uniqueKey = "capstan-bench-counters")],
      durableObjectStorage = (localDisk = "disk"),
      bindings = [(name = "COUNTERS", durableObjectNamespace = "Counter")],
    )),
    (name = "disk", disk = (path = "DISK", writable = true)),
  ],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
);
`;

/** @type {Record<string, () => Promise<HostServer>>} */
export const HOSTS = {
  async workerd() {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "capstan-bench-"));
    const disk = path.join(folder, "disk");
    fs.mkdirSync(disk);
    fs.copyFileSync(path.join(here, "objects.js"), path.join(folder, "objects.js"));
    const config = path.join(folder, "config.capnp");
    fs.writeFileSync(config, WORKERD_CONFIG.replace("DISK", disk));
    const child = spawn(programPath(), ["serve", config, "--control-fd=3"], {
      stdio: ["ignore", "inherit", "inherit", "pipe"],
    });
    const control = /** @type {import("node:stream").Readable} */ (child.stdio[3]);
    return started(child, control, /"socket":"http","port":(\d+)/, folder);
  },

  async capstan() {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "capstan-bench-"));
    const program = path.join(here, "../../dist/cli/main.node.js");
    const config = path.join(here, "wrangler.jsonc");
    const args = [program, "serve", "--config", config, "--data", folder, "--port", "0"];
    const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
    return started(child, child.stdout, /http:\/\/127\.0\.0\.1:(\d+)/, folder);
  },
};

/**
 * @param {import("node:child_process").ChildProcess} child
 * @param {import("node:stream").Readable} says
 * @param {RegExp} pattern of the line that tells the port
 * @param {string} folder
 * @returns {Promise<HostServer>}
 */
async function started(child, says, pattern, folder) {
  const ended = once(child, "close");
  const timer = setTimeout(() => child.kill("SIGKILL"), START_MS);
  let said = "";
  says.on("data", (chunk) => (said += String(chunk)));
  for (;;) {
    const port = pattern.exec(said)?.[1];
    if (port !== undefined) {
      clearTimeout(timer);
      const stop = async () => {
        child.kill("SIGTERM");
        const force = setTimeout(() => child.kill("SIGKILL"), 10_000);
        await ended;
        clearTimeout(force);
        fs.rmSync(folder, { recursive: true, force: true });
      };
      return { url: `http://127.0.0.1:${port}`, pid: /** @type {number} */ (child.pid), stop };
    }
    const first = await Promise.race([once(says, "data"), ended.then(() => null)]);
    if (first === null) throw new Error(`the host did not start: ${said}`);
  }
}

/** Resident bytes of a process and all of its descendants, from /proc. @param {number} pid */
export function residentBytes(pid) {
  /** @type {Map<number, number[]>} */
  const children = new Map();
  /** @type {Map<number, number>} */
  const pages = new Map();
  for (const name of fs.readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const stat = fs.readFileSync(`/proc/${name}/stat`, "utf8");
      const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      const parent = Number(fields[1]);
      children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
      pages.set(Number(name), privateBytes(name));
    } catch {
      // It has ended meanwhile.
    }
  }
  const sum = (/** @type {number} */ at) => {
    let bytes = pages.get(at) ?? 0;
    for (const child of children.get(at) ?? []) bytes += sum(child);
    return bytes;
  };
  return sum(pid);
}

/** What a process has of memory for itself: pages of a mapped database are the system's to take back. @param {string} pid */
function privateBytes(pid) {
  const status = fs.readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/RssAnon:\s+(\d+) kB/.exec(status)?.[1] ?? 0) * 1024;
}
