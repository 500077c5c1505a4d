// Role: memory for copies of chunks that are sent once: a writer may change its chunk as soon as it has been told to go on.
// State: a few buffers that wait to be used again. Must not know: who sends.

import type { FrameMemory } from "../../wire/frame-memory.js";

/** Bytes of a buffer that is used again: the largest chunk of one call. Smaller copies than half of it are left to the engine. */
const COPY_BYTES = 64 * 1024;
const MOST_IDLE = 16;

const idle: ArrayBufferLike[] = [];

/** Where {@link copyToSend} takes its memory. */
export const COPIES: FrameMemory = {
  allocate: (bytes) => new Uint8Array(idle.pop() ?? new ArrayBuffer(COPY_BYTES), 0, bytes),
  recycle(buffer) {
    if (buffer.byteLength === COPY_BYTES && idle.length < MOST_IDLE) idle.push(buffer);
  },
};

/** A copy of at most 64 KiB, whose memory is to go back to {@link COPIES} when it was sent; else it is garbage. */
export function copyToSend(chunk: Uint8Array): Uint8Array {
  const { length } = chunk;
  if (length <= COPY_BYTES / 2) return chunk.slice();
  const copy = COPIES.allocate(length);
  copy.set(chunk);
  return copy;
}
