// Role: annotations of the schema at run time. State: none. Must not know: what they mean.

import type { Annotation } from "./struct.js";

/** Something generated that carries annotations: a struct or interface class, an enum's `$info`, a file's list. */
type Annotated =
  | { readonly _capnp: { readonly annotations: readonly Annotation[] } }
  | { readonly annotations: readonly Annotation[] }
  | readonly Annotation[];

interface WithFields {
  readonly _capnp: { readonly fieldAnnotations: Readonly<Record<string, readonly Annotation[]>> };
}

/** A declared annotation. */
export class AnnotationType<T> {
  /** The annotation's id, 16 hex digits. */
  readonly id: string;

  constructor(id: string) {
    this.id = id;
  }

  /** Its value on something generated; the last one when it was applied more than once; undefined when it was not. */
  of(target: Annotated): T | undefined {
    if ("_capnp" in target) return this.find(target._capnp.annotations);
    return this.find("annotations" in target ? target.annotations : target);
  }

  /** Its value on a field of a struct class. */
  ofField(target: WithFields, field: string): T | undefined {
    const { fieldAnnotations } = target._capnp;
    return Object.hasOwn(fieldAnnotations, field) ? this.find(fieldAnnotations[field]!) : undefined;
  }

  private find(applied: readonly Annotation[]): T | undefined {
    let value: T | undefined;
    for (const one of applied) if (one.id === this.id) value = one.value as T;
    return value;
  }
}

/** Declares an annotation. @param id 16 hex digits. */
export function annotation<T>(id: string): AnnotationType<T> {
  return new AnnotationType<T>(id);
}

/** The annotations of an enum and of its enumerants. */
export interface EnumInfo {
  readonly displayName: string;
  readonly annotations: readonly Annotation[];
  readonly enumerants: Readonly<Record<string, readonly Annotation[]>>;
}
