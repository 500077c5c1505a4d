// Role: the entry `capstan/http`: HTTP by capability, for any runtime. The server of Node's for it is in `capstan/node`.
// State: none. Must not know: Node.

export {
  type FetchInit,
  HttpClient,
  type HttpClientOptions,
  type WebSocketInit,
} from "./http/client.js";
export { HttpResponse, type HttpResponseInit } from "./http/response.js";
export {
  type HttpHandler,
  HttpService,
  type RequestBeside,
  serveHttp,
  type ServeHttpOptions,
} from "./http/server.js";
export type { OpenService, ServiceSource } from "./http/service.js";
export {
  PairedWebSocket,
  type PairedWebSocketEvents,
  SocketCloseEvent,
  SocketErrorEvent,
  WebSocketPair,
} from "./http/websocket.js";
