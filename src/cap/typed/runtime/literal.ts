// Role: values that the schema holds: defaults of pointer fields, and constants.
// State: the decoded bytes, made at first use. Must not know: where they are used.

import type { PointerType } from "./info.js";
import { readMessage, type ReadSegment } from "./segment.js";

/** A value of the schema: one segment whose word 0 is the pointer to it. */
export class Literal {
  private readonly base64: string;
  private decoded: ReadSegment | null = null;

  constructor(base64: string) {
    this.base64 = base64;
  }

  get segment(): ReadSegment {
    return (this.decoded ??= readMessage(
      Uint8Array.from(atob(this.base64), (c) => c.charCodeAt(0)),
    ));
  }
}

/** @param base64 the segment, as the schema compiler wrote it. */
export function literal(base64: string): Literal {
  return new Literal(base64);
}

/**
 * A constant of pointer type. It is read-only.
 * @param type gives its type: written as a function, so that nothing runs for a constant that nobody uses.
 */
export function constant<T>(type: () => PointerType<T>, base64: string): T {
  return type()._capnp.read(new Literal(base64).segment, 0);
}
