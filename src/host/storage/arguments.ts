// Role: what users say to a storage, checked: keys, options, ranges.
// State: none. Must not know: stores, how anything is read or written.

import { invalidArgument } from "../../base/checks.js";
import type { RpcError } from "../../base/errors.js";
import { after, join } from "./keys.js";
import { type Bytes, compareBytes } from "./store.js";

/** How a read is made. */
export interface ReadOptions {
  /** Events may reach the object while it is read. */
  readonly allowConcurrency?: boolean | undefined;
  /** What is read is not remembered. */
  readonly noCache?: boolean | undefined;
}

/** How a write is made. */
export interface PutOptions extends ReadOptions {
  /** What the object says may leave before this is safe. */
  readonly allowUnconfirmed?: boolean | undefined;
}

/** What is listed. */
export interface ListOptions extends ReadOptions {
  /** The first key. */
  readonly start?: string | undefined;
  /** The key before the first one; not together with `start`. */
  readonly startAfter?: string | undefined;
  /** The first key that is not listed any more. */
  readonly end?: string | undefined;
  readonly prefix?: string | undefined;
  /** From the end, descending. */
  readonly reverse?: boolean | undefined;
  /** At most so many. */
  readonly limit?: number | undefined;
}

/** A range of keys, as bytes; `to` is null where it has no end. */
export interface KeyRange {
  readonly from: Bytes;
  readonly to: Bytes | null;
  readonly reverse: boolean;
  readonly limit: number;
}

const encoder = new TextEncoder();
const NO_BYTES = new Uint8Array();

/** Bytes of a key, as Workers have it. */
export const KEY_BYTES = 2048;
/** Keys of one `get`, `put` or `delete`, as Workers have it. */
export const BATCH_KEYS = 128;

/**
 * A key as bytes. A number is taken as its text, as everywhere in JavaScript.
 *
 * @throws RpcError invalid-argument for what is none, one that is too long, and one that is no text.
 */
export function keyBytes(key: unknown): { readonly name: string; readonly bytes: Bytes } {
  if (typeof key !== "string" && typeof key !== "number")
    throw invalid(`a key is a string, not ${key === null ? "null" : typeof key}`);
  const name = String(key);
  // Longer ones need not even be encoded to know.
  const bytes = name.length > KEY_BYTES ? null : encoder.encode(name);
  const length = bytes?.length ?? name.length;
  if (bytes === null || length > KEY_BYTES)
    throw invalid(
      `a key has at most ${KEY_BYTES} bytes, and "${name.slice(0, 32)}..." has ${bytes === null ? "at least " : ""}${length}`,
    );
  if (LONE.test(name))
    throw invalid(`the key ${JSON.stringify(name)} has half of a surrogate pair`);
  return { name, bytes };
}

/** Half a surrogate pair has no form in UTF-8: two such keys would be one. */
const LONE = /[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]/;

/** @throws RpcError invalid-argument when there are more than {@link BATCH_KEYS}. */
export function checkBatch(count: number): void {
  if (count > BATCH_KEYS)
    throw invalid(`one call takes at most ${BATCH_KEYS} keys, not ${count}: use several`);
}

/** @throws RpcError invalid-argument naming the option that is none. */
export function rangeOf(options: ListOptions | undefined): KeyRange {
  const { start, startAfter, end, prefix, reverse = false, limit } = options ?? {};
  if (start !== undefined && startAfter !== undefined)
    throw invalid("start and startAfter exclude each other");
  if (limit !== undefined && !(Number.isSafeInteger(limit) && limit > 0))
    throw invalid(`limit is a whole number of at least 1, not ${String(limit)}`);
  let from: Bytes = start === undefined ? NO_BYTES : keyBytes(start).bytes;
  if (startAfter !== undefined) from = join(keyBytes(startAfter).bytes, [0]);
  let to: Bytes | null = end === undefined ? null : keyBytes(end).bytes;
  if (prefix !== undefined && prefix !== "") {
    const first = keyBytes(prefix).bytes;
    const behind = after(first);
    if (compareBytes(first, from) > 0) from = first;
    if (to === null || compareBytes(behind, to) < 0) to = behind;
  }
  return { from, to, reverse, limit: limit ?? Infinity };
}

export function isWithin(key: Bytes, { from, to }: KeyRange): boolean {
  return compareBytes(key, from) >= 0 && (to === null || compareBytes(key, to) < 0);
}

/** A time in milliseconds since the epoch. @throws RpcError invalid-argument */
export function timeOf(time: unknown): number {
  const milliseconds = time instanceof Date ? time.getTime() : time;
  if (typeof milliseconds !== "number" || !Number.isFinite(milliseconds))
    throw invalid("an alarm is set for a Date, or for milliseconds since the epoch");
  return Math.max(0, Math.floor(milliseconds));
}

export function invalid(message: string): RpcError {
  return invalidArgument(message);
}
