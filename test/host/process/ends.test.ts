// How processes end: killed in mid-conversation, by objects that exit or never yield, with their supervisor; and what stays.

import { spawn } from "node:child_process";
import { expect, it } from "vitest";
import { RpcError } from "../../../src/index.js";
import {
  dataFolder,
  failure,
  hostsOfProcesses,
  isAlive,
  nameInEachSlot,
  programUrl,
  startTestHost,
  supervisorFile,
  type TestHost,
  until,
  vanished,
} from "./kit.js";

hostsOfProcesses();

/** Calls `add` until it succeeds: with a new stub after each failure, as a caller does. @returns what it gave. */
async function added(host: TestHost, name: string): Promise<number> {
  for (;;) {
    using stub = host.counter(name);
    try {
      return await stub.add();
    } catch (error) {
      expect(RpcError.of(error)).toMatchObject({ type: "disconnected" });
    }
  }
}

const KILLS = 8;

it(`killed ${KILLS} times while callers write: what was acknowledged is there, what was lost is told`, async () => {
  const host = await startTestHost({ processes: 2 });
  const names = await nameInEachSlot(host);
  let writing = true;
  const told: string[] = [];
  const write = async (name: string) => {
    let acknowledged = 0;
    let unknown = 0;
    let stub = host.counter(name);
    while (writing) {
      const count = await stub.add().catch((error: unknown) => RpcError.of(error)!);
      if (typeof count === "number") {
        // Each write that was acknowledged is in it.
        expect(count).toBeGreaterThan(acknowledged);
        acknowledged = count;
      } else {
        expect(count.type).toBe("disconnected");
        told.push(`${count.delivery}`);
        if (count.delivery !== "not-sent") unknown++;
        // The old one is broken for good.
        const again = RpcError.of(await failure(stub.add()))!;
        expect(again).toMatchObject({ type: "disconnected", delivery: "not-sent" });
        stub[Symbol.dispose]();
        stub = host.counter(name);
      }
    }
    stub[Symbol.dispose]();
    return { name, acknowledged, unknown };
  };
  const writers = names.map(write);
  for (let i = 0; i < KILLS; i++) {
    const slot = i % 2;
    await until(() => host.server.processes.objects[slot] !== null, "it is not back");
    await added(host, names[slot]!);
    process.kill(host.server.processes.objects[slot]!, "SIGKILL");
    host.pids();
  }
  await until(() => host.reports.length === KILLS, "not all ends were noticed");
  for (const name of names) await added(host, name);
  writing = false;
  for (const { name, acknowledged, unknown } of await Promise.all(writers)) {
    using stub = host.counter(name);
    const count = await stub.get();
    expect(count).toBeGreaterThanOrEqual(acknowledged);
    expect(count - acknowledged).toBeLessThanOrEqual(unknown + KILLS);
  }
  expect(new Set(told)).toContain("unknown");
});

it("an object that does not yield is named, with where; its process is replaced, another slot is not touched", async () => {
  const host = await startTestHost({ processes: 2, yieldTime: 2000 });
  const [first, second] = (await nameInEachSlot(host)) as [string, string];
  using other = host.counter(second);
  const spun = failure(host.counter(first).spin());
  // Not the one that was let in last.
  void failure(host.counter(first + "x").wait(600_000));
  while (host.reports.length === 0) await other.add();
  expect(RpcError.of(await spun)).toMatchObject({ type: "disconnected" });
  expect(host.reports).toHaveLength(1);
  expect(host.reports[0]).toContain(
    `slot 0: the object COUNTERS/${first} ended the process: it did not yield for 2000 ms (1 times now)`,
  );
  expect(await added(host, first)).toBe(1);
  await other.add();
});

it("an object that ends its process again and again is refused for a while, its neighbours go on", async () => {
  const host = await startTestHost();
  const exit = async () => RpcError.of(await failure(host.counter("bad").exit()))!;
  // A refusal may be over before a slow machine has started the process again; the next one is twice as long.
  let times = 0;
  let refused = await exit();
  for (; refused.type !== "overloaded"; refused = await exit()) {
    expect(refused.type).toBe("disconnected");
    times++;
    await until(() => host.reports.length === times, "it was not noticed");
    await until(() => host.server.processes.objects[0] !== null, "it is not back");
  }
  expect(times).toBeGreaterThan(1);
  expect(refused.message).toContain(
    `COUNTERS/bad has ended its process ${times} times, last because it called process.exit(3)`,
  );
  using neighbour = host.counter("good");
  expect(await neighbour.add()).toBe(1);
  using bad = host.counter("bad");
  // The time being over it is started again, and the same stub works.
  await until(async () => {
    try {
      return (await bad.add()) > 0;
    } catch (error) {
      return RpcError.of(error)!.type !== "overloaded";
    }
  }, "it is refused for ever");
  expect(await neighbour.add()).toBe(2);
});

it("a supervisor that is killed takes its processes along; the directory is free when the last of them is gone", async () => {
  const directory = dataFolder();
  const options = {
    directory,
    program: programUrl(),
    processes: 2,
    // One of them will spin, and nobody would mind.
    yieldTime: 0,
    listen: { port: 0 },
  };
  const supervisor = spawn(process.execPath, [supervisorFile(), JSON.stringify(options)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const line = await new Promise<string>((resolve) => {
    supervisor.stdout.once("data", (bytes: Buffer) => resolve(String(bytes)));
  });
  const said = JSON.parse(line) as { objects: number[]; front: number; port: number };
  const { objects, front, port } = said;
  expect([...objects, front].every(isAlive)).toBe(true);
  const ask = async (path: string): Promise<{ at: number }> =>
    (await fetch(`http://127.0.0.1:${port}${path}`)).json() as never;
  let spinner = "/0";
  while ((await ask(spinner)).at !== objects[0]) spinner += "0";
  const spun = failure(ask(`${spinner}?spin`));
  const spunToo = failure(ask("/spin"));
  const two = await failure(startTestHost({ directory }));
  expect(two).toMatchObject({ code: "storage-locked" });
  const ended = new Promise((resolve) => {
    supervisor.once("exit", resolve);
  });
  process.kill(objects[1]!, "SIGSTOP");
  supervisor.kill("SIGKILL");
  await ended;
  await Promise.all([spun, spunToo]);
  await vanished([objects[0]!, front]);
  // What is stopped hears of nothing; nobody runs its objects meanwhile, with however many slots.
  const next = startTestHost({ directory });
  let started = false;
  void next.then(() => (started = true));
  await new Promise((resolve) => {
    setTimeout(resolve, 2000);
  });
  expect(started).toBe(false);
  process.kill(objects[1]!, "SIGCONT");
  const host = await next;
  await vanished(objects);
  using stub = host.counter("a");
  expect(await stub.add()).toBe(1);
});
