// What is called before it is there: on promises, through them, with them as arguments.

import { equal, fails, scenario } from "../harness.js";

const it = scenario("pipelining");

it("a chain of calls, to any depth", async ({ api }) => {
  using counter = api.make();
  using self = counter.self();
  using again = self.self();
  equal(await again.add(4), 4);
  equal(await counter.count, 4);
});

it("a chain of 300 calls", async ({ api }) => {
  const steps = [api.make()];
  for (let i = 0; i < 300; i++) steps.push(steps.at(-1)!.self());
  equal(await steps.at(-1)!.add(1), 1);
  for (const step of steps) step[Symbol.dispose]();
});

it("through members of plain values", async ({ api }) => {
  using record = api.record();
  const name = record.user.name;
  const count = record.user.counter.add(2);
  const first = record.list[0]!.add(7);
  equal(await Promise.all([name, count, first]), ["ada", 2, 7]);
});

it("the promise of a function is called", async ({ api }) => {
  using adder = api.adder(5);
  equal(await adder(1), 6);
});

it("waits for a method that takes its time", async ({ api }) => {
  using counter = api.slowly();
  const one = counter.add(1);
  const two = counter.add(2);
  await api.answer;
  await api.release();
  equal(await Promise.all([one, two]), [1, 3]);
});

it("fails with the failure of the call it was made on", async ({ api }) => {
  using counter = api.noCounter();
  await fails(counter.add(1), { message: "no counter" });
  await fails(counter, { message: "no counter" });
});

it("a result is awaited and called through in one turn", async ({ api }) => {
  using promise = api.make();
  const [counter, count] = await Promise.all([promise, promise.add(3)]);
  equal(count, 3);
  equal(await counter.add(1), 4);
});

it("a promise that was awaited is called through later", async ({ api }) => {
  using promise = api.record();
  const record = await promise;
  equal(await promise.user.counter.add(2), 2);
  equal(await record.user.counter.add(3), 5);
});

it("promises as arguments arrive as their values, anywhere in the value", async ({ api }) => {
  using two = api.sum(1, 1);
  using record = api.record();
  equal(await api.sum(1, two, { n: two }, { n: record.size }), 8);
});

it("promises of objects as arguments are the objects", async ({ api }) => {
  using counter = api.make();
  equal(await api.addTo(counter, 5), 5);
  equal(await counter.count, 5);
});

it("a promise as an argument that fails, fails the call", async ({ api }) => {
  using bad = api.noCounter();
  await fails(api.sum(bad as never), { message: "no counter" });
});

it("a promise as an argument holds up its own call alone", async ({ api }) => {
  using slow = api.slowly();
  const behind = api.addTo(slow, 3);
  equal(await api.later(1), 2);
  await api.release();
  equal(await behind, 3);
});
