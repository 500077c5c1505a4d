// Role: a request that becomes a WebSocket, as whoever serves it sees it; also for longer than whoever was asked is there.
// State: per kept socket, the call that lasts as long. Must not know: how requests come, Request and Response.

import type { RpcError } from "../base/errors.js";
import type { Scheduler } from "../base/scheduler.js";
import { droppedError, type Values } from "../cap/stream/values.js";
import { CallRequest, type Hook } from "../hook/hook.js";
import { type LocalCall, LocalHook, type Server } from "../hook/local.js";
import { emptyPayload, Payload } from "../hook/payload.js";
import type { Content } from "../wire/content.js";
import {
  ANSWER_TO,
  CONTEXT_HI,
  CONTEXT_LO,
  CONTEXT_WEB_SOCKET,
  SERVICE_HI,
  SERVICE_LO,
  SERVICE_REQUEST,
} from "./protocol.js";
import type { SocketEnd } from "./socket-end.js";
import { SocketLink } from "./socket-link.js";

export interface UpgradeOptions {
  readonly values: Values;
  /** Bytes of a message that is taken from the other side. */
  readonly maxMessage: number;
}

/**
 * Answers that the request is a WebSocket from now on, and joins it to `end`.
 *
 * @param context whom to answer; stays the caller's. @param handshake the headers of the answer, owned.
 * @param ended told, perhaps more than once, when nothing more goes either way, or why nobody took the answer.
 */
export function upgrade(
  context: Hook,
  handshake: Content,
  end: SocketEnd,
  scheduler: Scheduler,
  options: UpgradeOptions,
  ended: (error: RpcError | null) => void,
): SocketLink {
  const link = new SocketLink(end, scheduler, { ...options, ended: () => ended(null) });
  const params = new Payload(handshake, [link.hook]);
  const request = new CallRequest(CONTEXT_HI, CONTEXT_LO, CONTEXT_WEB_SOCKET, params);
  const results = context.call(request);
  link.sendTo(results.pipeline(ANSWER_TO));
  results.dropPipeline();
  results.observe({
    immediate: false,
    resultsSettled() {
      const { error } = results;
      results.cancel();
      if (error !== null) ended(error);
    },
  });
  return link;
}

/** A socket that lasts longer than the object which the request was made to. */
export interface KeptSocket {
  /** The end that is joined to whoever asks. */
  readonly end: SocketEnd;
  /** Whose jobs it is from now on. */
  readonly scheduler: Scheduler;
  /** Calls `run` when the answer may leave, or, with an error, when it never will. */
  leave(run: (error: RpcError | null) => void): void;
}

/**
 * What is left of a request whose WebSocket is kept: the call lasts until the socket is over, and giving the call up cuts
 * the socket off.
 */
class KeptRequest implements Server {
  readonly passive = true;
  private readonly socket: KeptSocket;
  private context: Hook | null;
  private link: SocketLink | null = null;
  private call: LocalCall | null = null;
  private over: { readonly error: RpcError | null } | null = null;

  /** @param context taken over. */
  constructor(context: Hook, handshake: Content, socket: KeptSocket, options: UpgradeOptions) {
    this.context = context;
    this.socket = socket;
    const { end, scheduler } = socket;
    const ended = (error: RpcError | null): void => this.end(error);
    socket.leave((error) => {
      if (error !== null) return this.end(error);
      if (this.context === null) return;
      this.link = upgrade(this.context, handshake, end, scheduler, options, ended);
    });
  }

  dispatch(call: LocalCall): void {
    this.call = call;
    if (this.over !== null) return this.settle();
    call.onCancel = (): void => this.end(droppedError("whoever asked for the WebSocket is gone"));
  }

  private end(error: RpcError | null): void {
    if (this.over !== null) return;
    this.over = { error };
    this.context?.release();
    this.context = null;
    this.link?.fail(error ?? droppedError("the WebSocket is over"));
    if (error !== null) this.socket.end.lose(error);
    this.settle();
  }

  private settle(): void {
    const { error } = this.over!;
    if (error === null) this.call?.returns();
    else this.call?.fails(error);
  }
}

/**
 * Ends `call`, a request, for the object that it was made to, and has its WebSocket go on by itself.
 *
 * @param context whom to answer; taken over. @param handshake the headers of the answer, owned.
 */
export function keep(
  call: LocalCall,
  context: Hook,
  handshake: Content,
  socket: KeptSocket,
  options: UpgradeOptions,
): void {
  const kept = new KeptRequest(context, handshake, socket, options);
  const rest = new LocalHook(kept, socket.scheduler);
  call.tailCall(rest, new CallRequest(SERVICE_HI, SERVICE_LO, SERVICE_REQUEST, emptyPayload()));
  rest.release();
}
