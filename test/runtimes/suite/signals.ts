// Calls that are given up: signals and deadlines of calls, AbortSignals as arguments and results.

import { equal, fails, ok, pause, scenario, until } from "../harness.js";

const it = scenario("signals");

it("of a call reaches the method's context", async ({ api }) => {
  const controller = new AbortController();
  const waiting = fails(api.with({ signal: controller.signal }).patient(), {
    code: "call-canceled",
  });
  await api.answer;
  controller.abort();
  await waiting;
  await until("the method hears of it", async () => (await api.aborted) === "aborted");
});

it("one that has aborted sends nothing", async ({ api }) => {
  const stub = api.with({ signal: AbortSignal.abort() });
  await fails(stub.say("x"), { code: "call-canceled", delivery: "not-sent" });
  equal([...(await api.said)], []);
});

it("a deadline ends a call", async ({ api }) => {
  const stub = api.with({ deadline: Date.now() + 50 });
  await fails(stub.patient(), { code: "deadline-exceeded" });
  await until("the method hears of it", async () => (await api.aborted) === "aborted");
});

it("as an argument aborts at the other side, with its reason", async ({ api }) => {
  const controller = new AbortController();
  const waiting = fails(api.work(controller.signal), { message: "enough" });
  await api.answer;
  controller.abort(new RangeError("enough"));
  await waiting;
});

it("as an argument is lent: it follows no longer than the call", async ({ api }) => {
  const controller = new AbortController();
  const working = api.work(controller.signal);
  await api.answer;
  await api.release();
  equal(await working, "done");
  controller.abort();
  await pause(1);
});

it("that has aborted arrives aborted", async ({ api }) => {
  equal(await api.look(AbortSignal.abort("why")), "why");
  const reason = (await api.look(AbortSignal.abort())) as DOMException;
  ok(reason instanceof DOMException, "the reason is a DOMException");
  equal(reason.name, "AbortError");
});

it("in a result aborts here, until that is disposed", async ({ api }) => {
  const first = await api.ends();
  const second = await api.ends();
  second[Symbol.dispose]();
  await api.end("over");
  await until("it aborts", () => first.signal.aborted);
  equal(first.signal.reason, "over");
  equal(second.signal.aborted, false);
  first[Symbol.dispose]();
});
