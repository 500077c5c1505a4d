// Role: what values are to this layer: bytes, made and read by a codec.
// State: the codec in use. Must not know: the format.

import type { Limits } from "../../base/limits.js";

/** Told of everything in a value that goes by reference. */
export interface ReferenceSink {
  /** The kind and index of the reference to `value`; undefined when it is nothing that goes by reference. */
  reference(
    value: object,
    path: string,
  ): { readonly kind: number; readonly index: number } | undefined;
}

/** Asked for everything that came by reference. */
export interface ReferenceSource {
  /** @throws RpcError invalid-payload when there is no such reference. */
  revive(kind: number, index: number): unknown;
}

export interface ValueCodec {
  encodeValue(value: unknown, sink: ReferenceSink): Uint8Array;
  decodeValue(bytes: Uint8Array, source: ReferenceSource, limits?: Limits): unknown;
}

let codec: ValueCodec;

export function useCodec(use: ValueCodec): void {
  codec = use;
}

export const encodeValue: ValueCodec["encodeValue"] = (value, sink) =>
  codec.encodeValue(value, sink);
export const decodeValue: ValueCodec["decodeValue"] = (bytes, source) =>
  codec.decodeValue(bytes, source);
