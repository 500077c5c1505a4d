// Role: the entry `capstan`: what runs everywhere. Node has one of its own (node.ts), with all of this and sockets.
// State: none. Must not know: Node.

export {
  captureErrorStacks,
  type Delivery,
  type ErrorCode,
  type ErrorDetail,
  type ErrorRedactor,
  type LeavingError,
  type RedactedError,
  RpcError,
  type RpcErrorType,
} from "./base/errors.js";
export { DEFAULT_LIMITS, type Limits, limitsWith } from "./base/limits.js";
export { type Job, Scheduler } from "./base/scheduler.js";
export type { CallOptions } from "./cap/call-options.js";
export * from "./cap/dynamic/index.js";
export { processScheduler } from "./cap/scheduler.js";
export {
  CallRequest,
  Hook,
  type HookWatcher,
  NO_PROMISE_PIPELINING,
  ONLY_PROMISE_PIPELINE,
} from "./hook/hook.js";
export type { Holder } from "./hook/holder.js";
export { type Identity, identity } from "./hook/identity.js";
export { LocalCall, LocalHook, type Server } from "./hook/local.js";
export { type Direction, Membrane, type MembranePolicy, revocable } from "./hook/membrane.js";
export { type Caps, emptyPayload, type Path, Payload } from "./hook/payload.js";
export { PromiseHook } from "./hook/promise.js";
export { brokenHook, nullHook, Results, type ResultsObserver } from "./hook/results.js";
export type { ConnectionStats } from "./rpc/audit.js";
export { Connection, type ConnectionOptions } from "./rpc/connection.js";
export type { Fetch, HttpRequestOptions } from "./transport/http-request.js";
export { type MemoryOptions, memoryPair } from "./transport/memory.js";
export { type MessagePortLike, MessagePortTransport } from "./transport/messageport.js";
export type { Transport, TransportHandler, TransportOptions } from "./transport/transport.js";
export { connectWebSocket, type WebSocketConnectOptions } from "./transport/websocket-connect.js";
export {
  BATCH_PROTOCOL,
  type WebSocketLike,
  type WebSocketOptions,
  WebSocketTransport,
} from "./transport/websocket.js";
export { batchResponse, type BatchServerOptions } from "./vat/batch-server.js";
export { connect, type ConnectOptions } from "./vat/connect.js";
export { type Clock, REAL_CLOCK } from "./vat/clock.js";
export type { Dial, DialContext, ReconnectOptions } from "./vat/reconnect-options.js";
export { Reconnecting, reconnecting } from "./vat/reconnecting.js";
export type { SessionState, StateListener } from "./vat/session-state.js";
export type { Origins } from "./vat/origins.js";
export { type Offer, Session, type SessionOptions } from "./vat/session.js";
export { microtaskTurnEnd, type TurnEnd } from "./vat/turn.js";
export { Content } from "./wire/content.js";
