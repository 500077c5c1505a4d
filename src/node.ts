/// <reference types="node" preserve="true" />
// Role: the entry `capstan/node`: all of `capstan`, with sockets, servers and programs.
// State: none. Must not know: anything of its own.

export * from "./index.js";
export { type HttpFront, httpFront, type HttpFrontOptions } from "./http/front.node.js";
export { connectNodeWebSocket, connectSocket } from "./transport/connect.node.js";
export {
  type ChildOptions,
  ChildTransport,
  spawnTransport,
  stdioTransport,
} from "./transport/stdio.node.js";
export { SocketTransport, socketTransport } from "./transport/socket.node.js";
export { StreamTransport } from "./transport/stream.node.js";
export { NodeWebSocketTransport } from "./transport/websocket.node.js";
export { batchHandler, type RequestHandler } from "./vat/batch-server.node.js";
// Instead of the one that knows only what browsers have.
export {
  connect,
  connectProgram,
  type NodeConnectOptions as ConnectOptions,
  nodeSession,
  serveStdio,
} from "./vat/connect.node.js";
export { listen, Listener, type ListenOptions } from "./vat/listen.node.js";
export { nodeTurnEnd } from "./vat/turn.node.js";
