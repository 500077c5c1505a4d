import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";

const root = fileURLToPath(new URL("../..", import.meta.url));

it("runs a server and a Worker in two processes and counts one round trip a flight", () => {
  const args = [`${root}/build/programs/examples/rooms/main.js`];
  const run = spawnSync(process.execPath, args, { cwd: root, encoding: "utf8", timeout: 100_000 });
  expect(run.stderr).toBe("");
  expect(run.status).toBe(0);
  const processes = [...run.stdout.matchAll(/process (\d+)/g)].map((match) => match[1]);
  expect(new Set(processes).size).toBe(2);
  expect(run.stdout).toContain("a room in it, said two things there: 1 round trip\n");
  expect(run.stdout).toContain("the second was number 2\n");
  expect(run.stdout).toContain("read the history: 1 round trip\n");
  expect(run.stdout).toContain("heard through the watcher: worker: I hear myself.\n");
});

it("the Worker fails with an exit code and a reason when there is no server", () => {
  const worker = `${root}/build/programs/examples/rooms/worker.js`;
  const run = spawnSync(process.execPath, [worker, "unix:/nonexistent/rooms.sock"], {
    encoding: "utf8",
    timeout: 100_000,
  });
  expect(run.status).toBe(1);
  expect(run.stderr).toContain("connect-failed");
});
