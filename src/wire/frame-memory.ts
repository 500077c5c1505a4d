// Role: where the bytes of messages live that arrive in more than one read.
// State: which buffers may not be used again; a carrier may bring memory that it does use again.
// Must not know: what the bytes say.

/** Gives memory for messages, and takes it back from whoever says that it is used no more. */
export interface FrameMemory {
  /**
   * At least `bytes` bytes, from byte 0 of a buffer that is nobody else's. They may be stale: what was not received is never
   * shown. Room beyond `bytes` lets one read take a large message and the header of the next.
   */
  allocate(bytes: number): Uint8Array;
  /** A buffer that came from `allocate` may serve another message. */
  recycle(buffer: ArrayBufferLike): void;
}

/** Memory that the engine zeroes, which costs more than all else in a large message: carriers that can do better do. */
export const PLAIN_MEMORY: FrameMemory = {
  allocate: (bytes) => new Uint8Array(bytes),
  recycle() {},
};

const passedOn = /* @__PURE__ */ new WeakSet<ArrayBufferLike>();

/**
 * Bytes of `buffer` are sent by reference, and leave nobody knows when: it never serves another message.
 * Source: C-FRM-21.
 */
export function passOn(buffer: ArrayBufferLike): void {
  passedOn.add(buffer);
}

export function isPassedOn(buffer: ArrayBufferLike): boolean {
  return passedOn.has(buffer);
}
