// Role: the answering half of HTTP batches: from one request to one response, by one connection that ends with it.
// State: per request, its session and its timer. Must not know: Node, which server hears the requests.

import { checkOptional, checkOptions, invalidArgument } from "../base/checks.js";
import { RpcError } from "../base/errors.js";
import { BATCH_SERVER } from "../rpc/batch.js";
import { joinBytes } from "../base/bytes.js";
import { BATCH_TYPE, isBatchType } from "../transport/http.js";
import { HttpResponseTransport } from "../transport/http-response.js";
import { checkMs, type Timer } from "../transport/transport.js";
import { isLoopback } from "./address.js";
import { checkOrigins, originAllowed, originRefusal, type Origins } from "./origins.js";
import { Session, type SessionOptions, sessionSettings } from "./session.js";
import { microtaskTurnEnd, type TurnEnd } from "./turn.js";

/** Bytes of a request's body, unless an option says otherwise. */
const MAX_REQUEST_BYTES = 16 * 1024 * 1024;

export interface BatchServerOptions extends SessionOptions {
  /**
   * Which origins may post, such as `https://example.org`; they are told so by CORS. By default the page of this same host
   * only. A request without an Origin header comes from no browser, and is answered.
   */
  readonly origins?: Origins | undefined;
  /** Bytes that the body of a request may have. Default 16 MiB. */
  readonly maxRequestBytes?: number | undefined;
  /** Milliseconds from the head of a request to the end of its last call; 0 for no limit. Default 30 000. */
  readonly batchTimeout?: number | undefined;
  /** Told of each new session, before any message of it is handled. */
  readonly onSession?: ((session: Session) => void) | undefined;
  /** Told of requests that were turned away, and why. Default: nothing. */
  readonly onError?: ((error: RpcError) => void) | undefined;
}

/** A request as any server of HTTP can tell it. */
export interface BatchRequest {
  readonly method: string;
  /** The headers that matter; null where there is none. */
  readonly origin: string | null;
  readonly host: string;
  readonly contentType: string | null;
  readonly contentLength: string | null;
  readonly body: AsyncIterable<Uint8Array>;
  /** Aborts when nobody waits for the response any more. */
  readonly signal: AbortSignal | null;
  /** Whether the server can be reached from this machine only. */
  readonly loopback: boolean;
}

/** What to answer. */
export interface BatchResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array<ArrayBuffer> | string | null;
}

/** A request that is not answered as a batch. */
class Refusal extends Error {
  readonly status: number;
  readonly error: RpcError;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, error: RpcError, headers: Readonly<Record<string, string>> = {}) {
    super(error.message);
    this.status = status;
    this.error = error;
    this.headers = headers;
  }
}

function refuse(status: number, why: string, headers?: Readonly<Record<string, string>>): Refusal {
  const code = status === 403 ? "origin-refused" : "http-refused";
  return new Refusal(status, new RpcError("failed", code, why), headers);
}

/**
 * Answers an HTTP batch where there are `Request` and `Response`: in a Worker, in Deno, in Bun, in a service worker.
 *
 * The request gets a connection of its own. Its body is read whole before anything in it runs; the response follows when
 * every call has returned; then all that the request held is released, and what it still ran is canceled.
 *
 * @param request stays the caller's; its body is read.
 * @param options `bootstrap` is what the calls begin with: an object for everyone who can post.
 * @returns status 200 with what the calls returned, failures of calls among it; else a status that says why there is no
 * batch: 403 for the origin, 405, 408, 413, 415.
 * @throws RpcError invalid-argument when an option is none.
 * @example
 * export default {
 *   fetch: (request: Request) => batchResponse(request, { bootstrap: () => serve(new Api()) }),
 * };
 */
export async function batchResponse(
  request: Request,
  options: BatchServerOptions = {},
): Promise<Response> {
  const { headers } = request;
  const url = new URL(request.url);
  const {
    status,
    headers: answered,
    body,
  } = await answerBatch(
    {
      method: request.method,
      origin: headers.get("origin"),
      host: headers.get("host") ?? url.host,
      contentType: headers.get("content-type"),
      contentLength: headers.get("content-length"),
      body: chunksOf(request.body),
      signal: request.signal,
      loopback: isLoopback(url.hostname.replace(/^\[|\]$/g, "")),
    },
    options,
  );
  return new Response(body, { status, headers: answered });
}

/** The same for any server of HTTP. @throws RpcError invalid-argument when an option is none. */
export async function answerBatch(
  request: BatchRequest,
  options: BatchServerOptions,
): Promise<BatchResponse> {
  checkBatchOptions(options);
  const cors = corsOf(request, options);
  try {
    if (cors === null) throw refuse(403, originRefusal(request.origin));
    if (request.method === "OPTIONS") return preflight(cors);
    admit(request, options);
    const pieces = await within(request, options);
    const body = joinBytes(pieces);
    const headers = { "content-type": BATCH_TYPE, "cache-control": "no-store", ...cors };
    return { status: 200, headers, body };
  } catch (thrown) {
    if (!(thrown instanceof Refusal)) throw thrown;
    options.onError?.(thrown.error);
    const headers = { "content-type": "text/plain; charset=utf-8", ...thrown.headers, ...cors };
    return { status: thrown.status, headers, body: `${thrown.message}\n` };
  }
}

/** @throws RpcError invalid-argument. */
export function checkBatchOptions(options: BatchServerOptions): void {
  checkOptions(options);
  sessionSettings(options);
  checkOrigins(options.origins);
  checkOptional("onSession", options.onSession);
  checkOptional("onError", options.onError);
  checkMs("batchTimeout", options.batchTimeout, 0);
  const bytes = options.maxRequestBytes;
  if (bytes === undefined || (Number.isSafeInteger(bytes) && bytes > 0)) return;
  const message = `maxRequestBytes must be a number of bytes, at least 1, not ${String(bytes)}`;
  throw invalidArgument(message);
}

/** What a page of another host is told, so that its browser lets it read the response; null: it is not let in. */
function corsOf(
  { origin, host, loopback }: BatchRequest,
  { origins }: BatchServerOptions,
): Record<string, string> | null {
  if (!originAllowed(origin, host, { origins, loopback: () => loopback })) return null;
  return origin === null ? {} : { "access-control-allow-origin": origin, vary: "origin" };
}

function preflight(cors: Record<string, string>): BatchResponse {
  const headers = {
    ...cors,
    "access-control-allow-methods": "POST",
    "access-control-allow-headers": "content-type, authorization",
    "access-control-max-age": "600",
  };
  return { status: 204, headers, body: null };
}

function admit(
  { method, contentType, contentLength }: BatchRequest,
  options: BatchServerOptions,
): void {
  if (method !== "POST")
    throw refuse(405, "this is for batches of Cap'n Proto messages: POST one", { allow: "POST" });
  if (!isBatchType(contentType)) throw refuse(415, `the content-type of a batch is ${BATCH_TYPE}`);
  if (contentLength !== null && Number(contentLength) > maxBytes(options)) throw tooLarge(options);
}

function maxBytes(options: BatchServerOptions): number {
  return options.maxRequestBytes ?? MAX_REQUEST_BYTES;
}

function tooLarge(options: BatchServerOptions): Refusal {
  const message = `maxRequestBytes: the body of a batch may have ${maxBytes(options)} bytes here`;
  return refuse(413, message, { connection: "close" });
}

/** Reads and runs the batch within its time. */
async function within(
  { body, signal, host }: BatchRequest,
  options: BatchServerOptions,
): Promise<readonly Uint8Array[]> {
  const ms = checkMs("batchTimeout", options.batchTimeout, 30_000);
  let session: Session | null = null;
  let timer: Timer | undefined;
  let stopReading!: (why: Refusal) => void;
  const stopped = new Promise<never>((_resolve, reject) => {
    stopReading = reject;
  });
  stopped.catch(() => {});
  const stop = (status: number, error: RpcError): void => {
    stopReading(new Refusal(status, error, { connection: "close" }));
    void session?.close(error);
  };
  const onAbort = (): void =>
    stop(499, new RpcError("disconnected", "connection-lost", "the client of the batch went away"));
  if (ms > 0)
    timer = setTimeout(() => {
      const why = `limit batchTimeout: the batch took longer than ${ms} ms`;
      stop(408, new RpcError("overloaded", "limit-exceeded", why));
    }, ms);
  try {
    signal?.addEventListener("abort", onAbort);
    if (signal?.aborted === true) onAbort();
    const request = await readWhole(body, options, stopped);
    const transport = new HttpResponseTransport(`batch from a client of ${host}`, request, options);
    session = answering(transport, options);
    try {
      options.onSession?.(session);
    } catch (thrown) {
      const error = RpcError.from(thrown, "internal-error");
      void session.close(error);
      options.onError?.(error);
    }
    await session.closed;
    return await transport.response;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", onAbort);
  }
}

/** @throws Refusal when it is too large, or `stopped` says so; then the rest is not read. */
async function readWhole(
  body: AsyncIterable<Uint8Array>,
  options: BatchServerOptions,
  stopped: Promise<never>,
): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  const reader = body[Symbol.asyncIterator]();
  try {
    for (;;) {
      const next = await Promise.race([reader.next(), stopped]);
      if (next.done === true) return joinBytes(pieces);
      bytes += next.value.length;
      if (bytes > maxBytes(options)) throw tooLarge(options);
      pieces.push(next.value);
    }
  } catch (thrown) {
    // Not awaited: a body that stalls would not let go either.
    reader.return?.().catch(() => {});
    if (thrown instanceof Refusal) throw thrown;
    throw refuse(400, "the body of the request broke off");
  }
}

/** A session that ends once all that was asked in the request is answered. */
function answering(transport: HttpResponseTransport, options: BatchServerOptions): Session {
  const turnEnd: TurnEnd = (flush) => {
    const ask = (options.turnEnd ?? microtaskTurnEnd)(() => {
      flush();
      if (transport.inputEnded && session.connection.owesNothing) transport.end();
    });
    transport.onInputEnd = () => ask(false);
    return ask;
  };
  const session: Session = new Session(transport, { ...options, turnEnd }, BATCH_SERVER);
  return session;
}

async function* chunksOf(body: ReadableStream<Uint8Array> | null): AsyncGenerator<Uint8Array> {
  const reader = body?.getReader();
  if (reader === undefined) return;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}
