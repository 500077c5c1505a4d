// What goes wrong in one object, or with what it stores on, in a host of several processes: what others notice, and what is left.

import { spawnSync } from "node:child_process";
import { expect, it } from "vitest";
import type { Namespace, ObjectId } from "../../../src/host.node.js";
import type { RpcError } from "../../../src/index.js";
import {
  failure,
  hostsOfProcesses,
  nameInEachSlot,
  programUrl,
  startTestHost,
  type TestHost,
  until,
} from "./kit.js";
import type { Counter } from "./programs/program.js";

hostsOfProcesses();

function namespacesOf({ server }: TestHost): Record<"COUNTERS" | "OTHERS", Namespace<Counter>> {
  return server.env as never;
}

it("what is thrown where nobody catches it breaks its object; the process and the neighbours go on", async () => {
  const host = await startTestHost();
  const [pid] = host.server.processes.objects;
  using neighbour = host.counter("b");
  expect(await neighbour.add()).toBe(1);
  const neighbours = neighbour.wait(100);
  using stub = host.counter("a");
  expect(await stub.add(5)).toBe(5);
  const broken = new Promise<RpcError>((resolve) => void stub.onRpcBroken(resolve));
  const waiting = failure(stub.wait(3_600_000));
  await stub.throwLater();
  expect(await broken).toMatchObject({ code: "object-broken" });
  expect((await waiting).message).toContain("in a timer");
  expect(await neighbours).toBe("waited");
  expect(await neighbour.add()).toBe(2);
  using again = host.counter("a");
  expect([await again.get(), await again.pid()]).toEqual([5, pid]);
});

it("a critical section that fails leaves nothing, and breaks stubs of other processes", async () => {
  const host = await startTestHost({ processes: 2 });
  for (const name of await nameInEachSlot(host)) {
    using stub = host.counter(name);
    await stub.add(2);
    expect(await failure(stub.failInside())).toMatchObject({
      type: "disconnected",
      message: expect.stringContaining("the section failed") as string,
    });
    expect(await failure(stub.get())).toMatchObject({
      code: "object-broken",
      delivery: "not-sent",
    });
    using again = host.counter(name);
    expect(await again.get()).toBe(2);
  }
});

it("a call that waits for its own critical section by way of somebody outside ends by the time that a section may take", async () => {
  const host = await startTestHost({ processes: 2, limits: { sectionTime: 1000 } });
  using stub = host.counter("a");
  using same = host.counter("a");
  const outside = async (): Promise<void> => void (await same.get().catch(() => {}));
  expect((await failure(stub.meet("b", outside))).message).toContain("longer than 1000 ms");
  using again = host.counter("a");
  expect(await again.add()).toBe(1);
});

it("what a storage does not have says so across processes", async () => {
  const host = await startTestHost();
  using stub = host.counter("a");
  for (const call of [stub.sql(), stub.transactionSync()])
    expect(await failure(call)).toMatchObject({
      type: "unimplemented",
      message: expect.stringContaining("is not part of this host's storage") as string,
    });
  expect(await stub.add()).toBe(1);
});

it("ids that were forged, or are another namespace's or another host's, are refused before any process is asked", async () => {
  const namespaces = ["COUNTERS", "OTHERS"];
  const host = await startTestHost({ data: { namespaces } });
  const other = await startTestHost();
  const { COUNTERS, OTHERS } = namespacesOf(host);
  const foreign = namespacesOf(other).COUNTERS;
  const good = COUNTERS.idFromName("a");
  const forged = good.toString().replace(/.$/, (digit) => (digit === "0" ? "1" : "0"));
  for (const text of [
    forged,
    "0".repeat(64),
    OTHERS.idFromName("a").toString(),
    foreign.idFromName("a").toString(),
  ])
    expect(() => COUNTERS.idFromString(text)).toThrow(/is none of namespace COUNTERS/);
  expect(() => COUNTERS.get(OTHERS.newUniqueId())).toThrow(/is none of/);
  const written = { toString: () => good.toString() };
  expect(() => COUNTERS.get(written as ObjectId)).toThrow(/an id is what/);
  await expect(host.server.delete("COUNTERS", OTHERS.idFromName("a"))).rejects.toMatchObject({
    code: "invalid-id",
  });
});

// The limit of a file's size stands for a full disk: a write then fails in the same place. That of a process that runs can be changed.
it("a process whose disk is full is replaced: what writes breaks, what was acknowledged is there, and when there is room all is well", async (context) => {
  const host = await startTestHost({ processes: 2 });
  const [a, b] = (await nameInEachSlot(host)) as [string, string];
  const { objects: pids } = host.server.processes;
  const limit = (bytes: number | "unlimited") =>
    spawnSync("prlimit", ["--pid", String(pids[0]), `--fsize=${bytes}:`], { encoding: "utf8" });
  const tried = limit("unlimited");
  if (tried.status !== 0)
    return context.skip(`no process can be limited here: ${tried.stderr || String(tried.error)}`);
  using reader = host.counter(a);
  await reader.add(3);
  limit(600_000);
  let failures = 0;
  for (let i = 0; failures < 3; i++) {
    using stub = host.counter(a);
    await stub.fill(1_000_000 + i).catch((error: unknown) => {
      failures++;
      expect(error).toMatchObject({
        type: "disconnected",
        message: expect.stringMatching(/is broken: .*(?:storage failed|no room)/) as string,
      });
    });
  }
  expect((await failure(reader.get())).code).toBe("object-broken");
  using again = host.counter(a);
  expect(await again.get()).toBe(3);
  using other = host.counter(b);
  expect(await other.add()).toBe(1);
  limit("unlimited");
  await until(async () => {
    using stub = host.counter(a);
    return stub.add().then(
      (count) => count === 4,
      () => false,
    );
  }, "it does not write any more");
  const { objects } = host.server.processes;
  expect(objects[0]).not.toBe(pids[0]);
  expect(objects[1]).toBe(pids[1]);
  expect(host.reports).not.toEqual([]);
});

it("objects of a namespace that the program does not have any more stay; who holds one is told, and has it again with the namespace", async () => {
  const namespaces = ["COUNTERS", "OTHERS"];
  const host = await startTestHost({ processes: 2, data: { namespaces } });
  const keepers = (await nameInEachSlot(host)) as [string, string];
  using other = namespacesOf(host).OTHERS.getByName("x");
  await other.add(5);
  for (const name of keepers) {
    using keeper = host.counter(name);
    await keeper.keep("friend", other);
  }
  await host.server.reload({ program: programUrl(), data: {} });
  expect(Object.keys(host.server.env)).toEqual(["COUNTERS"]);
  for (const name of keepers) {
    using keeper = host.counter(name);
    expect((await failure(keeper.addAtKept("friend", 1))).message).toContain(
      "this host has no namespace OTHERS",
    );
    expect(await keeper.add()).toBe(1);
  }
  await host.server.reload({ program: programUrl(), data: { namespaces } });
  for (const [i, name] of keepers.entries()) {
    using keeper = host.counter(name);
    expect(await keeper.addAtKept("friend", 1)).toBe(6 + i);
  }
});
