// Role: what the codec asks of the layer above it, and the budgets of both directions.
// State: none. Must not know: bytes, structs, capability tables.

import type { ErrorPolicy } from "../../base/errors.js";
import type { ValueLimits } from "../../cap/dynamic/values/contract.js";

/** What an entry of `JsValue.externals` stands for. */
export type ExternalKind =
  | "stub"
  | "writableStream"
  | "readableStream"
  | "abortSignal"
  | "serviceStub";

/** What an object goes as; `index` means something to whoever gave it. */
export interface ExternalSlot {
  readonly kind: ExternalKind;
  readonly index: number;
}

/** Takes what goes beside the bytes. */
export interface ExternalSink {
  /**
   * Asked once for every function, and for every object that does not go by value: instances of classes, stubs, promises, streams,
   * and AbortSignals that have not fired. Not all that it was asked for need be in the bytes: an ErrorPolicy may keep some back.
   *
   * @param path where it stands, such as `args[0].done`, for an error.
   * @returns undefined to have the value refused with that path.
   */
  external(value: object, path: string): ExternalSlot | undefined;
}

/** Gives what came beside the bytes. */
export interface ExternalSource {
  /**
   * The next entry, in their order.
   *
   * @throws RpcError when there is none, or it is of another kind: it reaches the caller of decodeV8 as it is.
   */
  take(kind: ExternalKind): unknown;
  /** How many were not taken. */
  readonly left: number;
}

/** No value is over what workerd itself sends; otherwise those of values everywhere. */
export const DEFAULT_V8_LIMITS: ValueLimits = /* @__PURE__ */ Object.freeze({
  depth: 500,
  nodes: 1_000_000,
  bytes: 32 * 1024 * 1024,
});

export interface EncodeV8Options {
  /** What the path of a refusal begins with; by default `value`. */
  readonly root?: string;
  readonly limits?: ValueLimits;
  /** What is told of errors; by default all but their stacks. */
  readonly errors?: ErrorPolicy;
}

/** A Blob whose bytes have their place, and are not there yet. */
export interface PendingBlob {
  readonly blob: Blob;
  readonly at: number;
  readonly path: string;
}

export interface EncodedV8 {
  /** Bytes of their own. */
  readonly bytes: Uint8Array;
  /** The indexes of the slots that the bytes name, in the order that the entries must have. */
  readonly externals: readonly number[];
  /** To be put in by `fillBlobs` before the bytes mean anything; most often none. */
  readonly blobs: readonly PendingBlob[];
}
