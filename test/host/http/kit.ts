// Objects with WebSockets, and clients of them that write down what happens to them.

import { expect } from "vitest";
import {
  DurableObject,
  type Namespace,
  type ObjectStub,
  WebSocketRequestResponsePair,
} from "../../../src/host.node.js";
import { HttpResponse, type PairedWebSocket, WebSocketPair } from "../../../src/http.js";
import { later } from "../kit.js";

export const URL_OF = "http://object.test";
const WS = { headers: { Upgrade: "websocket" } };

/** An object that accepts sockets of either kind, as the path says, and writes down what happens. */
export class Chat extends DurableObject<{ readonly ROOMS: Namespace<Chat> }> {
  /** Over all activations. */
  static log: string[] = [];
  static starts = 0;
  static accepted: PairedWebSocket[] = [];
  static gate = later();
  readonly sockets: PairedWebSocket[] = [];

  constructor(ctx: never, env: never) {
    super(ctx, env);
    Chat.starts++;
    if (Chat.log.includes("refuse to start")) throw new Error("it does not start");
  }

  static reset(): void {
    Chat.log = [];
    Chat.starts = 0;
    Chat.accepted = [];
    Chat.gate = later();
  }

  async fetch(request: Request): Promise<Response> {
    const { pathname, searchParams } = new URL(request.url);
    const { 0: client, 1: server } = new WebSocketPair();
    const tags = searchParams.getAll("tag");
    if (pathname.startsWith("/plain")) this.listen(server);
    else this.ctx.acceptWebSocket(server, tags);
    this.sockets.push(server);
    Chat.accepted.push(server);
    if (searchParams.has("attach")) server.serializeAttachment(searchParams.get("attach"));
    if (searchParams.has("write")) void this.ctx.storage.put("written", true);
    if (searchParams.has("greet")) server.send("welcome");
    if (searchParams.has("wait")) await Chat.gate.promise;
    if (searchParams.has("fail")) throw new Error("changed its mind");
    return new HttpResponse(null, {
      status: 101,
      webSocket: client,
      headers: { "x-room": this.ctx.id.name ?? "" },
    });
  }

  private listen(socket: PairedWebSocket): void {
    socket.accept();
    socket.addEventListener("message", async ({ data }) => {
      Chat.log.push(`heard ${String(data)}`);
      const count = ((await this.ctx.storage.get<number>("count")) ?? 0) + 1;
      void this.ctx.storage.put("count", count);
      socket.send(`${String(data)} ${count}`);
    });
    socket.addEventListener("close", ({ code, wasClean }) =>
      Chat.log.push(`closed ${code} ${wasClean}`),
    );
  }

  async webSocketMessage(ws: PairedWebSocket, message: string | ArrayBuffer): Promise<void> {
    const text = typeof message === "string" ? message : `${message.byteLength} bytes`;
    Chat.log.push(text);
    const [verb = "", rest = ""] = text.split(/ (.*)/s);
    if (verb === "echo") ws.send(rest);
    if (verb === "bytes") ws.send(new Uint8Array(Number(rest)));
    if (verb === "all")
      for (const other of this.ctx.getWebSockets(rest || undefined)) other.send("to all");
    if (verb === "tags") ws.send(this.ctx.getTags(ws).join());
    if (verb === "attach") ws.serializeAttachment({ text: rest });
    if (verb === "attached") ws.send(JSON.stringify(ws.deserializeAttachment()));
    if (verb === "befriend") ws.serializeAttachment({ friend: this.env.ROOMS.getByName(rest) });
    if (verb === "friend") {
      const { friend } = ws.deserializeAttachment() as { friend: ObjectStub<Chat> };
      ws.send(`${await friend.hello()} from ${await friend.name()}`);
    }
    if (verb === "close") ws.close(4000, rest);
    if (verb === "fail") throw new Error(rest);
    if (verb === "abort") this.ctx.abort(new Error(rest));
    if (verb === "same") ws.send(String(this.sockets.includes(ws)));
    if (verb === "auto")
      this.ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair("ping", "pong"));
    if (verb === "answered")
      ws.send(String(this.ctx.getWebSocketAutoResponseTimestamp(ws)?.getTime() ?? null));
    if (verb === "put") {
      void this.ctx.storage.put("text", rest);
      ws.send(`stored ${rest}`);
    }
    if (verb === "get") {
      const stored = await this.ctx.storage.get<string>("text");
      Chat.log.push(`got ${stored}`);
      ws.send(`${stored}`);
    }
    if (verb === "flood")
      for (let i = 0; i < 100; i++) {
        ws.send(new Uint8Array(Number(rest)));
        await ws.drained();
        Chat.log.push(`sent ${i}`);
      }
  }

  webSocketClose(ws: PairedWebSocket, code: number, reason: string, wasClean: boolean): void {
    const open = this.ctx.getWebSockets().length;
    Chat.log.push(
      `closed ${code} ${reason} ${wasClean} ${this.ctx.getTags(ws).join()} ${open} ${ws.readyState}`,
    );
  }

  webSocketError(_ws: PairedWebSocket, error: unknown): void {
    Chat.log.push(`error ${(error as Error).message}`);
  }

  closeAll(): void {
    for (const socket of this.ctx.getWebSockets()) socket.close(4000, "all");
  }
  states(): number[] {
    return this.ctx.getWebSockets().map(({ readyState }) => readyState);
  }
  /** Sends much, and reads when that is on its way. */
  async drain(): Promise<void> {
    const [socket] = this.ctx.getWebSockets();
    socket!.send("z".repeat(100_000));
    await socket!.drained();
    Chat.log.push(`drained ${await this.ctx.storage.get<number>("count")}`);
  }
  async reads(): Promise<void> {
    await this.ctx.storage.get("other");
    Chat.log.push("read");
  }

  /** Opens a WebSocket of another object. */
  async join(name: string): Promise<void> {
    const room = this.env.ROOMS.getByName(name);
    const response = (await room.fetch(URL_OF, WS)) as HttpResponse;
    const socket = response.webSocket!;
    socket.addEventListener("message", ({ data }) => Chat.log.push(`joined: ${String(data)}`));
    socket.addEventListener("close", ({ code }) => Chat.log.push(`left ${code}`));
    socket.accept();
    socket.send("echo from here");
  }

  /** Keeps events out until the gate of the test opens. */
  occupy(): void {
    void this.ctx.blockConcurrencyWhile(() => Chat.gate.promise);
  }

  name(): string | undefined {
    return this.ctx.id.name;
  }
  hello(): string {
    return "hello";
  }
  count(tag?: string): number {
    return this.ctx.getWebSockets(tag).length;
  }
  say(text: string): void {
    for (const socket of this.ctx.getWebSockets()) socket.send(text);
  }
  buffered(): number {
    return this.ctx.getWebSockets().reduce((sum, { bufferedAmount }) => sum + bufferedAmount, 0);
  }
  tryAccept(tags: unknown[], twice = false): string {
    const { 1: server } = new WebSocketPair();
    try {
      if (twice) server.accept();
      this.ctx.acceptWebSocket(server, tags as string[]);
    } catch (thrown) {
      return (thrown as { code: string }).code;
    }
    return "accepted";
  }
  tryAttach(size: number): string {
    try {
      this.ctx.getWebSockets()[0]!.serializeAttachment("x".repeat(size));
    } catch (thrown) {
      return (thrown as { code: string }).code;
    }
    return "attached";
  }
  tryAutoResponse(size: number): string {
    try {
      this.ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair("x".repeat(size), ""));
    } catch (thrown) {
      return (thrown as { code: string }).code;
    }
    return String(this.ctx.getWebSocketAutoResponse()?.request.length);
  }
}

/** A client of a socket, accepted, with what happened to it. */
export interface Client {
  readonly ws: PairedWebSocket;
  readonly log: string[];
}

export async function open(stub: ObjectStub<Chat>, path = "/"): Promise<Client> {
  const response = (await stub.fetch(`${URL_OF}${path}`, WS)) as HttpResponse;
  expect(response.status).toBe(101);
  const ws = response.webSocket!;
  const log: string[] = [];
  ws.addEventListener("message", ({ data }) =>
    log.push(typeof data === "string" ? data : `${(data as ArrayBuffer).byteLength} bytes`),
  );
  ws.addEventListener("error", ({ message }) => log.push(`error ${message}`));
  ws.addEventListener("close", ({ code, reason }) => log.push(`close ${code} ${reason}`));
  ws.accept();
  return { ws, log };
}
