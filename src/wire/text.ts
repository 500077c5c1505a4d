// Role: UTF-8 to string: invalid bytes become U+FFFD, never an error (C-VAL-16).
// State: one decoder. Must not know: pointers.

// A byte order mark is a character like any other here.
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** Short ASCII is faster character by character than through the decoder. */
const SHORT = 24;

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
