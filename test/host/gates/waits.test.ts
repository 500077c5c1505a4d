// What calls between processes say of the sections they were made in, and what of it is seen where they wait.

import { describe, expect, it } from "vitest";
import { Scheduler } from "../../../src/base/scheduler.js";
import { RpcError } from "../../../src/index.js";
import { FarGate, heardFrom, saidOf } from "../../../src/host/gates/far.js";
import { type Frame, InputGate } from "../../../src/host/gates/input-gate.js";
import { STUCK_MS, Waits } from "../../../src/host/gates/waits.js";
import { Gates } from "./kit.js";

class TestClock {
  now = 0;
  private timers: { at: number; run: () => void }[] = [];
  get pending(): number {
    return this.timers.length;
  }
  after(delay: number, run: () => void): () => void {
    const timer = { at: this.now + delay, run };
    this.timers.push(timer);
    return () => void (this.timers = this.timers.filter((one) => one !== timer));
  }
  pass(ms: number): void {
    this.now += ms;
    for (const { run } of this.timers.filter(({ at }) => at <= this.now)) run();
    this.timers = this.timers.filter(({ at }) => at > this.now);
  }
}

const outside = new Scheduler();

/** A process with gates. */
class Process {
  readonly clock = new TestClock();
  readonly gates = new Gates();
  stuck = 0;
  readonly waits: Waits;
  constructor(name: string) {
    const { clock } = this;
    this.waits = new Waits({ process: name, clock, stuck: () => void this.stuck++ });
  }
  gate(name: string): InputGate {
    const { turns } = this.gates;
    return new InputGate({ name, scheduler: new Scheduler(), turns, waits: this.waits });
  }
  /** The frame of code in a section of `gate`, begun by the code of `from`. */
  inside(gate: InputGate, name: string, from: Frame | null = null): Frame {
    this.gates.section(gate, name, from);
    this.gates.turns.end();
    return this.gates.frames.get(name)!;
  }
  /** As a call of `from`, the code of another process, comes here. */
  heard(by: Process, from: Frame): Frame | null {
    const said = saidOf(from, by.waits);
    return said === null ? null : heardFrom(said, this.waits, outside);
  }
}

describe("what is said of a call", () => {
  it("is nothing when it was not made in a section, as long as it runs", () => {
    const here = new Process("p");
    const gate = here.gate("A");
    here.gates.event(gate, "event");
    here.gates.turns.end();
    expect(saidOf(here.gates.frames.get("event")!, here.waits)).toBeNull();
    const section = here.gates.section(gate, "section");
    here.gates.turns.end();
    const frame = here.gates.frames.get("section")!;
    expect(saidOf(frame, here.waits)).not.toBeNull();
    section.end();
    expect(saidOf(frame, here.waits)).toBeNull();
    expect(here.waits.isEmpty).toBe(true);
  });

  it("leads through other processes back to the section itself, and so to the cycle in its name", () => {
    const [p, q] = [new Process("p"), new Process("q")];
    const [a, b] = [p.gate("A"), q.gate("B")];
    const inA = p.inside(a, "in A");
    q.gates.event(b, "call of A", q.heard(p, inA));
    q.gates.turns.end();
    const back = p.heard(q, q.gates.frames.get("call of A")!)!;
    p.gates.event(a, "call of B", back);
    expect(p.gates.errors.get("call of B")).toMatchObject({ code: "gate-cycle" });
    expect(p.gates.errors.get("call of B")!.message).toContain("A -> B -> A");
    inA.section!.end();
    expect([p.waits.isEmpty, q.waits.isEmpty]).toEqual([true, true]);
  });

  it("is of a section that has ended meanwhile no more than a name", () => {
    const [p, q] = [new Process("p"), new Process("q")];
    const inA = p.inside(p.gate("A"), "in A");
    const there = q.heard(p, inA)!;
    expect(there.gate).toBeInstanceOf(FarGate);
    const said = saidOf(there, q.waits)!;
    inA.section!.end();
    const home = heardFrom(said, p.waits, outside)!;
    expect(home.section).toBeNull();
    expect(home.gate.name).toBe("A");
    expect(home.scheduler).toBe(outside);
  });

  it("stays within bounds, with all sections, however long the way", () => {
    const p = new Process("p");
    let frame = p.inside(p.gate("first"), "first");
    for (let i = 0; i < 1000; i++)
      frame = { gate: p.gate(`g${i}`), section: null, from: frame, scheduler: outside };
    const said = saidOf(frame, p.waits)!;
    expect(said.length).toBeLessThan(1000);
    let last: Frame | null = heardFrom(said, new Process("q").waits, outside);
    while (last!.from !== null) last = last!.from;
    expect((last!.gate as FarGate).sections).toHaveLength(1);
  });

  it.each(["", "{", "null", "{}", "[[]]", '[["a", 1]]', "[1]", '["a"]'])(
    "is nobody when another version says %j",
    (text) => {
      const { waits } = new Process("p");
      expect(heardFrom(new TextEncoder().encode(text), waits, outside)).toBeNull();
    },
  );
});

describe("what waits", () => {
  it("is seen with its causes in other processes and here, and told of when it waits for long, once", () => {
    const [p, q] = [new Process("p"), new Process("q")];
    const [b, c] = [q.gate("B"), q.gate("C")];
    const inA = p.inside(p.gate("A"), "in A");
    const inB = q.inside(b, "in B");
    const inC = q.inside(c, "in C", { ...inB, gate: b });
    q.gates.event(b, "call", q.heard(p, inA));
    q.gates.event(c, "outside");
    q.clock.pass(STUCK_MS / 2);
    expect(q.stuck).toBe(0);
    const [wait, ...more] = q.waits.now();
    expect(more).toEqual([]);
    const section = p.waits.nameOf(inA.section!);
    expect(wait).toMatchObject({
      waited: STUCK_MS / 2,
      blockedBy: q.waits.nameOf(inB.section!),
      causes: [{ section, way: ["A", "B"] }],
    });
    q.clock.pass(STUCK_MS);
    q.clock.pass(10 * STUCK_MS);
    expect(q.stuck).toBe(1);
    expect(q.clock.pending).toBe(0);
    inB.section!.end();
    q.gates.turns.end();
    expect(q.gates.take()).toContain("call");
    expect(q.waits.now()).toEqual([]);
    inC.section!.end();
    inA.section!.end();
    expect(q.waits.isEmpty).toBe(true);
  });

  it("is told of when it has waited for long itself, not because another has", () => {
    const [p, q] = [new Process("p"), new Process("q")];
    const b = q.gate("B");
    const inA = p.inside(p.gate("A"), "in A");
    const inB = q.inside(b, "in B");
    q.gates.event(b, "first", q.heard(p, inA));
    q.clock.pass(STUCK_MS - 1);
    q.gates.event(b, "second", q.heard(p, inA));
    q.clock.pass(1);
    expect(q.stuck).toBe(1);
    q.clock.pass(STUCK_MS);
    expect(q.stuck).toBe(2);
    inB.section!.end();
    q.gates.turns.end();
    inA.section!.end();
    expect(q.waits.isEmpty).toBe(true);
    expect(q.clock.pending).toBe(0);
  });

  it("fails when it is turned away, alone, and the gate is whole", () => {
    const [p, q] = [new Process("p"), new Process("q")];
    const b = q.gate("B");
    const inA = p.inside(p.gate("A"), "in A");
    const inB = q.inside(b, "in B");
    q.gates.event(b, "first", q.heard(p, inA));
    q.gates.event(b, "second", q.heard(p, inA));
    const error = new RpcError("failed", "gate-cycle", "it would");
    q.waits.refuse("q:nothing", error);
    const [first] = q.waits.now();
    q.waits.refuse(first!.name, error);
    q.waits.refuse(first!.name, error);
    expect(q.gates.errors.get("first")).toBe(error);
    inB.section!.end();
    q.gates.turns.end();
    expect(q.gates.take().slice(-1)).toEqual(["second"]);
    q.gates.event(b, "third");
    q.gates.turns.end();
    expect(q.gates.take()).toEqual(["third"]);
    inA.section!.end();
    expect([p.waits.isEmpty, q.waits.isEmpty]).toEqual([true, true]);
  });

  it("may be a section that waits for its turn: then that fails, and those after it go on", () => {
    const [p, q] = [new Process("p"), new Process("q")];
    const b = q.gate("B");
    const inA = p.inside(p.gate("A"), "in A");
    q.gates.event(b, "call", q.heard(p, inA));
    q.gates.turns.end();
    const code = q.gates.frames.get("call")!;
    const inB = q.inside(b, "in B");
    q.gates.section(b, "by the call", code);
    const last = q.gates.section(b, "last");
    q.gates.turns.end();
    const [wait] = q.waits.now();
    expect(wait!.causes.map(({ way }) => way)).toEqual([["A", "B"]]);
    q.waits.refuse(wait!.name, new RpcError("failed", "gate-cycle", "it would"));
    expect(q.gates.take()).toContain("by the call refused");
    inB.section!.end();
    q.gates.turns.end();
    expect(q.gates.take()).toEqual(["last"]);
    last.end();
    inA.section!.end();
    expect([p.waits.isEmpty, q.waits.isEmpty]).toEqual([true, true]);
  });

  it("is forgotten when its gate breaks", () => {
    const [p, q] = [new Process("p"), new Process("q")];
    const b = q.gate("B");
    const inA = p.inside(p.gate("A"), "in A");
    q.inside(b, "in B");
    q.gates.event(b, "call", q.heard(p, inA));
    expect(q.waits.now()).toHaveLength(1);
    b.break(new RpcError("failed", "object-broken", "it broke"));
    expect(q.gates.errors.get("call")).toMatchObject({ code: "object-broken" });
    expect(q.waits.isEmpty).toBe(true);
    expect(q.clock.pending).toBe(0);
  });
});
