// Role: one end of a WebSocket joined to the WebSocket capabilities of the other side: one to be sent to, one to send to.
// State: which direction is over. Must not know: requests, events.
//
// A message of the other side is answered when the end behind ours has room again, and one of ours is sent when the window of
// the capability has: so whoever is slow, at whichever side, slows the other, through any number of vats.

import { RpcError } from "../base/errors.js";
import type { Scheduler } from "../base/scheduler.js";
import { bytesParams, readBytes } from "../cap/stream/protocol.js";
import { droppedError, type Values } from "../cap/stream/values.js";
import { CallRequest, type Hook, NO_PROMISE_PIPELINING } from "../hook/hook.js";
import { type LocalCall, LocalHook, type Server } from "../hook/local.js";
import { Payload } from "../hook/payload.js";
import type { Results } from "../hook/results.js";
import type { Content } from "../wire/content.js";
import { readClose, readText, writeClose, writeText } from "./messages.js";
import { SOCKET_CLOSE, SOCKET_DATA, SOCKET_HI, SOCKET_LO, SOCKET_TEXT } from "./protocol.js";
import type { Message, Receiver, SocketEnd } from "./socket-end.js";
import { isCloseCode } from "./websocket.js";

/** About what a Call message adds to its params (C-FLO-06). */
const ENVELOPE_BYTES = 96;

export interface LinkOptions {
  /** Bytes of a message that is taken from the other side. */
  readonly maxMessage: number;
  readonly values: Values;
  /** Told once, when nothing more goes either way. */
  readonly ended: () => void;
}

export class SocketLink implements Server, Receiver {
  /** It is for whoever takes from the end to let messages in to the code of an object. */
  readonly passive = true;
  /** What the other side sends to: a reference, to be given away. */
  readonly hook: Hook;
  private readonly end: SocketEnd;
  private readonly options: LinkOptions;
  /** What we send to, until that direction is over. */
  private remote: Hook | null = null;
  private incoming = true;
  private over = false;

  /** Nothing is sent until {@link sendTo}. */
  constructor(end: SocketEnd, scheduler: Scheduler, options: LinkOptions) {
    this.end = end;
    this.options = options;
    this.hook = new LocalHook(this, scheduler);
  }

  /** Begins to send what arrives at the end. @param remote taken over. */
  sendTo(remote: Hook): void {
    this.remote = remote;
    this.end.receive(this);
  }

  /** Cuts both directions off: the call that they depend on is over. Idempotent. */
  fail(error: unknown): void {
    this.end.lose(error);
    this.incoming = false;
    this.letGo();
  }

  // What the other side sends.

  readonly dispatch = (call: LocalCall): void => {
    const { interfaceHi, interfaceLo, methodId, params } = call;
    if (interfaceHi !== SOCKET_HI || interfaceLo !== SOCKET_LO || methodId > SOCKET_CLOSE)
      return call.fails(
        new RpcError("unimplemented", "method-unimplemented", "a WebSocket has no such method"),
      );
    if (methodId !== SOCKET_CLOSE) call.streaming();
    if (!this.incoming)
      return call.fails(new RpcError("failed", "invalid-state", "this WebSocket is closed"));
    if (methodId === SOCKET_CLOSE) return this.closedByOther(call);
    const message = methodId === SOCKET_TEXT ? readText(params.content) : readBytes(params.content);
    if (message.length > this.options.maxMessage) return this.tooLarge(call);
    this.end.send(message);
    void this.end.drained().then(() => call.returns());
  };

  dropped(): void {
    if (!this.incoming) return;
    this.incoming = false;
    this.end.lose(droppedError("the other side let go of the WebSocket without closing it"));
    this.letGo();
  }

  private closedByOther(call: LocalCall): void {
    const { code, reason } = readClose(call.params.content);
    if (code !== 1005 && !isCloseCode(code)) {
      const error = new RpcError("failed", "invalid-payload", `${code} is no code of a close`);
      this.fail(error);
      return call.fails(error);
    }
    this.incoming = false;
    this.end.close(code, reason);
    call.returns();
    this.endIfOver();
  }

  private tooLarge(call: LocalCall): void {
    const most = this.options.maxMessage;
    const error = new RpcError(
      "overloaded",
      "limit-exceeded",
      `a message has at most ${most} bytes`,
    );
    this.incoming = false;
    this.end.lose(error);
    call.fails(error);
    this.closed(1009, "message too large");
  }

  // What the end behind ours sends.

  message(message: Message): Promise<void> | void {
    const { remote } = this;
    if (remote === null) return;
    const isText = typeof message === "string";
    const content = isText ? writeText(message) : bytesParams(message);
    const method = isText ? SOCKET_TEXT : SOCKET_DATA;
    const { flow } = remote; // of the way that this call takes
    const { byteLength } = content;
    const results = this.call(remote, method, content);
    if (flow === null) return this.settled(results);
    flow.sent(byteLength + ENVELOPE_BYTES, results);
    if (flow.ready) return;
    return new Promise((resolve, reject) => {
      flow.whenReady((error) => {
        if (error === null) resolve();
        else reject(this.options.values.shown(error) as Error);
      });
    });
  }

  closed(code: number, reason: string): void {
    const { remote } = this;
    if (remote === null) return;
    // Kept until it is there: to let go of the socket before would be an end without a close.
    const over = (): void => this.letGo();
    this.settled(this.call(remote, SOCKET_CLOSE, writeClose(code, reason))).then(over, over);
  }

  lost(_error: unknown): void {
    this.incoming = false;
    this.letGo();
  }

  private call(remote: Hook, method: number, content: Content): Results {
    const results = remote.call(
      new CallRequest(SOCKET_HI, SOCKET_LO, method, new Payload(content), NO_PROMISE_PIPELINING),
    );
    results.dropPipeline();
    return results;
  }

  private settled(results: Results): Promise<void> {
    return new Promise((resolve, reject) => {
      results.observe({
        immediate: false,
        resultsSettled: () => {
          const { error } = results;
          results.cancel();
          if (error === null) resolve();
          else reject(this.options.values.shown(error) as Error);
        },
      });
    });
  }

  private letGo(): void {
    this.remote?.release();
    this.remote = null;
    this.endIfOver();
  }

  private endIfOver(): void {
    if (this.incoming || this.remote !== null || this.over) return;
    this.over = true;
    this.options.ended();
  }
}
