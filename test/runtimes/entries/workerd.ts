// Role: a Worker: `/rpc` serves the object to whoever opens a WebSocket, `/batch` to HTTP batches; `/run?url=...&http=...` calls the
// one that a server has.
// State: none. Must not know: scenarios.

import {
  BATCH_PROTOCOL,
  connect,
  Session,
  type WebSocketLike,
  WebSocketTransport,
} from "../../../src/index.js";
import * as capstan from "../../../src/index.js";
import { Host } from "../server.js";
import { runAll } from "../suite/index.js";

/** Only in all of `capstan`. */
const batchResponse = Reflect.get(capstan, "batchResponse") as
  | typeof capstan.batchResponse
  | undefined;

/** As much of the Workers API as this needs. */
declare const WebSocketPair: new () => {
  0: WebSocket;
  1: WebSocket & WebSocketLike & { accept(): void };
};

export default {
  async fetch(request: Request): Promise<Response> {
    const { pathname, searchParams } = new URL(request.url);
    if (pathname === "/run") {
      const http = searchParams.get("http")!;
      const outcomes = await runAll(() => connect(searchParams.get("url")!), http);
      return Response.json(outcomes);
    }
    if (pathname === "/batch")
      return batchResponse === undefined
        ? new Response("no batches here", { status: 501 })
        : batchResponse(request, new Host().options);
    if (request.headers.get("upgrade") !== "websocket")
      return new Response("there is nothing here", { status: 404 });
    const { 0: client, 1: server } = new WebSocketPair();
    server.accept();
    const host = new Host();
    const offered = request.headers.get("sec-websocket-protocol") ?? "";
    const batch = offered.split(/, */).includes(BATCH_PROTOCOL);
    host.of(new Session(new WebSocketTransport("client", server, { batch }), host.options));
    const headers = batch ? { "sec-websocket-protocol": BATCH_PROTOCOL } : {};
    return new Response(null, { status: 101, webSocket: client, headers } as ResponseInit);
  },
};
