// Scenarios about values: bootstrap, fields of every type, errors.

import { CallRequest, connect, emptyPayload, RpcError, type RpcErrorType } from "capstan/node";
import { Text } from "capstan/typed";
import { checkSample, writeSample } from "./everything.js";
import {
  Basics,
  type Cell,
  Interop,
  Node,
  Point,
  Recorder,
  Sample,
} from "./generated/interop.capnp.js";
import { NodeServer } from "./objects.js";
import { mustFail, type Run, type Scenario } from "./scenario.js";
import { expect } from "./support.js";

async function bootstrap(run: Run): Promise<void> {
  using first = run.interop();
  expect((await first.hello({ name: "world" })).greeting, "Hello, world!", "greeting");

  // A connection can be asked for its bootstrap object again, and while the first answer is still under way.
  using second = run.interop();
  using third = run.interop();
  const early = third.hello({ name: "again" });
  expect((await second.hello({ name: "" })).greeting, "Hello, !", "greeting");
  expect((await early).greeting, "Hello, again!", "greeting");

  // A second connection to the same server.
  await using other = await connect(run.address);
  using there = other.bootstrap(Interop);
  expect((await there.hello({ name: "there" })).greeting, "Hello, there!", "greeting");
}

async function exchangeSample(run: Run, server: Interop, sample: Sample): Promise<void> {
  const makeNode = (path: string): NodeServer => new NodeServer(run.tally, path);
  using response = await server.exchange((params) => {
    params.sample = sample;
    writeSample(params.initValue(), sample, makeNode);
  });
  await checkSample(response.value, sample);

  using copied = await server.copy((params) => writeSample(params.initValue(), sample, makeNode));
  await checkSample(copied.value, sample);
}

async function fields(run: Run): Promise<void> {
  using server = run.interop();
  for (const sample of [Sample.empty, Sample.ordinary, Sample.extreme])
    await exchangeSample(run, server, sample);

  // No value at all: a null pointer reads as the empty sample.
  using nothing = await server.exchange({ sample: Sample.empty });
  await checkSample(nothing.value, Sample.empty);

  // A generic method, with a text, a struct and a capability in place of T.
  using text = await server.identity({ value: "generic" }, { types: [Text] });
  expect(text.value, "generic", "text through identity");
  using point = await server.identity({ value: { y: -77 } }, { types: [Point] });
  expect(point.value.y, -77, "struct through identity");
  using own = run.newNode("own");
  using object = server.identity({ value: own }, { types: [Node] });
  expect((await object.value.path()).path, "own", "capability through identity");

  // An object of a generic interface.
  using made = server.makeCell({ initial: "one" });
  const cell: Cell<string> = made.cell;
  const previous = cell.set_({ value: "two" });
  const value = cell.get();
  expect((await previous).previous, "one", "previous value of the cell");
  expect((await value).value, "two", "value of the cell");
}

/** A method and an interface that the server does not have. */
async function callUnknown(server: Interop): Promise<void> {
  using wrongInterface = server.castAs(Recorder);
  await mustFail(wrongInterface.mark(), "unimplemented");
  const { hi, lo } = Basics._capnp;
  const results = server._hook!.call(new CallRequest(hi, lo, 4711, emptyPayload()));
  const error = await new Promise<RpcError | null>((resolve) => {
    results.observe({ immediate: false, resultsSettled: (done) => resolve(done.error) });
  });
  results.cancel();
  expect(error?.type, "unimplemented", "error of an unknown method");
}

async function errors(run: Run): Promise<void> {
  using server = run.interop();
  const types: RpcErrorType[] = ["failed", "overloaded", "disconnected", "unimplemented"];
  for (const [kind, type] of types.entries()) {
    const reason = `reason ${kind}: ünïcode`;
    using failing = server.fail({ kind, reason });
    using child = failing.node.child();
    const pipelined = child.node.path();
    await mustFail(failing, type, reason);
    await mustFail(pipelined, type, reason);
  }

  // An error of an object of the client, called by the server, comes back with its type.
  for (const type of types) {
    using callback = run.newCallback(() => {
      throw new RpcError(type, "method-failed", "thrown by the client");
    });
    await mustFail(server.callBack({ count: 1, callback }), type, "thrown by the client");
  }

  await callUnknown(server);

  // The server checks what it gets.
  await mustFail(server.exchange({ sample: Sample.ordinary }), "failed");

  // A call on a null capability, by either side.
  await mustFail(server.tail(), "failed");
  using broken = await server.copy();
  await mustFail(broken.value.object.path(), "failed");

  // The connection has survived it all.
  expect((await server.hello()).greeting, "Hello, !", "greeting");
}

export const VALUE_SCENARIOS: Record<string, Scenario> = { bootstrap, fields, errors };
