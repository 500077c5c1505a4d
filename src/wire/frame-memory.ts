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

/** At least so much is kept for {@link takeAside}. */
const ASIDE_BYTES = 4096;

/** For what one read brought behind a large message. Whoever takes it has it alone, so that none sees another's. */
let aside: Uint8Array | null = null;

/** A copy of `bytes`, from byte 0 of plain memory that may be larger; to be given to {@link giveAside} when it was read. */
export function takeAside(bytes: Uint8Array): Uint8Array {
  const taken = aside;
  aside = null;
  const copy =
    taken !== null && taken.length >= bytes.length
      ? taken
      : new Uint8Array(Math.max(bytes.length, ASIDE_BYTES));
  copy.set(bytes);
  return copy;
}

export function giveAside(bytes: Uint8Array): void {
  aside = bytes;
}

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
