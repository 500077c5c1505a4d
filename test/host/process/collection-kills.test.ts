// Collection while processes are killed: parts go from owner to owner, by way of this process and directly, some are let go of, the
// collector has no grace, and every second or so a process is killed. What was acknowledged to be kept is there in the end.

import fs from "node:fs";
import path from "node:path";
import { expect, it } from "vitest";
import { RpcError } from "../../../src/index.js";
import { Rng } from "../../model/rng.js";
import { collectedUrl, dataFolder, hostsOfProcesses, startTestHost, until } from "./kit.js";
import type { CollectedData, OwnerStub } from "./programs/collected.js";

hostsOfProcesses();

const KILLS = Number(process.env["CAPSTAN_COLLECT_KILLS"] ?? 10);
const OWNERS = ["o0", "o1", "o2", "o3", "o4", "o5"];
const DRIVERS = 3;

it("loses nothing that is kept, and no hook runs twice, while processes are killed", async () => {
  const directory = dataFolder();
  const data: CollectedData = { log: path.join(directory, "hooks.log") };
  fs.writeFileSync(data.log, "");
  const { server } = await startTestHost({
    directory,
    processes: 2,
    program: collectedUrl(),
    data: data as never,
    limits: { idleTime: 10, collectGrace: 0 },
  });
  const rng = new Rng(7);
  const env = server.env as unknown as { OWNERS: { getByName(name: string): OwnerStub } };
  const ownerNamed = (name: string): OwnerStub => env.OWNERS.getByName(name);
  /** Where each part is kept for sure. */
  const kept = new Map<string, string>();
  const counts = { made: 0, moved: 0, lost: 0, failed: 0, kills: 0 };
  let isOver = false;
  let last = 0;

  const make = async (): Promise<void> => {
    const name = `p${++last}`;
    const at = OWNERS[rng.below(OWNERS.length)]!;
    using owner = ownerNamed(at);
    await owner.make(name);
    kept.set(name, at);
    counts.made++;
  };
  const move = async (name: string, from: string): Promise<void> => {
    const to = OWNERS[rng.below(OWNERS.length)]!;
    if (to === from) return;
    using owner = ownerNamed(from);
    using other = ownerNamed(to);
    {
      using part = await owner.take(name);
      // From now on only this process holds it for sure.
      await owner.lose(name);
      if (rng.chance(50)) await new Promise((resolve) => setImmediate(resolve));
      await other.keep(name, part);
    }
    kept.set(name, to);
    counts.moved++;
  };
  const lose = async (name: string, from: string): Promise<void> => {
    using owner = ownerNamed(from);
    await owner.lose(name);
    counts.lost++;
  };
  const drive = async (): Promise<void> => {
    while (!isOver) {
      const names = [...kept.keys()];
      const name = names[rng.below(names.length || 1)];
      const at = name === undefined ? undefined : kept.get(name);
      try {
        if (name === undefined || at === undefined || names.length < 20) await make();
        else {
          // Until it is acknowledged, where it is is not sure.
          kept.delete(name);
          await (rng.chance(60) ? move(name, at) : lose(name, at));
        }
      } catch (thrown) {
        if (RpcError.of(thrown)?.type !== "disconnected") throw thrown;
        counts.failed++;
      }
    }
  };
  const collect = async (): Promise<void> => {
    while (!isOver) await server.collect({ grace: 0 }).catch(() => {});
  };
  const kill = async (): Promise<void> => {
    try {
      for (; counts.kills < KILLS; counts.kills++) {
        const before = counts.moved;
        const { collected } = server.collection;
        await until(
          () => counts.moved > before + 5 && server.collection.collected > collected,
          "nothing goes on",
        );
        const slot = rng.below(2);
        await until(() => server.processes.objects[slot] !== null, "it does not come back");
        process.kill(server.processes.objects[slot]!, "SIGKILL");
      }
    } finally {
      isOver = true;
    }
  };
  await Promise.all([kill(), collect(), ...Array.from({ length: DRIVERS }, drive)]);

  await until(() => server.processes.objects.every(Boolean), "they do not come back");
  for (const [name, at] of kept) {
    using owner = ownerNamed(at);
    expect(await owner.text(name), `${name} at ${at}`).toBe(name);
  }
  const begun = fs.readFileSync(data.log, "utf8").match(/^begin \S+/gm) ?? [];
  expect(new Set(begun).size).toBe(begun.length);
  const { collected, components, disposed, unanswered } = server.collection;
  console.log(
    JSON.stringify({ ...counts, kept: kept.size, collected, components, disposed, unanswered }),
  );
  const { made, moved, lost, kills } = counts;
  expect(kills).toBe(KILLS);
  for (const [what, count] of Object.entries({ made, moved, lost, collected, disposed }))
    expect(count, what).toBeGreaterThan(0);
});
