// Role: the primitive element types of lists. State: none. Must not know: structs.

import { invalidArgument } from "./errors.js";
import { BIT, type Type, TypeInfo, VOID } from "./info.js";
import type { ListState } from "./list-state.js";
import { toInt64, toUint64 } from "./scalars.js";
import type { Segment } from "./segment.js";

class PrimitiveInfo<out T> extends TypeInfo<T> {
  readonly displayName: string;
  readonly code: number;
  private readonly load: (segment: Segment, at: number) => T;
  private readonly store: (segment: Segment, at: number, value: never) => void;

  constructor(
    displayName: string,
    code: number,
    load: (segment: Segment, at: number) => T,
    store: (segment: Segment, at: number, value: never) => void,
  ) {
    super();
    this.displayName = displayName;
    this.code = code;
    this.load = load;
    this.store = store;
  }

  readElement(list: ListState, index: number): T {
    return this.load(list.segment, list.base + index * list.stride);
  }

  writeElement(list: ListState, index: number, value: unknown): void {
    this.store(list.segment, list.base + index * list.stride, value as never);
  }
}

class BoolInfo extends TypeInfo<boolean> {
  readonly displayName = "Bool";
  readonly code = BIT;

  readElement(list: ListState, index: number): boolean {
    return ((list.segment.getUint8(list.base + (index >>> 3)) >>> (index & 7)) & 1) === 1;
  }

  writeElement(list: ListState, index: number, value: unknown): void {
    if (typeof value !== "boolean") throw invalidArgument(`${typeof value} is not a value of Bool`);
    const at = list.base + (index >>> 3);
    const old = list.segment.getUint8(at);
    const flag = 1 << (index & 7);
    list.segment.setUint8(at, value ? old | flag : old & ~flag);
  }
}

class VoidInfo extends TypeInfo<null> {
  readonly displayName = "Void";
  readonly code = VOID;
  readElement(): null {
    return null;
  }
  writeElement(): void {}
}

function integer(name: string, code: number, signed: boolean): Type<number> {
  const bits = 2 << code;
  const low = signed ? -(2 ** (bits - 1)) : 0;
  const high = signed ? 2 ** (bits - 1) - 1 : 2 ** bits - 1;
  const load = {
    Int8: (s: Segment, at: number) => s.getInt8(at),
    UInt8: (s: Segment, at: number) => s.getUint8(at),
    Int16: (s: Segment, at: number) => s.getInt16(at),
    UInt16: (s: Segment, at: number) => s.getUint16(at),
    Int32: (s: Segment, at: number) => s.getInt32(at),
    UInt32: (s: Segment, at: number) => s.getUint32(at),
  }[name]!;
  const put =
    code === 2
      ? (s: Segment, at: number, v: number) => s.setUint8(at, v)
      : code === 3
        ? (s: Segment, at: number, v: number) => s.setUint16(at, v)
        : (s: Segment, at: number, v: number) => s.setUint32(at, v);
  return {
    _capnp: new PrimitiveInfo<number>(name, code, load, (s, at, value: number) => {
      if (!Number.isInteger(value) || value < low || value > high)
        throw invalidArgument(`${String(value)} is not a value of ${name}`);
      put(s, at, value);
    }),
  };
}

function float(name: string, code: number): Type<number> {
  const wide = code === 5;
  return {
    _capnp: new PrimitiveInfo<number>(
      name,
      code,
      wide ? (s, at) => s.getFloat64(at) : (s, at) => s.getFloat32(at),
      (s, at, value: number) => {
        if (typeof value !== "number")
          throw invalidArgument(`${typeof value} is not a value of ${name}`);
        if (wide) s.setFloat64(at, value);
        else s.setFloat32(at, value);
      },
    ),
  };
}

export const Void: Type<null> = { _capnp: /* @__PURE__ */ new VoidInfo() };
export const Bool: Type<boolean> = { _capnp: /* @__PURE__ */ new BoolInfo() };
export const Int8: Type<number> = /* @__PURE__ */ integer("Int8", 2, true);
export const Int16: Type<number> = /* @__PURE__ */ integer("Int16", 3, true);
export const Int32: Type<number> = /* @__PURE__ */ integer("Int32", 4, true);
export const UInt8: Type<number> = /* @__PURE__ */ integer("UInt8", 2, false);
export const UInt16: Type<number> = /* @__PURE__ */ integer("UInt16", 3, false);
export const UInt32: Type<number> = /* @__PURE__ */ integer("UInt32", 4, false);
export const Float32: Type<number> = /* @__PURE__ */ float("Float32", 4);
export const Float64: Type<number> = /* @__PURE__ */ float("Float64", 5);
export const Int64: Type<bigint> = {
  _capnp: /* @__PURE__ */ new PrimitiveInfo<bigint>(
    "Int64",
    5,
    (s, at) => s.getBigInt64(at, true),
    (s, at, value: bigint | number) => s.setBigInt64(at, toInt64(value), true),
  ),
};
export const UInt64: Type<bigint> = {
  _capnp: /* @__PURE__ */ new PrimitiveInfo<bigint>(
    "UInt64",
    5,
    (s, at) => s.getBigUint64(at, true),
    (s, at, value: bigint | number) => s.setBigUint64(at, toUint64(value), true),
  ),
};

/** The element type of an enum: numbers, known to the schema or not (C-VAL-21). */
export function enumType<E extends number>(): Type<E> {
  return UInt16 as Type<E>;
}
