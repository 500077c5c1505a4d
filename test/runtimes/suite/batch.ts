// HTTP batches: the calls of one turn in one POST, by nothing but fetch.

import { connect, RpcStub, type Session } from "../../../src/index.js";
import { equal, fails, scenario } from "../harness.js";
import type { Api } from "../objects.js";

const it = scenario("batch");

/** Runs `work` in a batch, which must have ended after it. */
async function inBatch(
  http: string,
  work: (api: RpcStub<Api>, session: Session) => Promise<void>,
): Promise<void> {
  await using session = await connect(http);
  using api = session.bootstrap(RpcStub<Api>);
  await work(api, session);
}

it("all calls of a turn, and what is pipelined on them, take one POST", async ({ http }) => {
  let posts = 0;
  await using session = await connect(http, {
    fetch: (url, init) => {
      posts++;
      return fetch(url, init);
    },
  });
  using api = session.bootstrap(RpcStub<Api>);
  using user = api.user(7);
  const results = await Promise.all([
    api.sum(1, 2),
    user.greet("hi"),
    api.users().map((id) => api.user(id).name),
    api.nested.deep.list,
    api.later(5),
  ]);
  equal(results, [3, "hi user 7", ["user 1", "user 2", "user 3"], ["a", "b"], 6]);
  equal(posts, 1);
});

it("each call fails by itself", async ({ http }) => {
  await inBatch(http, async (api) => {
    const results = await Promise.allSettled([api.sum(1, 1), api.fail("no"), api.sum(2, 2)]);
    equal(
      results.map((one) =>
        one.status === "fulfilled" ? one.value : (one.reason as Error).message,
      ),
      [2, "no", 4],
    );
  });
});

it("values of every kind pass, and so many bytes", async ({ http }) => {
  await inBatch(http, async (api) => {
    const value = { map: new Map([[1n, new Date(5)]]), bytes: new Uint8Array(200_000).fill(7) };
    const [back, size] = await Promise.all([api.echo(value), api.size(value.bytes)]);
    equal(back, value);
    equal(size, 200_000);
  });
});

it("what cannot work says so: a function of ours, a call that comes too late", async ({ http }) => {
  await inBatch(http, async (api) => {
    const called = api.apply((x) => x, 1);
    const [sum] = await Promise.all([api.sum(1, 1), fails(called, { code: "no-callbacks" })]);
    equal(sum, 2);
    await fails(api.sum(1, 1), { code: "batch-over", delivery: "not-sent" });
  });
});
