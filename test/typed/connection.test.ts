// Typed clients and servers across a connection: what the tests over local hooks show holds on the wire too, and nothing
// is left in the tables of either side.

import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { memoryPair } from "../../src/transport/memory.js";
import { Session } from "../../src/vat/session.js";
import {
  any,
  type Client,
  type InterfaceType,
  RpcError,
  serve,
  type ServerHooks,
  type ServerOf,
  Text,
  whenStreamed,
} from "../../src/typed.js";
import { Census, CounterServer, settle } from "./kit.js";
import * as f from "./schemas/features.capnp.js";

describe("across a connection", () => {
  let near: Session;
  let far: Session;
  let census: Census;

  beforeEach(() => {
    census = new Census();
  });

  afterEach(async () => {
    await settle();
    for (const { connection } of [near, far]) {
      connection.check();
      expect(connection.idle, connection.dump()).toBe(true);
    }
    await Promise.all([near.close(), far.close()]);
    expect(census.alive).toBe(0);
  });

  function open<C extends Client>(type: InterfaceType<C>, server: Partial<ServerOf<C>>): C {
    const [a, b] = memoryPair();
    far = new Session(b, { bootstrap: serve(type, server as ServerOf<C> & ServerHooks) });
    near = new Session(a);
    return near.bootstrap(type);
  }

  it("C-PIP-01: a chain of calls goes out at once", async () => {
    using everything = open(f.Everything, {
      makeCounter: ({ start }) => ({
        inner: { deeper: { counter: new CounterServer(start, census) } },
      }),
    });
    using made = everything.makeCounter({ start: 5 });
    const before = near.connection.stats().messagesIn;
    const { value } = await made.inner.deeper.counter.next({ by: 2 });
    expect(value).toBe(7);
    expect(near.connection.stats().messagesIn - before).toBeLessThanOrEqual(4);
  });

  it("every kind of value goes there and back", async () => {
    using everything = open(f.Everything, {
      shapes: ({ shape }) => ({ shape }),
      inPlace: ({ x, y, label }) => ({ x: y, y: x, label: `${label}!` }),
    });
    const shape: f.Shape.Init = {
      name: "n",
      square: { side: 2, filled: true, inner: { text: "é".repeat(3000) } },
      style: { color: f.Color.green, width: 3 },
      state: { closed: 9 },
    };
    const { shape: back } = await everything.shapes({ shape });
    expect(back.toObject()).toEqual(shape);
    const bytes = Uint8Array.from({ length: 50_000 }, (_, i) => i & 255);
    const { shape: large } = await everything.shapes({ shape: { bytes } });
    expect(Buffer.compare(large.bytes, bytes)).toBe(0);
    expect((await everything.inPlace({ x: 1, y: 2, label: "l" })).toObject()).toEqual({
      x: 2,
      y: 1,
      label: "l!",
    });
  });

  it("capabilities of either side are called by the other, and come home as themselves", async () => {
    using everything = open(f.Everything, {
      async callback({ target, times }) {
        let sum = 0;
        for (let i = 0; i < times; i++) sum += (await target.next({ by: 2 })).value;
        return { sum };
      },
      anything: ({ it }) => ({ it }),
    });
    const { sum } = await everything.callback({ target: new CounterServer(0, census), times: 3 });
    expect(sum).toBe(12);
    using counter = serve(f.Counter, new CounterServer(40, census));
    using results = await everything.anything({
      it: { anyCap: counter, any: any(f.Pair.of(f.Counter, Text), { first: counter }) },
    });
    expect(results.it.anyCap._hook!.resolved()).toBe(counter._hook);
    const pair = results.it.any.as(f.Pair.of(f.Counter, Text));
    expect((await pair.first.next()).value).toBe(41);
  });

  it("errors keep their type, cancellation reaches the method", async () => {
    let aborted = 0;
    using everything = open(f.Everything, {
      inPlace: () => {
        throw new RpcError("overloaded", "limit-exceeded", "too much");
      },
      shapes: (_params, { signal }) =>
        new Promise((_, reject) => {
          signal.addEventListener("abort", () => {
            aborted++;
            reject(new Error("gone"));
          });
        }),
    });
    await expect(everything.inPlace()).rejects.toMatchObject({ type: "overloaded" });
    await expect(everything.callback()).rejects.toMatchObject({ type: "unimplemented" });
    const caller = new AbortController();
    const call = everything.shapes({}, { signal: caller.signal });
    setImmediate(() => caller.abort());
    await expect(call).rejects.toMatchObject({ code: "call-canceled" });
    await settle();
    expect(aborted).toBe(1);
  });

  it("C-TAI-01: a tail call of a capability of the caller's", async () => {
    using everything = open(f.Everything, {
      makeCounter: (_params, context) => ({ counter: context.self(f.Everything) }),
      callback: ({ target }, context) => context.tailCall(target).next({ by: 8 }) as never,
    });
    const call = everything.callback({ target: new CounterServer(1, census) });
    expect(((await call) as unknown as { sum: number }).sum).toBe(9);
  });

  it("streams: the data arrives in order and whole, and the window is empty at the end", async () => {
    const got: Uint8Array[] = [];
    using everything = open(f.Everything, {
      write: ({ chunk }) => void got.push(chunk.slice()),
      reset: () => {},
    });
    const sent: Uint8Array[] = [];
    for (let i = 0; i < 200; i++) {
      const chunk = new Uint8Array((i * 331) % 20_000).fill(i);
      sent.push(chunk);
      await everything.write({ chunk });
    }
    await whenStreamed(everything);
    await everything.reset();
    expect(got.length).toBe(200);
    got.forEach((chunk, i) => expect(Buffer.compare(chunk, sent[i]!), `chunk ${i}`).toBe(0));
  });

  it("dropping calls and clients at every stage leaves nothing behind", async () => {
    using everything = open(f.Everything, {
      async makeCounter() {
        await new Promise((resolve) => setImmediate(resolve));
        return {
          counter: new CounterServer(0, census),
          inner: { counter: new CounterServer(0, census) },
        };
      },
    });
    everything.makeCounter()[Symbol.dispose]();
    const pipelined = everything.makeCounter();
    void pipelined.counter.next();
    pipelined[Symbol.dispose]();
    (await everything.makeCounter())[Symbol.dispose]();
    const kept = (await everything.makeCounter()).counter;
    expect((await kept.next()).value).toBe(1);
    const results = await everything.makeCounter();
    using copy = results.inner.counter.dup();
    results[Symbol.dispose]();
    expect((await copy.next()).value).toBe(1);
    kept[Symbol.dispose]();
    // Of the results that `kept` came from, the other capability was never read: the end of the connection frees it.
    await settle();
    expect(census.alive).toBe(2);
    copy[Symbol.dispose]();
    everything[Symbol.dispose]();
    await Promise.all([near.close(), far.close()]);
  });
});
