// Role: a body of ours on its way into the ByteStream of the other side.
// State: whether it is over. Must not know: heads, who asks or serves.

import { SinkClient } from "../cap/stream/sink-client.js";
import { discard, ignore, type Values } from "../cap/stream/values.js";
import type { Hook } from "../hook/hook.js";
import { Meter } from "./sizes.js";

/** Where a body comes from: a reader of a stream, or an iterator. */
export interface BodySource {
  read(): Promise<{ readonly done?: boolean | undefined; readonly value?: unknown }>;
  /** Nobody wants the rest. */
  cancel(reason: unknown): void;
}

export function sourceOf(stream: ReadableStream): BodySource {
  const reader = stream.getReader();
  return {
    read: () => reader.read(),
    cancel: (reason) => void reader.cancel(reason).catch(ignore),
  };
}

/** Why a body broke off. */
export interface BodyFailure {
  readonly reason: unknown;
  /** Whether it was the source that failed, and not whoever was to take it. */
  readonly ours: boolean;
}

/** A body on its way to the other side, as fast as that takes it. */
export class OutgoingBody {
  private readonly source: BodySource;
  private readonly sink: SinkClient;
  private readonly meter: Meter;
  private over = false;

  /**
   * @param hook a ByteStream; taken over.
   * @param ended told once: null when all of it and its end are on their way, or why they never will be. Not after {@link cancel}.
   */
  constructor(
    source: BodySource,
    hook: Hook,
    values: Values,
    size: number | null,
    ended: (error: BodyFailure | null) => void,
  ) {
    this.source = source;
    this.meter = new Meter(size);
    const finish = (error: BodyFailure | null): void => {
      if (this.over) return;
      this.over = true;
      if (error !== null) source.cancel(error.reason);
      ended(error);
    };
    this.sink = new SinkClient(hook, values, (reason) => finish({ reason, ours: false }));
    this.pump().then(finish, (reason: unknown) => finish({ reason, ours: false }));
  }

  /** Lets go of both ends: the other side sees a body that was cut off, unless it has the end already. Idempotent. */
  cancel(reason: unknown): void {
    if (!this.over) this.source.cancel(reason);
    this.over = true;
    this.sink.drop();
  }

  /** Rejects when the sink takes no more. */
  private async pump(): Promise<BodyFailure | null> {
    const { sink } = this;
    for (;;) {
      let chunk: Uint8Array | null;
      try {
        chunk = await this.next();
      } catch (reason) {
        void sink.abort(reason);
        return { reason, ours: true };
      }
      if (this.over || chunk === null) break;
      await sink.write(chunk);
    }
    // Its answer says only that all was taken.
    if (!this.over) sink.end().catch(ignore);
    return null;
  }

  private async next(): Promise<Uint8Array | null> {
    const { done, value } = await this.source.read();
    if (done === true) this.meter.end();
    else if (this.over) discard(value);
    else {
      return this.meter.take(value);
    }
    return null;
  }
}
