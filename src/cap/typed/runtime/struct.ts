// Role: the base of every generated struct class, and what the runtime knows of one.
// State: the location of the struct. Must not know: any particular struct.

import { ObjectSize, Struct as CapnpStruct } from "capnp-ts";
import { capsOf, copyOver, copyStruct } from "./copy.js";
import { invalidArgument } from "./errors.js";
import { COMPOSITE, type Given, given, PointerInfo, type PointerType } from "./info.js";
import type { ListState } from "./list-state.js";
import { clearPointer, writeStructPointer } from "./pointer.js";
import { allocate, ReadSegment, type Segment, withoutConstructor } from "./segment.js";
import { open, reaches, StructState } from "./state.js";

/** An annotation as applied in the schema; `id` is the annotation's id in hex. The shape is capnp-ts's. */
export interface Annotation {
  id: string;
  value: unknown;
}

/** A generated struct class. */
export interface StructType<out S extends Struct> {
  readonly _capnp: StructInfo<S>;
  new (
    segment: Segment,
    byteOffset: number,
    depthLimit?: number,
    compositeIndex?: number,
    state?: StructState,
  ): S;
}

const UNLIMITED = 0x7fff_ffff;

/**
 * A struct of a message: a view, not a copy. Generated classes add one accessor per field.
 *
 * Getters never write. Those of structs and lists that were never set return empty ones. Setters throw on a struct that
 * was received. See docs/typed.md.
 */
export abstract class Struct extends (withoutConstructor(CapnpStruct) as typeof CapnpStruct) {
  declare readonly _capnp: StructState;

  constructor(
    segment: Segment,
    byteOffset: number,
    depthLimit: number = UNLIMITED,
    compositeIndex?: number,
    state: StructState = new StructState(segment, byteOffset, depthLimit, compositeIndex),
  ) {
    super(segment, byteOffset, depthLimit, compositeIndex);
    (this as { _capnp: StructState })._capnp = state;
    this.segment = segment;
    this.byteOffset = byteOffset;
  }

  /** Sets the fields that `value` has; the others keep what they have. */
  set(_value: object): void {}

  /** The fields as a plain object, of the shape that `set` takes; of a union, the active member. */
  toObject(): object {
    return {};
  }

  override toString(): string {
    return (this.constructor as unknown as StructType<Struct>)._capnp.displayName;
  }

  /**
   * Of results: releases every capability in the message this struct belongs to; clients read from it end too. `dup` a
   * client to keep it. Of params and of messages being built: nothing, their owner does it.
   */
  [Symbol.dispose](): void {
    const caps = capsOf(this.segment);
    if (this.segment instanceof ReadSegment) caps?.close();
  }
}

/** What the runtime knows of a struct type. */
export class StructInfo<out S extends Struct = Struct> extends PointerInfo<S> {
  readonly displayName: string;
  readonly id: string;
  readonly size: ObjectSize;
  readonly dataWords: number;
  readonly pointerCount: number;
  /** The types bound to the type parameters, outermost scope first; empty when nothing is bound. */
  readonly bindings: readonly PointerType<unknown>[];
  private readonly load: Given<StructType<S>>;
  private loaded: StructType<S> | null = null;
  private readonly notes: (() => Annotation[]) | undefined;
  private readonly fieldNotes: (() => Record<string, Annotation[]>) | undefined;
  private bound: StructType<Struct>[] = [];

  constructor(
    load: Given<StructType<S>>,
    displayName: string,
    id: string,
    dataWords: number,
    pointerCount: number,
    annotations: (() => Annotation[]) | undefined,
    fieldAnnotations: (() => Record<string, Annotation[]>) | undefined,
    bindings: readonly PointerType<unknown>[],
  ) {
    super();
    this.load = load;
    this.displayName = displayName;
    this.id = id;
    this.dataWords = dataWords;
    this.pointerCount = pointerCount;
    this.size = new ObjectSize(dataWords * 8, pointerCount);
    this.notes = annotations;
    this.fieldNotes = fieldAnnotations;
    this.bindings = bindings;
  }

  override get code(): number {
    return COMPOSITE;
  }

  /** The class. */
  get type(): StructType<S> {
    return (this.loaded ??= given(this.load));
  }

  /** The annotations applied to the struct. */
  get annotations(): Annotation[] {
    return this.notes?.() ?? [];
  }

  /** The annotations applied to its fields, by name. */
  get fieldAnnotations(): Record<string, Annotation[]> {
    return this.fieldNotes?.() ?? {};
  }

  /** The class with its type parameters bound; the same class for the same types. */
  bind(bindings: readonly PointerType<unknown>[]): StructType<S> {
    for (const known of this.bound)
      if (known._capnp.bindings.every((type, i) => type === bindings[i]))
        return known as StructType<S>;
    const Base = this.type as unknown as new (segment: Segment, byteOffset: number) => Struct;
    class Bound extends Base {
      static _capnp: StructInfo;
    }
    const bound = Bound as unknown as StructType<S>;
    const { displayName, id, dataWords, pointerCount, notes, fieldNotes } = this;
    Bound._capnp = new StructInfo<S>(
      () => bound,
      displayName,
      id,
      dataWords,
      pointerCount,
      notes,
      fieldNotes,
      bindings,
    );
    this.bound.push(bound);
    return bound;
  }

  read(segment: Segment, at: number): S {
    const struct = new this.type(segment, at);
    open(struct._capnp);
    return struct;
  }

  write(segment: Segment, at: number, value: unknown): void {
    if (value === null) {
      clearPointer(segment, at);
      return;
    }
    if (typeof value !== "object")
      throw invalidArgument(`${this.displayName} is set from an object`);
    if (value instanceof Struct) {
      reaches(value._capnp, 0);
      copyStruct(value._capnp, segment, at, this.dataWords, this.pointerCount);
      return;
    }
    this.init(segment, at).set(value!);
  }

  /** Makes a struct with no field set at the pointer. */
  init(segment: Segment, at: number): S {
    const target = allocate(segment, (this.dataWords + this.pointerCount) * 8);
    writeStructPointer(segment, at, target, this.dataWords, this.pointerCount);
    const struct = new this.type(segment, at);
    struct._capnp.place(target, this.dataWords * 8, this.pointerCount);
    return struct;
  }

  override readElement(list: ListState, index: number): S {
    const state = new StructState(list.segment, list.at, UNLIMITED, index);
    state.place(list.base + index * list.stride, list.dataBytes, list.pointerCount);
    return new this.type(list.segment, list.at, UNLIMITED, index, state);
  }

  override writeElement(list: ListState, index: number, value: unknown): void {
    if (value === null || value === undefined) return;
    if (value instanceof Struct) {
      const base = list.base + index * list.stride;
      reaches(value._capnp, 0);
      copyOver(value._capnp, list.segment, base, list.dataBytes, list.pointerCount);
      return;
    }
    if (typeof value !== "object")
      throw invalidArgument(`${this.displayName} is set from an object`);
    this.readElement(list, index).set(value);
  }
}

/**
 * Describes a generated struct class.
 * @param type gives the class: as a function, since a bundler may take the call out of the class it stands in.
 * @param id the type's id in hex, as capnp-ts keeps it. @param dataWords, pointerCount its size in this schema.
 */
export function structInfo<S extends Struct>(
  type: Given<StructType<S>>,
  displayName: string,
  id: string,
  dataWords: number,
  pointerCount: number,
  annotations?: () => Annotation[],
  fieldAnnotations?: () => Record<string, Annotation[]>,
): StructInfo<S> {
  return new StructInfo(
    type,
    displayName,
    id,
    dataWords,
    pointerCount,
    annotations,
    fieldAnnotations,
    [],
  );
}

/** The results of a `-> stream` method: nothing. */
export class StreamResult extends Struct {
  static override readonly _capnp: StructInfo<StreamResult> = /* @__PURE__ */ structInfo(
    () => StreamResult,
    "capnp/stream.capnp:StreamResult",
    "995f9a3377c0b16e",
    0,
    0,
  );
}
