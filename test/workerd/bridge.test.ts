// The bridge to the real workerd, by its debug port: calls of durable objects and entry points there.

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { RpcError, RpcStub, RpcTarget } from "../../src/node.js";
import { connectWorkerd, objectIdText, type Workerd } from "../../src/workerd.node.js";
import { missingWorkerd } from "../runtimes/workerd.js";
import { expectNoResidue, resources } from "../support/residue.js";
import type { Api, Counter, Desk, Guest, Room } from "./bridge/api.js";
import { SLOWLY, type Started, startBridge } from "./bridge/start.js";

const KEY = "capstan-bridge-room";

class Friend extends RpcTarget implements Guest {
  readonly #name: string;
  disposed = 0;

  constructor(name: string) {
    super();
    this.#name = name;
  }

  get name(): string {
    return this.#name;
  }

  greet(whom: string): string {
    return `${this.#name} greets ${whom}`;
  }

  friend(name: string): Friend {
    return new Friend(name);
  }

  [Symbol.dispose](): void {
    this.disposed++;
  }
}

async function failure(promise: PromiseLike<unknown>): Promise<RpcError> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof RpcError) return error;
    throw error;
  }
  throw new Error("it did not fail");
}

// skip: where npm has no workerd; missingWorkerd prints the reason
describe.skipIf(missingWorkerd() !== null)("calls into workerd", () => {
  const before = resources();
  let started: Started;
  let workerd: Workerd;

  beforeAll(async () => {
    started = await startBridge();
    workerd = await connectWorkerd(started.url);
  });
  afterAll(async () => {
    await workerd.close();
    await started.stop();
    await expectNoResidue(before);
  });

  /** Nothing is left in the tables but the debug port and `stubs` entry points, once what was let go of has been told. */
  async function quiet(stubs = 1): Promise<void> {
    for (let tries = 0; ; tries++) {
      const { questions, answers, imports, exports } = workerd.stats();
      const left = { questions, answers, imports, exports };
      const none = { questions: 0, answers: 0, imports: 1 + stubs, exports: 0 };
      // What was let go of last may still wait for the end of the turn.
      if (JSON.stringify(left) === JSON.stringify(none))
        return new Promise((resolve) => setImmediate(resolve));
      if (tries === 1500) expect(left).toEqual(none);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  const room = (name = "one"): RpcStub<Room> =>
    workerd.getObject("main", "Room", { name, uniqueKey: KEY });
  const desk = (props?: unknown): RpcStub<Desk> => workerd.getEntrypoint("main", "Desk", props);
  // An event of an entry point is over with its last stub: workerd runs no disposer then.
  const BOTH: [string, number, () => RpcStub<Api>][] = [
    ["a durable object", 1, room],
    ["an entry point", 0, desk],
  ];

  describe.each(BOTH)("%s", (_, disposes, open) => {
    it("answers calls", async () => {
      using api = open();
      expect(await api.add(19, 23)).toBe(42);
      expect(await api.nothing()).toBeUndefined();
      expect(await Promise.all([1, 2, 3].map((n) => api.echo(n)))).toEqual([1, 2, 3]);
      await quiet();
    });

    it("gives stubs, which have methods and properties and end with their disposal", async () => {
      using api = open();
      const noted = await api.disposals();
      const counter: RpcStub<Counter> = await api.counter(5);
      expect(await counter.add(2)).toBe(7);
      expect(await counter.count).toBe(7);
      const second = counter.dup();
      counter[Symbol.dispose]();
      expect((await failure(Promise.resolve().then(() => counter.add()))).code).toBe(
        "capability-disposed",
      );
      expect(await second.add()).toBe(8);
      second[Symbol.dispose]();
      await quiet();
      await expect.poll(() => api.disposals(), SLOWLY).toBe(noted + disposes);
    });

    it("hears no more of a plain call than its three Returns, and that the maker of streams is let go", async () => {
      using api = open();
      await api.add(1, 2);
      await quiet();
      const { messagesIn } = workerd.stats();
      expect(await api.add(1, 2)).toBe(3);
      await quiet();
      expect(workerd.stats().messagesIn - messagesIn).toBe(4);
    });

    it("takes calls on results that are not there yet, all in one write", async () => {
      using api = open();
      await api.nothing();
      await quiet();
      const { writes } = workerd.session;
      const { messagesIn } = workerd.stats();
      using parts = api.parts();
      using fork = parts.inner.counter.fork();
      using counter = api.counter(1);
      using second = counter.fork();
      const values = [
        parts.name,
        parts.inner.counter.add(2),
        fork.add(10),
        parts.twice(21),
        second.count,
      ].map(async (value) => (await value) as unknown);
      // The end of the turn, before anything is read.
      await new Promise<void>((resolve) => queueMicrotask(() => process.nextTick(resolve)));
      const { questions } = workerd.stats();
      expect(workerd.stats().messagesIn).toBe(messagesIn);
      expect(workerd.session.writes).toBe(writes + 1);
      // Two events with three questions each, and seven calls within them.
      expect(questions).toBe(13);
      expect(await Promise.all(values)).toEqual(["parts", 7, 15, 42, 1]);
      parts[Symbol.dispose]();
      fork[Symbol.dispose]();
      counter[Symbol.dispose]();
      second[Symbol.dispose]();
      await quiet();
    });

    it("gives values with stubs in them", async () => {
      using api = open();
      const call = api.parts();
      const parts = await call;
      expect(parts.name).toBe("parts");
      expect(await parts.twice(4)).toBe(8);
      expect(await call.inner.counter.add(1)).toBe(6);
      expect(await parts.inner.counter.count).toBe(6);
      parts[Symbol.dispose]();
      await quiet();
    });

    it("disposes a result that has a disposer", async () => {
      using api = open();
      const noted = await api.disposals();
      {
        using made = await api.disposable();
        expect(made.n).toBe(1);
        expect(await api.disposals()).toBe(noted);
      }
      await quiet();
      await expect.poll(() => api.disposals(), SLOWLY).toBe(noted + disposes);
    });

    it("calls functions and objects of ours", async () => {
      using api = open();
      expect(await api.callBack((a: number, b: number) => a * b, 6, 7)).toBe(42);
      const friend = new Friend("Al");
      expect(await api.visit(friend)).toEqual(["Al", "Bo greets Al", "Al greets room"]);
      await quiet();
      expect(friend.disposed).toBe(1);
    });

    it("gives our stubs back, and takes its own", async () => {
      using api = open();
      using counter = await api.counter(3);
      using back = await api.echoCounter(counter);
      expect(await back.add(1)).toBe(4);
      expect(await counter.plus(counter)).toBe(8);
      using ours = await api.echoFunction((n) => n + 1);
      expect(await ours(1)).toBe(2);
    });

    it("tells what was thrown", async () => {
      using api = open();
      const type = await failure(api.fails("type"));
      expect(type).toMatchObject({ type: "failed", code: "remote-exception", message: "of type" });
      expect(type.method).toBe("fails");
      expect(type.cause).toBeInstanceOf(TypeError);
      expect((type.cause as Error).cause).toBeInstanceOf(RangeError);
      const own = await failure(api.fails("own"));
      expect(own.message).toBe("not you");
      expect(own.cause).toMatchObject({ name: "Refused", code: "E_REFUSED", detail: { n: 1 } });
      expect((await failure(api.fails("object"))).cause).toMatchObject({ no: "error" });
      const dom = await failure(api.fails("abort"));
      expect(dom.cause).toBeInstanceOf(DOMException);
      expect(dom.cause).toMatchObject({ name: "AbortError", message: "dom" });
      expect(await failure(api.missing())).toMatchObject({ type: "failed" });
      await quiet();
    });

    it("hears what ours throw, without a stack", async () => {
      using api = open();
      const thrown = Object.assign(new RangeError("too far"), { code: "E_FAR" });
      const caught = await api.catches(() => {
        throw thrown;
      });
      expect(caught).toMatchObject({ name: "RangeError", message: "too far", code: "E_FAR" });
      expect(caught.stack).not.toContain(import.meta.dirname);
      const busy = await api.catches(() => {
        throw new RpcError("overloaded", "limit-exceeded", "busy");
      });
      expect(busy).toMatchObject({ message: "busy", isError: true });
      await quiet();
    });

    it("ends calls that are given up", async () => {
      using api = open();
      const controller = new AbortController();
      const call = api.with({ signal: controller.signal }).never();
      controller.abort(new Error("enough"));
      expect(await failure(call)).toMatchObject({ code: "call-canceled" });
      const disposed = api.never();
      disposed[Symbol.dispose]();
      expect(await failure(disposed)).toMatchObject({ code: "call-canceled" });
      await quiet();
    });

    it("refuses what cannot travel, and sends nothing", async () => {
      using api = open();
      await quiet();
      const { messagesOut } = workerd.stats() as unknown as { messagesOut: number };
      expect(() => api.echo(api.add)).toThrow(/await it first/);
      expect(() => api.echo(Symbol("s"))).toThrow(RpcError);
      expect(workerd.stats()).toMatchObject({ messagesOut });
      using parts = api.parts();
      expect(await failure(parts.map((x: unknown) => x))).toMatchObject({
        code: "peer-unimplemented",
      });
    });
  });

  it("makes calls in the order in which they are written", async () => {
    using api = room("order");
    await api.notes();
    using again = api.dup();
    for (let n = 0; n < 200; n++) void (n % 2 === 0 ? api : again).note(n);
    expect(await api.notes()).toEqual(Array.from({ length: 200 }, (_, n) => n));
    await quiet(1);
  });

  it("calls what was kept over there, in later calls", async () => {
    using api = room();
    const friend = new Friend("Al");
    await api.keep((n: number) => `${friend.name} ${n}`);
    using again = room();
    expect(await again.callKept(1)).toBe("Al 1");
    expect(await api.callKept(2)).toBe("Al 2");
    await api.dropKept();
    again[Symbol.dispose]();
    await quiet();
  });

  it("says that an object was reset, and finds it anew", async () => {
    const api = room("reset");
    expect(await failure(api.reset())).toMatchObject({ code: "object-broken" });
    const later = await failure(api.add(1, 2));
    expect(later.code).toBe("object-broken");
    api[Symbol.dispose]();
    using anew = room("reset");
    expect(await anew.add(1, 2)).toBe(3);
  });

  it("says which errors are worth another try", async () => {
    using api = room();
    for (const [type, told] of [
      ["overloaded", "overloaded"],
      ["disconnected", "retryable"],
    ] as const) {
      const caught = await api.catches(() => {
        throw new RpcError(type, "remote-exception", "busy");
      });
      expect(caught[told]).toBe(true);
      const back = await failure(
        api.callBack(() => {
          throw new RpcError(type, "remote-exception", "busy");
        }),
      );
      expect(back).toMatchObject({ type, message: "busy" });
    }
    await quiet();
  });

  it("takes stubs of Capstan, which are objects as any other", async () => {
    using api = room();
    using ours = new RpcStub(new Friend("Cy"));
    expect(await api.visit(ours)).toEqual(["Cy", "Bo greets Cy", "Cy greets room"]);
    await quiet();
  });

  it("gives stubs and promises of workerd to others, who call them", async () => {
    using api = room();
    // As if it were in another process: arguments are values of Capstan's.
    using other = new RpcStub(async (given: RpcStub<Room>, counter: RpcStub<Counter>) => {
      using fork = counter.fork();
      return [
        await given.add(1, 2),
        await given.echo(new Map([["a", { n: 1 }]])),
        await fork.add(1),
        await counter.count,
        await given.callBack((a: number, b: number) => a * b, 6, 7),
        await given.size(new Blob(["some bytes"]).stream()),
        await given.fails("own").then(null, (error: RpcError) => error.message),
      ];
    });
    using five = api.counter(5);
    expect(await other(api, five)).toEqual([
      3,
      new Map([["a", { n: 1 }]]),
      6,
      5,
      42,
      10,
      "not you",
    ]);
    // What is given away is disposed when the other lets go of it.
    using give = new RpcStub(() => api.dup());
    using given = await give();
    expect(await given.add(2, 3)).toBe(5);
    given[Symbol.dispose]();
    give[Symbol.dispose]();
    five[Symbol.dispose]();
    // At once, not when the collector finds it.
    for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
    expect(workerd.stats().imports).toBe(2);
    await quiet();
  });

  it("finds objects by name as workerd does", async () => {
    using api = room("lobby");
    const id = await api.idOf("lobby");
    expect(objectIdText({ name: "lobby", uniqueKey: KEY })).toBe(id);
    expect(await api.id()).toBe(id);
    using same = workerd.getObject<Room>("main", "Room", id.toUpperCase());
    expect(await same.id()).toBe(id);
    expect(() => workerd.getObject("main", "Room", "z".repeat(64))).toThrow(/64 hexadecimal/);
  });

  it("gives props to an entry point", async () => {
    using api = desk({ who: ["me", 1] });
    expect(await api.props()).toEqual({ who: ["me", 1] });
    using none = desk();
    expect(await none.props()).toEqual({});
    expect(() => desk(() => 1)).toThrow(/JSON/);
  });
});
