// Calls a method of a Durable Object in workerd, the C++ v2 peer:  node workerd-smoke.js ADDRESS OBJECT
//
// ADDRESS is that of workerd's debug port, OBJECT the object in JSON: {"service", "entrypoint", "actorId"}. Bootstrap, getActor,
// startEvent, jsRpcSession and the call of `add` leave in one write, each on the answer of the one before; then all is released.
// Then streams of bytes, in either direction (workerd-streams.ts).
// Prints one line of JSON as a client does, and exits 0 when all was as expected and 1 when not.

import { deserialize, serialize } from "node:v8";
import { connect, type Session } from "capstan/node";
import { DebugPort } from "./generated/debug-port.capnp.js";
import { dieWithParent, expect, mustBeEmpty } from "./support.js";
import { type DebugPortObject, playStreams } from "./workerd-streams.js";

/** Counts what is handed to the transport from now on. */
function countWrites({ transport }: Session): () => number {
  const { write } = transport;
  let writes = 0;
  transport.write = (batch) => {
    writes++;
    write.call(transport, batch);
  };
  return () => writes;
}

async function play(address: string, object: DebugPortObject): Promise<string[]> {
  await using session = await connect(address);
  const writes = countWrites(session);
  {
    using debugPort = session.bootstrap(DebugPort);
    using actor = debugPort.getActor(object);
    using event = actor.actor.startEvent();
    using rpc = event.dispatcher.jsRpcSession();
    // The session must outlive what came of its calls.
    using _held = rpc.session;
    using call = rpc.topLevel.call({
      methodName: "add",
      operation: { callWithArgs: { v8Serialized: serialize([19, 23]) } },
    });
    using results = await call;
    expect(writes(), 1, "writes before the answer");
    expect(deserialize(results.result.v8Serialized), 42, "19 + 23");
  }
  await mustBeEmpty(session);
  const streams = await playStreams(session, object);
  await mustBeEmpty(session);
  return [
    "bootstrap and four calls in one write, then the answer",
    ...streams,
    "nothing left at the end",
  ];
}

const [address, object] = process.argv.slice(2);
if (address === undefined || object === undefined)
  throw new Error("usage: workerd-smoke ADDRESS OBJECT");
dieWithParent();
const scenario = "workerd";
try {
  const notes = await play(address, JSON.parse(object) as DebugPortObject);
  console.log(JSON.stringify({ scenario, ok: true, notes }));
} catch (thrown) {
  const error = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
  console.log(JSON.stringify({ scenario, ok: false, error }));
  process.exitCode = 1;
}
