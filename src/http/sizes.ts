// Role: how many bytes a body has, as far as that is known, and that it has no more and no fewer.
// State: the sizes of streams; per body, how many bytes have passed. Must not know: where bytes come from or go to.

import { invalidArgument } from "../base/checks.js";
import { RpcError } from "../base/errors.js";
import { discard } from "../cap/stream/values.js";

/** Streams of which it is known how many bytes they give: those of bodies that came with their size, or were made of bytes. */
const sizes = /* @__PURE__ */ new WeakMap<ReadableStream, number>();

/** Notes that `stream` gives `size` bytes. */
export function noteSize(stream: ReadableStream | null, size: number | null): void {
  if (stream !== null && size !== null) sizes.set(stream, size);
}

/** Bytes that the body `stream` gives, or null when nobody knows; 0 for no body. */
export function sizeOf(stream: ReadableStream | null): number | null {
  return stream === null ? 0 : (sizes.get(stream) ?? null);
}

/** Bytes in what a Request or Response is made of; null for what does not say. */
export function sizeOfInit(body: unknown): number | null {
  if (typeof body === "string") return utf8Length(body);
  if (body instanceof ArrayBuffer || ArrayBuffer.isView(body)) return body.byteLength;
  if (body instanceof Blob) return body.size;
  if (body instanceof URLSearchParams) return utf8Length(String(body));
  return null;
}

function utf8Length(text: string): number {
  let length = 0;
  for (const character of text) {
    const point = character.codePointAt(0)!;
    length += point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
  }
  return length;
}

function wrongLength(size: number, got: number): RpcError {
  const message = `the body has ${got > size ? "more" : "less"} than the ${size} bytes that were announced`;
  return new RpcError("failed", "body-length", message);
}

/** Counts what passes, and knows how much is to. */
export class Meter {
  private readonly size: number | null;
  private count = 0;

  constructor(size: number | null) {
    this.size = size;
  }

  /** Lets `chunk` pass. @throws what is wrong with it. */
  take(chunk: unknown): Uint8Array {
    if (!(chunk instanceof Uint8Array)) {
      discard(chunk);
      throw invalidArgument("a chunk of a body is no Uint8Array");
    }
    this.count += chunk.length;
    if (this.size !== null && this.count > this.size) throw wrongLength(this.size, this.count);
    return chunk;
  }

  /** @throws when it is too early for the end. */
  end(): void {
    if (this.size !== null && this.count < this.size) throw wrongLength(this.size, this.count);
  }
}
