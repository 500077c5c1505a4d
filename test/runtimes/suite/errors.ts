// What fails, and what it says of itself.

import type { RpcStub, RpcTarget } from "../../../src/index.js";
import { equal, fails, ok, scenario, throws } from "../harness.js";

const it = scenario("errors");

interface Others extends RpcTarget {
  missing(): void;
  nested(): void;
}

it("what a method throws arrives with its message, what was called, and that it ran", async ({
  api,
}) => {
  await fails(api.fail("out of range"), {
    type: "failed",
    code: "remote-exception",
    message: "out of range",
    method: "fail",
    delivery: "started",
  });
});

it("an error is a value as well", async ({ api }) => {
  const error = await api.failWithErrorAsValue();
  ok(error instanceof TypeError, "it is a TypeError");
  equal([error.message, (error.cause as Error).message], ["a value", "why"]);
});

it("what is not there, or is no function, is unimplemented", async ({ api }) => {
  const others = api as unknown as RpcStub<Others>;
  await fails(others.missing(), { type: "unimplemented" });
  await fails(others.nested(), { type: "unimplemented", message: "nested is not a function" });
});

it("own properties and what prototypes have cannot be reached", async ({ api }) => {
  const others = api as unknown as Record<"secret" | "toString" | "hasOwnProperty", () => never>;
  await fails(others.secret(), { type: "unimplemented" });
  equal(
    [others.hasOwnProperty, (others as unknown as RpcTarget)["__proto__" as never]],
    [undefined, undefined],
  );
  await fails((api as unknown as { secret: PromiseLike<unknown> }).secret, {
    type: "unimplemented",
  });
});

it("an argument that cannot travel throws where it is written, with the path", async ({ api }) => {
  const error = throws(() => api.echo({ user: { socket: new WeakMap() } }), {
    code: "unsendable-value",
  });
  ok(/args\[0\]\.user\.socket/.test(error.message), error.message);
});

it("a result that cannot travel fails, with the path", async ({ api }) => {
  const error = await fails(api.unsendable(), { type: "failed" });
  ok(/result\.map/.test(error.message), error.message);
});

it("an error leaves the session as it was", async ({ api }) => {
  const all = await Promise.allSettled([api.fail("a"), api.later(1), api.fail("b"), api.later(2)]);
  equal(
    all.map(({ status }) => status),
    ["rejected", "fulfilled", "rejected", "fulfilled"],
  );
});
