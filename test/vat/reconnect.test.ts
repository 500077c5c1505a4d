// reconnecting: section C-REC.

import { afterEach, beforeEach, expect, it } from "vitest";
import { RpcStub, RpcTarget, serve } from "../../src/cap/dynamic/index.js";
import { RpcError } from "../../src/base/errors.js";
import { processScheduler } from "../../src/cap/scheduler.js";
import { memoryPair } from "../../src/transport/memory.js";
import { reconnecting, type ReconnectOptions } from "../../src/vat/reconnect.js";
import { Session } from "../../src/vat/session.js";
import { expectNoResidue, resources } from "../support/residue.js";

class Counter extends RpcTarget {
  #n = 0;
  add(): number {
    return ++this.#n;
  }
}

class Api extends RpcTarget {
  calls = 0;
  hello(): number {
    return ++this.calls;
  }
  counter(): Counter {
    return new Counter();
  }
  never(): Promise<void> {
    return new Promise(() => {});
  }
  fails(): never {
    throw new RpcError("overloaded", "limit-exceeded", "too much");
  }
  far(): never {
    throw new RpcError("disconnected", "connection-lost", "what is behind was lost");
  }
}

/** A server that can be cut off, and refuse. */
class Place {
  readonly api = new Api();
  readonly servers: Session[] = [];
  readonly clients: Session[] = [];
  refusing = 0;
  dials = 0;

  readonly dial = async (): Promise<Session> => {
    this.dials++;
    await new Promise((resolve) => setTimeout(resolve, 1));
    if (this.refusing-- > 0) throw new Error("nobody is there");
    const [one, two] = memoryPair();
    this.servers.push(new Session(one, { bootstrap: serve(this.api) }));
    const client = new Session(two, {});
    this.clients.push(client);
    return client;
  };

  async cut(): Promise<void> {
    await this.servers.at(-1)!.close(new RpcError("disconnected", "connection-lost", "cut"));
    await this.clients.at(-1)!.closed;
  }

  stub(options: ReconnectOptions<RpcStub<Api>> = {}): RpcStub<Api> {
    return reconnecting(this.dial, RpcStub<Api>, { delay: 1, ...options });
  }

  async over(): Promise<void> {
    for (const session of [...this.clients, ...this.servers]) await session.closed;
  }
}

const fails = async (promise: PromiseLike<unknown>): Promise<RpcError> =>
  promise.then(
    () => expect.fail("it did not fail"),
    (error: unknown) => error as RpcError,
  );

let before: Map<string, number>;
beforeEach(() => {
  before = resources();
});
afterEach(() => expectNoResidue(before));

it("C-REC-01: calls under way fail and are not made again; the next goes to a new connection", async () => {
  const place = new Place();
  const api = place.stub();
  expect(await api.hello()).toBe(1);
  const under = fails(api.never());
  await new Promise((resolve) => setTimeout(resolve, 5));
  await place.cut();
  expect(await under).toMatchObject({ type: "disconnected", delivery: "unknown" });
  expect(place.api.calls).toBe(1);
  expect(await api.hello()).toBe(2);
  expect(place.dials).toBe(2);
  api[Symbol.dispose]();
  await place.over();
});

it("C-REC-02: only what is disconnected makes it connect again, however far away", async () => {
  const place = new Place();
  const api = place.stub();
  expect(await fails(api.fails())).toMatchObject({ type: "overloaded" });
  expect(await fails((api as unknown as { missing(): Promise<void> }).missing())).toMatchObject({
    type: "unimplemented",
  });
  expect(place.dials).toBe(1);
  expect(await fails(api.far())).toMatchObject({ type: "disconnected" });
  expect(await api.hello()).toBe(1);
  expect(place.dials).toBe(2);
  api[Symbol.dispose]();
  await place.over();
});

it("C-REC-03: many calls that fail together make one new connection, and late ones do not end it", async () => {
  const place = new Place();
  const api = place.stub();
  await api.hello();
  const failed = Array.from({ length: 50 }, () => fails(api.never()));
  await new Promise((resolve) => setTimeout(resolve, 5));
  await place.cut();
  const next = Array.from({ length: 50 }, () => api.hello());
  await Promise.all([...failed, ...next]);
  expect(place.dials).toBe(2);
  expect(await api.hello()).toBe(52);
  expect(place.dials).toBe(2);
  api[Symbol.dispose]();
  await place.over();
});

it("C-REC-03: what else was under way on a connection that is given up ends it only once", async () => {
  const errors: RpcError[] = [];
  processScheduler().onError = (error) => errors.push(error);
  const place = new Place();
  const api = place.stub();
  await api.hello();
  const under = [fails(api.never()), fails(api.never()), fails(api.far())];
  await Promise.all(under);
  expect(await api.hello()).toBe(2);
  expect(await api.hello()).toBe(3);
  expect(place.dials).toBe(2);
  api[Symbol.dispose]();
  await place.over();
  processScheduler().onError = () => {};
  expect(errors).toEqual([]);
});

it("C-REC-04: attempts are repeated with a growing pause; when all fail the calls do, and the next begins anew", async () => {
  const place = new Place();
  const errors: string[] = [];
  place.refusing = 2;
  const api = place.stub({ attempts: 3, onError: (error) => errors.push(error.message) });
  expect(await api.hello()).toBe(1);
  expect(errors).toEqual(["nobody is there", "nobody is there"]);
  await place.cut();
  place.refusing = 3;
  expect(await fails(api.hello())).toMatchObject({
    type: "disconnected",
    code: "connect-failed",
    delivery: "not-sent",
  });
  expect(await api.hello()).toBe(2);
  api[Symbol.dispose]();
  await place.over();
});

it("C-REC-05: connects at the first call, or at once when it is eager", async () => {
  const place = new Place();
  const lazy = place.stub();
  const eager = place.stub({ eager: true });
  await new Promise((resolve) => setTimeout(resolve, 10));
  expect(place.dials).toBe(1);
  lazy[Symbol.dispose]();
  eager[Symbol.dispose]();
  await place.over();
});

it("C-REC-06: it is never known to be what it leads to, and never breaks", async () => {
  const place = new Place();
  const api = place.stub();
  let broken = 0;
  api.onRpcBroken(() => broken++);
  await api.hello();
  await place.cut();
  await api.hello();
  expect(broken).toBe(0);
  api[Symbol.dispose]();
  await place.over();
});

it("C-REC-07, C-REC-08: what was got over a connection breaks with it; also when only the pipeline was wanted", async () => {
  const place = new Place();
  const api = place.stub();
  const counter = api.counter();
  expect(await counter.add()).toBe(1);
  await place.cut();
  expect(await fails(counter.add())).toMatchObject({ type: "disconnected" });
  const fresh = api.counter();
  expect(await fresh.add()).toBe(1);
  expect(place.dials).toBe(2);
  counter[Symbol.dispose]();
  fresh[Symbol.dispose]();
  api[Symbol.dispose]();
  await place.over();
});

it("lets users subscribe again on each connection, and tells of what fails there", async () => {
  const place = new Place();
  const seen: number[] = [];
  const errors: string[] = [];
  const api = place.stub({
    onConnect: async (client) => {
      seen.push(await client.hello());
      if (seen.length === 2) throw new Error("mine");
    },
    onError: (error) => errors.push(error.message),
  });
  await api.hello();
  await place.cut();
  await api.hello();
  await new Promise((resolve) => setTimeout(resolve, 5));
  expect(seen).toHaveLength(2);
  expect(errors).toEqual(["mine"]);
  api[Symbol.dispose]();
  await place.over();
});

it("disposed while it connects, it ends what comes, and the calls that waited", async () => {
  const place = new Place();
  const api = place.stub();
  const waiting = fails(api.hello());
  await Promise.resolve();
  await Promise.resolve();
  api[Symbol.dispose]();
  expect(await waiting).toMatchObject({ delivery: "not-sent" });
  await new Promise((resolve) => setTimeout(resolve, 10));
  expect(place.clients[0]!.error).not.toBe(null);
  place.refusing = 1;
  const refused = place.stub({ delay: 60_000 });
  const late = fails(refused.hello());
  await new Promise((resolve) => setTimeout(resolve, 10));
  refused[Symbol.dispose]();
  expect(await late).toMatchObject({ code: "capability-disposed" });
  await new Promise((resolve) => setTimeout(resolve, 10));
  await place.over();
});
