// Role: what a walk leaves behind: the value as plain arrays, plain objects, and the parts below for all else.
// State: each part its own. Must not know: user objects' behaviour, bytes.
//
// A walk copies the value while it reads it, each property once. What is encoded is the copy, so a getter, a proxy or a
// later change cannot make the bytes differ from what was checked.

import type { Step } from "./failures.js";
import { Kind } from "./kinds.js";
import type { Shape } from "./memory.js";
import type { ValueTypes } from "./types.js";

/** The bytes of a buffer or view, where they begin in their buffer, and how far that may grow; see growthOf. */
export interface BytesRead {
  readonly bytes: Uint8Array;
  readonly offset: number;
  readonly growth: number;
}

/** A value with no plain form. `parts` are what follows its kind on the wire, themselves copies. */
export class Part {
  readonly kind: number;
  readonly parts: unknown[];
  /** Whether its parts are still being walked, for kinds that cannot hold themselves. */
  open = false;

  constructor(kind: number, parts: unknown[]) {
    this.kind = kind;
    this.parts = parts;
  }
}

export const UNDEFINED = new Part(Kind.undefined, []);
export const NEGATIVE_ZERO = new Part(Kind.negativeZero, []);

/** A string with a lone surrogate: its UTF-16 units go into the tail. */
export class Utf16Part extends Part {
  readonly text: string;

  constructor(text: string) {
    super(Kind.utf16, []);
    this.text = text;
  }
}

/** An error. Its parts: its class, the registered name of it, then names and values. */
export class ErrorPart extends Part {
  readonly error: object;

  constructor(error: object, base: string, registered: string) {
    super(Kind.error, [base, registered]);
    this.error = error;
  }
}

/** An ArrayBuffer. Its bytes are read when all user code has run. */
export class BufferPart extends Part {
  readonly buffer: ArrayBuffer;
  /** Whether the value holds the buffer itself. */
  held = false;
  /** How many plain views of the value show it. */
  views = 0;
  /** What was read, where it is needed again. */
  read: BytesRead | null = null;

  constructor(buffer: ArrayBuffer) {
    super(Kind.buffer, []);
    this.buffer = buffer;
  }
}

/** A typed array or DataView. */
export class ViewPart extends Part {
  readonly view: object;
  readonly shape: Shape;
  readonly type: number;
  /** Null when the view is to travel with its own bytes alone. */
  readonly of: BufferPart | null;
  /** As of a buffer. */
  read: BytesRead | null = null;

  constructor(view: object, shape: Shape, type: number, of: BufferPart | null) {
    super(Kind.view, []);
    this.view = view;
    this.shape = shape;
    this.type = type;
    this.of = of;
  }
}

/** What the readers of single kinds may ask of a walk. */
export interface Walker {
  /** Copies a value that stands one step below the one being read. */
  child(value: unknown, step: Step): unknown;
  /** Reads a property once, and copies what it gives. */
  property(object: object, name: string): unknown;
  /** Remembers the copy of `value`, before its parts are walked: they may lead back to it. */
  remember<T extends Part>(value: object, copy: T): T;
  /** The part of a buffer, made at its first mention, not counted as held. */
  buffer(buffer: ArrayBuffer): BufferPart;
  charge(nodes: number): void;
  /** An error that names the path of the value being read. */
  refuse(why: string, cause?: unknown): Error;
  /** Set when there is an error in the value. */
  hasErrors: boolean;
  readonly types: ValueTypes;
}
