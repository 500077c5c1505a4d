// Scenarios about capabilities: pipelining, passing them both ways, callbacks.

import { identity } from "capstan/node";
import { Node, type Recorder } from "./generated/interop.capnp.js";
import { Latch } from "./objects.js";
import { fiveDeep, mustFail, type Run, type Scenario } from "./scenario.js";
import { expect } from "./support.js";

// ---------------------------------------------------------------------------------------------------- pipelining

async function mustBePath(node: Node, path: string): Promise<void> {
  expect((await node.path()).path, path, "path");
}

async function pipelining(run: Run): Promise<void> {
  using server = run.interop();
  {
    using root = server.root();
    using deep = fiveDeep(root.node);
    await mustBePath(deep, "root/a/b/c/d/e");
  }

  // The server cannot answer the first call before the gate opens, and it opens only after all six were sent.
  const latch = new Latch();
  using gate = run.newGate(latch);
  using gated = server.root({ gate });
  using deep = fiveDeep(gated.node);
  const path = mustBePath(deep, "root/a/b/c/d/e");
  await run.eventually("the gate is reached", () => latch.passed === 1);
  latch.open();
  await path;

  // Pipelined calls keep their order, and so do those of both sides' making.
  const marks: number[] = [];
  using recorder = run.newRecorder(marks);
  expect((await server.markTwice({ recorder, first: 41 })).second, 1, "position of the second");
  expect(marks.join(), "41,42", "marks");
}

async function earlyPipelining(run: Run): Promise<void> {
  // The method has not answered, yet what was pipelined on its result is served.
  using server = run.interop();
  const latch = new Latch();
  using gate = run.newGate(latch);
  using call = server.rootEarly({ gate });
  using deep = fiveDeep(call.node);
  await mustBePath(deep, "root/a/b/c/d/e");
  latch.open();
  await mustBePath((await call).node, "root");
}

// ---------------------------------------------------------------------------------------------------- passing

async function capabilities(run: Run): Promise<void> {
  using server = run.interop();
  const marksOf: number[][] = [[], [], []];
  const recorders = marksOf.map((marks) => run.newRecorder(marks));
  const [one, two, three] = recorders as [Recorder, Recorder, Recorder];

  // A list with a null in it and one capability twice; each comes back as the same object.
  const order = [three, one, null, two, one];
  using hold = server.hold({ recorders: order });
  for (const [index, sent] of order.entries()) {
    using got = await hold.holder.get({ index });
    if (sent !== null)
      expect(identity(got.recorder._hook!, sent._hook!), "same", `recorder ${index}`);
  }

  {
    using all = await hold.holder.all();
    expect(all.recorders.length, 5, "recorders");
    for (const [index, sent] of order.entries())
      if (sent !== null) await all.recorders.get(index).mark({ sequence: index });
    expect(JSON.stringify(marksOf), "[[1,4],[3],[0]]", "marks");
    await mustFail(all.recorders.get(2).mark(), "failed");
  }
  for (const recorder of recorders) recorder[Symbol.dispose]();

  // Many objects of the server in one answer; and one of them given back to it as a parameter.
  using made = await server.makeNodes({ count: 100 });
  await Promise.all(made.nodes.map((node, i) => mustBePath(node, String(i))));
  using identical = server.identity({ value: made.nodes.get(7) }, { types: [Node] });
  await mustBePath(identical.value, "7");

  // A promise as a parameter, before it is known what it will be.
  const latch = new Latch();
  using gate = run.newGate(latch);
  using unresolved = server.root({ gate });
  using echo = server.identity({ value: unresolved.node }, { types: [Node] });
  const path = mustBePath(echo.value, "root");
  latch.open();
  await path;
}

// ---------------------------------------------------------------------------------------------------- callbacks

async function callbacks(run: Run): Promise<void> {
  using server = run.interop();
  const values: number[] = [];

  // Each call of the callback calls the server again, with a callback of its own, before it answers.
  using callback = run.newCallback(async (value) => {
    values.push(value);
    using inner = run.newCallback((innerValue) => ({ value: innerValue * 10 }));
    const { sum } = await server.callBack({ count: 3, callback: inner });
    expect(sum, 30n, "inner sum");
    return { value: value * 2 };
  });
  const { sum } = await server.callBack({ count: 100, callback });
  expect(sum, 9900n, "sum");

  // In their order, the first half because each was waited for and the second because they were sent so.
  expect(values.join(), Array.from({ length: 100 }, (_, i) => i).join(), "values");
}

export const OBJECT_SCENARIOS: Record<string, Scenario> = {
  pipelining,
  "early-pipelining": earlyPipelining,
  capabilities,
  callbacks,
};
