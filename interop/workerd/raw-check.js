// @ts-check
// Calls the object by frames written by hand:  node interop/workerd/raw-check.js
//
// Uses nothing of Capstan, so that it tells whether workerd, its configuration and what we believe of its interfaces are in order
// when the smoke test fails. Prints what came back; exits 0 when it is the right sum.

import { mkdtemp, rm } from "node:fs/promises";
import { createConnection } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { OBJECT, V8, startWorkerd } from "./workerd.js";

const DEBUG_PORT = 0xea5b0b487aea7327n;
const WORKER_BOOTSTRAP = 0x878048cda334ade3n;
const EVENT_DISPATCHER = 0xf20697475ec1752dn;
const JS_RPC_TARGET = 0xa1a96525142a9d98n;

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
const bootstrap = (questionId) =>
  frame([structPointer(0, 1, 1), 8n, structPointer(0, 1, 1), BigInt(questionId), 0n]);

/**
 * A Call on the capability in pointer 0 of another question's answer, or on that answer itself.
 *
 * @param {number} questionId
 * @param {{ questionId: number, field: boolean }} target
 * @param {bigint} interfaceId
 * @param {number} methodId
 * @param {number} dataWords of the params struct; all zero
 * @param {(bigint[] | null)[]} pointers of the params struct: for each the pointer without its offset and then the object's words
 */
function call(questionId, target, interfaceId, methodId, dataWords, pointers) {
  const op = target.field ? [listPointer(0, 7, 1), structPointer(1, 1, 0), 1n] : [0n];
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
const text = (value) => {
  const bytes = Buffer.from(`${value}\0`);
  return [listPointer(0, 2, bytes.length), ...toWords(bytes)];
};

/** @param {Uint8Array} value as a JsValue without externals */
const jsValue = (value) => [
  structPointer(0, 0, 2),
  listPointer(1, 2, value.length),
  0n,
  ...toWords(value),
];

/** Bootstrap, getActor, startEvent, jsRpcSession, call: each on the answer of the one before. */
function oneFlight() {
  const { service, entrypoint, actorId } = OBJECT;
  return Buffer.concat([
    bootstrap(0),
    call(1, { questionId: 0, field: false }, DEBUG_PORT, 1, 0, [
      text(service),
      text(entrypoint),
      text(actorId),
    ]),
    call(2, { questionId: 1, field: true }, WORKER_BOOTSTRAP, 0, 1, [null]),
    call(3, { questionId: 2, field: true }, EVENT_DISPATCHER, 9, 0, []),
    call(4, { questionId: 3, field: true }, JS_RPC_TARGET, 0, 1, [
      text("add"),
      jsValue(V8.array([19, 23])),
      null,
    ]),
  ]);
}

/** Where the near struct pointer at `at` points: its data and its pointers. */
function follow(/** @type {Buffer} */ bytes, /** @type {number} */ at) {
  const data = at + 8 + (bytes.readInt32LE(at) >> 2) * 8;
  return { data, pointers: data + bytes.readUInt16LE(at + 4) * 8 };
}

/**
 * The result of the call in one frame, or null when the frame is another message. Throws for an exception or an abort.
 *
 * @param {Buffer} message
 * @returns {Buffer | null} the bytes of CallResults.result.v8Serialized
 */
function resultIn(message) {
  const root = follow(message, 8);
  const tag = message.readUInt16LE(root.data);
  if (tag === 1) throw new Error(`workerd aborted: ${message.toString("latin1")}`);
  if (tag !== 3) return null;
  const answer = follow(message, root.pointers);
  const questionId = message.readUInt32LE(answer.data);
  if (message.readUInt16LE(answer.data + 6) !== 0) {
    throw new Error(`question ${questionId} failed: ${message.toString("latin1")}`);
  }
  if (questionId !== 4) return null;
  const payload = follow(message, answer.pointers);
  const value = follow(message, follow(message, payload.pointers).pointers);
  const list = follow(message, value.pointers).data;
  return message.subarray(list, list + (message.readUInt32LE(value.pointers + 4) >>> 3));
}

/** @param {string} path @returns {Promise<Buffer>} */
async function ask(path) {
  const socket = createConnection({ path });
  socket.setTimeout(20_000, () => socket.destroy(new Error("no answer within 20 seconds")));
  socket.write(oneFlight());
  let received = Buffer.alloc(0);
  try {
    for await (const chunk of socket) {
      received = Buffer.concat([received, chunk]);
      while (received.length >= 8 && received.length >= 8 + received.readUInt32LE(4) * 8) {
        if (received.readUInt32LE(0) !== 0) throw new Error("a message of several segments");
        const length = 8 + received.readUInt32LE(4) * 8;
        const result = resultIn(received.subarray(0, length));
        if (result !== null) return result;
        received = received.subarray(length);
      }
    }
    throw new Error("workerd closed the connection");
  } finally {
    socket.destroy();
  }
}

const folder = await mkdtemp(join(tmpdir(), "capstan-workerd-"));
try {
  const workerd = await startWorkerd(folder);
  try {
    const result = await ask(workerd.path);
    const expected = Buffer.from(V8.number(42));
    console.log(`${workerd.version}: 19 + 23 is ${result.toString("hex")}`);
    if (!result.equals(expected)) throw new Error(`expected ${expected.toString("hex")}`);
  } finally {
    await workerd.stop();
  }
} finally {
  await rm(folder, { recursive: true, force: true });
}
