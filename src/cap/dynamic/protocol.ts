// Role: the structs of schema/js.capnp, written and read on their bytes by the offsets that the schema gives.
// State: one scratch builder. Must not know: what values and references mean.

import { RpcError } from "../../base/errors.js";
import type { Content } from "../../wire/content.js";
import { ContentBuilder, StructReader } from "../../wire/struct.js";

/** The interface Object. */
export const OBJECT_HI = 0xf4f99937 | 0;
export const OBJECT_LO = 0xeb931392 | 0;
export const METHOD_CALL = 0;
export const METHOD_GET = 1;

/** What a caller wants of a result (enum Want). */
export const WANT_VALUE = 0;
export const WANT_OBJECT = 1;
export const WANT_EITHER = 2;

/** Where Result.object is, for pipelining. */
export const OBJECT_PATH: readonly number[] = Object.freeze([1]);

/** Kinds of references (enum Kind). */
export const KIND_OBJECT = 0;
export const KIND_PROMISE = 1;

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

const NO_REFERENCES: References = Object.freeze({ kinds: [], caps: [] });
const scratch = /* @__PURE__ */ new ContentBuilder();

/** Builds a Request whose reference `i` is capability `i` of the table. Borrowed, valid until the next write. */
export function writeRequest(
  path: readonly string[],
  args: Uint8Array | null,
  kinds: readonly number[],
): Content {
  const root = scratch.root(1, kinds.length > 0 ? 3 : args === null ? 1 : 2);
  if (path.length > 0) root.texts(0, path);
  if (args !== null) root.data(1, args);
  if (kinds.length > 0) writeReferences(root, kinds);
  return scratch.finish();
}

/** Sets the parts of a written Request that are known only when it is sent. */
export function patchRequest(content: Content, want: number, timeout: number): void {
  const { bytes } = content;
  for (let i = 0; i < 4; i++) bytes[ROOT_DATA + i] = timeout >>> (8 * i);
  bytes[ROOT_DATA + 4] = want;
}

/** The root struct of a content written here follows its pointer. */
const ROOT_DATA = 8;

/** @throws RpcError invalid-payload for what cannot be read. */
export function readRequest(content: Content): Request {
  const root = StructReader.of(content);
  return {
    path: readPath(root),
    args: root.isNull(1) ? null : root.data(1),
    references: root.isNull(2) ? NO_REFERENCES : readReferences(root),
    timeout: root.u32(0),
    want: root.u16(4),
  };
}

/**
 * Builds a Result. Reference `i` is capability `i` of the table, Result.object the one behind them.
 * @param value null to leave it out; {@link UNDEFINED} is a value that is there.
 */
export function writeResult(
  value: Uint8Array | null,
  kinds: readonly number[],
  hasObject: boolean,
  isObject: boolean,
): Content {
  const bytes = value === null || value === UNDEFINED ? null : value;
  const pointers = kinds.length > 0 ? 3 : hasObject ? 2 : bytes === null ? 0 : 1;
  const root = scratch.root(1, pointers);
  root.u8(0, (value === null ? 0 : 1) | (isObject ? 2 : 0));
  if (bytes !== null) root.data(0, bytes);
  if (hasObject) root.capability(1, kinds.length);
  if (kinds.length > 0) writeReferences(root, kinds);
  return scratch.finish();
}

/** The value `undefined`, which travels as a null pointer. */
export const UNDEFINED: Uint8Array = new Uint8Array(0);

/** @throws RpcError invalid-payload for what cannot be read. */
export function readResult(content: Content): Result {
  const root = StructReader.of(content);
  const flags = root.u8(0);
  return {
    value: root.isNull(0) ? null : root.data(0),
    hasValue: (flags & 1) !== 0,
    isObject: (flags & 2) !== 0,
    object: root.capability(1),
    references: root.isNull(2) ? NO_REFERENCES : readReferences(root),
  };
}

function writeReferences(root: ReturnType<ContentBuilder["root"]>, kinds: readonly number[]): void {
  const list = root.structs(2, kinds.length, 1, 1);
  for (let i = 0; i < kinds.length; i++) {
    list[i]!.u16(0, kinds[i]!);
    list[i]!.capability(0, i);
  }
}

function readReferences(root: StructReader): References {
  const list = root.list(2, 0, 1);
  const kinds: number[] = [];
  const caps: number[] = [];
  for (let i = 0; i < list.length; i++) {
    const entry = list.at(i);
    kinds.push(entry.u16(0));
    caps.push(entry.capability(0));
  }
  return { kinds, caps };
}

function readPath(root: StructReader): readonly string[] {
  if (root.isNull(0)) return NO_STEPS;
  const list = root.list(0, 0, 1);
  if (list.length > MAX_PATH)
    throw new RpcError(
      "failed",
      "limit-exceeded",
      `a path of ${list.length} steps: ${MAX_PATH} is the most`,
    );
  const path: string[] = [];
  for (let i = 0; i < list.length; i++) path.push(list.at(i).text(0));
  return path;
}

export const NO_STEPS: readonly string[] = Object.freeze([]);
