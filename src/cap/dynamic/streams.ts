// Role: streams and Blobs as references: which kind each is, and how chunks are values.
// State: none. Must not know: how streams flow.

import type { RpcError } from "../../base/errors.js";
import type { Scheduler } from "../../base/scheduler.js";
import type { Hook } from "../../hook/hook.js";
import { receiveBlob, sendBlob } from "../stream/blob.js";
import { isOfBytes, receiveReadable, sendReadable } from "../stream/readable.js";
import type { Sent } from "../stream/sent.js";
import type { Values } from "../stream/values.js";
import { receiveWritable, sendWritable } from "../stream/writable.js";
import { processScheduler } from "../scheduler.js";
import { failureOf, shownError } from "./errors.js";
import { giveWith } from "./given.js";
import { packValue } from "./pack.js";
import { receiveValue } from "./incoming.js";
import { KIND_BLOB, KIND_BYTES, KIND_READABLE, KIND_WRITABLE } from "./protocol.js";
import type { ReceivedStream } from "./references.js";
import { type StubOptions, type Terms, type TermsOptions, termsOf } from "./terms.js";
import { unsendable } from "./values/failures.js";

/** Chunks and reasons of a stream are values under the terms of what it came or went through. */
export function valuesUnder(terms: Terms): Values {
  return {
    pack: (value, scheduler) => packValue(value, true, scheduler, terms, "chunk").own(),
    unpack(payload, scheduler, received, failed) {
      let over = false;
      const incoming = receiveValue(payload, scheduler, terms, {
        received: (value, held) => {
          if (over) return held?.dispose();
          received(giveWith(value, held));
        },
        fail: (error) => {
          if (!over) failed(error);
        },
      });
      return () => {
        over = true;
        incoming?.dispose();
      };
    },
    failure: (reason) => failureOf(reason, terms),
    shown: (error) => shownError(error, terms, null),
  };
}

/** A stream or a Blob as a reference; undefined for anything else. @throws RpcError unsendable-value with the path. */
export function sendStream(
  value: object,
  path: string,
  scheduler: Scheduler,
  terms: Terms,
  gives: boolean,
): { kind: number; sent: Sent } | undefined {
  try {
    if (value instanceof ReadableStream)
      return {
        kind: isOfBytes(value) ? KIND_BYTES : KIND_READABLE,
        sent: sendReadable(value, scheduler, valuesUnder(terms), gives),
      };
    if (value instanceof WritableStream)
      return { kind: KIND_WRITABLE, sent: sendWritable(value, scheduler, valuesUnder(terms)) };
    if (value instanceof Blob) {
      const nothing = (): void => {};
      const hook = sendBlob(value, scheduler, valuesUnder(terms));
      return { kind: KIND_BLOB, sent: { hook, giveUp: nothing, restore: nothing } };
    }
  } catch (thrown) {
    throw unsendable(path, (thrown as Error).message);
  }
  return undefined;
}

/** The stream behind `hook`, which is taken over. */
export function receiveStream(kind: number, hook: Hook, terms: Terms): ReceivedStream {
  const values = valuesUnder(terms);
  return kind === KIND_WRITABLE
    ? receiveWritable(hook, values)
    : receiveReadable(hook, values, kind === KIND_BYTES);
}

/** Fetches the Blob behind `hook`, which is taken over. @returns gives it up. */
export function fetchBlob(
  hook: Hook,
  terms: Terms,
  received: (blob: Blob) => void,
  failed: (error: RpcError) => void,
): () => void {
  return receiveBlob(hook, valuesUnder(terms), received, failed);
}

/**
 * A WritableStream of this process as a capability: Cap'n Proto's `ByteStream`, for a client of that schema or a peer that knows
 * no JavaScript. It takes other chunks, too. The stream is locked from now on.
 *
 * @param options `types` hold for chunks and for the reason of an end.
 * @returns a reference, which the caller owns. Released before an end, it aborts the stream.
 * @throws TypeError when the stream is locked.
 * @example request({ body: new ByteStream(serveWritable(file)) });
 * Source: C-FLO-22; schema/byte-stream.capnp.
 */
export function serveWritable(stream: WritableStream, options?: StubOptions): Hook {
  const values = valuesUnder(termsOf(options));
  return sendWritable(stream, options?.scheduler ?? processScheduler(), values).hook;
}

/**
 * A `ByteStream` of any peer as a WritableStream: chunks are `Uint8Array`s, unless it is one of this library, which takes any value.
 *
 * @param hook taken over. To abort or to forget the stream drops it without an end.
 * @param options `types` hold for chunks and for the reason of an end.
 * @example await source.pipeTo(writableOf(client._hook));
 * Source: C-FLO-22; schema/byte-stream.capnp.
 */
export function writableOf(hook: Hook, options?: TermsOptions): WritableStream {
  return receiveWritable(hook, valuesUnder(termsOf(options))).stream;
}
