// A reference whose new calls go to a fresh connection, in a time that the test moves.

import { getEventListeners } from "node:events";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  type DialContext,
  limitsWith,
  LocalHook,
  memoryPair,
  type Reconnecting,
  type ReconnectOptions,
  reconnecting,
  RpcError,
  RpcStub,
  RpcTarget,
  sameObject,
  serve,
  Session,
  targetOf,
  valueCodec,
  ValueTypes,
} from "../../src/index.js";
import { TestVats } from "../../src/testing.js";
import { ONLY_PROMISE_PIPELINE } from "../../src/hook/hook.js";
import { failure } from "../dynamic/kit.js";
import { turn } from "../support/messages.js";
import { request } from "../support/objects.js";
import { ask, object } from "../support/vats.js";
import { expectNoResidue, resources } from "../support/residue.js";

class Room extends RpcTarget {
  readonly number: number;
  constructor(number: number) {
    super();
    this.number = number;
  }
  where(): number {
    return this.number;
  }
}
class Api extends RpcTarget {
  readonly number: number;
  readonly log: unknown[];
  constructor(number: number, log: unknown[]) {
    super();
    this.number = number;
    this.log = log;
  }
  /** Which connection it was called on. */
  where(note?: unknown): number {
    this.log.push(note);
    return this.number;
  }
  room(): Room {
    return new Room(this.number);
  }
  never(): Promise<number> {
    this.log.push("never");
    return new Promise(() => {});
  }
  fail(type: RpcError["type"]): never {
    throw new RpcError(type, "method-failed", `it ${type}`);
  }
  lostRoom(): Room {
    return this.fail("disconnected");
  }
  async call(api: RpcStub<Api>): Promise<number> {
    return api.where();
  }
  echo(stub: RpcStub<Api>): RpcStub<Api> {
    return stub.dup();
  }
}

/** A server that dials are made to, in a time of its own. */
class World {
  readonly time = new TestVats();
  readonly log: unknown[] = [];
  /** Both ends of each connection that was made. */
  readonly near: Session[] = [];
  readonly far: Session[] = [];
  dials = 0;
  /** Under which the server serves. */
  types: ValueTypes | undefined;
  /** What the next dials fail with. */
  readonly failing: unknown[] = [];
  readonly pauses: number[] = [];
  readonly states: string[] = [];
  link!: Reconnecting;
  api!: RpcStub<Api>;

  start(options: ReconnectOptions = {}, dial = this.dial): this {
    this.link = reconnecting(dial, { clock: this.time, random: () => 0.5, ...options });
    this.link.onStateChange((state, cause) =>
      this.states.push(state + (cause === null ? "" : ` ${cause.code}`)),
    );
    this.api = this.link.bootstrap(RpcStub<Api>);
    return this;
  }

  readonly dial = ({ signal }: DialContext): Session => {
    this.dials++;
    this.pauses.push(this.time.now);
    expect(signal.aborted).toBe(false);
    if (this.failing.length > 0) throw this.failing.shift();
    return this.connect();
  };

  connect(): Session {
    const [near, far] = memoryPair();
    const number = this.far.length + 1;
    const { types } = this;
    this.far.push(
      new Session(far, { bootstrap: () => serve(new Api(number, this.log), { types }) }),
    );
    const session = new Session(near);
    this.near.push(session);
    return session;
  }

  /** Lets JavaScript's promises go on, and `ms` of the time that counts. */
  async pass(ms = 0): Promise<void> {
    for (let i = 0; i < 4; i++) await turn();
    this.time.advance(ms);
    for (let i = 0; i < 4; i++) await turn();
  }

  /** The newest connection is lost, without a word. */
  cut(): void {
    this.near.at(-1)!.transport.close(new RpcError("disconnected", "connection-lost", "cut"));
  }

  async done(): Promise<void> {
    this.api[Symbol.dispose]();
    await this.link.close();
    expect(this.link.state).toBe("closed");
    expect(this.time.pendingTimers).toBe(0);
    for (const session of [...this.near, ...this.far]) {
      await session.closed;
      session.connection.check();
      expect(session.connection.idle, session.connection.dump()).toBe(true);
    }
  }
}

const refused = () => new RpcError("disconnected", "connect-failed", "nobody answers");

let before: Map<string, number>;
let world: World;
beforeEach(() => {
  before = resources();
  world = new World();
});
afterEach(async () => {
  await world.done();
  await expectNoResidue(before);
});

describe("a reference that reconnects", () => {
  it("C-REC-01: calls under way fail and are not made again; the next goes to a new connection", async () => {
    const { api, log } = world.start();
    expect(await api.where("first")).toBe(1);
    const never = failure(api.never());
    await world.pass(5000);
    world.cut();
    expect(await never).toMatchObject({
      type: "disconnected",
      delivery: "unknown",
      method: "never",
    });
    const next = api.where("second");
    await world.pass(50); // half of the longest first pause
    expect(await next).toBe(2);
    expect(log).toEqual(["first", "never", "second"]);
    expect(world.pauses).toEqual([0, 5050]);
  });

  it("has terms of its own, on every connection", async () => {
    class Note {
      text = "";
    }
    const types = new ValueTypes({
      codecs: [
        valueCodec({
          name: "Note",
          class: Note,
          encode: ({ text }) => text,
          decode: (text) => Object.assign(new Note(), { text }),
        }),
      ],
    });
    world.types = types;
    const limits = limitsWith({ callsInFlightHard: 1 });
    const { api, log } = world.start({ types, limits });
    const note = (text: string): Note => Object.assign(new Note(), { text });
    expect(await api.where(note("first"))).toBe(1);
    await world.pass(5000);
    world.cut();
    const next = api.where(note("second"));
    expect(await failure(api.where())).toMatchObject({ type: "overloaded", delivery: "not-sent" });
    await world.pass(50);
    expect(await next).toBe(2);
    expect(log).toEqual([note("first"), note("second")]);
    expect(log[1]).toBeInstanceOf(Note);
  });

  it("C-REC-02: errors of other types are the caller's, and one of a lost peer behind the peer counts", async () => {
    const { api } = world.start();
    for (const type of ["failed", "overloaded", "unimplemented"] as const)
      expect(await failure(api.fail(type))).toMatchObject({ type });
    await world.pass(1000);
    expect(await api.where()).toBe(1);
    expect(world.dials).toBe(1);
    expect(await failure(api.fail("disconnected"))).toMatchObject({ type: "disconnected" });
    const next = api.where();
    await world.pass(1000);
    expect(await next).toBe(2);
    // The old one drains: nothing is under way on it.
    expect(await world.far[0]!.closed).toBeNull();
  });

  it("C-REC-03: many calls that fail together make one new connection, and a late failure leaves it alone", async () => {
    const { api } = world.start();
    await api.where();
    const many = Array.from({ length: 20 }, () => failure(api.fail("disconnected")));
    const late = failure(api.never());
    await Promise.all(many);
    await world.pass(1000);
    expect(await api.where()).toBe(2);
    expect(world.dials).toBe(2);
    // The first still drains, for the call under way. Its loss is no news of the second.
    expect(world.near[0]!.state).toBe("draining");
    world.near[0]!.transport.close(new RpcError("disconnected", "connection-lost", "cut"));
    expect(await late).toMatchObject({ type: "disconnected" });
    await world.pass(1000);
    expect(await api.where()).toBe(2);
    expect(world.dials).toBe(2);
  });

  it("C-REC-04: when attempts end, calls that waited fail with the last error, and the next call begins anew", async () => {
    world.failing.push(refused(), new Error("no route"), refused(), refused());
    const { api, log } = world.start({ maxAttempts: 2 });
    const waiting = [failure(api.where("a")), failure(api.where("b"))];
    await world.pass(1000);
    for (const error of await Promise.all(waiting))
      expect(error).toMatchObject({
        type: "disconnected",
        code: "connect-failed",
        message: "no route",
        delivery: "not-sent",
      });
    expect(world.states).toEqual(["closed connect-failed"]);
    await world.pass(100_000);
    expect(world.dials).toBe(2);
    const again = failure(api.where("c"));
    await world.pass(1000);
    expect(await again).toMatchObject({ message: "nobody answers" });
    const last = api.where("d");
    await world.pass(1000);
    expect(await last).toBe(1);
    expect(log).toEqual(["d"]);
  });

  it("C-REC-05: connects at once, or lazily at the first call; reset makes a new connection", async () => {
    world.start();
    await world.pass();
    expect([world.dials, world.link.state]).toEqual([1, "open"]);
    world.cut();
    await world.pass(1000);
    expect([world.dials, world.link.state]).toEqual([2, "open"]);
    world.link.reset();
    await world.pass();
    expect([world.dials, world.link.state]).toEqual([3, "open"]);
    expect(await world.api.where()).toBe(3);
    await world.done();

    world = new World().start({ lazy: true });
    await world.pass(1000);
    expect([world.dials, world.link.state]).toEqual([0, "closed"]);
    expect(await world.api.where()).toBe(1);
    world.cut();
    await world.pass(1000);
    expect([world.dials, world.link.state]).toEqual([1, "closed"]);
    const next = world.api.where();
    await world.pass(1000);
    expect(await next).toBe(2);
    world.link.reset();
    await world.pass(1000);
    expect([world.dials, world.link.state]).toEqual([2, "closed"]);
    expect(await world.api.where()).toBe(3);
  });

  it("C-REC-06: is never resolved to what is behind it, and shows no local object", async () => {
    world.start();
    const { api } = world;
    await api.where();
    const hook = world.link.bootstrap();
    expect(hook.resolved()).toBe(hook);
    expect([hook.isPromise, hook.lifeline]).toEqual([false, null]);
    hook.release();
    expect(targetOf(api)).toBeUndefined();
    // Given to a peer, it goes on through here when the connection behind it is another.
    const [near, far] = memoryPair();
    const server = new Session(far, { bootstrap: () => serve(new Api(77, [])) });
    const client = new Session(near);
    const other = client.bootstrap(RpcStub<Api>);
    expect(await other.call(api)).toBe(1);
    const back = await other.echo(api);
    expect(sameObject(back, api)).toBe("same");
    world.cut();
    const call = other.call(api);
    await world.pass(1000);
    expect(await call).toBe(2);
    for (const stub of [back, other]) stub[Symbol.dispose]();
    await client.close();
    await server.closed;
  });

  it("C-REC-07: what was got through a connection breaks with it, and stays broken", async () => {
    const { api } = world.start();
    const room = await api.room();
    const promise = api.room();
    // Called through in the same turn: it never has a value, only a way into an answer.
    expect(await Promise.all([promise.where(), room.where()])).toEqual([1, 1]);
    const told: string[] = [];
    room.onRpcBroken((error) => told.push(error.code));
    api.onRpcBroken((error) => told.push(`api ${error.code}`));
    world.cut();
    const next = api.where();
    await world.pass(1000);
    expect(await next).toBe(2);
    expect(told).toEqual(["connection-lost"]);
    for (const old of [room, promise])
      expect(await failure(old.where())).toMatchObject({ type: "disconnected" });
    const fresh = await api.room();
    expect(await fresh.where()).toBe(2);
    for (const one of [room, promise, fresh]) one[Symbol.dispose]();
  });

  it("C-REC-08: a call of which only the pipeline is wanted tells, too, that the peer lost what it stands for", async () => {
    const { api } = world.start();
    await api.where();
    const room = api.lostRoom(); // only called through: sent without a wish for its result
    expect(await failure(room.where())).toMatchObject({ type: "disconnected" });
    await world.pass(1000);
    expect(await api.where()).toBe(2);
    room[Symbol.dispose]();
  });
});

describe("calls that wait", () => {
  it("go out in the order they were made, with their arguments of then, each once", async () => {
    world.failing.push(refused(), refused());
    const { api, log } = world.start();
    const list = [1];
    const first = api.where(list);
    list.push(2);
    const more = [1, 2, 3].map((i) => api.where(i));
    await world.pass(10_000);
    expect(await Promise.all([first, ...more])).toEqual([1, 1, 1, 1]);
    expect(log).toEqual([[1], 1, 2, 3]);
    expect(world.dials).toBe(3);
    // Half of 100 and of 200.
    expect(world.pauses).toEqual([0, 50, 150]);
  });

  it("are bounded: one more fails as overloaded, and nothing is lost of the others", async () => {
    world.failing.push(refused());
    const { api } = world.start({ maxQueued: 2 });
    const calls = [api.where("a"), api.where("b")].map(async (call) => await call);
    const refusal = await failure(api.where("c"));
    expect(refusal).toMatchObject({ type: "overloaded", code: "queue-full", delivery: "not-sent" });
    await world.pass(1000);
    expect(await Promise.all(calls)).toEqual([1, 1]);
    expect(world.log).toEqual(["a", "b"]);
  });

  it("given up while they wait are never made", async () => {
    world.failing.push(refused());
    const { api } = world.start();
    const controller = new AbortController();
    const call = failure(api.with({ signal: controller.signal }).where("a"));
    await world.pass();
    controller.abort();
    expect(await call).toMatchObject({ code: "call-canceled", delivery: "not-sent" });
    await world.pass(1000);
    expect(world.dials).toBe(2);
    expect(world.log).toEqual([]);
  });

  it("wait only so long, whatever the dial does", async () => {
    const signals: AbortSignal[] = [];
    const dial = ({ signal }: DialContext): Promise<Session> => {
      signals.push(signal);
      return new Promise((_, reject) =>
        signal.addEventListener("abort", () => reject(signal.reason as Error)),
      );
    };
    const { api } = world.start({ maxTime: 3000 }, dial as unknown as typeof world.dial);
    const call = failure(api.where());
    await world.pass(2999);
    expect(world.link.state).toBe("connecting");
    await world.pass(1);
    expect(await call).toMatchObject({
      code: "connect-failed",
      message: "no connection came about within 3000 ms",
      delivery: "not-sent",
    });
    expect(signals.map((one) => one.aborted)).toEqual([true]);
  });

  it("fail at once when the dial fails for good", async () => {
    world.failing.push(new RpcError("failed", "invalid-argument", "that is no address"));
    const { api } = world.start({ lazy: true });
    expect(await failure(api.where())).toMatchObject({
      code: "invalid-argument",
      delivery: "not-sent",
    });
    expect(world.dials).toBe(1);
  });
});

describe("pauses", () => {
  it("grow up to a limit, and are small again after a connection that lasted", async () => {
    world.failing.push(...Array.from({ length: 5 }, refused));
    const { api } = world.start({ random: () => 1, minDelay: 10, maxDelay: 50, stableAfter: 500 });
    for (let i = 0; i < 20; i++) await world.pass(10);
    expect(world.pauses).toEqual([0, 10, 30, 70, 120, 170]);
    expect(await api.where()).toBe(1);
    await world.pass(500);
    world.cut();
    for (let i = 0; i < 5; i++) await world.pass(10);
    expect(world.pauses.at(-1)! - 700).toBe(10);
    expect(await api.where()).toBe(2);
  });

  it("grow too when connections end as soon as they are made", async () => {
    world.start({ random: () => 1, minDelay: 10, maxDelay: 1000 });
    await world.pass();
    for (let i = 0; i < 4; i++) {
      const { dials } = world;
      world.cut();
      while (world.dials === dials) await world.pass(10);
    }
    expect(world.pauses).toEqual([0, 20, 60, 140, 300]);
  });

  it("are random by default, within their range", async () => {
    world.failing.push(...Array.from({ length: 8 }, refused));
    world.start({ random: undefined, minDelay: 1000, maxDelay: 1000 });
    for (let i = 0; i < 90; i++) await world.pass(100);
    const pauses = world.pauses.slice(1).map((at, i) => at - world.pauses[i]!);
    expect(pauses.length).toBeGreaterThan(5);
    expect(Math.max(...pauses)).toBeLessThanOrEqual(1100);
    expect(new Set(pauses).size).toBeGreaterThan(1);
  });

  it("reset cuts a pause short", async () => {
    world.failing.push(refused());
    const { api } = world.start({ minDelay: 100_000, maxDelay: 100_000 });
    const call = api.where();
    await world.pass();
    world.link.reset();
    await world.pass();
    expect(await call).toBe(1);
    expect(world.time.now).toBe(0);
  });
});

describe("each new connection", () => {
  it("is told of before the calls that wait, so that users subscribe again", async () => {
    const { api, log } = world.start({
      async onConnected(session) {
        using own = session.bootstrap(RpcStub<Api>);
        await own.where("subscribe");
        await own.where("more");
      },
    });
    expect(await api.where("call")).toBe(1);
    world.cut();
    const next = api.where("next");
    await world.pass(1000);
    expect(await next).toBe(2);
    expect(log).toEqual(["subscribe", "more", "call", "subscribe", "more", "next"]);
    expect(world.states).toEqual(["open", "connecting", "open"]);
  });

  it("is given up when that fails, hangs while it is lost, or takes too long", async () => {
    let times = 0;
    const { api } = world.start({
      maxTime: 60_000,
      onConnected(session) {
        times++;
        if (times === 1) throw refused();
        if (times === 2) session.transport.close(refused());
        return times < 4 ? new Promise(() => {}) : undefined;
      },
    });
    const call = failure(api.where());
    await world.pass(1000);
    await world.pass(1000);
    expect(times).toBe(3);
    await world.pass(60_000);
    expect(await call).toMatchObject({ code: "connect-failed", delivery: "not-sent" });
    for (const session of world.near) await session.closed;
    expect(world.log).toEqual([]);
    const next = api.where();
    await world.pass(1000);
    expect(await next).toBe(4);
  });

  it("may be opened to another reference than its bootstrap capability", async () => {
    const opens = [
      (session: Session) => session.bootstrap(RpcStub<Api>).room(),
      async (session: Session) => {
        using api = session.bootstrap(RpcStub<Api>);
        return (await api.room()).dup();
      },
      (session: Session) => session.bootstrap(),
      (session: Session) => ({
        _hook: session.bootstrap(),
        [Symbol.dispose](this: { _hook: { release(): void } }) {
          this._hook.release();
        },
      }),
    ];
    for (const open of opens) {
      const one = new World().start({ open });
      expect(await one.api.where()).toBe(1);
      one.cut();
      const next = one.api.where();
      await one.pass(1000);
      expect(await next).toBe(2);
      await one.done();
    }
    world.start({ open: () => 7 });
    expect(await failure(world.api.where())).toMatchObject({ code: "invalid-argument" });
  });

  it("holds the reference it was opened to until it is left, and none when the attempt fails", async () => {
    const { hook } = object();
    let times = 0;
    world.start({
      open: () => hook.addRef(),
      onConnected() {
        if (++times === 2) throw refused();
      },
    });
    await world.pass();
    expect(hook.refCount).toBe(2);
    world.cut();
    await world.pass(150);
    expect([times, hook.refCount]).toEqual([2, 1]);
    await world.pass(1000);
    expect([times, hook.refCount]).toEqual([3, 2]);
    await world.link.close();
    expect(hook.refCount).toBe(1);
    hook.release();
  });

  it("lets go of a reference that comes when its connection is gone already", async () => {
    const { hook } = object();
    const late: ((hook: unknown) => void)[] = [];
    world.start({
      open: (session) =>
        late.length > 0 ? session.bootstrap() : new Promise((resolve) => late.push(resolve)),
    });
    await world.pass();
    world.cut();
    await world.pass(1000);
    expect(await world.api.where()).toBe(2);
    late[0]!(hook.addRef());
    await world.pass();
    expect(hook.refCount).toBe(1);
    hook.release();
  });

  it("is left when it drains, here or by the word of the peer", async () => {
    const { api } = world.start();
    await api.where();
    void world.near[0]!.drain();
    const next = api.where();
    await world.pass(1000);
    expect(await next).toBe(2);
    const slow = failure(api.never());
    await world.pass();
    void world.far[1]!.drain(60_000);
    expect(await failure(api.where())).toMatchObject({ type: "disconnected" });
    const after = api.where();
    await world.pass(1000);
    expect(await after).toBe(3);
    expect(world.near[1]!.state).toBe("draining");
    void world.near[1]!.close();
    await slow;
  });

  it("serves bare hooks and their streams, too", async () => {
    const [near, far] = memoryPair();
    const { hook, recorder } = object();
    world.far.push(new Session(far, { bootstrap: hook }));
    world.start({}, () => new Session(near));
    hook.release();
    const bare = world.link.bootstrap();
    expect(bare.flow).toBeNull();
    expect(await ask(bare, 0, 5)).toBe(5);
    expect(bare.flow).not.toBeNull();
    const results = bare.call(Object.assign(request(0, 6), { flags: ONLY_PROMISE_PIPELINE }));
    results.cancel();
    await world.pass();
    expect(recorder.seen).toEqual([5, 6]);
    bare.release();
    expect(bare).not.toBeInstanceOf(LocalHook);
  });
});

describe("the end", () => {
  it("leaves no timer and no dial, fails what waits and breaks the reference, once", async () => {
    world.failing.push(refused());
    const { api, link } = world.start();
    const told: string[] = [];
    api.onRpcBroken((error) => told.push(error.code));
    const waiting = failure(api.where());
    await world.pass();
    expect(world.time.pendingTimers).toBe(2);
    const [one, two] = [link.close(), link[Symbol.asyncDispose]()];
    await Promise.all([one, two]);
    expect(world.time.pendingTimers).toBe(0);
    expect(await waiting).toMatchObject({ code: "connection-closed", delivery: "not-sent" });
    expect(await failure(api.where())).toMatchObject({ code: "connection-closed" });
    await world.pass(100_000);
    expect(told).toEqual(["connection-closed"]);
    link.reset();
    using late = link.bootstrap(RpcStub<Api>);
    expect(await failure(late.where())).toMatchObject({ code: "connection-closed" });
    expect([world.dials, link.session]).toEqual([1, null]);
    expect(world.states).toEqual(["closed"]);
  });

  it("takes its listener from a signal that did not abort", async () => {
    const { signal } = new AbortController();
    world.start({ signal });
    expect(getEventListeners(signal, "abort")).toHaveLength(1);
    await world.link.close();
    expect(getEventListeners(signal, "abort")).toHaveLength(0);
  });

  it("comes by a signal, also before the first attempt", async () => {
    const controller = new AbortController();
    const { api } = world.start({ signal: controller.signal });
    const never = failure(api.never());
    await world.pass();
    controller.abort();
    expect(await never).toMatchObject({ type: "disconnected" });
    await world.link.close();
    await world.done();
    world = new World().start({ signal: controller.signal });
    expect(await failure(world.api.where())).toMatchObject({ code: "connection-closed" });
    expect(world.dials).toBe(0);
  });

  it("closes the session of a dial that ends after it", async () => {
    let connected!: (session: Session) => void;
    const dial = (): Promise<Session> => new Promise((resolve) => (connected = resolve));
    let told = 0;
    world.start({ onConnected: () => told++ }, dial as unknown as typeof world.dial);
    await world.pass();
    let over = false;
    const closing = world.link.close().then(() => (over = true));
    await world.pass();
    expect(over).toBe(false);
    connected(world.connect());
    await closing;
    expect(world.near[0]!.state).toBe("closed");
    expect(told).toBe(0);
  });

  it("options that make no sense are refused", () => {
    world.start({ lazy: true });
    const bad: ReconnectOptions[] = [
      { minDelay: -1 },
      { maxDelay: Infinity },
      { maxAttempts: 0 },
      { maxQueued: 1.5 },
      { maxTime: Number.NaN },
    ];
    for (const options of bad)
      expect(() => reconnecting(world.dial, options)).toThrow(Object.keys(options)[0]);
  });
});
