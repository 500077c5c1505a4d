// Standard input and output: the suite on a pair of pipes, children that end in order and out of it, and a program that
// speaks on its own.

import { spawn } from "node:child_process";
import net from "node:net";
import { once } from "node:events";
import os from "node:os";
import path from "node:path";
import fs from "node:fs";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { ChildTransport, spawnTransport } from "../../src/transport/stdio.node.js";
import { StreamTransport } from "../../src/transport/stream.node.js";
import type { TransportOptions } from "../../src/transport/transport.js";
import { listenTo, numbers, Writer, until } from "../support/messages.js";
import { compilePrograms, type Programs } from "../support/programs.js";
import { expectNoResidue, resources } from "../support/residue.js";
import { transportSuite } from "../suites/transport.js";

/** A one-way pipe: what the writer puts in, the reader gets. */
async function pipe(): Promise<[reader: net.Socket, writer: net.Socket]> {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "capstan-"));
  const server = net.createServer({ pauseOnConnect: true });
  server.listen(path.join(folder, "s"));
  await once(server, "listening");
  const reader = net.connect({ path: path.join(folder, "s"), allowHalfOpen: false });
  const [[writer]] = await Promise.all([
    once(server, "connection") as Promise<[net.Socket]>,
    once(reader, "connect"),
  ]);
  server.close();
  fs.rmSync(folder, { recursive: true });
  // Like a pipe, each end knows one direction only.
  reader.pause();
  writer.resume();
  return [reader, writer];
}

transportSuite({
  name: "two pipes",
  stoppable: true,
  backlog: true,
  stream: true,
  halfClose: true,
  pair: async (options?: TransportOptions) => {
    const [fromB, toA] = await pipe();
    const [fromA, toB] = await pipe();
    return {
      a: new StreamTransport("a", fromB, toB, options),
      b: new StreamTransport("b", fromA, toA, options),
    };
  },
  raw: async (options?: TransportOptions) => {
    const [input, peerOut] = await pipe();
    const [peerIn, output] = await pipe();
    let received = 0;
    peerIn.on("data", (chunk) => (received += chunk.length));
    peerIn.resume();
    peerOut.on("error", () => {});
    return {
      transport: new StreamTransport("pipes", input, output, options),
      send: (unit) => peerOut.write(unit),
      end: () => peerOut.end(),
      received: () => received,
      dispose: () => {
        peerOut.destroySoon();
        peerIn.destroy();
      },
    };
  },
});

describe("stdio", () => {
  const PEER = "test/transport/stdio-peer.ts";
  let programs: Programs;
  let before: Map<string, number>;
  let children: ChildTransport[];

  beforeAll(() => {
    programs = compilePrograms([PEER]);
  });

  afterAll(() => programs.dispose());

  beforeEach(() => {
    before = resources();
    children = [];
  });

  afterEach(async () => {
    for (const child of children) child.close();
    await expectNoResidue(before);
  });

  async function start(args: string[], options: TransportOptions = {}): Promise<ChildTransport> {
    const child = await spawnTransport(process.execPath, args, { stderr: "ignore", ...options });
    children.push(child);
    return child;
  }

  it("speaks with a child that speaks on its own standard input and output", async () => {
    const child = await start([programs.file(PEER)]);
    const listener = listenTo(child);
    const writer = new Writer();
    child.write(writer.batch(numbers(0, 1000), 1000));
    writer.add(1000, 3_000_000);
    child.write(writer.take());
    await listener.messages(1001);
    expect(listener.numbers).toEqual(numbers(0, 1001));
    child.end();
    expect(await listener.ended()).toBeNull();
    expect(child.child.exitCode).toBe(0);
    expect(writer.unreleased).toBe(0);
  });

  it("what such a child prints does not end up among its messages", async () => {
    const process_ = spawn(process.execPath, [programs.file(PEER), "log"]);
    let printed = "";
    process_.stderr.on("data", (chunk) => (printed += String(chunk)));
    const child = new ChildTransport("log", process_);
    const listener = listenTo(child);
    child.write(new Writer().batch([1, 2]));
    await listener.messages(2);
    child.end();
    // The last line is printed when the transport is over, and goes where it always went.
    await listener.ended();
    expect(printed).toBe("a message came\na message came\n");
  });

  it("what a program prints before is a fault", async () => {
    const child = await start([programs.file(PEER), "noise"]);
    const listener = listenTo(child);
    await listener.faulted();
    expect(listener.faults[0]).toMatchObject({ code: "malformed-frame" });
    expect(listener.faults[0]!.message).toContain("did it print on its standard output?");
    child.close();
    expect(await listener.ended()).toBe(listener.faults[0]);
  });

  it("C-DIS-08: a child that crashes says so, be it between two messages", async () => {
    const child = await start([programs.file(PEER), "crash"]);
    const listener = listenTo(child);
    child.write(new Writer().batch([1]));
    const error = await listener.ended();
    expect(error).toMatchObject({ type: "disconnected", code: "connection-lost" });
    expect(error!.message).toContain("exited with code 3");
  });

  it("a child that is killed says so", async () => {
    const child = await start(["-e", "process.stdin.resume()"]);
    const listener = listenTo(child);
    const writer = new Writer();
    for (let i = 0; i < 5; i++) child.write(writer.batch([i], 1_000_000));
    process.kill(child.child.pid!, "SIGKILL");
    expect((await listener.ended())!.message).toContain("was ended by SIGKILL");
    expect(writer.unreleased).toBe(0);
  });

  it("a child that closes its output and lives on has ended", async () => {
    const child = await start(["-e", "process.stdout.end(); setInterval(() => {}, 1000)"], {
      grace: 100,
    });
    const listener = listenTo(child);
    expect(await listener.ended()).toBeNull();
    expect(child.child.signalCode).toBe("SIGTERM");
  });

  it("close ends the child, also one that ignores SIGTERM", async () => {
    const child = await start(
      ["-e", `process.on("SIGTERM", () => {}); setInterval(() => {}, 1000); console.log("x")`],
      { grace: 200 },
    );
    const listener = listenTo(child);
    // That it prints says that it has come so far.
    await until(() => child.receivedBytes > 0);
    child.close();
    expect(await listener.ended()).toBeNull();
    expect(child.child.signalCode).toBe("SIGKILL");
  });

  it("C-LIF-28: a stopped child that takes no more bytes is reported, and ended", async () => {
    const child = await start(["-e", "process.stdin.resume()"], { peerTimeout: 400, grace: 100 });
    const listener = listenTo(child);
    process.kill(child.child.pid!, "SIGSTOP");
    const stopped = performance.now();
    for (let i = 0; i < 3; i++) child.write(new Writer().batch([i], 1_000_000));
    expect(await listener.ended()).toMatchObject({ code: "peer-unresponsive" });
    expect(performance.now() - stopped).toBeLessThan(5000);
    expect(child.child.signalCode).toBe("SIGKILL");
  });

  it("a program that is not there is named", async () => {
    const nothing = spawnTransport("/no/such/program");
    await expect(nothing).rejects.toMatchObject({
      type: "disconnected",
      code: "connect-failed",
      delivery: "not-sent",
      message: "stdio of /no/such/program: there is no such program",
    });
  });
});
