// The gates against what they promise, in random programs of several objects: never two in a turn, never one while held or
// in a section of another, everything in order, nothing forgotten, no cycle that waits.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Frame, InputGate } from "../../../src/host/gates/input-gate.js";
import type { Section } from "../../../src/host/gates/section.js";
import { OutputGate } from "../../../src/host/gates/output-gate.js";
import { TestTurns } from "./kit.js";
import { InputGate as Gate } from "../../../src/host/gates/input-gate.js";
import { Scheduler } from "../../../src/base/scheduler.js";

const OBJECTS = 3;

/** An object whose code is written by chance: each event may hold the gate, begin a section, call another object. */
class Model {
  readonly turns = new TestTurns();
  readonly gates: InputGate[];
  readonly holds: (() => void)[][] = [];
  /** Of each object, the last turn in which an event came in. */
  readonly busy: number[] = [];
  /** Of each object, the sections that run, the innermost last. */
  readonly sections: Section[][] = [];
  /** Calls that wait, each with the section whose end waits for it. */
  open = 0;
  delivered = 0;
  refused = 0;
  readonly expected: number[][] = [];

  constructor() {
    this.gates = Array.from({ length: OBJECTS }, (_, i) => {
      this.holds.push([]);
      this.sections.push([]);
      this.expected.push([]);
      return new Gate({ name: `${i}`, scheduler: new Scheduler(), turns: this.turns });
    });
  }

  private number = 0;

  /** A call of object `to`, by code that runs for `from`. @param done told when it has been let in or refused. */
  call(to: number, from: Frame | null, done: (frame: Frame | null) => void): void {
    const number = this.number++;
    this.open++;
    this.expected[to]!.push(number);
    this.gates[to]!.enter({
      from,
      deliver: (frame) => {
        this.check(to, frame, number);
        this.open--;
        this.delivered++;
        done(frame);
      },
      refuse: (error) => {
        expect(error.code).toBe("gate-cycle");
        this.expected[to]!.splice(this.expected[to]!.indexOf(number), 1);
        this.open--;
        this.refused++;
        done(null);
      },
    });
  }

  private check(to: number, frame: Frame, number: number): void {
    expect(this.busy[to], "one event in a turn").not.toBe(this.turns.turn);
    expect(this.holds[to]!.length, "none while held").toBe(0);
    expect(this.sections[to]!.length, "none in a section").toBe(0);
    expect(frame.gate).toBe(this.gates[to]);
    expect(this.expected[to]!.shift(), "in order").toBe(number);
    this.busy[to] = this.turns.turn;
  }

  endTurn(): void {
    this.turns.end(1);
  }
}

interface Step {
  readonly what: "call" | "hold" | "release" | "section" | "turn";
  readonly object: number;
  readonly other: number;
}

const step: fc.Arbitrary<Step> = fc.record({
  what: fc.constantFrom("call", "call", "hold", "release", "section", "section", "turn"),
  object: fc.nat(OBJECTS - 1),
  other: fc.nat(OBJECTS - 1),
});

describe("gates in random programs", () => {
  it("let in one at a time, in order, and leave nothing waiting for ever", () => {
    let cycles = 0;
    let calls = 0;
    fc.assert(
      fc.property(fc.array(step, { minLength: 20, maxLength: 60 }), (steps) => {
        const model = new Model();
        for (const { what, object, other } of steps) {
          const gate = model.gates[object]!;
          if (what === "call") model.call(object, null, () => {});
          else if (what === "hold") model.holds[object]!.push(gate.hold());
          else if (what === "release") model.holds[object]!.pop()?.();
          else if (what === "turn") model.endTurn();
          else begin(model, object, other);
        }
        for (const holds of model.holds) for (const release of holds.splice(0)) release();
        for (let i = 0; i < 2000 && model.open > 0; i++) model.endTurn();
        expect(model.open, "calls that wait for ever").toBe(0);
        for (let i = 0; i < 5; i++) model.endTurn();
        for (const gate of model.gates) expect(gate.isIdle).toBe(true);
        calls += model.delivered;
        cycles += model.refused;
      }),
      { numRuns: 600, seed: 20 },
    );
    // The programs were worth it.
    expect(calls).toBeGreaterThan(5000);
    expect(cycles).toBeGreaterThan(50);
  });

  it("let nothing out before what was written before it", () => {
    const action = fc.record({ what: fc.constantFrom("write", "say", "flush"), at: fc.nat(5) });
    fc.assert(
      fc.property(fc.array(action, { maxLength: 50 }), (actions) => {
        const gate = new OutputGate();
        const unsafe: (() => void)[] = [];
        let [written, safe, said, left] = [0, 0, 0, 0];
        const flush = (at: number): void => {
          // A disk flushes from the first on; the gate does not rely on it.
          for (const unlock of unsafe.splice(0, at + 1)) {
            safe++;
            unlock();
          }
        };
        for (const { what, at } of actions) {
          if (what === "write") {
            unsafe.push(gate.lock());
            written++;
          } else if (what === "flush") flush(at);
          else {
            const [before, number] = [written, said++];
            gate.wait(() => {
              expect(safe).toBeGreaterThanOrEqual(before);
              expect(left++).toBe(number);
            });
          }
        }
        flush(written);
        expect(left).toBe(said);
        expect(gate.isOpen).toBe(true);
      }),
      { numRuns: 500, seed: 21 },
    );
  });
});

/** A section whose code calls another object, whose code calls the next; it ends when that has come in or failed. */
function begin(model: Model, object: number, other: number): void {
  const section = model.gates[object]!.section(null, (frame, error) => {
    expect(error).toBeNull();
    model.sections[object]!.push(section);
    const end = (): void => {
      model.sections[object]!.pop();
      section.end();
    };
    model.call(other, frame, (there) => {
      if (there === null) return end();
      model.call((other + 1) % OBJECTS, there, end);
    });
  });
}
