// What a supervisor does of its own will: refuses bad programs, drains, puts a new version in the place of the old one.

import { expect, it } from "vitest";
import { RpcError } from "../../../src/index.js";
import {
  dataFolder,
  failure,
  hostsOfProcesses,
  nameInEachSlot,
  programUrl,
  startTestHost,
  until,
  vanished,
} from "./kit.js";

hostsOfProcesses();

it("a namespace that processes know as public does not become private while they run", async () => {
  const directory = dataFolder();
  const privately = { collect: true };
  const host = await startTestHost({ directory });
  const reloaded = host.server.reload({ program: programUrl(), data: privately });
  expect(await failure(reloaded)).toMatchObject({
    code: "invalid-argument",
    message: expect.stringContaining("when the host is started anew") as string,
  });
  using stub = host.counter("a");
  expect(await stub.add()).toBe(1);
  // Nor afterwards, since it has an object whose name is known.
  await host.server.close();
  expect(await failure(startTestHost({ directory, data: privately }))).toMatchObject({
    code: "invalid-argument",
    message: expect.stringContaining("has objects from when it was not private") as string,
  });
});

it("a second host of one directory is refused, and the first goes on", async () => {
  const directory = dataFolder();
  const host = await startTestHost({ directory });
  expect(await failure(startTestHost({ directory }))).toMatchObject({ code: "storage-locked" });
  using stub = host.counter("a");
  expect(await stub.add()).toBe(1);
});

it("a program that cannot be loaded is no host, and leaves nothing", async () => {
  const directory = dataFolder();
  const missing = programUrl().replace("program.js", "missing.js");
  expect((await failure(startTestHost({ directory, program: missing }))).message).toContain(
    "missing.js",
  );
  const failing = startTestHost({ directory, processes: 2, data: { fails: "no database" } });
  expect((await failure(failing)).message).toBe("no database");
  const none = startTestHost({ directory, processes: 0 });
  expect(await failure(none)).toMatchObject({ code: "invalid-argument" });
  const host = await startTestHost({ directory });
  using stub = host.counter("a");
  expect(await stub.add()).toBe(1);
});

it("a drain lets what runs end, in every slot, and keeps what it wrote", async () => {
  const directory = dataFolder();
  const host = await startTestHost({ directory, processes: 2 });
  const names = await nameInEachSlot(host);
  for (const [i, name] of names.entries()) {
    using stub = host.counter(name);
    await stub.later(300, names[1 - i]!);
  }
  using caller = host.counter(names[0]!);
  const waited = caller.wait(100);
  await caller.get();
  const pids = host.pids();
  const drained = host.server.drain(60_000);
  expect(await waited).toBe("waited");
  await drained;
  await vanished(pids);
  const next = await startTestHost({ directory, processes: 1 });
  for (const name of names) {
    using stub = next.counter(name);
    expect(await stub.get()).toBe(11);
  }
  expect(host.reports).toEqual([]);
});

it("what runs for longer than a drain may take is cut off as disconnected", async () => {
  const host = await startTestHost();
  const waiting = failure(host.counter("a").wait(600_000));
  using other = host.counter("a");
  await other.get();
  await host.server.drain(50);
  expect(RpcError.of(await waiting)).toMatchObject({ type: "disconnected" });
  const late = RpcError.of(await failure(host.counter("b").add()))!;
  expect(late).toMatchObject({ type: "disconnected", delivery: "not-sent" });
});

it("a process that does not even hear that it is to end is killed", async () => {
  const host = await startTestHost({ yieldTime: 0 });
  const pids = host.pids();
  const spun = failure(host.counter("a").spin());
  // Should it not spin yet, it is as good as any other process that is ended.
  await new Promise((resolve) => {
    setTimeout(resolve, 500);
  });
  await host.server.drain(50);
  await vanished(pids);
  expect(RpcError.of(await spun)).toMatchObject({ type: "disconnected" });
});

it("a new version takes over slot by slot: what runs ends in the old one, each object migrates once", async () => {
  const host = await startTestHost({ processes: 2, data: { version: 1 } });
  const names = await nameInEachSlot(host);
  const before = host.pids();
  const running = names.map(async (name) => {
    using stub = host.counter(name);
    await stub.add();
    return stub.waitAndTell(200);
  });
  using old = host.counter(names[0]!);
  await old.add();
  const reloaded = host.server.reload({ program: programUrl(), data: { version: 2 } });
  expect(await Promise.all(running)).toEqual([1, 1]);
  await reloaded;
  expect(RpcError.of(await failure(old.add()))).toMatchObject({
    type: "disconnected",
    delivery: "not-sent",
  });
  for (const name of names) {
    using stub = host.counter(name);
    expect(await stub.version()).toBe(2);
    expect(await stub.migrations()).toEqual([1, 2]);
    expect(await stub.get()).toBe(name === names[0] ? 2 : 1);
  }
  await vanished(before);
  expect(host.reports).toEqual([]);
});

it("a new version that cannot be loaded is refused, and the old one is not touched", async () => {
  const host = await startTestHost({ data: { version: 1 } });
  using stub = host.counter("a");
  await stub.add();
  const reload = host.server.reload({ program: programUrl(), data: { fails: "a typing error" } });
  expect((await failure(reload)).message).toBe("a typing error");
  expect(await stub.add()).toBe(2);
  await host.server.reload();
  using after = host.counter("a");
  expect(await after.version()).toBe(1);
  expect(await after.add()).toBe(3);
});

it("a process that dies while the new version is loaded does not keep that from taking over", async () => {
  const host = await startTestHost({ data: { version: 1 } });
  const reloaded = host.server.reload({ program: programUrl(), data: { version: 2, loads: 1000 } });
  process.kill(host.pids()[0]!, "SIGKILL");
  await reloaded;
  using stub = host.counter("a");
  expect(await stub.version()).toBe(2);
  expect(host.reports).toEqual([expect.stringContaining("slot 0: the process ended: SIGKILL")]);
});

it("what a program says to whoever started it, and where accusations go, ends nobody else", async () => {
  const host = await startTestHost();
  using stub = host.counter("a");
  await stub.babble();
  await failure(stub.exit());
  await until(() => host.reports.length === 1, "the end was not noticed");
  expect(host.reports).toEqual(["slot 0: the process ended: exit code 3"]);
  using again = host.counter("a");
  expect(await again.add()).toBe(1);
});

it("a process whose storage has failed is replaced, and it is told why", async () => {
  const host = await startTestHost();
  using stub = host.counter("a");
  expect(await stub.add()).toBe(1);
  await stub.fillDisk();
  expect(RpcError.of(await failure(stub.add()))).toMatchObject({ type: "disconnected" });
  await until(() => host.reports.length === 1, "the end was not noticed");
  expect(host.reports).toEqual([
    expect.stringMatching(
      /^slot 0: the process ended: exit code 1, since there is no room left on the disk: /,
    ),
  ]);
  using again = host.counter("a");
  expect(await again.add()).toBe(2);
});

it("a process that cannot be started again is tried again, while others work", async () => {
  const host = await startTestHost({ processes: 2 });
  const names = await nameInEachSlot(host);
  for (let i = 0; i < 3; i++) {
    await until(() => host.server.processes.objects[0] !== null, "it is not back");
    process.kill(host.server.processes.objects[0]!, "SIGKILL");
    using other = host.counter(names[1]!);
    await other.add();
    await until(() => host.reports.length === i + 1, "it was not noticed");
  }
  using stub = host.counter(names[0]!);
  expect(await stub.add()).toBe(1);
});

it("alarms ring in the process of their object and in no other, after a restart too", async () => {
  const host = await startTestHost({ processes: 2 });
  const names = await nameInEachSlot(host);
  const [first, second] = host.server.processes.objects as [number, number];
  for (const name of names) {
    using stub = host.counter(name);
    await stub.remind(300);
  }
  process.kill(first, "SIGKILL");
  for (const name of names)
    await until(async () => {
      try {
        using stub = host.counter(name);
        return (await stub.rung()).length > 0;
      } catch {
        return false;
      }
    }, "no alarm");
  using one = host.counter(names[0]!);
  expect(await one.rung()).not.toContain(second);
  using other = host.counter(names[1]!);
  expect(await other.rung()).toEqual([second]);
});
