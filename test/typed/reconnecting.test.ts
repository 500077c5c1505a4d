// A generated client that outlives its connections: what holds of stubs on a reference that reconnects holds of it, too.

import { afterEach, beforeEach, expect, it } from "vitest";
import { memoryPair } from "../../src/transport/memory.js";
import { TestVats } from "../../src/testing.js";
import { type Reconnecting, reconnecting } from "../../src/vat/reconnecting.js";
import { Session } from "../../src/vat/session.js";
import { RpcError, serve, whenResolved, whenStreamed } from "../../src/typed.js";
import { expectNoResidue, resources } from "../support/residue.js";
import { Census, CounterServer, settle } from "./kit.js";
import * as f from "./schemas/features.capnp.js";

let before: Map<string, number>;
let census: Census;
let time: TestVats;
let link: Reconnecting;
let near: Session[];
let far: Session[];
/** Which connection each call arrived on, and what it was. */
let log: string[];
/** What the next dials fail with. */
let failing: RpcError[];

/** What is served on the connection `number`. */
function server(number: number): f.Everything {
  return serve(f.Everything, {
    next({ by }: f.Counter_next$Params) {
      log.push(`${number} next ${by}`);
      return { value: 100 * number + by };
    },
    makeCounter({ start }: f.Everything_makeCounter$Params) {
      log.push(`${number} makeCounter`);
      return { counter: new CounterServer(start, census) };
    },
    write({ chunk }: f.Everything_write$Params) {
      log.push(`${number} write ${chunk.length}`);
    },
    callback: async ({ target, times }: f.Everything_callback$Params) => {
      log.push(`${number} callback`);
      const { value } = await target!.next({ by: times });
      return { sum: value };
    },
    class(_params: unknown, { signal }: { signal: AbortSignal }): Promise<never> {
      log.push(`${number} class`);
      return new Promise((_, reject) => {
        signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
      });
    },
  } as unknown as f.Everything.Server);
}

beforeEach(() => {
  before = resources();
  census = new Census();
  time = new TestVats();
  near = [];
  far = [];
  log = [];
  failing = [];
  const dial = (): Session => {
    const error = failing.shift();
    if (error !== undefined) throw error;
    const [a, b] = memoryPair();
    const number = far.length + 1;
    far.push(new Session(b, { bootstrap: server(number) }));
    near.push(new Session(a));
    return near.at(-1)!;
  };
  link = reconnecting(dial, { clock: time, random: () => 0.5, maxAttempts: 2 });
});

afterEach(async () => {
  await link.close();
  await settle();
  for (const session of [...near, ...far]) {
    await session.closed;
    session.connection.check();
    expect(session.connection.idle, session.connection.dump()).toBe(true);
  }
  await settle();
  expect(census.alive).toBe(0);
  expect(time.pendingTimers).toBe(0);
  await expectNoResidue(before);
});

/** The newest connection is lost, without a word. */
function cut(): void {
  near.at(-1)!.transport.close(new RpcError("disconnected", "connection-lost", "cut"));
}

/** Lets what is under way go on, and the pauses between attempts pass. */
async function pass(): Promise<void> {
  await settle();
  time.advance(10_000);
  await settle();
}

async function failure(promise: PromiseLike<unknown>): Promise<RpcError> {
  return promise.then(
    () => expect.fail("it did not fail"),
    (error: unknown) => error as RpcError,
  );
}

it("C-REC-01: calls under way fail and are not made again; the next goes to a new connection", async () => {
  using client = link.bootstrap(f.Everything);
  expect((await client.next({ by: 1 })).value).toBe(101);
  const underWay = failure(client.class());
  await settle();
  cut();
  expect(await underWay).toMatchObject({ type: "disconnected", delivery: "unknown" });
  const next = client.next({ by: 2 });
  await pass();
  expect((await next).value).toBe(202);
  expect(log).toEqual(["1 next 1", "1 class", "2 next 2"]);
});

it("C-REC-07: what was got through a connection breaks with it and stays broken, dups and pipelines too", async () => {
  using client = link.bootstrap(f.Everything);
  using made = client.makeCounter({ start: 5 });
  const pipelined = made.counter;
  using counter = (await made).counter!;
  expect((await counter.next({ by: 1 })).value).toBe(6);
  using dup = counter.dup();
  cut();
  await pass();
  expect((await client.next({ by: 1 })).value).toBe(201);
  for (const old of [counter, dup, pipelined])
    for (let i = 0; i < 2; i++)
      expect(await failure(old.next({ by: 1 }))).toMatchObject({ type: "disconnected" });
  await whenResolved(client);
  expect(await failure(whenResolved(counter))).toMatchObject({ type: "disconnected" });
  // Of the connection of now it can be had anew.
  using again = client.makeCounter({ start: 50 });
  using fresh = (await again).counter!;
  expect((await fresh.next({ by: 1 })).value).toBe(51);
});

it("C-REC-04: calls that wait go out in order, once, with what they hold; or fail when attempts end", async () => {
  using client = link.bootstrap(f.Everything);
  await client.next({ by: 0 });
  log.length = 0;
  cut();
  await settle();
  using mine = serve(f.Counter, new CounterServer(1000, census));
  const waiting = [
    client.next({ by: 1 }).then(({ value }) => value),
    client.callback({ target: mine, times: 7 }).then(({ sum }) => sum),
    client.next({ by: 3 }).then(({ value }) => value),
  ];
  using chained = client.makeCounter({ start: 8 });
  const last = chained.counter.next({ by: 1 });
  await pass();
  expect(await Promise.all(waiting)).toEqual([201, 1007, 203]);
  expect((await last).value).toBe(9);
  expect(log).toEqual(["2 next 1", "2 callback", "2 next 3", "2 makeCounter"]);

  failing.push(
    ...[1, 2].map((n) => new RpcError("disconnected", "connect-failed", `nobody answers ${n}`)),
  );
  cut();
  await settle();
  const refused = failure(client.next({ by: 4 }));
  await pass();
  await pass();
  expect(await refused).toMatchObject({ message: "nobody answers 2", delivery: "not-sent" });
  const anew = client.next({ by: 5 });
  await pass();
  expect((await anew).value).toBe(305);
});

it("a call given up while it waits was not sent, and whoever gave it up is told so", async () => {
  using client = link.bootstrap(f.Everything);
  failing.push(new RpcError("disconnected", "connect-failed", "not yet"));
  const controller = new AbortController();
  await client.next({ by: 1 });
  cut();
  await settle();
  const waiting = failure(client.next({ by: 2 }, { signal: controller.signal }));
  await settle();
  controller.abort();
  expect(await waiting).toMatchObject({ code: "call-canceled", delivery: "not-sent" });
  await pass();
  expect(log).toEqual(["1 next 1"]);
});

it("C-REC-06: never shows what is behind it: a peer that is given it goes on through it", async () => {
  using client = link.bootstrap(f.Everything);
  using counter = client.dup().castAs(f.Counter);
  expect((await client.callback({ target: counter, times: 3 })).sum).toBe(103);
  cut();
  await pass();
  expect((await client.callback({ target: counter, times: 4 })).sum).toBe(204);
  expect((await counter.next({ by: 5 })).value).toBe(205);
});

it("streams fail with their connection, and begin anew on the next", async () => {
  using client = link.bootstrap(f.Everything);
  await client.write({ chunk: new Uint8Array(3) });
  await whenStreamed(client);
  cut();
  await pass();
  await client.write({ chunk: new Uint8Array(4) });
  await whenStreamed(client);
  expect(log).toEqual(["1 write 3", "2 write 4"]);
});

it("breaks in the end, with the link", async () => {
  using client = link.bootstrap(f.Everything);
  await client.next({ by: 1 });
  await link.close();
  expect(await failure(client.next({ by: 1 }))).toMatchObject({
    type: "disconnected",
    code: "connection-closed",
    delivery: "not-sent",
  });
  using late = link.bootstrap(f.Everything);
  expect(await failure(late.next({ by: 1 }))).toMatchObject({ code: "connection-closed" });
});
