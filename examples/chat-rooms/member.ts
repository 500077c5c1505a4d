// A member of a chat room, as a program: what the page does, without a page. It is connected again when it is cut off, and says
// again what the room has not acknowledged.

import { randomUUID } from "node:crypto";
import { WebSocket } from "ws";

export interface Said {
  readonly number: number;
  readonly name: string;
  readonly text: string;
}

type Message =
  | { readonly type: "welcome"; readonly last: number; readonly said: readonly Said[] }
  | { readonly type: "said"; readonly said: Said }
  | { readonly type: "stored"; readonly id: number }
  | { readonly type: "again"; readonly after: number }
  | { readonly type: "here"; readonly names: readonly string[] };

export class Member {
  readonly name: string;
  /** In the order of their numbers, each once. */
  readonly seen: Said[] = [];
  /** What the room has acknowledged. */
  readonly stored: string[] = [];
  connections = 0;
  private readonly client = randomUUID();
  private readonly room: URL;
  private outbox: { id: number; text: string }[] = [];
  private last = 0;
  private socket: WebSocket | null = null;
  private leaving = false;
  private changed: (() => void)[] = [];

  /** @param server the URL of the chat. */
  constructor(name: string, server: string, room: string) {
    this.name = name;
    this.room = new URL(`/rooms/${room}/socket`, server.replace(/^http/, "ws"));
    this.connect();
  }

  say(text: string): void {
    const one = { id: ++this.last, text };
    this.outbox.push(one);
    this.send(one);
  }

  /** Resolves once `condition` holds; it is looked at whenever something has come. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.changed.push(resolve));
  }

  /** Whether all that it said is acknowledged. */
  get isHeard(): boolean {
    return this.outbox.length === 0;
  }

  get isConnected(): boolean {
    return this.socket?.readyState === WebSocket.OPEN;
  }

  leave(): void {
    this.leaving = true;
    this.socket?.close(1000);
  }

  private send(one: object): void {
    if (this.isConnected) this.socket!.send(JSON.stringify(one));
  }

  private connect(): void {
    const after = this.seen.at(-1)?.number ?? 0;
    this.room.search = String(
      new URLSearchParams({ client: this.client, name: this.name, after: String(after) }),
    );
    const socket = new WebSocket(this.room);
    this.socket = socket;
    socket.on("error", () => {}); // the close follows
    socket.on("message", (data: Buffer) => {
      this.heard(JSON.parse(data.toString()) as Message);
      this.tell();
    });
    socket.on("close", () => {
      this.tell();
      if (!this.leaving) setTimeout(() => this.connect(), 100);
    });
  }

  private tell(): void {
    for (const resolve of this.changed.splice(0)) resolve();
  }

  private heard(message: Message): void {
    if (message.type === "said") this.see(message.said);
    else if (message.type === "stored") this.acknowledged(message.id);
    else if (message.type === "again") setTimeout(() => this.flush(), message.after);
    else if (message.type === "welcome") {
      this.connections++;
      for (const said of message.said) this.see(said);
      this.acknowledged(message.last);
      this.flush();
    }
  }

  private see(said: Said): void {
    if (said.number > (this.seen.at(-1)?.number ?? 0)) this.seen.push(said);
  }

  private acknowledged(last: number): void {
    const done = this.outbox.filter(({ id }) => id <= last);
    this.stored.push(...done.map(({ text }) => text));
    this.outbox = this.outbox.filter(({ id }) => id > last);
  }

  private flush(): void {
    for (const one of this.outbox) this.send(one);
  }
}
