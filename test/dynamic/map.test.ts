// map: a callback recorded here and run there.

import { describe, expect, it } from "vitest";
import { limitsWith } from "../../src/base/limits.js";
import { RpcStub, RpcTarget } from "../../src/cap/dynamic/index.js";
import { User } from "../runtimes/objects.js";
import { Counter, failure, Pair } from "./kit.js";

class Api extends RpcTarget {
  readonly counters = [new Counter(), new Counter()];
  asked = 0;
  ids(): number[] {
    return [1, 2, 3];
  }
  user(id: number): User {
    this.asked++;
    return new User(id);
  }
  rows(): { id: number; tags: string[] }[] {
    return [
      { id: 1, tags: ["a", "b"] },
      { id: 2, tags: [] },
    ];
  }
  all(): Counter[] {
    return this.counters;
  }
  nothing(): number[] | null {
    return null;
  }
  one(): { id: number } {
    return { id: 7 };
  }
  many(n: number): number[] {
    return Array.from({ length: n }, (_, i) => i);
  }
  word(): string {
    return "hi";
  }
  fails(id: number): number {
    if (id === 2) throw new Error("two");
    return id;
  }
  never(): Promise<number> {
    return new Promise(() => {});
  }
}

describe("map", () => {
  it("runs at the other side, in one round trip: calls, properties, captures, values around them", async () => {
    const target = new Api();
    const pair = new Pair(target);
    const { api, net } = pair;
    const start = net.now;
    using ids = api.ids();
    const users = ids.map((id) => ({ id, name: api.user(id).name, fixed: [1] }));
    expect(await pair.run(users)).toEqual([
      { id: 1, name: "user 1", fixed: [1] },
      { id: 2, name: "user 2", fixed: [1] },
      { id: 3, name: "user 3", fixed: [1] },
    ]);
    expect(net.now - start).toBe(100);
    expect(target.asked).toBe(3);
    expect(pair.heard().filter((line) => line !== "guest finish")).toEqual([
      "guest call",
      "guest call",
      "host return",
    ]);
    ids[Symbol.dispose]();
    await pair.done();
  });

  it("takes properties of elements, a promise from outside, and functions of this side", async () => {
    const pair = new Pair(new Api());
    const { api } = pair;
    using rows = api.rows();
    using word = api.word();
    const seen: number[] = [];
    const note = (n: number): number => {
      seen.push(n);
      return n * 10;
    };
    using noted = new RpcStub(note);
    const result = rows.map((row) => ({
      greeting: api.user(row.id).greet(word),
      noted: noted(row.id),
      tags: row.tags,
    }));
    expect(await pair.run(result)).toEqual([
      { greeting: "hi user 1", noted: 10, tags: ["a", "b"] },
      { greeting: "hi user 2", noted: 20, tags: [] },
    ]);
    expect(seen).toEqual([1, 2]);
    for (const one of [rows, word, noted]) one[Symbol.dispose]();
    await pair.done();
  });

  it("says where the element is that is used outside of the callback, itself or a property of it", async () => {
    const pair = new Pair(new Api());
    const { api } = pair;
    using rows = api.rows();
    let kept!: { id: never };
    using all = rows.map((row) => (kept = row as never));
    for (const one of [kept, kept.id]) {
      const error = (() => {
        try {
          return void api.user({ deep: [one] } as never);
        } catch (thrown) {
          return thrown;
        }
      })();
      expect(error).toMatchObject({
        code: "unsendable-value",
        message: expect.stringMatching(
          /args\[0\]\.deep\[0\] cannot be sent: what stands for an element of map means nothing outside/,
        ) as unknown,
      });
    }
    for (const one of [rows, all]) one[Symbol.dispose]();
    await pair.done();
  });

  it("nests, and the inner callback may use what the outer one has", async () => {
    const pair = new Pair(new Api());
    const { api } = pair;
    using ids = api.ids();
    const result = ids.map((id) => {
      const user = api.user(id);
      return user
        .friends()
        .map((friend) => ({ of: id, by: user.name, friend: api.user(friend).name }));
    });
    const lists = await pair.run(result);
    expect(lists).toHaveLength(3);
    expect(lists[1]).toEqual([
      { of: 2, by: "user 2", friend: "user 3" },
      { of: 2, by: "user 2", friend: "user 4" },
    ]);
    ids[Symbol.dispose]();
    await pair.done();
  });

  it("gives references, of elements and of results", async () => {
    const target = new Api();
    const pair = new Pair(target);
    using all = pair.api.all();
    using mapped = await pair.run(all.map((counter) => ({ counter, sum: counter.add(5) })));
    expect(mapped.map((one) => one.sum)).toEqual([5, 5]);
    expect(await pair.run((mapped[1]!.counter as unknown as RpcStub<Counter>).add(1))).toBe(6);
    using ids = pair.api.ids();
    using users = await pair.run(ids.map((id) => pair.api.user(id)));
    expect(await pair.run((users[0] as unknown as RpcStub<User>).name)).toBe("user 1");
    for (const one of [all, mapped, ids, users]) one[Symbol.dispose]();
    await pair.done();
  });

  it("gives back what its steps were given, when the result does not hold it", async () => {
    const pair = new Pair(new Api());
    const made: Counter[] = [];
    using make = new RpcStub(() => {
      const counter = new Counter();
      made.push(counter);
      return counter;
    });
    using ids = pair.api.ids();
    const sums = ids.map((id) => {
      void make();
      return make().add(id);
    });
    expect(await pair.run(sums)).toEqual([1, 2, 3]);
    await pair.rest();
    expect(made.map((one) => one.disposed)).toEqual([1, 1, 1, 1, 1, 1]);
    for (const one of [ids, make]) one[Symbol.dispose]();
    await pair.done();
  });

  it("of null is null, of what is no list the result for it", async () => {
    const pair = new Pair(new Api());
    using nothing = pair.api.nothing();
    expect(await pair.run(nothing.map((id) => id))).toBe(null);
    using one = pair.api.one();
    expect(await pair.run(one.map((row) => pair.api.user(row.id).name))).toBe("user 7");
    using none = pair.api.many(0);
    expect(await pair.run(none.map((id) => pair.api.user(id).name))).toEqual([]);
    for (const promise of [nothing, one, none]) promise[Symbol.dispose]();
    await pair.done();
  });

  it("can be called through, and be mapped again", async () => {
    const pair = new Pair(new Api());
    using ids = pair.api.ids();
    using users = ids.map((id) => ({ user: pair.api.user(id) }));
    expect(await pair.run((users as unknown as { user: RpcStub<User> }[])[1]!.user.name)).toBe(
      "user 2",
    );
    users[Symbol.dispose]();
    ids[Symbol.dispose]();
    await pair.done();
  });

  it("works on local stubs", async () => {
    using api = new RpcStub(new Api());
    using ids = api.ids();
    expect(await ids.map((id) => api.user(id).name)).toEqual(["user 1", "user 2", "user 3"]);
  });
});

describe("map fails", () => {
  it("when a step that the result needs fails; another does not matter", async () => {
    const pair = new Pair(new Api());
    using ids = pair.api.ids();
    expect(await failure(pair.run(ids.map((id) => pair.api.fails(id))))).toMatchObject({
      message: "two",
    });
    const fine = ids.map((id) => {
      void pair.api.fails(id);
      return id;
    });
    expect(await pair.run(fine)).toEqual([1, 2, 3]);
    ids[Symbol.dispose]();
    await pair.done();
  });

  it("here, when the callback cannot be recorded, and nothing is sent", async () => {
    const pair = new Pair(new Api());
    using ids = await pair.run(Promise.resolve(pair.api)).then((api) => ({
      [Symbol.dispose]() {},
      promise: api.ids(),
    }));
    const { promise } = ids;
    await pair.rest();
    pair.heard();
    expect(() => promise.map(async (id) => id)).toThrow(/cannot be async/);
    expect(() => promise.map(() => new WeakMap())).toThrow(/result/);
    expect(() =>
      promise.map((id) => {
        throw new Error(`mine ${typeof id}`);
      }),
    ).toThrow("mine function");
    let leaked: unknown;
    const mapped = promise.map((id) => (leaked = id));
    expect(() => (leaked as Counter).add(1)).toThrow(/outside of its callback/);
    // In a callback of another map it has the number of an element there, and is none.
    const foreign = leaked as Counter;
    const uses = [() => foreign, () => ({ deep: [foreign] }), () => foreign.add(1)];
    for (const use of uses) expect(() => promise.map(use)).toThrow(/outside of its callback/);
    const siblings = (id: object) => [
      (id as unknown as typeof promise).map((one) => (leaked = one)),
      (id as unknown as typeof promise).map(() => leaked),
    ];
    expect(() => promise.map(siblings as never)).toThrow(/outside of its callback/);
    mapped[Symbol.dispose]();
    await pair.rest();
    expect(pair.heard()).toEqual([]);
    promise[Symbol.dispose]();
    await pair.done();
  });

  it("at a budget of steps, over all elements, and inside one another", async () => {
    const pair = new Pair(new Api());
    using many = pair.api.many(60_000);
    const error = await failure(
      pair.run(many.map((id) => [pair.api.fails(id), pair.api.fails(id)])),
    );
    expect(error).toMatchObject({ type: "overloaded" });
    using some = pair.api.many(1000);
    const nested = some.map((id) => pair.api.many(1000).map(() => pair.api.fails(id)));
    expect(await failure(pair.run(nested))).toMatchObject({ type: "overloaded" });
    many[Symbol.dispose]();
    some[Symbol.dispose]();
    await pair.rest();
    pair.api[Symbol.dispose]();
  });

  it("by the limits of the object, each of which is named", async () => {
    const limits = limitsWith({ mapRuns: 10, mapResults: 6, mapSteps: 3, mapLevels: 2 });
    const pair = new Pair(new Api(), { serve: { limits } });
    using list = pair.api.many(6);
    const { api } = pair;
    const lists: [string, PromiseLike<unknown>][] = [
      ["mapRuns", pair.run(list.map((id) => [api.many(id), api.many(id)]))],
      ["mapSteps", pair.run(list.map(() => [1, 2, 3, 4].map((n) => api.many(n))))],
      ["mapLevels", pair.run(list.map(() => list.map(() => list.map((id) => id))))],
    ];
    for (const [name, mapped] of lists)
      expect((await failure(mapped)).message).toMatch(new RegExp(`limit.*${name}`));
    expect(await pair.run(list.map((id) => id))).toHaveLength(6);
    using more = pair.api.many(7);
    expect(await failure(pair.run(more.map((id) => id)))).toMatchObject({
      type: "overloaded",
      message: expect.stringMatching(/limit mapResults: .*7.* 6 is the most/) as string,
    });
    list[Symbol.dispose]();
    more[Symbol.dispose]();
    await pair.done();
  });

  it("where it is written, by the limits of the stub", () => {
    using api = new RpcStub(new Api(), { limits: limitsWith({ mapSteps: 2, mapLevels: 1 }) });
    const list = api.many(1);
    expect(() => list.map(() => [1, 2, 3].map((n) => api.many(n)))).toThrow(/limit mapSteps/);
    expect(() => list.map(() => list.map((id) => id))).toThrow(/limit mapLevels/);
    list[Symbol.dispose]();
  });

  it("by cancellation, which ends its calls", async () => {
    const pair = new Pair(new Api());
    using ids = pair.api.ids();
    const controller = new AbortController();
    const stub = pair.api;
    const mapped = (ids.with({ signal: controller.signal }) as typeof ids).map(() => stub.never());
    const failed = failure(mapped);
    await pair.rest();
    controller.abort();
    expect(await failed).toMatchObject({ code: "call-canceled" });
    ids[Symbol.dispose]();
    await pair.done();
  });
});
