// The real workerd calls us: what it keeps and what it leaves, when requests, connections and processes end.

import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { RpcError } from "../../src/node.js";
import { serveWorkerd } from "../../src/workerd.node.js";
import { missingWorkerd } from "../runtimes/workerd.js";
import { cleaningUp } from "../support/residue.js";
import { SLOWLY } from "./bridge/start.js";
import { Visited } from "./serve/kit.js";
import { Lobby } from "./serve/lobby.js";

/** As of what calls into workerd leave: its heap first grows to where it is collected. */
const WARM_UP = 25_000;
const MORE_KB = 40_000;
/** Calls in one of the Worker's visits. */
const IN_A_VISIT = 9;

// skip: where npm has no workerd; missingWorkerd prints the reason
describe.skipIf(missingWorkerd() !== null)("of workerd's calls", () => {
  const cleanUp = cleaningUp();

  async function begin(
    options: { where?: string; lobby?: Lobby } = {},
  ): Promise<Visited & { lobby: Lobby }> {
    const { lobby = new Lobby(), where } = options;
    const visited = await Visited.begin({ entrypoint: lobby }, where);
    cleanUp(() => visited.end());
    return Object.assign(visited, { lobby });
  }

  it("nothing is left after ten thousand", { timeout: 300_000 }, async () => {
    const visited = await begin();
    const { caller, started } = visited;
    const rounds = async (calls: number): Promise<void> => {
      for (let done = 0; done < calls; done += 20 * 10 * IN_A_VISIT)
        await Promise.all(Array.from({ length: 20 }, () => caller.visits(10)));
    };
    await rounds(WARM_UP);
    const before = started.residentKb();
    await rounds(10_000);
    await visited.quiet();
    expect(visited.listener.sessions.size).toBe(1);
    const more = started.residentKb() - before;
    console.log(`workerd: ${more} KB more after 10,000 calls`);
    expect(more).toBeLessThan(MORE_KB);
  });

  it("a stub is kept by a durable object there, across requests", async () => {
    const visited = await begin();
    const { caller, lobby } = visited;
    expect(await caller.keep("lobby")).toBe("lobby: kept");
    expect(await caller.useKept("later")).toBe("lobby: later");
    expect(lobby.seen.disposed).toEqual([]);
    await caller.dropKept();
    await expect.poll(() => lobby.seen.disposed, SLOWLY).toEqual(["lobby"]);
    await visited.quiet();
  });

  it("a callback is kept here, as long as who gave it is there", async () => {
    const visited = await begin();
    const { caller, lobby } = visited;
    await caller.subscribe();
    expect(await lobby.seen.listener()("one")).toBe(1);
    expect(await lobby.seen.listener()("two")).toBe(2);
    expect(await caller.heard()).toEqual(["one", "two"]);
    lobby.seen.dropListener();
    // A request is over when it is answered. Workerd has several words for that.
    await caller.subscribeBriefly();
    await expect(lobby.seen.listener()("late")).rejects.toBeInstanceOf(RpcError);
    lobby.seen.dropListener();
    await visited.quiet();
  });

  it("a stream ends with the request that it was of", async () => {
    const visited = await begin();
    const { caller, lobby } = visited;
    await caller.leaves();
    let read = 0;
    await expect(
      (async () => {
        for await (const chunk of lobby.seen.stream()) read += chunk.length;
      })(),
    ).rejects.toMatchObject({ code: "stream-dropped" });
    expect(read).toBeLessThan(1_000_000);
    expect(lobby.seen.made()).toBeLessThan(1_000_000);
    await visited.quiet();
  });

  it("those under way end with workerd's process, and its streams break", async () => {
    const visited = await begin();
    const { caller, lobby, listener, started } = visited;
    await caller.subscribe();
    const waiting = caller.call(["wait"]).then(null, () => {});
    const sending = caller.sendEndless().then(null, () => {});
    await expect.poll(() => lobby.seen.waiting(), SLOWLY).toBe(1);
    await expect.poll(() => lobby.seen.read(), SLOWLY).toBeGreaterThan(0);
    const broken = new Promise((resolve) => lobby.seen.listener().onRpcBroken(resolve));
    await started.stop();
    expect(await broken).toMatchObject({ type: "disconnected" });
    await expect(lobby.seen.reading()).rejects.toMatchObject({ type: "disconnected" });
    await Promise.all([waiting, sending]);
    await expect.poll(() => listener.sessions.size, SLOWLY).toBe(0);
    lobby.seen.go();
    lobby.seen.dropListener();
  });

  it("new ones reach us after a restart of ours, and stubs say what became of them", async () => {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "capstan-serve-"));
    cleanUp(() => fs.rmSync(folder, { recursive: true }));
    const where = `unix:${folder}/socket`;
    const visited = await begin({ where });
    const { caller, listener } = visited;
    expect(await caller.keep("lobby")).toBe("lobby: kept");
    await listener.close();
    expect(await caller.useKept("gone")).toMatchObject({ retryable: true });
    expect(await caller.fails(["add"], 1, 2)).toMatchObject({ retryable: true });
    const again = await serveWorkerd(where, { entrypoint: new Lobby() });
    cleanUp(() => again.close());
    expect(await caller.call(["add"], 1, 2)).toBe(3);
    expect(await caller.useKept("still gone")).toMatchObject({ retryable: true });
    expect(await caller.keep("lobby")).toBe("lobby: kept");
    expect(await caller.useKept("back")).toBe("lobby: back");
    expect((await caller.page("/x")).status).toBe(200);
  });

  it("those under way are answered while we drain", async () => {
    const visited = await begin();
    const { caller, listener, lobby } = visited;
    const call = caller.call(["wait"]).then((answer) => answer);
    await expect.poll(() => lobby.seen.waiting(), SLOWLY).toBe(1);
    const goOn = lobby.seen.going();
    const page = caller.page("/wait").then(({ text }) => text);
    await expect.poll(() => lobby.seen.waiting(), SLOWLY).toBe(2);
    const drained = listener.drain();
    goOn();
    expect(await call).toBe("went on");
    lobby.seen.go();
    expect(await page).toBe("went on");
    await drained;
    expect(await caller.fails(["add"], 1, 2)).toMatchObject({ retryable: true });
  });

  it("those that take too long to drain are cut off", async () => {
    const visited = await begin();
    const { caller, listener, lobby } = visited;
    const call = caller.fails(["wait"]).then((answer) => answer);
    const page = caller.page("/wait").then(null, (error: Error) => error.message);
    await expect.poll(() => lobby.seen.waiting(), SLOWLY).toBe(2);
    await listener.drain(50);
    expect(await call).toMatchObject({ retryable: true });
    expect(await page).toMatch(/lost/);
    lobby.seen.go();
  });

  it("a start of many at once makes many connections, and all are served", async () => {
    const lobby = new Lobby();
    const listener = await serveWorkerd("tcp://:0", { entrypoint: lobby });
    cleanUp(() => listener.close());
    const visited = await Visited.joining(listener);
    cleanUp(() => visited.end());
    expect(await visited.caller.parallel(50)).toHaveLength(50);
    console.log(`connections: ${listener.sessions.size} for 50 calls at once`);
    await visited.quiet();
  });
});
