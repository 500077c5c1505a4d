// Role: bodies: one of ours that flows into the ByteStream of the other side, and one of the other side as a ReadableStream.
// State: per body, how many bytes have passed and how many are to. Must not know: heads, who asks or serves.
//
// How bytes travel is cap/stream's; here is what HTTP adds to it: a body is bytes and nothing else, one whose size was told has
// exactly that, and only the end is an end. Whatever falls short of it reaches the reader as an error.

import { RpcError } from "../base/errors.js";
import type { Scheduler } from "../base/scheduler.js";
import { whenCollected } from "../cap/stream/collected.js";
import { SinkClient } from "../cap/stream/sink-client.js";
import { type Drain, SinkServer } from "../cap/stream/sink-server.js";
import { discard, droppedError, ignore, type Values } from "../cap/stream/values.js";
import type { Hook } from "../hook/hook.js";
import { LocalHook } from "../hook/local.js";

/** Streams of which it is known how many bytes they give: those of bodies that came with their size, or were made of bytes. */
const sizes = /* @__PURE__ */ new WeakMap<ReadableStream, number>();

/** Notes that `stream` gives `size` bytes. */
export function noteSize(stream: ReadableStream | null, size: number | null): void {
  if (stream !== null && size !== null) sizes.set(stream, size);
}

/** Bytes that the body `stream` gives, or null when nobody knows; 0 for no body. */
export function sizeOf(stream: ReadableStream | null): number | null {
  return stream === null ? 0 : (sizes.get(stream) ?? null);
}

/** Bytes in what a Request or Response is made of; null for what does not say. */
export function sizeOfInit(body: unknown): number | null {
  if (typeof body === "string") return utf8Length(body);
  if (body instanceof ArrayBuffer || ArrayBuffer.isView(body)) return body.byteLength;
  if (body instanceof Blob) return body.size;
  if (body instanceof URLSearchParams) return utf8Length(String(body));
  return null;
}

function utf8Length(text: string): number {
  let length = 0;
  for (const character of text) {
    const point = character.codePointAt(0)!;
    length += point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
  }
  return length;
}

function wrongLength(size: number, got: number): RpcError {
  const message = `the body has ${got > size ? "more" : "less"} than the ${size} bytes that were announced`;
  return new RpcError("failed", "body-length", message);
}

/** Counts what passes. */
class Meter {
  private readonly size: number | null;
  private count = 0;

  constructor(size: number | null) {
    this.size = size;
  }

  /** Lets `chunk` pass. @throws what is wrong with it. */
  take(chunk: unknown): Uint8Array {
    if (!(chunk instanceof Uint8Array)) {
      discard(chunk);
      throw new RpcError("failed", "invalid-argument", "a chunk of a body is no Uint8Array");
    }
    this.count += chunk.length;
    if (this.size !== null && this.count > this.size) throw wrongLength(this.size, this.count);
    return chunk;
  }

  /** @throws when it is too early for the end. */
  end(): void {
    if (this.size !== null && this.count < this.size) throw wrongLength(this.size, this.count);
  }
}

/** Where a body comes from: a reader of a stream, or an iterator. */
export interface BodySource {
  read(): Promise<{ readonly done?: boolean | undefined; readonly value?: unknown }>;
  /** Nobody wants the rest. */
  cancel(reason: unknown): void;
}

export function sourceOf(stream: ReadableStream): BodySource {
  const reader = stream.getReader();
  return {
    read: () => reader.read(),
    cancel: (reason) => void reader.cancel(reason).catch(ignore),
  };
}

/** Why a body broke off. */
export interface BodyFailure {
  readonly reason: unknown;
  /** Whether it was the source that failed, and not whoever was to take it. */
  readonly ours: boolean;
}

/** A body on its way to the other side, as fast as that takes it. */
export class OutgoingBody {
  private readonly source: BodySource;
  private readonly sink: SinkClient;
  private readonly meter: Meter;
  private over = false;

  /**
   * @param hook a ByteStream; taken over.
   * @param ended told once: null when all of it and its end are on their way, or why they never will be. Not after {@link cancel}.
   */
  constructor(
    source: BodySource,
    hook: Hook,
    values: Values,
    size: number | null,
    ended: (error: BodyFailure | null) => void,
  ) {
    this.source = source;
    this.meter = new Meter(size);
    const finish = (error: BodyFailure | null): void => {
      if (this.over) return;
      this.over = true;
      if (error !== null) source.cancel(error.reason);
      ended(error);
    };
    this.sink = new SinkClient(hook, values, (reason) => finish({ reason, ours: false }));
    this.pump().then(finish, (reason: unknown) => finish({ reason, ours: false }));
  }

  /** Lets go of both ends: the other side sees a body that was cut off, unless it has the end already. Idempotent. */
  cancel(reason: unknown): void {
    if (!this.over) this.source.cancel(reason);
    this.over = true;
    this.sink.drop();
  }

  /** Rejects when the sink takes no more. */
  private async pump(): Promise<BodyFailure | null> {
    const { sink } = this;
    for (;;) {
      let chunk: Uint8Array | null;
      try {
        chunk = await this.next();
      } catch (reason) {
        sink.abort(reason);
        return { reason, ours: true };
      }
      if (this.over || chunk === null) break;
      await sink.write(chunk);
    }
    // Its answer says only that all was taken.
    if (!this.over) sink.end().catch(ignore);
    return null;
  }

  private async next(): Promise<Uint8Array | null> {
    const { done, value } = await this.source.read();
    if (done === true) this.meter.end();
    else if (this.over) discard(value);
    else {
      return this.meter.take(value);
    }
    return null;
  }
}

/** What the other side writes a body into. */
export interface Inlet {
  /** A reference to it, to be given away. */
  readonly hook: Hook;
  /** Breaks it from this side: later writes fail with `reason`. Idempotent. */
  broken(reason: unknown): void;
}

/** A ByteStream that checks what comes and passes it on to `drain`. */
export function inletInto(
  drain: Drain,
  size: number | null,
  scheduler: Scheduler,
  values: Values,
): Inlet {
  const meter = new Meter(size);
  const refuse = (thrown: unknown): Promise<never> => {
    server.broken(thrown);
    drain.abort(thrown);
    return Promise.reject(thrown);
  };
  const server = new SinkServer(
    {
      write(chunk) {
        try {
          meter.take(chunk);
        } catch (thrown) {
          return refuse(thrown);
        }
        return drain.write(chunk);
      },
      end() {
        try {
          meter.end();
        } catch (thrown) {
          return refuse(thrown);
        }
        return drain.end();
      },
      abort: (reason) => drain.abort(reason),
      dropped: () => drain.dropped(),
    },
    values,
  );
  return { hook: new LocalHook(server, scheduler), broken: (reason) => server.broken(reason) };
}

/** Takes everything and keeps nothing: for a body that is sent where there can be none. */
export const NOWHERE: Drain = /* @__PURE__ */ Object.freeze({
  write: () => Promise.resolve(),
  end: () => Promise.resolve(),
  abort: ignore,
  dropped: ignore,
});

type Controller = ReadableByteStreamController;

/** A body of the other side as a stream: what nobody has asked for is not taken. */
export class IncomingBody implements Drain {
  private readonly canceled: (reason: unknown) => void;
  // The stream holds this, not the other way round, unless somebody reads: it may be forgotten.
  private controller: WeakRef<Controller> | null = null;
  private asked: { readonly controller: Controller; readonly done: () => void } | null = null;
  private offered: { readonly chunk: Uint8Array; readonly taken: () => void } | null = null;
  private over = false;
  private readonly lost: () => void;

  /**
   * @param canceled told once when the reader gives up, or forgets it, before the end.
   * @param lost told when nobody is left to end it; whoever knows a better reason gives it to {@link abort}.
   */
  constructor(canceled: (reason: unknown) => void, lost: () => void) {
    this.canceled = canceled;
    this.lost = lost;
  }

  /** The stream that shows it. Once. @param size of the body, if it is known. */
  open(size: number | null, scheduler: Scheduler): ReadableStream<Uint8Array<ArrayBuffer>> {
    const stream = new ReadableStream(
      {
        type: "bytes",
        start: (controller) => {
          this.controller = new WeakRef(controller);
        },
        pull: (controller) => this.pull(controller),
        cancel: (reason: unknown) => this.cancel(reason),
      },
      { highWaterMark: 0 },
    );
    noteSize(stream, size);
    whenCollected(stream, scheduler, () => this.cancel(droppedError("nobody held it")));
    return stream;
  }

  write(chunk: unknown): Promise<void> {
    const bytes = chunk as Uint8Array;
    const { asked } = this;
    if (this.over) return Promise.reject(droppedError("nobody reads it"));
    // A byte stream has no empty chunks.
    if (bytes.length === 0) return Promise.resolve();
    if (asked !== null) {
      this.asked = null;
      asked.controller.enqueue(bytes as Uint8Array<ArrayBuffer>);
      asked.done();
      return Promise.resolve();
    }
    return new Promise((taken) => {
      this.offered = { chunk: bytes, taken };
    });
  }

  end(): Promise<void> {
    this.finish((controller) => {
      controller.close();
      // Who reads into a buffer of his own gets it back.
      controller.byobRequest?.respond(0);
    });
    return Promise.resolve();
  }

  abort(reason: unknown): void {
    this.finish((controller) => controller.error(reason));
  }

  dropped(): void {
    if (!this.over) this.lost();
  }

  private pull(controller: Controller): Promise<void> | void {
    const { offered } = this;
    if (offered === null)
      return new Promise((done) => {
        this.asked = { controller, done };
      });
    this.offered = null;
    controller.enqueue(offered.chunk as Uint8Array<ArrayBuffer>);
    offered.taken();
  }

  private cancel(reason: unknown): void {
    if (this.over) return;
    this.finish(ignore);
    this.canceled(reason);
  }

  private finish(tell: (controller: Controller) => void): void {
    if (this.over) return;
    this.over = true;
    const { asked, offered } = this;
    this.asked = this.offered = null;
    const controller = asked?.controller ?? this.controller?.deref();
    if (controller !== undefined) tell(controller);
    asked?.done();
    offered?.taken();
  }
}
