// A client that outlives its server: the server's process is killed and started again while the client listens and
// calls. Prints what the client sees. node build/programs/examples/reconnecting/main.js

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { connect, reconnecting, type RpcError, RpcStub } from "capstan/node";
import type { Clock } from "./server.js";

const folder = mkdtempSync(join(tmpdir(), "capstan-"));
const address = `unix:${join(folder, "clock.sock")}`;

async function startServer(): Promise<ChildProcess> {
  const path = fileURLToPath(new URL("server.js", import.meta.url));
  const server = spawn(process.execPath, [path, address], { stdio: ["pipe", "pipe", "inherit"] });
  await once(server.stdout!, "data");
  console.log(`server: process ${server.pid}`);
  return server;
}

async function end(server: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  const gone = once(server, "exit");
  server.kill(signal);
  await gone;
}

let heard: (tick: string) => void = () => {};
/** The next tick that the subscription brings. */
const nextTick = (): Promise<string> => new Promise((resolve) => (heard = resolve));

let server = await startServer();
const link = reconnecting(({ signal }) => connect(address, { signal }), {
  minDelay: 20,
  maxDelay: 200,
  // A server may take long to start: what waits gives up after a time (maxTime, a minute), not after a number of attempts.
  maxAttempts: Infinity,
  // Subscriptions end with their connection: each new one is told again what this client wants to hear.
  async onConnected(session) {
    using clock = session.bootstrap(RpcStub<Clock>);
    await clock.subscribe((tick) => heard(tick));
  },
});
link.onStateChange((state) => console.log(`state: ${state}`));
const clock = link.bootstrap(RpcStub<Clock>);
try {
  const first = await clock.processId();
  console.log(`asked: process ${first}`);
  console.log(`heard: ${await nextTick()}`);

  // Killed, with a call under way: that one fails, since it may have run, and is not made again.
  const underWay = clock.sleep(60_000).catch((error: RpcError) => error);
  await clock.processId();
  await end(server, "SIGKILL");
  const error = await underWay;
  console.log(`under way: ${error!.type}, delivery ${error!.delivery}`);

  // Made while nobody is there: it waits.
  const waiting = clock.processId();
  server = await startServer();
  console.log(`asked: process ${await waiting}`);
  console.log(`heard: ${await nextTick()}`);

  // Told to end, the server drains: a call under way may end.
  const slow = clock.sleep(200);
  await clock.processId();
  const gone = end(server, "SIGTERM");
  await slow;
  console.log("under way: done");
  await gone;
} finally {
  clock[Symbol.dispose]();
  await link.close();
  if (server.exitCode === null && server.signalCode === null) await end(server, "SIGKILL");
  rmSync(folder, { recursive: true, force: true });
}
