// Role: a source: chunks of ours that flow into the sink of whoever asks for them; and the asking.
// State: whether they flow. Must not know: where chunks come from, what they are.

import { RpcError } from "../../base/errors.js";
import { CallRequest, type Hook, NO_PROMISE_PIPELINING } from "../../hook/hook.js";
import { type LocalCall, LocalHook, type Server } from "../../hook/local.js";
import { Payload } from "../../hook/payload.js";
import { canceledError } from "../../hook/promise.js";
import type { Results } from "../../hook/results.js";
import { ONE_CAPABILITY, readCapability, SOURCE_HI, SOURCE_LO, SOURCE_PIPE } from "./protocol.js";
import { SinkClient } from "./sink-client.js";
import { type Drain, SinkServer } from "./sink-server.js";
import { discard, droppedError, ignore, unknownMethod, type Values } from "./values.js";

/** A ReadableStream of this vat as the other side sees it. */
export class Source implements Server {
  readonly passive = true;
  private readonly reader: ReadableStreamDefaultReader<unknown>;
  private readonly values: Values;
  private stage: "idle" | "piping" | "over" = "idle";
  private error: RpcError | null = null;
  private sink: SinkClient | null = null;

  constructor(reader: ReadableStreamDefaultReader<unknown>, values: Values) {
    this.reader = reader;
    this.values = values;
  }

  readonly dispatch = (call: LocalCall): void => {
    const { interfaceHi, interfaceLo, methodId, params } = call;
    if (interfaceHi !== SOURCE_HI || interfaceLo !== SOURCE_LO || methodId !== SOURCE_PIPE)
      throw unknownMethod("source");
    if (this.stage !== "idle")
      throw (
        this.error ??
        new RpcError("failed", "invalid-state", "this stream flows already: it has one reader")
      );
    const sink = params.caps[readCapability(params.content)];
    if (sink === undefined || sink === null)
      throw new RpcError("failed", "invalid-payload", "there is no sink to write to");
    this.stage = "piping";
    this.sink = new SinkClient(sink.addRef(), this.values, (reason) => this.cancel(reason));
    call.releaseParams();
    call.onCancel = (): void => {
      call.fails(canceledError());
      this.cancel(droppedError());
      this.sink!.drop();
    };
    void this.pump(this.sink).then((failed) => {
      if (failed === null) call.returns();
      else call.fails(this.values.failure(failed.reason));
    });
  };

  /** Nobody asked for it. */
  dropped(): void {
    if (this.stage === "idle") this.cancel(droppedError());
  }

  /** Gives up what the stream was sent with. */
  giveUp(error: RpcError): void {
    this.error ??= error;
    void this.sink?.abort(error, true);
    if (this.stage !== "over") this.cancel(error);
  }

  /** It was not sent. */
  restore(): void {
    this.stage = "over";
    this.reader.releaseLock();
  }

  private cancel(reason: unknown): void {
    this.stage = "over";
    this.reader.cancel(reason).catch(ignore);
  }

  /** Never rejects: the sink is told of errors, and whoever asked. */
  private async pump(sink: SinkClient): Promise<{ readonly reason: unknown } | null> {
    const { reader } = this;
    try {
      for (;;) {
        const { done, value } = await reader.read();
        // Who cancels a stream sees its end, which is not the one to pass on.
        if (sink.isOver || this.error !== null) {
          discard(value);
          return null;
        }
        if (done) {
          await sink.end();
          break;
        }
        await sink.write(value);
      }
      this.stage = "over";
      return null;
    } catch (reason) {
      const aborted = sink.abort(reason);
      this.cancel(reason);
      // What was written before comes first, also to whoever hears the reason from us.
      await aborted;
      return { reason };
    }
  }
}

/**
 * Has the source behind `hook` write into `drain`.
 * @param hook stays the caller's, who keeps it until the end.
 * @param ended called once, from a job, when the source says that it is done, or the error why it never will be.
 * @returns what the source writes to.
 */
export function pipe(
  hook: Hook,
  drain: Drain,
  values: Values,
  ended: (error: RpcError | null) => void,
): SinkServer {
  const server = new SinkServer(drain, values);
  pipeInto(hook, new LocalHook(server, hook.scheduler), ended);
  return server;
}

/**
 * Has the source behind `hook` write into any sink.
 * @param hook stays the caller's, who keeps it until the end. @param sink taken over. @param ended as of {@link pipe}.
 * @returns to cancel it cancels the source.
 */
export function pipeInto(hook: Hook, sink: Hook, ended: (error: RpcError | null) => void): Results {
  const params = new Payload(ONE_CAPABILITY, [sink]);
  const results = hook.call(
    new CallRequest(SOURCE_HI, SOURCE_LO, SOURCE_PIPE, params, NO_PROMISE_PIPELINING),
  );
  results.dropPipeline();
  results.observe({
    immediate: false,
    resultsSettled() {
      const { error } = results;
      results.cancel();
      ended(error);
    },
  });
  return results;
}
