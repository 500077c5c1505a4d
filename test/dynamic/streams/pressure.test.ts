// Backpressure from end to end: who reads slowly stops who produces, within the window, whatever is in between.

import { afterEach, beforeEach, expect, it } from "vitest";
import { RpcStub, RpcTarget, serve } from "../../../src/cap/dynamic/index.js";
import { connect, listen } from "../../../src/node.js";
import { TestVats } from "../../../src/testing.js";
import type { ConnectionStats } from "../../../src/rpc/audit.js";
import { expectNoResidue, resources } from "../../support/residue.js";
import { Pair } from "../kit.js";
import { Consumer, Producer } from "./kit.js";

const CHUNK = 4096;
/** The window at the start, the message that may exceed it, and the one that waits to be taken. */
const MOST = Math.ceil((64 * 1024) / CHUNK) + 3;

const bytes = (): Producer =>
  new Producer(Infinity, undefined, false, () => new Uint8Array(CHUNK).fill(1));
const values = (): Producer =>
  new Producer(Infinity, undefined, false, (n) => ({ n, text: "x".repeat(CHUNK) }));

class Api extends RpcTarget {
  producer = bytes();
  consumer = new Consumer(true);
  reader: ReadableStreamDefaultReader | null = null;
  give(): ReadableStream {
    return this.producer.stream;
  }
  take(stream: ReadableStream): void {
    this.reader = stream.getReader();
  }
  open(): WritableStream {
    return this.consumer.stream;
  }
}

/** In the middle: passes on what it gets, by the call alone, or by a method of its own that has the stream in its hands. */
class Proxy extends RpcTarget {
  readonly #api: RpcStub<Api>;
  constructor(api: RpcStub<Api>) {
    super();
    this.#api = api;
  }
  get direct(): RpcStub<Api> {
    return this.#api;
  }
  async give(): Promise<ReadableStream> {
    return await this.#api.give();
  }
  async take(stream: ReadableStream): Promise<void> {
    await this.#api.take(stream);
  }
  async open(): Promise<WritableStream> {
    return await this.#api.open();
  }
}

class Three {
  readonly net = new TestVats();
  readonly api = new Api();
  readonly proxy: RpcStub<Proxy>;

  constructor() {
    const { net, api } = this;
    const host = net.vat("host", { bootstrap: () => serve(api, { scheduler: host.scheduler }) });
    const middle = net.vat("middle", {
      bootstrap: () =>
        serve(new Proxy(net.bootstrap("middle", "host", RpcStub<Api>)), {
          scheduler: middle.scheduler,
        }),
    });
    net.vat("guest");
    net.link("middle", "host", { delay: 20 });
    net.link("guest", "middle", { delay: 20 });
    this.proxy = net.bootstrap("guest", "middle", RpcStub<Proxy>);
  }

  async rest(): Promise<void> {
    for (let i = 0; i < 60; i++) {
      await new Promise((resolve) => setTimeout(resolve, 0));
      this.net.advance(50);
    }
  }

  /** Bytes of calls that the vat in the middle holds, by who sent them. */
  held(from: string): number {
    return statsOf(this.net, "middle", from).incomingCallBytes;
  }
}

function statsOf(net: TestVats, vat: string, peer: string): ConnectionStats {
  return net.vats.get(vat)!.ends.get(peer)!.connection.stats();
}

/** Writes as fast as it may. */
class Writing {
  asked = 0;
  readonly writer: WritableStreamDefaultWriter;

  constructor(into: WritableStream) {
    this.writer = into.getWriter();
    void this.run();
  }

  private async run(): Promise<void> {
    try {
      for (;;) {
        await this.writer.ready;
        this.asked++;
        await this.writer.write(new Uint8Array(CHUNK));
      }
    } catch {
      // It was aborted.
    }
  }
}

let before: Map<string, number>;
beforeEach(() => {
  before = resources();
});
afterEach(() => expectNoResidue(before));

it.each([
  ["bytes", bytes],
  ["values", values],
])("C-FLO-03: a reader that stops, stops the producer within the window (%s)", async (_, make) => {
  const pair = new Pair(new Api());
  const producer = (pair.target.producer = make());
  const stream = await pair.run(pair.api.give());
  await pair.rest();
  // Nobody has read: nothing is fetched.
  expect(producer.asked).toBe(0);
  const reader = stream.getReader();
  await pair.run(reader.read());
  for (let i = 0; i < 5; i++) await pair.rest();
  const first = producer.asked;
  expect(first).toBeGreaterThan(10);
  expect(first).toBeLessThanOrEqual(MOST);
  const held = statsOf(pair.net, "guest", "host").incomingCallBytes;
  expect(held).toBeLessThanOrEqual(64 * 1024 + 2 * CHUNK);
  // Each chunk that is read lets about one more through.
  for (let i = 0; i < 10; i++) await pair.run(reader.read());
  for (let i = 0; i < 5; i++) await pair.rest();
  expect(producer.asked).toBeGreaterThanOrEqual(first + 9);
  expect(producer.asked).toBeLessThanOrEqual(first + 11);
  await pair.run(reader.cancel());
  await pair.done();
});

it("a consumer that stops, stops the writer within the window", async () => {
  const pair = new Pair(new Api());
  const producer = new Writing(await pair.run(pair.api.open()));
  for (let i = 0; i < 5; i++) await pair.rest();
  expect(pair.target.consumer.chunks).toHaveLength(1);
  expect(producer.asked).toBeGreaterThan(10);
  expect(producer.asked).toBeLessThanOrEqual(MOST);
  const asked = producer.asked;
  for (let i = 0; i < 5; i++) {
    pair.target.consumer.take();
    await pair.rest();
  }
  expect(pair.target.consumer.chunks).toHaveLength(6);
  expect(producer.asked).toBeLessThanOrEqual(asked + 6);
  await pair.run(producer.writer.abort(new RangeError("stop")));
  // Nothing of what waits reaches the consumer, which still hangs in its last chunk.
  await pair.rest();
  pair.target.consumer.take();
  await pair.rest();
  expect(pair.target.consumer.chunks).toHaveLength(6);
  expect(pair.target.consumer.aborted).toMatchObject({ message: "stop" });
  await pair.done();
});

it("stops the producer over a real socket", async () => {
  const api = new Api();
  const listener = await listen("tcp://127.0.0.1:0", { bootstrap: serve(api) });
  const session = await connect(listener.url);
  const remote = session.bootstrap(RpcStub<Api>);
  const reader = (await remote.give()).getReader();
  await reader.read();
  await new Promise((resolve) => setTimeout(resolve, 100));
  const { asked } = api.producer;
  expect(asked).toBeLessThanOrEqual(MOST);
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(api.producer.asked).toBe(asked);
  for (let i = 0; i < 2000; i++) expect((await reader.read()).value).toHaveLength(CHUNK);
  await reader.cancel("enough");
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(api.producer.canceled).toBe("enough");
  await session.close();
  await listener.close();
});

it("C-FLO-15: stops the producer through a vat that passes the calls on", async () => {
  const three = new Three();
  const { net, api, proxy } = three;
  const stream = await net.run(proxy.direct.give());
  const reader = stream.getReader();
  await net.run(reader.read());
  await three.rest();
  expect(api.producer.asked).toBeGreaterThan(10);
  expect(api.producer.asked).toBeLessThanOrEqual(MOST);
  // The writes it holds are those that the guest has not taken: one window, not one a hop.
  expect(three.held("host")).toBeLessThanOrEqual(64 * 1024 + 2 * CHUNK);
  const { asked } = api.producer;
  await three.rest();
  expect(api.producer.asked).toBe(asked);
  await net.run(reader.cancel("enough"));
  await three.rest();
  expect(api.producer.canceled).toBe("enough");
  proxy[Symbol.dispose]();
});

it("a result that was not read is handed on as itself: its chunks do not stop in the middle", async () => {
  const three = new Three();
  const { net, api, proxy } = three;
  const reader = (await net.run(proxy.give())).getReader();
  await net.run(reader.read());
  await three.rest();
  expect(api.producer.asked).toBeLessThanOrEqual(MOST);
  expect(three.held("host")).toBeLessThanOrEqual(64 * 1024 + 2 * CHUNK);
  await net.run(reader.cancel("enough"));
  await three.rest();
  expect(api.producer.canceled).toBe("enough");
  proxy[Symbol.dispose]();
});

it("stops the producer through a method that has the stream in its hands, within a window a hop", async () => {
  const three = new Three();
  const { net, api, proxy } = three;
  const producer = bytes();
  await net.run(proxy.take(producer.stream));
  await net.run(api.reader!.read());
  await three.rest();
  expect(producer.asked).toBeGreaterThan(MOST);
  // The first window had room to double while the second filled.
  expect(producer.asked).toBeLessThanOrEqual(3 * MOST);
  expect(three.held("guest")).toBeLessThanOrEqual(128 * 1024 + 2 * CHUNK);
  const { asked } = producer;
  await three.rest();
  expect(producer.asked).toBe(asked);
  await net.run(api.reader!.cancel("enough"));
  await three.rest();
  expect(producer.canceled).toBe("enough");

  const writing = new Writing(await net.run(proxy.open()));
  await three.rest();
  expect(api.consumer.chunks).toHaveLength(1);
  expect(writing.asked).toBeLessThanOrEqual(3 * MOST);
  await net.run(writing.writer.abort(new RangeError("stop")));
  await three.rest();
  api.consumer.take();
  await three.rest();
  expect(api.consumer.aborted).toBeInstanceOf(RangeError);
  proxy[Symbol.dispose]();
});
