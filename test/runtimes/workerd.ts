// Role: starts the workerd that npm installed, with one Worker at an HTTP socket of loopback, and ends it again.
// State: the process. Must not know: what the Worker does.

import { spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import path from "node:path";
import type { Readable } from "node:stream";
import { programPath } from "../../interop/workerd/workerd.js";

const START_MS = 20_000;

// A Worker reaches the internet by default, and nothing of this machine.
const CONFIG = `using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    (name = "main", worker = (
      modules = [
        (name = "workerd.js", esModule = embed "workerd.js"),
        (name = "capstan.js", esModule = embed "capstan.js"),
      ],
      compatibilityDate = "2026-08-01",
    )),
    (name = "internet", network = (allow = ["private"])),
  ],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
);
`;

export interface Workerd {
  /** Where its Worker is reached: `127.0.0.1:port`. */
  readonly host: string;
  readonly version: string;
  stop(): Promise<void>;
}

/** Why workerd cannot be run here; null when it can. @throws Error under CAPSTAN_REQUIRE_TOOLS=1 */
export function missingWorkerd(): string | null {
  try {
    fs.accessSync(programPath(), fs.constants.X_OK);
    return null;
  } catch (cause) {
    const reason = "npm installed no workerd for this machine";
    if (process.env["CAPSTAN_REQUIRE_TOOLS"] === "1") throw new Error(reason, { cause });
    console.warn(`skipped: ${reason}`);
    return reason;
  }
}

/** @param folder holds the Worker's modules, workerd.js and capstan.js */
export async function startWorkerd(folder: string): Promise<Workerd> {
  const config = path.join(folder, "config.capnp");
  fs.writeFileSync(config, CONFIG);
  const child = spawn(programPath(), ["serve", config, "--control-fd=3"], {
    stdio: ["ignore", "inherit", "pipe", "pipe"],
  });
  let complaint = "";
  child.stderr!.on("data", (chunk) => (complaint = (complaint + String(chunk)).slice(-4000)));
  const ended = once(child, "close");
  const stop = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL");
    await ended;
    if (complaint !== "") console.log(`workerd said: ${complaint.trim()}`);
  };
  const timer = setTimeout(() => child.kill("SIGKILL"), START_MS);
  const control = child.stdio[3] as Readable;
  let said = "";
  control.on("data", (chunk) => (said += String(chunk)));
  try {
    let port: string | undefined;
    // One line of JSON for each socket that it listens on.
    while ((port = /"socket":"http","port":(\d+)/.exec(said)?.[1]) === undefined) {
      const first = await Promise.race([once(control, "data"), ended.then(() => null)]);
      if (first === null) throw new Error(`workerd did not start: ${complaint.trim()}`);
    }
    return { host: `127.0.0.1:${port}`, version: await versionOf(), stop };
  } finally {
    clearTimeout(timer);
  }
}

async function versionOf(): Promise<string> {
  const child = spawn(programPath(), ["--version"], { stdio: ["ignore", "pipe", "inherit"] });
  let text = "";
  child.stdout.on("data", (chunk) => (text += String(chunk)));
  await once(child, "close");
  return text.trim();
}
