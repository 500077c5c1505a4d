// Connections that end: every stub breaks once, for good, with the cause.

import { RpcStub } from "../../../src/index.js";
import { Counter } from "../objects.js";
import { equal, fails, scenario, until } from "../harness.js";

const it = scenario("broken");

it("the peer hangs up: calls under way fail, stubs break, and say so once", async ({
  api,
  session,
}) => {
  const counter = await api.make();
  const told: string[] = [];
  api.onRpcBroken((error) => told.push(`api ${error.type}`));
  counter.onRpcBroken((error) => told.push(`counter ${error.type}`));
  const waiting = fails(api.never(), {
    type: "disconnected",
    method: "never",
    delivery: "unknown",
  });
  await api.answer;
  await fails(api.hangUp(), { type: "disconnected" }).catch(() => {});
  await waiting;
  await session.closed;
  await until("both are told", () => told.length === 2);
  equal(told.sort(), ["api disconnected", "counter disconnected"]);
  await fails(counter.add(1), { type: "disconnected", delivery: "not-sent", method: "add" });
  counter[Symbol.dispose]();
});

it("we hang up: the same", async ({ api, session }) => {
  const broken = new Promise<{ code: string }>((resolve) => api.onRpcBroken(resolve));
  const waiting = fails(api.never(), { type: "disconnected" });
  await api.answer;
  await session.close();
  await waiting;
  equal((await broken).code, "connection-closed");
  await fails(api.answer, { type: "disconnected", delivery: "not-sent" });
});

it("what the peer had of us is disposed", async ({ api, session }) => {
  const mine = new Counter();
  await api.keep(mine as never);
  equal(mine.disposed, 0);
  await session.close();
  await until("it is disposed", () => mine.disposed === 1);
});

it("a signal that was given aborts: nobody can say any more whether it does", async ({
  api,
  session,
}) => {
  const { signal } = await api.ends();
  await session.close();
  await until("it aborts", () => signal.aborted);
  equal((signal.reason as { type: string }).type, "disconnected");
});

it("a stub of ours lives on", async ({ api, session }) => {
  using mine = new RpcStub(new Counter());
  equal(await api.addTo(mine, 2), 2);
  await session.close();
  equal(await mine.add(1), 3);
});
