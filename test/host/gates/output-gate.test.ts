// The output gate by itself.

import { describe, expect, it } from "vitest";
import { RpcError } from "../../../src/base/errors.js";
import { OutputGate } from "../../../src/host/gates/output-gate.js";

function watched(): { gate: OutputGate; log: string[]; wait(name: string): void } {
  const gate = new OutputGate();
  const log: string[] = [];
  const wait = (name: string): void =>
    gate.wait((error) => log.push(error === null ? name : `${name} refused`));
  return { gate, log, wait };
}

describe("an output gate", () => {
  it("lets out at once what waits for nothing", () => {
    const { gate, log, wait } = watched();
    wait("1");
    expect([log, gate.isOpen]).toEqual([["1"], true]);
  });

  it("waits for the locks of that moment, and for no later ones", () => {
    const { gate, log, wait } = watched();
    const [first, second] = [gate.lock(), gate.lock()];
    wait("1");
    const third = gate.lock();
    wait("2");
    second();
    expect(log).toEqual([]);
    first();
    expect(log).toEqual(["1"]);
    first();
    third();
    expect(log).toEqual(["1", "2"]);
  });

  it("keeps the order of what waits, also of what comes while others leave", () => {
    const gate = new OutputGate();
    const log: string[] = [];
    const unlock = gate.lock();
    gate.wait(() => {
      log.push("1");
      gate.wait(() => log.push("during 1"));
    });
    gate.wait(() => log.push("2"));
    unlock();
    expect(log).toEqual(["1", "2", "during 1"]);
  });

  it("says when something begins to wait", () => {
    const { gate, wait } = watched();
    let asked = 0;
    gate.onWait = () => asked++;
    wait("1");
    gate.lock();
    wait("2");
    expect(asked).toBe(1);
  });

  it("refuses, once broken, all that waits and all that comes, and lets nothing out any more", () => {
    const { gate, log, wait } = watched();
    const cause = new RpcError("failed", "internal-error", "the cause");
    const unlock = gate.lock();
    wait("1");
    wait("2");
    gate.break(cause);
    unlock();
    wait("3");
    expect(log).toEqual(["1 refused", "2 refused", "3 refused"]);
    expect([gate.brokenBy, gate.isOpen]).toEqual([cause, false]);
  });

  it("takes as many as there are", () => {
    const { gate, log, wait } = watched();
    const unlock = gate.lock();
    for (let i = 0; i < 5000; i++) wait(`${i}`);
    unlock();
    expect(log).toEqual(Array.from({ length: 5000 }, (_, i) => `${i}`));
  });
});
