// The real workerd calls us: Workers with an external service that this process is.

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { RpcStub } from "../../src/node.js";
import {
  connectWorkerd,
  type Listener,
  serveWorkerd,
  type Workerd,
} from "../../src/workerd.node.js";
import { missingWorkerd } from "../runtimes/workerd.js";
import { expectNoResidue, resources } from "../support/residue.js";
import { SLOWLY, type StartedWorkerd, startCaller } from "./bridge/start.js";
import type { Caller } from "./serve/api.js";
import { Lobby } from "./serve/lobby.js";

// skip: where npm has no workerd; missingWorkerd prints the reason
describe.skipIf(missingWorkerd() !== null)("calls from workerd", () => {
  const before = resources();
  const lobby = new Lobby();
  let listener: Listener;
  let started: StartedWorkerd;
  let workerd: Workerd;
  let caller: RpcStub<Caller>;

  beforeAll(async () => {
    listener = await serveWorkerd("tcp://:0", { entrypoint: lobby });
    started = await startCaller(listener.url.replace("tcp://", ""));
    workerd = await connectWorkerd(started.url);
    caller = workerd.getEntrypoint("main", "Caller");
    // A Worker whose first calls come together opens a connection for each.
    await caller.call(["add"], 1, 2);
  });
  afterAll(async () => {
    caller[Symbol.dispose]();
    await workerd.close();
    await started.stop();
    await listener.close();
    await expectNoResidue(before);
  });

  it("reach methods and properties", async () => {
    expect(await caller.call(["add"], 19, 23)).toBe(42);
    expect(await caller.get(["title"])).toBe("the lobby");
    expect(await caller.call(["nothing"])).toBeUndefined();
    expect(listener.sessions.size).toBe(1);
  });

  it("go through results that are not there yet, all in one flight", async () => {
    const [session] = listener.sessions;
    const { writes } = session!;
    expect(await caller.pipelined()).toBe("lobby: hi");
    expect(session!.writes).toBe(writes + 1);
    expect(await caller.deeper()).toEqual(["lobby: one", 7, "lobby", "first greets two"]);
  });

  it("bring objects and functions of the Worker, which are called back", async () => {
    expect(await caller.guests()).toEqual(["Ann", "Bo greets you", 42]);
  });

  it("fail with what was thrown, and with nothing of where", async () => {
    expect(await caller.fails(["fails"], "own")).toMatchObject({
      name: "Refused",
      message: "not you",
      own: { code: "E_REFUSED", detail: { n: 1 } },
    });
    expect(await caller.fails(["fails"], "type")).toMatchObject({ class: "TypeError" });
    expect(await caller.fails(["fails"], "cause")).toMatchObject({
      message: "outer",
      cause: { class: "RangeError", message: "inner" },
    });
    expect(await caller.fails(["fails"], "object")).toEqual({ value: { no: "error" } });
    expect(await caller.fails(["fails"], "overloaded")).toMatchObject({ overloaded: true });
    expect(await caller.fails(["fails"], "disconnected")).toMatchObject({ retryable: true });
    for (const kind of ["own", "type", "cause", "overloaded"])
      expect(JSON.stringify(await caller.fails(["fails"], kind))).not.toContain(".ts");
    expect(await caller.fails(["missing"])).toMatchObject({ code: "method-unimplemented" });
  });

  it("leave nothing behind", async () => {
    await expect
      .poll(() => [...listener.sessions].map((one) => one.connection.stats()), SLOWLY)
      .toMatchObject([{ questions: 0, answers: 0, exports: 1, embargoes: 0 }]);
  });
});
