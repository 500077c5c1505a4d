// Scenarios in which a call comes back to the side it left: promises that turn out to be the caller's own object (embargoes and
// reflected calls) and tail calls.

import { RpcError } from "capstan/node";
import { serve, whenResolved } from "capstan/typed";
import { Bouncer, Callback, type Recorder } from "./generated/interop.capnp.js";
import { BouncerServer, Latch } from "./objects.js";
import { fiveDeep, mustFail, type Run, type Scenario } from "./scenario.js";
import { expect, sleep, turn } from "./support.js";

// ---------------------------------------------------------------------------------------------------- embargoes

/**
 * Marks 0 .. count - 1 on a promise for a recorder of this client, and calls `resolve` amid them. Time passes between the
 * marks, so that some are sent before the resolution is known here, some while the embargo holds, some after. All must arrive
 * in order.
 */
async function markAcrossResolution(
  promise: Recorder,
  marks: number[],
  resolve: () => void,
): Promise<void> {
  const count = 400;
  const answers: Promise<void>[] = [];
  const mark = async (sequence: number): Promise<void> =>
    expect((await promise.mark({ sequence })).position, sequence, "position of a mark");
  for (let i = 0; i < count; i++) {
    if (i === count / 4) resolve();
    answers.push(mark(i));
    if (i % 4 === 3) await turn();
  }
  await Promise.all(answers);
  expect(marks.length, count, "number of marks");
  for (const [i, sequence] of marks.entries()) expect(sequence, i, "order of the marks");

  await whenResolved(promise);
  await mark(count);
}

/** The answer to a call turns out to hold the caller's object, with calls pipelined on it. */
async function embargoAnswer(run: Run): Promise<void> {
  using server = run.interop();
  for (let round = 0; round < 5; round++) {
    const marks: number[] = [];
    using recorder = run.newRecorder(marks);
    using call = server.return({ recorder });
    await markAcrossResolution(call.recorder, marks, () => {});
  }
}

/** A promise that has long arrived is resolved, by a Resolve message, to the caller's object. */
async function embargoResolve(run: Run): Promise<void> {
  using server = run.interop();
  for (let round = 0; round < 5; round++) {
    const marks: number[] = [];
    const latch = new Latch();
    using recorder = run.newRecorder(marks);
    using gate = run.newGate(latch);
    using answer = await server.returnLater({ recorder, gate });
    await markAcrossResolution(answer.recorder, marks, latch.open);
  }

  // Two such promises at once, and the caller's object passed on as one of them: promise of a promise of its own object.
  const marks: number[] = [];
  using recorder = run.newRecorder(marks);
  const latch = new Latch();
  using gate = run.newGate(latch);
  const outerLatch = new Latch();
  using outerGate = run.newGate(outerLatch);
  using inner = server.returnLater({ recorder, gate });
  using outer = server.returnLater({ recorder: inner.recorder, gate: outerGate });
  await markAcrossResolution(outer.recorder, marks, () => {
    outerLatch.open();
    latch.open();
  });
}

// ---------------------------------------------------------------------------------------------------- reflected calls

async function reflectedCalls(run: Run): Promise<void> {
  using server = run.interop();

  // Pipelined on an answer that will be the caller's object: the calls travel to the server and back, and so do their results,
  // with what is pipelined on these in turn.
  using own = run.newCallback((value) => {
    if (value >= 100) throw new Error("the client refuses");
    return { value: value + 1, node: run.newNode(`own${value}`) };
  });
  using call = server.identity({ value: own }, { types: [Callback] });
  const promise = call.value;
  const one = async (i: number): Promise<void> => {
    using answer = promise.call({ value: i });
    using child = answer.node.child({ name: "child" });
    const path = child.node.path();
    expect((await answer).value, i + 1, "value");
    expect((await path).path, `own${i}/child`, "path");
  };
  const answers = Array.from({ length: 20 }, (_, i) => one(i));
  using refusal = promise.call({ value: 100 });
  const behindRefusal = refusal.node.path();
  await Promise.all(answers);
  await mustFail(refusal, "failed", "the client refuses");
  await mustFail(behindRefusal, "failed", "the client refuses");

  // A promise that breaks: the calls in flight fail with its error, and so do later ones.
  const latch = new Latch();
  using gate = run.newGate(latch);
  using broken = await server.returnBroken({ gate, reason: "broken on purpose" });
  const inFlight = broken.recorder.mark();
  latch.open();
  await mustFail(inFlight, "overloaded", "broken on purpose");
  await mustFail(broken.recorder.mark(), "overloaded", "broken on purpose");
}

// ---------------------------------------------------------------------------------------------------- tail calls

async function tailCalls(run: Run): Promise<void> {
  using server = run.interop();

  // The server's method ends in a call of the client's object, whose results are the client's answer.
  const latch = new Latch();
  {
    using callback = run.newCallback(async (value) => {
      await latch.opened;
      return { value: value * 100, node: run.newNode("tail") };
    });
    using answer = server.tail({ value: 5, callback });
    using deep = fiveDeep(answer.node);
    const path = deep.path();
    await sleep(20);
    latch.open();
    expect((await answer).value, 500, "value of the tail call");
    expect((await path).path, "tail/a/b/c/d/e", "path behind the tail call");
  }

  // An error of the callee.
  using failing = run.newCallback(() => {
    throw new RpcError("overloaded", "method-failed", "no more");
  });
  await mustFail(server.tail({ callback: failing }), "overloaded", "no more");

  // A method of the client that ends in a call of the server's object, the server being the caller.
  using made = server.bouncer();
  const { bouncer } = made;
  using ending = run.newCallback((_value, context) => context.tailCall(bouncer).bounce());
  await server.callBack({ count: 10, callback: ending });

  // Tail calls that go to and fro between the sides, to an even and to an odd depth.
  for (const depth of [0, 1, 2, 3, 6, 15]) {
    using other = serve(Bouncer, new BouncerServer(run.tally, "client"));
    using answer = bouncer.bounce({ other, depth });
    const end = answer.node.path();
    expect((await end).path, depth % 2 === 0 ? "server" : "client", `end at depth ${depth}`);
    await answer;
  }
}

export const REFLECTION_SCENARIOS: Record<string, Scenario> = {
  "embargo-answer": embargoAnswer,
  "embargo-resolve": embargoResolve,
  "reflected-calls": reflectedCalls,
  "tail-calls": tailCalls,
};
