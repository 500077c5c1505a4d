// Role: values of the schema as TypeScript: defaults, constants, the values of annotations.
// State: none. Must not know: which field or constant a value belongs to.

import type { AnyPointer } from "../runtime/any.js";
import { copyPointer } from "../runtime/copy.js";
import { BuildSegment, TypedMessage } from "../runtime/segment.js";
import type { Annotation, Type, Value } from "./schema.capnp.js";
import { hex } from "./schema.js";
import type { Types } from "./types.js";
import { type Place, unknownType } from "./types.js";
import { block, call, type Doc, hardline, indent, list, object } from "./doc.js";

/** A string of TypeScript, in the kind of quotes that needs fewer escapes. */
export function quote(text: string): string {
  const json = JSON.stringify(text).replace(
    /[\u2028\u2029\u007f-\u009f]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
  const doubles = text.split('"').length;
  if (doubles <= text.split("'").length) return json;
  return `'${json.slice(1, -1).replaceAll('\\"', '"').replaceAll("'", "\\'")}'`;
}

/** A number of TypeScript that reads back as the very same value. */
function number(value: number): string {
  if (Number.isNaN(value)) return "0 / 0";
  if (value === Infinity) return "1 / 0";
  if (value === -Infinity) return "-1 / 0";
  if (Object.is(value, -0)) return "-0";
  return String(value);
}

const scratch = new DataView(new ArrayBuffer(8));

/** The arguments behind the position in a scalar accessor: the default as it is XORed in; none for zero. */
export function mask(value: Value): string[] {
  switch (value.which) {
    case "bool":
      return value.bool ? ["true"] : [];
    case "int8":
      return some(value.int8);
    case "int16":
      return some(value.int16);
    case "int32":
      return some(value.int32);
    case "uint8":
      return some(value.uint8);
    case "uint16":
      return some(value.uint16);
    case "uint32":
      return some(value.uint32);
    case "enum":
      return some(value.enum);
    case "int64":
      return value.int64 === 0n ? [] : [`${value.int64}n`];
    case "uint64":
      return value.uint64 === 0n ? [] : [`${value.uint64}n`];
    case "float32":
      scratch.setFloat32(0, value.float32);
      return some(scratch.getInt32(0));
    case "float64": {
      scratch.setFloat64(0, value.float64);
      const lo = scratch.getInt32(4);
      const hi = scratch.getInt32(0);
      return lo === 0 && hi === 0 ? [] : [String(lo), String(hi)];
    }
    default:
      return [];
  }
}

function some(value: number): string[] {
  return value === 0 ? [] : [String(value)];
}

/** The bytes of a pointer's value: one segment with the pointer in word 0. */
export function encode(pointer: AnyPointer): string {
  const buffer = new ArrayBuffer(1024);
  const message = new TypedMessage(buffer, null);
  const segment = new BuildSegment(message, buffer, 8);
  message._capnp.segments.push(segment);
  copyPointer(pointer.segment, pointer.byteOffset, segment, 0);
  let binary = "";
  for (const byte of new Uint8Array(segment.buffer, 0, segment.byteLength))
    binary += String.fromCharCode(byte);
  return btoa(binary);
}

/** Data as the same kind of bytes. */
export function encodeData(data: Uint8Array): string {
  const padded = (data.length + 7) & -8;
  const bytes = new Uint8Array(8 + padded);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, 1, true);
  view.setUint32(4, (data.length << 3) | 2, true);
  bytes.set(data, 8);
  let binary = "";
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary);
}

/** A value as an expression. */
export function expression(types: Types, type: Type, value: Value, place: Place): Doc {
  switch (value.which) {
    case "void":
    case "interface":
      return "null";
    case "bool":
      return String(value.bool);
    case "int8":
      return number(value.int8);
    case "int16":
      return number(value.int16);
    case "int32":
      return number(value.int32);
    case "int64":
      return `${value.int64}n`;
    case "uint8":
      return number(value.uint8);
    case "uint16":
      return number(value.uint16);
    case "uint32":
      return number(value.uint32);
    case "uint64":
      return `${value.uint64}n`;
    case "float32":
      return number(value.float32);
    case "float64":
      return number(value.float64);
    case "enum":
      return number(value.enum);
    case "text":
      return quote(value.text);
    case "data":
      return constant("$.Data", encodeData(value.data));
    case "list":
      return constant(types.value(type, place), encode(value.list));
    case "struct":
      return constant(types.value(type, place), encode(value.struct));
    case "anyPointer":
      return constant("$.AnyPointer", encode(value.anyPointer));
    default:
      throw unknownType(value.which);
  }
}

function constant(type: string, base64: string): Doc {
  return ["/* @__PURE__ */ ", call("$.constant", `() => ${type}`, quote(base64))];
}

/** Whether any of these annotations is written. */
export function has(types: Types, applied: Iterable<Annotation>): boolean {
  for (const annotation of applied) if (types.schema.has(annotation.id)) return true;
  return false;
}

/** Annotations, made when asked for: their values may name types that are defined later. */
export function annotationsFunction(name: string, notes: readonly Doc[]): Doc {
  return block(`function ${name}$annotations(): $.Annotation[]`, [
    ["return ", objects(notes), ";"],
  ]);
}

/** Objects in brackets; more than one are put on lines of their own. */
export function objects(items: readonly Doc[]): Doc {
  if (items.length < 2) return list("[", items, "]");
  return ["[", indent(items.map((one): Doc => [hardline, one, ","])), hardline, "]"];
}

/** The annotations of one thing, as capnp-ts keeps them. Values of annotations whose declaration is not at hand are left out. */
export function annotations(types: Types, applied: Iterable<Annotation>, place: Place): Doc[] {
  const out: Doc[] = [];
  for (const annotation of applied) {
    if (!types.schema.has(annotation.id)) continue;
    const { type } = types.schema.node(annotation.id).annotation;
    const value = expression(types, type, annotation.value, place);
    out.push(object([`id: ${quote(hex(annotation.id))}`, ["value: ", value]]));
  }
  return out;
}
