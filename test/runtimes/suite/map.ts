// map: a callback recorded here and run there.

import { RpcStub } from "../../../src/index.js";
import { equal, fails, ok, scenario } from "../harness.js";

const it = scenario("map");

it("runs at the other side: calls, properties, captures, values around them", async ({ api }) => {
  using users = api.users();
  equal(await users.map((id) => ({ id, name: api.user(id).name, fixed: [1] })), [
    { id: 1, name: "user 1", fixed: [1] },
    { id: 2, name: "user 2", fixed: [1] },
    { id: 3, name: "user 3", fixed: [1] },
  ]);
});

it("takes a promise from outside, and functions of this side", async ({ api }) => {
  using users = api.users();
  using word = api.echo("hi");
  const seen: number[] = [];
  using noted = new RpcStub((n: number) => seen.push(n));
  equal(
    await users.map((id) => ({ text: api.user(id).greet(word as never), n: noted(id as never) })),
    [
      { text: "hi user 1", n: 1 },
      { text: "hi user 2", n: 2 },
      { text: "hi user 3", n: 3 },
    ],
  );
  equal(seen, [1, 2, 3]);
});

it("nests", async ({ api }) => {
  using users = api.users();
  const lists = await users.map((id) =>
    api
      .user(id)
      .friends()
      .map((friend) => ({ of: id, friend: api.user(friend).name })),
  );
  equal(lists[1], [
    { of: 2, friend: "user 3" },
    { of: 2, friend: "user 4" },
  ]);
});

it("of null is null", async ({ api }) => {
  using nobody = api.nobody();
  equal(await nobody.map((id) => id), null);
});

it("fails when a step that the result needs fails", async ({ api }) => {
  using users = api.users();
  await fails(
    users.map((id) => api.failsFor(id)),
    { message: "two" },
  );
});

it("refuses what cannot be recorded, here", async ({ api }) => {
  using users = api.users();
  let said = "";
  try {
    void users.map(async (id) => id);
  } catch (error) {
    said = (error as Error).message;
  }
  ok(/cannot be async/.test(said), said);
  equal(await users, [1, 2, 3]);
});
