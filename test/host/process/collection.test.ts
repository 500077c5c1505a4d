// Collection in a host of several processes: an object is in one process, whoever holds it may be in any.

import fs from "node:fs";
import path from "node:path";
import { expect, it } from "vitest";
import { Child } from "../../../src/host/process/child.node.js";
import { ChildParticipant } from "../../../src/host/process/child-participant.node.js";
import type { HostFacts } from "../../../src/host/process/messages.js";
import type { StartOptions } from "../../../src/host/process/supervisor.node.js";
import {
  collectedUrl,
  dataFolder,
  entryUrl,
  failure,
  hostsOfProcesses,
  startTestHost,
  type TestHost,
  until,
} from "./kit.js";
import type { CollectedData, OwnerStub, PartStub } from "./programs/collected.js";

hostsOfProcesses();

/** A host whose objects are evicted soon. It looks at objects when it is told to. */
async function collectingHost(options: Partial<StartOptions> & { slow?: number } = {}) {
  const { slow, ...more } = options;
  const directory = options.directory ?? dataFolder();
  const log = path.join(directory, "hooks.log");
  fs.writeFileSync(log, "", { flag: "a" });
  const data: CollectedData = slow === undefined ? { log } : { log, slow };
  const host = await startTestHost({
    processes: 2,
    program: collectedUrl(),
    limits: { idleTime: 20, collectGrace: 3_600_000 },
    ...more,
    directory,
    data: data as never,
  });
  const { server } = host;
  const env = server.env as unknown as {
    OWNERS: { getByName(name: string): OwnerStub };
    PARTS: { create(): PartStub };
  };
  return {
    ...host,
    env,
    /** Names of owners, one for each slot. */
    owners: () => ownersOf(host, env.OWNERS),
    /** What hooks have said, without their processes. */
    said: () => fs.readFileSync(log, "utf8").split("\n").filter(Boolean).sort(),
    /** Looks until so many are gone in all. */
    async collected(count: number): Promise<void> {
      await until(async () => {
        await server.collect({ grace: 0 });
        return server.collection.collected >= count;
      }, `${count} are to be collected`);
      expect(server.collection.collected).toBe(count);
    },
    /** Looks often enough that whatever nobody holds would be gone. */
    async keeps(count: number): Promise<void> {
      for (let i = 0; i < 10; i++) {
        const { checked, collected } = await server.collect({ grace: 0 });
        expect(checked).toBeGreaterThanOrEqual(count);
        expect(collected).toEqual([]);
        await pause(30);
      }
    },
    async ask(what: string): Promise<string> {
      const response = await fetch(`http://127.0.0.1:${server.address!.port}/${what}`);
      const text = await response.text();
      expect(response.status, text).toBe(200);
      return text;
    },
  };
}

async function ownersOf(
  { server }: TestHost,
  all: { getByName(name: string): OwnerStub },
): Promise<string[]> {
  const { objects } = server.processes;
  const names: string[] = [];
  for (let i = 0; names.filter(Boolean).length < objects.length; i++) {
    using owner = all.getByName(`o${i}`);
    names[objects.indexOf(await owner.pid())] ??= `o${i}`;
  }
  return names;
}

const pause = (ms: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, ms);
  });

async function killed({ server }: TestHost, slot: number): Promise<void> {
  const old = server.processes.objects[slot]!;
  process.kill(old, "SIGKILL");
  await until(
    () => server.processes.objects[slot] !== null && server.processes.objects[slot] !== old,
    "the process does not come back",
  );
}

it("a cycle over two processes is kept, then collected; each hook runs once, where its object is", async () => {
  const { env, collected, keeps, said, server } = await collectingHost();
  using owner = env.OWNERS.getByName("o");
  const pids = await owner.pair("pair");
  await owner.make("other");
  await keeps(3);
  await owner.lose("pair");
  await collected(2);
  expect(said()).toEqual(
    [
      `begin pair-1 ${pids[0]}`,
      `begin pair-2 ${pids[1]}`,
      "end pair-1 object-collected",
      "end pair-2 object-collected",
    ].sort(),
  );
  expect(await owner.text("other")).toBe("other");
  expect(server.collection).toMatchObject({ joint: 1, disposed: 2, disposeFailed: 0 });
  await owner.lose("other");
  await collected(3);
  expect(await server.collect({ dryRun: true })).toEqual({
    checked: 0,
    collected: [],
    unreachable: [],
  });
});

it("what only the front holds is kept, also when all processes have died that gave it", async () => {
  const { owners, ...host } = await collectingHost({ listen: { port: 0 } });
  const { env, keeps, ask, collected } = host;
  const [first, second] = (await owners()) as [string, string];
  using one = env.OWNERS.getByName(first);
  await one.make("part");
  await ask(`hold/${first}/part`);
  await one.lose("part");
  await keeps(1);
  for (const slot of [0, 1]) await killed(host, slot);
  await keeps(1);
  // What it has is broken, and can be stored all the same.
  await ask(`store/${second}/part`);
  await ask(`drop/${second}/part`);
  await keeps(1);
  using two = env.OWNERS.getByName(second);
  expect(await two.text("part")).toBe("part");
  await two.lose("part");
  await collected(1);
});

it("what the supervisor holds is kept", async () => {
  const { env, keeps, collected, said } = await collectingHost();
  {
    using part = env.PARTS.create();
    await part.put("name", "mine");
    await keeps(1);
    expect(await part.get("name")).toBe("mine");
  }
  await collected(1);
  expect(said()).toEqual([expect.stringMatching(/^begin mine /), "end mine alone"]);
});

it("a process that is killed while a hook runs there: it is not run again, and all the others are", async () => {
  const { owners, ...host } = await collectingHost({ slow: 600_000 });
  const { env, server, said, collected } = host;
  await owners();
  using owner = env.OWNERS.getByName("o");
  const slowAt = await owner.make("slow");
  // Some in the same process, and some elsewhere.
  const names = Array.from({ length: 40 }, (_, i) => `part${i}`);
  for (const name of names) await owner.make(name);
  await owner.make("kept");
  for (const name of ["slow", ...names]) await owner.lose(name);
  const begun = (): boolean => said().some((line) => line.startsWith("begin slow"));
  const looking = (async () => {
    while (!begun()) await server.collect({ grace: 0 });
  })();
  await until(begun, "the hook does not begin");
  await killed(host, server.processes.objects.indexOf(slowAt));
  await looking;
  await collected(41);
  const lines = said();
  for (const name of ["slow", ...names]) {
    const of = lines.filter((line) => line.startsWith(`begin ${name} `));
    // In the process that died some may not have come to it: they are not run twice.
    expect(of.length, name).toBeLessThanOrEqual(1);
  }
  expect(lines.filter((line) => line.startsWith("begin slow "))).toHaveLength(1);
  expect(lines).not.toContain("end slow alone");
  // The one from before may be broken.
  using again = env.OWNERS.getByName("o");
  expect(await again.text("kept")).toBe("kept");
  const { disposed, disposeFailed } = server.collection;
  expect(disposed + disposeFailed).toBe(41);
});

it("a supervisor's next one goes on with what was begun", async () => {
  const directory = dataFolder();
  {
    const { env, server, said } = await collectingHost({ directory, slow: 600_000 });
    using owner = env.OWNERS.getByName("o");
    await owner.make("slow");
    await owner.make("kept");
    await owner.lose("slow");
    void failure(
      until(async () => {
        await server.collect({ grace: 0 });
        return false;
      }, "it ends with the host"),
    );
    await until(() => said().length === 1, "the hook does not begin");
    await server.close();
  }
  const { env, server, said } = await collectingHost({ directory });
  await until(() => server.collection.collected === 1, "it is not gone on with");
  expect(said()).toHaveLength(1);
  expect(server.collection).toMatchObject({ interrupted: 1, disposed: 0 });
  using owner = env.OWNERS.getByName("o");
  expect(await owner.text("kept")).toBe("kept");
});

it("while a process does not answer nothing is collected", async () => {
  const { owners, env, server, collected, keeps } = await collectingHost({ listen: { port: 0 } });
  const [first] = (await owners()) as [string];
  using owner = env.OWNERS.getByName(first);
  await owner.make("part");
  await keeps(1);
  await owner.lose("part");
  const { front } = server.processes;
  process.kill(front!, "SIGSTOP");
  let isOver = false;
  const looking = server.collect({ grace: 0 }).finally(() => (isOver = true));
  await pause(1000);
  expect([isOver, server.collection.collected]).toEqual([false, 0]);
  process.kill(front!, "SIGCONT");
  await looking;
  await collected(1);
});

it("a process that has ended is asked in vain, at once", async () => {
  const child = new Child(entryUrl(), 0, { directory: dataFolder() } as HostFacts);
  child.kill();
  await child.ended;
  expect(await failure(child.ask({ what: "active" }))).toMatchObject({ code: "process-lost" });
  const participant = new ChildParticipant(child);
  expect(await failure(participant.confirm())).toMatchObject({ code: "process-lost" });
  expect(await failure(participant.dispose("any"))).toMatchObject({ code: "process-lost" });
});

it("by itself, when the grace period is over", async () => {
  const { env, server, said } = await collectingHost({
    limits: { idleTime: 20, collectGrace: 200 },
  });
  using owner = env.OWNERS.getByName("o");
  await owner.pair("pair");
  await owner.lose("pair");
  await until(() => server.collection.collected === 2, "they are not collected");
  expect(said()).toHaveLength(4);
});
