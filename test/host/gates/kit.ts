// A gate in a test's hands: turns that end when the test says so, and a log of what came in.

import { Scheduler } from "../../../src/base/scheduler.js";
import type { RpcError } from "../../../src/base/errors.js";
import { type Frame, InputGate } from "../../../src/host/gates/input-gate.js";
import type { Section } from "../../../src/host/gates/section.js";
import type { Turns } from "../../../src/host/gates/turns.js";

export class TestTurns implements Turns {
  private soons: (() => void)[] = [];
  private afters: (() => void)[] = [];
  /** Which turn this is. */
  turn = 0;

  soon(run: () => void): void {
    this.soons.push(run);
  }

  after(run: () => void): void {
    this.afters.push(run);
  }

  /** Ends the turn, and those that this leads to. */
  end(turns = 100): void {
    for (let i = 0; i < turns && this.soons.length + this.afters.length > 0; i++) {
      for (const run of this.soons.splice(0)) run();
      for (const run of this.afters.splice(0)) {
        this.turn++;
        run();
      }
    }
  }
}

/** Gates of several objects, and what came through them. */
export class Gates {
  readonly turns = new TestTurns();
  readonly log: string[] = [];
  readonly frames = new Map<string, Frame>();
  readonly errors = new Map<string, RpcError>();

  gate(name: string): InputGate {
    return new InputGate({ name, scheduler: new Scheduler(), turns: this.turns });
  }

  /** An event called `name` comes to `gate`, from `from`. */
  event(
    gate: InputGate,
    name: string,
    from: Frame | null = null,
    section: Section | null = null,
  ): void {
    const deliver = (frame: Frame): void => {
      this.log.push(name);
      this.frames.set(name, frame);
    };
    const refuse = (error: RpcError): void => {
      this.log.push(`${name} refused`);
      this.errors.set(name, error);
    };
    gate.enter({ from, deliver, refuse }, section);
  }

  /** A section called `name` begins. */
  section(gate: InputGate, name: string, frame: Frame | null = null): Section {
    return gate.section(frame, (own, error) => {
      this.log.push(error === null ? name : `${name} refused`);
      this.frames.set(name, own);
    });
  }

  /** What came since the last look. */
  take(): string[] {
    return this.log.splice(0);
  }
}
