// Role: the content of a call or result with errors among its values, of which each peer is told what is for it.
// State: how the content is written again. Must not know: the format of values, or which peer it is.

import type { ErrorPolicy } from "../../base/errors.js";
import { Content } from "../../wire/content.js";
import { EXTENDED, holdsErrors, type Span, spanOf, toldBytes } from "./values/index.js";

/** Writes a content that leads to `path` there, if it leads anywhere, for a peer of whom `policy` holds; null for one of this vat. */
type Write = (path: readonly string[], policy: ErrorPolicy | null) => Content;

/** The one word of data, where Request, MapRequest and Result have what is set after they were written. */
const DATA = 8;
const DATA_END = 16;

export class ToldContent extends Content {
  private readonly path: readonly string[];
  private readonly write: Write;

  constructor(path: readonly string[], write: Write) {
    super(write(path, null).own().bytes);
    this.path = path;
    this.write = write;
  }

  override leaving(policy: ErrorPolicy): Content {
    const made = this.write(this.path, policy);
    made.bytes.set(this.bytes.subarray(DATA, DATA_END), DATA);
    return made;
  }

  /** The same with another path. */
  at(path: readonly string[]): ToldContent {
    return new ToldContent(path, this.write);
  }
}

/** Whether there are errors in the value of `span`, as encodeValue gave it. */
export function hasErrors(span: Span): boolean {
  // Where there are, the value has the extended form: a look at one byte is enough for most.
  return span.bytes[span.from] === EXTENDED && holdsErrors(span.bytes);
}

/** The value of `span` as it is for a peer; see {@link toldBytes}. */
export function toldSpan(span: Span, policy: ErrorPolicy | null): Span {
  return policy === null ? span : spanOf(toldBytes(span.bytes, policy));
}
