// Role: decides when the next event may reach an object: one at a time, never while something holds the gate, nor while a
// critical section runs.
// State: the events and sections that wait, in order; how many hold the gate; what broke it.
// Must not know: storage, calls, sockets, promises; what an event is or does.

import type { RpcError } from "../../base/errors.js";
import { Fifo } from "../../base/fifo.js";
import type { Origin } from "../../base/origin.js";
import type { Scheduler } from "../../base/scheduler.js";
import { cycleOf } from "./cycle.js";
import type { FarGate } from "./far.js";
import {
  type GateEvent,
  type Level,
  QueuedEvent,
  Section,
  sectionsOf,
  type Started,
  type Waiter,
} from "./section.js";
import type { Turns } from "./turns.js";
import type { Waits } from "./waits.js";

/** What code of an object runs for: an event, or a section, and what that came from. */
export interface Frame extends Origin {
  readonly gate: InputGate | FarGate;
  /** The innermost section whose code it is. */
  readonly section: Section | null;
  readonly from: Frame | null;
}

export interface InputGateOptions {
  /** For people: it is in the names of cycles. */
  readonly name: string;
  /** Whose jobs the calls are that come back to the object. */
  readonly scheduler: Scheduler;
  readonly turns: Turns;
  /** Of its process, in a host of several. */
  readonly waits?: Waits | null;
}

/**
 * The gate before one object.
 *
 * - Events are let in in the order of {@link enter}, one in a turn: the code of one has run up to where it waits for
 *   something from outside before the next comes.
 * - While {@link hold} is held, none is let in.
 * - While a {@link Section} runs, none is let in but what comes back to that section's code.
 * - What would wait for itself is refused, with the cycle in the message.
 * - Once broken it stays broken, and all that waits or comes is refused with the cause.
 *
 * @example
 * gate.enter({ from: null, deliver: (frame) => run(frame), refuse: (error) => fail(error) });
 * Source: the input gates of Workers; issue "no event is delivered while a storage read is pending".
 */
export class InputGate {
  readonly name: string;
  readonly scheduler: Scheduler;
  readonly root: Level = { sections: [], events: new Fifo() };
  private readonly turns: Turns;
  private readonly waits: Waits | null;
  private holders = 0;
  private inTurn = false;
  private cause: RpcError | null = null;

  constructor({ name, scheduler, turns, waits = null }: InputGateOptions) {
    this.name = name;
    this.scheduler = scheduler;
    this.turns = turns;
    this.waits = waits;
  }

  get brokenBy(): RpcError | null {
    return this.cause;
  }

  /** Whether nothing waits, holds, or has been let in in this turn. */
  get isIdle(): boolean {
    const { sections, events } = this.root;
    return !this.inTurn && this.holders === 0 && sections.length === 0 && events.length === 0;
  }

  /** Whether a critical section runs or waits. */
  get inSection(): boolean {
    return this.root.sections.length > 0;
  }

  /** The section that runs, the innermost of those in one another. */
  get running(): Section | null {
    let at: Section | null = null;
    for (let next = this.root.sections[0]; next?.state === "running"; next = next.sections[0])
      at = next;
    return at;
  }

  /**
   * Lets `event` in, now or later.
   *
   * @param section whose code it comes back to; of one that has ended, the one around it counts. Null for a new event.
   */
  enter(event: GateEvent, section: Section | null = null): void {
    if (this.cause !== null) return event.refuse(this.cause);
    const queued = new QueuedEvent(this, event, this.levelOf(section));
    const cycle = cycleOf(queued);
    if (cycle !== null) return event.refuse(cycle);
    queued.level.events.push(queued);
    this.note(queued);
    this.pump();
  }

  /** Keeps events out until the result is called, once. */
  hold(): () => void {
    this.holders++;
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      this.holders--;
      this.pump();
    };
  }

  /** Code of the object runs now, for whatever reason: no event comes before this turn is over. */
  turn(): void {
    if (this.inTurn) return;
    this.inTurn = true;
    this.turns.after(() => {
      this.inTurn = false;
      this.pump();
    });
  }

  /**
   * Begins a critical section, which closes the gate at once.
   *
   * @param frame of the code that begins it. @param started told later, never inside of this.
   * @throws RpcError what broke the gate; gate-cycle when it would wait for itself.
   */
  section(frame: Frame | null, started: Started): Section {
    if (this.cause !== null) throw this.cause;
    const own = frame?.gate === this ? frame.section : null;
    const parent = liveSection(own);
    const section = new Section(this, frame, parent, started);
    const { sections } = parent ?? this.root;
    sections.push(section);
    const cycle = cycleOf(section);
    if (cycle !== null) {
      sections.pop();
      throw cycle;
    }
    this.note(section);
    this.turns.soon(() => this.startNext(section.parent ?? this.root));
    return section;
  }

  /** Of a section: what waited for its end goes on; what is still in it goes over to the level around it. */
  ended(section: Section): void {
    const around = section.parent ?? this.root;
    around.sections.splice(around.sections.indexOf(section), 1, ...section.sections);
    for (const inner of section.sections.splice(0)) inner.parent = section.parent;
    const later = around.events.takeAll();
    for (const event of section.events.takeAll()) {
      event.level = around;
      around.events.push(event);
    }
    for (const event of later) around.events.push(event);
    this.forget(section);
    this.waits?.ended(section);
    this.startNext(around);
    this.pump();
  }

  /** What waits before this gate waits no more but fails; the gate is whole. */
  turnAway(waiter: Waiter, error: RpcError): void {
    if (waiter instanceof QueuedEvent) {
      waiter.level.events.sweep((other) => other !== waiter);
      this.forget(waiter);
      waiter.event.refuse(error);
    } else if (waiter instanceof Section) {
      waiter.start(error);
      this.ended(waiter);
    }
  }

  /** For good: everything that waits is refused with `cause`, and so is all that comes. The first cause stays. */
  break(cause: RpcError): void {
    if (this.cause !== null) return;
    this.cause = cause;
    this.refuseAll(this.root, cause);
  }

  private refuseAll(level: Level, cause: RpcError): void {
    for (const queued of level.events.takeAll()) {
      this.forget(queued);
      queued.event.refuse(cause);
    }
    for (const section of level.sections.splice(0)) {
      this.refuseAll(section, cause);
      this.forget(section);
      if (section.state === "waiting") section.start(cause);
      section.state = "ended";
      this.waits?.ended(section);
    }
  }

  private startNext(level: Level): void {
    const next = level.sections[0];
    if (next?.state !== "waiting" || this.cause !== null) return;
    this.forget(next);
    next.start(null);
  }

  private pump(): void {
    if (this.inTurn || this.holders > 0 || this.cause !== null) return;
    const queued = this.openLevel()?.events.take();
    if (queued === undefined) return;
    this.turn();
    this.forget(queued);
    const { event } = queued;
    const section = queued.level instanceof Section ? queued.level : null;
    event.deliver({ gate: this, section, from: event.from, scheduler: this.scheduler });
  }

  /** Where events are let in now: the innermost section that runs; null while one is about to start. */
  private openLevel(): Level | null {
    let level: Level = this.root;
    for (let next = level.sections[0]; next !== undefined; next = level.sections[0]) {
      if (next.state !== "running") return null;
      level = next;
    }
    return level;
  }

  private levelOf(section: Section | null): Level {
    return liveSection(section) ?? this.root;
  }

  private note(waiter: QueuedEvent | Section): void {
    for (const cause of sectionsOf(waiter.from)) cause.waiting.add(waiter);
    this.waits?.add(waiter);
  }

  private forget(waiter: QueuedEvent | Section): void {
    for (const cause of sectionsOf(waiter.from)) cause.waiting.delete(waiter);
    this.waits?.delete(waiter);
  }
}

function liveSection(section: Section | null): Section | null {
  let at = section;
  while (at !== null && at.state === "ended") at = at.parent;
  return at;
}
