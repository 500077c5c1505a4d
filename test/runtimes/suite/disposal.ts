// Who owns what: params are lent, results are given, and what nobody holds is disposed.

import type { RpcStub } from "../../../src/index.js";
import { Counter } from "../objects.js";
import { equal, fails, ok, scenario, throws, until } from "../harness.js";

const it = scenario("disposal");

it("of a result reaches the object", async ({ api }) => {
  const counter = await api.make();
  equal(await api.alive(), 1);
  counter[Symbol.dispose]();
  await until("it is disposed", async () => (await api.alive()) === 0);
});

it("of a value ends every stub in it, but not a dup", async ({ api }) => {
  let kept: RpcStub<Counter>;
  {
    using record = await api.record();
    equal(await api.alive(), 2);
    kept = (record.list[0] as unknown as RpcStub<Counter>).dup();
  }
  await until("one is disposed", async () => (await api.alive()) === 1);
  equal(await kept.add(2), 2);
  kept[Symbol.dispose]();
});

it("of a promise disposes what it gave", async ({ api }) => {
  const promise = api.make();
  const counter = await promise;
  promise[Symbol.dispose]();
  promise[Symbol.dispose]();
  throws(() => counter.add(1), { code: "capability-disposed" });
});

it("twice does nothing; use after it fails here", async ({ api }) => {
  const counter = await api.make();
  counter[Symbol.dispose]();
  counter[Symbol.dispose]();
  throws(() => counter.add(1), { code: "capability-disposed", delivery: "not-sent" });
  throws(() => api.pass(counter), { code: "capability-disposed", delivery: "not-sent" });
});

it("what is lent ends with the call", async ({ api }) => {
  const mine = new Counter();
  await api.hold(mine as never);
  const error = await fails(api.useHeld(), { type: "failed" });
  ok(/disposed before/.test(error.message), error.message);
  await until("it is disposed", () => mine.disposed === 1);
});

it("what is lent is kept by a dup", async ({ api }) => {
  const mine = new Counter();
  await api.keep(mine as never);
  equal(await api.useKept(), 1);
  equal(mine.disposed, 0);
  await api.drop();
  await until("it is disposed", () => mine.disposed === 1);
});

it("what is lent stays its owner's", async ({ api }) => {
  using counter = await api.make();
  using same = (await api.pass(counter)) as RpcStub<Counter>;
  same[Symbol.dispose]();
  equal(await counter.add(1), 1);
});

it("of a promise that is not answered cancels the call", async ({ api }) => {
  const promise = api.patient();
  const waiting = fails(promise, { code: "call-canceled" });
  await api.answer;
  promise[Symbol.dispose]();
  await waiting;
  await until("the method hears of it", async () => (await api.aborted) === "aborted");
});

it("of a promise leaves the calls on it alone", async ({ api }) => {
  let sum: PromiseLike<number>;
  {
    using counter = api.make();
    sum = counter.add(3);
  }
  equal(await sum, 3);
});

it("of what was just passed: the call takes it along", async ({ api }) => {
  const counter = await api.make();
  const kept = api.keep(counter);
  counter[Symbol.dispose]();
  await kept;
  equal(await api.useKept(), 1);
  await api.drop();
});
