// The real workerd calls through us: objects of other vats and durable objects, by their stubs.

import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { createHost, DurableObject, type Host, MemoryStore } from "../../src/host.node.js";
import {
  connect,
  listen,
  type Listener,
  RpcStub,
  RpcTarget,
  serve,
  type Session,
} from "../../src/node.js";
import { missingWorkerd } from "../runtimes/workerd.js";
import { expectNoResidue, resources } from "../support/residue.js";
import { SLOWLY } from "./bridge/start.js";
import { Visited } from "./serve/kit.js";
import { Lobby, Room } from "./serve/lobby.js";

const disposed: string[] = [];
const note = (name: string) => (): void => void disposed.push(name);

let open!: () => void;
const opened = new Promise<void>((resolve) => (open = resolve));

type Callback = ((text: string) => PromiseLike<unknown>) & Disposable & { dup(): Callback };

/** In another vat. */
class Backend extends RpcTarget {
  #listener: Callback | null = null;

  add(a: number, b: number): number {
    return a + b;
  }
  room(name: string): Room {
    return new Room(name, note(name));
  }
  parts(): { n: number; room: Room } {
    return { n: 1, room: new Room("inner", note("inner")) };
  }
  async slow(): Promise<Room> {
    await opened;
    return new Room("slow", note("slow"));
  }
  stream(size: number): ReadableStream<Uint8Array> {
    return new Lobby().stream(size, 1000);
  }
  async size(stream: ReadableStream<Uint8Array>): Promise<number> {
    let size = 0;
    for await (const chunk of stream) size += chunk.length;
    return size;
  }
  fails(): never {
    throw new TypeError("of the backend");
  }
  subscribe(listener: Callback): void {
    this.#listener = listener.dup();
  }
  async publish(text: string): Promise<unknown> {
    const listener = this.#listener!;
    this.#listener = null;
    const answer = await listener(text);
    listener[Symbol.dispose]();
    return answer;
  }
}

class Thing extends DurableObject {
  async add(n: number): Promise<number> {
    const sum = ((await this.ctx.storage.get<number>("sum")) ?? 0) + n;
    await this.ctx.storage.put("sum", sum);
    return sum;
  }
  room(name: string): Room {
    return new Room(name);
  }
  fails(): never {
    throw new RangeError("of the object");
  }
  async tell(listener: (text: string) => PromiseLike<unknown>): Promise<unknown> {
    return await listener("told by an object");
  }
}

interface Env {
  THINGS: { get(id: unknown): unknown; idFromName(name: string): unknown };
}

class Entry extends RpcTarget {
  readonly #backend: RpcStub<Backend>;
  readonly #env: Env;

  constructor(backend: RpcStub<Backend>, env: Env) {
    super();
    this.#backend = backend;
    this.#env = env;
  }

  get backend(): RpcStub<Backend> {
    return this.#backend;
  }
  thing(name: string): unknown {
    return this.#env.THINGS.get(this.#env.THINGS.idFromName(name));
  }
  async relayParts(): Promise<unknown> {
    return await this.#backend.parts();
  }
  async relayStream(size: number): Promise<unknown> {
    return await this.#backend.stream(size);
  }
  fetch(): Response {
    return new Response("an entry");
  }
}

// skip: where npm has no workerd; missingWorkerd prints the reason
describe.skipIf(missingWorkerd() !== null)("stubs that workerd is given", () => {
  const before = resources();
  let host: Host;
  let elsewhere: Listener;
  let session: Session;
  let backend: RpcStub<Backend>;
  let visited: Visited;

  beforeAll(async () => {
    host = await createHost({ store: new MemoryStore(), classes: { THINGS: Thing } });
    elsewhere = await listen("tcp://:0", { bootstrap: () => serve(new Backend()) });
    session = await connect(elsewhere.url);
    backend = session.bootstrap(RpcStub<Backend>);
    const entry = new Entry(backend, host.env as unknown as Env);
    visited = await Visited.begin({ entrypoint: entry });
  });
  afterEach(async () => {
    await visited.quiet();
    const { connection } = session;
    await expect
      .poll(() => connection.stats(), SLOWLY)
      .toMatchObject({ questions: 0, answers: 0, imports: 1, exports: 0 });
  });
  afterAll(async () => {
    await visited.end();
    backend[Symbol.dispose]();
    await session.close();
    await elsewhere.close();
    await host.close();
    await expectNoResidue(before);
  });

  const bridge = (what: string): PromiseLike<unknown> => visited.caller.bridge(what);

  it("are objects as any other, and are let go of", async () => {
    disposed.length = 0;
    expect(await bridge("stub")).toEqual(["a: hi", 7, "a"]);
    await expect.poll(() => disposed, SLOWLY).toEqual(["a"]);
    expect(await bridge("parts")).toEqual([1, "inner: in parts", "inner: piped"]);
    await expect.poll(() => disposed, SLOWLY).toEqual(["a", "inner", "inner"]);
    expect(await visited.caller.call(["backend", "add"], 1, 2)).toBe(3);
  });

  it("are called through before their own vat has answered, and in order after", async () => {
    expect(await bridge("pipelined")).toEqual(["b: x", "first greets y", 7]);
    await visited.quiet();
    const answered = bridge("slow").then((answers) => answers);
    // The call that is not answered, and two that were made on what it will give.
    await expect.poll(() => session.connection.stats().questions, SLOWLY).toBe(3);
    open();
    expect(await answered).toEqual(["slow: 1", "slow: 2", "slow: 3"]);
  });

  it("bring streams of theirs, and take the Worker's", async () => {
    expect(await bridge("stream")).toEqual([100_000, 100_000]);
    expect(await bridge("relays")).toEqual(["inner: p", 100_000]);
  });

  it("fail as they do", async () => {
    const { caller } = visited;
    expect(await caller.fails(["backend", "fails"])).toMatchObject({ message: "of the backend" });
    expect(await bridge("thingFails")).toMatchObject([
      { class: "RangeError", message: "of the object" },
      { code: "method-unimplemented" },
    ]);
  });

  it("are of durable objects", async () => {
    expect(await bridge("thing")).toEqual([1, 3, "z: w", "heard: told by an object"]);
  });

  it("take functions of the Worker on to their own vat", async () => {
    expect(await bridge("subscribe")).toEqual("heard: published");
  });
});
