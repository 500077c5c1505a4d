// Role: sockets that read into memory of ours: one buffer for the whole process, and for a large message the buffer that
// it ends up in. Node's own way allocates 64 KiB for each read, and a large message is then copied out of several.
// State: the shared buffer, and buffers to be used again. Must not know: what is read.

import net from "node:net";
import { type FrameMemory, PLAIN_MEMORY } from "../wire/frame-memory.js";
import { FLOOR_HELPS, HeapFloor, heapSize } from "./heap-floor.node.js";

/** Buffers kept for use again, and bytes of the largest. */
const MOST_SPARE = 8;
const MOST_SPARE_BYTES = 512 * 1024;
/** Bytes of one read. */
const READ_BYTES = 64 * 1024;
/** From here on memory that the engine does not zero is worth its price. */
const RAW_BYTES = 16 * 1024;
/** Room behind a large message for the header of the next, so that its bytes too can be read to where they belong. */
const ROOM_BYTES = 4 * 1024;

/** Bytes and a view on all of them. */
export interface Viewed {
  readonly bytes: Uint8Array;
  readonly view: DataView;
}

let shared: Viewed | null = null;

/**
 * Where every socket of the process reads to. That is sound because a read is followed at once, in the same callback, by
 * the handling of all that it brought: what is not handled then is copied.
 */
export function sharedBuffer(): Viewed {
  if (shared === null) {
    const bytes = new Uint8Array(READ_BYTES);
    shared = { bytes, view: new DataView(bytes.buffer) };
  }
  return shared;
}

/** The first `most` bytes of it, as far as there are so many. */
function partOfShared(most: number): Uint8Array {
  const { bytes } = sharedBuffer();
  return most < READ_BYTES ? bytes.subarray(0, most) : bytes;
}

/** Buffers that were given back, for all sockets of the process; the latest last. */
const spare: ArrayBufferLike[] = [];

function allocateRaw(bytes: number, made: HeapFloor | null): Uint8Array {
  if (bytes < RAW_BYTES) return PLAIN_MEMORY.allocate(bytes);
  const size = bytes + ROOM_BYTES;
  for (let i = spare.length - 1; i >= 0; i--) {
    const buffer = spare[i]!;
    if (buffer.byteLength < size || buffer.byteLength > size * 2) continue;
    spare.splice(i, 1);
    return new Uint8Array(buffer, 0, size);
  }
  made?.allocated(size);
  return new Uint8Array(Buffer.allocUnsafeSlow(size).buffer);
}

function recycleRaw(buffer: ArrayBufferLike): void {
  // Plain memory, and what was transferred to another thread, would only take the place of what serves.
  if (buffer.byteLength < RAW_BYTES || buffer.byteLength > MOST_SPARE_BYTES) return;
  spare.push(buffer);
  if (spare.length > MOST_SPARE) spare.shift();
}

/** Memory that the engine does not zero, or that served before. */
export const RAW_MEMORY: FrameMemory = {
  allocate: (bytes) => allocateRaw(bytes, null),
  recycle: recycleRaw,
};

const floor = FLOOR_HELPS ? /* @__PURE__ */ new HeapFloor(heapSize) : null;

/**
 * The same, where more of it may be garbage for a while, so that a small heap need not be marked for it: 30 MB more, measured. Not for
 * streams of bytes, whose receivers can give the memory back at once, and are to stay small.
 */
export const ROOMY_MEMORY: FrameMemory = {
  allocate: (bytes) => allocateRaw(bytes, floor),
  recycle: recycleRaw,
};

/** Who handles what a socket reads. */
export interface ReadTarget {
  /** Where the next bytes should be read to; null: to the shared buffer. */
  readonly space: Uint8Array | null;
  /** Then, how many bytes should be read there at most. */
  readonly worthCopying: number;
  /**
   * The socket has read, to `space` or to the buffer of {@link sharedBuffer}. @returns whether it is to read on: a pause right after a resume does not stop it by itself.
   */
  received(count: number, buffer: Uint8Array): boolean;
}

/** What `net.Socket` takes to read into a buffer of ours. It must be given when the socket is made. */
export class ReadInto {
  target: ReadTarget | null = null;

  readonly onread = {
    buffer: (): Uint8Array => {
      const { target } = this;
      return target === null
        ? partOfShared(Infinity)
        : (target.space ?? partOfShared(target.worthCopying));
    },
    callback: (count: number, buffer: Uint8Array): boolean => this.target!.received(count, buffer),
  };
}

/** A socket, and how it reads; null when that is by `data` events. */
export interface OwnedSocket {
  readonly socket: net.Socket;
  readonly into: ReadInto | null;
}

/** Connects; reading begins when the socket is resumed. */
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
 * Takes over a paused socket that others made, as a server does or a client's handshake, who cannot be told how their
 * sockets are to read: the connection moves to one that can be, and the old one stands for it with those others, both
 * closing together. Where Node does not have what that takes, and with TLS, the socket stays as it is.
 */
export function movedSocket(from: net.Socket): OwnedSocket {
  const old = from as Movable;
  const handle = old._handle;
  if (typeof handle?.useUserBuffer !== "function" || "encrypted" in from)
    return { socket: from, into: null };
  const into = new ReadInto();
  const options = { handle, allowHalfOpen: true, pauseOnCreate: true, onread: into.onread };
  const socket = new net.Socket(options as net.SocketConstructorOpts);
  old._handle = null;
  socket.once("close", () => from.destroy());
  from.once("close", () => socket.destroy());
  return { socket, into };
}
