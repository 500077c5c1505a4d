// Role: the memory that structs live in: read-only segments for received bytes, growing ones for builders.
// State: one ArrayBuffer per segment. Must not know: struct layouts, capabilities, hooks.
//
// capnp-ts's Segment is kept as the carrier, so that every struct here IS a capnp-ts struct. Two things are ours:
// a segment that refuses writes (capnp-ts getters write into null fields, and a message that was received, or a
// default shared by all readers, must not change), and growth by doubling (capnp-ts adds 4 KiB at a time).

import { Message } from "capnp-ts";
import { Segment } from "capnp-ts/src/serialization/segment.js";
import type { Scheduler } from "../../../base/scheduler.js";
import type { Content } from "../../../wire/content.js";
import { invalidArgument, invalidState } from "./errors.js";

export { Message, Segment };

/**
 * A class of capnp-ts to extend without running its constructor: its instances are capnp-ts's by `instanceof` and by
 * every method, but the subclass sets the fields. capnp-ts's constructors format trace lines and count allocations,
 * which is several times the cost of the fields, for each object of each call.
 */
export function withoutConstructor<C extends abstract new (...args: never[]) => object>(
  base: C,
): C {
  function Bare(): void {}
  Bare.prototype = base.prototype as object;
  Object.setPrototypeOf(Bare, base);
  return Bare as unknown as C;
}

type Fields<T> = { -readonly [K in keyof T]: T[K] };

/** The fields that capnp-ts's Segment has. */
function setSegment(
  segment: Segment,
  message: Message,
  buffer: ArrayBuffer,
  byteLength: number,
  view: DataView,
): void {
  const fields = segment as unknown as Omit<Fields<Segment>, symbol> & { _dv: DataView };
  fields.id = 0;
  fields.message = message;
  fields.buffer = buffer;
  fields._dv = view;
  fields.byteOffset = 0;
  fields.byteLength = byteLength;
}

/** A segment of a message that is being built. */
export class BuildSegment extends (withoutConstructor(Segment) as typeof Segment) {
  /** @param view a view on the whole buffer, when there is one already. */
  constructor(message: Message, buffer: ArrayBuffer, byteLength: number, view?: DataView) {
    super(0, message, buffer, byteLength);
    setSegment(this, message, buffer, byteLength, view ?? new DataView(buffer));
  }
}

const READ_ONLY =
  "this struct is read-only: it was received or is a default; copy it into a message of your own to change it " +
  "(on a struct field that was never set, call its init method first)";

/** A segment whose bytes never change. */
export class ReadSegment extends (withoutConstructor(Segment) as typeof Segment) {
  /** Where the root pointer is. */
  readonly root: number;

  constructor(message: Message, buffer: ArrayBuffer, byteLength: number, root = 0) {
    super(0, message, buffer, byteLength);
    setSegment(this, message, buffer, byteLength, new DataView(buffer));
    this.root = root;
  }

  override allocate(): never {
    throw invalidState(READ_ONLY);
  }
  override hasCapacity(): never {
    throw invalidState(READ_ONLY);
  }
  override copyWord(): never {
    throw invalidState(READ_ONLY);
  }
  override copyWords(): never {
    throw invalidState(READ_ONLY);
  }
  override fillZeroWords(): never {
    throw invalidState(READ_ONLY);
  }
  override replaceBuffer(): never {
    throw invalidState(READ_ONLY);
  }
  override setBigInt64(): never {
    throw invalidState(READ_ONLY);
  }
  override setBigUint64(): never {
    throw invalidState(READ_ONLY);
  }
  override setFloat32(): never {
    throw invalidState(READ_ONLY);
  }
  override setFloat16(): never {
    throw invalidState(READ_ONLY);
  }
  override setFloat64(): never {
    throw invalidState(READ_ONLY);
  }
  override setInt16(): never {
    throw invalidState(READ_ONLY);
  }
  override setInt32(): never {
    throw invalidState(READ_ONLY);
  }
  override setInt8(): never {
    throw invalidState(READ_ONLY);
  }
  override setInt64(): never {
    throw invalidState(READ_ONLY);
  }
  override setUint16(): never {
    throw invalidState(READ_ONLY);
  }
  override setUint32(): never {
    throw invalidState(READ_ONLY);
  }
  override setUint64(): never {
    throw invalidState(READ_ONLY);
  }
  override setUint8(): never {
    throw invalidState(READ_ONLY);
  }
  override setWordZero(): never {
    throw invalidState(READ_ONLY);
  }
}

/** capnp-ts's name for "one segment that is replaced by a larger one when full". */
const SINGLE_SEGMENT = 0;

export const NO_BYTES = /* @__PURE__ */ new ArrayBuffer(0);

/** In place of the DataView of a closed segment: every access throws `invalid-state`, and says why. */
export function closedView(why: string): DataView {
  return new Proxy({} as DataView, {
    get(): never {
      throw invalidState(why);
    },
  });
}

/** Takes the memory away from a segment, and so from every struct in it. */
export function closeSegment(segment: Segment, view: DataView): void {
  (segment as unknown as { _dv: DataView })._dv = view;
  segment.buffer = NO_BYTES;
  segment.byteLength = 0;
}

/** Where a message that is only read would grow. */
const NO_ARENA = /* @__PURE__ */ Object.freeze({
  kind: SINGLE_SEGMENT,
  buffer: NO_BYTES,
});

/** Bytes of one message that we build: far beyond what any peer accepts, and inside what 30-bit offsets reach. */
const MAX_BUILD = 0x7fff_fff8;

/** The capabilities that a message's pointers name by index; see caps.ts. */
export interface CapTable {
  /** Whose jobs calls on these capabilities are. */
  readonly scheduler: Scheduler;
}

/**
 * A message over one buffer of ours, with the capabilities its pointers name. Its traversal is not counted: the bytes
 * were validated before, or are our own.
 */
export class TypedMessage extends (withoutConstructor(Message) as typeof Message) {
  caps: CapTable | null;

  /** @param buffer what the message grows in; null for one that is only read. */
  constructor(buffer: ArrayBuffer | null, caps: CapTable | null) {
    super();
    const arena = buffer === null ? NO_ARENA : { kind: SINGLE_SEGMENT, buffer };
    const fields = { arena: arena as never, segments: [], traversalLimit: Infinity };
    (this as Fields<Message>)._capnp = fields;
    this.caps = caps;
  }
}

/**
 * A read-only message over received content. Content that nobody else writes to is read where it is: a large one is a part
 * of the buffer that its message came in, and copying each would double what a stream leaves to the garbage collector.
 */
export function readContent(content: Content, caps: CapTable | null): ReadSegment {
  const { bytes, borrowed } = content.flat();
  const { buffer, byteOffset, length } = bytes;
  if (borrowed || !(buffer instanceof ArrayBuffer)) return readMessage(bytes, caps);
  return readBuffer(buffer, byteOffset + length, byteOffset, caps);
}

function readBuffer(
  buffer: ArrayBuffer,
  end: number,
  root: number,
  caps: CapTable | null,
): ReadSegment {
  const message = new TypedMessage(null, caps);
  const segment = new ReadSegment(message, buffer, end, root);
  message._capnp.segments.push(segment);
  return segment;
}

/** A read-only message over bytes that span their buffer exactly; else over a private copy of them. */
export function readMessage(bytes: Uint8Array, caps: CapTable | null = null): ReadSegment {
  let buffer = bytes.buffer as ArrayBuffer;
  if (bytes.length !== buffer.byteLength || !(buffer instanceof ArrayBuffer)) {
    buffer = new ArrayBuffer(bytes.length);
    new Uint8Array(buffer).set(bytes);
  }
  return readBuffer(buffer, buffer.byteLength, 0, caps);
}

const nullSegments = /* @__PURE__ */ new WeakMap<Message, ReadSegment>();

/**
 * A segment of the same message that holds one null pointer: stands for a pointer field that the writer, of an older
 * schema, had no room for. Of the same message, so that a null capability there belongs to the same vat.
 */
export function nullSegment(segment: Segment): ReadSegment {
  let known = nullSegments.get(segment.message);
  if (known === undefined) {
    known = new ReadSegment(segment.message, new ArrayBuffer(8), 8);
    nullSegments.set(segment.message, known);
  }
  return known;
}

/**
 * Takes `bytes` (rounded up to words, zeroed) at the end of `segment`.
 * @returns the byte offset of what was taken.
 */
export function allocate(segment: Segment, bytes: number): number {
  if (!(bytes >= 0 && bytes <= MAX_BUILD))
    throw invalidArgument(`${bytes} bytes cannot be put into one message`);
  const size = (bytes + 7) & -8;
  const at = segment.byteLength;
  if (segment instanceof ReadSegment) throw invalidState(READ_ONLY);
  if (segment.buffer.byteLength - at < size) grow(segment, at + size);
  segment.byteLength = at + size;
  return at;
}

function grow(segment: Segment, needed: number): void {
  const message = segment.message;
  const arena = message._capnp.arena as { kind: number; buffer: ArrayBuffer };
  if (arena.kind !== SINGLE_SEGMENT || message._capnp.segments.length > 1)
    throw invalidState(
      "structs are built in messages of one segment: use new Message() without an arena",
    );
  if (!(needed <= MAX_BUILD)) throw invalidArgument(`a message of ${needed} bytes cannot be built`);
  const buffer = new ArrayBuffer(
    Math.min(Math.max(needed, segment.buffer.byteLength * 2), MAX_BUILD),
  );
  new Uint8Array(buffer).set(new Uint8Array(segment.buffer, 0, segment.byteLength));
  arena.buffer = buffer;
  segment.replaceBuffer(buffer);
}
