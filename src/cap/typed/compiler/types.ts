// Role: types of the schema as TypeScript: the type a field reads as, the type it is set from, the value that names it.
// State: which other modules the text refers to. Must not know: how fields are laid out.

import type { Schema } from "./schema.js";
import { type Brand, type Parameter, schemaError } from "./schema.js";
import type { Type } from "./schema.capnp.js";

/** Where a type stands: what its type parameters are called there, as values. */
export interface Place {
  /** The node inside which the type stands. */
  readonly scope: bigint;
  /** The value of the type parameter at `index` of the scope's parameters. */
  readonly value: (index: number, name: string) => string;
  /** The TypeScript types that the type parameter reads as and is set from, where they are not its name. */
  readonly read?: (index: number) => string;
  readonly init?: (index: number) => string;
  /** The type parameters of a generic method, in force at the place. */
  readonly implicit?: readonly string[];
}

const PRIMITIVES: Readonly<Record<string, readonly [name: string, read: string, init: string]>> = {
  void: ["Void", "null", "null"],
  bool: ["Bool", "boolean", "boolean"],
  int8: ["Int8", "number", "number"],
  int16: ["Int16", "number", "number"],
  int32: ["Int32", "number", "number"],
  int64: ["Int64", "bigint", "bigint | number"],
  uint8: ["UInt8", "number", "number"],
  uint16: ["UInt16", "number", "number"],
  uint32: ["UInt32", "number", "number"],
  uint64: ["UInt64", "bigint", "bigint | number"],
  float32: ["Float32", "number", "number"],
  float64: ["Float64", "number", "number"],
};

/** The types of one generated module. */
export class Types {
  readonly schema: Schema;
  private readonly file: bigint;
  /** Imported modules by file: the name they go by here, and whether more than types of them are used. */
  readonly imports = new Map<bigint, { name: string; value: boolean }>();

  constructor(schema: Schema, file: bigint) {
    this.schema = schema;
    this.file = file;
  }

  /** The class, enum or constant of a node, as it is called here. */
  ref(id: bigint, value: boolean): string {
    const name = this.schema.nameOf(id);
    const file = this.schema.fileOf(id);
    if (file === this.file) return name;
    let known = this.imports.get(file);
    if (known === undefined) {
      known = { name: this.moduleName(file), value: false };
      this.imports.set(file, known);
    }
    known.value ||= value;
    return `${known.name}.${name}`;
  }

  private moduleName(file: bigint): string {
    const base = this.schema
      .node(file)
      .displayName.split("/")
      .pop()!
      .replace(/\.capnp$/, "");
    const plain = `$${base.replace(/[^A-Za-z0-9]+(.)?/g, (_, next: string | undefined) => (next ?? "").toUpperCase())}`;
    let name = plain;
    for (let n = 2; [...this.imports.values()].some((one) => one.name === name); n++)
      name = `${plain}${n}`;
    return name;
  }

  /** What each type parameter of `id` is bound to. `each` renders a bound type, `own` a parameter in force at the place. */
  private bind(
    id: bigint,
    brand: Brand,
    place: Place,
    each: (type: Type) => string,
    own: (index: number, parameter: Parameter) => string,
  ): string[] {
    const here = this.schema.parametersOf(place.scope);
    return this.schema.parametersOf(id).map((parameter) => {
      const scope = brand.scopes.toArray().find((one) => one.scopeId === parameter.scopeId);
      if (scope === undefined) return this.unscoped(id, parameter, place, own);
      if (scope.which === "inherit") {
        const index = here.findIndex((one) => same(one, parameter));
        return index < 0 ? "" : own(index, here[index]!);
      }
      const binding = scope.which === "bind" ? scope.bind.toArray()[parameter.index] : undefined;
      return binding === undefined || binding.which !== "type" ? "" : each(binding.type);
    });
  }

  /** The params of a generic method that are declared in place have the method's own type parameters. */
  private unscoped(
    id: bigint,
    parameter: Parameter,
    place: Place,
    own: (index: number, parameter: Parameter) => string,
  ): string {
    if (this.schema.node(id).scopeId !== 0n || parameter.scopeId !== id) return "";
    const name = place.implicit?.[parameter.index];
    return name === undefined ? "" : own(-1 - parameter.index, { ...parameter, name });
  }

  /** The TypeScript arguments of a generic class: `<string, Person>`, or nothing when none is bound. */
  args(id: bigint, brand: Brand, place: Place): string {
    const own = (index: number, parameter: Parameter): string =>
      named(place.read, index, parameter.name);
    const bound = this.bind(id, brand, place, (type) => this.read(type, place), own);
    return bound.every((one) => one === "")
      ? ""
      : `<${bound.map((one) => one || "$.AnyPointer").join(", ")}>`;
  }

  /** The class of a struct or interface as a value, bound as its brand says. */
  classOf(id: bigint, brand: Brand, place: Place): string {
    const own = (index: number, parameter: Parameter): string =>
      index < 0 ? parameter.name : place.value(index, parameter.name);
    const bound = this.bind(id, brand, place, (type) => this.value(type, place), own);
    const name = this.ref(id, true);
    return bound.every((one) => one === "")
      ? name
      : `${name}.of(${bound.map((one) => one || "$.AnyPointer").join(", ")})`;
  }

  /** The place inside a superclass: its type parameters are what the brand binds them to at `place`. */
  within(id: bigint, brand: Brand, place: Place): Place {
    const reads = this.bind(
      id,
      brand,
      place,
      (type) => this.read(type, place),
      (index, one) => named(place.read, index, one.name),
    );
    const values = this.bind(
      id,
      brand,
      place,
      (type) => this.value(type, place),
      (index, one) => place.value(index, one.name),
    );
    const inits = this.bind(
      id,
      brand,
      place,
      (type) => this.init(type, place),
      (index, one) => named(place.init, index, `$.Init<${one.name}>`),
    );
    return {
      scope: id,
      value: (index) => values[index] || "$.AnyPointer",
      read: (index) => reads[index] || "$.AnyPointer",
      init: (index) => inits[index] || "$.AnyInit",
    };
  }

  private parameter(type: Type, place: Place): { index: number; name: string } | null {
    if (type.which !== "anyPointer") return null;
    const any = type.anyPointer;
    if (any.which === "implicitMethodParameter") {
      const name = place.implicit?.[any.implicitMethodParameter.parameterIndex];
      return name === undefined ? null : { index: -1, name };
    }
    if (any.which !== "parameter") return null;
    const { scopeId, parameterIndex } = any.parameter;
    const here = this.schema.parametersOf(place.scope);
    const index = here.findIndex((one) => one.scopeId === scopeId && one.index === parameterIndex);
    return index < 0 ? null : { index, name: here[index]!.name };
  }

  private parameterRead(type: Type, place: Place): string | undefined {
    const parameter = this.parameter(type, place);
    return parameter === null ? undefined : named(place.read, parameter.index, parameter.name);
  }

  /** The TypeScript type that a value of `type` is read as. */
  read(type: Type, place: Place): string {
    const { which } = type;
    const primitive = PRIMITIVES[which];
    if (primitive !== undefined) return primitive[1];
    switch (which) {
      case "text":
        return "string";
      case "data":
        return "$.Bytes";
      case "list":
        return `$.List<${this.read(type.list.elementType, place)}>`;
      case "enum":
        return this.ref(type.enum.typeId, false);
      case "struct":
        return (
          this.ref(type.struct.typeId, false) +
          this.args(type.struct.typeId, type.struct.brand, place)
        );
      case "interface":
        return (
          this.ref(type.interface.typeId, false) +
          this.args(type.interface.typeId, type.interface.brand, place)
        );
      case "anyPointer":
        return (
          this.parameterRead(type, place) ?? (isCapability(type) ? "$.Client" : "$.AnyPointer")
        );
      default:
        throw unknownType(which);
    }
  }

  /** The TypeScript type that a field of `type` is set from. */
  init(type: Type, place: Place): string {
    const { which } = type;
    const primitive = PRIMITIVES[which];
    if (primitive !== undefined) return primitive[2];
    switch (which) {
      case "text":
        return "string | null";
      case "data":
        return "$.Bytes | null";
      case "list":
        return `$.ListInit<${this.init(type.list.elementType, place)}> | null`;
      case "enum":
        return this.ref(type.enum.typeId, false);
      case "struct": {
        const name = this.ref(type.struct.typeId, false);
        const args = this.args(type.struct.typeId, type.struct.brand, place);
        return `${name}.From${args}`;
      }
      case "interface": {
        const name = this.ref(type.interface.typeId, false);
        const args = this.args(type.interface.typeId, type.interface.brand, place);
        return `${name}.From${args}`;
      }
      default: {
        const parameter = this.parameter(type, place);
        if (parameter !== null)
          return `${named(place.init, parameter.index, `$.Init<${parameter.name}>`)} | null`;
        return isCapability(type) ? "$.Client | null" : "$.AnyInit";
      }
    }
  }

  /** The type as a value of the running program. */
  value(type: Type, place: Place): string {
    const { which } = type;
    const primitive = PRIMITIVES[which];
    if (primitive !== undefined) return `$.${primitive[0]}`;
    switch (which) {
      case "text":
        return "$.Text";
      case "data":
        return "$.Data";
      case "list":
        return `$.listOf(${this.value(type.list.elementType, place)})`;
      case "enum":
        return `$.enumType<${this.ref(type.enum.typeId, false)}>()`;
      case "struct":
        return this.classOf(type.struct.typeId, type.struct.brand, place);
      case "interface":
        return this.classOf(type.interface.typeId, type.interface.brand, place);
      default: {
        const parameter = this.parameter(type, place);
        if (parameter === null) return isCapability(type) ? "$.Capability" : "$.AnyPointer";
        return parameter.index < 0 ? parameter.name : place.value(parameter.index, parameter.name);
      }
    }
  }

  /** The declaration of a node's type parameters: `<T = $.AnyPointer>`, or nothing. */
  declare(id: bigint): string {
    const all = this.declarations(id);
    return all.length === 0 ? "" : `<${all.join(", ")}>`;
  }

  /** The same, one by one. */
  declarations(id: bigint): string[] {
    return this.schema.parametersOf(id).map(({ name }) => `${name} = $.AnyPointer`);
  }

  /** A node's type parameters handed on: `<T>`, or nothing. */
  own(id: bigint): string {
    const all = this.schema.parametersOf(id);
    return all.length === 0 ? "" : `<${all.map(({ name }) => name).join(", ")}>`;
  }
}

/** What a place calls a type parameter; those of a generic method, with a negative index, go by their name. */
function named(at: ((index: number) => string) | undefined, index: number, name: string): string {
  return at === undefined || index < 0 ? name : at(index);
}

function same(a: Parameter, b: Parameter): boolean {
  return a.scopeId === b.scopeId && a.index === b.index;
}

function isCapability(type: Type): boolean {
  if (type.which !== "anyPointer") return false;
  const any = type.anyPointer;
  return any.which === "unconstrained" && any.unconstrained.which === "capability";
}

export function unknownType(which: string): Error {
  return schemaError(`a type of kind ${which} is newer than this compiler`);
}
