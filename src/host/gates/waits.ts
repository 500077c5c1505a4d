// Role: what waits before the gates of one process because of critical sections, to be seen beside what waits in the others: a
// cycle that goes through several processes none of them can see alone.
// State: sections that have not ended, and what waits and was made in one; since when, and whether anybody was told.
// Must not know: other processes, how anybody is told, what is done about it.

import type { RpcError } from "../../base/errors.js";
import type { Clock } from "../../vat/clock.js";
import { isInSection, sectionNames } from "./far.js";
import type { Section, Waiter } from "./section.js";

/** Something that waits, and was caused by code in sections. All names are unique among the processes of a host. */
export interface Wait {
  readonly name: string;
  /** Milliseconds until now. */
  readonly waited: number;
  /** The section it waits for. */
  readonly blockedBy: string;
  readonly causes: readonly WaitCause[];
}

/** A section that waits for what waits. */
export interface WaitCause {
  readonly section: string;
  /** For people: the gates from that of the section to the one that is waited before. */
  readonly way: readonly string[];
}

export interface WaitsOptions {
  /** What no other process is called, nor was. */
  readonly process: string;
  readonly clock: Clock;
  /** Told when something has waited for {@link STUCK_MS}, once for each. */
  readonly stuck?: () => void;
}

/** What waits for so long may wait for ever. Most of what waits does not wait so long, and then nobody is asked anything. */
export const STUCK_MS = 100;

interface Entry {
  readonly number: number;
  readonly since: number;
  told: boolean;
}

/**
 * One for each process of a host of several.
 *
 * @example new InputGate({ name, scheduler, turns, waits });
 * Source: issue "a cycle of calls through closed gates is detected and fails with the cycle named".
 */
export class Waits {
  private readonly options: WaitsOptions;
  private readonly numbers = new Map<Section, number>();
  private readonly sections = new Map<string, Section>();
  private readonly waiting = new Map<Waiter, Entry>();
  private lastNumber = 0;
  private stopTimer: (() => void) | null = null;

  constructor(options: WaitsOptions) {
    this.options = options;
  }

  get isEmpty(): boolean {
    return this.waiting.size === 0 && this.sections.size === 0 && this.stopTimer === null;
  }

  nameOf(section: Section): string {
    let number = this.numbers.get(section);
    if (number === undefined) {
      number = ++this.lastNumber;
      this.numbers.set(section, number);
      this.sections.set(this.name(number), section);
    }
    return this.name(number);
  }

  /** The section of this process that has not ended and is called `name`. */
  sectionOf(name: string): Section | undefined {
    return this.sections.get(name);
  }

  ended(section: Section): void {
    const number = this.numbers.get(section);
    if (number === undefined) return;
    this.numbers.delete(section);
    this.sections.delete(this.name(number));
  }

  add(waiter: Waiter): void {
    if (!isInSection(waiter.from)) return;
    const { now } = this.options.clock;
    this.waiting.set(waiter, { number: ++this.lastNumber, since: now, told: false });
    this.watch();
  }

  delete(waiter: Waiter): void {
    if (!this.waiting.delete(waiter) || this.waiting.size > 0) return;
    this.stopTimer?.();
    this.stopTimer = null;
  }

  /** What waits now. */
  now(): Wait[] {
    const { now } = this.options.clock;
    const all: Wait[] = [];
    for (const [waiter, { number, since }] of this.waiting) {
      const { blockedBy } = waiter;
      if (blockedBy === null) continue;
      all.push({
        name: this.name(number),
        waited: now - since,
        blockedBy: this.nameOf(blockedBy),
        causes: this.causesOf(waiter),
      });
    }
    return all;
  }

  /** Has what is called `name` wait no more but fail. Nothing, when it does not wait any more. */
  refuse(name: string, error: RpcError): void {
    for (const [waiter, { number }] of this.waiting) {
      if (this.name(number) !== name) continue;
      waiter.gate.turnAway(waiter, error);
      return;
    }
  }

  private name(number: number): string {
    return `${this.options.process}:${number}`;
  }

  private causesOf({ gate, from }: Waiter): WaitCause[] {
    const causes: WaitCause[] = [];
    let way: readonly string[] = [gate.name];
    for (let at = from; at !== null; at = at.from) {
      way = [at.gate.name, ...way];
      for (const section of sectionNames(at, this)) causes.push({ section, way });
    }
    return causes;
  }

  private watch(): void {
    const { stuck, clock } = this.options;
    if (stuck === undefined || this.stopTimer !== null) return;
    this.stopTimer = clock.after(STUCK_MS, () => {
      this.stopTimer = null;
      let tells = false;
      let later = false;
      for (const [waiter, entry] of this.waiting) {
        if (entry.told || waiter.blockedBy === null) continue;
        if (clock.now - entry.since < STUCK_MS) later = true;
        else tells = entry.told = true;
      }
      if (later) this.watch();
      if (tells) stuck();
    });
  }
}
