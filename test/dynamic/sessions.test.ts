// End to end over real transports: two lines on each side.

import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import {
  connect,
  listen,
  memoryPair,
  type MessagePortLike,
  MessagePortTransport,
  nodeSession,
  RpcStub,
  RpcTarget,
  serve,
  type Session,
  type Transport,
} from "../../src/node.js";
import { expectNoResidue, resources } from "../support/residue.js";
import { Counter, failure } from "./kit.js";

class Api extends RpcTarget {
  hello(name: string): string {
    return `Hello, ${name}`;
  }
  make(): Counter {
    return new Counter();
  }
  async twice(f: RpcStub<(x: number) => number>, x: number): Promise<number> {
    return f(await f(x));
  }
  bytes(size: number): Uint8Array {
    return new Uint8Array(size).fill(7);
  }
  never(): Promise<void> {
    return new Promise(() => {});
  }
}

let before: Map<string, number>;
beforeEach(() => {
  before = resources();
});
afterEach(() => expectNoResidue(before));

async function tryAll(session: Session): Promise<void> {
  const api = session.bootstrap(RpcStub<Api>);
  expect(await api.hello("world")).toBe("Hello, world");
  using counter = api.make();
  expect(await Promise.all([counter.add(1), counter.add(2)])).toEqual([1, 3]);
  expect(await api.twice((x) => x * 3, 2)).toBe(18);
  expect(await api.bytes(100_000)).toHaveLength(100_000);
  const many = await Promise.all(Array.from({ length: 500 }, (_, i) => api.hello(String(i))));
  expect(many[499]).toBe("Hello, 499");
  const broken = new Promise((resolve) => api.onRpcBroken(resolve));
  const waiting = failure(api.never());
  await Promise.resolve();
  await session.close();
  expect(await waiting).toMatchObject({ type: "disconnected" });
  expect(await broken).toMatchObject({ code: "connection-closed" });
  expect(await failure(api.hello("x"))).toMatchObject({
    type: "disconnected",
    delivery: "not-sent",
  });
  api[Symbol.dispose]();
}

describe("an object is served and called", () => {
  let folder = "";
  beforeAll(() => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), "capstan-"));
  });
  afterAll(() => fs.rmSync(folder, { recursive: true }));
  const addresses = {
    tcp: () => "tcp://127.0.0.1:0",
    unix: () => `unix:${path.join(folder, "api.sock")}`,
    ws: () => "ws://127.0.0.1:0/rpc",
  };
  for (const [kind, url] of Object.entries(addresses))
    it(`over ${kind}`, async () => {
      await using listener = await listen(url(), { bootstrap: serve(new Api()) });
      await using session = await connect(listener.url);
      await tryAll(session);
    });

  async function over(one: Transport, two: Transport): Promise<void> {
    const server = nodeSession(one, { bootstrap: serve(new Api()) });
    await tryAll(nodeSession(two, {}));
    await server.closed;
  }

  it("in memory", async () => {
    await over(...memoryPair());
  });

  it("over MessagePort", async () => {
    const { port1, port2 } = new MessageChannel();
    await over(
      new MessagePortTransport("one", port1 as MessagePortLike),
      new MessagePortTransport("two", port2 as MessagePortLike),
    );
  });

  it("both ways at once: each side offers and calls", async () => {
    class Chatty extends RpcTarget {
      async ask(api: RpcStub<Api>): Promise<string> {
        return api.hello("back");
      }
    }
    await using listener = await listen("tcp://127.0.0.1:0", {
      bootstrap: () => serve(new Chatty()),
    });
    await using session = await connect(listener.url);
    using chatty = session.bootstrap(RpcStub<Chatty>);
    expect(await chatty.ask(new Api())).toBe("Hello, back");
  });
});
