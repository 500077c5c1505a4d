// Role: the entry `capstan/browser`: what a page or a Worker needs to call and to be called, as one small file.
// State: none. Must not know: Node, what a program that is not a page has to itself: batches, meshes, membranes, hooks.
//
// The package ships it built and shortened (scripts/shorten.js): what can be reached from the types here keeps its name,
// all other names are no API, and what nothing here uses is left out. So a member that is to be there must be in a type.

import type { Connection } from "./rpc/connection.js";
import { serve as serveHook } from "./cap/dynamic/stub.js";
import type { StubOptions } from "./cap/dynamic/terms.js";
import {
  type MessagePortLike,
  MessagePortTransport as WholeMessagePortTransport,
} from "./transport/messageport.js";
import type { Transport as WholeTransport, TransportOptions } from "./transport/transport.js";
import type { WebSocketConnectOptions } from "./transport/websocket-connect.js";
import {
  type WebSocketLike,
  type WebSocketOptions,
  WebSocketTransport as WholeWebSocketTransport,
} from "./transport/websocket.js";
import { connect as connectSession } from "./vat/connect-page.js";
import { Session as WholeSession, type SessionOptions as AllOptions } from "./vat/session.js";

export {
  type Delivery,
  type ErrorCode,
  type ErrorDetail,
  type ErrorRedactor,
  type LeavingError,
  RpcError,
  type RpcErrorType,
} from "./base/errors.js";
export { DEFAULT_LIMITS, type Limits, limitsWith } from "./base/limits.js";
export type { CallOptions } from "./cap/call-options.js";
export { type CallContext, callContext } from "./cap/dynamic/context.js";
export {
  type MethodSchemas,
  type StandardSchema,
  validateFunction,
  validateMethods,
} from "./cap/dynamic/schema.js";
export { RpcPromise, RpcStub, sameObject, targetOf, whenReady } from "./cap/dynamic/stub.js";
export { RpcTarget } from "./cap/dynamic/target.js";
export type { StubOptions, TermsOptions } from "./cap/dynamic/terms.js";
export type { ByReference, Given, Received, Sendable, StubMembers } from "./cap/dynamic/types.js";
export {
  type ErrorType,
  type ValueCodec,
  valueCodec,
  ValueTypes,
} from "./cap/dynamic/values/index.js";
export type { ConnectionStats } from "./rpc/audit.js";
export { type MessagePortLike } from "./transport/messageport.js";
export {
  BATCH_PROTOCOL,
  type WebSocketLike,
  type WebSocketOptions,
} from "./transport/websocket.js";
export type { SessionState, StateListener } from "./vat/session-state.js";

declare const CARRIES: unique symbol;

/** What carries a session's messages, for the session alone: made by a class here, not by others. */
export interface Transport extends Pick<WholeTransport, "name" | "bufferedBytes" | "close"> {
  readonly [CARRIES]: true;
}

export interface TransportConstructor<Carrier, Options> {
  /** Owns `carrier`, which is open or connecting, from now on. @param name what it leads to, for people. */
  new (name: string, carrier: Carrier, options?: Options): Transport;
  readonly prototype: Transport;
}

export type MessagePortTransport = Transport;

export const MessagePortTransport = WholeMessagePortTransport as unknown as TransportConstructor<
  MessagePortLike,
  TransportOptions
>;

export type WebSocketTransport = Transport;

export const WebSocketTransport = WholeWebSocketTransport as unknown as TransportConstructor<
  WebSocketLike,
  WebSocketOptions
>;

/** An object or a function on offer to peers: what {@link serve} makes. */
export interface Offered {
  /** Ends the offer: what peers hold stays theirs. */
  release(): void;
}

/** The options of a session, as in `capstan`, without those that only a program's own transports and tests need. */
export interface SessionOptions extends Pick<
  AllOptions,
  "limits" | "types" | "sendTrace" | "redactError" | "silenceTimeout" | "pressureTimeout" | "grace"
> {
  /** What the peer gets when it asks for our bootstrap capability; by default nothing. */
  readonly bootstrap?: Offered | (() => Offered) | null | undefined;
}

export interface ConnectOptions extends SessionOptions, WebSocketConnectOptions {}

/** A live connection to one peer, as in `capstan`, without the protocol's own parts. */
export interface Session extends Omit<WholeSession, "bootstrap" | "connection" | "transport"> {
  /** How full the connection is. */
  readonly connection: Pick<Connection, "error" | "idle" | "stats">;
  /**
   * The peer's bootstrap capability, usable at once: calls on it travel with the question for it.
   *
   * @returns a stub that the caller owns. When the connection is over, it is broken.
   * @example using api = session.bootstrap(RpcStub<Api>);
   */
  bootstrap<C>(type: new (hook: never, terms?: never) => C): C;
}

export interface SessionConstructor {
  /** Owns `transport` from now on. @throws RpcError invalid-argument when an option is no time. */
  new (transport: Transport, options?: SessionOptions): Session;
  readonly prototype: Session;
}

export const Session = WholeSession as unknown as SessionConstructor;

/**
 * Connects to a vat by the runtime's own WebSocket.
 *
 * @param url `ws://host:port/path` or `wss://host:port/path`.
 * @returns a session that the caller ends: by `close()`, or by `await using`.
 * @throws RpcError invalid-argument for an address that is none, or of another kind; connect-failed.
 * @example const session = await connect("wss://example.org/rpc");
 */
export const connect = connectSession as unknown as (
  url: string | URL,
  options?: ConnectOptions,
) => Promise<Session>;

/**
 * What is offered to peers: a target or a function, for the option `bootstrap`.
 *
 * @param target stays known as one object until the offer is released.
 * @throws RpcError invalid-argument when `target` does not go by reference.
 * @example new Session(transport, { bootstrap: serve(new Api()) });
 */
export const serve = serveHook as (target: object, options?: StubOptions) => Offered;
