// Role: memory for copies of chunks that are sent once: a writer may change its chunk as soon as it has been told to go on.
// State: a few buffers that wait to be used again. Must not know: who sends.

/** Bytes of a buffer: the largest chunk of one call. For copies of less than half of it they would be too large. */
const COPY_BYTES = 64 * 1024;
const MOST_IDLE = 16;

const idle: ArrayBufferLike[] = [];

/** Takes back, once it was sent, the memory of what {@link copyToSend} made. What is not given back is garbage. */
export const COPIES = {
  recycle(buffer: ArrayBufferLike): void {
    if (buffer.byteLength === COPY_BYTES && idle.length < MOST_IDLE) idle.push(buffer);
  },
};

/** A copy of at most 64 KiB; a large one in memory that {@link COPIES} takes back. */
export function copyToSend(chunk: Uint8Array): Uint8Array {
  const { length } = chunk;
  if (length <= COPY_BYTES / 2) return chunk.slice();
  const copy = new Uint8Array(idle.pop() ?? new ArrayBuffer(COPY_BYTES), 0, length);
  copy.set(chunk);
  return copy;
}
