// Role: keeps a data directory for one process, for as long as that lives.
// State: the socket that stands for the lock. Must not know: what is in the directory.
//
// Node has no lock that dies with its process, but for a socket: it is refused as soon as nobody listens. Each holder listens
// at a name of its own, `lock.1`, `lock.2` and so on, one more than the last; who finds a living one gives up. No name is ever
// taken back by its holder, so that a number is never used twice, and those that are dead are removed by the next.

import fs from "node:fs";
import net from "node:net";
import path from "node:path";
import { RpcError } from "../../base/errors.js";

const NAME = /^lock\.(\d+)$/;
const TRIES = 10;

/** A lock that is held. */
export interface DirectoryLock {
  release(): Promise<void>;
}

/**
 * Takes the lock of `directory`, which is there.
 *
 * @throws RpcError storage-locked when another process has it (as a rejection).
 */
export async function lockDirectory(directory: string): Promise<DirectoryLock> {
  for (let tries = 0; tries < TRIES; tries++) {
    const numbers = numbersIn(directory);
    for (const number of numbers)
      if (await answers(fileOf(directory, number))) throw locked(directory);
    const mine = Math.max(0, ...numbers) + 1;
    const server = await listen(fileOf(directory, mine));
    // Somebody else was faster.
    if (server === null) continue;
    // Another may have seen this one before it listened, and taken the next number: then both are here now, and see it.
    for (const number of numbersIn(directory).filter((number) => number !== mine)) {
      if (await answers(fileOf(directory, number))) {
        await closed(server);
        throw locked(directory);
      }
      if (number < mine) fs.rmSync(fileOf(directory, number), { force: true });
    }
    return { release: () => closed(server) };
  }
  throw locked(directory);
}

function numbersIn(directory: string): number[] {
  const names = fs.readdirSync(directory).map((name) => NAME.exec(name)?.[1]);
  return names.filter((number) => number !== undefined).map(Number);
}

/** A socket's path has a hundred characters at most; relative to the working directory it may be short enough. */
function fileOf(directory: string, number: number): string {
  const absolute = path.join(directory, `lock.${number}`);
  const relative = path.relative(process.cwd(), absolute);
  return relative.length < absolute.length ? relative : absolute;
}

/** @returns null when the name is taken. */
function listen(file: string): Promise<net.Server | null> {
  return new Promise((resolve, reject) => {
    const server = net.createServer((socket) => socket.destroy());
    server.once("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "EADDRINUSE") resolve(null);
      else
        reject(
          new RpcError(
            "failed",
            "storage-failed",
            `the lock ${file} cannot be made: ${error.message}`,
            { cause: error },
          ),
        );
    });
    server.listen(file, () => {
      // Held by a process that lives for other reasons.
      server.unref();
      resolve(server);
    });
  });
}

/** Whether a process listens there. */
function answers(file: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(file);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", (error: NodeJS.ErrnoException) => {
      resolve(error.code !== "ECONNREFUSED" && error.code !== "ENOENT");
    });
  });
}

/** Node removes the file of a server that it closes. */
function closed(server: net.Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
  });
}

function locked(directory: string): RpcError {
  const message = `${directory} is in use by another process: a data directory has one host at a time`;
  return new RpcError("failed", "storage-locked", message);
}
