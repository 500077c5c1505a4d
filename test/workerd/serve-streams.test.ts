// The real workerd calls us with streams, signals and what HTTP is made of, both ways.

import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { missingWorkerd } from "../runtimes/workerd.js";
import { expectNoResidue, resources } from "../support/residue.js";
import { SLOWLY } from "./bridge/start.js";
import { Visited } from "./serve/kit.js";
import { Lobby } from "./serve/lobby.js";

const MB = 1_000_000;

// skip: where npm has no workerd; missingWorkerd prints the reason
describe.skipIf(missingWorkerd() !== null)("streams of workerd's calls", () => {
  const before = resources();
  const lobby = new Lobby();
  let visited: Visited;

  beforeAll(async () => {
    visited = await Visited.begin({ entrypoint: lobby });
  });
  afterEach(() => visited.quiet());
  afterAll(async () => {
    await visited.end();
    await expectNoResidue(before);
  });

  it("are read there, as slowly as the Worker reads", async () => {
    const { caller } = visited;
    expect(await caller.readStream(MB, 1000)).toBe(MB);
    expect(await caller.readStream(MB, 300_000)).toBe(MB);
    expect(await caller.readSlowly(10 * MB, 1000)).toBeLessThan(MB);
    expect(await caller.readBroken()).toMatchObject({ message: /premature/ });
  });

  it("are read here, and break with the Worker's", async () => {
    const { caller } = visited;
    expect(await caller.sendStream(MB)).toBe(MB);
    expect(await caller.sendBroken()).toMatchObject({ code: "stream-dropped", retryable: true });
  });

  it("are written there and here", async () => {
    const { caller } = visited;
    expect(await caller.writeIntoTheirs(MB, 1000)).toBe(MB);
    expect(await caller.lendWritable(100)).toBe(100_000);
  });

  it("are written as slowly as we take it", async () => {
    lobby.seen.slow(true);
    const writing = visited.caller.writeIntoTheirs(4 * MB, 10_000).then();
    await expect.poll(() => lobby.seen.taken(), SLOWLY).toBe(1);
    await new Promise((resolve) => setTimeout(resolve, 200));
    // What is on its way, and no more: the Worker waits to write.
    const { answers } = visited.stats()[0]!;
    expect(answers * 10_000).toBeLessThan(MB);
    lobby.seen.slow(false);
    expect(await writing).toBe(4 * MB);
  });

  it("go back by a shorter way", async () => {
    const { caller } = visited;
    expect(await caller.echoStream(MB)).toBe(MB);
    expect(await caller.pipe(MB)).toBe(MB);
  });

  it("come with signals", async () => {
    expect(await visited.caller.signal()).toMatchObject({ class: "TypeError", message: "enough" });
    expect(await visited.caller.theirSignal()).toMatchObject({ message: "theirs" });
  });

  it("are in requests, responses and Blobs", async () => {
    expect(await visited.caller.web()).toEqual({
      status: 201,
      answer: "this",
      text: "POST /path?x=1 a body",
      headers: [
        ["a", "1"],
        ["b", "2"],
      ],
      blob: "text/plain: some bytes",
    });
  });
});
