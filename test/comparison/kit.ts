// Role: the tables of docs/guide/comparison.md as text, and a server and clients of Cap'n Web in Node.
// State: none. Must not know: what is asked.

import { once } from "node:events";
import fs from "node:fs";
import http from "node:http";
import type { AddressInfo } from "node:net";
import path from "node:path";
import { vi } from "vitest";
import { WebSocket, WebSocketServer } from "ws";

/** What is used of Cap'n Web. Its own declarations do not compile here, so it is imported by a name they are not found by. */
export interface CapnWeb {
  readonly RpcTarget: new () => object;
  readonly DEFAULT_LIMITS: Readonly<Record<string, number>>;
  newWebSocketRpcSession(socket: WebSocket, main?: object): Disposable;
  newHttpBatchRpcSession(url: string): unknown;
  newMessagePortRpcSession(port: unknown, main?: object): Disposable;
  nodeHttpBatchRpcResponse(
    request: http.IncomingMessage,
    response: http.ServerResponse,
    main: object,
  ): Promise<void>;
}

export async function loadCapnWeb(): Promise<CapnWeb> {
  const name: string = "capnweb";
  return (await import(name)) as CapnWeb;
}

/** Where Cap'n Web is served, by WebSocket and by HTTP batch. */
export interface CapnWebServer extends AsyncDisposable {
  readonly url: string;
  /** A stub of what is served. @param heard is told every text that the client sends. */
  connect(heard?: (text: string) => void): Promise<Disposable>;
  /** Takes all connections away. */
  cut(): void;
}

/** @param main makes what each connection is given. */
export async function capnWebServer(capnweb: CapnWeb, main: () => object): Promise<CapnWebServer> {
  vi.stubGlobal("WebSocket", WebSocket); // in Node it has none, and looks for its constants
  const server = http.createServer((request, response) => {
    void capnweb.nodeHttpBatchRpcResponse(request, response, main());
  });
  const sockets = new WebSocketServer({ server });
  sockets.on("connection", (socket) => capnweb.newWebSocketRpcSession(socket, main()));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const clients: WebSocket[] = [];
  const cut = (): void => {
    for (const client of clients.splice(0)) client.terminate();
  };
  return {
    url: `http://127.0.0.1:${port}`,
    async connect(heard) {
      const socket = new WebSocket(`ws://127.0.0.1:${port}`);
      clients.push(socket);
      if (heard !== undefined) {
        const send = socket.send.bind(socket) as (data: unknown) => void;
        socket.send = (data: unknown): void => {
          heard(String(data));
          send(data);
        };
      }
      await once(socket, "open");
      return capnweb.newWebSocketRpcSession(socket);
    },
    cut,
    async [Symbol.asyncDispose]() {
      cut();
      sockets.close();
      server.closeAllConnections();
      server.close();
      vi.unstubAllGlobals();
      await Promise.resolve();
    },
  };
}

/** The cells of the table under `heading`, per row, without the row's name. */
export function cellsOf(heading: string): Map<string, readonly string[]> {
  const file = path.join(import.meta.dirname, "../../docs/guide/comparison.md");
  const text = fs.readFileSync(file, "utf8");
  const part = text.split(`\n## ${heading}\n`)[1]!.split("\n## ")[0]!;
  const rows = part.split("\n").filter((line) => line.startsWith("|"));
  return new Map(
    rows.slice(2).map((line) => {
      const [name, ...cells] = line.split("|").slice(1, -1);
      return [name!.trim(), cells.map((cell) => cell.trim())];
    }),
  );
}
