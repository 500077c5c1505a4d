// What the Workers of the tests call.

import { HttpResponse, WebSocketPair } from "../../../src/http.js";
import { RpcError, RpcStub, RpcTarget } from "../../../src/node.js";
import type { Guest } from "../bridge/api.js";

class Refused extends Error {
  override readonly name = "Refused";
  readonly code = "E_REFUSED";
  readonly detail = { n: 1 };
}

class Members extends RpcTarget {
  count(): number {
    return 7;
  }
}

export class Room extends RpcTarget {
  readonly #name: string;
  readonly #disposed: () => void;

  constructor(name: string, disposed: () => void = () => {}) {
    super();
    this.#name = name;
    this.#disposed = disposed;
  }

  get name(): string {
    return this.#name;
  }

  get parts(): { first: Room } {
    return { first: new Room("first") };
  }

  say(text: string): string {
    return `${this.#name}: ${text}`;
  }

  greet(whom: string): string {
    return `${this.#name} greets ${whom}`;
  }

  members(): Members {
    return new Members();
  }

  [Symbol.dispose](): void {
    this.#disposed();
  }
}

async function sizeOf(stream: ReadableStream<Uint8Array>): Promise<number> {
  let size = 0;
  for await (const chunk of stream) size += chunk.length;
  return size;
}

type Listener = ((text: string) => PromiseLike<unknown>) &
  Disposable & { dup(): Listener; onRpcBroken(listener: (error: RpcError) => void): Disposable };

export class Lobby extends RpcTarget {
  /** Names of rooms, and of what else had a disposer, that were disposed. */
  readonly #disposed: string[] = [];
  #made = 0;
  #listener: Listener | null = null;
  #stream: ReadableStream<Uint8Array> | null = null;
  #taken = 0;
  readonly #signals: AbortSignal[] = [];
  #waiting = 0;
  #read = 0;
  #reading = Promise.resolve();
  #go = (): void => {};
  #open = Promise.resolve();
  #opens = (): void => {};

  /** For the tests: own properties cannot be reached from afar. */
  readonly seen = {
    disposed: this.#disposed,
    listener: (): Listener => this.#listener!,
    dropListener: (): void => {
      this.#listener?.[Symbol.dispose]();
      this.#listener = null;
    },
    stream: (): ReadableStream<Uint8Array> => this.#stream!,
    made: (): number => this.#made,
    /** Whether sinks take only their first chunk until this is said again. */
    slow: (slow: boolean): void => {
      this.#taken = 0;
      if (slow) this.#open = new Promise((resolve) => (this.#opens = resolve));
      else this.#opens();
    },
    taken: (): number => this.#taken,
    waiting: (): number => this.#waiting,
    go: (): void => this.#go(),
    /** What lets the one go on that waits last. */
    going: (): (() => void) => this.#go,
    read: (): number => this.#read,
    reading: (): Promise<void> => this.#reading,
  };

  get title(): string {
    return "the lobby";
  }

  add(a: number, b: number): number {
    return a + b;
  }

  nothing(): void {}

  /** A stub is given back, so it is kept beyond the call that lent it. */
  echo(value: unknown): unknown {
    return typeof value === "function" ? (value as unknown as Listener).dup() : value;
  }

  room(name: string): Room {
    return new Room(name, () => this.#disposed.push(name));
  }

  /** A stub, as of an object that is elsewhere. */
  stub(): RpcStub<Room> {
    return new RpcStub(this.room("of a stub"));
  }

  numbers(): number[] {
    return [1, 2, 3];
  }

  parts(): { room: Room } & Disposable {
    return { room: this.room("part"), [Symbol.dispose]: () => this.#disposed.push("parts") };
  }

  async visit(guest: RpcStub<Guest>, twice: (n: number) => Promise<number>): Promise<unknown[]> {
    using friend = guest.friend("Bo");
    return [await guest.name, await friend.greet("you"), await twice(21)];
  }

  fails(kind: string): never {
    switch (kind) {
      case "own":
        throw new Refused("not you");
      case "type":
        throw new TypeError("of type");
      case "cause":
        throw new Error("outer", { cause: new RangeError("inner") });
      case "abort":
        throw new DOMException("dom", "AbortError");
      case "overloaded":
        throw new RpcError("overloaded", "queue-full", "too many");
      case "disconnected":
        throw new RpcError("disconnected", "connection-lost", "gone");
      default:
        // oxlint-disable-next-line no-throw-literal -- it is allowed, so it happens
        throw { no: "error" };
    }
  }

  stream(size: number, chunk: number): ReadableStream<Uint8Array> {
    this.#made = 0;
    return new ReadableStream({
      type: "bytes",
      pull: (controller) => {
        const part = Math.min(chunk, size - this.#made);
        this.#made += part;
        if (part > 0) controller.enqueue(new Uint8Array(part).fill(7));
        if (this.#made === size) controller.close();
      },
    });
  }

  /** Ends when the test says so. */
  async wait(): Promise<string> {
    this.#waiting++;
    await new Promise<void>((resolve) => (this.#go = resolve));
    return "went on";
  }

  made(): number {
    return this.#made;
  }

  brokenStream(): ReadableStream<Uint8Array> {
    let sent = false;
    return new ReadableStream({
      pull(controller) {
        if (sent) controller.error(new TypeError("broke off"));
        else controller.enqueue(new Uint8Array(10));
        sent = true;
      },
    });
  }

  async size(stream: ReadableStream<Uint8Array>): Promise<number> {
    return await sizeOf(stream);
  }

  /** Reads it slowly. */
  async readAll(stream: ReadableStream<Uint8Array>): Promise<void> {
    const read = async (): Promise<void> => {
      for await (const chunk of stream) {
        this.#read += chunk.length;
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
    };
    this.#reading = read();
    await this.#reading;
  }

  keepStream(stream: ReadableStream<Uint8Array>): void {
    this.#stream = stream;
  }

  sink(): { writable: WritableStream<Uint8Array>; size: () => number } {
    let size = 0;
    const writable = new WritableStream<Uint8Array>({
      write: async (chunk) => {
        this.#taken++;
        size += chunk.length;
        await this.#open;
      },
    });
    return { writable, size: () => size };
  }

  signal(): { signal: AbortSignal; fire: () => void } {
    const controller = new AbortController();
    // It is never garbage.
    this.#signals.push(controller.signal);
    return { signal: controller.signal, fire: () => controller.abort(new TypeError("theirs")) };
  }

  async writeInto(writable: WritableStream<Uint8Array>, chunks: number): Promise<void> {
    const writer = writable.getWriter();
    for (let i = 0; i < chunks; i++) await writer.write(new Uint8Array(1000).fill(i));
    await writer.close();
  }

  async aborted(signal: AbortSignal): Promise<unknown> {
    if (!signal.aborted)
      await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
    return signal.reason;
  }

  async answer(request: Request): Promise<Response> {
    const { pathname, search } = new URL(request.url);
    return new Response(`${request.method} ${pathname}${search} ${await request.text()}`, {
      status: 201,
      headers: { "x-answer": request.headers.get("x-ask") ?? "" },
    });
  }

  subscribe(listener: Listener): void {
    this.seen.dropListener();
    this.#listener = listener.dup();
  }

  async fetch(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    if (pathname === "/socket") {
      const { 0: client, 1: server } = new WebSocketPair();
      server.accept();
      server.addEventListener("message", ({ data }) =>
        server.send(typeof data === "string" ? `got ${data}` : (data as ArrayBuffer)),
      );
      return new HttpResponse(null, { status: 101, webSocket: client });
    }
    if (pathname === "/wait") return new Response(await this.wait());
    if (pathname === "/fails") throw new TypeError("no such page in /home/secret.ts");
    if (pathname === "/echo") return new Response(request.body, { headers: { "x-kind": "echo" } });
    return new Response(`hello from ${request.url}`);
  }
}
