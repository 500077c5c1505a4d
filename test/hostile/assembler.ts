// Role: frames word by word, for what no writer would write.
// State: none. Must not know: what is legal.

/** A word from its two halves. */
export function word(lo: number, hi = 0): bigint {
  return (BigInt(hi >>> 0) << 32n) | BigInt(lo >>> 0);
}

export const NULL = 0n;

export function struct(offset: number, data: number, pointers: number): bigint {
  return word(offset << 2, data | (pointers << 16));
}

/** @param size 0 void, 1 bit, 2 byte, 3 two bytes, 4 four, 5 eight, 6 pointer, 7 composite (then `count` is words). */
export function list(offset: number, size: number, count: number): bigint {
  return word((offset << 2) | 1, size + count * 8);
}

export function far(segment: number, offset: number, double = false): bigint {
  return word((offset << 3) | (double ? 4 : 0) | 2, segment);
}

export function cap(index: number): bigint {
  return word(3, index);
}

/** A frame of these segments. */
export function frame(...segments: bigint[][]): Uint8Array {
  const header = (4 + 4 * segments.length + 7) & ~7;
  const words = segments.reduce((sum, s) => sum + s.length, 0);
  const bytes = new Uint8Array(header + words * 8);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, segments.length - 1, true);
  segments.forEach((s, i) => view.setUint32(4 + 4 * i, s.length, true));
  let at = header;
  for (const s of segments)
    for (const w of s) {
      view.setBigUint64(at, BigInt.asUintN(64, w), true);
      at += 8;
    }
  return bytes;
}

/** Where the content of {@link callWith} begins; its pointer is two words before it, so an offset of 1 leads there. */
export const CONTENT = 13;

/**
 * A Call with question `question` to export 0, whose params are `pointer` and the words behind it.
 * @param more further segments.
 */
export function callWith(
  question: number,
  pointer: bigint,
  content: bigint[] = [],
  ...more: bigint[][]
): Uint8Array {
  return frame(
    [
      struct(0, 1, 1),
      word(2), // Message.call
      struct(0, 3, 3),
      word(question), // Call: method 0
      word(0x7e57),
      NULL,
      struct(2, 1, 1), // target
      struct(3, 0, 2), // params
      NULL,
      NULL, // MessageTarget.importedCap = 0
      NULL,
      pointer, // Payload.content
      NULL, // Payload.capTable
      ...content,
    ],
    ...more,
  );
}
