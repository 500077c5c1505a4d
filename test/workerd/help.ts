// Shorthands for the codec of workerd's values: node:v8 as the other end, and externals in a list.

import v8 from "node:v8";
import { RpcError } from "../../src/base/errors.js";
import type { ValueLimits } from "../../src/cap/dynamic/values/contract.js";
import {
  decodeV8,
  DEFAULT_V8_LIMITS,
  encodeV8,
  type EncodeV8Options,
  type ExternalKind,
  type ExternalSink,
  type ExternalSlot,
  type ExternalSource,
} from "../../src/workerd/v8-value/index.js";

export { difference } from "../support/difference.js";

/** What Node's V8 writes: the base class, since the default one gives views a number of Node's own. */
export function nodeWrites(value: unknown): Uint8Array {
  const serializer = new v8.Serializer();
  serializer.writeHeader();
  serializer.writeValue(value);
  return new Uint8Array(serializer.releaseBuffer());
}

export function nodeReads(bytes: Uint8Array): unknown {
  const deserializer = new v8.Deserializer(bytes);
  deserializer.readHeader();
  return deserializer.readValue() as unknown;
}

/** A sink that takes what it has a kind for, and the source that gives the same objects back in the order of the bytes. */
export class Externals implements ExternalSink, ExternalSource {
  readonly objects: object[] = [];
  readonly kinds: ExternalKind[] = [];
  readonly paths: string[] = [];
  private order: readonly number[] = [];
  private taken = 0;

  external(value: object, path: string): ExternalSlot | undefined {
    const kind = kindOf(value);
    if (kind === undefined) return undefined;
    this.paths.push(path);
    this.kinds.push(kind);
    return { kind, index: this.objects.push(value) - 1 };
  }

  /** Puts the entries into the order that the bytes want. */
  arrange(order: readonly number[]): void {
    this.order = order;
    this.taken = 0;
  }

  get left(): number {
    return this.order.length - this.taken;
  }

  take(kind: ExternalKind): unknown {
    const index = this.order[this.taken++];
    if (index === undefined || this.kinds[index] !== kind)
      throw new RpcError("failed", "invalid-payload", `no external of kind ${kind} is next`);
    return this.objects[index];
  }
}

function kindOf(value: object): ExternalKind | undefined {
  if (typeof value === "function") return "stub";
  if (value instanceof ReadableStream) return "readableStream";
  if (value instanceof WritableStream) return "writableStream";
  if (value instanceof AbortSignal) return "abortSignal";
  return undefined;
}

/** Values without externals. */
export const NONE: ExternalSink & ExternalSource = {
  external: () => undefined,
  left: 0,
  take: () => {
    throw new RpcError("failed", "invalid-payload", "nothing came along");
  },
};

export function encode(value: unknown, options?: EncodeV8Options): Uint8Array {
  return encodeV8(value, NONE, options).bytes;
}

export function decode(bytes: Uint8Array, limits?: ValueLimits): unknown {
  return decodeV8(bytes, NONE, limits);
}

export function roundTrip(value: unknown, options?: EncodeV8Options): unknown {
  return decode(encode(value, options), options?.limits);
}

/** There and back with externals. */
export function roundTripWith(externals: Externals, value: unknown): unknown {
  const encoded = encodeV8(value, externals);
  externals.arrange(encoded.externals);
  return decodeV8(encoded.bytes, externals);
}

export function limits(changes: Partial<ValueLimits>): ValueLimits {
  return { ...DEFAULT_V8_LIMITS, ...changes };
}

/** The failure that `run` throws, which must be an RpcError. */
export function failure(run: () => unknown): RpcError {
  try {
    run();
  } catch (error) {
    if (error instanceof RpcError) return error;
    throw error;
  }
  throw new Error("it did not fail");
}

export const bytesOf = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, "hex"));
export const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
