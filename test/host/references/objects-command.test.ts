// What `capstan objects` tells of references: whom an object holds and who holds it, and what stands for them in values.

import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterEach, expect, it } from "vitest";
import { runObjects } from "../../../src/cli/objects.node.js";
import { DurableObject, type Namespace, openLmdbStore, restore } from "../../../src/host.node.js";
import { save } from "../../../src/persist.js";
import { testHost } from "../kit.js";

class Node extends DurableObject<{ NODES: Namespace<Node> }> {
  async link(key: string, ...names: string[]): Promise<void> {
    const { NODES } = this.env;
    const to = names.map((name) => (name === "*" ? NODES : NODES.getByName(name)));
    await this.ctx.storage.put(key, { to });
  }
  async view(): Promise<void> {
    await this.ctx.storage.put("view", this.ctx.facet("view"));
  }
  [restore](): null {
    return null;
  }
}

let directory: string;
afterEach(() => fs.rmSync(directory, { recursive: true, force: true }));

it("shows whom an object holds and who holds it, with how it is held, and exports where references are", async () => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), "capstan-objects-"));
  const host = await testHost({ NODES: Node }, { store: await openLmdbStore(directory) });
  const node = (name: string) => host.env.NODES.getByName(name);
  await node("a").link("one", "b", "*");
  await node("a").link("two", "b");
  await node("c").link("b", "b");
  await node("b").view();
  await save(node("b"));
  const [a, b, c] = ["a", "b", "c"].map((name) => host.env.NODES.idFromName(name).toString());
  await host.close();

  const run = async (...args: string[]): Promise<string> => {
    let said = "";
    expect(await runObjects([...args, "--data", directory], (text) => (said += text))).toBe(0);
    return said;
  };
  const json = async (...args: string[]): Promise<Record<string, unknown>> =>
    JSON.parse(await run(...args, "--json")) as Record<string, unknown>;
  const object = (id: string | undefined, count: number) => ({
    type: "object",
    namespace: "NODES",
    id,
    count,
  });

  const shownA = await json("show", "NODES", "--name", "a");
  expect(shownA["heldBy"]).toEqual([]);
  expect(shownA["holds"]).toHaveLength(2);
  expect(shownA["holds"]).toContainEqual(object(b, 2));
  expect(shownA["holds"]).toContainEqual({
    type: "namespace",
    namespace: "NODES",
    id: null,
    count: 1,
  });

  const heldBy = (await json("show", "NODES", "--name", "b"))["heldBy"] as { type: string }[];
  expect(heldBy.filter(({ type }) => type === "saved")).toHaveLength(1);
  for (const one of [object(a, 2), object(b, 1), object(c, 1)]) expect(heldBy).toContainEqual(one);
  const few = await json("show", "NODES", "--name", "b", "--limit", "2");
  expect(few["heldBy"]).toHaveLength(2);

  const text = await run("show", "NODES", "--name", "b");
  expect(text).toContain(`held by: NODES/${a}, in 2 values`);
  expect(text).toMatch(/held by: a saved reference, [0-9a-f]{64}/);
  expect(await run("show", "NODES", "--name", "a")).toContain("holds: the namespace NODES");

  const exported = await run("export", "NODES", "--name", "b");
  expect(exported).toContain(`id: '${b}'`);
  expect(exported).toContain("facet: true");
});
