// Role: the copy that a walk left, as the nested arrays of the extended form, and the bytes of its tail.
// State: one value's numbering. Must not know: user objects: no code of the user's runs here.

import type { ErrorPolicy } from "../../../base/errors.js";
import type { ValueLimits } from "./contract.js";
import { overLimit, unsendable } from "./failures.js";
import { FIRST_OBJECT, GROWTH_SHIFT, Kind, VIEW_TYPES, weightOf } from "./kinds.js";
import { growthOf } from "./memory.js";
import { BufferPart, type BytesRead, ErrorPart, Part, Utf16Part, ViewPart } from "./parts.js";
import { toldParts } from "./tell.js";
import { isWellFormed } from "./text.js";

type Node = unknown[];

export class Lowering {
  /** What follows the MessagePack, in order. */
  readonly tail: Uint8Array[] = [];
  tailBytes = 0;
  private readonly limits: ValueLimits;
  private readonly numbers = new Map<object, number>();
  private next = 0;
  private nodes = 1;
  private readonly errors: ErrorPolicy | null;
  private readonly again: boolean;

  /**
   * @param errors what is told of errors; null for what anybody may know.
   * @param again whether the same copy will be lowered again: it must read the same memory then.
   */
  constructor(limits: ValueLimits, errors: ErrorPolicy | null, again: boolean) {
    this.limits = limits;
    this.errors = errors;
    this.again = again;
  }

  /** @throws RpcError limit-exceeded. */
  lower(copy: unknown): unknown {
    if (typeof copy !== "object" || copy === null) return copy;
    const part = copy instanceof Part ? copy : null;
    if (part !== null && part.kind < FIRST_OBJECT) return this.primitive(part);
    const number = this.numbers.get(copy);
    if (number !== undefined) return this.count([Kind.again, number]);
    this.numbers.set(copy, this.next++);
    if (part === null) return Array.isArray(copy) ? this.array(copy) : this.object(copy);
    if (part instanceof BufferPart) return this.wholeBuffer(part);
    if (part instanceof ViewPart) return this.view(part);
    // Holes and room to grow are charged as the receiver charges them.
    if (part.kind === Kind.sparse) this.nodes += part.parts[0] as number;
    const node: Node = [part.kind];
    const { errors } = this;
    const parts =
      errors !== null && part instanceof ErrorPart ? toldParts(part, errors) : part.parts;
    for (const item of parts) node.push(this.lower(item));
    return this.count(node);
  }

  private primitive(part: Part): Node {
    const node: Node = [part.kind, ...part.parts];
    if (part instanceof Utf16Part) node.push(this.attach(utf16(part.text)));
    return this.count(node);
  }

  private array(copy: readonly unknown[]): Node {
    const node: Node = [Kind.array];
    for (const item of copy) node.push(this.lower(item));
    return this.count(node);
  }

  private object(copy: object): Node {
    const node: Node = [Kind.object];
    for (const name of Object.keys(copy)) {
      node.push(isWellFormed(name) ? name : this.primitive(new Utf16Part(name)));
      node.push(this.lower((copy as Record<string, unknown>)[name]));
    }
    return this.count(node);
  }

  private wholeBuffer(part: BufferPart): Node {
    const { bytes, growth } = this.bytesOf(part, () => new Uint8Array(part.buffer));
    const node: Node = [Kind.buffer, this.attach(bytes)];
    if (growth >= 0) {
      this.nodes += growth >>> GROWTH_SHIFT;
      node.push(growth);
    }
    return this.count(node);
  }

  /**
   * A buffer that one view alone shows travels as that view's bytes: a small window on a large buffer, or on one that
   * Node shares between strangers, must not take the rest along.
   */
  private view(part: ViewPart): Node {
    const { view, shape, type, of } = part;
    const { bytes, offset } = this.bytesOf(part, () => shape.bytesOf(view));
    const length = bytes.length / VIEW_TYPES[type]!.size;
    if (of !== null && (of.held || of.views > 1))
      return this.count([Kind.view, type, this.lower(of), offset, length]);
    this.next++;
    const own = this.count([Kind.buffer, this.attach(bytes)]);
    return this.count([Kind.view, type, own, 0, length]);
  }

  private bytesOf(part: BufferPart | ViewPart, read: () => Uint8Array): BytesRead {
    if (part.read !== null) return part.read;
    const bytes = here(read);
    const growth = part instanceof BufferPart ? growthOf(part.buffer) : -1;
    const found = { bytes, offset: bytes.byteOffset, growth };
    if (this.again) part.read = { ...found, bytes: bytes.slice() };
    return found;
  }

  private attach(bytes: Uint8Array): number {
    this.tail.push(bytes);
    this.tailBytes += bytes.length;
    if (this.tailBytes > this.limits.bytes)
      throw overLimit("bytes", this.limits.bytes, "the value");
    return bytes.length;
  }

  private count(node: Node): Node {
    this.nodes += node.length + weightOf(node[0] as number);
    if (this.nodes > this.limits.nodes) throw overLimit("nodes", this.limits.nodes, "the value");
    return node;
  }
}

/** Memory that was there in the walk, but code that ran later in it may have taken away. */
function here(bytes: () => Uint8Array): Uint8Array {
  try {
    return bytes();
  } catch (error) {
    throw unsendable("the value", "a getter in it took memory away that was to be sent", error);
  }
}

function utf16(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length * 2);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < text.length; i++) view.setUint16(2 * i, text.charCodeAt(i), true);
  return bytes;
}
