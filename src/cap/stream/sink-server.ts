// Role: serves a sink: what is written from afar goes into a drain, one chunk after the other.
// State: how much came, and whether the stream is over; who waits to hear that it broke from this side. Must not know: what the drain is.
//
// A write is answered when its chunk was taken. That is all the backpressure there is: the writer's window bounds what is not
// answered, and a vat in between answers when it was answered, so that a window reaches from end to end (C-FLO-15).

import { RpcError } from "../../base/errors.js";
import { type LocalCall, LocalHook, type Server } from "../../hook/local.js";
import { Payload } from "../../hook/payload.js";
import { canceledError } from "../../hook/promise.js";
import {
  BYTES_END,
  BYTES_HI,
  BYTES_LO,
  BYTES_SUBSTREAM,
  BYTES_WRITE,
  ONE_CAPABILITY,
  readBytes,
  readCount,
  readSubstream,
  SINK_ABORT,
  SINK_BROKEN,
  SINK_DISCARD,
  SINK_HI,
  SINK_LO,
  SINK_WRITE,
} from "./protocol.js";
import { isDiscard, Substream } from "./substream.js";
import {
  discard,
  droppedError,
  lostError,
  packReason,
  unknownMethod,
  type Values,
} from "./values.js";

/** Where chunks go. */
export interface Drain {
  /** @returns settles when the chunk was taken; only then comes the next. True: its bytes were copied, and nobody reads them any more. */
  write(chunk: unknown): Promise<boolean | void>;
  end(): Promise<void>;
  abort(reason: unknown): void;
  /** Nobody is left to end it, or what came is not all of it. */
  dropped(error: RpcError): void;
}

export class SinkServer implements Server {
  readonly passive = true;
  private readonly drain: Drain;
  private readonly values: Values;
  /** Bytes, and 1 for any other chunk: End of schema/js.capnp. */
  private count = 0;
  private over = false;
  private broke: { readonly reason: unknown } | null = null;
  private readonly watchers = new Set<LocalCall>();
  /** The write whose chunk is being taken. */
  private taking: LocalCall | null = null;

  constructor(drain: Drain, values: Values) {
    this.drain = drain;
    this.values = values;
  }

  readonly dispatch = (call: LocalCall): void => {
    const { interfaceHi, interfaceLo, methodId } = call;
    if (interfaceHi === BYTES_HI && interfaceLo === BYTES_LO) {
      if (methodId === BYTES_WRITE) return this.writeBytes(call);
      if (methodId === BYTES_END) return this.end(call);
      if (methodId === BYTES_SUBSTREAM) return this.getSubstream(call);
    } else if (interfaceHi === SINK_HI && interfaceLo === SINK_LO) {
      if (methodId === SINK_WRITE) return this.writeValue(call);
      if (methodId === SINK_ABORT || methodId === SINK_DISCARD) return this.abort(call);
      if (methodId === SINK_BROKEN) return this.watch(call, true);
    }
    call.fails(unknownMethod("sink"));
  };

  overtakes(call: LocalCall): boolean {
    return isDiscard(call);
  }

  /** The drain has broken: later writes fail, and the writer is told why even if it writes nothing. */
  broken(reason: unknown): void {
    if (this.over) return;
    this.over = true;
    this.broke = { reason };
    for (const call of this.watchers) this.tell(call);
    this.watchers.clear();
    this.stopTaking(reason);
  }

  dropped(error = droppedError()): void {
    if (this.over) return;
    this.over = true;
    this.drain.dropped(error);
    this.stopTaking(error);
  }

  /** A drain that hangs in a chunk must not hold up the rest. */
  private stopTaking(reason: unknown): void {
    this.taking?.fails(this.values.failure(reason));
    this.taking = null;
  }

  private writeBytes(call: LocalCall): void {
    call.streaming();
    if (this.isOver(call)) return;
    const chunk = readBytes(call.params.content);
    this.count += chunk.length;
    this.take(call, chunk);
  }

  private writeValue(call: LocalCall): void {
    call.streaming();
    if (this.isOver(call)) return;
    this.count++;
    this.values.unpack(
      call.params.share(),
      call.scheduler,
      (chunk) => {
        if (!this.isOver(call)) return this.take(call, chunk);
        discard(chunk);
      },
      (error) => {
        // The chunk is lost: what came after it would be a stream with a hole.
        call.fails(error);
        if (this.over) return;
        this.broken(error);
        this.drain.abort(error);
      },
    );
  }

  private take(call: LocalCall, chunk: unknown): void {
    this.taking = call;
    const taken = (): void => {
      if (this.taking === call) this.taking = null;
    };
    this.drain.write(chunk).then(
      (copied) => {
        taken();
        if (copied) call.recycleParams();
        call.returns();
      },
      (reason: unknown) => {
        taken();
        call.fails(this.values.failure(reason));
      },
    );
  }

  private end(call: LocalCall): void {
    if (this.isOver(call)) return;
    if (this.count < readCount(call.params.content)) {
      const error = lostError();
      this.dropped(error);
      return call.fails(error);
    }
    this.over = true;
    this.drain.end().then(
      () => call.returns(),
      (reason: unknown) => call.fails(this.values.failure(reason)),
    );
  }

  private abort(call: LocalCall): void {
    if (this.over) return call.returns();
    this.over = true;
    const { drain, values } = this;
    const aborted = (reason: unknown): void => {
      drain.abort(reason);
      call.returns();
      this.stopTaking(reason);
    };
    values.unpack(call.params.share(), call.scheduler, aborted, aborted);
  }

  /** Answered when the drain breaks. @param whole who gives this up before the end is gone: a write that hangs must not hide that. */
  private watch(call: LocalCall, whole: boolean): void {
    if (this.broke !== null) return this.tell(call);
    this.watchers.add(call);
    call.onCancel = (): void => {
      call.fails(canceledError());
      if (this.watchers.delete(call) && whole) this.dropped();
    };
  }

  private getSubstream(call: LocalCall): void {
    const { self, params, scheduler } = call;
    const { callback, limit } = readSubstream(params.content);
    const hook = params.caps[callback];
    if (hook === undefined || hook === null)
      throw new RpcError("failed", "invalid-payload", "there is no callback");
    // Who writes there can end the substream, and with it what it asked: the sink lives on.
    const watch = (asked: LocalCall): void => this.watch(asked, false);
    const substream = new Substream(self.addRef(), hook.addRef(), limit, watch);
    call.returns(new Payload(ONE_CAPABILITY, [new LocalHook(substream, scheduler)]));
  }

  private tell(call: LocalCall): void {
    call.returns(packReason(this.values, this.broke!.reason, call.scheduler));
  }

  private isOver(call: LocalCall): boolean {
    if (!this.over) return false;
    call.fails(
      this.broke === null
        ? new RpcError("failed", "invalid-state", "the stream has ended")
        : this.values.failure(this.broke.reason),
    );
    return true;
  }
}
