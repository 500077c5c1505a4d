// Role: answers HTTP batches in a server of `node:http` or `node:https`.
// State: what each request has; which responses are not over. Must not know: what is said in a batch.

import type { IncomingMessage, ServerResponse } from "node:http";
import { RpcError } from "../base/errors.js";
import type { Timer } from "../transport/transport.js";
import { isLoopback } from "./address.js";
import { answerBatch, type BatchServerOptions, checkBatchOptions } from "./batch-server.js";
import { nodeTurnEnd } from "./turn.node.js";

/** A listener for the event `request` of a server. */
export type RequestHandler = (request: IncomingMessage, response: ServerResponse) => void;

/** The responses of one server that are not over: so that what was answered leaves before its connections are closed. */
export class OpenResponses {
  private readonly open = new Set<ServerResponse>();
  private refusing = false;

  /** As `handler`, until {@link refuse}. */
  of(handler: RequestHandler): RequestHandler {
    return (request, response) => {
      if (this.refusing) {
        response.writeHead(503, { connection: "close", "content-type": "text/plain" });
        response.end("this server takes no more batches\n");
        return;
      }
      this.open.add(response);
      response.once("close", () => this.open.delete(response));
      handler(request, response);
    };
  }

  /** Requests that come from now on, on connections that are kept alive, are turned away. */
  refuse(): void {
    this.refusing = true;
  }

  /** Once the sessions are over: resolves when their responses have left, at the latest after `ms` milliseconds. */
  async left(ms: number): Promise<void> {
    // A response is written within microtasks of the end of its session.
    await new Promise((resolve) => setImmediate(resolve));
    const leaving: Promise<unknown>[] = [];
    for (const response of this.open)
      if (response.writableEnded)
        leaving.push(new Promise((resolve) => response.once("close", resolve)));
    let timer: Timer | undefined;
    const late = new Promise((resolve) => {
      timer = setTimeout(resolve, ms);
    });
    await Promise.race([Promise.all(leaving), late]);
    clearTimeout(timer);
  }
}

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
