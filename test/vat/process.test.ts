// Peers in processes and threads of their own: stopped, killed, ended in order.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { MessageChannel } from "node:worker_threads";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { connect, connectProgram, nodeSession, type Session } from "../../src/node.js";
import { type MessagePortLike, MessagePortTransport } from "../../src/transport/messageport.js";
import { turn } from "../support/messages.js";
import { compilePrograms, type Programs } from "../support/programs.js";
import { expectNoResidue, resources } from "../support/residue.js";
import { ask, failure, object } from "../support/vats.js";

const PROGRAM = "test/vat/vat-process.ts";

describe("a peer in another process", () => {
  let programs: Programs;
  let before: Map<string, number>;
  let folder: string;
  let children: ChildProcess[];
  let sessions: Session[];

  beforeAll(() => {
    programs = compilePrograms([PROGRAM]);
  });

  afterAll(() => programs.dispose());

  beforeEach(() => {
    before = resources();
    folder = fs.mkdtempSync(path.join(os.tmpdir(), "capstan-"));
    children = [];
    sessions = [];
  });

  afterEach(async () => {
    for (const session of sessions) await session.close();
    for (const child of children) {
      child.kill("SIGKILL");
      if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
    }
    fs.rmSync(folder, { recursive: true });
    await expectNoResidue(before);
  });

  /** Starts a vat; returns it with its address. */
  async function start(address: string): Promise<{ child: ChildProcess; url: string }> {
    const child = spawn(process.execPath, [programs.file(PROGRAM), address], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    children.push(child);
    const [line] = (await once(child.stdout!, "data")) as [Buffer];
    child.stdout!.resume();
    return { child, url: String(line).trim() };
  }

  async function dial(...args: Parameters<typeof connect>): Promise<Session> {
    const session = await connect(...args);
    sessions.push(session);
    return session;
  }

  const addresses = (): [string, () => string][] => [
    ["unix", () => `unix:${folder}/s`],
    ["tcp", () => "tcp://:0"],
    ["ws", () => "ws://:0"],
  ];

  for (const [scheme, address] of addresses()) {
    it(`C-DIS-08: ${scheme}: killed in the midst of a call`, async () => {
      const { child, url } = await start(address());
      const session = await dial(url);
      const remote = session.bootstrap();
      expect(await ask(remote, 0, 1)).toBe(1);
      const waiting = failure(ask(remote, 1, 2));
      await once(child.stderr!, "data");
      process.kill(child.pid!, "SIGKILL");
      expect(await waiting).toMatchObject({
        type: "disconnected",
        code: "connection-lost",
        delivery: "unknown",
      });
      await session.closed;
      remote.release();
    });
  }

  for (const [scheme, address] of addresses().slice(0, 2)) {
    it(`C-LIF-28: ${scheme}: stopped while a call waits, reported within silenceTimeout`, async () => {
      const { child, url } = await start(address());
      const session = await dial(url, { silenceTimeout: 1200, grace: 50 });
      const remote = session.bootstrap();
      for (let i = 0; i < 5; i++) {
        expect(await ask(remote, 0, i)).toBe(i);
        await new Promise((resolve) => setTimeout(resolve, 400));
      }
      process.kill(child.pid!, "SIGSTOP");
      const stopped = performance.now();
      expect(await failure(ask(remote, 0, 9))).toMatchObject({
        type: "disconnected",
        code: "peer-unresponsive",
      });
      const took = performance.now() - stopped;
      // Not before two thirds of it, also for a call that began just before a look.
      expect(took).toBeGreaterThan(780);
      // Each time that this process is held up puts it off.
      expect(took).toBeLessThan(5000);
      expect(await session.closed).toMatchObject({ code: "peer-unresponsive" });
      remote.release();
    });
  }

  it("C-LIF-28: ws: stopped while nothing waits, reported within peerTimeout all the same", async () => {
    const { child, url } = await start("ws://:0");
    const session = await dial(url, { peerTimeout: 900 });
    const remote = session.bootstrap();
    await ask(remote, 0, 1);
    await new Promise((resolve) => setTimeout(resolve, 1800));
    expect(session.error).toBeNull();
    process.kill(child.pid!, "SIGSTOP");
    const stopped = performance.now();
    expect(await session.closed).toMatchObject({ code: "peer-unresponsive" });
    expect(performance.now() - stopped).toBeLessThan(5000);
    expect(await failure(ask(remote, 0, 1))).toMatchObject({ code: "peer-unresponsive" });
    remote.release();
  });

  it("a program is a peer over its standard input and output, and ends in order", async () => {
    const file = programs.file(PROGRAM);
    const session = await connectProgram(process.execPath, [file, "stdio"], { stderr: "ignore" });
    sessions.push(session);
    const remote = session.bootstrap();
    // It prints while it answers.
    for (let i = 0; i < 20; i++) expect(await ask(remote, 0, i)).toBe(i);
    remote.release();
    await turn();
    await session.close();
    expect(await session.closed).toBeNull();
    const { child } = session.transport as unknown as { child: ChildProcess };
    expect(child.exitCode).toBe(0);
  });

  it("two sessions speak over a MessagePort", async () => {
    const { port1, port2 } = new MessageChannel();
    const { recorder, hook } = object();
    const [near, far] = [port1, port2].map(
      (port) => new MessagePortTransport("port", port as unknown as MessagePortLike),
    );
    const client = nodeSession(near!, {});
    const server = nodeSession(far!, { bootstrap: hook });
    hook.release();
    sessions.push(client, server);
    const remote = client.bootstrap();
    const answers = await Promise.all(Array.from({ length: 50 }, (_, i) => ask(remote, 0, i)));
    expect(answers).toEqual(recorder.seen);
    remote.release();
    await turn();
    await client.close();
    expect(await server.closed).toBeNull();
    expect(recorder.droppedTimes).toBe(1);
  });
});
