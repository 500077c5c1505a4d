// Role: the copy that a walk left, as V8's bytes.
// State: one value's object numbers, and the path to what is being written. Must not know: user objects: no code of the user's
// runs here.
//
// A number is given to each object where its bytes begin, parts of host objects included, as V8 and workerd count them.

import type { ErrorPolicy, RpcError } from "../../base/errors.js";
import type { ValueLimits } from "../../cap/dynamic/values/contract.js";
import { overLimit, pathOf, type Step, unsendable } from "../../cap/dynamic/values/failures.js";
import { Kind } from "../../cap/dynamic/values/kinds.js";
import {
  type BufferPart,
  type ErrorPart,
  Part,
  Utf16Part,
  ViewPart,
} from "../../cap/dynamic/values/parts.js";
import { ByteWriter } from "./byte-writer.js";
import type { Collected } from "./collect.js";
import type { PendingBlob } from "./contract.js";
import { HEADER, REGEXP_FLAGS, Tag, WRITTEN_VERSION } from "./tags.js";
import { writeError } from "./write-errors.js";
import { writeCollected, writeHeaders, writeRequest, writeResponse } from "./write-host.js";
import { writeBuffer, writeView } from "./write-memory.js";
import type { ValueWriter } from "./writer.js";

export class Writing implements ValueWriter {
  readonly out: ByteWriter;
  readonly errors: ErrorPolicy;
  readonly found: readonly Collected[];
  readonly externals: number[] = [];
  readonly blobs: PendingBlob[] = [];
  private readonly root: string;
  private readonly limits: ValueLimits;
  private readonly numbers = new Map<object, number>();
  private next = 0;
  private nodes = 0;
  /** Host objects being written: workerd cannot make one before its parts. */
  private readonly open = new Set<object>();
  private readonly steps: Step[] = [];

  constructor(found: readonly Collected[], errors: ErrorPolicy, root: string, limits: ValueLimits) {
    this.out = new ByteWriter(limits.bytes);
    this.found = found;
    this.errors = errors;
    this.root = root;
    this.limits = limits;
  }

  /** @throws RpcError `unsendable-value` with a path, or `limit-exceeded`. */
  run(copy: unknown): Uint8Array {
    this.out.byte(HEADER);
    this.out.varint(WRITTEN_VERSION);
    this.value(copy);
    return this.out.finish();
  }

  value(copy: unknown): void {
    if (!this.out.primitive(copy)) this.object(copy as object);
  }

  child(copy: unknown, step: Step): void {
    this.steps.push(step);
    this.value(copy);
    this.steps.pop();
  }

  number(): void {
    this.next++;
  }

  charge(nodes: number): void {
    this.nodes += nodes;
    if (this.nodes > this.limits.nodes) throw overLimit("nodes", this.limits.nodes, this.path());
  }

  text(copy: unknown): string | undefined {
    if (copy instanceof Utf16Part) return copy.text;
    return typeof copy === "string" ? copy : undefined;
  }

  refuse(why: string, step?: Step): RpcError {
    const steps = step === undefined ? this.steps : [...this.steps, step];
    return unsendable(pathOf(this.root, steps, steps.length), why);
  }

  private path(): string {
    return pathOf(this.root, this.steps, this.steps.length);
  }

  private object(copy: object): void {
    const { out } = this;
    const part = copy instanceof Part ? copy : null;
    if (part !== null && part.kind < Kind.array) return this.primitive(part);
    const number = this.numbers.get(copy);
    if (number !== undefined) {
      if (this.open.has(copy))
        throw this.refuse("it is part of itself, and workerd cannot make such an object again");
      out.byte(Tag.reference);
      out.varint(number);
      return;
    }
    // A view comes after its buffer, and so does its number.
    if (part instanceof ViewPart) {
      writeView(this, part);
      this.numbers.set(copy, this.next++);
      return;
    }
    this.numbers.set(copy, this.next++);
    if (part !== null) return this.part(part);
    if (Array.isArray(copy)) return this.array(copy);
    out.byte(Tag.object);
    const pairs: unknown[] = [];
    for (const name of Object.keys(copy)) pairs.push(name, (copy as Record<string, unknown>)[name]);
    this.properties(pairs, Tag.objectEnd);
  }

  private primitive(part: Part): void {
    const { out } = this;
    if (part instanceof Utf16Part) out.string(part.text);
    else if (part.kind === Kind.undefined) out.byte(Tag.undefined);
    else if (part.kind === Kind.negativeZero) {
      out.byte(Tag.double);
      out.double(-0);
    } else {
      out.byte(Tag.bigint);
      out.bigint(bigintOf(part));
    }
  }

  private array(items: readonly unknown[]): void {
    const { out } = this;
    out.byte(Tag.denseArray);
    out.varint(items.length);
    for (let i = 0; i < items.length; i++) this.child(items[i], i);
    this.properties([], Tag.denseArrayEnd);
    out.varint(items.length);
  }

  properties(pairs: readonly unknown[], end: number): void {
    const { out } = this;
    for (let i = 0; i < pairs.length; i += 2) {
      const key = pairs[i];
      const name = this.text(key);
      // V8 writes an index as a number.
      if (name === undefined || isIndex(name)) out.number(Number(name ?? key));
      else out.string(name);
      this.child(pairs[i + 1], name ?? (key as number));
    }
    out.byte(end);
    out.varint(pairs.length / 2);
  }

  private part(part: Part): void {
    const { out } = this;
    const { parts } = part;
    switch (part.kind) {
      case Kind.sparse:
        out.byte(Tag.sparseArray);
        out.varint(parts[0] as number);
        this.properties(parts.slice(1), Tag.sparseArrayEnd);
        out.varint(parts[0] as number);
        return;
      case Kind.date:
        out.byte(Tag.date);
        out.double(parts[0] as number);
        return;
      case Kind.boxed:
        return this.boxed(parts[0]);
      case Kind.map:
        out.byte(Tag.map);
        this.items(parts, Tag.mapEnd, mapStep);
        return;
      case Kind.set:
        out.byte(Tag.set);
        this.items(parts, Tag.setEnd, setStep);
        return;
      case Kind.regexp:
        out.byte(Tag.regexp);
        this.value(parts[0]);
        out.varint(regexpBits(parts[1] as string));
        return;
      case Kind.buffer:
        return writeBuffer(this, part as BufferPart);
      case Kind.url:
        throw this.refuse("workerd does not carry a URL: send its href");
      default:
        this.open.add(part);
        out.byte(Tag.host);
        this.host(part);
        this.open.delete(part);
    }
  }

  private host(part: Part): void {
    switch (part.kind) {
      case Kind.reference:
        return writeCollected(this, part.parts[1] as number);
      case Kind.error:
        return writeError(this, part as ErrorPart);
      case Kind.headers:
        return writeHeaders(this, part);
      case Kind.request:
        return writeRequest(this, part);
      case Kind.response:
        return writeResponse(this, part);
      default:
        throw this.refuse("workerd has no kind of values for it");
    }
  }

  private items(parts: readonly unknown[], end: number, step: (i: number) => Step): void {
    for (let i = 0; i < parts.length; i++) this.child(parts[i], step(i));
    this.out.byte(end);
    this.out.varint(parts.length);
  }

  private boxed(primitive: unknown): void {
    const { out } = this;
    const text = this.text(primitive);
    if (text !== undefined) {
      out.byte(Tag.stringObject);
      out.string(text);
    } else if (typeof primitive === "boolean")
      out.byte(primitive ? Tag.trueObject : Tag.falseObject);
    else if (typeof primitive === "number" || isPart(primitive, Kind.negativeZero)) {
      out.byte(Tag.numberObject);
      out.double(typeof primitive === "number" ? primitive : -0);
    } else {
      out.byte(Tag.bigintObject);
      out.bigint(typeof primitive === "bigint" ? primitive : bigintOf(primitive as Part));
    }
  }
}

const mapStep = (i: number): Step => ({
  text: i % 2 === 0 ? `.keys()[${i / 2}]` : `.values()[${(i - 1) / 2}]`,
});
const setStep = (i: number): Step => ({ text: `.values()[${i}]` });

function isPart(copy: unknown, kind: number): boolean {
  return copy instanceof Part && copy.kind === kind;
}

/** One past 64 bits: the walk left its digits. */
function bigintOf(part: Part): bigint {
  const digits = part.parts[0] as string;
  return digits.startsWith("-") ? -BigInt(`0x${digits.slice(1)}`) : BigInt(`0x${digits}`);
}

function isIndex(name: string): boolean {
  const first = name.charCodeAt(0);
  if (!(first >= 0x30 && first <= 0x39)) return false;
  const index = Number(name) >>> 0;
  return index !== 0xffffffff && String(index) === name;
}

function regexpBits(flags: string): number {
  let bits = 0;
  for (const flag of flags) bits |= 1 << REGEXP_FLAGS.indexOf(flag);
  return bits;
}
