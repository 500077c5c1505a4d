// @ts-check
// Calls the object by frames written by hand:  node interop/workerd/raw-check.js
//
// Uses nothing of Capstan, so that it tells whether workerd, its configuration and what we believe of its interfaces are in order
// when the smoke test fails. Prints what came back; exits 0 when it is the right sum.

import { mkdtemp, rm } from "node:fs/promises";
import { createConnection } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  bootstrap,
  call,
  DEBUG_PORT,
  EVENT_DISPATCHER,
  JS_RPC_TARGET,
  jsValue,
  text,
  WORKER_BOOTSTRAP,
} from "./frames.js";
import { OBJECT, V8, startWorkerd } from "./workerd.js";

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
