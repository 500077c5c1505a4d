// What a call of a typed client says on the wire, and which method of a typed server a call finds: across a connection.

import { afterEach, beforeEach, expect, it } from "vitest";
import { CallRequest, type Hook } from "../../src/hook/hook.js";
import { memoryPair } from "../../src/transport/memory.js";
import { Session } from "../../src/vat/session.js";
import { DEFAULT_LIMITS } from "../../src/base/limits.js";
import { MessageReader } from "../../src/wire/message-reader.js";
import { MessageTag } from "../../src/wire/descriptors.js";
import { type Client, type InterfaceType, serve } from "../../src/typed.js";
import { outcome, type Outcome, payload } from "../support/objects.js";
import { Census, CounterServer, NamedCounterServer, settle } from "./kit.js";
import * as f from "./schemas/features.capnp.js";

let near: Session;
let far: Session;
let census: Census;
let remote: Hook;

beforeEach(() => {
  census = new Census();
  const [a, b] = memoryPair();
  far = new Session(b, { bootstrap: serve(f.NamedCounter, new NamedCounterServer(40, census)) });
  near = new Session(a);
  remote = near.bootstrap();
});

afterEach(async () => {
  remote.release();
  await settle();
  for (const { connection } of [near, far]) {
    connection.check();
    expect(connection.idle, connection.dump()).toBe(true);
  }
  await Promise.all([near.close(), far.close()]);
});

/** A call by number, which no client would make. The params carry `cap`, if any. */
async function send(
  type: InterfaceType<Client>,
  method: number,
  cap: Hook | null = null,
): Promise<Outcome> {
  const { hi, lo } = type._capnp;
  const params = cap === null ? payload(0) : payload(0, cap);
  const result = outcome(remote.call(new CallRequest(hi, lo, method, params)));
  await settle();
  result.release();
  return result;
}

it("C-LIF-21: an unknown interface or method is answered by unimplemented, and its params are given back", async () => {
  for (const [type, method] of [
    [f.Generic, 0],
    [f.Counter, 2],
    [f.Counter, 65_535],
    [f.NamedCounter, 1],
  ] as const) {
    const given = new Census();
    const client = serve(f.Counter, new CounterServer(0, given));
    const { error } = await send(type, method, client._hook!.addRef());
    expect(error).toMatchObject({ type: "unimplemented" });
    client[Symbol.dispose]();
    await settle();
    expect([given.alive, near.connection.stats().exports]).toEqual([0, 0]);
  }
  // The object is none the worse for it.
  expect((await send(f.Counter, 0)).value).toBe(41);
});

it("C-LIF-22: inherited methods are found under the id of the interface that declares them, and no other", async () => {
  expect((await send(f.Counter, 0)).value).toBe(41);
  expect((await send(f.Named, 0)).error).toBeNull();
  expect((await send(f.NamedCounter, 0)).error).toBeNull(); // rename, not next: the count stays
  expect((await send(f.Named, 1)).error).toMatchObject({ type: "unimplemented" });
  expect((await send(f.Counter, 0)).value).toBe(42);
});

it("C-REL-18: a call says that it pipelines nothing only when its results can hold no capability to pipeline on", async () => {
  const [a, b] = memoryPair();
  const heard = new Map<string, boolean>();
  const reader = new MessageReader(DEFAULT_LIMITS);
  let name = "";
  b.start({
    message(frame) {
      reader.read(frame);
      if (reader.tag === MessageTag.call) heard.set(name, reader.noPromisePipelining);
    },
    fault() {},
    closed() {},
  });
  const session = new Session(a);
  const everything = session.bootstrap(f.Everything);
  const generic = everything.castAs(f.Generic);
  const calls: Record<string, () => unknown> = {
    number: () => everything.callback({}),
    struct: () => everything.inPlace({}),
    nothing: () => everything.class(),
    stream: () => everything.event({}),
    capability: () => everything.makeCounter({}),
    "a capability deep in a union": () => everything.shapes({}),
    AnyPointer: () => everything.anything({}),
    "a parameter of the interface": () => everything.get({}),
    // No path leads through a list, so nothing can be pipelined on what is in one.
    "a list of what may be capabilities": () => everything.entries(),
    "a parameter of the method": () => generic.identity({}),
  };
  for (const [next, call] of Object.entries(calls)) {
    name = next;
    call();
    await settle();
  }
  expect([...heard].filter(([, none]) => none).map(([kind]) => kind)).toEqual([
    "number",
    "struct",
    "nothing",
    "stream",
    "a list of what may be capabilities",
  ]);
  expect(heard.size).toBe(10);
  await session.close();
});
