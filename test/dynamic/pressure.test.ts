// Every queue of the dynamic layer has a bound: the soft one with something to await, the hard one with a name.

import { afterEach, describe, expect, it } from "vitest";
import { limitsWith, memoryPair, Session } from "../../src/index.js";
import { RpcStub, RpcTarget, serve, whenReady } from "../../src/cap/dynamic/index.js";
import { Counter, failure, Pair } from "./kit.js";

class Slow extends RpcTarget {
  called = 0;
  private readonly waiting: (() => void)[] = [];
  wait(): Promise<number> {
    const n = ++this.called;
    return new Promise((resolve) => this.waiting.push(() => resolve(n)));
  }
  async make(): Promise<Counter> {
    await this.wait();
    return new Counter();
  }
  echo(value: unknown): unknown {
    return value;
  }
  /** Lets the oldest calls end. */
  open(count = 1_000_000): void {
    for (const resolve of this.waiting.splice(0, count)) resolve();
  }
}

const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 0));

/** Whether `promise` is settled by now. */
async function isReady(promise: Promise<unknown>): Promise<boolean> {
  let ready = false;
  void promise.then(() => (ready = true));
  await turn();
  return ready;
}

let slow: Slow;
afterEach(() => slow.open());

/** The same, of a stub in this process and of one over a session. */
function both(
  name: string,
  limits: Parameters<typeof limitsWith>[0],
  run: (api: RpcStub<Slow>, rest: () => Promise<void>) => Promise<void>,
): void {
  it(`${name}: in this process`, async () => {
    slow = new Slow();
    const api = new RpcStub(slow, { limits: limitsWith(limits) });
    const rest = async (): Promise<void> => {
      for (let i = 0; i < 5; i++) await turn();
    };
    await run(api, rest);
    api[Symbol.dispose]();
    await rest();
  });
  it(`${name}: over a session`, async () => {
    slow = new Slow();
    const pair = new Pair(slow, { guest: { limits: limitsWith(limits) } });
    await run(pair.api, () => pair.rest());
    await pair.done();
  });
}

describe("the hard limit of calls under way", () => {
  both(
    "C-FLO-20: fails the next as overloaded, by its name",
    { callsInFlightHard: 3 },
    async (api, rest) => {
      const calls = [api.wait(), api.wait(), api.wait()].map((call) => call.then((n) => n));
      // Before the turn ends, and after: one count for both queues.
      const early = failure(api.wait());
      await rest();
      const late = failure(api.wait());
      for (const refused of [await early, await late])
        expect(refused).toMatchObject({
          type: "overloaded",
          code: "limit-exceeded",
          delivery: "not-sent",
          method: "wait",
          message: expect.stringMatching(/limit callsInFlightHard: 3/) as string,
        });
      await rest();
      expect(slow.called).toBe(3);
      slow.open();
      await rest();
      expect(await Promise.all(calls)).toEqual([1, 2, 3]);
      const again = api.wait().then((n) => n);
      await rest();
      slow.open();
      await rest();
      expect(await again).toBe(4);
    },
  );

  both(
    "C-FLO-21: counts down after errors and cancellations",
    { callsInFlightHard: 2 },
    async (api, rest) => {
      for (let i = 0; i < 5; i++) {
        const canceled = api.wait();
        const unsent = api.wait();
        const failed = [failure(canceled), failure(unsent)];
        unsent[Symbol.dispose]();
        await rest();
        canceled[Symbol.dispose]();
        for (const error of await Promise.all(failed))
          expect(error).toMatchObject({ code: "call-canceled" });
        const missing = failure((api as unknown as { nothing(): Promise<void> }).nothing());
        await rest();
        expect(await missing).toMatchObject({ type: "unimplemented" });
      }
    },
  );
});

describe("calls parked on a promise", () => {
  both(
    "C-LOC-04, C-HOS-08: are bounded, and those that wait go on in order",
    { queuedCalls: 2 },
    async (api, rest) => {
      const made = api.make();
      const value = made.then((counter) => counter);
      await rest();
      const adds = [made.add(1), made.add(2)].map((call) => call.then((n) => n));
      await rest();
      // The value was wanted and nothing to call, so they wait here until it comes.
      const third = failure(made.add(3));
      await rest();
      slow.open();
      await rest();
      expect(await Promise.all(adds)).toEqual([1, 3]);
      expect(await third).toMatchObject({
        type: "overloaded",
        code: "queue-full",
        delivery: "not-sent",
        message: expect.stringMatching(/limit queuedCalls: 2/) as string,
      });
      (await value)[Symbol.dispose]();
      await rest();
    },
  );
});

describe("whenReady", () => {
  both(
    "C-FLO-19: waits for fewer calls than the soft limit",
    { callsInFlight: 2 },
    async (api, rest) => {
      await whenReady(api);
      const calls = [api.wait(), api.wait(), api.wait()].map((call) => call.then((n) => n));
      const ready = whenReady(api);
      await rest();
      expect(await isReady(ready)).toBe(false);
      expect(slow.called).toBe(3);
      slow.open(1);
      await rest();
      expect(await isReady(ready)).toBe(false);
      slow.open(1);
      await rest();
      expect(await isReady(ready)).toBe(true);
      slow.open();
      await rest();
      await Promise.all(calls);
    },
  );

  both(
    "keeps a loop under the limit",
    { callsInFlight: 4, callsInFlightHard: 5 },
    async (api, rest) => {
      const results: Promise<unknown>[] = [];
      let done = false;
      const loop = (async () => {
        for (let i = 0; i < 40; i++) {
          await whenReady(api);
          results.push(api.wait().then((n) => n));
        }
        done = true;
      })();
      while (!done) {
        await rest();
        slow.open();
      }
      await loop;
      slow.open();
      await rest();
      slow.open();
      await rest();
      expect((await Promise.allSettled(results)).map(({ status }) => status)).toEqual(
        Array.from({ length: 40 }, () => "fulfilled"),
      );
    },
  );

  both(
    "lets no more through than there is room for, of many who ask in one turn",
    { callsInFlight: 4, callsInFlightHard: 5 },
    async (api, rest) => {
      const each = async (): Promise<number> => {
        await whenReady(api);
        return api.wait();
      };
      const results = Array.from({ length: 40 }, each);
      for (let done = 0; done < 40; done += 4) {
        await rest();
        expect(slow.called).toBe(done + 4);
        slow.open();
      }
      await rest();
      expect((await Promise.all(results)).sort((a, b) => a - b)).toEqual(
        Array.from({ length: 40 }, (_, i) => i + 1),
      );
    },
  );

  both(
    "waits for nobody who was let through and makes no call",
    { callsInFlight: 4 },
    async (api, rest) => {
      await Promise.all(Array.from({ length: 40 }, () => whenReady(api)));
      const call = api.wait().then((n) => n);
      await rest();
      await Promise.all(Array.from({ length: 40 }, () => whenReady(api)));
      expect(await isReady(call)).toBe(false);
      slow.open();
      await rest();
      expect(await call).toBe(1);
    },
  );

  both("takes promises and properties, and refuses all else", {}, async (api, rest) => {
    const call = api.wait();
    await whenReady(call);
    await whenReady(api.wait);
    expect(await failure(whenReady({}))).toMatchObject({ code: "invalid-argument" });
    slow.open();
    await rest();
    call[Symbol.dispose]();
    await rest();
  });

  it("ends when the connection does", async () => {
    slow = new Slow();
    const pair = new Pair(slow, { guest: { limits: limitsWith({ callsInFlight: 1 }) } });
    const failed = [failure(pair.api.wait()), failure(pair.api.wait())];
    const ready = [whenReady(pair.api), whenReady(pair.api)];
    await pair.rest();
    expect(await isReady(Promise.race(ready))).toBe(false);
    pair.net.cut("guest", "host");
    for (const error of await Promise.all(failed))
      expect(error).toMatchObject({ type: "disconnected" });
    await Promise.all(ready);
    pair.api[Symbol.dispose]();
  });
});

describe("over a session", () => {
  it("C-FLO-20: the limit of questions refuses calls of stubs, by its name", async () => {
    slow = new Slow();
    const pair = new Pair(slow, { guest: { limits: limitsWith({ questions: 2 }) } });
    const calls = [pair.api.wait(), pair.api.wait()].map((call) => call.then((n) => n));
    const refused = failure(pair.api.wait());
    await pair.rest();
    expect(await refused).toMatchObject({
      type: "overloaded",
      delivery: "not-sent",
      message: expect.stringMatching(/limit questions: 2/) as string,
    });
    await pair.rest();
    slow.open();
    await pair.rest();
    expect(await Promise.all(calls)).toEqual([1, 2]);
    await pair.done();
  });

  it("C-FLO-19: whenReady waits for the bytes that are unsent", async () => {
    slow = new Slow();
    const limits = limitsWith({ outgoingBytes: 100_000 });
    const { client, server, deliver } = stalled(limits);
    const api = client.bootstrap(RpcStub<Slow>);
    expect(await isReady(whenReady(api))).toBe(true);
    const call = api.echo(new Uint8Array(300_000)).then(() => "done");
    const ready = whenReady(api);
    expect(await isReady(ready)).toBe(false);
    deliver();
    expect(await call).toBe("done");
    await ready;
    api[Symbol.dispose]();
    await client.close();
    await server.closed;
  });

  it("C-FLO-19: many who wait for the bytes that are unsent do not all go at once", async () => {
    slow = new Slow();
    const limits = limitsWith({ outgoingBytes: 100_000, callsInFlight: 4 });
    const { client, server, deliver } = stalled(limits);
    const api = client.bootstrap(RpcStub<Slow>);
    expect(await isReady(whenReady(api))).toBe(true);
    const call = api.echo(new Uint8Array(300_000)).then(() => "done");
    let open = 0;
    let most = 0;
    const calls = Array.from({ length: 40 }, async () => {
      await whenReady(api);
      most = Math.max(most, ++open);
      await api.echo(1);
      open--;
    });
    // Those who were let through and make no call are not waited for: nobody is let through now.
    for (let i = 0; i < 20; i++) expect(await isReady(Promise.race(calls))).toBe(false);
    expect(most).toBe(0);
    deliver();
    expect(await call).toBe("done");
    await Promise.all(calls);
    // One more: who was let through counts until its call is written down, and an answer may come between.
    expect(most).toBeLessThanOrEqual(5);
    api[Symbol.dispose]();
    await client.close();
    await server.closed;
  });

  it("C-FLO-20: a peer that never reads is cut off at the hard limit, and calls of stubs say so", async () => {
    slow = new Slow();
    const limits = limitsWith({ outgoingBytes: 100_000, outgoingBytesHard: 1_000_000 });
    const { client, server, deliver } = stalled(limits);
    const api = client.bootstrap(RpcStub<Slow>);
    const broken = new Promise((resolve) => api.onRpcBroken(resolve));
    const errors = Array.from({ length: 8 }, () => failure(api.echo(new Uint8Array(200_000))));
    const ready = whenReady(api);
    for (const error of await Promise.all(errors))
      expect(error.message).toMatch(/limit outgoingBytesHard/);
    expect(await broken).toMatchObject({ message: expect.stringMatching(/outgoingBytesHard/) });
    await ready;
    deliver();
    api[Symbol.dispose]();
    await client.close();
    await server.closed;
  });
});

/** Two sessions whose line stands still until `deliver` is called. */
function stalled(limits: ReturnType<typeof limitsWith>): {
  client: Session;
  server: Session;
  deliver: () => void;
} {
  let held: (() => void)[] | null = [];
  const defer = (run: () => void): void => {
    if (held === null) queueMicrotask(run);
    else held.push(run);
  };
  const [one, two] = memoryPair({ defer, limits });
  const client = new Session(one, { limits, grace: 10 });
  const server = new Session(two, { bootstrap: serve(slow), grace: 10 });
  const deliver = (): void => {
    const all = held ?? [];
    held = null;
    for (const run of all) run();
  };
  return { client, server, deliver };
}
