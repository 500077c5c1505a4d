// Role: where the processes of a host find each other: the files of its data directory that only matter while it runs.
// State: none. Must not know: what is said there.

import fs from "node:fs";
import path from "node:path";
import { RpcError } from "../../base/errors.js";
import { type DirectoryLock, lockDirectory } from "../storage/directory-lock.node.js";

/** So long the processes of a supervisor that is gone may take to be gone too, in milliseconds. */
export const LEFTOVER_TIME = 30_000;

const SLOT = /^objects-\d+$/;
/** Between two looks at a lock that is held, in milliseconds. */
const LOOK_MS = 20;

/** The folder of sockets and locks. It is made when it is missing. */
export function runFolder(directory: string): string {
  const folder = path.join(directory, "run");
  fs.mkdirSync(folder, { recursive: true, mode: 0o700 });
  return folder;
}

/** The address at which the objects of a slot are reached. */
export function slotAddress(directory: string, slot: number): string {
  return `unix:${short(path.join(directory, "run", `objects-${slot}.sock`))}`;
}

/** The address at which a supervisor is asked. */
export function controlAddress(directory: string): string {
  return `unix:${short(path.join(directory, "run", "control.sock"))}`;
}

/**
 * Takes the lock of a slot, which dies with its process: no two processes run the objects of one.
 *
 * @param timeout milliseconds for which it waits for a process that is about to end.
 * @throws RpcError storage-locked (as a rejection).
 */
export function lockSlot(directory: string, slot: number, timeout: number): Promise<DirectoryLock> {
  const folder = path.join(runFolder(directory), `objects-${slot}`);
  fs.mkdirSync(folder, { recursive: true, mode: 0o700 });
  return lockSoon(folder, timeout);
}

/**
 * Waits until no process of a supervisor that is gone has a slot any more: it may have had other ones than this will have.
 *
 * @throws RpcError storage-locked when one stays (as a rejection).
 */
export async function slotsFree(directory: string, timeout: number): Promise<void> {
  const folder = runFolder(directory);
  for (const name of fs.readdirSync(folder).filter((name) => SLOT.test(name)))
    await (await lockSoon(path.join(folder, name), timeout)).release();
}

async function lockSoon(folder: string, timeout: number): Promise<DirectoryLock> {
  const end = performance.now() + timeout;
  for (;;) {
    try {
      return await lockDirectory(folder);
    } catch (thrown) {
      const held = RpcError.is(thrown) && thrown.code === "storage-locked";
      if (!held || performance.now() > end) throw thrown;
      await new Promise((resolve) => {
        setTimeout(resolve, LOOK_MS);
      });
    }
  }
}

/** A socket's path has a hundred characters at most; relative to the working directory it may be short enough. */
function short(file: string): string {
  const relative = path.relative(process.cwd(), file);
  return relative.length < file.length ? relative : file;
}
