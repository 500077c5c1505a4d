// Role: types of TypeScript that generated code speaks in, and the binding of type parameters.
// State: none. Must not know: any particular type.

import { type AnyInit, AnyPointer } from "./any.js";
import type { CallOptions } from "../../call-options.js";
import type { Client, InterfaceType, ServerOf } from "./client.js";
import type { PointerType } from "./info.js";
import type { InterfaceInfo } from "./interface.js";
import { List, type ListInit } from "./list.js";
import { Struct, type StructInfo, type StructType } from "./struct.js";

/** Bytes of a Data field. */
export type Bytes = Uint8Array;

/** A value that may come later. */
export type Later<T> = T | PromiseLike<T>;

/** What a stream method gives its caller: resolves when more may be sent. */
export type Streamed = Promise<void>;

/** The values of an enum: those the schema knows, and any other number a newer peer may send (C-VAL-21). */
// eslint-disable-next-line typescript/ban-types, typescript/no-empty-object-type -- keeps the known values visible in the union
export type Enum<E> = E[keyof E] | (number & {});

/** What something that reads as `T` is set from. */
export type Init<T> = T extends string
  ? string
  : T extends Uint8Array
    ? Uint8Array
    : T extends AnyPointer
      ? AnyInit
      : T extends List<infer E>
        ? ListInit<Init<E>>
        : T extends Struct
          ? T | InitOf<T>
          : T extends Client
            ? unknown extends ServerOf<T>
              ? T
              : T | ServerOf<T>
            : T;

type InitOf<T> = T extends { set(value: infer I): void } ? I : never;

/** Options of a generic method: the types of its own type parameters; AnyPointer where none is given. */
export interface GenericOptions<T extends readonly PointerType<unknown>[]> extends CallOptions {
  types?: T | undefined;
}

/** A type parameter that is told by `types` alone, not by what the params look like. */
export type Given<T> = NoInfer<T>;

/** The types given with a generic call. */
export function typesOf<T extends readonly PointerType<unknown>[]>(
  options: GenericOptions<T> | undefined,
  count: number,
): T {
  const given = options?.types ?? [];
  return Array.from({ length: count }, (_, i) => given[i] ?? AnyPointer) as unknown as T;
}

/** A generic struct class with its type parameters bound. */
export function bindStruct<S extends Struct>(
  type: { readonly _capnp: StructInfo<Struct> },
  ...types: readonly PointerType<unknown>[]
): StructType<S> {
  return type._capnp.bind(types) as unknown as StructType<S>;
}

/** A generic interface class with its type parameters bound. */
export function bindInterface<C extends Client>(
  type: { readonly _capnp: InterfaceInfo<Client> },
  ...types: readonly PointerType<unknown>[]
): InterfaceType<C> {
  return type._capnp.bind(types) as unknown as InterfaceType<C>;
}

/** A value of a message as a plain one: structs as objects, lists as arrays, all else as it is. */
export function plain<T>(value: T): Init<T> {
  return unwrap(value) as Init<T>;
}

function unwrap(value: unknown): unknown {
  if (value instanceof Struct) return value.toObject();
  if (value instanceof List) return value.map(unwrap);
  return value;
}

/** The name of an enum's value, or undefined for one the schema does not know. */
export function enumName<E extends Readonly<Record<string, number>>>(
  type: E,
  value: number,
): keyof E | undefined {
  for (const name of Object.keys(type)) if (type[name] === value) return name;
  return undefined;
}
