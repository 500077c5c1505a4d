// Role: lists: finding their elements, also across the legal changes of an element type, and building them.
// State: none but the list's location. Must not know: what the elements mean.

import { Pointer } from "capnp-ts";
import { copyPointer, forget } from "./copy.js";
import { invalidArgument, invalidPayload } from "./errors.js";
import { BIT, COMPOSITE, POINTER, PointerInfo, type Type, type TypeInfo, VOID } from "./info.js";
import { ListState } from "./list-state.js";
import {
  clearPointer,
  ELEMENT_BYTES,
  found,
  inside,
  LIST,
  resolve,
  writeListPointer,
} from "./pointer.js";
import { KINDS } from "./state.js";
import { allocate, type Segment } from "./segment.js";
import type { StructInfo } from "./struct.js";

/** What a list field can be set to: anything with a length and indexes, or a list that was read, which is copied. */
export type ListInit<I> = ArrayLike<I> | List<unknown>;

/**
 * A list of a message. Elements are read when they are asked for.
 *
 * @example for (const person of book.people) console.log(person.name);
 */
export class List<out T> extends Pointer implements Iterable<T> {
  declare readonly _capnp: ListState;
  readonly length: number;
  private readonly element: TypeInfo<T>;

  constructor(element: TypeInfo<T>, state: ListState, pointerSegment: Segment) {
    super(pointerSegment, state.at);
    (this as { _capnp: ListState })._capnp = state;
    this.element = element;
    this.length = state.length;
  }

  /**
   * Element `index`, from 0.
   * @throws RpcError invalid-argument when there is no such element; invalid-payload when a received element does not
   *   fit its type (C-VAL).
   */
  get(index: number): T {
    this.check(index);
    return this.element.readElement(this._capnp, index);
  }

  /** Sets element `index` of a list that is being built. */
  set(index: number, value: unknown): void {
    this.check(index);
    const { segment, pointerBase, stride, pointerCount } = this._capnp;
    for (let i = 0; i < pointerCount; i++) {
      const at = pointerBase + index * stride + i * 8;
      forget(segment, at);
      clearPointer(segment, at);
    }
    this.element.writeElement(this._capnp, index, value);
  }

  *[Symbol.iterator](): Iterator<T> {
    for (let i = 0; i < this.length; i++) yield this.element.readElement(this._capnp, i);
  }

  map<R>(each: (value: T, index: number) => R): R[] {
    const out: R[] = [];
    for (let i = 0; i < this.length; i++)
      out.push(each(this.element.readElement(this._capnp, i), i));
    return out;
  }

  toArray(): T[] {
    return this.map((value) => value);
  }

  override toString(): string {
    return `List(${this.element.displayName}) of ${this.length}`;
  }

  private check(index: number): void {
    if (!(index >= 0 && index < this.length) || !Number.isInteger(index))
      throw invalidArgument(`there is no element ${index} in a list of ${this.length}`);
  }
}

/** What the runtime knows of a list type. */
export class ListInfo<out T> extends PointerInfo<List<T>> {
  readonly element: TypeInfo<T>;

  constructor(element: TypeInfo<T>) {
    super();
    this.element = element;
  }

  get displayName(): string {
    return `List(${this.element.displayName})`;
  }

  read(segment: Segment, at: number): List<T> {
    return new List(this.element, openList(segment, at, this.element), segment);
  }

  write(segment: Segment, at: number, value: unknown): void {
    if (value === null) {
      clearPointer(segment, at);
      return;
    }
    if (value instanceof List) {
      copyPointer(value.segment, value.byteOffset, segment, at);
      return;
    }
    const items = value as ArrayLike<unknown>;
    if (typeof value !== "object" || typeof items.length !== "number")
      throw invalidArgument(`a ${this.displayName} is set from an array, not from ${typeof value}`);
    const list = this.init(segment, at, items.length);
    for (let i = 0; i < items.length; i++) this.element.writeElement(list._capnp, i, items[i]);
  }

  /** Makes a zeroed list of `length` elements at the pointer. */
  init(segment: Segment, at: number, length: number): List<T> {
    const { element } = this;
    if (!Number.isSafeInteger(length) || length < 0)
      throw invalidArgument(`a list of ${length} elements cannot be built`);
    if (element.code === COMPOSITE) {
      const struct = element as unknown as StructInfo;
      const words = struct.dataWords + struct.pointerCount;
      const target = allocate(segment, 8 + words * 8 * length);
      writeListPointer(segment, at, target, COMPOSITE, words * length);
      segment.setInt32(target, length << 2);
      segment.setInt32(target + 4, struct.dataWords | (struct.pointerCount << 16));
    } else {
      const bytes =
        element.code === BIT ? (length + 7) >>> 3 : ELEMENT_BYTES[element.code]! * length;
      writeListPointer(segment, at, allocate(segment, bytes), element.code, length);
    }
    return this.read(segment, at);
  }
}

/**
 * The list type of an element type.
 * @example listOf(Person), listOf(listOf(Int32))
 */
export function listOf<T>(element: Type<T>): { readonly _capnp: ListInfo<T> } {
  const info = element._capnp;
  return (info.list ??= { _capnp: new ListInfo(info) }) as { readonly _capnp: ListInfo<T> };
}

/**
 * Finds the elements of the list at a pointer.
 * @throws RpcError invalid-payload when what is there cannot be read as a list of `element` (C-VAL-09, 17, 18, 19).
 */
export function openList(segment: Segment, at: number, element: TypeInfo<unknown>): ListState {
  const kind = resolve(segment, at);
  if (kind < 0) return new ListState(segment, at, 0, 0, 0, 0, 0);
  if (kind !== LIST)
    throw invalidPayload(`expected a List(${element.displayName}), found ${KINDS[kind]!}`);
  const content = found.segment;
  const code = found.hi & 7;
  const count = found.hi >>> 3;
  if (code === COMPOSITE) return openComposite(content, at, found.target, count, element);
  const wanted = element.code;
  const stride = ELEMENT_BYTES[code]!;
  inside(content, found.target, code === BIT ? (count + 7) >>> 3 : stride * count, "a list");
  if (wanted === COMPOSITE ? code === BIT : wanted !== code && !widens(code, wanted))
    throw mismatch(code, element);
  const dataBytes = code === POINTER ? 0 : stride;
  return new ListState(
    content,
    at,
    found.target,
    stride,
    dataBytes,
    code === POINTER ? 1 : 0,
    count,
  );
}

/** Whether a list of `code` holds, at the start of each element, one of the smaller `wanted` (C-VAL-19). */
function widens(code: number, wanted: number): boolean {
  if (wanted === VOID) return true;
  return wanted !== BIT && code !== BIT && code !== POINTER && wanted !== POINTER && code > wanted;
}

/** A list of structs, also where an older reader wants their first field only (C-VAL-10, 19). */
function openComposite(
  content: Segment,
  at: number,
  tagAt: number,
  words: number,
  element: TypeInfo<unknown>,
): ListState {
  inside(content, tagAt, 8 + words * 8, "a list");
  const tag = content.getInt32(tagAt);
  const size = content.getInt32(tagAt + 4);
  if ((tag & 3) !== 0) throw invalidPayload("the tag of a list of structs is not a struct pointer");
  const length = tag >>> 2;
  const dataBytes = (size & 0xffff) * 8;
  const pointerCount = size >>> 16;
  const stride = dataBytes + pointerCount * 8;
  if (stride * length > words * 8)
    throw invalidPayload("a list of structs is larger than its words");
  const wanted = element.code;
  if (wanted === BIT) throw mismatch(COMPOSITE, element);
  if (wanted === POINTER ? pointerCount === 0 : wanted > BIT && wanted < POINTER && dataBytes === 0)
    throw mismatch(COMPOSITE, element);
  return new ListState(content, at, tagAt + 8, stride, dataBytes, pointerCount, length);
}

const CODES = ["void", "bit", "byte", "two-byte", "four-byte", "eight-byte", "pointer", "struct"];

function mismatch(code: number, element: TypeInfo<unknown>): Error {
  return invalidPayload(
    `a list of ${CODES[code]!} elements cannot be read as a List(${element.displayName})`,
  );
}
