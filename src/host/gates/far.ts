// Role: what calls between the processes of one host say of the sections they were made in, and what becomes of that where
// they arrive.
// State: none. Must not know: connections, what waits.

import type { Scheduler } from "../../base/scheduler.js";
import type { Frame, InputGate } from "./input-gate.js";
import { type Section, sectionsWithin } from "./section.js";
import type { Waits } from "./waits.js";

/** The gate of an object of another process, or of one that has ended. */
export class FarGate {
  readonly name: string;
  /** That of whoever is outside of objects: no code runs for such a frame. */
  readonly scheduler: Scheduler;
  /** The sections there that the call was made in. */
  readonly sections: readonly string[];

  constructor(name: string, scheduler: Scheduler, sections: readonly string[]) {
    this.name = name;
    this.scheduler = scheduler;
    this.sections = sections;
  }
}

/** A gate that a call came by, and the sections there that it was made in. */
type Step = readonly [name: string, ...sections: string[]];

/** So many gates without sections are named, for people; the sections are all said. */
const MOST_NAMES = 32;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Whether code of `frame`, or what it came from, runs in a section that has not ended. */
export function isInSection(frame: Frame | null): boolean {
  for (let at = frame; at !== null; at = at.from) {
    if (at.gate instanceof FarGate ? at.gate.sections.length > 0 : inSection(at)) return true;
  }
  return false;
}

function inSection(frame: Frame): boolean {
  return frame.section !== null && sectionsWithin(frame).next().done !== true;
}

/** The names of the sections, not ended, that the code of `frame` runs in: they are unique among the processes of a host. */
export function sectionNames(frame: Frame, waits: Waits): readonly string[] {
  if (frame.gate instanceof FarGate) return frame.gate.sections;
  return Array.from(sectionsWithin(frame), (section) => waits.nameOf(section));
}

/** What to say of a call that the code of `frame` makes; null when nothing can wait for it, as is nearly always so. */
export function saidOf(frame: Frame, waits: Waits): Uint8Array | null {
  if (!isInSection(frame)) return null;
  const steps: Step[] = [];
  for (let at: Frame | null = frame; at !== null; at = at.from) {
    const sections = sectionNames(at, waits);
    if (sections.length > 0 || steps.length < MOST_NAMES) steps.push([at.gate.name, ...sections]);
  }
  return encoder.encode(JSON.stringify(steps));
}

/**
 * What {@link saidOf} said, as the frame of the call here. Sections of this very process are themselves again.
 *
 * @param scheduler of whoever is outside of objects. @returns null for what another version says.
 */
export function heardFrom(said: Uint8Array, waits: Waits, scheduler: Scheduler): Frame | null {
  let steps: unknown;
  try {
    steps = JSON.parse(decoder.decode(said));
  } catch {
    return null;
  }
  if (!Array.isArray(steps) || !steps.every(isStep)) return null;
  return steps.reduceRight<Frame | null>((from, [name, ...sections]) => {
    const own = firstOf(sections, waits);
    const gate: InputGate | FarGate = own?.gate ?? new FarGate(name, scheduler, sections);
    return { gate, section: own, from, scheduler };
  }, null);
}

function firstOf(names: readonly string[], waits: Waits): Section | null {
  for (const name of names) {
    const section = waits.sectionOf(name);
    if (section !== undefined) return section;
  }
  return null;
}

function isStep(step: unknown): step is Step {
  return Array.isArray(step) && step.length > 0 && step.every((one) => typeof one === "string");
}
