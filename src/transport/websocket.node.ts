// Role: a transport on a WebSocket that the `ws` package has opened, and from then on without it: frames are read and written
// here, as sockets are read elsewhere, and the transport can do what a browser's cannot: say when bytes are gone, be paused,
// probe its peer, and let go at once.
// State: how far the closing handshake is; a pong that waits; timers. Must not know: HTTP, or who may connect.

import type net from "node:net";
import type { Duplex } from "node:stream";
import type { WebSocket } from "ws";
import { invalidArgument } from "../base/checks.js";
import { RpcError } from "../base/errors.js";
import type { Batch } from "../wire/outbox.js";
import { BaseTransport } from "./base-transport.js";
import { Heartbeat, type HeartbeatOwner } from "./heartbeat.js";
import { Framing } from "./inlet.js";
import {
  movedSocket,
  RAW_MEMORY,
  ROOMY_MEMORY,
  type ReadTarget,
  sharedBuffer,
} from "./read-into.node.js";
import {
  connectionLost,
  peerUnresponsive,
  type Timer,
  type TransportOptions,
  type TransportSettings,
  transportSettings,
} from "./transport.js";
import { BATCH_UNIT_BYTES, type Pieces, piecesOf } from "./units.js";
import { FrameKind, writeFrame } from "./websocket-frame.node.js";
import { type ReceiverOwner, WebSocketReceiver } from "./websocket-receiver.js";
import { BATCH_PROTOCOL, closeError, NORMAL, textRefused } from "./websocket.js";

/** How long a peer may take to answer a close frame. */
const CLOSE_MS = 30_000;
/** Codes that say what no close frame says: that it named none, and that there was none. */
const NO_CODE = 1005;
const NO_CLOSE = 1006;

/** Bytes that a message may have, so that one within the limits fits, and not much more. */
export function maxPayload(settings: TransportSettings): number {
  const { messageWords, segments } = settings.limits;
  return Math.max(messageWords * 8 + segments * 4 + 8, BATCH_UNIT_BYTES);
}

/**
 * Messages over an open `ws` WebSocket; owns it from now on, and nobody else hears of it but its end. All frames of a batch
 * leave in one write.
 *
 * Make it in the `open` or `connection` event: what arrives before nobody holds.
 *
 * @param stream the connection below the WebSocket, as `request.socket` or `response.socket` of the upgrade.
 * @throws RpcError invalid-argument when compression was agreed on: `perMessageDeflate: false` turns it off.
 * @example server.on("connection", (ws, request) => serve(new NodeWebSocketTransport("ws", ws, request.socket)));
 * Source: RFC 6455.
 */
export class NodeWebSocketTransport
  extends BaseTransport
  implements HeartbeatOwner, ReadTarget, ReceiverOwner
{
  private readonly stream: Duplex;
  private readonly masks: boolean;
  private readonly receiver: WebSocketReceiver;
  private readonly heartbeat: Heartbeat;
  /** What had been read with the handshake. */
  private early: Uint8Array | null;
  private held = true;
  private closeSent = false;
  /** No frame of the peer's is read any more: it closed, ended, or broke the rules. */
  private peerDone = false;
  /** What a close frame of ours says; {@link NO_CLOSE} when none is to be sent. */
  private code = NORMAL;
  private closeTimer: Timer | undefined;
  private ponging = false;
  /** The payload of the latest ping, when its pong waits for one before. */
  private nextPong: Uint8Array | null = null;
  private error: RpcError | null = null;

  constructor(name: string, ws: WebSocket, stream: Duplex, options?: TransportOptions) {
    const framing = ws.protocol === BATCH_PROTOCOL ? Framing.batch : Framing.single;
    super(name, framing, transportSettings(options));
    if (ws.extensions !== "")
      throw invalidArgument(
        `${name}: the WebSocket was opened with ${ws.extensions}: give ws the option perMessageDeflate: false`,
      );
    // Only a client's has a URL, and only clients mask.
    this.masks = (ws as { url?: string }).url !== undefined;
    this.receiver = new WebSocketReceiver(
      this,
      ROOMY_MEMORY,
      !this.masks,
      maxPayload(this.settings),
    );
    // What goes wrong is told by the stream; an error that nobody hears would end the process.
    ws.on("error", () => {});
    stream.pause();
    stream.removeAllListeners("data");
    const { socket, into } = movedSocket(stream as net.Socket);
    this.early = into === null ? null : (stream.read() as Uint8Array | null);
    this.stream = socket;
    if (into === null) socket.on("data", this.onData);
    else into.target = this;
    socket.on("end", this.onEnd);
    socket.on("error", this.onError);
    // Before that of `ws`, which would take what was not read yet.
    socket.prependListener("close", this.onClose);
    if (socket.destroyed) queueMicrotask(this.onClose);
    this.heartbeat = new Heartbeat(this, this.settings);
    this.heartbeat.start();
  }

  get batching(): boolean {
    return this.inlet.framing === Framing.batch;
  }

  get signsOfLife(): number {
    return this.receivedBytes;
  }

  /** While this side reads nothing, nothing comes. */
  get expecting(): boolean {
    return !this.held;
  }

  probe(): void {
    if (!this.closeSent) writeFrame(this.stream, FrameKind.ping, [], 0, this.masks, undefined);
  }

  silent(): void {
    this.fail(peerUnresponsive(this.name, "the peer answered no ping and sent nothing"));
  }

  override faulted(error: RpcError): void {
    this.receiver.discard();
    super.faulted(error);
  }

  // What the socket says.

  get space(): Uint8Array | null {
    return this.receiver.space;
  }

  get worthCopying(): number {
    return this.receiver.worthCopying;
  }

  received(count: number, buffer: Uint8Array): boolean {
    this.receivedBytes += count;
    const { bytes, view } = sharedBuffer();
    try {
      if (buffer.buffer === bytes.buffer) this.receiver.take(bytes, view, count);
      else this.receiver.filled(buffer, count);
    } catch (thrown) {
      // No handler should throw. Node would not ask where the next read goes: it would go into the last message again.
      this.fail(RpcError.from(thrown, "internal-error"));
      throw thrown;
    }
    return !this.held;
  }

  // What the receiver says.

  unit(memory: Uint8Array, view: DataView, at: number, end: number, own: boolean): void {
    this.inlet.acceptUnit(memory, view, at, end, own ? RAW_MEMORY : null);
  }

  text(): void {
    this.inlet.refuse(textRefused());
  }

  ping(payload: Uint8Array): void {
    if (this.closeSent) return;
    // Only the latest is answered: a peer that pings and does not read would fill the memory with pongs.
    if (this.ponging) this.nextPong = payload.slice();
    else this.pong(payload);
  }

  closeFrame(code: number, reason: string): void {
    this.code = code;
    this.peerEnds(closeError(this.name, code, reason));
  }

  broken(code: number, what: string): void {
    this.code = code;
    this.peerEnds(new RpcError("failed", "malformed-frame", `${this.name}: ${what}`));
  }

  protected override open(): void {
    const { early } = this;
    this.early = null;
    if (early !== null) this.onData(early);
  }

  protected override send(batch: Batch): void {
    const { stream, masks } = this;
    if (stream.writableLength > 0) batch.shrink();
    const done = (): void => this.taken(batch);
    stream.cork();
    let last: Pieces | null = null;
    for (const unit of piecesOf(batch, this.batching)) {
      if (last !== null)
        writeFrame(stream, FrameKind.binary, last.parts, last.bytes, masks, undefined);
      last = unit;
    }
    writeFrame(stream, FrameKind.binary, last!.parts, last!.bytes, masks, done);
    stream.uncork();
  }

  protected override endOutput(): void {
    this.sendClose();
    if (this.peerDone) this.stream.end();
    else this.closeTimer = setTimeout(() => this.stream.destroy(), CLOSE_MS);
  }

  protected override destroy(): void {
    this.receiver.discard();
    // The close frame leaves if nothing is before it; the end of the connection does in any case.
    this.sendClose();
    this.stream.destroy();
  }

  protected override holdInput(): void {
    this.held = true;
    this.stream.pause();
  }

  protected override releaseInput(): void {
    this.held = false;
    this.stream.resume();
  }

  protected override detach(): void {
    const { stream } = this;
    this.heartbeat.stop();
    clearTimeout(this.closeTimer);
    stream.off("data", this.onData);
    stream.off("end", this.onEnd);
    stream.off("close", this.onClose);
    // The error listener stays: one may come late, and nobody listening would end the process.
  }

  private peerEnds(error: RpcError | null): void {
    this.peerDone = true;
    this.inlet.finish(error);
    // Else the end of the output is still to come, and then it is the end of the connection.
    if (this.closeSent) this.stream.end();
  }

  private sendClose(): void {
    const { code } = this;
    if (this.closeSent || code === NO_CLOSE || this.stream.destroyed) return;
    this.closeSent = true;
    const payload = code === NO_CODE ? [] : [Uint8Array.of(code >> 8, code & 255)];
    writeFrame(this.stream, FrameKind.close, payload, payload.length * 2, this.masks, undefined);
  }

  private pong(payload: Uint8Array): void {
    this.ponging = true;
    const gone = (): void => {
      this.ponging = false;
      const next = this.nextPong;
      this.nextPong = null;
      if (next !== null && !this.closeSent) this.pong(next);
    };
    writeFrame(this.stream, FrameKind.pong, [payload], payload.length, this.masks, gone);
  }

  private readonly onData = (chunk: Uint8Array): void => {
    this.receivedBytes += chunk.length;
    const bytes = new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.length);
    const view = new DataView(chunk.buffer, chunk.byteOffset, chunk.length);
    this.receiver.take(bytes, view, chunk.length);
  };

  private readonly onEnd = (): void => {
    if (this.peerDone) return;
    this.code = NO_CLOSE;
    this.peerEnds(closeError(this.name, NO_CLOSE));
  };

  private readonly onError = (cause: Error): void => {
    const code = (cause as NodeJS.ErrnoException).code ?? cause.message;
    this.error ??= connectionLost(this.name, `the connection broke (${code})`, cause);
  };

  private readonly onClose = (): void => {
    this.gone(this.error ?? closeError(this.name, NO_CLOSE));
  };
}
