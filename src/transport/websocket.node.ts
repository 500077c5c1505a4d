// Role: a transport on a WebSocket of the `ws` package, which can do what a browser's cannot: say when bytes are gone,
// be paused, probe its peer, and let go at once.
// State: the probe's timer. Must not know: HTTP, or who may connect.

import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { WebSocket } from "ws";
import { RpcError } from "../base/errors.js";
import type { Batch } from "../wire/outbox.js";
import { Heartbeat, type HeartbeatOwner } from "./heartbeat.js";
import {
  connectionLost,
  peerUnresponsive,
  type TransportOptions,
  type TransportSettings,
} from "./transport.js";
import { BATCH_UNIT_BYTES, type Pieces, piecesOf } from "./units.js";
import { writeFrame } from "./websocket-frame.node.js";
import { type WebSocketLike, WebSocketTransport } from "./websocket.js";

/** What `ws` must be told so that a message within the limits fits, and not much more. */
export function maxPayload(settings: TransportSettings): number {
  const { messageWords, segments } = settings.limits;
  return Math.max(messageWords * 8 + segments * 4 + 8, BATCH_UNIT_BYTES);
}

/**
 * Messages over an open `ws` WebSocket; owns it from now on. All frames of a batch leave in one write.
 *
 * @param stream the connection below the WebSocket, as `request.socket` or `response.socket` of the upgrade.
 * @example server.on("connection", (ws, request) => serve(new NodeWebSocketTransport("ws", ws, request.socket)));
 */
export class NodeWebSocketTransport extends WebSocketTransport implements HeartbeatOwner {
  private readonly ws: WebSocket;
  private readonly stream: Duplex;
  private readonly heartbeat: Heartbeat;
  private error: RpcError | null = null;
  private held = true;

  constructor(name: string, ws: WebSocket, stream: Duplex, options?: TransportOptions) {
    super(name, ws as unknown as WebSocketLike, options);
    this.ws = ws;
    this.stream = stream;
    ws.binaryType = "nodebuffer";
    ws.on("message", this.onData);
    ws.on("error", this.onError);
    ws.on("close", this.onClosed);
    // Nobody has asked for a message yet.
    ws.pause();
    this.heartbeat = new Heartbeat(this, this.settings);
    this.heartbeat.start();
  }

  override get bufferedBytes(): number {
    return this.unsent;
  }

  get signsOfLife(): number {
    return (this.stream as Socket).bytesRead;
  }

  /** While this side reads nothing, nothing comes. */
  get expecting(): boolean {
    return !this.held;
  }

  probe(): void {
    this.ws.ping();
  }

  silent(): void {
    this.fail(peerUnresponsive(this.name, "the peer answered no ping and sent nothing"));
  }

  protected override attach(): void {}

  protected override send(batch: Batch): void {
    const { ws, stream } = this;
    // Behind a close frame nothing is allowed.
    if (ws.readyState !== ws.OPEN) return this.taken(batch);
    // Only a client's has a URL, and only clients mask.
    const masked = (ws as { url?: string }).url !== undefined;
    const done = (): void => this.taken(batch);
    stream.cork();
    let last: Pieces | null = null;
    for (const unit of piecesOf(batch, this.batching)) {
      if (last !== null) writeFrame(stream, last.parts, last.bytes, masked, undefined);
      last = unit;
    }
    writeFrame(stream, last!.parts, last!.bytes, masked, done);
    stream.uncork();
  }

  protected override destroy(): void {
    // The close frame leaves if nothing is before it; the end of the connection does in any case.
    this.endOutput();
    this.ws.resume();
    this.ws.terminate();
  }

  protected override holdInput(): void {
    this.held = true;
    this.ws.pause();
  }

  protected override releaseInput(): void {
    this.held = false;
    this.ws.resume();
  }

  protected override detach(): void {
    this.heartbeat.stop();
    this.ws.off("message", this.onData);
    this.ws.off("close", this.onClosed);
    // The error listener stays: one may come late, and nobody listening would end the process.
  }

  private readonly onData = (data: unknown, isBinary: boolean): void => {
    this.arrived(isBinary ? data : "");
  };

  private readonly onError = (cause: Error): void => {
    const code = (cause as NodeJS.ErrnoException).code ?? "";
    this.error ??= code.startsWith("WS_ERR_")
      ? new RpcError("failed", "malformed-frame", `${this.name}: ${cause.message}`, { cause })
      : connectionLost(this.name, `the connection broke (${code || cause.message})`, cause);
  };

  private readonly onClosed = (code: number, reason: Buffer): void => {
    if (this.error !== null) this.gone(this.error);
    else this.closedWith(code, reason.toString());
  };
}
