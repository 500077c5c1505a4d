// Role: puts a listening Unix socket at its path: only for this user from the first moment on, never over a living one,
// in the place of a dead one.
// State: none. Must not know: what is listened for.

import { randomInt } from "node:crypto";
import fs from "node:fs";
import net from "node:net";
import path from "node:path";

/** How often a path that others fight for is tried. */
const TRIES = 5;

/** How many names of folders are tried: each try meets another with 1 in 1296 for each that is there. */
const FOLDERS = 20;

/**
 * Makes `server` listen at `target`, mode 0600.
 *
 * A file that is bound at its final place has the umask's mode until it is changed, and changing the umask changes it for
 * every thread. So the socket is bound in a folder that only this user may enter, its mode is set, and only then it gets
 * its name, by `link`, which never replaces anything: two servers that start at once cannot both take a dead one's place.
 *
 * @returns how to remove the file, once, if it is still this server's.
 * @throws an error with a code: EADDRINUSE when somebody answers there, EEXIST when what is there is no socket.
 */
export async function listenAtPath(server: net.Server, target: string): Promise<() => void> {
  const folder = privateFolder(target);
  const made = path.join(folder, "s");
  try {
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen({ path: made }, () => {
        server.off("error", reject);
        resolve();
      });
    });
    fs.chmodSync(made, 0o600);
    const { ino, dev } = fs.lstatSync(made);
    try {
      await name(made, target, folder);
    } catch (thrown) {
      await new Promise((resolve) => server.close(resolve));
      throw thrown;
    }
    return () => {
      const now = fs.lstatSync(target, { throwIfNoEntry: false });
      if (now?.ino === ino && now.dev === dev) fs.unlinkSync(target);
    };
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * A new folder beside `target` that only this user may enter: its folder may be all that this user may
 * write to, or a file system of its own, over whose edge no link goes. The name is short, since the path of the socket in
 * it must fit where the path of the target does.
 */
function privateFolder(target: string): string {
  for (let tries = 0; ; tries++) {
    const folder = path.join(path.dirname(target), `.${randomInt(36 ** 2).toString(36)}`);
    if (folder === path.normalize(target)) continue;
    try {
      fs.mkdirSync(folder, 0o700);
      return folder;
    } catch (thrown) {
      if ((thrown as NodeJS.ErrnoException).code !== "EEXIST" || tries >= FOLDERS - 1) throw thrown;
    }
  }
}

/** Gives the socket `made` the name `target` as well. */
async function name(made: string, target: string, folder: string): Promise<void> {
  for (let tries = 0; tries < TRIES; tries++) {
    try {
      fs.linkSync(made, target);
      return;
    } catch (thrown) {
      if ((thrown as NodeJS.ErrnoException).code !== "EEXIST") throw thrown;
    }
    const old = fs.lstatSync(target, { throwIfNoEntry: false });
    if (old === undefined) continue;
    if (!old.isSocket()) throw withCode("EEXIST", "there is a file that is no socket");
    if (await answers(target)) throw withCode("EADDRINUSE", "somebody listens there");
    // Dead; but another server may have put a living one there since. What is moved away is looked at again.
    const aside = path.join(folder, "old");
    fs.renameSync(target, aside);
    if (fs.lstatSync(aside).ino !== old.ino) {
      fs.linkSync(aside, target);
      throw withCode("EADDRINUSE", "somebody has begun to listen there");
    }
    fs.unlinkSync(aside);
  }
  throw withCode("EADDRINUSE", "others fight for it");
}

/** Whether anybody accepts connections at the socket, or may do so: only a refusal says no. */
function answers(target: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(target);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", (error: NodeJS.ErrnoException) => {
      resolve(error.code !== "ECONNREFUSED" && error.code !== "ENOENT");
    });
  });
}

function withCode(code: string, message: string): Error {
  return Object.assign(new Error(message), { code });
}
