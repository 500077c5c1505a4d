// Role: the workerd that the tests of the bridge call, or that calls them.
// State: the process. Must not know: the bridge.

import { spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import type { Readable } from "node:stream";
import { programPath } from "../../../interop/workerd/workerd.js";

/** For what takes a moment, on a machine that is ten times slower. */
export const SLOWLY = { timeout: 20_000 };

export interface StartedWorkerd {
  /** Of its debug port. */
  readonly url: string;
  /** The port of loopback of one of its sockets. */
  portOf(socket: string): number;
  /** Kilobytes that it has in memory. */
  residentKb(): number;
  /** What it has written on its standard error, the last of it. */
  complaint(): string;
  stop(): Promise<void>;
}

export interface StartOptions {
  /** Its debug port: `unix`, or `tcp` for any free one of loopback. */
  readonly port?: "unix" | "tcp";
  /** The path of the Unix socket, for one that is started in the place of another; by default a new one. */
  readonly at?: string | undefined;
  /** Names of the sockets of its configuration that must listen. */
  readonly sockets?: readonly string[];
  /** Where its external service "remote" is: `host:port`, or `unix:/path`. */
  readonly remote?: string;
}

/** @param config the path of its configuration. */
export async function startWith(
  config: string,
  { port = "unix", at, sockets = [], remote }: StartOptions = {},
): Promise<StartedWorkerd> {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "capstan-bridge-"));
  const socket = at ?? path.join(folder, "debug-port");
  const address = port === "unix" ? `unix:${socket}` : "127.0.0.1:0";
  const args = ["serve", config, `--debug-port=${address}`, "--control-fd=3"];
  // Signals in calls of a Worker are a matter of a flag that is called experimental.
  if (remote !== undefined) args.push(`--external-addr=remote=${remote}`, "--experimental");
  const child = spawn(programPath(), args, { stdio: ["ignore", "inherit", "pipe", "pipe"] });
  let complaint = "";
  child.stderr!.on("data", (chunk) => (complaint = (complaint + String(chunk)).slice(-4000)));
  const ended = once(child, "close");
  const stop = async (): Promise<void> => {
    child.kill("SIGKILL");
    await ended;
    fs.rmSync(folder, { recursive: true, force: true });
  };
  // One line of JSON for each socket that it listens on.
  let said = "";
  const control = child.stdio[3] as Readable;
  control.on("data", (chunk) => (said += String(chunk)));
  const portOf = (name: string): number =>
    Number(new RegExp(`"socket":"${name}","port":(\\d+)`).exec(said)?.[1] ?? 0);
  while (sockets.some((name) => portOf(name) === 0) || !said.includes("debug-port")) {
    if ((await Promise.race([once(control, "data"), ended.then(() => null)])) !== null) continue;
    fs.rmSync(folder, { recursive: true, force: true });
    throw new Error(`workerd did not start: ${complaint.trim()}`);
  }
  return {
    url: port === "unix" ? `unix:${socket}` : `tcp://127.0.0.1:${portOf("debug-port")}`,
    portOf,
    residentKb() {
      const status = fs.readFileSync(`/proc/${child.pid}/status`, "utf8");
      return Number(/VmRSS:\s+(\d+)/.exec(status)![1]);
    },
    complaint: () => complaint,
    stop,
  };
}

export interface Started extends StartedWorkerd {
  /** Of the socket where Desk is served, with the capnpConnectHost "rpc.test". */
  readonly deskUrl: string;
}

/** The one that is called. @param port, at as in {@link StartOptions}. */
export async function startBridge(port: "unix" | "tcp" = "unix", at?: string): Promise<Started> {
  const config = path.join(import.meta.dirname, "config.capnp");
  const started = await startWith(config, { port, at, sockets: ["desk"] });
  return { ...started, deskUrl: `tcp://127.0.0.1:${started.portOf("desk")}` };
}

/** The one that calls. @param remote where, as `host:port` or `unix:/path`. */
export function startCaller(remote: string): Promise<StartedWorkerd> {
  const config = path.join(import.meta.dirname, "../serve/config.capnp");
  return startWith(config, { remote });
}
