// Role: the structs of schema/js.capnp, written and read on their bytes by the offsets that the schema gives.
// State: one scratch buffer, one view, and the bytes of names. Must not know: what values and references mean.

import { Content } from "../../wire/content.js";
import { ContentView } from "../../wire/content-view.js";

/** The interface Object. */
export const OBJECT_HI = 0xf4f99937 | 0;
export const OBJECT_LO = 0xeb931392 | 0;
export const METHOD_CALL = 0;
export const METHOD_GET = 1;
export const METHOD_MAP = 2;

/** What a caller wants of a result (enum Want). */
export const WANT_VALUE = 0;
export const WANT_OBJECT = 1;
export const WANT_EITHER = 2;

/** Where Result.object is, for pipelining. */
export const OBJECT_PATH: readonly number[] = Object.freeze([1]);

/** Kinds of references (enum Kind). */
export const KIND_OBJECT = 0;
export const KIND_PROMISE = 1;
/** An AbortSignal: a function that returns the reason once it aborts. */
export const KIND_SIGNAL = 3;
/** An AbortSignal that has aborted: what stands for its reason. */
export const KIND_ABORTED = 4;
/** A ReadableStream: a Source. */
export const KIND_READABLE = 5;
/** A WritableStream: a Sink. */
export const KIND_WRITABLE = 6;
/** A Blob: a Source of its bytes, behind what it is. */
export const KIND_BLOB = 7;
/** Inside a program: a variable. In no list of references. */
export const KIND_VARIABLE = 2;

/** What a Request or a Result says of its references: reference `i` is of `kinds[i]`, capability `caps[i]` of the table. */
export interface References {
  readonly kinds: readonly number[];
  readonly caps: readonly number[];
}

export interface Request {
  readonly path: readonly string[];
  /** Null for no arguments. A view on the content. */
  readonly args: Uint8Array | null;
  readonly references: References;
  /** Milliseconds; 0 for none. */
  readonly timeout: number;
  readonly want: number;
}

export interface Result {
  /** Null for `undefined`. A view on the content. */
  readonly value: Uint8Array | null;
  readonly hasValue: boolean;
  readonly isObject: boolean;
  /** Index in the table, or -1. */
  readonly object: number;
  readonly references: References;
}

/** Steps of a path: enough for any program, too few to make following one costly. */
export const MAX_PATH = 64;
/** References of one value; as many as a capability table may have entries. */
export const MAX_REFERENCES = 65_536;

export const NO_STEPS: readonly string[] = Object.freeze([]);
const NO_REFERENCES: References = Object.freeze({ kinds: [], caps: [] });
/** The value `undefined`, which travels as a null pointer. */
export const UNDEFINED: Uint8Array = new Uint8Array(0);

// -- Writing ---------------------------------------------------------------------------------------------------------

/** Root pointer and data section; the pointer section follows. */
const POINTERS = 16;
const ROOT_DATA = 8;

/** Builds a Request whose reference `i` is capability `i` of the table. */
export function writeRequest(
  path: readonly string[],
  args: Uint8Array | null,
  kinds: readonly number[],
): Content {
  const count = kinds.length > 0 ? 3 : args === null ? 1 : 2;
  let size = POINTERS + count * 8 + path.length * 8;
  for (const name of path) size += padded(nameBytes(name).length + 1);
  if (args !== null) size += padded(args.length);
  const bytes = new Uint8Array(size + referencesSize(kinds));
  putRoot(bytes, count);
  let at = POINTERS + count * 8;
  if (path.length > 0) {
    putList(bytes, POINTERS, at, 6, path.length);
    let text = at + path.length * 8;
    for (const name of path) {
      const utf8 = nameBytes(name);
      putList(bytes, at, text, 2, utf8.length + 1);
      bytes.set(utf8, text);
      text += padded(utf8.length + 1);
      at += 8;
    }
    at = text;
  }
  if (args !== null) at = putData(bytes, POINTERS + 8, at, args);
  if (kinds.length > 0) putReferences(bytes, POINTERS + 16, at, kinds);
  return new Content(bytes);
}

/** Sets the parts of a written Request that are known only when it is sent. */
export function patchRequest(content: Content, want: number, timeout: number): void {
  put32(content.bytes, ROOT_DATA, timeout);
  content.bytes[ROOT_DATA + 4] = want;
}

let scratch = new Uint8Array(1024);

/**
 * Builds a Result. Reference `i` is capability `i` of the table, Result.object the one behind them. Borrowed, valid until
 * the next.
 *
 * @param value null to leave it out; {@link UNDEFINED} is a value that is there.
 */
export function writeResult(
  value: Uint8Array | null,
  kinds: readonly number[],
  hasObject: boolean,
  isObject: boolean,
): Content {
  const bytes = value === null || value.length === 0 ? null : value;
  const count = kinds.length > 0 ? 3 : hasObject ? 2 : bytes === null ? 0 : 1;
  const head = POINTERS + count * 8;
  const size = head + (bytes === null ? 0 : padded(bytes.length)) + referencesSize(kinds);
  if (size > scratch.length) scratch = new Uint8Array(size * 2);
  const out = scratch;
  out.fill(0, 0, head);
  putRoot(out, count);
  out[ROOT_DATA] = (value === null ? 0 : 1) | (isObject ? 2 : 0);
  let at = head;
  if (bytes !== null) {
    out.fill(0, at + bytes.length, at + padded(bytes.length));
    at = putData(out, POINTERS, at, bytes);
  }
  if (hasObject) {
    put32(out, POINTERS + 8, 3);
    put32(out, POINTERS + 12, kinds.length);
  }
  if (kinds.length > 0) {
    out.fill(0, at, size);
    putReferences(out, POINTERS + 16, at, kinds);
  }
  return new Content(out.subarray(0, size), null, true);
}

function putRoot(bytes: Uint8Array, pointers: number): void {
  bytes[4] = 1;
  bytes[6] = pointers;
}

function putList(
  bytes: Uint8Array,
  pointer: number,
  at: number,
  size: number,
  count: number,
): void {
  put32(bytes, pointer, 1 | ((at - pointer - 8) >> 1));
  put32(bytes, pointer + 4, size | (count << 3));
}

/** @returns where the next object goes. */
function putData(bytes: Uint8Array, pointer: number, at: number, data: Uint8Array): number {
  putList(bytes, pointer, at, 2, data.length);
  bytes.set(data, at);
  return at + padded(data.length);
}

function referencesSize(kinds: readonly number[]): number {
  return kinds.length === 0 ? 0 : 8 + kinds.length * 16;
}

function putReferences(
  bytes: Uint8Array,
  pointer: number,
  at: number,
  kinds: readonly number[],
): void {
  putList(bytes, pointer, at, 7, kinds.length * 2);
  put32(bytes, at, kinds.length << 2);
  put32(bytes, at + 4, 1 | (1 << 16));
  for (let i = 0; i < kinds.length; i++) {
    const element = at + 8 + i * 16;
    bytes[element] = kinds[i]!;
    put32(bytes, element + 8, 3);
    put32(bytes, element + 12, i);
  }
}

function padded(length: number): number {
  return (length + 7) & -8;
}

function put32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value;
  bytes[at + 1] = value >> 8;
  bytes[at + 2] = value >> 16;
  bytes[at + 3] = value >> 24;
}

/** Programs use few names, again and again; who makes them up gets no room for them. */
const names = new Map<string, Uint8Array>();
const KEPT_NAMES = 1000;
const encoder = new TextEncoder();

function nameBytes(name: string): Uint8Array {
  const known = names.get(name);
  if (known !== undefined) return known;
  const bytes = encoder.encode(name);
  if (names.size < KEPT_NAMES) names.set(name, bytes);
  return bytes;
}

// -- Reading ---------------------------------------------------------------------------------------------------------

const view = /* @__PURE__ */ new ContentView();

/** @throws RpcError invalid-payload for what cannot be read, limit-exceeded for a path that is too long. */
export function readRequest(content: Content): Request {
  view.open(content);
  const request = {
    path: readPath(),
    args: view.data(1),
    references: readReferences(),
    timeout: view.u32(0),
    want: view.u16(4),
  };
  view.close();
  return request;
}

/** @throws RpcError invalid-payload for what cannot be read. */
export function readResult(content: Content): Result {
  view.open(content);
  const flags = view.u8(0);
  const result = {
    value: view.data(0),
    hasValue: (flags & 1) !== 0,
    isObject: (flags & 2) !== 0,
    object: view.capability(1),
    references: readReferences(),
  };
  view.close();
  return result;
}

function readPath(): readonly string[] {
  if (!view.list(0, MAX_PATH)) return NO_STEPS;
  const path: string[] = [];
  for (let i = 0; i < view.length; i++) path.push(view.elementText(i));
  return path;
}

function readReferences(): References {
  if (!view.list(2, MAX_REFERENCES)) return NO_REFERENCES;
  const kinds: number[] = [];
  const caps: number[] = [];
  for (let i = 0; i < view.length; i++) {
    kinds.push(view.elementU16(i));
    caps.push(view.elementCapability(i));
  }
  return { kinds, caps };
}
