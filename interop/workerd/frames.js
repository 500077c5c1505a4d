// @ts-check
// Frames of Cap'n Proto, written by hand: for what must use nothing of Capstan, the check of workerd and the floor of the benchmark.

export const DEBUG_PORT = 0xea5b0b487aea7327n;
export const WORKER_BOOTSTRAP = 0x878048cda334ade3n;
export const EVENT_DISPATCHER = 0xf20697475ec1752dn;
export const JS_RPC_TARGET = 0xa1a96525142a9d98n;

/** @param {number} offset words from the end of the pointer @param {number} data @param {number} pointers */
const structPointer = (offset, data, pointers) =>
  (BigInt(pointers) << 48n) | (BigInt(data) << 32n) | (BigInt(offset) << 2n);

/** A list of bytes or, with size 7, of inline structs that take `count` words. */
const listPointer = (
  /** @type {number} */ offset,
  /** @type {number} */ size,
  /** @type {number} */ count,
) => (BigInt(count) << 35n) | (BigInt(size) << 32n) | (BigInt(offset) << 2n) | 1n;

/** @param {readonly bigint[]} words of the one segment @returns {Buffer} */
function frame(words) {
  const bytes = Buffer.alloc(8 + 8 * words.length);
  bytes.writeUInt32LE(words.length, 4);
  words.forEach((word, index) => bytes.writeBigUInt64LE(word, 8 + 8 * index));
  return bytes;
}

/** @param {Uint8Array} bytes @returns {bigint[]} padded with zeros */
function toWords(bytes) {
  const padded = Buffer.alloc((bytes.length + 7) & ~7);
  padded.set(bytes);
  return Array.from({ length: padded.length / 8 }, (_, index) => padded.readBigUInt64LE(8 * index));
}

/** @param {number} questionId */
export const bootstrap = (questionId) =>
  frame([structPointer(0, 1, 1), 8n, structPointer(0, 1, 1), BigInt(questionId), 0n]);

/**
 * A Call on a capability in another question's answer, or on that answer itself.
 *
 * @param {number} questionId
 * @param {{ questionId: number, field: boolean, pointer?: number }} target `pointer` by default the first
 * @param {bigint} interfaceId
 * @param {number} methodId
 * @param {number} dataWords of the params struct; all zero
 * @param {(bigint[] | null)[]} pointers of the params struct: for each the pointer without its offset and then the object's words
 */
export function call(questionId, target, interfaceId, methodId, dataWords, pointers) {
  const op = target.field
    ? [listPointer(0, 7, 1), structPointer(1, 1, 0), 1n | (BigInt(target.pointer ?? 0) << 16n)]
    : [0n];
  const answer = [structPointer(0, 1, 1), BigInt(target.questionId), ...op];
  const params = [...Array.from({ length: dataWords }, () => 0n), ...lay(pointers)];
  return frame([
    structPointer(0, 1, 1),
    2n,
    structPointer(0, 3, 3),
    BigInt(questionId) | (BigInt(methodId) << 32n),
    interfaceId,
    0n,
    structPointer(2, 1, 1),
    structPointer(2 + answer.length, 0, 2),
    0n,
    1n << 32n,
    ...answer,
    structPointer(1, dataWords, pointers.length),
    0n,
    ...params,
  ]);
}

/** @param {(bigint[] | null)[]} pointers @returns {bigint[]} the pointers, then what they point to */
function lay(pointers) {
  const heads = [];
  /** @type {bigint[]} */
  const bodies = [];
  for (const [index, object] of pointers.entries()) {
    const offset = pointers.length - index - 1 + bodies.length;
    heads.push(object === null ? 0n : (object[0] ?? 0n) | (BigInt(offset) << 2n));
    bodies.push(...(object ?? []).slice(1));
  }
  return [...heads, ...bodies];
}

/** @param {string} value */
export const text = (value) => {
  const bytes = Buffer.from(`${value}\0`);
  return [listPointer(0, 2, bytes.length), ...toWords(bytes)];
};

/** @param {Uint8Array} value as a JsValue without externals */
export const jsValue = (value) => [
  structPointer(0, 0, 2),
  listPointer(1, 2, value.length),
  0n,
  ...toWords(value),
];

/**
 * Gives back the results of a question with all capabilities in them.
 *
 * @param {number} questionId
 */
export const finish = (questionId) =>
  frame([structPointer(0, 1, 1), 4n, structPointer(0, 1, 0), BigInt(questionId) | (1n << 32n)]);
