// E-order: what is called on one reference arrives in order, through promises and resolutions, and around by the peer.

import { RpcStub } from "../../../src/index.js";
import { Counter } from "../objects.js";
import { equal, scenario, until } from "../harness.js";

const it = scenario("order");

it("of calls on one stub is the order in which they were written", async ({ api }) => {
  void api.say("a");
  const b = api.say("b");
  using word = api.echo("c");
  void api.say(word);
  void api.self.say("d");
  await Promise.all([b, api.say("e")]);
  equal([...(await api.said)], ["a", "b", "c", "d", "e"]);
});

it("holds through a promise that turns out to be an object of ours", async ({ api }) => {
  const mine = new Counter();
  using promise = api.echoLater(mine as never);
  void promise.add(1);
  void promise.add(2);
  await api.answer;
  const value = promise.then((counter) => counter.add(4));
  void promise.add(3);
  await api.release();
  await value;
  equal(mine.log, [1, 2, 3, 4]);
});

it("holds while the resolution is on its way", async ({ api }) => {
  const mine = new Counter();
  using promise = api.echoLater(mine as never);
  using stub = promise.dup();
  void stub.add(1);
  await api.answer;
  void api.release();
  for (let n = 2; n < 40; n++) {
    void stub.add(n);
    if (n % 4 === 0) await api.answer;
  }
  await until("all came", () => mine.log.length === 39);
  equal(
    mine.log,
    Array.from({ length: 39 }, (_, i) => i + 1),
  );
});

it("holds between a path into a result and the stub that came in it", async ({ api }) => {
  const theirs = new Counter();
  using home = new RpcStub(theirs);
  using promise = api.wrap(home);
  void promise.counter.add(1);
  const { counter } = await promise;
  void promise.counter.add(2);
  void (counter as unknown as RpcStub<Counter>).add(3);
  void promise.counter.add(4);
  await until("all came", () => theirs.log.length === 4);
  equal(theirs.log, [1, 2, 3, 4]);
});
