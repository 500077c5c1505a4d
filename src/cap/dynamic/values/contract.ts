// Role: what the value codec asks of the layer above it, and the budgets of both directions.
// State: none. Must not know: stubs, capability tables, bytes.

import type { ErrorCode, ErrorPolicy } from "../../../base/errors.js";
import type { ValueTypes } from "./types.js";

/** A part of an array: a window on it would cost more than what is in it. */
export interface Span {
  readonly bytes: Uint8Array;
  readonly from: number;
  readonly to: number;
}

export function spanOf(bytes: Uint8Array): Span {
  return { bytes, from: 0, to: bytes.length };
}

/** Where a reference is: `kind` is a small whole number that the layer above gives its meaning, `index` its slot. */
export interface ReferenceSlot {
  readonly kind: number;
  readonly index: number;
}

/** Takes what goes by reference. */
export interface ReferenceSink {
  /**
   * Asked for every function, and for every object that neither goes by value nor has a codec: instances of classes,
   * stubs, promises, streams, signals, Blobs. A Request or Response asks for its body alone, a ReadableStream. The same object is
   * asked for once per value, and the references to it arrive as one.
   *
   * @param path where it stands, such as `args[0].done`, for an error.
   * @returns undefined to have the value refused with that path.
   */
  reference(value: object, path: string): ReferenceSlot | undefined;
}

/** Gives what came by reference. */
export interface ReferenceSource {
  /**
   * Asked once for each reference in the value, in the order of the bytes. Both numbers are a peer's word: whole and
   * not negative, otherwise unchecked.
   *
   * @throws RpcError, which reaches the caller of decodeValue as it is.
   */
  revive(kind: number, index: number): unknown;
}

/** Budgets of one value, the same in both directions. */
export interface ValueLimits {
  /** Objects inside one another. */
  readonly depth: number;
  /**
   * Values, keys and what belongs to them, as counted by docs/js-values.md. Bounds memory and time: an empty object is
   * one byte to send and some fifty to hold.
   */
  readonly nodes: number;
  /** Bytes of the encoding. */
  readonly bytes: number;
}

/** As deep as a stack holds with room to spare; as many bytes as a message may have by default. */
export const DEFAULT_VALUE_LIMITS: ValueLimits = Object.freeze({
  depth: 500,
  nodes: 1_000_000,
  bytes: 64 * 1024 * 1024,
});

/** What is said of a value that cannot go where it is to go. */
export interface Refusal {
  /** What cannot be done with it, such as "sent". */
  readonly purpose: string;
  readonly code: ErrorCode;
  /** Why nobody takes `value`, and what to do. @param name its class in words. */
  readonly why: (value: object, name: string) => string;
}

export interface EncodeOptions {
  /** What the path of a refusal begins with. */
  readonly root?: string;
  /** By default, that of a value that is sent. */
  readonly refusal?: Refusal;
  readonly types?: ValueTypes;
  readonly limits?: ValueLimits;
  /** What is told of errors, once and for all; by default it is decided when the bytes leave for a peer. */
  readonly errors?: ErrorPolicy;
}

export interface DecodeOptions {
  readonly types?: ValueTypes;
}
