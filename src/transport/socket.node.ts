// Role: a transport on a TCP or Unix socket that reads into memory of ours.
// State: whether reading is held. Must not know: what is read.

import type net from "node:net";
import { RpcError } from "../base/errors.js";
import { PLAIN_MEMORY } from "../wire/frame-memory.js";
import { type OwnedSocket, RAW_MEMORY, type ReadTarget, sharedBuffer } from "./read-into.node.js";
import { StreamTransport } from "./stream.node.js";
import type { TransportOptions } from "./transport.js";

/** {@link StreamTransport} on a TCP or Unix socket. */
export class SocketTransport extends StreamTransport implements ReadTarget {
  private readonly reads: boolean;
  private held = true;

  constructor(name: string, { socket, into }: OwnedSocket, options?: TransportOptions) {
    super(name, socket, socket, options, into === null ? PLAIN_MEMORY : RAW_MEMORY);
    this.reads = into !== null;
    if (into !== null) into.target = this;
    const { keepAliveInterval } = this.settings;
    // The peer's end must not end our side before what arrived is read: the owner may have asked for a pause.
    socket.allowHalfOpen = true;
    // On a Unix socket both are refused without a word, as they should be.
    socket.setNoDelay(true);
    if (keepAliveInterval > 0) socket.setKeepAlive(true, keepAliveInterval);
  }

  get space(): Uint8Array | null {
    return this.inlet.space;
  }

  get worthCopying(): number {
    return Infinity;
  }

  received(count: number, buffer: Uint8Array): boolean {
    this.receivedBytes += count;
    const { bytes, view } = sharedBuffer();
    try {
      if (buffer.buffer === bytes.buffer) this.inlet.acceptFrom(bytes, view, count);
      else this.inlet.filled(count);
    } catch (thrown) {
      // No handler should throw. Node would not ask where the next read goes: it would go into the last message again.
      this.fail(RpcError.from(thrown, "internal-error"));
      throw thrown;
    }
    return !this.held;
  }

  protected override holdInput(): void {
    this.held = true;
    super.holdInput();
  }

  protected override releaseInput(): void {
    this.held = false;
    super.releaseInput();
  }

  protected override openInput(): void {
    if (!this.reads) super.openInput();
  }
}

/**
 * A transport on a connected TCP or Unix socket; owns the socket from now on. Small messages are not held back
 * (TCP_NODELAY), and TCP keep-alive probes an idle peer.
 *
 * @example const transport = socketTransport("tcp 127.0.0.1:4000", socket);
 */
export function socketTransport(
  name: string,
  socket: net.Socket,
  options?: TransportOptions,
): SocketTransport {
  return new SocketTransport(name, { socket, into: null }, options);
}
