// Objects behind a connection: reached through an object that hands stubs out, calling back to those who are far away.

import { afterEach, expect, it } from "vitest";
import { DurableObject, type Namespace } from "../../../src/host.node.js";
import { FaultyStore } from "../../../src/host/storage/faulty-store.js";
import { crash } from "../../../src/host/testing.js";
import { connect, listen, RpcStub, RpcTarget, serve } from "../../../src/node.js";
import { expectNoResidue, resources } from "../../support/residue.js";
import { awaited, settle, testHost } from "../kit.js";

type Listener = (text: string) => unknown;

class Room extends DurableObject<{ ROOMS: Namespace<Room> }> {
  readonly listeners: RpcStub<Listener>[] = [];

  join(listener: Listener): Membership {
    const kept = (listener as unknown as RpcStub<Listener>).dup();
    this.listeners.push(kept);
    kept.onRpcBroken(() => this.leave(kept));
    return new Membership(() => this.leave(kept));
  }
  leave(listener: RpcStub<Listener>): void {
    const at = this.listeners.indexOf(listener);
    if (at >= 0) this.listeners.splice(at, 1);
    listener[Symbol.dispose]();
  }
  async say(text: string): Promise<number> {
    const count = ((await this.ctx.storage.get<number>("count")) ?? 0) + 1;
    void this.ctx.storage.put({ count, [`said:${count}`]: text });
    for (const listener of this.listeners) void listener(`${count} ${text}`);
    return count;
  }
  /** Calls a listener that it does not keep, and does not wait for it. */
  greet(listener: Listener): void {
    void this.ctx.storage.put("greeted", true);
    void listener("hello");
  }
  size(): number {
    return this.listeners.length;
  }
  /** A stream out of storage. */
  async history(): Promise<ReadableStream<string>> {
    const said = await this.ctx.storage.list<string>({ prefix: "said:" });
    return new ReadableStream({
      start(controller) {
        for (const text of said.values()) controller.enqueue(text);
        controller.close();
      },
    });
  }
  /** Reads a stream, with a write for each chunk. */
  async record(lines: ReadableStream<string>): Promise<number> {
    for await (const line of lines) await this.say(line);
    return (await this.ctx.storage.get<number>("count"))!;
  }
  async pass(name: string): Promise<RpcStub<Room>> {
    return this.env.ROOMS.getByName(name);
  }
}

class Membership extends RpcTarget {
  readonly #end: () => void;
  constructor(end: () => void) {
    super();
    this.#end = end;
  }
  [Symbol.dispose](): void {
    this.#end();
  }
}

const cleanUps: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

async function served(store = new FaultyStore()) {
  const before = resources();
  const host = await testHost({ ROOMS: Room }, { store });
  class Api extends RpcTarget {
    room(name: string): RpcStub<Room> {
      return host.env.ROOMS.getByName(name);
    }
  }
  const listener = await listen("tcp://127.0.0.1:0", { bootstrap: serve(new Api()) });
  const open = async () => {
    const session = await connect(listener.url);
    cleanUps.push(() => session.close());
    return { session, api: session.bootstrap(RpcStub<Api>) };
  };
  cleanUps.push(async () => {
    await listener.close();
    await expectNoResidue(before);
  });
  return { host, store, open };
}

it("a room in another process: history, listeners, order, everything pipelined", async () => {
  const { open } = await served();
  const { api } = await open();
  const { api: other } = await open();
  const heard: string[] = [];
  const room = api.room("lobby");
  using _member = await room.join((text) => void heard.push(text));
  expect(await Promise.all([room.say("one"), other.room("lobby").say("two")])).toHaveLength(2);
  expect(await room.say("three")).toBe(3);
  await settle();
  expect(heard).toHaveLength(3);
  expect(heard.map((text) => text.slice(0, 1))).toEqual(["1", "2", "3"]);
  const said: string[] = [];
  for await (const text of await api.room("lobby").history()) said.push(text);
  expect(said).toHaveLength(3);
  expect(await api.room("lobby").pass("annex").pass("attic").say("hello")).toBe(1);
});

it("nothing is heard far away before it is on the disk", async () => {
  const { open, store } = await served();
  const { api } = await open();
  const heard: string[] = [];
  using room = api.room("lobby");
  using _member = await room.join((text) => void heard.push(text));
  store.hold = { flushes: true };
  const said = room.say("one");
  await settle(50);
  expect(heard).toEqual([]);
  store.hold = {};
  store.flush();
  await said;
  await settle();
  expect(heard).toEqual(["1 one"]);
});

it("a call that waits for the disk is made, also when what it is made by was let go of meanwhile", async () => {
  const { open, store } = await served();
  const { api } = await open();
  const heard: string[] = [];
  using room = api.room("lobby");
  await room.size();
  store.hold = { flushes: true };
  const greeted = room.greet((text) => void heard.push(text));
  while (store.pending.unflushed === 0) await settle(1);
  await settle();
  expect(heard).toEqual([]);
  store.hold = {};
  store.flush();
  await greeted;
  await settle();
  expect(heard).toEqual(["hello"]);
});

it("a stream from far away is read, with writes for each chunk", async () => {
  const { open } = await served();
  const { api } = await open();
  const lines = new ReadableStream<string>({
    start(controller) {
      for (const line of ["a", "b", "c"]) controller.enqueue(line);
      controller.close();
    },
  });
  expect(await api.room("lobby").record(lines)).toBe(3);
});

it("a listener whose connection is lost is noticed, and what it held of the object is let go", async () => {
  const { host, open } = await served();
  const { session, api } = await open();
  using _member = await api.room("lobby").join(() => {});
  const here = host.env.ROOMS.getByName("lobby");
  expect(await here.size()).toBe(1);
  await session.close();
  for (let i = 0; i < 100 && (await here.size()) > 0; i++) await settle(5);
  expect(await here.size()).toBe(0);
});

it("a caller far away hears that the object broke, and reaches it again", async () => {
  const { host, open } = await served();
  const { api } = await open();
  const room = await api.room("lobby");
  await room.say("one");
  using member = await room.join(() => {});
  void member;
  using here = host.env.ROOMS.getByName("lobby");
  await here.size();
  crash(here, new Error("a fault"));
  await expect(awaited(room.say("two"))).rejects.toMatchObject({ type: "disconnected" });
  expect(await api.room("lobby").say("two")).toBe(2);
});
