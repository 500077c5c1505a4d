// Role: ReadableStreams by reference: one of ours as a source, and a source of the other side as a ReadableStream.
// State: per stream, whether its chunks have begun to flow. Must not know: what chunks are.
//
// The reader gives the source a sink to write to, and from then on chunks flow one way: bytes in flight are bounded by the
// window of that sink, and no chunk waits for a question. It does so when it is first read, so that a stream that nobody reads
// costs nothing, and one that is handed on goes as the source itself, past us. The price is one message there and back before
// the first chunk. workerd and capnweb have the sender ask for a sink beforehand; then each object must be able to make one
// for a value that it has not seen, and a result has to be made for one certain reader.

import { RpcError } from "../../base/errors.js";
import type { Scheduler } from "../../base/scheduler.js";
import type { Hook } from "../../hook/hook.js";
import { LocalHook } from "../../hook/local.js";
import { whenCollected } from "./collected.js";
import type { Sent } from "./sent.js";
import type { Drain, SinkServer } from "./sink-server.js";
import type { SubstreamEnd } from "./shorten.js";
import type { SinkClient } from "./sink-client.js";
import { pipe, pipeInto, Source } from "./source.js";
import { discard, droppedError, ignore, type Values } from "./values.js";
import { sinkOf } from "./writable.js";

/** A source of another, as a stream that nobody has read yet. */
const unread = /* @__PURE__ */ new WeakMap<ReadableStream, RemoteReadable>();

/**
 * Makes a stream of ours go by reference. It is locked from now on.
 *
 * @param gives it goes with a result or a chunk, which cannot be given up: then one that came from elsewhere, and was not read,
 *   goes as what it came as.
 * @throws TypeError when it is locked or was read from.
 */
export function sendReadable(
  stream: ReadableStream,
  scheduler: Scheduler,
  values: Values,
  gives: boolean,
): Sent {
  if (stream.locked) throw new TypeError("it is locked: somebody reads it, or it was sent before");
  if (isDisturbed(stream)) throw new TypeError("it was read from, so a part of it is missing");
  const reader = stream.getReader();
  const remote = gives ? unread.get(stream) : undefined;
  const hook = remote?.handOn() ?? null;
  if (hook !== null) {
    return {
      hook,
      giveUp: ignore,
      restore: () => {
        remote!.takeBack(hook.addRef());
        reader.releaseLock();
      },
    };
  }
  const source = new Source(reader, values);
  return {
    hook: new LocalHook(source, scheduler),
    giveUp: (error) => source.giveUp(error),
    restore: () => source.restore(),
  };
}

/** Whether it can be read into memory of the reader's: bodies, Blobs' streams, and what was made with `type: "bytes"`. */
export function isOfBytes(stream: ReadableStream): boolean {
  if (stream.locked) return false;
  try {
    stream.getReader({ mode: "byob" }).releaseLock();
    return true;
  } catch {
    return false;
  }
}

/** Only bodies ask this of a stream: there is no property for it. */
function isDisturbed(stream: ReadableStream): boolean {
  try {
    new Response(stream);
    return false;
  } catch {
    return true;
  }
}

/**
 * The stream behind a source of the other side.
 * @param hook taken over. @param bytes whether it takes nothing else, and can be read into memory of the reader's.
 * @returns `dispose` breaks it, unless it has ended.
 */
export function receiveReadable(
  hook: Hook,
  values: Values,
  bytes: boolean,
): { stream: ReadableStream; dispose: () => void; isUsed: () => boolean } {
  const remote = new RemoteReadable(hook, values, bytes);
  const stream = streamOf(remote, bytes);
  unread.set(stream, remote);
  const dispose = (): void => remote.dispose(droppedError("it was disposed"));
  whenCollected(stream, hook.scheduler, () => remote.dispose(droppedError("nobody held it")));
  const ref = new WeakRef(stream);
  return { stream, dispose, isUsed: () => ref.deref()?.locked ?? false };
}

/** A stream of bytes from afar: into another from afar it is piped without us. */
class ReceivedBytes extends ReadableStream<Uint8Array> {
  override pipeTo(
    destination: WritableStream<Uint8Array>,
    options?: StreamPipeOptions,
  ): Promise<void> {
    const remote = unread.get(this);
    const sink = sinkOf(destination);
    const plainly = (): Promise<void> => super.pipeTo(destination, options);
    // Who wants to stop it in the middle, or to use what is left of one end, has it go through here.
    const { signal, preventAbort, preventCancel, preventClose = false } = options ?? {};
    // One that is locked, too: that is refused as ever.
    const whole = signal === undefined && preventAbort !== true && preventCancel !== true;
    return whole && !destination.locked && sink?.isOver === false && remote?.isUntouched === true
      ? shortPipe(this, remote, destination, sink, preventClose, plainly)
      : plainly();
  }
}

async function shortPipe(
  stream: ReadableStream,
  remote: RemoteReadable,
  destination: WritableStream,
  sink: SinkClient,
  preventClose: boolean,
  plainly: () => Promise<void>,
): Promise<void> {
  const reader = stream.getReader();
  const writer = destination.getWriter();
  const unlock = (): void => {
    reader.releaseLock();
    writer.releaseLock();
  };
  reader.closed.catch(ignore);
  writer.closed.catch(ignore);
  const end: SubstreamEnd = { reached: false };
  let substream: Hook | null = null;
  try {
    // What was written before comes first.
    await writer.ready;
    substream = await sink.substream(end);
  } catch {
    // Why it takes no more is told to both ends as it always is.
  }
  if (substream === null || !remote.isUntouched) {
    substream?.release();
    unlock();
    return plainly();
  }
  try {
    await remote.pipeInto(substream, end);
    if (!preventClose) await writer.close();
  } catch (thrown) {
    // A sink that broke says why; its source was only told to stop.
    const reason: unknown = sink.isOver ? await writer.closed.catch((why: unknown) => why) : thrown;
    writer.abort(reason).catch(ignore);
    throw reason;
  } finally {
    unlock();
  }
}

/** Without a queue of its own: what nobody has asked for is not fetched. */
function streamOf(remote: RemoteReadable, bytes: boolean): ReadableStream {
  if (bytes)
    try {
      return new ReceivedBytes({ ...remote.forStream(), type: "bytes" }, { highWaterMark: 0 });
    } catch {
      // A browser that has no streams of bytes.
    }
  return new ReadableStream(remote.forStream(), { highWaterMark: 0 });
}

type Controller = ReadableStreamDefaultController<unknown> | ReadableByteStreamController;

/** What is between a source and the stream that shows it. Does not hold the stream while nobody reads: it may be forgotten. */
class RemoteReadable implements Drain {
  private source: Hook | null;
  private readonly values: Values;
  private readonly bytes: boolean;
  private controller: WeakRef<Controller> | null = null;
  private server: SinkServer | null = null;
  private piping = false;
  /** The source writes to another's sink: stops that. */
  private stopShort: ((error: RpcError) => void) | null = null;
  private over = false;
  /** What its sink was dropped with while the source had more to say. */
  private lost: RpcError | null = null;
  /** A reader waits. */
  private asked: { readonly controller: Controller; readonly done: () => void } | null = null;
  /** A chunk waits, or what is left of it. */
  private offered: { chunk: unknown; readonly taken: (copied: boolean) => void } | null = null;

  /** @param source taken over. */
  constructor(source: Hook, values: Values, bytes: boolean) {
    this.source = source;
    this.values = values;
    this.bytes = bytes;
  }

  forStream() {
    return {
      start: (controller: Controller): void => {
        this.controller = new WeakRef(controller);
      },
      pull: (controller: Controller): Promise<void> | void => this.pull(controller),
      cancel: (reason: unknown): void => this.cancel(reason),
    };
  }

  /** Whether nothing was asked of it, and it has not ended. */
  get isUntouched(): boolean {
    return this.source !== null && this.server === null && this.stopShort === null && !this.over;
  }

  /**
   * Has the source write into `sink`, past us. The stream here ends with that.
   * @param sink taken over. @param end told when the source ended it.
   * @throws the reason why it did not.
   */
  pipeInto(sink: Hook, end: SubstreamEnd): Promise<void> {
    return new Promise((resolve, reject) => {
      const failed = (reason: unknown): void => {
        this.abort(reason);
        reject(reason);
      };
      const results = pipeInto(this.source!, sink, (error) => {
        if (this.stopShort === null) return;
        this.stopShort = null;
        this.letGo();
        if (error !== null) return failed(this.values.shown(error));
        if (!end.reached) return failed(droppedError());
        this.finish(close);
        resolve();
      });
      this.stopShort = (error) => {
        this.stopShort = null;
        results.cancel();
        this.letGo();
        failed(error);
      };
    });
  }

  /** The source itself, if nothing has come from it: the stream here is over then, without an end. */
  handOn(): Hook | null {
    const { source } = this;
    if (!this.isUntouched) return null;
    this.source = null;
    return source;
  }

  /** It was not handed on after all. */
  takeBack(source: Hook): void {
    this.source = source;
  }

  private pull(controller: Controller): Promise<void> {
    if (this.server === null) this.begin();
    return new Promise((done) => {
      this.asked = { controller, done };
      this.hand();
    });
  }

  /** Gives the chunk that waits to the reader who waits: into memory that it brought, or for good. */
  private hand(): void {
    const { asked, offered } = this;
    if (asked === null || offered === null) return;
    this.asked = null;
    const { controller, done } = asked;
    const request = (controller as Partial<ReadableByteStreamController>).byobRequest;
    done();
    if (request) {
      const bytes = offered.chunk as Uint8Array;
      const view = request.view as Uint8Array;
      const part = bytes.subarray(0, view.length);
      view.set(part);
      request.respond(part.length);
      offered.chunk = bytes.subarray(part.length);
      if (part.length < bytes.length) return;
    } else controller.enqueue(offered.chunk as never);
    this.offered = null;
    offered.taken(!!request);
  }

  private begin(): void {
    this.piping = true;
    this.server = pipe(this.source!, this, this.values, (error) => {
      this.piping = false;
      this.letGo();
      // Why the source failed says more than that its sink was dropped.
      if (error !== null) this.abort(error);
      else if (this.lost !== null) this.abort(this.lost);
    });
  }

  write(chunk: unknown): Promise<boolean> {
    if (this.over) {
      discard(chunk);
      return Promise.reject(droppedError("nobody reads it"));
    }
    if (this.bytes) {
      if (!(chunk instanceof Uint8Array)) return this.refuse(chunk);
      // Streams of bytes have no chunks of none.
      if (chunk.length === 0) return Promise.resolve(true);
    }
    return new Promise((taken) => {
      this.offered = { chunk, taken };
      this.hand();
    });
  }

  private refuse(chunk: unknown): Promise<never> {
    discard(chunk);
    const error = new RpcError("failed", "invalid-payload", "a chunk is no bytes");
    this.dispose(error);
    return Promise.reject(error);
  }

  end(): Promise<void> {
    this.finish(close);
    return Promise.resolve();
  }

  abort(reason: unknown): void {
    this.finish((controller) => controller.error(reason));
  }

  dropped(error: RpcError): void {
    if (this.piping) this.lost = error;
    else this.abort(error);
  }

  private cancel(reason: unknown): void {
    if (this.over) return;
    // The source hears the reason through a sink that is broken from the start.
    if (this.server === null && this.source !== null) this.begin();
    this.finish(ignore);
    this.server?.broken(reason);
  }

  /** Breaks it at both sides. Idempotent. */
  dispose(error: RpcError): void {
    if (this.over) return;
    this.stopShort?.(error);
    this.abort(error);
    this.server?.broken(error);
    if (this.server === null) this.letGo();
  }

  private finish(tell: (controller: Controller) => void): void {
    if (this.over) return;
    this.over = true;
    const { asked, offered } = this;
    this.asked = this.offered = null;
    const controller = asked?.controller ?? this.controller?.deref();
    if (controller !== undefined) tell(controller);
    asked?.done();
    if (offered === null) return;
    discard(offered.chunk);
    offered.taken(false);
  }

  private letGo(): void {
    this.source?.release();
    this.source = null;
  }
}

function close(controller: Controller): void {
  try {
    controller.close();
    // Who reads into memory of its own gets it back.
    (controller as Partial<ReadableByteStreamController>).byobRequest?.respond(0);
  } catch {
    // It ended within an element of what the reader reads: the stream has failed, and says so.
  }
}
