// Role: writes to a sink, wherever it is.
// State: one reference to it; how much was written; whether it is over, and why. Must not know: where chunks come from.

import { RpcError } from "../../base/errors.js";
import {
  CallRequest,
  type FlowController,
  type Hook,
  NO_PROMISE_PIPELINING,
} from "../../hook/hook.js";
import { emptyPayload, Payload } from "../../hook/payload.js";
import type { Results } from "../../hook/results.js";
import { watchBroken } from "../dynamic/broken.js";
import { GATHER_UP_TO, Gathered } from "./gather.js";
import {
  BYTES_END,
  BYTES_HI,
  BYTES_LO,
  BYTES_WRITE,
  bytesParams,
  countParams,
  SINK_ABORT,
  SINK_BROKEN,
  SINK_DISCARD,
  SINK_HI,
  SINK_LO,
  SINK_WRITE,
  WRITE_BYTES,
} from "./protocol.js";
import { type SubstreamEnd, substreamOf } from "./shorten.js";
import { droppedError, ignore, packReason, type Values } from "./values.js";

/** About what a Call message adds to its params (C-FLO-06). */
const ENVELOPE_BYTES = 96;
const READY: Promise<void> = /* @__PURE__ */ Promise.resolve();

/** The writing end of a stream. Told once, by `onBroken`, when it breaks from the other side. */
export class SinkClient {
  private hook: Hook | null;
  private readonly values: Values;
  private readonly onBroken: (reason: unknown) => void;
  private watching: Results | null = null;
  private stopWatch: () => void = ignore;
  /** Small chunks that wait for the end of the turn; made when there is one. */
  private gathered: Gathered | null = null;
  /** When there is room behind what was gathered before. */
  private room = READY;
  /** Bytes, and 1 for any other chunk: End of schema/js.capnp. */
  private written = 0;
  private broke: { readonly reason: unknown } | null = null;
  /** Whoever waits to write more, or for the end. */
  private readonly waiting = new Set<(reason: unknown) => void>();

  /** @param hook taken over. */
  constructor(hook: Hook, values: Values, onBroken: (reason: unknown) => void) {
    this.hook = hook;
    this.values = values;
    this.onBroken = onBroken;
    this.watch(hook);
  }

  /** Whether nothing more can be written: it broke, was ended, aborted or dropped. */
  get isOver(): boolean {
    return this.hook === null || this.broke !== null;
  }

  /**
   * Sends a chunk, at once; small ones of bytes at the end of the turn, in one call. Bytes of more than 64 KiB go in several,
   * each when there is room for it.
   *
   * @param lent bytes in `chunk` are still the caller's, who may write to them again.
   * @returns resolves when more may be written; rejects with the reason when the stream has broken. Left alone, it is no
   *   unhandled rejection (C-FLO-02, 07, 08).
   * @throws RpcError unsendable-value when something in `chunk` cannot travel.
   */
  write(chunk: unknown, lent = false): Promise<void> {
    const { hook } = this;
    if (hook === null || this.broke !== null) return this.fails();
    if (chunk instanceof Uint8Array) {
      this.written += chunk.length;
      // In this process there is no call to be saved.
      if (chunk.length <= GATHER_UP_TO && hook.flow !== null) return this.gather(chunk);
      this.flush();
      if (chunk.length > WRITE_BYTES) return this.writeLarge(lent ? chunk.slice() : chunk);
      return this.writeBytes(chunk, lent);
    }
    const params = this.values.pack(chunk, hook.scheduler);
    this.written++;
    this.flush();
    return this.send(SINK_HI, SINK_LO, SINK_WRITE, params);
  }

  private gather(chunk: Uint8Array): Promise<void> {
    this.gathered ??= new Gathered(() => this.flush());
    if (this.gathered.add(chunk)) this.flush();
    return this.room;
  }

  /** Sends what was gathered: whatever comes next must come behind it. */
  private flush(): void {
    const { gathered } = this;
    if (gathered === null || gathered.isEmpty) return;
    this.room = this.send(BYTES_HI, BYTES_LO, BYTES_WRITE, new Payload(gathered.take()));
  }

  private writeBytes(chunk: Uint8Array, lent = false): Promise<void> {
    return this.send(BYTES_HI, BYTES_LO, BYTES_WRITE, new Payload(bytesParams(chunk, lent)));
  }

  private async writeLarge(chunk: Uint8Array): Promise<void> {
    for (let at = 0; at < chunk.length; at += WRITE_BYTES)
      await this.writeBytes(chunk.subarray(at, at + WRITE_BYTES));
  }

  private send(hi: number, lo: number, method: number, payload: Payload): Promise<void> {
    const { hook } = this;
    if (hook === null || this.broke !== null) {
      payload.release();
      return this.fails();
    }
    const { bytes } = payload;
    const { flow } = hook; // of the way that this call takes
    const results = hook.call(new CallRequest(hi, lo, method, payload, NO_PROMISE_PIPELINING));
    results.dropPipeline();
    const { refusedBy } = results;
    if (refusedBy !== null) {
      // What comes next would be a stream with a hole: also its end.
      results.cancel();
      void this.abort(this.values.shown(refusedBy));
      return this.fails();
    }
    if (flow === null) return this.settled(results);
    flow.sent(bytes + ENVELOPE_BYTES, results);
    if (flow.ready) return READY;
    return this.promise((done) => flow.whenReady(done));
  }

  /** All that was written has been taken, and the sink has ended. @throws the reason when it broke before. */
  async end(): Promise<void> {
    this.flush();
    const { hook } = this;
    if (hook === null || this.broke !== null) return this.fails();
    const { flow } = hook;
    const params = new Payload(countParams(this.written));
    const request = new CallRequest(BYTES_HI, BYTES_LO, BYTES_END, params, NO_PROMISE_PIPELINING);
    await this.settled(hook.call(request), flow);
    this.letGo();
  }

  /**
   * Breaks the stream from this side. Idempotent.
   * @param now what was written and not taken is discarded; otherwise it comes first.
   * @returns resolves when that has arrived, or never will. The first call's counts.
   */
  abort(reason: unknown, now = false): Promise<void> {
    this.flush();
    const { hook } = this;
    if (hook === null || this.broke !== null) return READY;
    this.broke = { reason };
    const payload = packReason(this.values, reason, hook.scheduler);
    const method = now ? SINK_DISCARD : SINK_ABORT;
    const results = hook.call(new CallRequest(SINK_HI, SINK_LO, method, payload));
    results.dropPipeline();
    // Kept until it is there: to let go of the sink before would be a reason of its own.
    const answered = new Promise<void>((resolve) => {
      results.observe({
        immediate: false,
        resultsSettled: () => {
          results.cancel();
          this.letGo();
          resolve();
        },
      });
    });
    this.rejectAll(reason);
    return answered;
  }

  /**
   * A substream of the sink, behind all that was written: whoever has it writes in our place.
   * @returns see {@link substreamOf}. @throws the reason why the stream broke.
   */
  async substream(end: SubstreamEnd): Promise<Hook | null> {
    this.flush();
    const { hook } = this;
    if (hook === null || this.broke !== null) return this.fails().then(() => null);
    try {
      return await substreamOf(hook, (bytes) => {
        this.written += bytes;
        end.reached = true;
      });
    } catch (error) {
      throw this.values.shown(RpcError.from(error));
    }
  }

  /** Lets go of it: an abort without a word. Idempotent. */
  drop(): void {
    this.flush();
    this.broke ??= { reason: droppedError("it was let go of") };
    this.letGo();
    this.rejectAll(this.broke.reason);
  }

  private rejectAll(reason: unknown): void {
    for (const reject of this.waiting) reject(reason);
    this.waiting.clear();
  }

  private letGo(): void {
    const { hook, watching } = this;
    if (hook === null) return;
    this.hook = null;
    this.watching = null;
    watching?.cancel();
    this.stopWatch();
    hook.release();
  }

  private watch(hook: Hook): void {
    const results = hook.call(
      new CallRequest(SINK_HI, SINK_LO, SINK_BROKEN, emptyPayload(), NO_PROMISE_PIPELINING),
    );
    this.watching = results;
    results.dropPipeline();
    results.observe({
      immediate: false,
      resultsSettled: () => {
        const { error } = results;
        if (this.watching !== results) return results.cancel();
        this.watching = null;
        if (error === null) {
          const failed = (reason: unknown): void => this.fail(reason);
          this.values.unpack(results.takePayload(), hook.scheduler, failed, failed);
          return;
        }
        results.cancel();
        if (error.type !== "unimplemented") return this.fail(this.values.shown(error));
        // A ByteStream of someone else's does not say that it broke until something is written; that its connection is lost is known.
        this.stopWatch = watchBroken(hook, (lost) => this.fail(this.values.shown(lost)));
      },
    });
  }

  private fail(reason: unknown): void {
    if (this.broke !== null || this.hook === null) return;
    this.broke = { reason };
    this.letGo();
    this.rejectAll(reason);
    this.onBroken(reason);
  }

  private fails(): Promise<void> {
    const reason =
      this.broke === null
        ? new RpcError("failed", "invalid-state", "the stream has ended")
        : this.broke.reason;
    const promise = Promise.reject(reason);
    promise.catch(ignore);
    return promise;
  }

  /** @param flow of the writes before, whose answers came before: whoever refused one knows why, and the sink may not know. */
  private settled(results: Results, flow: FlowController | null = null): Promise<void> {
    return this.promise((done) => {
      results.observe({
        immediate: false,
        resultsSettled() {
          const { error } = results;
          results.cancel();
          if (flow === null) done(error);
          else flow.whenReady((refused) => done(refused ?? error));
        },
      });
    });
  }

  /** A promise of what `start` tells. The reason why the stream broke is told by it, if known, not by the failed call. */
  private promise(start: (done: (error: RpcError | null) => void) => void): Promise<void> {
    const promise = new Promise<void>((resolve, reject) => {
      this.waiting.add(reject);
      start((error) => {
        this.waiting.delete(reject);
        if (error === null) return resolve();
        const reason = this.values.shown(error);
        this.fail(reason);
        reject(this.broke === null ? reason : this.broke.reason);
      });
    });
    promise.catch(ignore);
    return promise;
  }
}
