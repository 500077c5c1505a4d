// Section 18, C-GCF: what happens to references whose holders are garbage. See also test/hook/local.test.ts.

import { afterEach, expect, it } from "vitest";
import { Scheduler } from "../../src/base/scheduler.js";
import { Client } from "../../src/cap/typed/runtime/client.js";
import { reportCollected } from "../../src/hook/collect.js";
import type { Hook } from "../../src/hook/hook.js";
import { type LocalCall, LocalHook } from "../../src/hook/local.js";
import { gc } from "../hostile/memory.js";
import { call, outcome, type Outcome } from "../support/objects.js";
import { answer, hosted, promised, RawPeer, yours } from "../support/raw-peer.js";

afterEach(() => reportCollected(null));

/** Collects and lets the finalizers run. */
async function collect(): Promise<void> {
  for (let i = 0; i < 3; i++) {
    gc();
    await new Promise((resolve) => {
      setTimeout(resolve, 2);
    });
  }
}

/** A peer whose capability `cap` only a client of ours holds, which `use` may use before it is forgotten. */
function forgotten(peer: RawPeer, cap = hosted(7), use: (client: Client) => void = () => {}): void {
  Object.assign(peer.server, {
    methods: {
      9: (c: LocalCall) => {
        use(new Client(c.params.caps[0]!.addRef()));
        c.returns();
      },
    },
  });
  peer.call(1, answer(0), { method: 9, caps: [cap] });
  peer.server.calls.length = 0;
}

function connected(): RawPeer {
  const peer = new RawPeer();
  peer.bootstrap(0);
  return peer;
}

function end(peer: RawPeer): void {
  peer.finish(0);
  peer.drain();
  peer.done();
}

it("C-GCF-01: disposing releases at once; a holder that is collected releases later, with a warning", async () => {
  const warned: Hook[] = [];
  reportCollected((hook) => warned.push(hook));
  const peer = connected();
  forgotten(peer, hosted(7), (client) => client[Symbol.dispose]());
  expect(peer.said.at(-1)).toBe("release 7 x1");
  await collect();
  expect(peer.drain()).toEqual([]);
  expect(warned).toEqual([]);
  forgotten(peer, hosted(8));
  await collect();
  expect(peer.drain()).toEqual(["release 8 x1"]);
  expect(warned).toHaveLength(1);
  warned.length = 0;
  end(peer);
});

it("C-GCF-01: of many holders those that were forgotten are released, and those disposed are not heard of", async () => {
  const collected: Hook[] = [];
  reportCollected((hook) => collected.push(hook));
  const scheduler = new Scheduler();
  let released = 0;
  class Counted extends LocalHook {
    protected override unreferenced(): void {
      released++;
    }
  }
  const make = (): Client => new Client(new Counted({ dispatch: (c) => c.returns() }, scheduler));
  const kept = make();
  (() => {
    for (let i = 0; i < 3000; i++) {
      const client = make();
      if (i % 3 !== 0) client[Symbol.dispose]();
    }
  })();
  expect(released).toBe(2000);
  await collect();
  scheduler.drain();
  expect(released).toBe(3000);
  expect(collected.length).toBe(1000);
  kept[Symbol.dispose]();
  expect(released).toBe(3001);
  await collect();
  scheduler.drain();
  expect([released, collected.length]).toEqual([3001, 1000]);
});

it("C-GCF-02: after the end of the connection a collected holder says nothing and throws nothing", async () => {
  const peer = connected();
  forgotten(peer);
  peer.acts(() => peer.connection.disconnected(null));
  await collect();
  expect(peer.drain()).toEqual([]);
  peer.done();
});

it("C-GCF-02: an import id that is in use again is not released by the holder of the old one", async () => {
  const peer = connected();
  let stale!: Hook;
  forgotten(peer, hosted(7), (client) => {
    // The reference itself is given back behind the holder's back, so that id 7 is free.
    stale = client._hook!;
  });
  stale.addRef();
  stale.release();
  await collect();
  expect(peer.drain()).toEqual(["release 7 x1"]);
  let fresh!: Client;
  forgotten(peer, hosted(7), (client) => (fresh = client));
  expect(fresh._hook).not.toBe(stale);
  await collect();
  expect(peer.drain()).toEqual([]);
  fresh[Symbol.dispose]();
  expect(peer.drain()).toEqual(["release 7 x1"]);
  end(peer);
});

it("C-GCF-03: a pending call, resolution or embargo outlives its holder", async () => {
  const peer = connected();
  const seen: Outcome[] = [];
  forgotten(peer, hosted(7), (client) => seen.push(outcome(call(client._hook!, 0, 1))));
  let resolved = 0;
  forgotten(peer, promised(8), (client) => client._hook!.watch({ hookResolved: () => resolved++ }));
  forgotten(peer, promised(9), (client) => {
    call(client._hook!, 0, 2).dropPipeline();
    peer.connection.state.scheduler.post({ run: () => {} });
  });
  await collect();
  peer.drain();
  peer.returns(0, { value: 5 });
  expect(seen[0]!.value).toBe(5);
  peer.resolve(8, hosted(10));
  expect(resolved).toBe(1);
  peer.returns(1);
  await collect();
  peer.drain();
  end(peer);
});

it("C-GCF-03: a call that waits for an embargo is made although nobody holds the promise", async () => {
  const peer = connected();
  const seen: Outcome[] = [];
  let weak!: WeakRef<Client>;
  const embargoed = (client: Client): void => {
    weak = new WeakRef(client);
    call(client._hook!, 0, 1).dropPipeline();
  };
  forgotten(peer, promised(7), embargoed);
  const lines = peer.resolve(7, yours(0));
  expect(lines.join()).toMatch(/disembargo senderLoopback 0/);
  ((): void => {
    const client = weak.deref();
    if (client !== undefined) seen.push(outcome(call(client._hook!, 0, 44)));
  })();
  await collect();
  peer.drain();
  expect(weak.deref()).toBe(undefined);
  peer.disembargo(yours(0), 1, 0);
  expect(peer.server.seen).toContain(44);
  expect(seen[0]!.value).toBe(44);
  peer.returns(0);
  peer.drain();
  end(peer);
});

it("C-GCF-04: the release of a collected holder is a job of its own turn", async () => {
  const peer = connected();
  forgotten(peer);
  let woken = 0;
  peer.scheduler.wake = () => woken++;
  await collect();
  expect(woken).toBe(1);
  expect(peer.connection.stats().imports).toBe(1); // not before the turn
  expect(peer.drain()).toEqual(["release 7 x1"]);
  end(peer);
});

it("C-GCF-05: disposing twice does nothing, and use after it fails here, without a message", () => {
  const peer = connected();
  let client!: Client;
  forgotten(peer, hosted(7), (c) => (client = c));
  client[Symbol.dispose]();
  client[Symbol.dispose]();
  expect(peer.drain()).toEqual(["release 7 x1"]);
  expect(() => client.dup()).toThrow(/disposed/);
  expect(peer.drain()).toEqual([]);
  end(peer);
});

it("C-GCF-07: tables return to where they were; an import introduced again meanwhile gets a fresh one", async () => {
  const peer = connected();
  const before = peer.connection.stats().imports;
  for (let id = 20; id < 40; id++) forgotten(peer, hosted(id));
  expect(peer.connection.stats().imports).toBe(before + 20);
  gc(); // unreachable, but not finalized yet
  let again!: Client;
  forgotten(peer, hosted(20), (client) => (again = client));
  await collect();
  const lines = peer.drain();
  expect(lines.filter((line) => line.startsWith("release"))).toHaveLength(19); // not 20: somebody has it again
  expect(peer.connection.stats().imports).toBe(before + 1);
  outcome(call(again._hook!, 0, 1));
  expect(peer.drain()).toEqual(["call 0 import 20 method=0 value=1"]);
  peer.returns(0);
  again[Symbol.dispose]();
  expect(peer.drain()).toEqual(["release 20 x2"]);
  end(peer);
});
