// Objects and functions by reference, in both directions, and callbacks.

import { RpcPromise, RpcStub, sameObject, targetOf } from "../../../src/index.js";
import { Counter } from "../objects.js";
import { equal, ok, scenario } from "../harness.js";

const it = scenario("references");

it("are stubs where they arrive: instances of RpcStub, and no promises", async ({ api }) => {
  using counter = await api.make();
  ok(counter instanceof RpcStub, "it is an RpcStub");
  ok(!(counter instanceof RpcPromise), "it is no RpcPromise");
  equal((counter as { then?: unknown }).then, undefined);
  equal(await counter.add(3), 3);
});

it("a function of theirs is called here", async ({ api }) => {
  using addTwo = await api.adder(2);
  equal(await addTwo(5), 7);
});

it("a function of ours is called there", async ({ api }) => {
  equal(await api.apply((x) => x * 3, 2), 18);
});

it("a function of ours may be slow, or fail", async ({ api }) => {
  equal(await api.apply((async (x: number) => x + 1) as never, 2), 4);
  const outcome = await Promise.allSettled([
    api.apply(() => {
      throw new Error("of mine");
    }, 1),
  ]);
  equal(outcome[0]!.status, "rejected");
  equal((outcome[0] as PromiseRejectedResult & { reason: Error }).reason.message, "of mine");
});

it("callbacks arrive in order, and before the answer", async ({ api }) => {
  const log: (number | string)[] = [];
  log.push(await api.progress((n) => log.push(n), 3));
  equal(log, [1, 2, 3, "done"]);
});

it("a callback may call back", async ({ api }) => {
  equal(await api.apply((async (x: number) => api.sum(x, 10)) as never, 1), 21);
});

it("an object of ours is called there, and keeps its state", async ({ api }) => {
  const mine = new Counter();
  using stub = new RpcStub(mine);
  equal(await api.addTo(stub, 6), 6);
  equal(await api.addTo(stub, 1), 7);
  equal(mine.log, [6, 1]);
});

it("their function comes home to them", async ({ api }) => {
  using addTwo = await api.adder(2);
  equal(await api.apply(addTwo, 1), 5);
});

it("our objects come home to us: targetOf gives them", async ({ api }) => {
  const mine = new Counter();
  const f = (): number => 1;
  using back = (await api.pass([mine, f])) as object[] & Disposable;
  ok(targetOf(back[0]!) === mine && targetOf(back[1]!) === f, "they are the same");
  equal(await (back[0] as RpcStub<Counter>).add(2), 2);
  using theirs = await api.make();
  equal(targetOf(theirs), undefined);
});

it("one object is one stub in a value, and known as the same in two", async ({ api }) => {
  using pair = await api.both();
  ok(pair[0] === pair[1], "it is one stub");
  using other = (await api.pass([pair[0]])) as Counter[] & Disposable;
  equal(sameObject(pair[0] as never, other[0] as never), "same");
  using another = await api.make();
  equal(sameObject(pair[0] as never, another), "different");
});

it("go anywhere in a value: maps, sets, arrays, objects", async ({ api }) => {
  using counter = await api.make();
  const value = { map: new Map([["c", counter]]), set: new Set([[counter]]) };
  using back = (await api.pass(value)) as typeof value & Disposable;
  equal(await back.map.get("c")!.add(1), 1);
  equal(await [...back.set][0]![0]!.add(1), 2);
});
