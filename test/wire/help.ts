// Role: small makers for the wire tests: bytes from hex, frames from words, messages back from an outbox.

import { DEFAULT_LIMITS, type Limits } from "../../src/base/limits.js";
import { RpcError } from "../../src/base/errors.js";
import { Frame, parseFrame } from "../../src/wire/frame.js";
import { MessageReader } from "../../src/wire/message-reader.js";
import { IntroductionWriter } from "../../src/wire/introduction-writer.js";
import { Outbox } from "../../src/wire/outbox.js";

export function fromHex(hex: string): Uint8Array {
  const digits = hex.replace(/\s/g, "");
  return Uint8Array.from({ length: digits.length / 2 }, (_, i) =>
    Number.parseInt(digits.slice(2 * i, 2 * i + 2), 16),
  );
}

export function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join("");
}

export function concat(parts: Iterable<Uint8Array>): Uint8Array {
  const all = [...parts];
  const bytes = new Uint8Array(all.reduce((n, part) => n + part.length, 0));
  let at = 0;
  for (const part of all) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** Words given as [low half, high half] to bytes. */
export function words(...halves: readonly (readonly [number, number])[]): Uint8Array {
  const view = new DataView(new ArrayBuffer(halves.length * 8));
  halves.forEach(([lo, hi], i) => {
    view.setInt32(i * 8, lo, true);
    view.setInt32(i * 8 + 4, hi, true);
  });
  return new Uint8Array(view.buffer);
}

/** A frame's bytes with these segments. */
export function framed(...segments: readonly Uint8Array[]): Uint8Array {
  const head = new DataView(new ArrayBuffer((4 + 4 * segments.length + 7) & -8));
  head.setUint32(0, segments.length - 1, true);
  segments.forEach((segment, i) => head.setUint32(4 + 4 * i, segment.length / 8, true));
  return concat([new Uint8Array(head.buffer), ...segments]);
}

export function frameOf(bytes: Uint8Array, limits: Limits = DEFAULT_LIMITS): Frame {
  const frame = new Frame();
  parseFrame(bytes, frame, limits);
  return frame;
}

/** What `write` puts on the wire. */
export function written(
  write: (writer: IntroductionWriter) => void,
  limits: Limits = DEFAULT_LIMITS,
): Uint8Array {
  const outbox = new Outbox();
  write(new IntroductionWriter(outbox, limits));
  const batch = outbox.take()!;
  const bytes = concat(batch.chunks);
  batch.release();
  return bytes;
}

export function readBack(bytes: Uint8Array, limits: Limits = DEFAULT_LIMITS): MessageReader {
  const reader = new MessageReader(limits);
  reader.read(frameOf(bytes, limits));
  return reader;
}

/** The RpcError that `run` throws; anything else, or nothing, fails the test. */
export function errorOf(run: () => unknown): RpcError {
  try {
    run();
  } catch (thrown) {
    if (RpcError.is(thrown)) return thrown;
    throw thrown;
  }
  throw new Error("expected an RpcError, but nothing was thrown");
}

export const struct = (offset: number, data: number, pointers: number): [number, number] => [
  offset << 2,
  data | (pointers << 16),
];
export const list = (offset: number, size: number, count: number): [number, number] => [
  (offset << 2) | 1,
  size | (count << 3),
];
/** A far pointer to word `at` of segment `segment`. */
export const far = (segment: number, at: number, double = false): [number, number] => [
  (at << 3) | (double ? 4 : 0) | 2,
  segment,
];
export const capability = (index: number): [number, number] => [3, index];
