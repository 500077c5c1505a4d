// An object server and a Worker in two processes of their own, over a Unix socket. Prints what the Worker
// did, and ends with its exit code.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "capstan-"));
const address = `unix:${join(folder, "rooms.sock")}`;

const server = spawn(process.execPath, [here("server.js"), address], {
  stdio: ["pipe", "pipe", "inherit"],
});
try {
  await Promise.race([
    once(server.stdout, "data"),
    once(server, "exit").then(() => Promise.reject(new Error("the server did not start"))),
  ]);
  console.log(`server: process ${server.pid}, ${address}`);
  const worker = spawn(process.execPath, [here("worker.js"), address], { stdio: "inherit" });
  console.log(`worker: process ${worker.pid}`);
  const [code] = (await once(worker, "exit")) as [number | null];
  process.exitCode = code ?? 1;
} finally {
  if (server.exitCode === null) {
    server.kill();
    await once(server, "exit");
  }
  rmSync(folder, { recursive: true, force: true });
}
