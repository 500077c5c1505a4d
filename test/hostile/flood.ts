// Role: what tests of floods have in common: an attacked vat, a call, and a flood that must leave little and end soon.
// State: none.

import { expect } from "vitest";
import { Content } from "../../src/wire/content.js";
import { Descriptors } from "../../src/wire/descriptors.js";
import type { IntroductionWriter } from "../../src/wire/introduction-writer.js";
import { live, MB } from "./memory.js";
import { Victim, type VictimOptions } from "./victim.js";

export const NO_CAPS = new Descriptors();
export const NULL = Content.NULL;

export function attacked(options: VictimOptions = {}): Victim {
  const victim = new Victim({ checking: false, ...options });
  victim.send((w) => w.bootstrap(0));
  return victim;
}

/** A call of `method` of the bootstrap object. */
export function calls(
  w: IntroductionWriter,
  question: number,
  method = 0,
  caps = NO_CAPS,
  body = NULL,
): void {
  w.call(question, 0, 0, [], 0, 0x7e57, method, 0, 0, body, caps);
}

/** The most that a flood may leave behind, and how long it may take: generous, since the machine may be busy. */
export const LEFT = 8 * MB;
export const MS = 20_000;

export function flood(
  victim: Victim,
  count: number,
  build: (w: IntroductionWriter, i: number) => void,
): void {
  const before = live();
  const start = performance.now();
  for (let i = 0; i < count && victim.connection.error === null; i++) {
    victim.feed(victim.encode((w) => build(w, i)));
    if (i % 1000 === 999) victim.told();
  }
  victim.told();
  expect(performance.now() - start).toBeLessThan(MS);
  expect(live() - before).toBeLessThan(LEFT);
}
