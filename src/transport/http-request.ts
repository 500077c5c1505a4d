// Role: the asking half of an HTTP batch: gathers what is written, sends it as one POST, hands over what is answered.
// State: what was gathered; the exchange under way and its timer. Must not know: what a message says, Node.

import { RpcError } from "../base/errors.js";
import { Framer } from "../wire/framer.js";
import type { Batch } from "../wire/outbox.js";
import { BaseTransport } from "./base-transport.js";
import { connectFailedBy } from "./connect-hints.js";
import { joinBytes } from "../base/bytes.js";
import { BATCH_TYPE, isBatchType } from "./http.js";
import { Framing } from "./inlet.js";
import {
  checkMs,
  connectionLost,
  peerUnresponsive,
  type Timer,
  type TransportOptions,
  transportSettings,
} from "./transport.js";

/** Makes one request, as `fetch` does. */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

export interface HttpRequestOptions extends TransportOptions {
  /** Headers of the POST, such as `authorization`. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Makes the request: a service binding's own `fetch`, for example. By default the runtime's. */
  readonly fetch?: Fetch | undefined;
  /** Milliseconds that a batch may take from the POST to the end of its response; 0 for no limit. Default 60 000. */
  readonly batchTimeout?: number | undefined;
}

/**
 * Messages of one batch. What is written is kept until {@link post}; what is written after that is dropped. It ends when the
 * response does.
 *
 * Follows no redirect: what was said to one server is not said to another.
 *
 * @example
 * const transport = new HttpRequestTransport("https://example.org/rpc");
 * transport.start(handler);
 * transport.write(batch);
 * transport.post();
 */
export class HttpRequestTransport extends BaseTransport {
  private readonly url: string;
  private readonly options: HttpRequestOptions;
  private readonly timeout: number;
  private readonly abort = new AbortController();
  private gathered: Batch[] = [];
  private posted = false;
  private timer: Timer | undefined;
  /** While reading is held: resolves when it may go on. */
  private held: Promise<void> | null = null;
  private letOn: (() => void) | null = null;

  /** @throws RpcError invalid-argument when an option is no time. */
  constructor(url: string, options: HttpRequestOptions = {}) {
    const settings = transportSettings(options);
    super(`batch ${url}`, Framing.stream, settings, new Framer(settings.limits));
    this.url = url;
    this.options = options;
    this.timeout = checkMs("batchTimeout", options.batchTimeout, 60_000);
  }

  get batching(): boolean {
    return true;
  }

  /** Sends what was gathered. Once. */
  post(): void {
    if (this.posted || this.outputEnded) return;
    this.posted = true;
    const body = joinBytes(this.gathered.flatMap((batch) => batch.chunks));
    this.dropGathered();
    super.end();
    if (this.timeout > 0)
      this.timer = setTimeout(() => {
        this.fail(peerUnresponsive(this.name, `no response within ${this.timeout} ms`));
      }, this.timeout);
    void this.exchange(body);
  }

  /** Behind the POST there is nothing left to write, and nobody listens to the rest of the response: it is called off. */
  override end(): void {
    if (this.posted) this.destroy();
    else super.end();
  }

  protected open(): void {}

  protected send(batch: Batch): void {
    batch.shrink();
    this.gathered.push(batch);
  }

  protected endOutput(): void {
    // Nobody has ever heard of a batch that was not posted.
    if (!this.posted) queueMicrotask(() => this.close());
  }

  protected destroy(): void {
    this.abort.abort();
    this.letOn?.();
    queueMicrotask(() => this.gone(null));
  }

  protected holdInput(): void {
    this.held ??= new Promise((resolve) => {
      this.letOn = resolve;
    });
  }

  protected releaseInput(): void {
    this.letOn?.();
    this.held = null;
  }

  protected detach(): void {
    clearTimeout(this.timer);
    this.dropGathered();
  }

  private dropGathered(): void {
    const { gathered } = this;
    this.gathered = [];
    for (const batch of gathered) this.taken(batch);
  }

  private async exchange(body: Uint8Array<ArrayBuffer>): Promise<void> {
    const { signal } = this.abort;
    // Not as a method: a browser's `fetch` refuses any other `this`.
    const request: Fetch = this.options.fetch ?? ((url, init) => fetch(url, init));
    let response: Response;
    try {
      response = await request(this.url, {
        method: "POST",
        headers: { ...this.options.headers, "content-type": BATCH_TYPE, accept: BATCH_TYPE },
        body,
        redirect: "manual",
        signal,
      });
    } catch (cause) {
      // That nothing was sent is more than `fetch` says: the calls are told what the connection knows.
      const { message } = connectFailedBy(this.url, (cause as { cause?: unknown }).cause ?? cause);
      return this.gone(connectionLost(this.name, message, cause));
    }
    try {
      if (response.status !== 200 || !isBatchType(response.headers.get("content-type")))
        return this.gone(await refusal(this.name, response));
      const reader = response.body?.getReader();
      while (reader !== undefined) {
        await this.held;
        const { done, value } = await reader.read();
        if (done) break;
        this.receivedBytes += value.length;
        this.inlet.accept(value);
      }
      this.inlet.finish(null);
      this.gone(null);
    } catch (cause) {
      this.gone(connectionLost(this.name, "the response broke off", cause));
    }
  }
}

/** Characters of a refusal's own words that are passed on. */
const WORDS = 200;

/** Bytes of a refusal that are read for them: who sent it gets no more of our memory. */
const WORDS_BYTES = 4096;

async function wordsOf(body: ReadableStream<Uint8Array>): Promise<string> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let words = "";
  try {
    for (let left = WORDS_BYTES; left > 0;) {
      const { done, value } = await reader.read();
      if (done) return words;
      words += decoder.decode(value.subarray(0, left), { stream: true });
      left -= value.length;
    }
    reader.cancel().catch(() => {});
  } catch {
    // The status has to do.
  }
  return words;
}

async function refusal(name: string, response: Response): Promise<RpcError> {
  const words = response.body === null ? "" : (await wordsOf(response.body)).trim().slice(0, WORDS);
  const what =
    response.status === 200
      ? `the response is no batch, but ${response.headers.get("content-type") ?? "of no type"}`
      : `the server answered with status ${response.status}`;
  return new RpcError(
    "disconnected",
    "http-refused",
    `${name}: ${what}${words === "" ? "" : `: ${words}`}`,
  );
}
