// Role: answers HTTP batches in a server of `node:http` or `node:https`.
// State: none beside what each request has. Must not know: what is said in a batch.

import type { IncomingMessage, ServerResponse } from "node:http";
import { RpcError } from "../base/errors.js";
import { isLoopback } from "./address.js";
import { answerBatch, type BatchServerOptions, checkBatchOptions } from "./batch-server.js";
import { nodeTurnEnd } from "./turn.node.js";

/** A listener for the event `request` of a server. */
export type RequestHandler = (request: IncomingMessage, response: ServerResponse) => void;

/**
 * Answers HTTP batches as {@link batchResponse} does, in a server of your own; {@link listen} has one ready. The path, and
 * what else a server does, is yours to see to.
 *
 * @param options as for `batchResponse`. @returns a handler that answers each request it is given.
 * @throws RpcError invalid-argument when an option is none.
 * @example http.createServer(batchHandler({ bootstrap: () => serve(new Api()) })).listen(8080, "127.0.0.1");
 */
export function batchHandler(options: BatchServerOptions = {}): RequestHandler {
  checkBatchOptions(options);
  const settings = { turnEnd: nodeTurnEnd, ...options };
  return (request, response) => {
    answer(request, response, settings).catch((thrown: unknown) => {
      options.onError?.(RpcError.from(thrown, "internal-error"));
      response.destroy();
    });
  };
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  options: BatchServerOptions,
): Promise<void> {
  const { headers } = request;
  const gone = new AbortController();
  const onClose = (): void => {
    if (!response.writableFinished) gone.abort();
  };
  response.on("close", onClose);
  // What a client that went away leaves behind is told by `close`.
  request.on("error", () => {});
  response.on("error", () => {});
  const answered = await answerBatch(
    {
      method: request.method ?? "",
      origin: headers.origin ?? null,
      host: headers.host ?? "",
      contentType: headers["content-type"] ?? null,
      contentLength: headers["content-length"] ?? null,
      body: request,
      signal: gone.signal,
      loopback: isLoopback(request.socket.localAddress ?? ""),
    },
    options,
  );
  response.off("close", onClose);
  if (gone.signal.aborted) return;
  response.writeHead(answered.status, answered.headers);
  response.end(answered.body ?? "");
}
