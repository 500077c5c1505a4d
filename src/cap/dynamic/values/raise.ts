// Role: the nested arrays of the extended form to the value they stand for.
// State: one value's objects, in the order of their numbers, and how much of the tail is used. Must not know: MessagePack.
//
// The tree is a stranger's. It is no deeper than scan.ts allowed, and holds only arrays, strings, numbers, booleans, nulls
// and bigints; everything else is checked here. Nothing is assigned by name to an object that has a prototype to lose.

import { RpcError } from "../../../base/errors.js";
import type { ReferenceSource, ValueLimits } from "./contract.js";
import { invalidValue, overLimit, unknownClass } from "./failures.js";
import { FIRST_OBJECT, GROWTH_SHIFT, Kind, VIEW_TYPES, weightOf } from "./kinds.js";
import { raiseError } from "./raise-errors.js";
import { raiseHeaders, raiseRequest, raiseResponse, raiseUrl } from "./raise-web.js";
import type { ValueTypes } from "./types.js";

/** Stands for an object whose parts are still being read and that cannot exist before them. */
const PENDING = Symbol("pending");

/** A node, its kind first. */
export type Node = readonly unknown[];

/** What the makers of single kinds may ask of a raising. */
export interface Raiser {
  /** The value of one part of a node. */
  raise(part: unknown): unknown;
  /** Numbers an object before its parts are raised: they may lead back to it. */
  number<T>(object: T): T;
  readonly types: ValueTypes;
}

export class Raising implements Raiser {
  readonly types: ValueTypes;
  private readonly refs: ReferenceSource;
  private readonly limits: ValueLimits;
  private readonly tail: Uint8Array;
  private tailAt = 0;
  private nodes: number;
  private readonly objects: unknown[] = [];

  /** @param nodes how many were counted already. */
  constructor(
    refs: ReferenceSource,
    types: ValueTypes,
    limits: ValueLimits,
    nodes: number,
    tail: Uint8Array,
  ) {
    this.refs = refs;
    this.types = types;
    this.limits = limits;
    this.nodes = nodes;
    this.tail = tail;
  }

  /** @throws RpcError when bytes are left over. */
  run(tree: unknown): unknown {
    const value = this.raise(tree);
    if (this.tailAt !== this.tail.length) throw invalidValue("bytes follow its end");
    return value;
  }

  raise(part: unknown): unknown {
    if (typeof part !== "object" || part === null) return part;
    const node = part as Node;
    const kind = node[0];
    if (typeof kind !== "number") throw invalidValue("a node has no kind");
    this.charge(weightOf(kind));
    switch (kind) {
      case Kind.undefined:
        exactly(node, 1);
        return undefined;
      case Kind.negativeZero:
        exactly(node, 1);
        return -0;
      case Kind.bigint:
        return bigint(node);
      case Kind.utf16:
        return this.utf16(node);
      case Kind.again:
        return this.again(node);
      case Kind.array:
        return this.array(node);
      case Kind.object:
        return this.object(node);
      case Kind.sparse:
        return this.sparse(node);
      case Kind.map:
        return this.map(node);
      case Kind.set:
        return this.set(node);
      case Kind.error:
        return raiseError(this, node);
      case Kind.headers:
        return raiseHeaders(this, node);
      default:
        return this.late(kind, node);
    }
  }

  number<T>(object: T): T {
    this.objects.push(object);
    return object;
  }

  /** The kinds that are made when all their parts are. */
  private late(kind: number, node: Node): unknown {
    if (kind < FIRST_OBJECT || !Number.isInteger(kind)) throw invalidValue(`no kind ${kind}`);
    const at = this.objects.push(PENDING) - 1;
    const object = this.make(kind, node);
    this.objects[at] = object;
    return object;
  }

  private make(kind: number, node: Node): unknown {
    switch (kind) {
      case Kind.reference:
        return this.reference(node);
      case Kind.date:
        exactly(node, 2);
        return new Date(numeric(node[1]));
      case Kind.boxed:
        return this.boxed(node);
      case Kind.regexp:
        exactly(node, 3);
        return new RegExp(string(this.raise(node[1])), string(node[2]));
      case Kind.buffer:
        return this.buffer(node);
      case Kind.view:
        return this.view(node);
      case Kind.url:
        return raiseUrl(this, node);
      case Kind.request:
        return raiseRequest(this, node);
      case Kind.response:
        return raiseResponse(this, node);
      case Kind.registered:
        return this.registered(node);
      default:
        throw invalidValue(`no kind ${kind}`);
    }
  }

  private again(node: Node): unknown {
    exactly(node, 2);
    const number = count(node[1]);
    if (number >= this.objects.length) throw invalidValue(`there is no object ${number} yet`);
    const object = this.objects[number];
    if (object === PENDING) throw invalidValue("an object is part of itself that cannot be");
    return object;
  }

  private array(node: Node): unknown[] {
    const length = node.length - 1;
    const array: unknown[] = this.number([]);
    for (let i = 0; i < length; i++) array.push(this.raise(node[i + 1]));
    return array;
  }

  private object(node: Node): object {
    const object: Record<string, unknown> = this.number({});
    for (let i = 1; i < node.length; i += 2) {
      const name = string(this.raise(node[i]));
      define(object, name, this.raise(pairOf(node, i)));
    }
    return object;
  }

  private sparse(node: Node): unknown[] {
    const length = count(node[1]);
    this.charge(length);
    const array: unknown[] = this.number([]);
    array.length = length;
    for (let i = 2; i < node.length; i += 2) {
      const key = this.raise(node[i]);
      const value = this.raise(pairOf(node, i));
      if (typeof key === "number") {
        if (count(key) >= length) throw invalidValue("an array has an index past its length");
        array[key] = value;
      } else {
        const name = string(key);
        // An index as text could make the array longer than was charged; so could "length".
        if (name === "length" || isIndex(name))
          throw invalidValue("an array has a name that is an index");
        define(array, name, value);
      }
    }
    return array;
  }

  private map(node: Node): Map<unknown, unknown> {
    const map = this.number(new Map<unknown, unknown>());
    for (let i = 1; i < node.length; i += 2) {
      const key = this.raise(node[i]);
      map.set(key, this.raise(pairOf(node, i)));
    }
    return map;
  }

  private set(node: Node): Set<unknown> {
    const set = this.number(new Set<unknown>());
    for (let i = 1; i < node.length; i++) set.add(this.raise(node[i]));
    return set;
  }

  private reference(node: Node): unknown {
    exactly(node, 3);
    const kind = count(node[1]);
    return this.refs.revive(kind, count(node[2]));
  }

  private boxed(node: Node): unknown {
    exactly(node, 2);
    const primitive = this.raise(node[1]);
    if (primitive === null || typeof primitive === "object" || primitive === undefined)
      throw invalidValue("a box holds no primitive");
    return Object(primitive);
  }

  private buffer(node: Node): ArrayBuffer {
    const bytes = this.take(count(node[1]));
    if (node.length === 2) {
      const buffer = new ArrayBuffer(bytes.length);
      new Uint8Array(buffer).set(bytes);
      return buffer;
    }
    exactly(node, 3);
    const most = count(node[2]);
    // An engine may set the memory aside at once.
    if (most > this.limits.bytes) throw overLimit("bytes", this.limits.bytes, "a buffer's growth");
    this.charge(most >>> GROWTH_SHIFT);
    const Resizable = ArrayBuffer as unknown as new (
      length: number,
      options: { maxByteLength: number },
    ) => ArrayBuffer;
    const buffer = new Resizable(bytes.length, { maxByteLength: most });
    new Uint8Array(buffer).set(bytes);
    return buffer;
  }

  private view(node: Node): unknown {
    exactly(node, 5);
    const type = VIEW_TYPES[count(node[1])];
    if (type === undefined) throw invalidValue(`no type ${String(node[1])} of views`);
    const buffer = this.raise(node[2]);
    if (!(buffer instanceof ArrayBuffer)) throw invalidValue("a view shows no buffer");
    return new type.make(buffer, count(node[3]), count(node[4]));
  }

  private registered(node: Node): unknown {
    exactly(node, 3);
    const name = string(this.raise(node[1]));
    const codec = this.types.codecNamed(name);
    if (codec === undefined) throw unknownClass(name);
    const content = this.raise(node[2]);
    try {
      return codec.decode(content);
    } catch (error) {
      if (error instanceof RpcError) throw error;
      throw invalidValue(`the codec for ${JSON.stringify(name)} refused its content`, error);
    }
  }

  private utf16(node: Node): string {
    exactly(node, 2);
    const length = count(node[1]);
    if (length % 2 !== 0) throw invalidValue("a string has half a unit");
    const bytes = this.take(length);
    const view = new DataView(bytes.buffer, bytes.byteOffset, length);
    const units: string[] = [];
    for (let at = 0; at < length; at += 2)
      units.push(String.fromCharCode(view.getUint16(at, true)));
    return units.join("");
  }

  private take(length: number): Uint8Array {
    if (length > this.tail.length - this.tailAt) throw invalidValue("it ends too early");
    const at = this.tailAt;
    this.tailAt += length;
    return this.tail.subarray(at, this.tailAt);
  }

  private charge(nodes: number): void {
    this.nodes += nodes;
    if (this.nodes > this.limits.nodes) throw overLimit("nodes", this.limits.nodes, "the value");
  }
}

const HEX = /^-?[0-9a-f]+$/;

function bigint(node: Node): bigint {
  exactly(node, 2);
  const digits = node[1];
  if (typeof digits !== "string" || !HEX.test(digits)) throw invalidValue("a bigint has no digits");
  return digits.startsWith("-") ? -BigInt(`0x${digits.slice(1)}`) : BigInt(`0x${digits}`);
}

/** Gives `object` an own property, whatever its name: an assignment would reach the prototype's setter of `__proto__`. */
export function define(object: object, name: string, value: unknown): void {
  if (name === "__proto__" || Array.isArray(object))
    Object.defineProperty(object, name, {
      value,
      enumerable: true,
      writable: true,
      configurable: true,
    });
  else (object as Record<string, unknown>)[name] = value;
}

/** Whether an array takes a name for an index: all whole numbers below its greatest length. */
function isIndex(name: string): boolean {
  const index = Number(name) >>> 0;
  return index !== 0xffffffff && String(index) === name;
}

export function exactly(node: Node, length: number): void {
  if (node.length !== length) throw invalidValue(`a node of kind ${String(node[0])} is too long`);
}

/** What stands behind a key. */
export function pairOf(node: Node, at: number): unknown {
  if (at + 1 >= node.length) throw invalidValue("a key has no value");
  return node[at + 1];
}

export function string(value: unknown): string {
  if (typeof value !== "string") throw invalidValue("something is no string that must be");
  return value;
}

function numeric(value: unknown): number {
  if (typeof value !== "number") throw invalidValue("something is no number that must be");
  return value;
}

/** A whole number that is not negative. */
export function count(value: unknown): number {
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0)
    throw invalidValue("something is no count that must be");
  return value;
}
