// Role: sockets that read into memory of ours: one buffer for the whole process, and for a large message the buffer that
// it ends up in. Node's own way allocates 64 KiB for each read, and a large message is then copied out of several.
// State: the shared buffer; per transport, which memory the next read goes to. Must not know: what is read.

import net from "node:net";
import { RpcError } from "../base/errors.js";
import { type FrameMemory, PLAIN_MEMORY } from "../wire/frame-memory.js";
import { StreamTransport } from "./stream.node.js";
import type { TransportOptions } from "./transport.js";

/** Buffers kept for use again, and bytes of the largest. */
const MOST_SPARE = 8;
const MOST_SPARE_BYTES = 512 * 1024;
/** Bytes of one read. */
const READ_BYTES = 64 * 1024;
/** From here on memory that the engine does not zero is worth its price. */
const RAW_BYTES = 16 * 1024;
/** Room behind a large message for the header of the next, so that its bytes too can be read to where they belong. */
const ROOM_BYTES = 4 * 1024;

/**
 * Where every socket of the process reads to. That is sound because a read is followed at once, in the same callback, by
 * the handling of all that it brought: what is not handled then is copied.
 */
let shared: { readonly bytes: Uint8Array; readonly view: DataView } | null = null;

function sharedBuffer(): { readonly bytes: Uint8Array; readonly view: DataView } {
  if (shared === null) {
    const bytes = new Uint8Array(READ_BYTES);
    shared = { bytes, view: new DataView(bytes.buffer) };
  }
  return shared;
}

/** Buffers that were given back, for all sockets of the process; the latest last. */
const spare: ArrayBufferLike[] = [];

/** Memory that the engine does not zero, or that served before. */
const memory: FrameMemory = {
  allocate(bytes) {
    if (bytes < RAW_BYTES) return PLAIN_MEMORY.allocate(bytes);
    const size = bytes + ROOM_BYTES;
    for (let i = spare.length - 1; i >= 0; i--) {
      const buffer = spare[i]!;
      if (buffer.byteLength < size || buffer.byteLength > size * 2) continue;
      spare.splice(i, 1);
      return new Uint8Array(buffer, 0, size);
    }
    return new Uint8Array(Buffer.allocUnsafeSlow(size).buffer);
  },
  recycle(buffer) {
    // Plain memory, and what was transferred to another thread, would only take the place of what serves.
    if (buffer.byteLength < RAW_BYTES || buffer.byteLength > MOST_SPARE_BYTES) return;
    spare.push(buffer);
    if (spare.length > MOST_SPARE) spare.shift();
  },
};

/** What `net.Socket` takes to read into a buffer of ours. It must be given when the socket is made. */
class ReadInto {
  transport: SocketTransport | null = null;

  readonly onread = {
    buffer: (): Uint8Array => this.transport?.space ?? sharedBuffer().bytes,
    callback: (count: number, buffer: Uint8Array): boolean =>
      this.transport!.received(count, buffer),
  };
}

/** A socket, and how it reads; null when that is by `data` events. */
export interface OwnedSocket {
  readonly socket: net.Socket;
  readonly into: ReadInto | null;
}

/** {@link StreamTransport} on a TCP or Unix socket. */
export class SocketTransport extends StreamTransport {
  private readonly reads: boolean;
  private held = true;

  constructor(name: string, { socket, into }: OwnedSocket, options?: TransportOptions) {
    super(name, socket, socket, options, into === null ? PLAIN_MEMORY : memory);
    this.reads = into !== null;
    if (into !== null) into.transport = this;
    const { keepAliveInterval } = this.settings;
    // The peer's end must not end our side before what arrived is read: the owner may have asked for a pause.
    socket.allowHalfOpen = true;
    // On a Unix socket both are refused without a word, as they should be.
    socket.setNoDelay(true);
    if (keepAliveInterval > 0) socket.setKeepAlive(true, keepAliveInterval);
  }

  /** Where the next bytes should be read to; null: to the shared buffer. */
  get space(): Uint8Array | null {
    return this.inlet.space;
  }

  /**
   * The socket has read. @returns whether it is to read on: a pause right after a resume does not stop it by itself.
   */
  received(count: number, buffer: Uint8Array): boolean {
    this.receivedBytes += count;
    const { bytes, view } = sharedBuffer();
    try {
      if (buffer === bytes) this.inlet.acceptFrom(bytes, view, count);
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

/** Connects; reading begins when the transport is started. */
export function dialSocket(where: net.NetConnectOpts): OwnedSocket {
  const into = new ReadInto();
  const socket = net.connect({ ...where, onread: into.onread });
  // Else it would read as soon as it is connected, when nobody may be there yet.
  socket.pause();
  return { socket, into };
}

/** The parts of Node's sockets that let another socket object go on with a connection. */
type Movable = net.Socket & { _handle?: { useUserBuffer?: unknown } | null };

/**
 * Takes over a socket that a server accepted with `pauseOnConnect`. The server cannot be told how its sockets are to read,
 * so the connection moves to one that can be; the old one stands for it in the server's count. Where Node does not have
 * what that takes, the socket stays as it is.
 */
export function acceptedSocket(accepted: net.Socket): OwnedSocket {
  const from = accepted as Movable;
  const handle = from._handle;
  if (typeof handle?.useUserBuffer !== "function") return { socket: accepted, into: null };
  const into = new ReadInto();
  const options = { handle, allowHalfOpen: true, pauseOnCreate: true, onread: into.onread };
  const socket = new net.Socket(options as net.SocketConstructorOpts);
  from._handle = null;
  socket.once("close", () => accepted.destroy());
  return { socket, into };
}
