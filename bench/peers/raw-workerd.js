// The floor of the bridge: frames written once for each of a few calls, sent as they are and matched to their Returns by the
// question's id. It holds no table, makes no value, and gives everything back with the Finish of each question, so nothing is left
// in workerd either.

import {
  bootstrap,
  call,
  DEBUG_PORT,
  EVENT_DISPATCHER,
  finish,
  JS_RPC_TARGET,
  jsValue,
  text,
  WORKER_BOOTSTRAP,
} from "../../interop/workerd/frames.js";
import { V8 } from "../../interop/workerd/workerd.js";
import { dial, run } from "../../build/programs/bench/peers/harness.js";
import { OBJECT, serverAt, workloads } from "../../build/programs/bench/peers/workerd.js";

const ACTOR = 1;
/** Of the event in which the target lives that one call of the object gives. */
const EVENT = 2;
const FIRST = 5;
const RETURN = 3;
/** Bytes of one turn; the largest has 64 calls in 46 KB. */
const OUT = 1 << 18;

/** An event of its own, and the call in it, which is question `id + 2`. */
function event(id, method, args) {
  return Buffer.concat([
    call(id, { questionId: ACTOR, field: true }, WORKER_BOOTSTRAP, 0, 1, [null]),
    call(id + 1, { questionId: id, field: true }, EVENT_DISPATCHER, 9, 0, []),
    call(id + 2, { questionId: id + 1, field: true }, JS_RPC_TARGET, 0, 1, [
      text(method),
      args,
      null,
    ]),
  ]);
}

await run({
  name: "raw workerd",
  serve() {
    throw new Error("the server is bench/workerd/serve.js");
  },
  async connect(where) {
    const { path, cpu } = serverAt(where);
    const socket = await dial(path);
    /** Who waits for a question, by its id. */
    const waiting = [];
    let unread = Buffer.alloc(0);
    socket.on("data", (chunk) => {
      const bytes = unread.length === 0 ? chunk : Buffer.concat([unread, chunk]);
      let at = 0;
      for (;;) {
        const left = bytes.length - at;
        const length = left < 8 ? Infinity : 8 + 8 * bytes.readUInt32LE(at + 4);
        if (length > left) break;
        received(bytes, at);
        at += length;
      }
      unread = bytes.subarray(at);
    });

    function received(bytes, at) {
      const root = at + 16 + 8 * (bytes.readInt32LE(at + 8) >> 2);
      const kind = bytes.readUInt16LE(root);
      if (kind === 1) throw new Error(`workerd aborted: ${bytes.toString("latin1", at)}`);
      if (kind !== RETURN) return;
      const answer = root + 16 + 8 * (bytes.readInt32LE(root + 8) >> 2);
      if (bytes.readUInt16LE(answer + 6) !== 0)
        throw new Error(`a call failed: ${bytes.toString("latin1", at)}`);
      waiting[bytes.readUInt32LE(answer)]?.();
    }

    // One write a turn, from one buffer.
    let out = Buffer.alloc(OUT);
    let end = 0;
    function send(frames) {
      if (end === 0) process.nextTick(flush);
      out.set(frames, end);
      end += frames.length;
    }
    function flush() {
      socket.write(out.subarray(0, end));
      end = 0;
      // What the kernel did not take at once is still read.
      if (socket.writableLength > 0) out = Buffer.alloc(OUT);
    }

    /** @returns calls again and again by the frames that `begin` makes for an id, of which `questions` follow each other. */
    function calls(first, questions, begin) {
      const free = [];
      let next = first;
      function slot() {
        const id = next;
        next += questions;
        const ids = Array.from({ length: questions }, (_, i) => id + i);
        const one = {
          begin: begin(id),
          end: Buffer.concat(ids.map(finish)),
          resolve: null,
          executor: (resolve) => (one.resolve = resolve),
        };
        waiting[ids.at(-1)] = () => {
          send(one.end);
          free.push(one);
          one.resolve();
        };
        return one;
      }
      return () => {
        const one = free.pop() ?? slot();
        send(one.begin);
        return new Promise(one.executor);
      };
    }

    const args = jsValue(V8.array([3, 4]));
    send(bootstrap(0));
    const { service, className, id } = OBJECT;
    send(
      call(ACTOR, { questionId: 0, field: false }, DEBUG_PORT, 1, 0, [
        text(service),
        text(className),
        text(id),
      ]),
    );
    send(event(EVENT, "sum", null));
    const onTarget = (question) =>
      call(question, { questionId: EVENT + 2, field: true, pointer: 1 }, JS_RPC_TARGET, 0, 1, [
        text("add"),
        args,
        null,
      ]);
    return {
      workloads: workloads(
        calls(FIRST, 3, (question) => event(question, "add", args)),
        calls(FIRST + 3 * 1000, 1, onTarget),
      ),
      serverCpu: cpu,
      close: () => socket.destroy(),
    };
  },
});
