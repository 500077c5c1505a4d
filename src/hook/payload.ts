// Role: what travels in a call or a return: content plus the capabilities its pointers name by index.
// State: one Payload has one owner at a time; the owner releases the capabilities or hands the payload on.
// Must not know: connections, schemas.

import { Content } from "../wire/content.js";
import type { Hook } from "./hook.js";

/** Indexes into the pointer section, outermost first: how a promised capability is named inside a result (C-PIP-02). */
export type Path = readonly number[];

export type Caps = readonly (Hook | null)[];

export const NO_CAPS: Caps = Object.freeze([]);

const BYTES_PER_CAP = 64;

/**
 * Content and its capability table. Linear: whoever holds it owns one reference to each capability in it.
 *
 * @example
 * results.returns(new Payload(content, [hook.addRef()]));
 */
export class Payload {
  caps: Caps;
  private made: Content | null;

  /** @param content null where {@link build} makes it, if anybody reads it. */
  constructor(content: Content | null, caps: Caps = NO_CAPS) {
    this.caps = caps;
    this.made = content;
  }

  get content(): Content {
    return (this.made ??= this.build());
  }

  /**
   * The content for whoever reads it at once, before anything else is built, and keeps nothing of it: it may be borrowed.
   * A message that is written needs no more.
   */
  get passing(): Content {
    return this.made ?? this.buildPassing();
  }

  /** Makes the content for {@link passing}. */
  protected buildPassing(): Content {
    return this.content;
  }

  /** Makes the content, to be kept. */
  protected build(): Content {
    return Content.NULL;
  }

  /** What it costs to keep, for limits: its content, and something for each capability. */
  get bytes(): number {
    return this.content.byteLength + this.caps.length * BYTES_PER_CAP;
  }

  /** Makes the content outlive the scratch it may have been built in (C-LOC-02). */
  own(): this {
    const { made } = this;
    if (made !== null && made.borrowed) this.made = made.own();
    return this;
  }

  /** A second payload over the same immutable content, with references of its own. */
  share(): Payload {
    const caps = this.caps.length === 0 ? NO_CAPS : this.caps.map((cap) => cap?.addRef() ?? null);
    return new Payload(this.content.shared(), caps);
  }

  /** Releases everything and gives the content's memory back: nobody reads it any more. The payload is empty then. */
  recycle(): void {
    this.release();
    const { made } = this;
    this.made = Content.NULL;
    made?.recycle();
  }

  /** Releases every capability. Idempotent. */
  release(): void {
    const caps = this.caps;
    if (caps.length === 0) return;
    this.caps = NO_CAPS;
    for (const cap of caps) cap?.release();
  }
}

/** The payload of a call without params and of a return without results. */
export function emptyPayload(): Payload {
  return new Payload(Content.NULL);
}
