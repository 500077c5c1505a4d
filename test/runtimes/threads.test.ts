// The scenarios between two threads of Node, over MessagePort, in both directions; and between two processes, over
// standard input and output.

import fs from "node:fs";
import path from "node:path";
import { Worker } from "node:worker_threads";
import { afterAll, beforeAll } from "vitest";
import { connectProgram, listen, type Listener } from "../../src/node.js";
import { expectNoResidue, resources } from "../support/residue.js";
import { buildEntries } from "./build.js";
import { type Message, type Realm, runOver, together } from "./realm.js";
import { runtimeSuite } from "./report.js";
import { Host } from "./server.js";
import { type Outcome, runAll } from "./suite/index.js";

let folder = "";
let batches: Listener;
let before: Map<string, number>;
beforeAll(async () => {
  folder = await buildEntries(["thread", "program"], "capstan");
  before = resources();
  batches = await listen("http://127.0.0.1:0/batch", new Host().options);
});
afterAll(async () => {
  await batches.close();
  fs.rmSync(folder, { recursive: true, force: true });
  await expectNoResidue(before);
});

async function withThread(direction: "to" | "from"): Promise<Outcome[]> {
  const worker = new Worker(path.join(folder, "thread.js"));
  const realm: Realm = {
    post: (message, transfer) => worker.postMessage(message, transfer as never),
    listen: (listener) => void worker.on("message", (message: Message) => listener(message)),
  };
  const died = new Promise<never>((_, reject) => worker.once("error", reject));
  const { ready, theirs } = together(realm, batches.url);
  try {
    await Promise.race([ready, died]);
    return await Promise.race([direction === "to" ? runOver(realm, batches.url) : theirs(), died]);
  } finally {
    await worker.terminate();
  }
}

runtimeSuite("Node, calls a worker thread, MessagePort", () => withThread("to"));
runtimeSuite("Node, called by a worker thread, MessagePort", () => withThread("from"));
runtimeSuite("Node, calls a program, stdio", () =>
  runAll(() => connectProgram(process.execPath, [path.join(folder, "program.js")]), batches.url),
);
