// Role: a transport on Node's byte streams: TCP and Unix sockets, and the pipes of a child process.
// State: the listeners on the streams. Must not know: how the streams came to be.

import { Socket } from "node:net";
import type { Readable, Writable } from "node:stream";
import type { RpcError } from "../base/errors.js";
import type { FrameMemory } from "../wire/frame-memory.js";
import { Framer } from "../wire/framer.js";
import type { Batch } from "../wire/outbox.js";
import { BaseTransport } from "./base-transport.js";
import { Framing } from "./inlet.js";
import {
  connectionLost,
  peerUnresponsive,
  transportSettings,
  type TransportOptions,
} from "./transport.js";

/**
 * Messages over a readable and a writable stream, or over both halves of one socket; owns them from now on.
 *
 * A batch leaves in one `writev`, whatever the number of its chunks; nothing is copied, but a small batch that has to wait.
 * Backpressure is the socket's own.
 *
 * A peer that is stopped but not dead (SIGSTOP) goes on acknowledging bytes in its kernel. So on a socket `peerTimeout`
 * runs while written bytes are not accepted; silence with calls outstanding is the session's to judge.
 *
 * @example new StreamTransport("pipe", child.stdout, child.stdin)
 */
export class StreamTransport extends BaseTransport {
  protected readonly input: Readable;
  protected readonly output: Writable;
  /** Taken at the beginning: others may come to put themselves between, as on a process's own output. */
  private readonly put: Writable["write"];
  private readonly unclosed: Set<Readable | Writable>;
  private error: RpcError | null = null;

  /** @param memory for messages that straddle reads. */
  constructor(
    name: string,
    input: Readable,
    output: Writable,
    options?: TransportOptions,
    memory?: FrameMemory,
  ) {
    const settings = transportSettings(options);
    super(name, Framing.stream, settings, new Framer(settings.limits, memory));
    this.input = input;
    this.output = output;
    this.put = output.write.bind(output) as Writable["write"];
    this.unclosed = new Set([input, output]);
    for (const stream of this.unclosed) stream.on("error", this.onError);
    input.on("close", this.onInputClose);
    if ((output as unknown) !== input) output.on("close", this.onOutputClose);
    const timeout = this.settings.peerTimeout;
    if (output instanceof Socket && timeout > 0) {
      // Node's own timer: every byte received or accepted by the kernel moves it on. It tells a write that crawls from one
      // that is stuck by looking twice, so that half the time leads to an answer within the whole.
      output.setTimeout(timeout / 2);
      output.on("timeout", this.onTimeout);
    }
  }

  get batching(): boolean {
    return true;
  }

  /**
   * Whether the system holds few bytes between the two sides: a pipe 64 KiB, a Unix socket some 200, three large chunks; TCP
   * megabytes.
   */
  get shallow(): boolean {
    return !(this.output instanceof Socket) || this.output.remoteAddress === undefined;
  }

  protected open(): void {
    this.openInput();
    this.input.on("end", this.onEnd);
  }

  /** Listens to what the input brings. */
  protected openInput(): void {
    this.input.on("data", this.onData);
  }

  protected send(batch: Batch): void {
    const { output, put } = this;
    if (output.writableLength > 0) batch.shrink();
    const { chunks } = batch;
    const last = chunks.length - 1;
    const done = (): void => this.taken(batch);
    if (last > 0) {
      output.cork();
      for (let i = 0; i < last; i++) put(chunks[i]);
      put(chunks[last], done);
      output.uncork();
    } else put(chunks[0], done);
  }

  protected endOutput(): void {
    this.output.end();
  }

  protected destroy(): void {
    this.input.destroy();
    this.output.destroy();
  }

  protected holdInput(): void {
    this.input.pause();
  }

  protected releaseInput(): void {
    this.input.resume();
  }

  protected detach(): void {
    const { input, output } = this;
    input.off("data", this.onData);
    input.off("end", this.onEnd);
    input.off("close", this.onInputClose);
    output.off("close", this.onOutputClose);
    output.off("timeout", this.onTimeout);
    // The error listener stays: a stream may report one late, and nobody listening would end the process.
  }

  private readonly onData = (chunk: Uint8Array): void => {
    this.receivedBytes += chunk.length;
    this.inlet.accept(chunk);
  };

  private readonly onEnd = (): void => {
    this.inputEnded();
  };

  private readonly onError = (cause: Error): void => {
    const code = (cause as NodeJS.ErrnoException).code ?? cause.message;
    this.error ??= connectionLost(this.name, `the connection broke (${code})`, cause);
    // The other half may be a stream of its own, which would wait for a peer that is gone.
    this.input.destroy();
    this.output.destroy();
  };

  private readonly onInputClose = (): void => this.closedOne(this.input);
  private readonly onOutputClose = (): void => this.closedOne(this.output);

  private closedOne(stream: Readable | Writable): void {
    this.unclosed.delete(stream);
    if (this.unclosed.size === 0) this.streamsClosed(this.error);
  }

  /** The input has ended in order. */
  protected inputEnded(): void {
    this.inlet.finish(null);
  }

  /** Both streams are closed. @param error what broke them, if anything did. */
  protected streamsClosed(error: RpcError | null): void {
    this.gone(error ?? connectionLost(this.name, "the connection was closed before its end"));
  }

  private readonly onTimeout = (): void => {
    if (this.bufferedBytes === 0) return;
    const seconds = this.settings.peerTimeout / 2000;
    this.fail(
      peerUnresponsive(
        this.name,
        `the peer took nothing of what waits for it, and sent nothing, for ${seconds} s or more; is it stopped?`,
      ),
    );
  };
}
