// Role: a critical section: code of an object that nothing may come between.
// State: whether it has started and ended, the sections and events inside it that wait, and who waits because of it.
// Must not know: what the code does, what an event is.

import type { RpcError } from "../../base/errors.js";
import { Fifo } from "../../base/fifo.js";
import type { Frame, InputGate } from "./input-gate.js";

/** An event before a gate. */
export interface GateEvent {
  /** What it comes from: the frame of the code that caused it; null for the outside. */
  readonly from: Frame | null;
  /** Lets it in: its code runs now, for `frame`. */
  deliver(frame: Frame): void;
  /** It will never be let in. */
  refuse(error: RpcError): void;
}

/** What waits before a gate, and because of whom. */
export interface Waiter {
  readonly gate: InputGate;
  readonly from: Frame | null;
  /** The section whose end it waits for; null when something else holds it up, which ends by itself. */
  readonly blockedBy: Section | null;
}

/** Where events come in: the gate itself, or a section, for what comes back to the section's own code. */
export interface Level {
  /** Sections begun at this level; the first one runs, the others follow in order. */
  readonly sections: Section[];
  /** There may be a hundred thousand. */
  readonly events: Fifo<QueuedEvent>;
}

export class QueuedEvent implements Waiter {
  readonly gate: InputGate;
  readonly event: GateEvent;
  level: Level;

  constructor(gate: InputGate, event: GateEvent, level: Level) {
    this.gate = gate;
    this.event = event;
    this.level = level;
  }

  get from(): Frame | null {
    return this.event.from;
  }

  get blockedBy(): Section | null {
    return this.level.sections[0] ?? null;
  }
}

/** Told once: the section may run now, or the gate broke before. */
export type Started = (frame: Frame, error: RpcError | null) => void;

/**
 * One critical section. From its making on, events of its level wait; when the sections before it have ended, `started` is
 * told, and only what comes back to its own code is let in, until {@link end}.
 */
export class Section implements Level, Waiter {
  readonly gate: InputGate;
  /** What the event came from whose code began it. */
  readonly from: Frame | null;
  /** The section it was begun in; null for the gate itself. */
  parent: Section | null;
  readonly sections: Section[] = [];
  readonly events = new Fifo<QueuedEvent>();
  /** What waits, at any gate, and was caused by code of this section. */
  readonly waiting = new Set<Waiter>();
  /** Of its code. */
  readonly frame: Frame;
  state: "waiting" | "running" | "ended" = "waiting";
  private readonly started: Started;

  /** @param from the code that begins it. */
  constructor(gate: InputGate, from: Frame | null, parent: Section | null, started: Started) {
    this.gate = gate;
    this.from = from?.gate === gate ? from.from : from;
    this.parent = parent;
    this.started = started;
    this.frame = { gate, section: this, from: this.from, scheduler: gate.scheduler };
  }

  /** While it waits for its turn: the section before it. */
  get blockedBy(): Section | null {
    const first = (this.parent ?? this.gate.root).sections[0];
    return this.state === "waiting" && first !== undefined && first !== this ? first : null;
  }

  start(error: RpcError | null): void {
    this.state = error === null ? "running" : "ended";
    this.started(this.frame, error);
  }

  /** Its code is done: what waited for that goes on. */
  end(): void {
    if (this.state === "ended") return;
    this.state = "ended";
    this.gate.ended(this);
  }
}

/** The sections, not ended, that the code of `frame` runs in, the innermost first. */
export function* sectionsWithin(frame: Frame): Generator<Section> {
  for (let section = frame.section; section !== null; section = section.parent)
    if (section.state !== "ended") yield section;
}

/** The sections, not ended, that the code of `frame` runs in, and its causes run in: each waits for what that code waits for. */
export function* sectionsOf(frame: Frame | null): Generator<Section> {
  for (let at = frame; at !== null; at = at.from) yield* sectionsWithin(at);
}
