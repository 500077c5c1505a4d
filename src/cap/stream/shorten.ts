// Role: gets this vat out of the way of bytes that come from one peer and go to another: the writing end of the one is given
// a substream of the other.
// State: per pipe, whether the substream was ended. Must not know: streams of JavaScript.
//
// The asking side of getSubstream; substream.ts answers it. The sink stays ours: whoever writes can end the substream and not
// the sink, so what comes after the end is for us to say. That it ended is told to the callback before the writer's end is
// answered; a callback that is let go of without that says that the bytes were cut off.

import { CallRequest, type Hook } from "../../hook/hook.js";
import { type LocalCall, LocalHook, type Server } from "../../hook/local.js";
import { Payload } from "../../hook/payload.js";
import type { Results } from "../../hook/results.js";
import {
  BYTES_HI,
  BYTES_LO,
  BYTES_SUBSTREAM,
  CALLBACK_ENDED,
  CALLBACK_HI,
  CALLBACK_LO,
  CALLBACK_REACHED_LIMIT,
  NEXT_PATH,
  ONE_CAPABILITY,
  readCapability,
  readCount,
  SUBSTREAM_PARAMS,
} from "./protocol.js";
import { unknownMethod } from "./values.js";

/** What the writer of a substream has come to. */
export interface SubstreamEnd {
  reached: boolean;
}

/** Told how many bytes came in the last substream of a pipe. */
type Ended = (bytes: number) => void;

class Callback implements Server {
  readonly passive = true;
  private readonly sink: Hook;
  private readonly ended: Ended;

  /** @param sink taken over. */
  constructor(sink: Hook, ended: Ended) {
    this.sink = sink;
    this.ended = ended;
  }

  readonly dispatch = (call: LocalCall): void => {
    const { interfaceHi, interfaceLo, methodId } = call;
    const known = interfaceHi === CALLBACK_HI && interfaceLo === CALLBACK_LO;
    if (known && methodId === CALLBACK_ENDED) {
      this.ended(readCount(call.params.content));
      return call.returns();
    }
    if (known && methodId === CALLBACK_REACHED_LIMIT) {
      // There was no limit; a peer that has one of its own goes on in another substream.
      const results = askSubstream(this.sink, this.ended);
      const next = results.pipeline(NEXT_PATH);
      results.dropPipeline();
      results.dropResponse();
      return call.returns(new Payload(ONE_CAPABILITY, [next]));
    }
    call.fails(unknownMethod("callback"));
  };

  dropped(): void {
    this.sink.release();
  }
}

function askSubstream(sink: Hook, ended: Ended): Results {
  const callback = new LocalHook(new Callback(sink.addRef(), ended), sink.scheduler);
  const params = new Payload(SUBSTREAM_PARAMS, [callback]);
  return sink.call(new CallRequest(BYTES_HI, BYTES_LO, BYTES_SUBSTREAM, params));
}

/**
 * Asks a ByteStream for a substream without a limit.
 *
 * @param sink stays the caller's. @param ended called when the substream was ended, before whoever ended it hears so.
 * @returns the substream, the caller's; null when the peer has none to give.
 * @throws RpcError why the ByteStream is of no use any more.
 * Source: byte-stream.capnp, getSubstream.
 */
export function substreamOf(sink: Hook, ended: Ended): Promise<Hook | null> {
  const results = askSubstream(sink, ended);
  results.dropPipeline();
  return new Promise((resolve, reject) => {
    results.observe({
      immediate: false,
      resultsSettled() {
        const { error } = results;
        if (error !== null) {
          results.cancel();
          return error.type === "unimplemented" ? resolve(null) : reject(error);
        }
        const payload = results.takePayload();
        let substream: Hook | null = null;
        try {
          substream = payload.caps[readCapability(payload.content)]?.addRef() ?? null;
        } catch {
          // Results of no known form: it has none to give.
        }
        payload.release();
        resolve(substream);
      },
    });
  });
}
