// Role: a substream of a sink: bytes that somebody writes into the sink in place of its owner, up to a limit.
// State: bytes written, whether the limit was reached. Must not know: what the sink drains into.
//
// A vat that pipes one byte stream into another has no need to see the bytes: it asks the stream it writes to for a substream, and
// has the writer of the other write there (getSubstream, "path shortening"). workerd does so whenever a Worker pipes, and waits
// for the callback: it is told of the end before the end is answered, and let go of after that.

import { CallRequest, type Hook, NO_PROMISE_PIPELINING } from "../../hook/hook.js";
import type { LocalCall, Server } from "../../hook/local.js";
import { emptyPayload, Payload } from "../../hook/payload.js";
import type { Content } from "../../wire/content.js";
import {
  BYTES_END,
  BYTES_HI,
  BYTES_LO,
  BYTES_WRITE,
  bytesParams,
  CALLBACK_ENDED,
  CALLBACK_HI,
  CALLBACK_LO,
  CALLBACK_REACHED_LIMIT,
  countParams,
  NEXT_PATH,
  readBytes,
  readCount,
  SINK_ABORT,
  SINK_BROKEN,
  SINK_DISCARD,
  SINK_HI,
  SINK_LO,
} from "./protocol.js";
import { lostError, unknownMethod } from "./values.js";

export class Substream implements Server {
  readonly passive = true;
  /** Where bytes go: the sink, and past the limit what the callback names. */
  private target: Hook;
  private callback: Hook | null;
  private readonly limit: number;
  private readonly watch: (call: LocalCall) => void;
  private count = 0;

  /**
   * @param sink and @param callback taken over. @param limit bytes that go into `sink`.
   * @param watch answers a call of `broken` when the sink breaks, and forgets it when it is given up.
   */
  constructor(sink: Hook, callback: Hook, limit: number, watch: (call: LocalCall) => void) {
    this.watch = watch;
    this.target = sink;
    this.callback = callback;
    this.limit = limit;
  }

  readonly dispatch = (call: LocalCall): void => {
    const isBytes = call.interfaceHi === BYTES_HI && call.interfaceLo === BYTES_LO;
    if (isBytes && call.methodId === BYTES_WRITE) {
      call.streaming();
      return this.write(call, readBytes(call.params.content));
    }
    if (isBytes && call.methodId === BYTES_END) return this.end(call);
    if (call.interfaceHi === SINK_HI && call.interfaceLo === SINK_LO) {
      // Why one side gives up, the other is to know.
      const { methodId } = call;
      if (methodId === SINK_BROKEN) return this.watch(call);
      if (methodId === SINK_ABORT || methodId === SINK_DISCARD)
        return call.tailCall(this.target, passedOn(call));
    }
    call.fails(unknownMethod("substream"));
  };

  overtakes(call: LocalCall): boolean {
    return isDiscard(call);
  }

  /** Not ended: what it wrote into is cut off with it. */
  dropped(): void {
    this.callback?.release();
    this.target.release();
  }

  private write(call: LocalCall, bytes: Uint8Array): void {
    const fits = this.callback === null ? Infinity : this.limit - this.count;
    this.count += bytes.length;
    if (bytes.length <= fits) return this.pass(call, BYTES_WRITE, bytesParams(bytes));
    const { target } = this;
    if (fits > 0) {
      // Its answer is the sink's to give in order: what comes behind it goes elsewhere, and may fail by itself.
      const results = target.call(request(BYTES_WRITE, bytesParams(bytes.subarray(0, fits))));
      results.dropPipeline();
      results.observe({ immediate: false, resultsSettled: (done) => done.cancel() });
    }
    const callback = this.callback!;
    this.callback = null;
    const reached = callback.call(
      new CallRequest(CALLBACK_HI, CALLBACK_LO, CALLBACK_REACHED_LIMIT, emptyPayload()),
    );
    this.target = reached.pipeline(NEXT_PATH);
    reached.dropPipeline();
    reached.dropResponse();
    callback.release();
    target.release();
    this.pass(call, BYTES_WRITE, bytesParams(bytes.subarray(fits)));
  }

  private end(call: LocalCall): void {
    const { callback } = this;
    if (this.count < readCount(call.params.content)) return call.fails(lostError());
    if (callback === null) return this.pass(call, BYTES_END, countParams(this.count - this.limit));
    this.callback = null;
    const params = new Payload(countParams(this.count));
    call.tailCall(
      callback,
      new CallRequest(CALLBACK_HI, CALLBACK_LO, CALLBACK_ENDED, params, NO_PROMISE_PIPELINING),
    );
    callback.release();
  }

  private pass(call: LocalCall, method: number, content: Content): void {
    call.tailCall(this.target, request(method, content));
  }
}

/** What makes the writes before it pointless. */
export function isDiscard(call: LocalCall): boolean {
  return (
    call.methodId === SINK_DISCARD && call.interfaceHi === SINK_HI && call.interfaceLo === SINK_LO
  );
}

function passedOn(call: LocalCall): CallRequest {
  const { interfaceHi, interfaceLo, methodId, params, flags } = call;
  return new CallRequest(interfaceHi, interfaceLo, methodId, params.share(), flags);
}

function request(method: number, content: Content): CallRequest {
  return new CallRequest(BYTES_HI, BYTES_LO, method, new Payload(content), NO_PROMISE_PIPELINING);
}
