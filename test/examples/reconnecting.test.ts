// The reconnecting example, as a user runs it: three processes, one of them killed.

import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";

const root = fileURLToPath(new URL("../..", import.meta.url));

it("the client goes on when its server is killed and started again, and hears what it subscribed to", () => {
  const main = `${root}/build/programs/examples/reconnecting/main.js`;
  const run = spawnSync(process.execPath, [main], {
    cwd: root,
    encoding: "utf8",
    timeout: 100_000,
  });
  expect(run.stderr).toBe("");
  expect(run.status).toBe(0);
  const servers = [...run.stdout.matchAll(/server: process (\d+)/g)].map((match) => match[1]);
  expect(new Set(servers).size).toBe(2);
  const [one, two] = servers;
  const lines = run.stdout.trimEnd().split("\n");
  for (const line of [
    `asked: process ${one}`,
    `heard: a tick of process ${one}`,
    "under way: disconnected, delivery unknown",
    `asked: process ${two}`,
    `heard: a tick of process ${two}`,
    "under way: done",
  ])
    expect(lines, run.stdout).toContain(line);
  expect(lines.indexOf("state: connecting")).toBeLessThan(lines.lastIndexOf("state: open"));
}, 120_000);
