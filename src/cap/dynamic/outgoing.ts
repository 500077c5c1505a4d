// Role: a value on its way out: what is put into the capability table for the references in it.
// State: the references of one value, until they are taken. Must not know: who calls whom.

import type { Scheduler } from "../../base/scheduler.js";
import { Hook } from "../../hook/hook.js";
import { HOLD, holderOf } from "../../hook/holder.js";
import { NO_CAPS } from "../../hook/payload.js";
import type { Sent } from "../stream/sent.js";
import { placeOf, type Root, rootOf } from "./place.js";
import { KIND_ABORTED, KIND_OBJECT, KIND_SIGNAL, NO_KINDS } from "./protocol.js";
import { above, type Referable } from "./references.js";
import { isTarget } from "./target.js";
import type { Terms } from "./terms.js";
import { encodeSpan, type ReferenceSink, type Span } from "./values/index.js";

/** The references of one value on its way out. */
export class Outgoing implements ReferenceSink {
  // Most values hold no reference, and few end anything: made when they are needed.
  private kindsMade: number[] | null = null;
  private entries: (Hook | Referable)[] | null = null;
  /** What ends with this value: what is given away, and promises that were asked for to be put into it. */
  private ends: Pick<Referable, "dispose">[] | null = null;
  private known: Map<object, number> | null = null;
  private streams: Sent[] | null = null;
  private readonly scheduler: Scheduler;
  private readonly terms: Terms;
  private readonly gives: boolean;

  /**
   * @param scheduler of capabilities that have to be made. @param terms those of what the value goes through.
   * @param gives stubs and promises in the value are given away with it, and disposed here whatever becomes of it.
   */
  constructor(scheduler: Scheduler, terms: Terms, gives = false) {
    this.scheduler = scheduler;
    this.terms = terms;
    this.gives = gives;
  }

  get kinds(): readonly number[] {
    return this.kindsMade ?? NO_KINDS;
  }

  reference(value: object, path: string): { kind: number; index: number } | undefined {
    const place = placeOf(value);
    place?.root.checkSendable?.(path);
    if (place !== undefined && place.path.length === 0) return this.referenceTo(place.root);
    const seen = this.known?.get(value);
    if (seen !== undefined) return { kind: this.kinds[seen]!, index: seen };
    if (place !== undefined) {
      const root = rootOf(place);
      if (!this.gives) (this.ends ??= []).push(root as Referable);
      return this.referenceTo(root, value);
    }
    const { scheduler, terms } = this;
    if (value instanceof AbortSignal) {
      const { aborted } = value;
      const hook = aborted
        ? above.hold(value.reason, scheduler, terms)
        : above.serve(above.functionOf(value), scheduler, terms);
      return this.added(value, aborted ? KIND_ABORTED : KIND_SIGNAL, hook);
    }
    if (typeof value === "function" || isTarget(value))
      return this.added(value, KIND_OBJECT, above.serve(value, scheduler, terms));
    const stream = above.sendStream(value, path, scheduler, terms, this.gives);
    if (stream === undefined) return this.holder(value);
    (this.streams ??= []).push(stream.sent);
    return this.added(value, stream.kind, stream.sent.hook);
  }

  /** The reference to what another layer holds: a typed client. */
  private holder(value: object): { kind: number; index: number } | undefined {
    const holder = holderOf(value);
    return holder === undefined
      ? undefined
      : this.added(value, KIND_OBJECT, holder[HOLD](this.gives));
  }

  /** The reference to what `root` stands for. @param key what it is known by. */
  referenceTo(root: Root, key: object = root): { kind: number; index: number } {
    const seen = this.known?.get(key);
    if (seen !== undefined) return { kind: this.kinds[seen]!, index: seen };
    const referable = root as Referable;
    const added = this.added(key, referable.kind, referable.lent());
    if (this.gives) (this.ends ??= []).push(referable);
    return added;
  }

  private added(
    key: object,
    kind: number,
    entry: Hook | Referable,
  ): { kind: number; index: number } {
    const index = (this.kindsMade ??= []).push(kind) - 1;
    (this.entries ??= []).push(entry);
    (this.known ??= new Map()).set(key, index);
    return { kind, index };
  }

  /** Encodes `value`; borrowed, until anything else is encoded. @throws RpcError when something in it cannot travel; then no reference is held. */
  encode(value: unknown, root: string): Span {
    try {
      return encodeSpan(value, this, { root, types: this.terms.types });
    } catch (thrown) {
      this.refused();
      throw thrown;
    }
  }

  /** The value cannot be sent: its streams are their owner's again. */
  refused(): void {
    for (const stream of this.streams ?? []) stream.restore();
    this.streams = null;
    this.release();
  }

  /** The streams in the value, which break if the call is given up that it was sent with; null for none. */
  takeStreams(): readonly Sent[] | null {
    const { streams } = this;
    this.streams = null;
    return streams;
  }

  /** The table. Every call that a promise in it is the result of has been made. @throws RpcError capability-disposed; all is held still. */
  take(): readonly (Hook | null)[] {
    const { entries } = this;
    if (entries === null) return NO_CAPS;
    entries.forEach((entry, i) => {
      if (!(entry instanceof Hook)) entries[i] = entry.refer();
    });
    this.end();
    return entries as Hook[];
  }

  /** The value is not sent after all. */
  release(): void {
    for (const entry of this.entries ?? []) if (entry instanceof Hook) entry.release();
    this.end();
  }

  private end(): void {
    const { ends } = this;
    this.entries = null;
    this.ends = null;
    if (ends !== null) for (const root of ends) root.dispose();
  }
}
