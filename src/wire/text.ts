// Role: UTF-8 to string: invalid bytes become U+FFFD, never an error (C-VAL-16).
// State: one decoder. Must not know: pointers.

// A byte order mark is a character like any other here.
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** Short ASCII is faster character by character than through the decoder. */
const SHORT = 24;

/** Names that were read before, by a hash of their bytes: bounded, and what is not in its place is only decoded anew. */
const names: string[] = /* @__PURE__ */ new Array<string>(256).fill("");

/**
 * The same for a name, which a program uses again and again: the same string as before, mostly, so that it is not made
 * anew, and finding a property by it needs no look at its characters.
 */
export function decodeName(bytes: Uint8Array, at: number, length: number): string {
  if (length > SHORT) return decodeText(bytes, at, length);
  let hash = length;
  for (let i = at, end = at + length; i < end; i++) hash = (hash * 31 + bytes[i]!) | 0;
  const place = (hash ^ (hash >>> 8)) & 0xff;
  const known = names[place]!;
  if (known.length === length) {
    let i = 0;
    while (i < length && known.charCodeAt(i) === bytes[at + i]) i++;
    if (i === length) return known;
  }
  const text = decodeText(bytes, at, length);
  // With a character for each byte it is ASCII, but for bytes that are none, which no later ones are like.
  if (text.length === length) names[place] = text;
  return text;
}

/** The text in `length` bytes of `bytes` from `at` on; the final NUL is not part of it. */
export function decodeText(bytes: Uint8Array, at: number, length: number): string {
  if (length <= SHORT) {
    let text = "";
    let i = at;
    const end = at + length;
    for (; i < end; i++) {
      const c = bytes[i]!;
      if (c > 127) break;
      text += String.fromCharCode(c);
    }
    if (i === end) return text;
  }
  return decoder.decode(bytes.subarray(at, at + length));
}
