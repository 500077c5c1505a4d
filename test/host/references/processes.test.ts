// References that come from another process of the same host: with the capability comes who it is, so it can be stored like one of
// this process. Two hosts over one connection in memory stand for the two processes.

import { afterEach, expect, it } from "vitest";
import { DurableObject, type Namespace, restore } from "../../../src/host.node.js";
import { LiveRoots } from "../../../src/host/collect/live-roots.js";
import { hostIdentities, identify, referenceOf } from "../../../src/host/references/identity.js";
import {
  readReference,
  type Reference,
  referenceBytes,
} from "../../../src/host/references/reference.js";
import { evict } from "../../../src/host/testing.js";
import { HOLD, holderOf } from "../../../src/hook/holder.js";
import { RpcStub, RpcTarget, serve } from "../../../src/index.js";
import { memoryPair } from "../../../src/transport/memory.js";
import { Session, type SessionOptions } from "../../../src/vat/session.js";
import { awaited, settle, testHost } from "../kit.js";

class Person extends DurableObject<{ PEOPLE: Namespace<Person> }> {
  async hold(what: object): Promise<void> {
    await this.ctx.storage.put("held", what);
  }
  async tellHeld(): Promise<string> {
    return (await this.ctx.storage.get<RpcStub<Person>>("held"))!.tell();
  }
  tell(): string {
    return `${this.ctx.id.name} here`;
  }
  view(of: string): RpcStub<View> {
    return this.ctx.facet<View>(of);
  }
  callback(): object {
    return () => 1;
  }
  [restore](of: string): View {
    return new View(`${this.tell()}, as ${of}`);
  }
}

class View extends RpcTarget {
  readonly #text: string;
  constructor(text: string) {
    super();
    this.#text = text;
  }
  tell(): string {
    return this.#text;
  }
}

const sessions: Session[] = [];
afterEach(async () => {
  for (const session of sessions.splice(0)) await session.close();
});

/** Two hosts; `there` is what one finds of the other's, over a connection with these options at both ends. */
async function two(options: SessionOptions) {
  const [here, far] = [await testHost({ PEOPLE: Person }), await testHost({ PEOPLE: Person })];
  class Far extends RpcTarget {
    person(name: string): RpcStub<Person> {
      return far.env.PEOPLE.getByName(name);
    }
    relay(what: RpcStub<View>): RpcStub<View> {
      return what.dup();
    }
  }
  const [a, b] = memoryPair();
  sessions.push(new Session(a, { ...options, bootstrap: serve(new Far()) }));
  const session = new Session(b, options);
  sessions.push(session);
  return { ann: here.env.PEOPLE.getByName("ann"), there: session.bootstrap(RpcStub<Far>), here };
}

it("an object, a facet and what was relayed are stored, and found where they are then", async () => {
  const { ann, there } = await two({ identities: hostIdentities(new LiveRoots([])) });
  using bob = await there.person("bob");
  await ann.hold(bob);
  expect(await ann.tellHeld()).toBe("bob here");
  await ann.hold(await bob.view("chief"));
  expect(await ann.tellHeld()).toBe("bob here, as chief");
  await ann.hold(await there.relay(await bob.view("guest")));
  await settle();
  expect(await evict(ann)).toBe(true);
  expect(await ann.tellHeld()).toBe("bob here, as guest");
});

it("what nobody can find again is refused as ever", async () => {
  const { ann, there } = await two({ identities: hostIdentities(new LiveRoots([])) });
  const callback = await there.person("bob").callback();
  await expect(awaited(ann.hold(callback))).rejects.toMatchObject({ code: "unstorable-value" });
});

it("from a connection to anybody else, nothing can be stored", async () => {
  const { ann, there } = await two({});
  await expect(awaited(ann.hold(await there.person("bob")))).rejects.toThrow(
    /lives only as long as whoever gave it/,
  );
});

it("whoever makes capabilities of another process says so by identify", () => {
  const hook = serve(new View("x"));
  expect(referenceOf(hook)).toBeNull();
  const reference: Reference = {
    namespace: "PEOPLE",
    id: new Uint8Array(32).fill(7),
    name: "b",
    facet: null,
  };
  identify(hook, reference);
  expect(referenceOf(hook)).toBe(reference);
  using stub = new RpcStub(hook);
  const held = holderOf(stub)![HOLD](false);
  expect(referenceOf(held)).toBe(reference);
  held.release();
});

it("references are read as they were written, and nothing else is", () => {
  const id = Uint8Array.from({ length: 32 }, (_, i) => i + 1);
  const facet = Uint8Array.of(1, 2, 3);
  const all: Reference[] = [
    { namespace: "N", id: null },
    { namespace: "N", id, name: undefined, facet: null },
    { namespace: "räume", id, name: "ö", facet: null },
    { namespace: "N", id, name: undefined, facet },
    { namespace: "N".repeat(255), id, name: "", facet: new Uint8Array() },
  ];
  for (const reference of all) {
    const bytes = referenceBytes(reference);
    expect(readReference(bytes)).toEqual(reference);
    for (let length = 0; length < bytes.length; length++) {
      const isPart =
        reference.id !== null && reference.facet !== null && length >= bytes.length - facet.length;
      if (isPart) continue;
      expect(() => readReference(bytes.subarray(0, length)), `${length}`).toThrow(/damaged/);
    }
  }
  for (const bytes of [
    [9],
    [8, 1, 65],
    [0, 0],
    [0, 1, 0xff],
    [0, 1, 65, 1],
    [1, 1, 65, ...id, 0],
    [2, 1, 65],
  ])
    expect(() => readReference(Uint8Array.from(bytes)), bytes.join()).toThrow(/damaged/);
  const long: Reference = { namespace: "N", id, name: "x".repeat(70_000), facet: null };
  expect(readReference(referenceBytes(long))).toEqual({ ...long, name: undefined });
});
