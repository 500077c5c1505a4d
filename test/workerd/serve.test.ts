// The real workerd calls us: Workers with an external service that this process is.

import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { missingWorkerd } from "../runtimes/workerd.js";
import { expectNoResidue, resources } from "../support/residue.js";
import type { Caught } from "./serve/api.js";
import { Visited } from "./serve/kit.js";
import { Lobby } from "./serve/lobby.js";

// skip: where npm has no workerd; missingWorkerd prints the reason
describe.skipIf(missingWorkerd() !== null)("calls from workerd", () => {
  const before = resources();
  const lobby = new Lobby();
  let visited: Visited;

  beforeAll(async () => {
    visited = await Visited.begin({ entrypoint: lobby });
    await visited.caller.call(["add"], 1, 2);
  });
  afterEach(() => visited.quiet());
  afterAll(async () => {
    await visited.end();
    await expectNoResidue(before);
  });

  it("reach methods and properties", async () => {
    const { caller, listener } = visited;
    expect(await caller.call(["add"], 19, 23)).toBe(42);
    expect(await caller.get(["title"])).toBe("the lobby");
    expect(await caller.call(["nothing"])).toBeUndefined();
    expect(await caller.parallel(100)).toEqual(Array.from({ length: 100 }, (_, i) => i + 1));
    expect(listener.sessions.size).toBe(1);
  });

  it("go through results that are not there yet, all in one flight", async () => {
    const { caller, listener } = visited;
    const [session] = listener.sessions;
    await visited.quiet();
    const { writes } = session!;
    const { messagesIn } = session!.connection.stats();
    expect(await caller.pipelined()).toBe("lobby: hi");
    // Three questions for the event, one for each call; all are answered in one write.
    expect(session!.writes).toBe(writes + 1);
    expect(session!.connection.stats().messagesIn).toBeGreaterThanOrEqual(messagesIn + 4);
    expect(await caller.deeper()).toEqual(["lobby: one", 7, "lobby", "first greets two"]);
  });

  it("bring objects and functions of the Worker, which are called back", async () => {
    expect(await visited.caller.guests()).toEqual(["Ann", "Bo greets you", 42]);
  });

  it("take objects and functions back as they were, and ours", async () => {
    expect(await visited.caller.echoes()).toEqual(["Cy greets you", "there: hi", 2]);
  });

  it("give stubs of the Worker's own objects back to it, as what they are there", async () => {
    expect(await visited.caller.token()).toBe("pong");
  });

  it("end what they were given when it is disposed, once", async () => {
    const { disposed } = lobby.seen;
    disposed.length = 0;
    await visited.caller.disposes();
    await expect
      .poll(() => [...disposed].sort(), { timeout: 20_000 })
      .toEqual(["part", "parts", "to be disposed"]);
  });

  it("fail with what was thrown, and with nothing of where", async () => {
    const { caller } = visited;
    const fails = async (kind: string): Promise<Caught> =>
      (await caller.fails(["fails"], kind)) as Caught;
    const own = await fails("own");
    expect(own).toMatchObject({ name: "Refused", message: "not you", class: "Error" });
    expect(own.own).toEqual({ code: "E_REFUSED", detail: { n: 1 } });
    expect(await fails("type")).toMatchObject({ class: "TypeError", message: "of type", own: {} });
    expect(await fails("abort")).toMatchObject({ class: "DOMException", name: "AbortError" });
    expect(await fails("cause")).toMatchObject({
      message: "outer",
      cause: { class: "RangeError", message: "inner" },
    });
    expect(await fails("object")).toEqual({ value: { no: "error" } });
    const busy = await fails("overloaded");
    expect(busy).toMatchObject({ name: "RpcError", message: "too many", overloaded: true });
    expect(busy.own).toEqual({ type: "overloaded", code: "queue-full", overloaded: true });
    expect(await fails("disconnected")).toMatchObject({ message: "gone", retryable: true });
    expect(await caller.fails(["missing"])).toMatchObject({ code: "method-unimplemented" });
    // What its own file is called is all that a stack names.
    for (const kind of ["own", "type", "abort", "cause", "overloaded"])
      expect(JSON.stringify(await fails(kind))).not.toMatch(/node:|\.ts|\/(test|src)\//);
  });

  it("do not reach what is no member", async () => {
    const { caller } = visited;
    expect(await caller.fails(["seen"])).toMatchObject({ code: "method-unimplemented" });
    expect(await caller.fails(["title"])).toMatchObject({ message: "title is not a function" });
  });
});
