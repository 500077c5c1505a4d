// The rooms: durable objects of a Capstan host, with what was said in storage. `capstan serve` runs this file; Workers of a workerd call
// the entry point Chat, and reach what that gives them.

import { DurableObject, type DurableObjectNamespace, WorkerEntrypoint } from "capstan/workers";

interface Said {
  readonly id: number;
  readonly name: string;
  readonly text: string;
}

type Reader = ReadableStreamDefaultController<Uint8Array>;

/** Who does not read so many messages is let go, and comes back for them. */
const MOST_UNREAD = 1000;

export class Room extends DurableObject {
  readonly #readers = new Set<Reader>();

  /** @returns its number, once it is on the disk. */
  async say(name: string, text: string): Promise<number> {
    check("name", name, 40);
    check("text", text, 2000);
    const id = ((await this.ctx.storage.get<number>("last")) ?? 0) + 1;
    const said: Said = { id, name, text };
    void this.ctx.storage.put({ last: id, [keyOf(id)]: said });
    // As all that leaves the object, this waits for the disk as well.
    for (const reader of this.#readers) this.#send(reader, said);
    return id;
  }

  /** What was said behind number `after`, and what will be, as events that a page reads by EventSource. */
  async messages(after: number): Promise<ReadableStream<Uint8Array>> {
    if (!Number.isSafeInteger(after) || after < 0) throw new RangeError("after is no number");
    const start = keyOf(after + 1);
    const before = await this.ctx.storage.list<Said>({ prefix: "said:", start });
    let reader: Reader;
    return new ReadableStream<Uint8Array>({
      start: (controller) => {
        reader = controller;
        for (const said of before.values()) controller.enqueue(eventOf(said));
        this.#readers.add(reader);
      },
      cancel: () => void this.#readers.delete(reader),
    });
  }

  #send(reader: Reader, said: Said): void {
    reader.enqueue(eventOf(said));
    if (reader.desiredSize! > -MOST_UNREAD) return;
    this.#readers.delete(reader);
    reader.close();
  }
}

/** All that Workers can call. Whom it gives a room can speak there and read there; no room is reached without it. */
export class Chat extends WorkerEntrypoint<{ readonly Room: DurableObjectNamespace<Room> }> {
  room(name: string) {
    check("room", name, 40);
    return this.env.Room.getByName(name);
  }
}

export default {
  fetch: (): Response => new Response("The page is served by a Worker.\n", { status: 404 }),
};

function keyOf(id: number): string {
  return `said:${String(id).padStart(16, "0")}`;
}

function eventOf(said: Said): Uint8Array {
  // JSON has no line that ends within it.
  return new TextEncoder().encode(`id: ${said.id}\ndata: ${JSON.stringify(said)}\n\n`);
}

function check(what: string, text: unknown, most: number): void {
  if (typeof text !== "string" || text.trim() === "" || text.length > most)
    throw new RangeError(`${what} is a text of 1 to ${most} characters`);
}
