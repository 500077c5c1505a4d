// Many objects: what is not active costs the disk, and no memory, in the host that has called it and in the one that opens it anew.

import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { DurableObject } from "../../../src/host.node.js";
import { openLmdbStore } from "../../../src/host/storage/lmdb-store.node.js";
import { VirtualClock } from "../../../src/host/testing.js";
import { live } from "../../hostile/memory.js";
import { settle, testHost } from "../kit.js";

class Note extends DurableObject {
  async write(text: string): Promise<void> {
    await this.ctx.storage.put("text", text);
    await this.ctx.storage.setAlarm(Date.now() + 1e9);
  }
  read(): Promise<string | undefined> {
    return this.ctx.storage.get("text");
  }
}

/** So many in CI; a million were tried by hand. */
const OBJECTS = 20_000;
const AT_ONCE = 500;
/** Bytes of heap for each that may be there by chance: the least that an object in memory could cost is some thousand. */
const NOTHING = 60;

let folder: string;
beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), "capstan-many-"));
});
afterEach(() => {
  fs.rmSync(folder, { recursive: true, force: true });
});

it("a great many ids cost disk, not memory", async () => {
  const clock = new VirtualClock();
  const store = await openLmdbStore(folder);
  const host = await testHost({ NOTES: Note }, { store, clock });
  const write = async (from: number, to: number): Promise<void> => {
    for (let i = from; i < to; i += AT_ONCE) {
      const some = Array.from({ length: AT_ONCE }, (_, k) => host.env.NOTES.getByName(`${i + k}`));
      await Promise.all(some.map(async (note, k) => note.write(`text ${i + k}`)));
      for (const note of some) note[Symbol.dispose]();
      await clock.advance(20_000);
      await settle();
    }
  };
  // What is compiled, cached and pooled once.
  await write(0, 4000);
  const before = live();
  await write(4000, 4000 + OBJECTS);
  expect([...host._directory.activations]).toEqual([]);
  const each = (live() - before) / OBJECTS;
  expect(each).toBeLessThan(NOTHING);
  using one = host.env.NOTES.getByName("12345");
  expect(await one.read()).toBe("text 12345");
  await host.close();

  const opening = live();
  const again = await testHost(
    { NOTES: Note },
    { store: await openLmdbStore(folder), clock: new VirtualClock() },
  );
  expect((live() - opening) / OBJECTS).toBeLessThan(NOTHING);
  using other = again.env.NOTES.getByName("54");
  expect(await other.read()).toBe("text 54");
});
