// Objects in other processes: reached from a process without objects, and from each other; what breaks when one of them does.

import { expect, it } from "vitest";
import { RpcError } from "../../../src/index.js";
import { awaited } from "../kit.js";
import { failure, hostsOfProcesses, nameInEachSlot, startTestHost, until } from "./kit.js";

hostsOfProcesses();

it("each object runs in the process of its slot, and objects reach those of another directly", async () => {
  const host = await startTestHost({ processes: 2 });
  const [first, second] = (await nameInEachSlot(host)) as [string, string];
  const { objects } = host.server.processes;
  using one = host.counter(first);
  expect(await one.pid()).toBe(objects[0]);
  expect(await one.addAt(second, 5)).toEqual({ count: 5, pid: objects[1] });
  expect(await one.addAt(first + "x", 1)).toMatchObject({ count: 1 });
  using two = host.counter(second);
  expect(await two.add()).toBe(6);
});

it("calls of one stub arrive in order, and nothing is awaited on the way", async () => {
  const host = await startTestHost();
  using stub = host.counter("a");
  for (let i = 0; i < 200; i++) void stub.note(String(i));
  expect(await stub.log()).toEqual(Array.from({ length: 200 }, (_, i) => String(i)));
  const told: number[] = [];
  await stub.each(3, async (count) => void told.push(count));
  expect(told).toEqual([1, 2, 3]);
});

it("an object that breaks in a living process breaks its stubs at once; a new one works", async () => {
  const host = await startTestHost();
  using used = host.counter("a");
  using unused = host.counter("a");
  using neighbour = host.counter("b");
  expect(await used.add()).toBe(1);
  await neighbour.add();
  const broken = new Promise<RpcError>((resolve) => used.onRpcBroken(resolve as never));
  const error = RpcError.of(await failure(used.abort()))!;
  // With its code, which strangers are not told.
  expect(error).toMatchObject({ type: "disconnected", code: "object-broken", details: [] });
  // Whoever has heard that the call failed gets a good one.
  using fresh = host.counter("a");
  expect(await fresh.add()).toBe(2);
  expect(await broken).toMatchObject({ type: "disconnected", code: "object-broken" });
  const again = RpcError.of(await failure(used.add()))!;
  expect(again).toMatchObject({ code: "object-broken", delivery: "not-sent" });
  expect(await unused.add()).toBe(3);
  expect(await neighbour.add()).toBe(2);
});

it("a process that is killed: calls fail as disconnected, old stubs stay broken, new ones wait for it to be back", async () => {
  const host = await startTestHost({ processes: 2 });
  const [first, second] = (await nameInEachSlot(host)) as [string, string];
  using old = host.counter(first);
  using other = host.counter(second);
  expect(await old.add()).toBe(1);
  await other.add();
  const broken = new Promise<RpcError>((resolve) => old.onRpcBroken(resolve as never));
  const waiting = failure(old.wait(600_000));
  await old.add();
  process.kill(host.server.processes.objects[0]!, "SIGKILL");
  const lost = RpcError.of(await waiting)!;
  expect(lost).toMatchObject({ type: "disconnected", delivery: "unknown" });
  using fresh = host.counter(first);
  const added = fresh.add();
  expect(await broken).toMatchObject({ type: "disconnected" });
  expect(await added).toBe(3);
  expect(RpcError.of(await failure(old.add()))).toMatchObject({
    type: "disconnected",
    delivery: "not-sent",
  });
  expect(await other.add()).toBe(2);
  await until(() => host.reports.length > 0, "the end of the process was not reported");
  expect(host.reports).toEqual([expect.stringContaining("slot 0: the process ended: SIGKILL")]);
});

it("who waits longer than the limit for a process is told so, with nothing sent", async () => {
  const host = await startTestHost({ reachTime: 100 });
  process.kill(host.server.processes.objects[0]!, "SIGSTOP");
  // A stopped process still has its socket, so it is taken away for good.
  process.kill(host.server.processes.objects[0]!, "SIGKILL");
  const errors: string[] = [];
  await until(async () => {
    using stub = host.counter("a");
    try {
      await awaited(stub.add());
      return true;
    } catch (error) {
      const { type, code, delivery } = RpcError.of(error)!;
      errors.push(`${type} ${code} ${delivery}`);
      return false;
    }
  }, "it is not back");
  for (const error of errors) expect(error).toMatch(/^disconnected \S+ (not-sent|unknown)$/);
});
