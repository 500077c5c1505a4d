// The scenarios in Node, over every transport of the vat.

import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe } from "vitest";
import {
  connect,
  listen,
  type Listener,
  memoryPair,
  type MessagePortLike,
  MessagePortTransport,
  nodeSession,
  type Session,
  type Transport,
} from "../../src/node.js";
import { expectNoResidue, resources } from "../support/residue.js";
import { CERT, KEY } from "../support/tls.js";
import { runtimeSuite } from "./report.js";
import { Host } from "./server.js";
import { type Outcome, runAll } from "./suite/index.js";

let batches: Listener;
let before: Map<string, number>;
beforeAll(async () => {
  before = resources();
  batches = await listen("http://127.0.0.1:0/batch", new Host().options);
});
afterAll(async () => {
  await batches.close();
  await expectNoResidue(before);
});

async function overAddress(url: string, tls?: { key: string; cert: string }): Promise<Outcome[]> {
  const host = new Host();
  await using listener = await listen(url, {
    ...host.options,
    tls,
    onSession: (session) => host.of(session),
  });
  const ca = tls?.cert;
  return await runAll(() => connect(listener.url, { ca }), batches.url);
}

function overPair(pair: () => [Transport, Transport]): Promise<Outcome[]> {
  const host = new Host();
  return runAll(async (): Promise<Session> => {
    const [one, two] = pair();
    host.of(nodeSession(one, host.options));
    return nodeSession(two, {});
  }, batches.url);
}

runtimeSuite("Node, memory", () => overPair(() => memoryPair()));
runtimeSuite("Node, MessagePort", () =>
  overPair(() => {
    const { port1, port2 } = new MessageChannel();
    return [
      new MessagePortTransport("one", port1 as MessagePortLike),
      new MessagePortTransport("two", port2 as MessagePortLike),
    ];
  }),
);
runtimeSuite("Node, TCP", () => overAddress("tcp://127.0.0.1:0"));
runtimeSuite("Node, WebSocket", () => overAddress("ws://127.0.0.1:0/rpc"));
runtimeSuite("Node, WebSocket with TLS", () =>
  overAddress("wss://localhost:0/rpc", { key: KEY, cert: CERT }),
);

describe("in a folder", () => {
  let folder = "";
  beforeAll(() => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), "capstan-"));
  });
  afterAll(() => fs.rmSync(folder, { recursive: true }));
  runtimeSuite("Node, Unix socket", () => overAddress(`unix:${path.join(folder, "api.sock")}`));
});
