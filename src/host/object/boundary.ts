// Role: the boundary of one activation: what leaves it waits for the output gate, what comes back waits for the input gate.
// State: none of its own. Must not know: the object, storage.
//
// New events are not held back here but where they reach the object's code, `Scheduler.entry`: a call that was pipelined on a
// promise gets there long after it has crossed the boundary.

import type { Scheduler } from "../../base/scheduler.js";
import type { Hook } from "../../hook/hook.js";
import {
  type CrossingResults,
  type Direction,
  Membrane,
  type MembranePolicy,
} from "../../hook/membrane.js";
import { PromiseHook } from "../../hook/promise.js";
import { Boundary } from "../references/identity.js";
import type { Reference } from "../references/reference.js";
import type { Frame, InputGate } from "../gates/input-gate.js";
import type { Section } from "../gates/section.js";
import type { OutputGate } from "../gates/output-gate.js";

/**
 * The membrane between one object and all others. @param outside of those; @param inside of the object.
 * @param who tells the object itself from others inside.
 */
export function boundary(
  input: InputGate,
  output: OutputGate,
  outside: Scheduler,
  inside: Scheduler,
  who: (self: object) => Reference | null,
): Membrane {
  return new Membrane(new BoundaryPolicy(input, output, who), outside, true, inside);
}

/** Where an answer is let in that the code of `asker` waits for. What nobody in particular asked for comes to whoever runs. */
export function sectionOf(input: InputGate, asker: Frame | null): Section | null {
  return asker?.gate === input ? asker.section : input.running;
}

class BoundaryPolicy extends Boundary implements MembranePolicy {
  readonly selfReference: (self: object) => Reference | null;
  private readonly input: InputGate;
  private readonly output: OutputGate;

  constructor(input: InputGate, output: OutputGate, who: (self: object) => Reference | null) {
    super();
    this.input = input;
    this.output = output;
    this.selfReference = who;
  }

  way(direction: Direction, target: Hook): Hook | void {
    if (direction === "inward" || this.output.isOpen) return;
    const later = new PromiseHook(target.scheduler);
    // Whoever calls may let go of it meanwhile.
    const kept = target.addRef();
    this.output.wait((error) => {
      if (error === null) return later.resolve(kept);
      later.reject(error);
      kept.release();
    });
    return later;
  }

  crosses(direction: Direction, results: CrossingResults | null, pass: () => void): void {
    // What promises have become crosses behind the calls that were made through them, which may wait for the output gate.
    if (direction === "outward" || results === null) {
      // That a call was refused says nothing of the object but that it is broken.
      const { brokenBy } = this.input;
      if (brokenBy !== null && results?.error?.code === brokenBy.code) return pass();
      this.output.wait((error) => {
        if (error === null) pass();
      });
      return;
    }
    const { input } = this;
    const section = sectionOf(input, results.origin as Frame | null);
    // Broken, the membrane is revoked and the call fails with the cause.
    input.enter({ from: null, deliver: pass, refuse: () => {} }, section);
  }
}
