// The locks of slots: one process for each, and nobody left from before.

import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { lockSlot, slotsFree } from "../../../src/host/process/paths.node.js";
import { failure } from "./kit.js";

let folder: string;
beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), "capstan-slots-"));
});
afterEach(() => fs.rmSync(folder, { recursive: true, force: true }));

it("a slot is held by one process, which the next one waits for", async () => {
  const lock = await lockSlot(folder, 3, 0);
  const other = await lockSlot(folder, 4, 0);
  expect(await failure(lockSlot(folder, 3, 50))).toMatchObject({ code: "storage-locked" });
  const next = lockSlot(folder, 3, 60_000);
  await lock.release();
  await (await next).release();
  await other.release();
});

it("slots are free when none is held, whichever there were", async () => {
  await slotsFree(folder, 0);
  const lock = await lockSlot(folder, 7, 0);
  expect(await failure(slotsFree(folder, 50))).toMatchObject({ code: "storage-locked" });
  const free = slotsFree(folder, 60_000);
  await lock.release();
  await free;
});
