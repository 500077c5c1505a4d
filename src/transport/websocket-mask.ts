// Role: masking of WebSocket frames, a word at a time.
// State: none. Must not know: frames.

/** Fewer bytes are done one by one: a view on them as words costs more. */
const WORDS_FROM = 64;

const word = /* @__PURE__ */ new Int32Array(1);
const wordBytes = /* @__PURE__ */ new Uint8Array(word.buffer);

/**
 * Masks the bytes from `from` to `to`, or unmasks them, which is the same.
 *
 * @param key has the four bytes of the key at `keyAt`. @param phase which of them is for the first byte, 0 to 3.
 * Source: RFC 6455, section 5.3.
 */
export function mask(
  bytes: Uint8Array,
  from: number,
  to: number,
  key: Uint8Array,
  keyAt: number,
  phase: number,
): void {
  let at = from;
  let turn = phase;
  if (to - from >= WORDS_FROM) {
    const whole = from + (-(bytes.byteOffset + from) & 3);
    while (at < whole) bytes[at++]! ^= key[keyAt + (turn++ & 3)]!;
    for (let i = 0; i < 4; i++) wordBytes[i] = key[keyAt + ((turn + i) & 3)]!;
    // Key and bytes are read in the machine's order alike.
    const mask = word[0]!;
    const words = new Int32Array(bytes.buffer, bytes.byteOffset + at, (to - at) >> 2);
    const count = words.length;
    let i = 0;
    // Four in a step: the engine then takes a quarter of the time.
    for (const most = count - 3; i < most; i += 4) {
      words[i]! ^= mask;
      words[i + 1]! ^= mask;
      words[i + 2]! ^= mask;
      words[i + 3]! ^= mask;
    }
    while (i < count) words[i++]! ^= mask;
    at += count * 4;
  }
  while (at < to) bytes[at++]! ^= key[keyAt + (turn++ & 3)]!;
}
