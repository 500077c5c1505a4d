// Role: WritableStreams by reference: one of ours as a sink, and a sink of the other side as a WritableStream.
// State: per stream, its writer or its sink. Must not know: what chunks are.

import type { RpcError } from "../../base/errors.js";
import type { Scheduler } from "../../base/scheduler.js";
import type { Hook } from "../../hook/hook.js";
import { LocalHook } from "../../hook/local.js";
import { whenCollected } from "./collected.js";
import type { Sent } from "./sent.js";
import { SinkClient } from "./sink-client.js";
import { type Drain, SinkServer } from "./sink-server.js";
import { droppedError, ignore, type Values } from "./values.js";

/**
 * Makes a stream of ours go by reference. It is locked from now on.
 * @throws TypeError when it is locked.
 */
export function sendWritable(stream: WritableStream, scheduler: Scheduler, values: Values): Sent {
  if (stream.locked) throw new TypeError("somebody writes to it: it is locked");
  const writer = stream.getWriter();
  let restored = false;
  const drain = new WriterDrain(writer);
  const server = new SinkServer(drain, values);
  writer.closed.catch((reason: unknown) => {
    if (!restored) server.broken(reason);
  });
  return {
    hook: new LocalHook(server, scheduler),
    giveUp(error) {
      server.broken(error);
      drain.abort(error);
    },
    restore() {
      restored = true;
      // The reference that was made is let go of after this, which says nothing about the stream.
      server.broken(droppedError());
      writer.releaseLock();
    },
  };
}

/** Takes chunks as slowly as the stream does: one is taken when it has been written, not when it is queued. */
class WriterDrain implements Drain {
  private readonly writer: WritableStreamDefaultWriter<unknown>;

  constructor(writer: WritableStreamDefaultWriter<unknown>) {
    this.writer = writer;
  }

  write(chunk: unknown): Promise<void> {
    return this.writer.write(chunk);
  }

  end(): Promise<void> {
    return this.writer.close();
  }

  abort(reason: unknown): void {
    this.writer.abort(reason).catch(ignore);
  }

  dropped(error: RpcError): void {
    this.abort(error);
  }
}

/** Sinks of others, by the streams that show them. */
const sinks = /* @__PURE__ */ new WeakMap<WritableStream, SinkClient>();

/** What `stream` writes to, when that is a sink of another. */
export function sinkOf(stream: WritableStream): SinkClient | undefined {
  return sinks.get(stream);
}

/**
 * The stream behind a sink of the other side.
 * @param hook taken over.
 * @returns `dispose` breaks it, unless it has ended.
 */
export function receiveWritable(
  hook: Hook,
  values: Values,
): { stream: WritableStream; dispose: () => void; isUsed: () => boolean } {
  const { scheduler } = hook;
  let controller: WeakRef<WritableStreamDefaultController> | null = null;
  const fail = (reason: unknown): void => controller?.deref()?.error(reason);
  const sink = new SinkClient(hook, values, fail);
  const stream = new WritableStream<unknown>({
    start(given) {
      controller = new WeakRef(given);
      // Before the write under way has ended, for which `abort` below waits.
      const { signal } = given;
      signal.addEventListener("abort", () => void sink.abort(signal.reason, true), { once: true });
    },
    async write(chunk) {
      try {
        await sink.write(chunk, true);
      } catch (reason) {
        void sink.abort(reason);
        throw reason;
      }
    },
    close: () => sink.end(),
    abort: (reason: unknown) => void sink.abort(reason, true),
  });
  sinks.set(stream, sink);
  const dispose = (error: RpcError): void => {
    if (sink.isOver) return;
    void sink.abort(error, true);
    fail(error);
  };
  whenCollected(stream, scheduler, () => dispose(droppedError("nobody held it")));
  const ref = new WeakRef(stream);
  return {
    stream,
    dispose: () => dispose(droppedError("it was disposed")),
    isUsed: () => ref.deref()?.locked ?? false,
  };
}
