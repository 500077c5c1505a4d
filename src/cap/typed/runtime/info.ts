// Role: types as values: what a schema type is at run time, so that lists, generics and AnyPointer can name one.
// State: caches of derived types. Must not know: any particular struct.

import type { Segment } from "./segment.js";
import type { ListState } from "./list-state.js";

/**
 * A type of the schema that can be an element of a list or stand for a type parameter: a generated struct or interface
 * class, `Text`, `Data`, `AnyPointer`, a primitive such as `Int32`, or `listOf(...)` of one of these.
 */
export interface Type<out T> {
  readonly _capnp: TypeInfo<T>;
}

/** A type that is a pointer on the wire: everything but the primitives. Only such a type can bind a type parameter. */
export interface PointerType<out T> {
  readonly _capnp: PointerInfo<T>;
}

/** A class, or a function that gives it; the class itself stands in code that was generated before the function did. */
export type Given<C> = C | (() => C);

/** The class, asked for when it is first needed. */
export function given<C>(type: Given<C>): C {
  const isClass = (type as { prototype?: unknown }).prototype !== undefined;
  return isClass ? (type as C) : (type as () => C)();
}

/** Element codes of the encoding. */
export const VOID = 0;
export const BIT = 1;
export const POINTER = 6;
export const COMPOSITE = 7;

/** What the runtime knows of a type. */
export abstract class TypeInfo<out T> {
  abstract readonly displayName: string;
  /** How a list of this is encoded. */
  abstract readonly code: number;
  /** `listOf` this, made once. */
  list: unknown = null;

  /** Reads element `index`, which is in range. */
  abstract readElement(list: ListState, index: number): T;
  /** Writes element `index`, which is in range and zero. */
  abstract writeElement(list: ListState, index: number, value: unknown): void;
}

/** What the runtime knows of a type that is a pointer on the wire. */
export abstract class PointerInfo<out T> extends TypeInfo<T> {
  /** Whether values are clients; then this is an InterfaceInfo. */
  readonly isCapability: boolean = false;

  get code(): number {
    return POINTER;
  }

  /** Reads the pointer at byte `at`; null included, which reads as the type's empty value. */
  abstract read(segment: Segment, at: number): T;
  /** Writes a value over the pointer at byte `at`. What was there before becomes unreachable. */
  abstract write(segment: Segment, at: number, value: unknown): void;

  readElement(list: ListState, index: number): T {
    return this.read(list.segment, list.pointerBase + index * list.stride);
  }

  writeElement(list: ListState, index: number, value: unknown): void {
    this.write(list.segment, list.pointerBase + index * list.stride, value);
  }
}
