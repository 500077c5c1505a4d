// Role: the scratch messages that params and results are built in.
// State: a stack of builders for the process, one in use per level of nesting. Must not know: methods.
//
// A message of its own for each call would cost 2 us; a reset one costs a tenth. What is built is handed on as a
// borrowed Content, which its taker consumes before `close`. A struct that user code kept from a closed builder must
// not write into the next message: `close` takes the memory away from its segment.

import type { Scheduler } from "../../../base/scheduler.js";
import { Payload } from "../../../hook/payload.js";
import { Content } from "../../../wire/content.js";
import { BuildCaps } from "./caps.js";
import {
  BuildSegment,
  closedView,
  closeSegment,
  NO_BYTES,
  type Segment,
  TypedMessage,
} from "./segment.js";

const START_BYTES = 8 * 1024;
/** A larger buffer is not kept after use. */
const KEEP_BYTES = 256 * 1024;

const closed = /* @__PURE__ */ closedView(
  "this struct belongs to params or results that were sent already",
);

/** One scratch message. */
export class Builder {
  private buffer: ArrayBuffer;
  /** On `buffer`: making one costs more than a small struct. */
  private view: DataView;
  private readonly caps: BuildCaps;
  private readonly message: TypedMessage;
  segment: Segment;

  constructor(scheduler: Scheduler) {
    this.buffer = new ArrayBuffer(START_BYTES);
    this.view = new DataView(this.buffer);
    this.caps = new BuildCaps(scheduler);
    this.message = new TypedMessage(this.buffer, this.caps);
    this.segment = new BuildSegment(this.message, NO_BYTES, 0);
  }

  /** @param giving whether clients put in are given away (results) or lent (params). */
  begin(scheduler: Scheduler, giving: boolean): void {
    this.caps.begin(scheduler, giving);
    this.segment = new BuildSegment(this.message, this.buffer, 8, this.view);
    this.message._capnp.segments[0] = this.segment;
  }

  /**
   * What was built, borrowed from this builder until `close`; large ones are given away, and travel without a copy. The
   * references in it pass to the caller.
   */
  payload(): Payload {
    const { buffer, byteLength } = this.segment;
    const bytes = new Uint8Array(buffer, 0, byteLength);
    return new Payload(new Content(bytes, null, buffer.byteLength <= KEEP_BYTES), this.caps.take());
  }

  /** Ends the use of this builder and of every struct built in it. What was not taken is released. */
  close(): void {
    const { segment } = this;
    if (segment.buffer.byteLength > KEEP_BYTES) this.keep(new ArrayBuffer(START_BYTES));
    else {
      clear(segment);
      if (segment.buffer !== this.buffer) this.keep(segment.buffer);
    }
    closeSegment(segment, closed);
    this.caps.end();
    depth--;
  }

  private keep(buffer: ArrayBuffer): void {
    this.buffer = buffer;
    this.view = new DataView(buffer);
    (this.message._capnp.arena as { buffer: ArrayBuffer }).buffer = buffer;
  }
}

function clear(segment: Segment): void {
  const used = segment.byteLength;
  if (used > 128) new Uint8Array(segment.buffer, 0, used).fill(0);
  else for (let at = 0; at < used; at += 4) segment.setInt32(at, 0);
}

const builders: Builder[] = [];
let depth = 0;

/** A builder of its own for the caller, until it closes it. Builders close in the reverse order of opening. */
export function openBuilder(scheduler: Scheduler, giving: boolean): Builder {
  const builder = (builders[depth] ??= new Builder(scheduler));
  depth++;
  builder.begin(scheduler, giving);
  return builder;
}
