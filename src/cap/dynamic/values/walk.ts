// Role: reads a value once, copies it, refuses what cannot be sent, collects what goes by reference.
// State: one walk's copies, path and counts. Must not know: bytes, or how a kind is written.
//
// All user code that an encoding can run (getters, proxies, codecs, the sink) runs here. The path is kept in `steps`, of which
// the first `depth` lead to the value being read; an error leaves it as it was when thrown, so that it can be named.

import { RpcError } from "../../../base/errors.js";
import { brandOf, builtinOf } from "./builtins.js";
import type { EncodeOptions, ReferenceSink, Refusal, ValueLimits } from "./contract.js";
import { DEFAULT_VALUE_LIMITS } from "./contract.js";
import { overLimit, pathOf, SENT, type Step, unsendable } from "./failures.js";
import { Kind } from "./kinds.js";
import { BufferPart, NEGATIVE_ZERO, Part, UNDEFINED, Utf16Part, type Walker } from "./parts.js";
import { isWellFormed } from "./text.js";
import { NO_TYPES, type ValueCodec, type ValueTypes } from "./types.js";

/** Above this many objects a Map finds a copy faster than a search. */
const FEW = 12;

const INT64_MIN = -(2n ** 63n);
const UINT64_MAX = 2n ** 64n - 1n;

export class Walk implements Walker {
  /** Whether the copy is a tree of plain arrays and objects, which MessagePack holds as it is. */
  plain = true;
  /** Whether there are errors in it. */
  hasErrors = false;
  readonly types: ValueTypes;
  private readonly refs: ReferenceSink;
  private readonly limits: ValueLimits;
  private readonly root: string;
  private readonly refusal: Refusal;
  private readonly steps: Step[] = [];
  private depth = 0;
  private nodes = 1;
  private bytes = 0;
  /** The first object met, which is most often the only one, then a few more, then all in a table. */
  private first: object | null = null;
  private firstCopy: object | null = null;
  private originals: object[] | null = null;
  private copies: object[] | null = null;
  private table: Map<object, object> | null = null;

  constructor(refs: ReferenceSink, options: EncodeOptions | undefined) {
    this.refs = refs;
    this.limits = options?.limits ?? DEFAULT_VALUE_LIMITS;
    this.root = options?.root ?? "value";
    this.refusal = options?.refusal ?? SENT;
    this.types = options?.types ?? NO_TYPES;
  }

  /** The copy of `value`. @throws RpcError alone, whatever the value's code does. */
  run(value: unknown): unknown {
    try {
      return this.copy(value);
    } catch (error) {
      if (error instanceof RpcError) throw error;
      throw this.refuse("reading it threw (a getter, a proxy or a codec)", error);
    }
  }

  private copy(value: unknown): unknown {
    switch (typeof value) {
      case "number":
        if (value !== 0 || 1 / value > 0) return value;
        this.plain = false;
        return NEGATIVE_ZERO;
      case "string":
        return this.text(value);
      case "boolean":
        return value;
      case "object":
        return value === null ? null : this.object(value);
      case "undefined":
        this.plain = false;
        return UNDEFINED;
      case "bigint":
        return this.bigint(value);
      case "function":
        return this.seen(value) ?? this.byReference(value);
      default:
        throw this.refuse("a symbol means nothing to another process: send a string");
    }
  }

  private text(value: string): unknown {
    this.bytes += value.length;
    if (this.bytes > this.limits.bytes) throw overLimit("bytes", this.limits.bytes, this.path());
    if (isWellFormed(value)) return value;
    this.plain = false;
    return new Utf16Part(value);
  }

  private bigint(value: bigint): unknown {
    if (value >= INT64_MIN && value <= UINT64_MAX) return value;
    this.plain = false;
    const digits = value.toString(16);
    this.text(digits);
    return new Part(Kind.bigint, [digits]);
  }

  private object(value: object): unknown {
    const seen = this.seen(value);
    if (seen !== undefined) return seen;
    if (this.depth >= this.limits.depth) throw overLimit("depth", this.limits.depth, this.path());
    const prototype = Object.getPrototypeOf(value) as object | null;
    if (prototype === Object.prototype || prototype === null)
      return this.plainObject(value as Record<string, unknown>);
    if (prototype === Array.prototype && Array.isArray(value)) return this.array(value);
    this.plain = false;
    const codec = this.types.codecOf(prototype);
    if (codec !== undefined) return this.registered(value, codec);
    const builtin = builtinOf(value, prototype);
    if (builtin !== undefined) return builtin(this, value);
    // What another realm (a frame, a vm context) made has that realm's prototypes.
    if (typeof TransformStream !== "undefined" && value instanceof TransformStream)
      return this.pair(value);
    const brand = brandOf(value, prototype);
    if (brand === "object") return this.plainObject(value as Record<string, unknown>);
    if (brand === "array") return this.array(value as unknown[]);
    if (brand !== undefined) return brand(this, value);
    return this.byReference(value);
  }

  private plainObject(value: Record<string, unknown>): object {
    const names = Object.keys(value);
    const copy: Record<string, unknown> = {};
    this.enter(value, copy, 2 * names.length);
    const { steps, depth } = this;
    this.depth = depth + 1;
    for (let i = 0; i < names.length; i++) {
      const name = names[i]!;
      steps[depth] = name;
      const item = this.copy(value[name]);
      if (typeof this.text(name) !== "string" || name === "__proto__" || name === "constructor") {
        // MessagePack has no place for the first, and msgpackr asks objects for the other two.
        this.plain = false;
        Object.defineProperty(copy, name, { value: item, enumerable: true, writable: true });
      } else copy[name] = item;
    }
    this.depth = depth;
    return copy;
  }

  /** A TransformStream is no more than its two ends: they go as streams, in a plain object. */
  private pair(value: TransformStream): object {
    const { readable, writable } = value;
    const copy = this.plainObject({ readable, writable });
    this.enter(value, copy, 0);
    return copy;
  }

  private array(value: readonly unknown[]): object {
    const length = value.length;
    const names = Object.keys(value);
    // Indexes come first and in order, so the last name tells whether there is a hole or a name that is no index.
    if (names.length !== length || (length > 0 && names[length - 1] !== String(length - 1)))
      return this.sparse(value, length, names);
    this.charge(length);
    const copy = new Array<unknown>(length);
    this.enter(value, copy, 0);
    const { steps, depth } = this;
    this.depth = depth + 1;
    for (let i = 0; i < length; i++) {
      steps[depth] = i;
      copy[i] = this.copy(value[i]);
    }
    this.depth = depth;
    return copy;
  }

  private sparse(value: readonly unknown[], length: number, names: readonly string[]): object {
    this.plain = false;
    const part = new Part(Kind.sparse, [length]);
    // The length is charged too, since an engine may hold holes as it holds elements.
    this.enter(value, part, 2 * names.length + length);
    for (const name of names) {
      const index = Number(name) >>> 0;
      const step = String(index) === name && index < length ? index : name;
      const key = typeof step === "number" ? step : this.text(step);
      part.parts.push(key, this.property(value, step));
    }
    return part;
  }

  private registered(value: object, codec: ValueCodec): object {
    const part = this.remember(value, new Part(Kind.registered, [codec.name]));
    part.open = true;
    part.parts.push(this.child(codec.encode(value), { text: "" }));
    part.open = false;
    return part;
  }

  private byReference(value: object): object {
    this.plain = false;
    const slot = this.refs.reference(value, this.path());
    if (slot === undefined) throw this.refuse(this.refusal.why(value, nameOf(value)));
    return this.remember(value, new Part(Kind.reference, [slot.kind, slot.index]));
  }

  /** The copy of an object that was met before, if it was. */
  private seen(value: object): object | undefined {
    const copy = this.find(value);
    if (copy === undefined) return undefined;
    this.plain = false;
    if (copy instanceof Part) {
      if (copy.open) throw this.refuse("an object with a codec cannot contain itself");
      if (copy instanceof BufferPart) copy.held = true;
    }
    return copy;
  }

  private find(value: object): object | undefined {
    if (value === this.first) return this.firstCopy!;
    if (this.table !== null) return this.table.get(value);
    const { originals } = this;
    if (originals === null) return undefined;
    for (let i = 0; i < originals.length; i++) if (originals[i] === value) return this.copies![i];
    return undefined;
  }

  private enter(value: object, copy: object, nodes: number): void {
    this.charge(nodes);
    if (this.first === null) {
      this.first = value;
      this.firstCopy = copy;
    } else if (this.table !== null) this.table.set(value, copy);
    else if (this.originals === null) {
      this.originals = [value];
      this.copies = [copy];
    } else {
      this.originals.push(value);
      this.copies!.push(copy);
      if (this.originals.length === FEW) this.tabulate();
    }
  }

  private tabulate(): void {
    this.table = new Map();
    for (let i = 0; i < FEW; i++) this.table.set(this.originals![i]!, this.copies![i]!);
  }

  remember<T extends Part>(value: object, copy: T): T {
    this.enter(value, copy, 0);
    return copy;
  }

  buffer(buffer: ArrayBuffer): BufferPart {
    const found = this.find(buffer);
    if (found instanceof BufferPart) return found;
    return this.remember(buffer, new BufferPart(buffer));
  }

  child(value: unknown, step: Step): unknown {
    this.steps[this.depth++] = step;
    const copy = this.copy(value);
    this.depth--;
    return copy;
  }

  property(object: object, name: string | number): unknown {
    this.steps[this.depth++] = name;
    const copy = this.copy((object as Record<string | number, unknown>)[name]);
    this.depth--;
    return copy;
  }

  charge(nodes: number): void {
    this.nodes += nodes;
    if (this.nodes > this.limits.nodes) throw overLimit("nodes", this.limits.nodes, this.path());
  }

  refuse(why: string, cause?: unknown): RpcError {
    return unsendable(this.path(), why, cause, this.refusal);
  }

  private path(): string {
    return pathOf(this.root, this.steps, this.depth);
  }
}

/** Its class in words. Never throws. */
function nameOf(value: object): string {
  try {
    const maker = (Object.getPrototypeOf(value) as { constructor?: unknown }).constructor;
    if (typeof maker === "function" && typeof maker.name === "string" && maker.name !== "")
      return `an instance of ${maker.name}`;
  } catch {
    // A proxy, or a getter of the user's.
  }
  return "an object with a prototype of its own";
}
