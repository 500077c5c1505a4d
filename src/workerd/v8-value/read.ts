// Role: V8's bytes to the value they stand for.
// State: one value's objects in the order of their numbers, and what its budgets have left. Must not know: who sent it.
//
// The bytes are a stranger's. Nothing is made of a size that they merely claim; nothing is assigned by name to an object that has
// a prototype to lose. A name that is there twice, a count that is wrong: refused, as V8 refuses it.

import type { ValueLimits } from "../../cap/dynamic/values/contract.js";
import { overLimit } from "../../cap/dynamic/values/failures.js";
import { ByteReader } from "./byte-reader.js";
import type { ExternalSource } from "./contract.js";
import { readError } from "./read-errors.js";
import { readHost } from "./read-host.js";
import { readBuffer, readResizable, readView } from "./read-memory.js";
import { define, HEAVY, type ValueReader } from "./reader.js";
import { HEADER, NEWEST_VERSION, OLDEST_VERSION, REGEXP_FLAGS, Tag } from "./tags.js";

/** Stands for an object whose parts are still being read and that cannot exist before them. */
const PENDING = Symbol("pending");

export class Reading extends ByteReader implements ValueReader {
  version = 0;
  readonly limits: ValueLimits;
  readonly source: ExternalSource;
  private readonly objects: unknown[] = [];
  private nodes = 0;
  private depth = 0;

  constructor(bytes: Uint8Array, source: ExternalSource, limits: ValueLimits) {
    super(bytes);
    this.source = source;
    this.limits = limits;
  }

  /** @throws RpcError, and whatever a constructor says to what is no value of its class. */
  run(): unknown {
    if (this.byte() !== HEADER) throw this.invalid("it has no header");
    this.version = this.uint32();
    if (this.version < OLDEST_VERSION || this.version > NEWEST_VERSION)
      throw this.invalid(
        `version ${this.version} of V8's format is not one of ${OLDEST_VERSION} to ${NEWEST_VERSION}`,
      );
    const value = this.value();
    if (this.left !== 0) throw this.invalid("bytes follow its end");
    if (this.source.left !== 0)
      throw this.invalid(`${this.source.left} externals came along that it does not name`);
    return value;
  }

  value(): unknown {
    const value = this.tagged(this.tagPastCounts());
    // A view stands behind its buffer.
    if (!(value instanceof ArrayBuffer) || this.peek() !== Tag.view) return value;
    this.tag();
    this.charge(HEAVY);
    return readView(this, value);
  }

  number<T>(object: T): T {
    this.objects.push(object);
    return object;
  }

  pend(): number {
    return this.objects.push(PENDING) - 1;
  }

  settle<T>(number: number, object: T): T {
    this.objects[number] = object;
    return object;
  }

  charge(nodes: number): void {
    this.nodes += nodes;
    if (this.nodes > this.limits.nodes) throw overLimit("nodes", this.limits.nodes, "the value");
  }

  private tagged(tag: number): unknown {
    this.charge(1);
    switch (tag) {
      case Tag.undefined:
        return undefined;
      case Tag.null:
        return null;
      case Tag.true:
        return true;
      case Tag.false:
        return false;
      case Tag.int32:
        return this.int32();
      case Tag.uint32:
        return this.uint32();
      case Tag.double:
        return this.double();
      case Tag.bigint:
        return this.bigint();
      case Tag.oneByte:
      case Tag.twoByte:
      case Tag.utf8:
        return this.stringOf(tag);
      case Tag.reference:
        return this.reference();
      default:
        return this.object(tag);
    }
  }

  /** The next tag, past counts that mean nothing any more. */
  private tagPastCounts(): number {
    for (;;) {
      const tag = this.tag();
      if (tag !== Tag.objectCount) return tag;
      this.uint32();
    }
  }

  private reference(): unknown {
    const number = this.uint32();
    if (number >= this.objects.length) throw this.invalid(`there is no object ${number} yet`);
    const object = this.objects[number];
    if (object === PENDING) throw this.invalid("an object is part of itself that cannot be");
    return object;
  }

  private object(tag: number): unknown {
    if (this.depth >= this.limits.depth) throw overLimit("depth", this.limits.depth, "the value");
    this.depth++;
    const object = this.made(tag);
    this.depth--;
    return object;
  }

  private made(tag: number): unknown {
    switch (tag) {
      case Tag.object:
        return this.properties(this.number({}), Tag.objectEnd, 0);
      case Tag.denseArray:
        return this.denseArray();
      case Tag.sparseArray:
        return this.sparseArray();
      case Tag.date:
        return this.number(new Date(this.double()));
      case Tag.trueObject:
      case Tag.falseObject:
        return this.number(Object(tag === Tag.trueObject));
      case Tag.numberObject:
        return this.number(Object(this.double()));
      case Tag.bigintObject:
        return this.number(Object(this.bigint()));
      case Tag.stringObject:
        return this.number(Object(this.string()));
    }
    this.charge(HEAVY);
    switch (tag) {
      case Tag.map:
        return this.map();
      case Tag.set:
        return this.set();
      case Tag.regexp:
        return this.number(this.regexp());
      case Tag.buffer:
        return this.number(readBuffer(this));
      case Tag.resizableBuffer:
        return this.number(readResizable(this));
      case Tag.error:
        return readError(this);
      case Tag.host:
        return readHost(this);
      case Tag.transferredBuffer:
      case Tag.sharedBuffer:
      case Tag.sharedObject:
      case Tag.wasmMemory:
      case Tag.wasmModule:
        throw this.invalid("it holds shared or transferred memory, which stays in its process");
      default:
        throw this.invalid(`the tag ${tag} has no meaning`);
    }
  }

  private denseArray(): unknown[] {
    const length = this.uint32();
    const array: unknown[] = this.number([]);
    for (let i = 0; i < length; i++) {
      if (this.peek() === Tag.hole) {
        this.tag();
        this.charge(1);
        array.length++;
      } else array.push(this.value());
    }
    this.properties(array, Tag.denseArrayEnd, length);
    return this.arrayEnd(array, length);
  }

  private sparseArray(): unknown[] {
    const length = this.uint32();
    // An engine may hold holes as it holds elements.
    this.charge(length);
    const array: unknown[] = this.number([]);
    array.length = length;
    this.properties(array, Tag.sparseArrayEnd, length);
    return this.arrayEnd(array, length);
  }

  private arrayEnd(array: unknown[], length: number): unknown[] {
    if (this.uint32() !== length) throw this.invalid("the length of an array is not what it was");
    return array;
  }

  /** @param length of an array: an index from there on would make it longer than was charged. */
  private properties<T extends object>(object: T, end: number, length: number): T {
    const isArray = Array.isArray(object);
    let count = 0;
    for (; this.peek() !== end; count++) {
      const name = this.name();
      if (isArray && isIndex(name) && Number(name) >= length)
        throw this.invalid("an array has an index past its length");
      const value = this.value();
      if (!(name in object)) (object as Record<string, unknown>)[name] = value;
      else if (Object.hasOwn(object, name)) throw this.invalid("a name is there twice");
      else define(object, name, value, true);
    }
    this.tag();
    if (this.uint32() !== count) throw this.invalid("the count of properties is wrong");
    return object;
  }

  private name(): string {
    this.charge(1);
    const tag = this.tagPastCounts();
    switch (tag) {
      case Tag.int32:
        return String(this.int32());
      case Tag.uint32:
        return String(this.uint32());
      case Tag.double:
        return String(this.double());
      default:
        return this.nameOf(tag);
    }
  }

  private map(): Map<unknown, unknown> {
    const map = this.number(new Map<unknown, unknown>());
    let count = 0;
    for (; this.peek() !== Tag.mapEnd; count += 2) {
      const key = this.value();
      map.set(key, this.value());
    }
    this.tag();
    if (this.uint32() !== count) throw this.invalid("the count of a Map is wrong");
    return map;
  }

  private set(): Set<unknown> {
    const set = this.number(new Set<unknown>());
    let count = 0;
    for (; this.peek() !== Tag.setEnd; count++) set.add(this.value());
    this.tag();
    if (this.uint32() !== count) throw this.invalid("the count of a Set is wrong");
    return set;
  }

  private regexp(): RegExp {
    const source = this.string();
    const bits = this.uint32();
    let flags = "";
    REGEXP_FLAGS.forEach((flag, bit) => {
      if ((bits >>> bit) % 2 === 1) flags += flag === "" ? "?" : flag;
    });
    if (bits >>> REGEXP_FLAGS.length !== 0) flags += "?";
    if (flags.includes("?")) throw this.invalid("a regular expression has a flag of V8's own");
    return new RegExp(source, flags);
  }
}

/** Whether an array takes a name for an index: all whole numbers below its greatest length. */
function isIndex(name: string): boolean {
  const index = Number(name) >>> 0;
  return index !== 0xffffffff && String(index) === name;
}
