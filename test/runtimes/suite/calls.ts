// Calls and properties: what is called, what travels, how much of it.

import type { RpcPromise, RpcStub } from "../../../src/index.js";
import type { Api } from "../objects.js";
import { equal, scenario } from "../harness.js";

const it = scenario("calls");

it("give results: at once, later, none", async ({ api }) => {
  equal(await api.echo("hello"), "hello");
  equal(await api.later(1), 2);
  equal(await api.nothing(), undefined);
  equal(await api.count(1, undefined, null, [], {}), 5);
  equal(await api.count(), 0);
});

it("are made when they are written, awaited or not, and in that order", async ({ api }) => {
  void api.say(1);
  const second = api.say(2);
  void api.say(3);
  await second;
  equal([...(await api.said)], [1, 2, 3]);
});

it("take their arguments as they are when they are written", async ({ api }) => {
  const list = [1];
  const answer = api.echo(list);
  list.push(2);
  equal(await answer, [1]);
});

it("a thousand of them run side by side", async ({ api }) => {
  const answers = await Promise.all(Array.from({ length: 1000 }, (_, i) => api.later(i)));
  equal(
    answers,
    Array.from({ length: 1000 }, (_, i) => i + 1),
  );
});

it("carry a megabyte, both ways", async ({ api }) => {
  const bytes = await api.bytes(1_000_000);
  equal([bytes.length, bytes[0], bytes[999_999]], [1_000_000, 7, 7]);
  equal(await api.size(new Uint8Array(1_000_000)), 1_000_000);
});

it("properties are asked for when they are awaited, each time anew", async ({ api }) => {
  const { said } = api;
  equal([...(await said)], []);
  await api.say("a");
  equal([...(await said)], ["a"]);
  equal(await api.answer, 42);
  equal(await api.nested.deep.list[1]!, "b");
  equal(await api.self.self.answer, 42);
});

it("a method that is asked for as a property is a function, bound to its object", async ({
  api,
}) => {
  using say = (await (api.say as unknown as RpcPromise<Api["say"]>)) as RpcStub<Api["say"]>;
  await say("x");
  equal([...(await api.said)], ["x"]);
});
