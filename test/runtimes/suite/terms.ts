// Classes of one's own by value, where both sides have a codec; and errors of registered classes.

import { RpcError, RpcStub, type Session } from "../../../src/index.js";
import { equal, fails, ok, scenario, throws } from "../harness.js";
import type { Api } from "../objects.js";
import { Money, OutOfStock, TYPES } from "../shop.js";

const it = scenario("terms");

/** An object whose stubs know the classes. */
const typed = (session: Session): RpcStub<Api> =>
  new RpcStub<Api>(session.bootstrap(), { types: TYPES });

it("an object of a class with a codec comes as one, either way", async ({ session }) => {
  using api = typed(session);
  using shop = api.shop();
  const price = await shop.price();
  ok(price instanceof Money, "it is Money");
  equal(price.cents, 250);
  const sum = await shop.sum(new Money(1), price);
  ok(sum instanceof Money && sum.cents === 251, "the sum is Money");
  const { list } = (await api.echo({ list: [price, price] })) as { list: Money[] };
  ok(list[0] instanceof Money && list[0] === list[1], "it is one object");
});

it("an error of a registered class is caught as one, with what it has", async ({ session }) => {
  using api = typed(session);
  using shop = api.shop();
  const error = await shop.buy("tea").then(
    () => null,
    (thrown: unknown) => thrown,
  );
  ok(error instanceof OutOfStock, String(error));
  equal([(error as OutOfStock).item, (error as Error).message], ["tea", "no tea left"]);
  equal(RpcError.of(error)?.method, "buy");
});

it("a stream has the terms of what it came through: its chunks, and why it failed", async ({
  session,
}) => {
  using api = typed(session);
  using shop = api.shop();
  const reader = (await shop.failing("milk")).getReader();
  ok((await reader.read()).value instanceof Money, "a chunk is Money");
  const error = await reader.read().then(
    () => null,
    (thrown: unknown) => thrown,
  );
  ok(error instanceof OutOfStock && error.item === "milk", String(error));
});

it("who has not registered a class cannot send it, nor read it; its errors are plain ones", async ({
  api,
}) => {
  using shop = api.shop();
  ok(/Money/.test(throws(() => shop.sum(new Money(1)), { code: "unsendable-value" }).message), "");
  await fails(shop.price(), { type: "failed" });
  await fails(shop.buy("tea"), { code: "remote-exception", message: "no tea left" });
});
