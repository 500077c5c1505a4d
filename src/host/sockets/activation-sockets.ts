// Role: the WebSockets of an object as its code holds them: accepted for longer than the activation, and handed out again after it.
// State: per activation, what the code holds of each socket. Must not know: requests, how events reach the object.
//
// What the code holds is one end of a pair; what it sends arrives at the other end and goes on to the client when the output gate
// lets it. So a slow client slows the code, and what is not on its way keeps the object active.

import { RpcError } from "../../base/errors.js";
import type { Scheduler } from "../../base/scheduler.js";
import { type Message, SocketEnd } from "../../http/socket-end.js";
import type { KeptSocket as KeptEnd } from "../../http/upgrade.js";
import {
  bufferOf,
  endOf,
  handOver,
  PairedWebSocket,
  type Shelf,
  socketOf,
} from "../../http/websocket.js";
import type { OutputGate } from "../gates/output-gate.js";
import type { ValueCodecs } from "../storage/values.js";
import { WebSocketRequestResponsePair } from "./auto-response.js";
import type { KeptSocket } from "./kept-socket.js";
import type { ObjectSockets, SocketEvent } from "./socket-table.js";

/** What Workers allow. */
const MOST_TAGS = 10;
const TAG_CHARACTERS = 256;

/** Bounds of the sockets of one object. */
export interface SocketLimits {
  /** WebSockets that one object may have accepted by `ctx.acceptWebSocket`. */
  readonly sockets: number;
  /** Bytes of what is attached to one. */
  readonly attachmentBytes: number;
}

/** What an activation gives its sockets. */
export interface SocketsBehind {
  readonly output: OutputGate;
  readonly codecs: ValueCodecs;
  readonly limits: SocketLimits;
  /** Of whoever is outside of objects. */
  readonly scheduler: Scheduler;
}

/** What a host calls of an object when something happens to one of its sockets. */
export interface SocketHandlers {
  webSocketMessage?(ws: PairedWebSocket, message: string | ArrayBuffer): unknown;
  webSocketClose?(ws: PairedWebSocket, code: number, reason: string, wasClean: boolean): unknown;
  webSocketError?(ws: PairedWebSocket, error: unknown): unknown;
}

/** What the code holds of one socket, as long as the activation lasts. */
interface Held {
  readonly ws: PairedWebSocket;
  /** Shows it as closed. */
  readonly ended: () => void;
}

export class ActivationSockets {
  private readonly sockets: ObjectSockets;
  private readonly behind: SocketsBehind;
  private readonly held = new Map<KeptSocket, Held>();
  private readonly known = new WeakMap<PairedWebSocket, KeptSocket>();
  /** Accepted, and their other ends not yet given to a client. */
  private readonly unjoined = new Map<SocketEnd, KeptSocket>();

  constructor(sockets: ObjectSockets, behind: SocketsBehind) {
    this.sockets = sockets;
    this.behind = behind;
  }

  /** Whether all that the code sent is on its way. */
  get isIdle(): boolean {
    for (const { ws } of this.held.values()) if (endOf(ws).buffered > 0) return false;
    return true;
  }

  /** @throws RpcError invalid-argument, invalid-state, limit-exceeded, unstorable-value. */
  accept(ws: PairedWebSocket, tags: readonly string[] = []): void {
    if (!(ws instanceof PairedWebSocket))
      throw invalid("invalid-argument", "only one of a WebSocketPair can be accepted");
    const checked = checkTags(tags);
    const { sockets } = this.behind.limits;
    if (this.sockets.all.size >= sockets)
      throw tooMuch(`this object has ${sockets} WebSockets, the most it may have: limits.sockets`);
    const kept = this.sockets.add(checked);
    try {
      this.hold(kept, ws);
    } catch (thrown) {
      this.sockets.remove(kept);
      throw thrown;
    }
    this.unjoined.set(endOf(ws).other, kept);
  }

  /** How many that are not over. */
  get size(): number {
    return this.sockets.all.size;
  }

  /** @param tag null for all. @returns those that are not over, in the order in which they were accepted. */
  list(tag: string | null): PairedWebSocket[] {
    const found = [...this.sockets.all].filter(({ tags }) => tag === null || tags.includes(tag));
    return found.map((kept) => this.heldOf(kept).ws);
  }

  /** @throws RpcError invalid-argument for what is no socket that this object has accepted. */
  tagsOf(ws: PairedWebSocket): string[] {
    return [...this.keptOf(ws).tags];
  }

  /** @throws RpcError invalid-argument. */
  answeredAt(ws: PairedWebSocket): Date | null {
    const { answeredAt } = this.keptOf(ws);
    return answeredAt === null ? null : new Date(answeredAt);
  }

  get autoResponse(): WebSocketRequestResponsePair | null {
    return this.sockets.autoResponse;
  }

  /** @throws RpcError invalid-argument for what is no pair. */
  set autoResponse(pair: WebSocketRequestResponsePair | null) {
    if (pair !== null && !(pair instanceof WebSocketRequestResponsePair))
      throw invalid("invalid-argument", "an automatic answer is a WebSocketRequestResponsePair");
    this.sockets.autoResponse = pair;
  }

  /** Of a WebSocket that is about to be given to a client: what the client is joined to, if the object has accepted its other end. */
  keeps(end: SocketEnd): KeptEnd | null {
    const kept = this.unjoined.get(end);
    if (kept === undefined) return null;
    this.unjoined.delete(end);
    this.joinTo(kept, end);
    kept.open();
    const { scheduler, output } = this.behind;
    return { end: kept.outer, scheduler, leave: (run) => output.wait(run) };
  }

  /** Runs the code of `instance` for an event. */
  run(instance: SocketHandlers, kept: KeptSocket, event: SocketEvent): unknown {
    const { ws, ended } = this.heldOf(kept);
    if (event.kind === "webSocketMessage")
      return instance.webSocketMessage?.(ws, dataOf(event.message));
    ended();
    this.held.delete(kept);
    const { over } = event;
    if ("error" in over) return instance.webSocketError?.(ws, over.error);
    return instance.webSocketClose?.(ws, over.code, over.reason, over.wasClean);
  }

  /** The activation is over: what its code still holds leads nowhere, and what no client has got never will be. */
  end(): void {
    for (const kept of this.unjoined.values()) {
      kept.drop(1011, "");
      this.sockets.remove(kept);
    }
    for (const { ws } of this.held.values()) endOf(ws).lose(null);
    this.held.clear();
    this.unjoined.clear();
  }

  private hold(kept: KeptSocket, ws: PairedWebSocket): Held {
    const held = { ws, ended: handOver(ws, this.shelfOf(kept)) };
    this.held.set(kept, held);
    this.known.set(ws, kept);
    return held;
  }

  private heldOf(kept: KeptSocket): Held {
    const known = this.held.get(kept);
    if (known !== undefined) return known;
    const [end, other] = SocketEnd.pair();
    const held = this.hold(kept, socketOf(end, ""));
    if (kept.closing) held.ws.close();
    this.joinTo(kept, other);
    return held;
  }

  /** Has what arrives at `end` go on to the client. */
  private joinTo(kept: KeptSocket, end: SocketEnd): void {
    const { output } = this.behind;
    end.receive({
      message: (message: Message) =>
        output.isOpen
          ? kept.send(message)
          : new Promise((resolve, reject) => {
              output.wait((error) => {
                if (error === null) resolve(kept.send(message) ?? undefined);
                else reject(error);
              });
            }),
      closed(code, reason) {
        output.wait((error) => {
          if (error === null) kept.close(code, reason);
        });
      },
      lost() {},
    });
  }

  private shelfOf(kept: KeptSocket): Shelf {
    const { sockets } = this;
    const { codecs, limits } = this.behind;
    return {
      put(value) {
        const bytes = codecs.encode(value, "attachment");
        const most = limits.attachmentBytes;
        if (bytes.length > most)
          throw tooMuch(`what is attached to a WebSocket has at most ${most} bytes`);
        sockets.attach(kept, bytes);
      },
      get: () => (kept.attachment === null ? null : codecs.decode(kept.attachment)),
    };
  }

  private keptOf(ws: PairedWebSocket): KeptSocket {
    const kept = this.known.get(ws);
    if (kept !== undefined) return kept;
    throw invalid("invalid-argument", "this is no WebSocket that this object has accepted");
  }
}

function checkTags(tags: readonly string[]): string[] {
  if (!Array.isArray(tags) || tags.some((tag) => typeof tag !== "string"))
    throw invalid("invalid-argument", "tags are a list of texts");
  const unique = [...new Set(tags as string[])];
  if (unique.length > MOST_TAGS) throw tooMuch(`a WebSocket has at most ${MOST_TAGS} tags`);
  if (unique.some((tag) => tag.length > TAG_CHARACTERS))
    throw tooMuch(`a tag has at most ${TAG_CHARACTERS} characters`);
  return unique;
}

function dataOf(message: Message): string | ArrayBuffer {
  return typeof message === "string" ? message : bufferOf(message);
}

function invalid(code: "invalid-argument" | "invalid-state", message: string): RpcError {
  return new RpcError("failed", code, message);
}

function tooMuch(message: string): RpcError {
  return new RpcError("overloaded", "limit-exceeded", message);
}
