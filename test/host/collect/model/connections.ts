// The connections between the processes of a run. Each side hears of the end for itself: one may have closed it, or have died, while
// what it had sent is still on its way, and comes.

import type { Release } from "../../../../src/host/collect/live-roots.js";
import type { ObjectReference } from "../../../../src/host/references/reference.js";
import type { Rng } from "../../../model/rng.js";
import type { Holder, Process } from "./process.js";

/** A reference that the other side was given. */
export interface Exported {
  readonly reference: ObjectReference;
  readonly release: Release;
}

/** A call whose answer is waited for. */
export interface Call {
  readonly holder: Holder;
  readonly release: Release;
}

/** One message. `onItsWay` ends what it really holds until it is there. */
export type Said = { readonly onItsWay: Release } & (
  | {
      readonly kind: "call";
      readonly to: ObjectReference;
      readonly passed: Exported | null;
      readonly call: Call;
    }
  | { readonly kind: "answer"; readonly call: Call; readonly given: readonly Exported[] }
  | { readonly kind: "release"; readonly exported: Exported }
  | { readonly kind: "ask"; readonly done: () => void }
  | { readonly kind: "answered"; readonly done: () => void }
);

/** One side of a connection. */
export class End {
  readonly process: Process;
  other!: End;
  /** What has come and was not read. */
  readonly queue: Said[] = [];
  readonly exports = new Set<Exported>();
  readonly calls = new Set<Call>();
  readonly asked = new Set<() => void>();
  isOver = false;
  /** Nothing is read before. */
  slowUntil = 0;

  private constructor(process: Process) {
    this.process = process;
    process.ends.add(this);
  }

  /** The side of `from` of a connection to `to`: a new one if there is none. */
  static between(from: Process, to: Process): End {
    for (const end of from.ends) if (end.other.process === to) return end;
    const [near, far] = [new End(from), new End(to)];
    near.other = far;
    far.other = near;
    return near;
  }

  /** Whether there is something to be read, be it the end. */
  get isReadable(): boolean {
    return !this.isOver && (this.queue.length > 0 || this.other.isOver);
  }

  say(said: Said): void {
    if (this.isOver || this.other.isOver) said.onItsWay();
    else this.other.queue.push(said);
  }

  /** @returns null for the end. */
  next(): Said | null {
    const said = this.queue.shift();
    if (said !== undefined) return said;
    this.lose();
    return null;
  }

  /** It is over for this side: what it gave is given back, what has not been read never will be. */
  lose(): void {
    if (this.isOver) return;
    this.isOver = true;
    this.process.ends.delete(this);
    for (const { onItsWay } of this.queue.splice(0)) onItsWay();
    for (const { release } of this.exports) release();
    for (const { release } of this.calls) release();
    for (const done of this.asked) done();
  }

  /** Closes it from this side. Some of what was said last may not have left. */
  close(rng: Rng): void {
    const sent = this.other.queue;
    const lost = rng.chance(50) ? 0 : rng.below(3);
    for (const { onItsWay } of sent.splice(Math.max(0, sent.length - lost))) onItsWay();
    this.lose();
  }
}
