// Role: the structs of schema/js.capnp, written and read on their bytes by the offsets that the schema gives.
// State: one scratch buffer, one view, and the bytes of names. Must not know: what values and references mean.

import { Content } from "../../wire/content.js";
import { ContentView } from "../../wire/content-view.js";
import { Passing } from "../../wire/passing.js";
import { hasErrors, ToldContent, toldSpan } from "./told.js";
import { decodeSimple, NOT_SIMPLE, type Span, spanOf } from "./values/index.js";

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
/** A ReadableStream of bytes, which can be read into memory of the reader's: a Source. */
export const KIND_BYTES = 8;
/** Inside a program: a variable. In no list of references. */
export const KIND_VARIABLE = 2;

/** What a Request or a Result says of its references: reference `i` is of `kinds[i]`, capability `caps[i]` of the table. */
export interface References {
  readonly kinds: readonly number[];
  readonly caps: readonly number[];
}

export interface Request {
  readonly path: readonly string[];
  /** Null for no arguments. A part of the content. */
  readonly args: Span | null;
  readonly references: References;
  /** Milliseconds; 0 for none. */
  readonly timeout: number;
  readonly want: number;
}

export interface Result {
  /** Null for `undefined`. A part of the content. */
  readonly value: Span | null;
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
export const NO_REFERENCES: References = Object.freeze({
  kinds: Object.freeze([]),
  caps: Object.freeze([]),
});
/** The value `undefined`, which travels as a null pointer. */
export const UNDEFINED: Span = /* @__PURE__ */ spanOf(new Uint8Array(0));
export const NO_KINDS: readonly number[] = Object.freeze([]);

// -- Writing ---------------------------------------------------------------------------------------------------------

/** Root pointer and data section; the pointer section follows. */
const POINTERS = 16;
const ROOT_DATA = 8;

/** Where a content is built: gives one of so many bytes, a whole number of words, all of them zero. */
export type Room = (length: number) => Content;

/**
 * Builds a Request whose reference `i` is capability `i` of the table.
 * @param room where: by default in memory of its own.
 */
export function writeRequest(
  path: readonly string[],
  args: Span | null,
  kinds: readonly number[],
  room: Room = ownRoom,
): Content {
  return args !== null && hasErrors(args)
    ? new ToldContent(path, (to, policy) => requestOf(to, toldSpan(args, policy), kinds, ownRoom))
    : requestOf(path, args, kinds, room);
}

function requestOf(
  path: readonly string[],
  args: Span | null,
  kinds: readonly number[],
  room: Room,
): Content {
  const count = kinds.length > 0 ? 3 : args === null ? 1 : 2;
  let size = POINTERS + count * 8 + path.length * 8;
  for (const name of path) size += padded(nameBytes(name).length + 1);
  if (args !== null) size += padded(args.to - args.from);
  const content = room(size + referencesSize(kinds));
  const { bytes } = content;
  putRoot(bytes, count);
  let at = POINTERS + count * 8;
  if (path.length > 0) {
    putList(bytes, POINTERS, at, 6, path.length);
    let text = at + path.length * 8;
    for (const name of path) {
      const utf8 = nameBytes(name);
      putList(bytes, at, text, 2, utf8.length + 1);
      copy(bytes, text, utf8, 0, utf8.length);
      text += padded(utf8.length + 1);
      at += 8;
    }
    at = text;
  }
  if (args !== null) at = putData(bytes, POINTERS + 8, at, args);
  if (kinds.length > 0) putReferences(bytes, POINTERS + 16, at, kinds);
  return content;
}

/** Sets the parts of a written Request that are known only when it is sent. */
export function patchRequest(content: Content, want: number, timeout: number): void {
  put32(content.bytes, ROOT_DATA, timeout);
  content.bytes[ROOT_DATA + 4] = want;
}

/**
 * Builds a Result. Reference `i` is capability `i` of the table, Result.object the one behind them.
 *
 * @param value null to leave it out; {@link UNDEFINED} is a value that is there. @param room where: by default in scratch,
 *   borrowed until the next.
 */
export function writeResult(
  value: Span | null,
  kinds: readonly number[],
  hasObject: boolean,
  isObject: boolean,
  room: Room = scratchRoom,
): Content {
  return value !== null && hasErrors(value)
    ? new ToldContent(NO_STEPS, (_path, policy) =>
        resultOf(toldSpan(value, policy), kinds, hasObject, isObject, scratchRoom),
      )
    : resultOf(value, kinds, hasObject, isObject, room);
}

function resultOf(
  value: Span | null,
  kinds: readonly number[],
  hasObject: boolean,
  isObject: boolean,
  room: Room,
): Content {
  const bytes = value === null || value.from === value.to ? null : value;
  const count = kinds.length > 0 ? 3 : hasObject ? 2 : bytes === null ? 0 : 1;
  const head = POINTERS + count * 8;
  const size = head + (bytes === null ? 0 : padded(bytes.to - bytes.from)) + referencesSize(kinds);
  const content = room(size);
  const out = content.bytes;
  putRoot(out, count);
  out[ROOT_DATA] = (value === null ? 0 : 1) | (isObject ? 2 : 0);
  let at = head;
  if (bytes !== null) {
    at = putData(out, POINTERS, at, bytes);
  }
  if (hasObject) {
    put32(out, POINTERS + 8, 3);
    put32(out, POINTERS + 12, kinds.length);
  }
  if (kinds.length > 0) putReferences(out, POINTERS + 16, at, kinds);
  return content;
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
function putData(out: Uint8Array, pointer: number, at: number, data: Span): number {
  const length = data.to - data.from;
  putList(out, pointer, at, 2, length);
  copy(out, at, data.bytes, data.from, length);
  const end = at + padded(length);
  for (let i = at + length; i < end; i++) out[i] = 0;
  return end;
}

/** Below this, a loop is faster than a window and `set`. */
const SHORT = 64;

function copy(to: Uint8Array, at: number, from: Uint8Array, start: number, length: number): void {
  if (length > SHORT) to.set(from.subarray(start, start + length), at);
  else for (let i = 0; i < length; i++) to[at + i] = from[start + i]!;
}

/** An array of no more bytes needs no memory outside the heap, as long as nobody makes a window on it. */
const SMALL = 64;
/** Memory for requests is taken in blocks: so little that one which waits long does not keep much. */
const BLOCK = 8192;
let block = new Uint8Array(BLOCK);
let blockAt = 0;

/** Zeros that nobody else has, or will have. */
function ownRoom(length: number): Content {
  if (length <= SMALL || length > BLOCK >> 3) return new Content(new Uint8Array(length));
  if (blockAt + length > BLOCK) {
    block = new Uint8Array(BLOCK);
    blockAt = 0;
  }
  blockAt += length;
  return new Content(block.subarray(blockAt - length, blockAt));
}

let scratch = new Uint8Array(1024);

/** Borrowed until the next; but a copy of few bytes costs less than a window on many. */
function scratchRoom(length: number): Content {
  if (length <= SMALL) return new Content(new Uint8Array(length));
  if (length > scratch.length) scratch = new Uint8Array(length * 2);
  scratch.fill(0, 0, length);
  return new Content(scratch.subarray(0, length), null, true);
}

const passing = /* @__PURE__ */ new Passing();

/** Borrowed until the next that asks here: for what is written into a message before anything else happens. */
export function passingRoom(length: number): Content {
  const content = passing.room(length);
  if (content === null) return ownRoom(length);
  content.bytes.fill(0);
  return content;
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
    args: view.span(1),
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
    value: view.span(0),
    hasValue: (flags & 1) !== 0,
    isObject: (flags & 2) !== 0,
    object: view.capability(1),
    references: readReferences(),
  };
  view.close();
  return result;
}

/** The value of a Result that is nothing but a simple value; {@link NOT_SIMPLE} for any other, and for what cannot be read. */
export function readSimpleResult(content: Content): unknown {
  try {
    view.open(content);
    const alone = view.u8(0) === 1 && view.isNull(1) && view.isNull(2);
    const value = alone ? view.span(0) : null;
    return !alone ? NOT_SIMPLE : value === null ? undefined : decodeSimple(value);
  } catch {
    return NOT_SIMPLE;
  } finally {
    view.close();
  }
}

function readPath(): readonly string[] {
  if (!view.list(0, MAX_PATH)) return NO_STEPS;
  // Nearly always one step, for which a list that can grow would cost more than all it holds.
  const path = [view.elementText(0)];
  for (let i = 1; i < view.length; i++) path.push(view.elementText(i));
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
