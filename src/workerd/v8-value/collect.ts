// Role: what the walk over a value meets that does not go by value: kinds that workerd carries itself, and externals.
// State: those of one value. Must not know: bytes.

import {
  DEFAULT_VALUE_LIMITS,
  type ReferenceSink,
  type ReferenceSlot,
  type ValueLimits,
} from "../../cap/dynamic/values/contract.js";
import { overLimit } from "../../cap/dynamic/values/failures.js";
import { Walk } from "../../cap/dynamic/values/walk.js";
import type { ExternalSink, ExternalSlot } from "./contract.js";

/** A Blob goes by value, but its bytes come later. */
export interface CollectedBlob {
  readonly blob: Blob;
  readonly path: string;
}

/** A signal that has fired goes by value, with the copy of its reason. */
export interface CollectedAbort {
  readonly reason: unknown;
}

export type Collected = ExternalSlot | CollectedBlob | CollectedAbort;

/** So many signals that are the reasons of signals. */
const DEEPEST_REASON = 8;

export class Collector implements ReferenceSink {
  /** By the index of their slots. */
  readonly found: Collected[] = [];
  private readonly sink: ExternalSink;
  private readonly limits: ValueLimits;
  private reasons = 0;

  constructor(sink: ExternalSink, limits: ValueLimits = DEFAULT_VALUE_LIMITS) {
    this.sink = sink;
    this.limits = limits;
  }

  /** Reads `value` once. @throws RpcError `unsendable-value` with a path under `root`, or `limit-exceeded`. */
  copy(value: unknown, root: string): unknown {
    return new Walk(this, { root, limits: this.limits }).run(value);
  }

  reference(value: object, path: string): ReferenceSlot | undefined {
    const found = this.take(value, path);
    return found === undefined ? undefined : { kind: 0, index: this.found.push(found) - 1 };
  }

  private take(value: object, path: string): Collected | undefined {
    // A File has a name too, which nothing here has a place for: the sink refuses it.
    if (typeof Blob !== "undefined" && Object.getPrototypeOf(value) === Blob.prototype)
      return { blob: value as Blob, path };
    if (typeof AbortSignal !== "undefined" && value instanceof AbortSignal && value.aborted)
      return { reason: this.reason(value, `${path}.reason`) };
    return this.sink.external(value, path);
  }

  private reason(signal: AbortSignal, path: string): unknown {
    if (this.reasons >= DEEPEST_REASON) throw overLimit("depth", this.limits.depth, path);
    this.reasons++;
    const copy = this.copy(signal.reason, path);
    this.reasons--;
    return copy;
  }
}
