// `capstan objects`: against a host that runs and one that does not; nothing is activated by it.

import { spawn } from "node:child_process";
import path from "node:path";
import { expect, it } from "vitest";
import { Misuse } from "../../../src/cli/misuse.js";
import { runObjects } from "../../../src/cli/objects.node.js";
import {
  createHost,
  DurableObject,
  type Host,
  type Namespace,
  openLmdbStore,
  type PrivateNamespace,
} from "../../../src/host.node.js";
import { prepareStore } from "../../../src/host/object/host.js";
import { nodeRuntime } from "../../../src/host/object/runtime.node.js";
import { listenForControl } from "../../../src/host/process/control.node.js";
import { controlledHost } from "../../../src/host/process/controlled.node.js";
import { Inspector } from "../../../src/host/process/inspect.js";
import { runFolder } from "../../../src/host/process/paths.node.js";
import { VirtualClock } from "../../../src/host/testing.js";
import { RpcError } from "../../../src/index.js";
import {
  collectedUrl,
  commandFile,
  dataFolder,
  failure,
  hostsOfProcesses,
  nameInEachSlot,
  programUrl,
  startTestHost,
  until,
} from "./kit.js";
import type { CollectedData, OwnerStub } from "./programs/collected.js";
import type { Counter } from "./programs/program.js";

hostsOfProcesses();

interface Done {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Not synchronously: the host that it asks is in this process. */
function objects(directory: string, ...args: string[]): Promise<Done> {
  const command = [commandFile(), "objects", ...args, "--data", directory];
  const child = spawn(process.execPath, command, { stdio: ["ignore", "pipe", "pipe"] });
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (bytes: Buffer) => (stdout += String(bytes)));
  child.stderr.on("data", (bytes: Buffer) => (stderr += String(bytes)));
  return new Promise((resolve) => {
    child.once("close", (status) => resolve({ status, stdout, stderr }));
  });
}

const jsonLines = ({ stdout }: Done): unknown[] =>
  stdout
    .trim()
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line) as unknown);

interface Parts {
  PARTS: PrivateNamespace<Part>;
}

class Part extends DurableObject<Parts> {
  static disposed: unknown[] = [];
  async put(key: string, value: unknown): Promise<void> {
    await this.ctx.storage.put(key, value);
  }
  async [Symbol.asyncDispose](): Promise<void> {
    Part.disposed.push(await this.ctx.storage.get("name"));
  }
}

class Owner extends DurableObject<Parts> {
  /** Two that hold each other. */
  async make(name: string): Promise<void> {
    using one = this.env.PARTS.create();
    using two = this.env.PARTS.create();
    for (const [part, other] of [
      [one, two],
      [two, one],
    ] as const) {
      await part.put("name", name);
      await part.put("other", other);
    }
    await this.ctx.storage.put(name, one);
  }
  async lose(name: string): Promise<void> {
    await this.ctx.storage.delete(name);
  }
}

/** A host of this process, with a control socket. */
async function hostHere(directory: string) {
  const { crypto } = nodeRuntime();
  const store = await openLmdbStore(directory);
  const { ids } = await prepareStore(store, crypto);
  const host = await createHost({
    store,
    classes: { OWNERS: Owner, PARTS: { class: Part, collect: true } },
    clock: new VirtualClock(),
    limits: { collectGrace: 0 },
  });
  runFolder(directory);
  const controlled = controlledHost(host as unknown as Host, new Inspector(store, ids, crypto), 1);
  const control = await listenForControl(directory, controlled);
  return {
    owner: () => host.env.OWNERS.getByName("owner"),
    async [Symbol.asyncDispose]() {
      await control.close();
      await host.close();
    },
  };
}

const NAMES = ["a", "b", "c", "d"];

it("of a host that runs: what is active and what is stored; it evicts, and deletes", async () => {
  const directory = dataFolder();
  const limits = { idleTime: 3_600_000 };
  const host = await startTestHost({ directory, processes: 2, limits });
  for (const [i, name] of NAMES.entries()) {
    using stub = host.counter(name);
    await stub.add(i + 1);
  }
  const waiting = failure(host.counter("busy").wait(600_000));
  using busy = host.counter("busy");
  await busy.get();
  const listed = jsonLines(await objects(directory, "list", "--json"));
  const found = new Map((listed as { name: string }[]).map((one) => [one.name, one]));
  expect(new Set(found.keys())).toEqual(new Set([...NAMES, "busy"]));
  expect(found.get("a")).toMatchObject({
    namespace: "COUNTERS",
    stored: true,
    active: true,
    idle: true,
  });
  expect(found.get("busy")).toMatchObject({ stored: true, idle: false });

  expect(jsonLines(await objects(directory, "evict", "COUNTERS", "--name", "a", "--json"))).toEqual(
    [expect.objectContaining({ outcome: "evicted" })],
  );
  expect((await objects(directory, "evict", "COUNTERS", "--name", "a")).stdout).toContain(
    "inactive",
  );
  const refused = await objects(directory, "evict", "COUNTERS", "--name", "busy");
  expect(refused).toMatchObject({ status: 1, stdout: expect.stringContaining("busy") as string });

  const show = async (name: string) =>
    jsonLines(await objects(directory, "show", "COUNTERS", "--name", name, "--json"))[0];
  expect(await show("a")).toMatchObject({ active: false, values: 3, alarm: null });
  expect(await show("b")).toMatchObject({ active: true, values: 3, name: "b" });
  const values = jsonLines(await objects(directory, "export", "COUNTERS", "--name", "b", "--json"));
  expect(values).toEqual([
    expect.objectContaining({ key: "count", value: 2 }),
    expect.objectContaining({ key: "migrations", value: [1] }),
    expect.objectContaining({ key: "version", value: 1 }),
  ]);
  // It was not activated by any of these.
  expect(await show("a")).toMatchObject({ active: false });

  using old = host.counter("b");
  expect(await old.get()).toBe(2);
  for (const name of ["a", "b"])
    expect((await objects(directory, "delete", "COUNTERS", "--name", name)).status).toBe(0);
  expect((await objects(directory, "show", "COUNTERS", "--name", "a")).status).toBe(1);
  expect(RpcError.of(await failure(old.get()))).toMatchObject({ code: "object-broken" });
  for (const name of ["a", "b"]) {
    using fresh = host.counter(name);
    expect(await fresh.get()).toBe(0);
  }
  await host.server.close();
  expect(RpcError.of(await waiting)).toMatchObject({ type: "disconnected" });
});

it("of a host that does not run: the same from the store, page by page", async () => {
  const directory = dataFolder();
  const host = await startTestHost({ directory });
  for (const name of NAMES) {
    using stub = host.counter(name);
    await stub.add();
    await stub.remind(3_600_000);
  }
  await host.server.close();
  const first = jsonLines(await objects(directory, "list", "COUNTERS", "--limit", "3", "--json"));
  expect(first).toHaveLength(3);
  const last = first[2] as { namespace: string; id: string };
  const after = `${last.namespace}/${last.id}`;
  const rest = await objects(directory, "list", "--after", after);
  expect(rest.stdout).toMatch(/^COUNTERS\/[0-9a-f]{64} {2}stored\n$/);
  const id = rest.stdout.slice("COUNTERS/".length, "COUNTERS/".length + 64);
  expect((await objects(directory, "show", "COUNTERS", id)).stdout).toMatch(/alarm: \d{4}-/);
  expect((await objects(directory, "export", "COUNTERS", id)).stdout).toContain('"count": 1\n');
  expect((await objects(directory, "evict", "COUNTERS", id)).stdout).toContain("inactive");
  expect((await objects(directory, "delete", "COUNTERS", id)).status).toBe(0);
  const left = jsonLines(await objects(directory, "list", "--json"));
  expect(left).toHaveLength(3);
  expect(left).not.toContainEqual(expect.objectContaining({ id }));
});

it("refuses what makes no sense, and what belongs to nobody", async () => {
  const directory = dataFolder();
  const nothing = await objects(directory, "list");
  expect(nothing).toMatchObject({
    status: 1,
    stderr: expect.stringContaining("data.mdb") as string,
  });
  const host = await startTestHost({ directory });
  await host.server.close();
  const misuses = [
    ["start"],
    ["list", "COUNTERS", "id"],
    ["show", "COUNTERS"],
    ["show", "COUNTERS", "id", "--name", "n"],
    ["list", "--limit", "none"],
    ["list", "--after", "x"],
    ["list", "--colour"],
    ["show", "COUNTERS", "id", "--for-good"],
  ];
  for (const args of misuses) {
    const run = runObjects([...args, "--data", directory], () => {});
    expect(await failure(run)).toBeInstanceOf(Misuse);
  }
  expect((await objects(directory)).status).toBe(2);
  const forged = await objects(directory, "show", "COUNTERS", "0".repeat(64));
  expect(forged).toMatchObject({
    status: 1,
    stderr: expect.stringContaining("is none of") as string,
  });
  expect((await objects(directory, "--help")).stdout).toContain("usage: capstan objects");
});

it("deletes for good: who calls is told, who holds one too, and nothing brings it back", async () => {
  const directory = dataFolder();
  const namespaces = ["COUNTERS", "OTHERS"];
  const host = await startTestHost({ directory, processes: 2, data: { namespaces } });
  const [a, b] = (await nameInEachSlot(host)) as [string, string];
  const command = async (...args: string[]) =>
    objects(directory, ...args.slice(0, 2), "--name", ...args.slice(2));
  using target = host.counter(a);
  await target.add();
  using holder = host.counter(b);
  await holder.keep("near", target);
  expect(await command("delete", "COUNTERS", a, "--for-good", "--json")).toMatchObject({
    status: 0,
    stdout: expect.stringContaining('"forGood":true') as string,
  });
  expect(await failure(target.get())).toMatchObject({ code: "object-deleted" });
  const deleted = async (): Promise<void> => {
    using stub = host.counter(a);
    expect((await failure(stub.get())).message).toContain(`the object COUNTERS/${a} was deleted`);
    expect((await failure(stub.get())).code).toBe("object-deleted");
    using again = host.counter(b);
    expect((await failure(again.addAtKept("near", 1))).message).toContain("was deleted");
  };
  await deleted();
  expect(jsonLines(await command("show", "COUNTERS", a, "--json"))).toEqual([
    expect.objectContaining({ deleted: true, values: 0, active: false }),
  ]);
  expect((await objects(directory, "list", "COUNTERS")).stdout).toMatch(/^\S+ {2}deleted$/m);
  // To clear it is no way back.
  expect((await command("delete", "COUNTERS", a)).status).toBe(0);
  await deleted();

  // The same by the supervisor, for an object of another process.
  const { COUNTERS } = host.server.env as unknown as { COUNTERS: Namespace<object> };
  await host.server.delete("COUNTERS", COUNTERS.idFromName(b));
  expect(await failure(holder.get())).toMatchObject({ code: "object-deleted" });
  await expect(host.server.delete("NONE", COUNTERS.idFromName(b))).rejects.toMatchObject({
    code: "invalid-argument",
  });

  // One of a namespace that the program does not have any more, also where no host runs.
  const { OTHERS } = host.server.env as unknown as { OTHERS: Namespace<Counter> };
  for (const name of ["one", "two"]) {
    using other = OTHERS.getByName(name);
    await other.add();
  }
  await host.server.reload({ program: programUrl(), data: {} });
  expect((await command("delete", "OTHERS", "one", "--for-good")).status).toBe(0);
  expect((await command("evict", "OTHERS", "one")).stdout).toContain("inactive");
  await host.server.close();
  expect((await command("delete", "OTHERS", "two", "--for-good")).status).toBe(0);
  const left = jsonLines(await objects(directory, "list", "OTHERS", "--json"));
  expect(left).toEqual([
    expect.objectContaining({ deleted: true }),
    expect.objectContaining({ deleted: true }),
  ]);
});

it("gc says what nobody can reach, and collects it; where no host runs it only says so", async () => {
  const directory = dataFolder();
  const gc = async (...args: string[]): Promise<Record<string, unknown>> => {
    const done = await objects(directory, "gc", "--json", ...args);
    expect(done).toMatchObject({ status: 0, stderr: "" });
    return JSON.parse(done.stdout) as Record<string, unknown>;
  };
  const parts = async () =>
    jsonLines(await objects(directory, "list", "PARTS", "--json")) as { id: string }[];
  const ids = (found: unknown): string[] =>
    (found as { namespace: string; id: string }[]).map(({ id }) => id).sort();
  {
    await using here = await hostHere(directory);
    using owner = here.owner();
    for (const name of ["kept", "lost", "left"]) await owner.make(name);
    const made = await parts();
    expect(made).toHaveLength(6);
    await owner.lose("lost");
    // What is active is held by that.
    expect(await gc("--dry-run")).toEqual({
      dryRun: true,
      checked: 6,
      collected: [],
      unreachable: [],
    });
    for (const { id } of made)
      expect((await objects(directory, "evict", "PARTS", id)).stdout).toContain("evicted");
    const dry = await gc("--dry-run");
    expect(dry).toMatchObject({ checked: 6, collected: [] });
    expect(dry["unreachable"]).toHaveLength(2);
    expect(await parts()).toHaveLength(6);
    const done = await gc();
    expect(done).toMatchObject({ dryRun: false, checked: 6, unreachable: [] });
    expect(ids(done["collected"])).toEqual(ids(dry["unreachable"]));
    expect(Part.disposed.splice(0)).toEqual(["lost", "lost"]);
    expect(await parts()).toHaveLength(4);
    await owner.lose("left");
  }
  const refused = await objects(directory, "gc");
  expect(refused).toMatchObject({ status: 1, stdout: "" });
  expect(refused.stderr).toContain(`no host runs on ${directory}`);
  const stopped = await gc("--dry-run");
  expect(stopped).toMatchObject({ checked: 4, collected: [] });
  expect(stopped["unreachable"]).toHaveLength(2);
  const text = await objects(directory, "gc", "--dry-run");
  for (const id of ids(stopped["unreachable"]))
    expect(text.stdout).toContain(`PARTS/${id}  unreachable\n`);
  expect(text.stdout).toMatch(/^4 looked at, 0 collected, 2 unreachable and still there$/m);
  // The next host takes up what nobody can reach.
  {
    await using _ = await hostHere(directory);
    expect(ids((await gc())["collected"])).toEqual(ids(stopped["unreachable"]));
    expect(Part.disposed.splice(0)).toEqual(["left", "left"]);
  }
  expect(await parts()).toHaveLength(2);
});

it("gc of a host of several processes asks all of them, the supervisor too", async () => {
  const directory = dataFolder();
  const data: CollectedData = { log: path.join(directory, "hooks.log") };
  const host = await startTestHost({
    directory,
    processes: 2,
    program: collectedUrl(),
    data: data as never,
    limits: { idleTime: 20, collectGrace: 3_600_000 },
  });
  const { OWNERS } = host.server.env as unknown as {
    OWNERS: { getByName(name: string): OwnerStub };
  };
  using owner = OWNERS.getByName("o");
  await owner.pair("pair");
  await owner.make("kept");
  const gc = async (...args: string[]): Promise<Record<string, unknown[]>> => {
    const done = await objects(directory, "gc", "--json", ...args);
    expect(done).toMatchObject({ status: 0, stderr: "" });
    return JSON.parse(done.stdout) as Record<string, unknown[]>;
  };
  {
    using held = await owner.take("pair");
    await owner.lose("pair");
    expect(await held.get("name")).toBe("pair-1");
    for (let i = 0; i < 3; i++)
      expect(await gc("--dry-run")).toMatchObject({ collected: [], unreachable: [] });
  }
  // What is active holds itself.
  await until(async () => (await gc("--dry-run"))["unreachable"]!.length === 2, "they are held");
  // It is not due yet.
  expect(await gc()).toMatchObject({ collected: [], unreachable: [{}, {}] });
  await host.server.collect({ grace: 0 });
  expect(await gc()).toMatchObject({ dryRun: false, checked: 1, collected: [], unreachable: [] });
  expect(await owner.text("kept")).toBe("kept");
});

it("gc takes no object", async () => {
  const nothing = (): void => {};
  for (const args of [
    ["gc", "COUNTERS"],
    ["gc", "--name", "a"],
    ["list", "--dry-run"],
  ])
    await expect(runObjects(args, nothing)).rejects.toBeInstanceOf(Misuse);
});
