// Scenarios about endings: cancellation, release to zero on both sides, a peer that is killed.

import { Bouncer, type Interop, type Node, Sample } from "./generated/interop.capnp.js";
import { serve } from "capstan/typed";
import { BouncerServer, Latch, NodeServer } from "./objects.js";
import { fiveDeep, mustFail, type Run, type Scenario } from "./scenario.js";
import { expect, hangForever, turn } from "./support.js";

// ---------------------------------------------------------------------------------------------------- cancellation

/** Starts a call that hangs on the server, drops it and waits until the server has seen it end. */
async function cancelOnServer(run: Run, server: Interop, drop: "dispose" | "abort"): Promise<void> {
  const before = await run.serverCounts();
  const controller = new AbortController();
  const hanging = server.hang({}, { signal: controller.signal });
  await run.eventually(
    "the call hangs",
    async () => (await run.serverCounts()).hanging === before.hanging + 1,
  );
  if (drop === "dispose") hanging[Symbol.dispose]();
  else controller.abort();
  await mustFail(hanging, "failed");
  await run.eventually("the server cancels", async () => {
    const now = await run.serverCounts();
    return now.hanging === before.hanging && now.canceled === before.canceled + 1;
  });
}

/** The server calls an object of the client; whatever ends the server's interest must cancel that call. */
async function cancelOnClient(
  run: Run,
  what: string,
  start: () => Promise<Disposable>,
): Promise<void> {
  const before = run.tally.canceled;
  {
    using _interest = await start();
    await run.eventually(what, () => run.tally.hanging === 1);
  }
  await run.eventually(
    `${what} ends`,
    () => run.tally.hanging === 0 && run.tally.canceled === before + 1,
  );
}

async function cancellation(run: Run): Promise<void> {
  using server = run.interop();
  await cancelOnServer(run, server, "dispose");
  await cancelOnServer(run, server, "abort");

  // A call is a promise, and an async function that returned one would wait for it: so each is returned in an object.
  const held = (call: Disposable): Disposable => ({
    [Symbol.dispose]: () => call[Symbol.dispose](),
  });
  await cancelOnClient(run, "a call forwarded by the server", async () => {
    using hanger = run.newHanger();
    return held(server.hangOn({ hanger }));
  });
  await cancelOnClient(run, "a call the server drops of itself", async () => {
    using hanger = run.newHanger();
    return await server.startHang({ hanger });
  });
  await cancelOnClient(run, "a tail call", async () => {
    using callback = run.newCallback((_value, context) => hangForever(run.tally, context));
    return held(server.tail({ callback }));
  });

  // Calls dropped as soon as they were made, with and without the answer on its way already.
  for (let i = 0; i < 1000; i++) {
    using _dropped = server.hello();
    using root = server.root();
    void root.node;
    if (i % 50 === 0) await turn();
  }

  // A chain dropped before its first link is answered.
  {
    const latch = new Latch();
    using gate = run.newGate(latch);
    {
      using gated = server.root({ gate });
      using deep = fiveDeep(gated.node);
      using _path = deep.path();
      await run.eventually("the gate is reached", () => latch.passed === 1);
    }
    latch.open();
  }
  await run.eventually(
    "nothing is left",
    async () => (await run.serverCounts()).objects === 0 && run.tally.objects === 0,
  );
}

// ---------------------------------------------------------------------------------------------------- release

async function releaseServerObjects(run: Run, server: Interop): Promise<void> {
  const objects = async (): Promise<number> => (await run.serverCounts()).objects;
  // In part, then all.
  const kept: Node[] = [];
  {
    using made = await server.makeNodes({ count: 1000 });
    expect(await objects(), 1000, "objects of the server");
    for (let i = 0; i < 500; i++) kept.push(made.nodes.get(i * 2).dup());
  }
  await run.eventually("half of the nodes are gone", async () => (await objects()) === 500);
  expect((await kept[499]!.path()).path, "998", "path");
  for (const node of kept) node[Symbol.dispose]();
  await run.eventually("all nodes are gone", async () => (await objects()) === 0);
}

async function releaseClientObjects(run: Run, server: Interop): Promise<void> {
  const marks: number[] = [];
  {
    const recorders = Array.from({ length: 1000 }, () => run.newRecorder(marks));
    using holding = await server.hold({ recorders });
    for (const recorder of recorders) recorder[Symbol.dispose]();
    expect(run.tally.objects, 1000, "objects lent");
    expect((await run.serverCounts()).held, 1000, "objects held");
    // Fetched back some, twice, and dropped again: the server's references must be the ones that remain.
    for (let i = 0; i < 200; i++) {
      using got = holding.holder.get({ index: i % 100 });
      await got.recorder.mark({ sequence: i });
    }
    expect(marks.length, 200, "marks");
    expect(run.tally.objects, 1000, "objects lent");
  }
  await run.eventually(
    "the server lets go",
    async () => run.tally.objects === 0 && (await run.serverCounts()).held === 0,
  );

  // One object sent and given back many times over, in many calls at once.
  {
    using recorder = run.newRecorder(marks);
    const calls = Array.from({ length: 500 }, () => server.return({ recorder }));
    for (const call of calls) {
      using _answer = await call;
    }
    expect(run.tally.objects, 1, "objects lent");
  }
  await run.eventually("the recorder is gone", () => run.tally.objects === 0);
}

async function release(run: Run): Promise<void> {
  using server = run.interop();
  await releaseServerObjects(run, server);
  await releaseClientObjects(run, server);

  // The parameters of calls that fail, that are refused, and that are canceled.
  for (let i = 0; i < 100; i++) {
    using failing = server.exchange({
      sample: Sample.ordinary,
      value: { object: new NodeServer(run.tally, "lost") },
    });
    using wrong = server.castAs(Bouncer);
    using other = serve(Bouncer, new BouncerServer(run.tally, "refused"));
    using refused = wrong.bounce({ other });
    using recorder = run.newRecorder([]);
    server.return({ recorder })[Symbol.dispose]();
    await mustFail(failing, "failed");
    await mustFail(refused, "unimplemented");
  }
  await run.eventually("the parameters are gone", () => run.tally.objects === 0);

  // Results that nobody reads, and an object referenced only by an answer that is still pipelined upon.
  for (let i = 0; i < 100; i++) {
    using _unread = await server.root();
  }
  {
    using root = server.root();
    using deep = fiveDeep(root.node);
    expect((await deep.path()).path, "root/a/b/c/d/e", "path");
  }
  await run.eventually("nothing is left", async () => (await run.serverCounts()).objects === 0);
}

// ---------------------------------------------------------------------------------------------------- a peer that is killed

/** The server kills itself while calls of every kind are under way: each fails as disconnected, and what it held is let go. */
async function killServer(run: Run): Promise<void> {
  {
    using server = run.interop();
    using root = await server.root();
    using recorder = run.newRecorder([]);
    using _holding = await server.hold({ recorders: [recorder] });

    const hanging = server.hang();
    using callback = run.newCallback((_value, context) => hangForever(run.tally, context));
    const calling = server.callBack({ count: 1, callback });
    await run.eventually("the server has called back", () => run.tally.hanging === 1);

    await Promise.all([
      mustFail(server.die(), "disconnected"),
      mustFail(hanging, "disconnected"),
      mustFail(calling, "disconnected"),
    ]);
    await mustFail(root.node.path(), "disconnected");
    await mustFail(server.hello(), "disconnected");
  }
  await run.eventually(
    "the lent objects are let go",
    () => run.tally.objects === 0 && run.tally.hanging === 0,
  );
}

/**
 * Two clients of one server: this one is killed while the server calls it, while it calls the server, and while either holds
 * objects of the other.
 */
async function killClientVictim(run: Run): Promise<void> {
  using server = run.interop();
  using _nodes = await server.makeNodes({ count: 10 });
  const recorders = Array.from({ length: 10 }, () => run.newRecorder([]));
  using _holding = await server.hold({ recorders });
  using _hanging = server.hang();
  using hanger = run.newHanger();
  await server.abandonHang({ hanger });
  await run.eventually("all is under way", async () => {
    const counts = await run.serverCounts();
    return (
      run.tally.hanging === 1 && counts.hanging === 1 && counts.objects === 11 && counts.held === 10
    );
  });
  process.kill(process.pid, "SIGKILL");
  await new Promise(() => {});
}

/** And this one looks at the server after that. */
async function killClientSurvivor(run: Run): Promise<void> {
  await run.eventually("the server has let go", async () => {
    const { objects, hanging, canceled, held, hangsLost } = await run.serverCounts();
    return objects === 0 && hanging === 0 && canceled === 1 && held === 0 && hangsLost === 1;
  });
  using server = run.interop();
  expect((await server.hello({ name: "survivor" })).greeting, "Hello, survivor!", "greeting");
}

export const ENDING_SCENARIOS: Record<string, Scenario> = {
  cancellation,
  release,
  "kill-server": killServer,
  "kill-client-victim": killClientVictim,
  "kill-client-survivor": killClientSurvivor,
};
