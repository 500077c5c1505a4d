// A room. What is said in it gets a number and is stored; who was away asks for what came after the last number they have seen.
//
// What a member says has a number of its own, counted by the member. It is taken once and in order, and acknowledged when it is stored:
// no message to a WebSocket leaves before the writes before it are on the disk. What was not acknowledged is said again, perhaps to
// another life of this object, which knows from storage whether it has it already.

import { DurableObject } from "cloudflare:workers";
import type { Env } from "./worker.js";

export interface Said {
  readonly number: number;
  readonly name: string;
  readonly text: string;
  readonly at: number;
}

/** What a WebSocket keeps while the object sleeps. */
interface Member {
  readonly client: string;
  readonly name: string;
  readonly address: string;
}

/** What is known of a client that was here. */
interface Known {
  /** The number of the last thing it said. */
  readonly last: number;
  readonly at: number;
}

const MAX_NAME = 40;
const MAX_TEXT = 2000;
const MAX_MEMBERS = 200;
/** So many messages are kept. */
const KEPT = 500;
/** Milliseconds before what was out of order is sent again. */
const MIN_PAUSE = 200;
const DAY = 24 * 60 * 60 * 1000;

const keyOf = (number: number): string => `said/${String(number).padStart(12, "0")}`;

export class Room extends DurableObject<Env> {
  private get storage(): DurableObjectStorage {
    return this.ctx.storage;
  }

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    // Answered also while this object sleeps.
    ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair("ping", "pong"));
  }

  override async fetch(request: Request): Promise<Response> {
    const { searchParams } = new URL(request.url);
    const client = searchParams.get("client") ?? "";
    const name = (searchParams.get("name") ?? "").trim();
    const after = Number(searchParams.get("after") ?? "0");
    if (!/^[\w-]{8,64}$/.test(client) || name === "" || name.length > MAX_NAME)
      return new Response("A member has a client id and a name.\n", { status: 400 });
    if (!Number.isSafeInteger(after) || after < 0)
      return new Response("What was seen last is a number.\n", { status: 400 });
    // One that is still there has been replaced by this one, and nobody has noticed yet.
    for (const old of this.ctx.getWebSockets(client)) old.close(4000, "replaced");
    if (this.ctx.getWebSockets().length >= MAX_MEMBERS)
      return new Response("The room is full.\n", { status: 503 });

    const { 0: theirs, 1: ours } = new WebSocketPair();
    const address = request.headers.get("CF-Connecting-IP") ?? "unknown";
    this.ctx.acceptWebSocket(ours, [client]);
    ours.serializeAttachment({ client, name, address } satisfies Member);
    const known = await this.known(client);
    const missed = await this.storage.list<Said>({ prefix: "said/", start: keyOf(after + 1) });
    send(ours, { type: "welcome", last: known.last, said: [...missed.values()] });
    this.tellWhoIsHere();
    return new Response(null, { status: 101, webSocket: theirs });
  }

  override async webSocketMessage(socket: WebSocket, message: string | ArrayBuffer): Promise<void> {
    const { client, name, address } = memberOf(socket);
    const asked = read(message);
    if (asked === null) return socket.close(1008, "this is no message of a chat");
    const { id, text } = asked;
    const wait = await this.env.LIMITERS.getByName(address).take();
    const { last } = await this.known(client);
    if (id <= last) return send(socket, { type: "stored", id });
    // Taken out of order, what was before it would look stored when it comes again.
    if (wait > 0 || id > last + 1)
      return send(socket, { type: "again", after: Math.max(wait, MIN_PAUSE) });

    const number = ((await this.storage.get<number>("count")) ?? 0) + 1;
    const said: Said = { number, name, text, at: Date.now() };
    // With no await between them, all of these are there or none is.
    void this.storage.put({
      count: number,
      [keyOf(number)]: said,
      [`client/${client}`]: { last: id, at: said.at } satisfies Known,
    });
    void this.storage.delete(keyOf(number - KEPT));
    if ((await this.storage.getAlarm()) === null) void this.storage.setAlarm(said.at + DAY);
    for (const one of this.ctx.getWebSockets()) send(one, { type: "said", said });
    send(socket, { type: "stored", id });
  }

  override webSocketClose(socket: WebSocket): void {
    this.tellWhoIsHere(socket);
  }

  override webSocketError(socket: WebSocket): void {
    this.tellWhoIsHere(socket);
  }

  /** Forgets clients that have said nothing for a week. */
  override async alarm(): Promise<void> {
    const clients = await this.storage.list<Known>({ prefix: "client/" });
    const now = Date.now();
    const gone = [...clients].filter(([, { at }]) => at < now - 7 * DAY).map(([key]) => key);
    for (const key of gone) void this.storage.delete(key);
    if (gone.length < clients.size) void this.storage.setAlarm(now + DAY);
  }

  private async known(client: string): Promise<Known> {
    return (await this.storage.get<Known>(`client/${client}`)) ?? { last: 0, at: 0 };
  }

  private tellWhoIsHere(without?: WebSocket): void {
    const sockets = this.ctx.getWebSockets().filter((one) => one !== without);
    const names = [...new Set(sockets.map((one) => memberOf(one).name))].sort();
    for (const one of sockets) send(one, { type: "here", names });
  }
}

function memberOf(socket: WebSocket): Member {
  return socket.deserializeAttachment() as Member;
}

function send(socket: WebSocket, message: object): void {
  // It may be closed already: whoever was there comes back and asks.
  if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message));
}

function read(message: string | ArrayBuffer): { id: number; text: string } | null {
  if (typeof message !== "string") return null;
  let value: unknown;
  try {
    value = JSON.parse(message);
  } catch {
    return null;
  }
  const { id, text } = (value ?? {}) as { id?: unknown; text?: unknown };
  if (!Number.isSafeInteger(id) || (id as number) < 1) return null;
  if (typeof text !== "string" || text === "" || text.length > MAX_TEXT) return null;
  return { id: id as number, text };
}
