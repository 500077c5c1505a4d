// Role: a body of the other side: what it is written into, and the ReadableStream that shows it.
// State: the chunk that nobody has read yet. Must not know: heads, who asks or serves.
//
// How bytes travel is cap/stream's; here is what HTTP adds to it: a body is bytes and nothing else, one whose size was told has
// exactly that, and only the end is an end. Whatever falls short of it reaches the reader as an error.

import { currentOrigin, type Origin } from "../base/origin.js";
import type { Scheduler } from "../base/scheduler.js";
import { whenCollected } from "../cap/stream/collected.js";
import { type Drain, SinkServer } from "../cap/stream/sink-server.js";
import { droppedError, ignore, type Values } from "../cap/stream/values.js";
import type { Hook } from "../hook/hook.js";
import { LocalHook } from "../hook/local.js";
import { comeBack } from "./entry.js";
import { Meter, noteSize } from "./sizes.js";

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
      dropped: (error) => drain.dropped(error),
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

/** Whoever reads, and waits for more. */
interface Reading {
  readonly controller: Controller;
  /** Whose code it is: what it reads is an answer that it waits for. */
  readonly origin: Origin | null;
  readonly done: () => void;
}

/** A body of the other side as a stream: what nobody has asked for is not taken. */
export class IncomingBody implements Drain {
  private readonly canceled: (reason: unknown) => void;
  // The stream holds this, not the other way round, unless somebody reads: it may be forgotten.
  private controller: WeakRef<Controller> | null = null;
  private asked: Reading | null = null;
  /** Whoever will be given a chunk when he may go on. */
  private given: Reading | null = null;
  private offered: { readonly chunk: Uint8Array; readonly taken: () => void } | null = null;
  private over = false;
  private unread = false;
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
    return new Promise((taken) => {
      if (asked !== null) this.give(asked, bytes, taken);
      else this.offered = { chunk: bytes, taken };
    });
  }

  private give(to: Reading, chunk: Uint8Array, taken: () => void): void {
    this.asked = null;
    this.given = to;
    const come = (): void => {
      this.given = null;
      if (!this.unread) to.controller.enqueue(chunk as Uint8Array<ArrayBuffer>);
      to.done();
      taken();
    };
    comeBack(to.origin, come, come);
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
        this.asked = { controller, origin: currentOrigin(), done };
      });
    this.offered = null;
    controller.enqueue(offered.chunk as Uint8Array<ArrayBuffer>);
    offered.taken();
  }

  private cancel(reason: unknown): void {
    this.unread = true;
    if (this.over) return;
    this.finish(ignore);
    this.canceled(reason);
  }

  private finish(tell: (controller: Controller) => void): void {
    if (this.over) return;
    this.over = true;
    const { asked, given, offered } = this;
    this.asked = this.offered = null;
    const reading = asked ?? given;
    const controller = reading?.controller ?? this.controller?.deref();
    const come = (): void => {
      if (controller !== undefined && !this.unread) tell(controller);
      asked?.done();
      offered?.taken();
    };
    comeBack(reading?.origin ?? null, come, come);
  }
}
