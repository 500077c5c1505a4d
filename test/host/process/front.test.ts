// The front of a host: requests that reach objects, also while it, or what is behind it, is not there; and what signals mean.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import net from "node:net";
import { expect, it } from "vitest";
import { RpcError } from "../../../src/index.js";
import {
  dataFolder,
  hostsOfProcesses,
  programUrl,
  startTestHost,
  supervisorFile,
  type TestHost,
  until,
  vanished,
} from "./kit.js";

hostsOfProcesses();

interface Answer {
  readonly version: number;
  readonly pid: number;
  readonly count: number;
}

async function ask(port: number, path: string): Promise<Answer> {
  const headers = { connection: "close" };
  const response = await fetch(`http://127.0.0.1:${port}${path}`, { headers });
  if (response.status !== 200) throw new Error(await response.text());
  return (await response.json()) as Answer;
}

const sockets = (): number =>
  process.getActiveResourcesInfo().filter((what) => what === "TCPSocketWrap").length;

const portOf = (host: TestHost): number => host.server.address!.port;

it("answers by objects, and is started again when it dies; requests wait meanwhile", async () => {
  const host = await startTestHost({ listen: { port: 0 }, processes: 2 });
  const port = portOf(host);
  expect(await ask(port, "/a")).toMatchObject({ pid: host.server.processes.front, count: 1 });
  await expect(ask(port, "/exit")).rejects.toThrow();
  await until(() => host.reports.length === 1, "the end was not noticed");
  expect(await ask(port, "/a")).toMatchObject({ count: 2 });
  expect(host.reports).toEqual([expect.stringContaining("front: the process ended: exit code 4")]);
  process.kill(host.server.processes.objects[0]!, "SIGKILL");
  process.kill(host.server.processes.objects[1]!, "SIGKILL");
  await until(() => host.reports.length === 3, "the ends were not noticed");
  expect(await ask(port, "/a")).toMatchObject({ count: 3 });
});

it("listens at several addresses, and is told which one a connection came to", async () => {
  const host = await startTestHost({ listen: [{ port: 0 }, { port: 0 }, { port: 0 }] });
  const ports = host.server.addresses.map(({ port }) => port);
  expect(new Set(ports).size).toBe(3);
  expect(ports[0]).toBe(portOf(host));
  expect(await ask(ports[0]!, "/a")).toMatchObject({ count: 1 });
  for (const at of [1, 2]) {
    const socket = net.connect(ports[at]!, "127.0.0.1");
    socket.setTimeout(20_000, () => socket.destroy(new Error("nobody answers")));
    const [bytes] = (await once(socket, "data")) as [Buffer];
    expect(String(bytes)).toBe(`address ${at}`);
    socket.destroy();
  }
  const taken = startTestHost({ listen: [{ port: 0 }, { port: ports[0]! }] });
  await expect(taken).rejects.toMatchObject({ code: "listen-failed" });
});

/** Connections with a request on each. */
function requests(port: number, count: number): Promise<string>[] {
  const sockets = Array.from({ length: count }, () => net.connect(port, "127.0.0.1"));
  return sockets.map(async (socket) => {
    socket.write("GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    let text = "";
    socket.on("error", () => {});
    socket.on("data", (bytes: Buffer) => (text += String(bytes)));
    await new Promise((resolve) => socket.once("close", resolve));
    return text.slice(0, "HTTP/1.1 200".length);
  });
}

it("has what a front that hangs and dies had not taken be answered by the next one", async () => {
  const host = await startTestHost({ listen: { port: 0 } });
  const port = portOf(host);
  await ask(port, "/a");
  const first = host.server.processes.front!;
  host.pids();
  process.kill(first, "SIGSTOP");
  const answers = requests(port, 100);
  // They are accepted, whatever the front does.
  await until(() => openSockets(process.pid) > 100, "they were not accepted");
  process.kill(first, "SIGKILL");
  const said = await Promise.all(answers);
  expect(new Set(said)).toEqual(new Set(["HTTP/1.1 200"]));
});

/** File descriptors that are sockets. */
function openSockets(pid: number): number {
  const folder = `/proc/${pid}/fd`;
  const links = fs.readdirSync(folder).map((name) => {
    try {
      return fs.readlinkSync(`${folder}/${name}`);
    } catch {
      return "";
    }
  });
  return links.filter((link) => link.startsWith("socket:")).length;
}

it("takes Infinity for no limit, also of what other processes keep to; and no drain without a time", async () => {
  const limits = { idleTime: Infinity, sectionTime: undefined as never };
  const host = await startTestHost({ listen: { port: 0 }, connections: Infinity, limits });
  expect(await ask(portOf(host), "/a")).toMatchObject({ count: 1 });
  using stub = host.counter("a");
  await stub.note("kept");
  // It would be evicted as soon as it has nothing to do.
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(await stub.log()).toEqual(["kept"]);
  for (const timeout of ["x", -1, null] as unknown as number[])
    await expect(host.server.drain(timeout)).rejects.toMatchObject({ code: "invalid-argument" });
  expect(await stub.add()).toBe(1);
});

it("serves as many connections as it may have; more are closed, and none of the others notices", async () => {
  const host = await startTestHost({ listen: { port: 0 }, connections: 20 });
  const port = portOf(host);
  const kept = Array.from({ length: 20 }, () => net.connect(port, "127.0.0.1"));
  let closed = 0;
  for (const socket of kept) socket.on("close", () => closed++);
  await Promise.all(kept.map(async (socket) => once(socket, "connect")));
  for (const socket of kept) socket.write("GET /a HTTP/1.1\r\n");
  const answers = requests(port, 500);
  expect(new Set(await Promise.all(answers))).toEqual(new Set([""]));
  expect(closed).toBe(0);
  for (const socket of kept) {
    socket.write("Host: a\r\n\r\n");
    const [bytes] = (await once(socket, "data")) as [Buffer];
    expect(String(bytes)).toMatch(/^HTTP\/1.1 200/);
    socket.destroy();
  }
  await until(
    () =>
      ask(port, "/a").then(
        () => true,
        () => false,
      ),
    "it serves no more",
  );
});

it("a new version takes over without a request that is refused", async () => {
  const host = await startTestHost({ listen: { port: 0 }, data: { version: 1 } });
  const port = portOf(host);
  let asking = true;
  const versions: number[] = [];
  const counts: number[] = [];
  const failures: string[] = [];
  const all = [0, 1].map(async (which) => {
    while (asking)
      try {
        const { version, count } = await ask(port, `/${which}`);
        versions.push(version);
        if (which === 0) counts.push(count);
      } catch (error) {
        failures.push(String(error));
      }
  });
  await until(() => versions.length > 5, "no answers");
  const slow = ask(port, "/slow?wait=300");
  await host.server.reload({ program: programUrl(), data: { version: 2 } });
  expect((await slow).version).toBe(1);
  await until(() => versions.at(-1) === 2, "no new version");
  asking = false;
  await Promise.all(all);
  expect(counts).toEqual(counts.map((_, i) => i + 1));
  expect(failures).toEqual([]);
  expect(host.reports).toEqual([]);
});

it("connections that a front has not got when it dies are the next one's", async () => {
  const host = await startTestHost({ listen: { port: 0 } });
  const port = portOf(host);
  const front = host.server.processes.front!;
  process.kill(front, "SIGSTOP");
  const asked = Array.from({ length: 10 }, (_, i) => ask(port, `/${i}`));
  const outcomes = Promise.allSettled(asked);
  // Both ends are in this process.
  await until(() => sockets() >= 2 * asked.length - 2, "they do not connect");
  process.kill(front, "SIGKILL");
  const failed = (await outcomes).filter(({ status }) => status === "rejected");
  // One was on its way.
  expect(failed.length).toBeLessThanOrEqual(1);
});

it("a front that does not yield is replaced, and it is told where it was", async () => {
  const traces: string[] = [];
  const host = await startTestHost({
    listen: { port: 0 },
    yieldTime: 2000,
    report: (error, what) =>
      traces.push(`${what}: ${(error as Error).message}\n${RpcError.of(error)!.trace}`),
  });
  await expect(ask(portOf(host), "/spin")).rejects.toThrow();
  await until(() => traces.length === 1, "the end was not noticed");
  expect(await ask(portOf(host), "/a")).toMatchObject({ count: 1 });
  expect(traces).toEqual([
    expect.stringMatching(
      /^front: the process ended: SIGKILL, since it did not yield for 2000 ms\n +at [^]*program/,
    ),
  ]);
});

it("a new front that dies while the old one is busy with its end is replaced, too", async () => {
  const host = await startTestHost({ listen: { port: 0 }, drainTime: 600_000 });
  const port = portOf(host);
  const first = host.server.processes.front;
  const slow = ask(port, "/slow?wait=600000").catch(String);
  await ask(port, "/a");
  const reloaded = host.server.reload();
  const changed = (): boolean => ![first, null].includes(host.server.processes.front);
  await until(changed, "no new front");
  process.kill(host.server.processes.front!, "SIGKILL");
  await until(() => host.reports.length === 1, "the end was not noticed");
  expect(await ask(port, "/a")).toMatchObject({ count: 2 });
  expect(await slow).toContain("fetch failed");
  await reloaded;
});

it("a host that ends while a front takes over lets what runs end in both", async () => {
  const host = await startTestHost({ listen: { port: 0 } });
  const port = portOf(host);
  const first = host.server.processes.front;
  const old = ask(port, "/old?wait=3000");
  await ask(port, "/a");
  const reloaded = host.server.reload();
  const changed = (): boolean => ![first, null].includes(host.server.processes.front);
  await until(changed, "no new front");
  const one = ask(port, "/one?wait=1000");
  expect(await ask(port, "/a")).toMatchObject({ pid: host.server.processes.front });
  const drained = host.server.drain(60_000);
  expect((await old).pid).toBe(first);
  expect((await one).count).toBe(1);
  await drained;
  await reloaded;
});

interface Said {
  readonly objects: (number | null)[];
  readonly front: number | null;
  readonly port: number;
}

/** A supervisor in a process of its own. */
class Program {
  readonly lines: Said[] = [];
  readonly process: ChildProcess;
  readonly ended: Promise<number | string | null>;
  private text = "";

  constructor(options: object) {
    this.process = spawn(process.execPath, [supervisorFile(), JSON.stringify(options)], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    this.process.stdout!.on("data", (bytes: Buffer) => {
      const lines = (this.text + String(bytes)).split("\n");
      this.text = lines.pop()!;
      this.lines.push(...lines.map((line) => JSON.parse(line) as Said));
    });
    this.ended = new Promise((resolve) => {
      this.process.once("exit", (code, signal) => resolve(signal ?? code));
    });
  }

  /** Waits until it has all its processes. */
  async ready(after = 0): Promise<Said> {
    const full = (said: Said): boolean => said.front !== null && !said.objects.includes(null);
    await until(() => this.lines.slice(after).some(full), "it does not start");
    return this.lines.slice(after).find(full)!;
  }

  pids(): number[] {
    const all = this.lines.flatMap(({ objects, front }) => [...objects, front]);
    return all.filter((pid) => pid !== null);
  }
}

it("SIGHUP loads the program anew; SIGTERM lets what runs end, then exits with 0 and leaves no process", async () => {
  const options = {
    directory: dataFolder(),
    program: programUrl(),
    processes: 2,
    listen: { port: 0 },
  };
  const program = new Program(options);
  const first = await program.ready();
  program.process.kill("SIGHUP");
  await until(() => {
    const { objects, front } = program.lines.at(-1)!;
    const before = [...first.objects, first.front];
    return [...objects, front].every((pid) => pid !== null && !before.includes(pid));
  }, "they were not replaced");
  const { port, objects, front } = program.lines.at(-1)!;
  const slow = ask(port, "/slow?wait=300");
  // A terminal, or a service manager, may tell all of them.
  for (const pid of [...objects, front]) process.kill(pid!, "SIGTERM");
  await new Promise((resolve) => {
    setTimeout(resolve, 100);
  });
  program.process.kill("SIGTERM");
  expect(await program.ended).toBe(0);
  expect((await slow).count).toBe(1);
  await vanished(program.pids());
  const host = await startTestHost({ directory: options.directory });
  using stub = host.counter("/slow");
  expect(await stub.get()).toBe(1);
});
