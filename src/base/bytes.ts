// Role: joins bytes. State: none. Must not know: what they mean.

/**
 * The pieces, one behind the other, as one array of bytes of its own.
 *
 * @param length of all of them together, where it is known.
 * @example joinBytes([head, body])
 */
export function joinBytes(
  pieces: readonly ArrayLike<number>[],
  length = pieces.reduce((sum, piece) => sum + piece.length, 0),
): Uint8Array<ArrayBuffer> {
  const joined = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces) {
    joined.set(piece, at);
    at += piece.length;
  }
  return joined;
}
