// The scenarios in workerd, over WebSocket: a Worker that calls an object in Node, and a Worker that serves one to Node. The
// library is the bundle that scripts/bundle.js measures.

import fs from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { connect, listen } from "../../src/node.js";
import { buildEntries, LIBRARIES } from "./build.js";
import { EXCEPT, runtimeSuite } from "./report.js";
import { Host } from "./server.js";
import { type Outcome, runAll, scenarios } from "./suite/index.js";
import { missingWorkerd, startWorkerd, type Workerd } from "./workerd.js";

// skip: where npm has no workerd; missingWorkerd prints the reason
describe.skipIf(missingWorkerd() !== null).each(LIBRARIES)("workerd, %s", (library) => {
  let folder = "";
  let workerd: Workerd;

  beforeAll(async () => {
    folder = await buildEntries(["workerd"], library);
    workerd = await startWorkerd(folder);
    console.log(`runtimes: ${workerd.version}`);
  });
  afterAll(async () => {
    await workerd?.stop();
    fs.rmSync(folder, { recursive: true, force: true });
  });

  async function callNode(): Promise<Outcome[]> {
    const host = new Host();
    await using listener = await listen("ws://127.0.0.1:0/rpc", {
      ...host.options,
      onSession: (session) => host.of(session),
    });
    await using batches = await listen("http://127.0.0.1:0/batch", host.options);
    const query = new URLSearchParams({ url: listener.url, http: batches.url });
    const response = await fetch(`http://${workerd.host}/run?${query}`, {
      signal: AbortSignal.timeout(50_000),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`the Worker failed: ${text}`);
    return JSON.parse(text) as Outcome[];
  }

  const callWorker = (): Promise<Outcome[]> =>
    runAll(() => connect(`ws://${workerd.host}/rpc`), `http://${workerd.host}/batch`);

  const caller = `workerd Worker, calls Node, WebSocket, ${library}`;
  const called = `workerd Worker, called by Node, WebSocket, ${library}`;
  runtimeSuite(caller, callNode);
  runtimeSuite(called, () => callWorker());
  const failures = (all: readonly Outcome[], runtime: string): Outcome[] =>
    all.filter(({ name, error }) => error !== null && !(name in (EXCEPT[runtime] ?? {})));

  // What one request made, another must not use: workerd refuses that, and all sessions of an isolate share a scheduler.
  it("serves many clients at once, each request on its own", async () => {
    const all = await Promise.all(Array.from({ length: 4 }, callWorker));
    expect(failures(all.flat(), called)).toEqual([]);
    expect(all.flat()).toHaveLength(4 * scenarios.length);
  });
  it("calls from many requests at once", async () => {
    const runs = Array.from({ length: 4 }, async () => callNode());
    const all = await Promise.all(runs);
    expect(failures(all.flat(), caller)).toEqual([]);
    expect(all.flat()).toHaveLength(4 * scenarios.length);
  });
});
