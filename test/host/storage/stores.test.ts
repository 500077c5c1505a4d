// Every store, by one suite; and what only one of them does.

import { spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { bundle } from "../../../scripts/bundle.js";
import { lockDirectory } from "../../../src/host/storage/directory-lock.node.js";
import { diskFull, FaultyStore } from "../../../src/host/storage/faulty-store.js";
import { openLmdbStore } from "../../../src/host/storage/lmdb-store.node.js";
import { MemoryStore } from "../../../src/host/storage/memory-store.js";
import type { Store } from "../../../src/host/storage/store.js";
import { storeSuite } from "../../suites/store.js";
import { compilePrograms, type Programs } from "../../support/programs.js";

function folder(): { directory: string; cleanUp: () => void } {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), "capstan-store-"));
  return { directory, cleanUp: () => fs.rmSync(directory, { recursive: true, force: true }) };
}

storeSuite("MemoryStore", () => ({
  open: async () => new MemoryStore(),
  reopen: null,
  cleanUp: () => {},
}));

storeSuite("FaultyStore without faults", () => ({
  open: async () => new FaultyStore(),
  reopen: async (store) => (store as FaultyStore).crash(),
  cleanUp: () => {},
}));

storeSuite("LmdbStore", () => {
  const { directory, cleanUp } = folder();
  const open = (): Promise<Store> => openLmdbStore(path.join(directory, "data.dir"));
  return { open, reopen: open, cleanUp };
});

const KEY = Uint8Array.of(1);
const value = (byte: number): Uint8Array => Uint8Array.of(byte);

describe("FaultyStore", () => {
  it("commits and flushes when it is told to", async () => {
    const store = new FaultyStore();
    store.hold = { commits: true, flushes: true };
    const seen: string[] = [];
    const { committed, flushed } = store.write([{ key: KEY, value: value(1) }]);
    void committed.then(() => seen.push("committed"));
    void flushed.then(() => seen.push("flushed"));
    await Promise.resolve();
    expect([seen, store.get(KEY)]).toEqual([[], undefined]);
    store.commit();
    await committed;
    expect([seen, store.get(KEY)]).toEqual([["committed"], value(1)]);
    store.flush();
    await flushed;
    expect(seen).toEqual(["committed", "flushed"]);
  });

  it("loses in a crash what was not flushed, or some of it", async () => {
    const store = new FaultyStore();
    void store.write([{ key: KEY, value: value(1) }]);
    store.hold = { flushes: true };
    for (const byte of [2, 3]) void store.write([{ key: KEY, value: value(byte) }]);
    expect(store.crash().get(KEY)).toEqual(value(1));
    expect(store.crash(1).get(KEY)).toEqual(value(2));
    expect(store.crash(2).get(KEY)).toEqual(value(3));
  });

  it("fails a commit or a flush with what it is given", async () => {
    const store = new FaultyStore();
    store.commitFailure = diskFull();
    await expect(store.write([]).flushed).rejects.toThrow(/ENOSPC/);
    store.commitFailure = null;
    store.flushFailure = diskFull();
    const { committed, flushed } = store.write([]);
    await committed;
    await expect(flushed).rejects.toThrow(/ENOSPC/);
  });
});

const HOLDER = "test/host/programs/lock-holder.ts";
const WRITER = "test/host/programs/one-writer.ts";
const FILLER = "test/host/programs/disk-filler.ts";

describe("LmdbStore", () => {
  let programs: Programs;
  beforeAll(() => {
    programs = compilePrograms([HOLDER, FILLER, WRITER]);
  });
  afterAll(() => programs.dispose());

  it("is locked while another process, or this one, has it; a dead one's lock counts for nothing", async () => {
    const { directory, cleanUp } = folder();
    const store = await openLmdbStore(directory);
    await expect(openLmdbStore(directory)).rejects.toMatchObject({ code: "storage-locked" });
    await store.close();
    // A process that takes the lock and is killed.
    const { signal } = spawnSync(process.execPath, [programs.file(HOLDER), directory]);
    expect(signal).toBe("SIGKILL");
    expect(fs.readdirSync(directory).some((name) => name.startsWith("lock."))).toBe(true);
    await (await openLmdbStore(directory)).close();
    cleanUp();
  });

  it("shows what another process has written when it is told to read anew", async () => {
    const { directory, cleanUp } = folder();
    const store = await openLmdbStore(directory);
    await store.write([{ key: KEY, value: value(1) }]).flushed;
    expect(store.get(KEY)).toEqual(Buffer.of(1));
    // Within the turn of that read, which is of one moment.
    const { status } = spawnSync(process.execPath, [programs.file(WRITER), directory, "1", "2"]);
    expect(status).toBe(0);
    expect(store.get(KEY)).toEqual(Buffer.of(1));
    store.renew!();
    expect(store.get(KEY)).toEqual(Buffer.of(2));
    await store.close();
    expect(() => store.renew!()).toThrow(/closed/);
    cleanUp();
  });

  it("is closed while it commits, and has what was written then", async () => {
    const { directory, cleanUp } = folder();
    for (let byte = 1; byte < 4; byte++) {
      const store = await openLmdbStore(directory);
      store.write([{ key: KEY, value: value(byte) }]);
      // Now LMDB has it, and nobody has heard that it is done.
      await new Promise((resolve) => {
        setImmediate(resolve);
      });
      await store.close();
      const again = await openLmdbStore(directory);
      expect((await again.get(KEY))?.[0]).toBe(byte);
      await again.close();
    }
    cleanUp();
  });

  it("is its owner's alone, also in a directory that others may read", async () => {
    const { directory, cleanUp } = folder();
    fs.chmodSync(directory, 0o755);
    const store = await openLmdbStore(directory);
    for (const name of ["data.mdb", "lock.mdb"])
      expect(fs.statSync(path.join(directory, name)).mode & 0o077).toBe(0);
    await store.close();
    cleanUp();
  });

  it("says what to install where lmdb is not", async () => {
    const { directory, cleanUp } = folder();
    const source = `
      import { openLmdbStore } from "./src/host.node.ts";
      openLmdbStore("data").catch((error) => console.log(error.code, error.message));`;
    const root = path.join(import.meta.dirname, "../../..");
    const { code } = await bundle(root, source, { platform: "node" });
    // Far from the project's own packages.
    const file = path.join(directory, "program.mjs");
    fs.writeFileSync(file, code);
    const { stdout } = spawnSync(process.execPath, [file], { cwd: directory, encoding: "utf8" });
    expect(stdout).toMatch(/^missing-dependency .*npm install lmdb/);
    expect(fs.existsSync(path.join(directory, "data"))).toBe(false);
    cleanUp();
  });

  it("gives the lock to one of those who ask at once", async () => {
    const { directory, cleanUp } = folder();
    for (let round = 0; round < 20; round++) {
      const outcomes = await Promise.allSettled(
        Array.from({ length: 5 }, () => lockDirectory(directory)),
      );
      const held = outcomes.filter((outcome) => outcome.status === "fulfilled");
      expect(held.length).toBeLessThanOrEqual(1);
      for (const { value } of held) await value.release();
    }
    cleanUp();
  });

  it("says of a file that is no database, or was cut off, that it is damaged", async () => {
    const { directory, cleanUp } = folder();
    const file = path.join(directory, "data.mdb");
    fs.writeFileSync(file, Buffer.alloc(50_000, "no database"));
    await expect(openLmdbStore(directory)).rejects.toMatchObject({
      code: "storage-corrupt",
      message: expect.stringContaining("is no LMDB database") as string,
    });
    fs.rmSync(file);
    const store = await openLmdbStore(directory);
    for (let i = 0; i < 50; i++)
      void store.write([{ key: Uint8Array.of(1, i), value: new Uint8Array(20_000) }]);
    await store.close();
    fs.truncateSync(file, 100_000);
    await expect(openLmdbStore(directory)).rejects.toMatchObject({
      code: "storage-corrupt",
      message: expect.stringContaining("cut off") as string,
    });
    // What could not be opened is not locked either.
    fs.rmSync(file);
    await (await openLmdbStore(directory)).close();
    cleanUp();
  });

  // The limit of a file's size stands for a full disk: a write then fails in the same place.
  it("fails when there is no room left, then every later write, and has all from before", async () => {
    const { directory, cleanUp } = folder();
    const child = spawnSync(
      "bash",
      [
        "-c",
        `trap '' XFSZ; ulimit -f 600; exec "$@"`,
        "",
        process.execPath,
        programs.file(FILLER),
        directory,
      ],
      { encoding: "utf8" },
    );
    const { before, safe, codes } = JSON.parse(child.stdout) as Filled;
    expect(child.status).toBe(0);
    expect(before).toBeGreaterThan(5);
    expect(before).toBeLessThan(59);
    expect(safe).toBe(before);
    expect(codes).toEqual(["storage-failed"]);
    const store = await openLmdbStore(directory);
    expect(await store.range({ from: Uint8Array.of(1), to: Uint8Array.of(2) })).toHaveLength(
      before + 1,
    );
    await store.close();
    cleanUp();
  });

  it("says that the disk is full, and writes again when there is room", (context) => {
    const { directory, cleanUp } = folder();
    // A disk of its own, for this process alone. That needs what not every machine allows.
    const mount = `mount -t tmpfs -o size=2m none "$0"`;
    const isolated = (script: string, ...args: string[]) =>
      spawnSync("unshare", ["-rm", "bash", "-c", script, directory, ...args], { encoding: "utf8" });
    const tried = isolated(mount);
    if (tried.status !== 0) {
      cleanUp();
      return context.skip(`no disk can be mounted here: ${tried.stderr || String(tried.error)}`);
    }
    const child = isolated(
      `${mount} && head -c 1000000 /dev/zero > "$0/ballast" && exec "$@"`,
      process.execPath,
      programs.file(FILLER),
      directory,
      path.join(directory, "ballast"),
    );
    const { before, after, codes } = JSON.parse(child.stdout) as Filled;
    expect(child.status).toBe(0);
    expect(before).toBeGreaterThan(5);
    expect(before).toBeLessThan(59);
    expect(codes).toEqual(["storage-full"]);
    expect(after).toBe(FILLER_AFTER);
    cleanUp();
  });
});

const FILLER_AFTER = 62;

/** What FILLER says. */
interface Filled {
  readonly before: number;
  readonly safe: number;
  readonly after: number | null;
  readonly codes: string[];
}
