// Role: rpc.capnp's Exception, both ways, and the encoding of Text and Data that it needs.
// State: none. Must not know: whether a reason may be shown, or which messages carry an exception.

import {
  ERROR_TYPES,
  type ErrorDetail,
  type ErrorRedactor,
  redactedBy,
  RpcError,
  WITHHELD,
} from "../base/errors.js";
import type { Limits } from "../base/limits.js";
import { type PointerReader, StructRef } from "./pointer.js";
import { decodeText } from "./text.js";

const LIST = 1;
const BYTE_LIST = 2;
const COMPOSITE = 7;
const STRUCT_1_1 = 1 | (1 << 16);
const NO_TEXT = new Uint8Array(0);
const encoder = new TextEncoder();

/** An exception ready to be written: its texts as UTF-8, and the words it takes, its own 1d/3p struct included. */
export interface EncodedException {
  readonly type: number;
  readonly reason: Uint8Array;
  readonly trace: Uint8Array;
  readonly details: readonly ErrorDetail[];
  readonly words: number;
}

/**
 * Prepares `error` for writing in at most `maxWords`: one that is too large loses trace and details, and its reason is
 * cut to fit (C-DIS-17). Without `sendTrace` no trace is sent, ours or a peer's: it may say what strangers should not
 * know (C-DIS-13). The result may still be too large when not even an empty one fits.
 */
export function encodeException(
  error: RpcError,
  maxWords: number,
  sendTrace = true,
): EncodedException {
  const type = error.wireType & 0xffff;
  const reason = error.message === "" ? NO_TEXT : encoder.encode(error.message);
  const text = sendTrace ? traceOf(error) : "";
  const trace = text === "" ? NO_TEXT : encoder.encode(text);
  const details = error.details;
  let words = 4 + textWords(reason) + textWords(trace);
  if (details.length > 0) {
    words += 1 + 2 * details.length;
    for (const detail of details) words += (detail.data.length + 7) >>> 3;
  }
  if (words <= maxWords) return { type, reason, trace, details, words };
  const short = cutText(reason, Math.max(0, (maxWords - 4) * 8 - 1));
  return { type, reason: short, trace: NO_TEXT, details: [], words: 4 + textWords(short) };
}

/** What `redact` leaves of `error`. Never throws. */
export function redacted(error: RpcError, redact: ErrorRedactor, sendTrace: boolean): RpcError {
  const { type, code, message, details, wireType, cause } = error;
  const trace = sendTrace ? traceOf(error) : "";
  const left = redactedBy(redact, { type, code, message, trace, details, properties: [], cause });
  if (left === null) return new RpcError(type, code, WITHHELD, { wireType });
  return new RpcError(type, code, left.message ?? message, {
    trace: left.trace ?? trace,
    details: left.details ?? details,
    wireType,
  });
}

/** The trace that came with the error, or the stack of what was thrown here. Never throws (C-HOS-19). */
function traceOf(error: RpcError): string {
  if (error.trace !== "") return error.trace;
  try {
    const { cause } = error;
    return cause instanceof Error ? String(cause.stack ?? "") : "";
  } catch {
    return "";
  }
}

/** Writes the struct at `k`, an index of `w`, and what it reaches right behind it. */
export function writeException(
  w: Int32Array,
  u8: Uint8Array,
  k: number,
  e: EncodedException,
): void {
  w[k] = 0;
  w[k + 1] = e.type;
  let at = k + 8;
  at = writeText(w, u8, k + 2, at, e.reason);
  at = writeText(w, u8, k + 4, at, e.trace);
  const n = e.details.length;
  if (n === 0) {
    w[k + 6] = 0;
    w[k + 7] = 0;
    return;
  }
  w[k + 6] = (((at - k - 8) >> 1) << 2) | LIST;
  w[k + 7] = COMPOSITE | (n << 4);
  w[at] = n << 2;
  w[at + 1] = STRUCT_1_1;
  at += 2;
  let end = at + n * 4;
  for (const { id, data } of e.details) {
    w[at] = Number(id & 0xffffffffn);
    w[at + 1] = Number((id >> 32n) & 0xffffffffn);
    end = writeBytes(w, u8, at + 2, end, data, data.length);
    at += 4;
  }
}

function writeText(w: Int32Array, u8: Uint8Array, p: number, at: number, text: Uint8Array): number {
  if (text.length > 0) return writeBytes(w, u8, p, at, text, text.length + 1);
  w[p] = 0;
  w[p + 1] = 0;
  return at;
}

/**
 * Sets the pointer at `p` to a byte list at `at` that holds `bytes`, then zeros up to `length`; returns the end.
 * All are indexes of `w`, which shares its memory with `u8` from the first byte on.
 */
export function writeBytes(
  w: Int32Array,
  u8: Uint8Array,
  p: number,
  at: number,
  bytes: Uint8Array,
  length: number,
): number {
  const end = at + (((length + 7) >>> 3) << 1);
  w[p] = (((at - p - 2) >> 1) << 2) | LIST;
  w[p + 1] = BYTE_LIST | (length << 3);
  if (end > at) {
    w[end - 1] = 0;
    w[end - 2] = 0;
    u8.set(bytes, at * 4);
  }
  return end;
}

function textWords(text: Uint8Array): number {
  return text.length === 0 ? 0 : (text.length + 8) >>> 3;
}

/** At most `length` bytes of UTF-8 text, cut between two characters. */
function cutText(text: Uint8Array, length: number): Uint8Array {
  if (text.length <= length) return text;
  let n = length;
  while (n > 0 && (text[n]! & 0xc0) === 0x80) n--;
  return text.subarray(0, n);
}

/**
 * Reads an Exception of any age (C-IOP-14) as a `remote-exception`. An unknown type reads as `failed` and keeps its
 * number (C-DIS-10); reason and trace are cut to `limits.reasonLength` characters (C-HOS-16).
 *
 * @throws RpcError malformed-message when one of its pointers is bad.
 */
export function readException(p: PointerReader, e: StructRef, limits: Limits): RpcError {
  const wireType = p.u16(e, 4);
  const reason = readText(p, e, 0, limits.reasonLength);
  const trace = readText(p, e, 1, limits.reasonLength);
  return new RpcError(ERROR_TYPES[wireType] ?? "failed", "remote-exception", reason, {
    trace,
    details: readDetails(p, e, limits),
    wireType,
  });
}

function readText(p: PointerReader, e: StructRef, index: number, most: number): string {
  if (!p.enterBytes(e, index)) return "";
  const length = p.count - 1;
  // A list of no bytes lacks even the NUL, but means the empty text to everyone (C-VAL-16).
  if (length < 0) return "";
  const bytes = p.frame.bytes;
  if (bytes[p.pos + length] !== 0) throw p.fail("a text lacks its final NUL");
  // Four bytes hold any character, so what is cut here would be cut below as well.
  const text = decodeText(bytes, p.pos, Math.min(length, most * 4));
  return text.length <= most && length <= most * 4 ? text : `${text.slice(0, most)}…`;
}

function readDetails(p: PointerReader, e: StructRef, limits: Limits): ErrorDetail[] {
  const details: ErrorDetail[] = [];
  if (!p.enterStructs(e, 2, limits.capTable)) return details;
  const list = p.list;
  const item = new StructRef();
  // A thousand details may name the same bytes: all copies together stay within the size of the message.
  let budget = p.frame.length;
  for (let i = 0; i < list.count; i++) {
    p.element(list, i, item);
    const id = (BigInt(p.u32(item, 4)) << 32n) | BigInt(p.u32(item, 0));
    const length = p.enterBytes(item, 0) ? p.count : 0;
    if ((budget -= length) < 0) throw p.fail("the details of an exception overlap");
    details.push({ id, data: p.frame.bytes.slice(p.pos, p.pos + length) });
  }
  return details;
}
