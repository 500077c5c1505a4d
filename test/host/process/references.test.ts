// References between objects of several processes: stored there, found by whoever runs them then, saved and restored.

import { expect, it } from "vitest";
import { RpcStub } from "../../../src/index.js";
import { Restorer, save } from "../../../src/persist.js";
import { awaited } from "../kit.js";
import { failure, hostsOfProcesses, nameInEachSlot, startTestHost, until } from "./kit.js";
import type { Counter } from "./programs/program.js";

hostsOfProcesses();

it("objects store objects and facets of another process, which outlive both processes", async () => {
  const host = await startTestHost({ processes: 2 });
  const [first, second] = (await nameInEachSlot(host)) as [string, string];
  using one = host.counter(first);
  using two = host.counter(second);
  await one.keep("two", two);
  expect(await one.addAtKept("two", 5)).toBe(5);
  using adder = await two.adder(10);
  await one.keep("adder", adder);
  expect(await one.callKept("adder", 3)).toBe(35);
  await two.keep("one", one);

  const before = host.pids().slice(0, 2);
  for (const pid of host.server.processes.objects) process.kill(pid!, "SIGKILL");
  await until(
    () => host.server.processes.objects.every((pid) => pid !== null && !before.includes(pid)),
    "the processes do not come back",
  );
  using again = host.counter(first);
  expect(await again.callKept("adder", 1)).toBe(45);
  expect(await again.addAtKept("two", 1)).toBe(46);
  using back = host.counter(second);
  expect(await back.addAtKept("one", 2)).toBe(2);
});

it("what lives only in the process that gave it is refused", async () => {
  const host = await startTestHost();
  using one = host.counter("a");
  const error = await failure(one.keep("callback", () => 1));
  expect(error.message).toMatch(
    /other cannot be stored: it stands for something that lives only as long/,
  );
  expect(await one.get()).toBe(0);
});

it("objects and facets are saved, and restored by a restorer of any process", async () => {
  const host = await startTestHost({ processes: 2 });
  const [first, second] = (await nameInEachSlot(host)) as [string, string];
  using one = host.counter(first);
  using two = host.counter(second);
  const ref = await save(two);
  using adder = await two.adder(10);
  const adding = await save(adder as never);
  using promise = one.restorer();
  using restorer = Restorer.of(promise as never);
  using restored = restorer.restore(ref, RpcStub<Counter>);
  expect(await restored.add(1)).toBe(1);
  using add = restorer.restore(adding, RpcStub<(times: number) => Promise<number>>);
  expect(await awaited(add(2))).toBe(21);
});
