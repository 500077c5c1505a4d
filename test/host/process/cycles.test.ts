// Calls between objects of several processes that would wait for themselves, by closed gates: found, named, and failed.

import { describe, expect, it } from "vitest";
import type { Wait } from "../../../src/host/gates/waits.js";
import {
  type Asked,
  cycleAmong,
  CycleSearch,
  wayOf,
} from "../../../src/host/process/cycle-search.js";
import type { Question } from "../../../src/host/process/messages.js";
import { failure, hostsOfProcesses, nameInEachSlot, startTestHost } from "./kit.js";

/** Resolves for all who ask when `count` have asked. */
function meeting(count: number): () => Promise<void> {
  let come = 0;
  let open!: () => void;
  const all = new Promise<void>((resolve) => (open = resolve));
  return async () => {
    if (++come === count) open();
    await all;
  };
}

describe("in real processes", () => {
  hostsOfProcesses();

  it("a call that comes back to its own section fails at once, with the way", async () => {
    const host = await startTestHost({ processes: 2 });
    const [first, second] = (await nameInEachSlot(host)) as [string, string];
    using one = host.counter(first);
    const error = await failure(one.inside([second, first]));
    // The section that it was made in failed, and so its object.
    expect(error).toMatchObject({ code: "object-broken" });
    const names = [first, second, first].map((name) => `COUNTERS/${name}`);
    expect((error as Error).message).toContain(names.join(" -> "));
  });

  it("two that wait for each other: the last fails, the other goes on, and both live", async () => {
    const host = await startTestHost({ processes: 2 });
    const [first, second] = (await nameInEachSlot(host)) as [string, string];
    using one = host.counter(first);
    using two = host.counter(second);
    const begun = meeting(2);
    const outcomes = await Promise.all([one.meet(second, begun), two.meet(first, begun)]);
    expect(outcomes.filter((outcome) => outcome === 0)).toHaveLength(1);
    const [way] = outcomes.filter((outcome) => typeof outcome === "string");
    const [a, b] = [`COUNTERS/${first}`, `COUNTERS/${second}`];
    expect(
      [`${a} -> ${b} -> ${a}`, `${b} -> ${a} -> ${b}`].some((text) => way!.includes(text)),
    ).toBe(true);
    expect(await one.add()).toBe(1);
    expect(await two.add()).toBe(1);
  });

  it("three in three processes", async () => {
    const host = await startTestHost({ processes: 3 });
    const names = await nameInEachSlot(host);
    const stubs = names.map((name) => host.counter(name));
    const begun = meeting(3);
    const outcomes = await Promise.all(
      stubs.map((stub, i) => stub.meet(names[(i + 1) % 3]!, begun)),
    );
    expect(outcomes.filter((outcome) => outcome === 0)).toHaveLength(2);
    for (const stub of stubs) {
      expect(await stub.add()).toBe(1);
      stub[Symbol.dispose]();
    }
  });

  it("a call in a section to one that has a section of its own and is not caused by it, waits", async () => {
    const host = await startTestHost({ processes: 2 });
    const [first, second] = (await nameInEachSlot(host)) as [string, string];
    using one = host.counter(first);
    using two = host.counter(second);
    let go!: () => void;
    const may = new Promise<void>((resolve) => (go = resolve));
    let began!: () => void;
    const busy = new Promise<void>((resolve) => (began = resolve));
    const holding = two.meet("someone else", async () => {
      began();
      await may;
    });
    await busy;
    let done = false;
    const waiting = one.inside([second]).then((count) => {
      done = true;
      return count;
    });
    // Longer than what makes a process ask whether anything waits for itself.
    await new Promise((resolve) => {
      setTimeout(resolve, 300);
    });
    expect(done).toBe(false);
    go();
    expect(await holding).toBe(0);
    expect(await waiting).toBe(0);
  });
});

const wait = (name: string, blockedBy: string, waited: number, ...causes: string[]): Wait => ({
  name,
  blockedBy,
  waited,
  causes: causes.map((section) => ({ section, way: [`of ${section}`, `of ${blockedBy}`] })),
});

describe("the search", () => {
  it("finds a cycle among what only waits, names the way, and has the last fail", () => {
    const cycle = cycleAmong([
      wait("1", "x", 50, "lonely"),
      wait("2", "b", 30, "a", "outer"),
      wait("3", "c", 10, "b"),
      wait("4", "d", 20, "c"),
      wait("5", "a", 40, "d"),
      wait("6", "a", 5, "nobody"),
    ])!;
    expect(cycle.map(({ name }) => name)).toEqual(["3", "4", "5", "2"]);
    expect(wayOf(cycle)).toEqual(["of b", "of c", "of d", "of a", "of b"]);
  });

  it("finds none where there is none, however many ways lead to the same", () => {
    const many = Array.from({ length: 60 }, (_, i) =>
      wait(`${i}`, `s${i + 1}`, 1, `s${i}`, `s${i - 1}`),
    );
    expect(cycleAmong(many)).toBeNull();
    expect(cycleAmong([])).toBeNull();
  });

  it("fails nothing that did not wait all the time that it takes to ask", async () => {
    const asked: Question[] = [];
    const answers = [
      [wait("1", "b", 9, "a"), wait("2", "a", 5, "b")],
      // The same sections, but another call.
      [wait("1", "b", 9, "a"), wait("3", "a", 1, "b")],
    ];
    const process: Asked = {
      ask: async (question) => {
        asked.push(question);
        return question.what === "waits" ? answers.shift() : undefined;
      },
    };
    new CycleSearch(() => [process]).look();
    await expect.poll(() => asked.length).toBe(2);
    await new Promise((resolve) => {
      setTimeout(resolve, 20);
    });
    expect(asked.map(({ what }) => what)).toEqual(["waits", "waits"]);
  });

  it("goes on when a process does not answer, and looks again after each that it has failed", async () => {
    const cycles = [
      [wait("1", "b", 9, "a"), wait("2", "a", 5, "b")],
      [wait("3", "d", 9, "c"), wait("4", "c", 5, "d")],
    ];
    const failed: Question[] = [];
    const living: Asked = {
      ask: async (question) => {
        if (question.what === "waits") return cycles.flat();
        failed.push(question);
        const wait = question.what === "turn-away" ? question.wait : "";
        const at = cycles.findIndex((cycle) => cycle.some(({ name }) => name === wait));
        return void cycles.splice(at, 1);
      },
    };
    const dead: Asked = {
      ask: async () => {
        throw new Error("gone");
      },
    };
    new CycleSearch(() => [dead, living]).look();
    await expect.poll(() => failed.length).toBe(2);
    expect(failed).toEqual([
      { what: "turn-away", wait: "2", way: ["of b", "of a", "of b"] },
      { what: "turn-away", wait: "4", way: ["of d", "of c", "of d"] },
    ]);
  });
});
