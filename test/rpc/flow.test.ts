// Section 17, C-FLO: streams over a connection, and the pressure of calls.

import { describe, expect, it } from "vitest";
import { RpcError } from "../../src/base/errors.js";
import { limitsWith } from "../../src/base/limits.js";
import type { Hook } from "../../src/hook/hook.js";
import type { Results } from "../../src/hook/results.js";
import { AdaptiveWindow } from "../../src/rpc/adaptive-window.js";
import type { StreamFlow } from "../../src/rpc/flow.js";
import { Mesh } from "../../src/vat/mesh.js";
import { Content } from "../../src/wire/content.js";
import { call, outcome, payload, Recorder, request, tell } from "../support/objects.js";
import { answer, given, hosted, promised, RawPeer, yours } from "../support/raw-peer.js";

function end(peer: RawPeer, ...hooks: Hook[]): void {
  for (const hook of hooks) hook.release();
  peer.finish(0);
  peer.drain();
  peer.done();
}

/** One stream call, counted as `bytes`. */
function write(hook: Hook, bytes: number, value = 0): Results {
  const results = hook.call(request(1, value));
  hook.flow!.sent(bytes, results);
  return results;
}

const boom = new RpcError("failed", "method-failed", "boom");

it("C-FLO-01: a stream call is an ordinary Call, and its answer may have no content", () => {
  const { peer, hooks } = given(hosted(7));
  const flow = hooks[0]!.flow as StreamFlow;
  write(hooks[0]!, 1000, 5);
  expect(peer.drain()).toEqual(["call 0 import 7 method=1 value=5"]);
  expect(flow.bytesInFlight).toBe(1000);
  expect(peer.returns(0, { content: Content.NULL })).toEqual(["finish 0"]);
  expect(flow.bytesInFlight).toBe(0);
  end(peer, hooks[0]!);
});

it("C-FLO-02: a writer is told when more may be sent, not when it was handled", () => {
  const { peer, hooks } = given(hosted(7));
  const flow = hooks[0]!.flow!;
  const told: string[] = [];
  write(hooks[0]!, 1000);
  expect(flow.ready).toBe(true);
  flow.whenReady(() => told.push("at once"));
  expect(told).toEqual(["at once"]);
  for (let i = 0; i < 66; i++) write(hooks[0]!, 1000);
  expect(flow.ready).toBe(false);
  flow.whenReady(() => told.push("after one"));
  peer.drain();
  expect(told).toEqual(["at once"]);
  peer.returns(0);
  peer.returns(1);
  expect(told).toEqual(["at once", "after one"]);
  for (let i = 2; i < 67; i++) peer.returns(i);
  end(peer, hooks[0]!);
});

describe("C-FLO-03: the window", () => {
  it("C-FLO-03: every message is sent at once, full window or not", () => {
    const { peer, hooks } = given(hosted(7));
    for (let i = 0; i < 5; i++) write(hooks[0]!, 60_000, i);
    expect(hooks[0]!.flow!.ready).toBe(false);
    expect(peer.drain()).toHaveLength(5);
    for (let i = 0; i < 5; i++) peer.returns(i);
    end(peer, hooks[0]!);
  });

  it("C-FLO-03: the next may go while what is under way is one message, or less than window and largest", () => {
    const { peer, hooks } = given(hosted(7));
    const flow = hooks[0]!.flow!;
    const state = (): boolean => flow.ready;
    write(hooks[0]!, 500_000);
    expect(state()).toBe(true); // one message, larger than the window
    write(hooks[0]!, 65_000);
    expect(state()).toBe(true); // 565,000 < 65,536 + 500,000
    write(hooks[0]!, 535);
    expect(state()).toBe(true);
    write(hooks[0]!, 1);
    expect(state()).toBe(false);
    peer.drain();
    peer.returns(3);
    expect(state()).toBe(true);
    for (const i of [0, 1, 2]) peer.returns(i);
    end(peer, hooks[0]!);
  });
});

it("C-FLO-04: the window is 64 KiB at first, adaptive, and settable", () => {
  const flows = [undefined, 10_000].map((streamWindow) => {
    const limits = limitsWith(streamWindow === undefined ? {} : { streamWindow });
    let cap!: Hook;
    const peer = new RawPeer({
      limits,
      methods: { 9: (c) => ((cap = c.params.caps[0]!.addRef()), c.returns()) },
    });
    peer.bootstrap(0);
    peer.call(1, answer(0), { method: 9, caps: [hosted(7)] });
    const { window } = cap.flow as unknown as { window: AdaptiveWindow };
    end(peer, cap);
    return window;
  });
  expect(flows.map((window) => window.bytes)).toEqual([65_536, 10_000]);
  expect(flows[0]).toBeInstanceOf(AdaptiveWindow);
});

it("C-FLO-05: the window follows the clock of the connection", () => {
  let now = 0;
  let cap!: Hook;
  const peer = new RawPeer({
    now: () => now,
    methods: { 9: (c) => ((cap = c.params.caps[0]!.addRef()), c.returns()) },
  });
  peer.bootstrap(0);
  peer.call(1, answer(0), { method: 9, caps: [hosted(7)] });
  const { window } = cap.flow as unknown as { window: AdaptiveWindow };
  for (let round = 0; round < 6; round++) {
    let sent = 0;
    while (cap.flow!.ready) {
      write(cap, 20_000);
      sent++;
    }
    peer.drain();
    now += 10;
    const ids = peer.connection.state.questions.values().map((q) => q.id);
    expect(ids).toHaveLength(sent);
    for (const id of ids) peer.returns(id);
  }
  expect(window.bytes).toBeGreaterThan(8 * 65_536);
  end(peer, cap);
});

describe("C-FLO-06: what is under way goes down with the Return of the call, whatever it says", () => {
  const answers: [string, (peer: RawPeer, id: number) => string[]][] = [
    ["results", (peer, id) => peer.returns(id)],
    ["results without a Finish", (peer, id) => peer.returns(id, { noFinish: true })],
    ["an exception", (peer, id) => peer.fails(id, "no")],
    ["an echo", (peer, id) => peer.unimplemented((w) => w.bootstrap(id))],
  ];
  for (const [name, act] of answers)
    it(`C-FLO-06: ${name}`, () => {
      const { peer, hooks } = given(hosted(7));
      const flow = hooks[0]!.flow as StreamFlow;
      write(hooks[0]!, 777);
      expect(flow.bytesInFlight).toBe(777);
      peer.drain();
      act(peer, 0);
      expect(flow.bytesInFlight).toBe(0);
      end(peer, hooks[0]!);
    });
});

it("C-FLO-07: when one stream call fails, blocked and later writers get that error", () => {
  const { peer, hooks } = given(hosted(7));
  const flow = hooks[0]!.flow!;
  const errors: (string | undefined)[] = [];
  for (let i = 0; i < 4; i++) write(hooks[0]!, 50_000);
  flow.whenReady((error) => errors.push(error?.message));
  flow.whenReady((error) => errors.push(error?.message));
  peer.drain();
  peer.fails(1, boom);
  expect(errors).toEqual(["boom", "boom"]);
  write(hooks[0]!, 1);
  expect(flow.ready).toBe(false);
  flow.whenReady((error) => errors.push(error?.message));
  expect(errors).toEqual(["boom", "boom", "boom"]);
  peer.drain();
  for (const id of [0, 2, 3]) peer.returns(id);
  peer.fails(1, "poisoned");
  flow.whenIdle((error) => errors.push(error?.message));
  expect(errors.at(-1)).toBe("boom");
  end(peer, hooks[0]!);
});

it("C-FLO-08: a failure nobody waited for shows when the end is awaited, and is no unhandled rejection", async () => {
  const silent: unknown[] = [];
  const listen = (reason: unknown): void => void silent.push(reason);
  process.on("unhandledRejection", listen);
  const { peer, hooks } = given(hosted(7));
  write(hooks[0]!, 10);
  peer.drain();
  peer.fails(0, boom);
  let ended: RpcError | null | undefined;
  hooks[0]!.flow!.whenIdle((error) => {
    ended = error;
  });
  expect(ended?.message).toBe("boom");
  end(peer, hooks[0]!);
  await new Promise((resolve) => {
    setTimeout(resolve, 5);
  });
  process.off("unhandledRejection", listen);
  expect(silent).toEqual([]);
});

describe("C-FLO-12: a promise's flow goes on with what it becomes", () => {
  it("C-FLO-12: on the same connection it is the same flow", () => {
    const { peer, hooks } = given(promised(7));
    const promise = hooks[0]!;
    const flow = promise.flow as StreamFlow;
    write(promise, 60_000);
    write(promise, 60_000);
    peer.drain();
    peer.resolve(7, hosted(8));
    expect(promise.flow).toBe(flow);
    write(promise, 60_000);
    expect(flow.bytesInFlight).toBe(180_000);
    expect(promise.flow!.ready).toBe(false);
    peer.drain();
    for (const id of [0, 1, 2]) peer.returns(id);
    expect(flow.bytesInFlight).toBe(0);
    end(peer, promise);
  });

  it("C-FLO-12: so it is for a capability in results", () => {
    const { peer, hooks } = given(hosted(7));
    const results = call(hooks[0]!, 0, 0);
    const field = results.pipeline([0]);
    const flow = field.flow;
    write(field, 100);
    outcome(results);
    peer.drain();
    peer.returns(0, { caps: [promised(8)] });
    expect(field.flow).toBe(flow);
    peer.returns(1);
    peer.resolve(8, hosted(9));
    expect(field.flow).toBe(flow);
    const capability = field.resolved();
    expect(capability.flow).toBe(flow);
    field.release();
    results.cancel();
    peer.drain();
    peer.connection.close();
    hooks[0]!.release();
    peer.drain();
  });

  it("C-FLO-12: elsewhere, the old one is drained first", () => {
    const home = new Recorder();
    const { peer, hooks } = given(promised(7));
    const promise = hooks[0]!;
    const object = home.hook(peer.scheduler);
    tell(promise, 0, object.addRef());
    write(promise, 60_000);
    write(promise, 60_000);
    peer.drain();
    peer.resolve(7, yours(1));
    const flow = promise.flow!;
    expect(flow.ready).toBe(false); // nothing is under way on the new path, but the old one is full
    const told: string[] = [];
    flow.whenReady((error) => told.push(`ready ${error?.message}`));
    flow.whenIdle((error) => told.push(`idle ${error?.message}`));
    peer.drain();
    peer.returns(1);
    expect(told).toEqual([]);
    peer.returns(2);
    expect(told).toEqual(["ready undefined", "idle undefined"]);
    peer.returns(0);
    peer.disembargo(yours(1), 1, 0);
    peer.release(1);
    object.release();
    end(peer, promise);
    expect(home.droppedTimes).toBe(1);
  });

  it("C-FLO-12: what broke the old one breaks the stream", () => {
    const home = new Recorder();
    const { peer, hooks } = given(promised(7));
    const promise = hooks[0]!;
    tell(promise, 0, home.hook(peer.scheduler));
    write(promise, 60_000);
    peer.drain();
    peer.resolve(7, yours(1));
    const errors: (string | undefined)[] = [];
    promise.flow!.whenReady((error) => errors.push(error?.message));
    peer.fails(1, boom);
    promise.flow!.whenReady((error) => errors.push(error?.message));
    expect(errors).toEqual(["boom", "boom"]);
    peer.returns(0);
    peer.disembargo(yours(1), 1, 0);
    peer.release(1);
    end(peer, promise);
  });
});

it("C-FLO-13: dropping the capability lets its stream calls finish and wakes who is blocked", () => {
  const { peer, hooks } = given(hosted(7));
  const flow = hooks[0]!.flow!;
  for (let i = 0; i < 4; i++) write(hooks[0]!, 50_000);
  let told = 0;
  flow.whenReady(() => told++);
  peer.drain();
  hooks[0]!.release();
  expect(peer.drain()).toEqual(["release 7 x1"]); // and no Finish
  for (let i = 0; i < 4; i++) expect(peer.returns(i)).toEqual([`finish ${i}`]);
  expect(told).toBe(1);
  end(peer);
});

it("C-FLO-15: pressure passes through a proxy: it answers a stream call when the far end has", () => {
  const mesh = new Mesh();
  const server = new Recorder({ 1: (c) => c.streaming() });
  const c = mesh.vat("c");
  Object.assign(c.options, { bootstrap: server.hook(c.scheduler) });
  const b = mesh.vat("b");
  const a = mesh.vat("a");
  mesh.link("b", "c");
  Object.assign(b.options, { bootstrap: () => b.to("c").bootstrap() });
  mesh.link("a", "b");
  const cap = a.to("b").bootstrap();
  mesh.settle();
  let sent = 0;
  while (cap.flow!.ready) {
    write(cap, 10_000, sent++);
    mesh.settle();
  }
  expect(sent).toBe(8); // what fits in the first writer's window: 64 KiB and one message
  expect(b.to("c").stats().questions).toBe(8);
  for (let done = 0; done < 40; done++) {
    expect(b.to("a").stats().answers).toBe(b.to("c").stats().questions);
    server.calls[done]!.returns(payload(0));
    mesh.settle();
    expect(cap.flow!.ready).toBe(true);
    while (sent < 40 && cap.flow!.ready) {
      write(cap, 10_000, sent++);
      mesh.settle();
    }
  }
  expect(server.seen).toEqual(Array.from({ length: 40 }, (_, i) => i));
  cap.release();
  mesh.settle();
  mesh.assertEmpty();
});

/** Calls of `bytes` to method 1, which answers when told. */
function pressed(limits: Parameters<typeof limitsWith>[0], inFlight = 0) {
  const peer = new RawPeer({
    limits: limitsWith(limits),
    methods: { 1: () => {}, 2: (c) => c.returns(payload(0, c.params.caps[0]!.addRef())) },
  });
  peer.bootstrap(100);
  const body = (bytes: number): Content => {
    const all = new Uint8Array(bytes);
    new DataView(all.buffer).setUint32(4, bytes / 8 - 1, true);
    return new Content(all);
  };
  for (let i = 0; i < inFlight; i++) peer.call(i, answer(100), { method: 1, content: body(1000) });
  return { peer, body };
}

describe("C-FLO-17, C-FLO-18: over the soft limit dispatch is withheld", () => {
  it("C-FLO-17: and goes on, in order, as calls return", () => {
    const { peer, body } = pressed({ incomingCallBytes: 3000 }, 5);
    expect(peer.server.seen).toHaveLength(2);
    expect(peer.connection.stats()).toMatchObject({ withheldCalls: 3, answers: 6 });
    peer.call(5, answer(100), { value: 6 });
    expect(peer.server.seen).toHaveLength(2); // a small one does not pass the large ones before it
    peer.server.calls[0]!.returns();
    expect(peer.drain()).toEqual(["return 0 results noFinish"]);
    expect(peer.server.calls).toHaveLength(3);
    for (const i of [1, 2, 3, 4]) {
      peer.server.calls[i]!.returns();
      peer.drain();
    }
    expect(peer.server.seen.at(-1)).toBe(6);
    expect(peer.connection.stats()).toMatchObject({ withheldCalls: 0, incomingCallBytes: 0 });
    expect(body(16).byteLength).toBe(16);
    peer.finish(100);
    peer.done();
  });

  it("C-FLO-17: a single call is dispatched whatever its size", () => {
    const { peer, body } = pressed({ incomingCallBytes: 100 });
    peer.call(0, answer(100), { method: 1, content: body(8000) });
    expect(peer.server.calls).toHaveLength(1);
    peer.server.calls[0]!.returns();
    peer.drain();
    peer.finish(100);
    peer.done();
  });

  it("C-FLO-18: Returns, Finishes, Releases, Resolves and echoes still get through", () => {
    const home = new Recorder();
    let cap!: Hook;
    const peer = new RawPeer({
      limits: limitsWith({ incomingCallBytes: 200 }),
      methods: { 1: () => {}, 9: (c) => ((cap = c.params.caps[0]!.addRef()), c.returns()) },
    });
    peer.bootstrap(0);
    peer.call(1, answer(0), { method: 9, caps: [promised(7)] });
    const asked = outcome(call(cap, 0, 1, home.hook(peer.scheduler)));
    peer.drain();
    peer.call(10, answer(0), { method: 1, caps: [hosted(3)] });
    peer.call(11, answer(0), { method: 1, caps: [hosted(4)] });
    expect(peer.connection.stats().withheldCalls).toBe(1);
    peer.returns(0, { value: 5 });
    expect(asked.value).toBe(5);
    expect(peer.release(1)).toEqual([]);
    expect(home.droppedTimes).toBe(1);
    peer.resolve(7, hosted(8));
    expect(cap.isPromise).toBe(false);
    // A withheld call can be given up, and gives its params back.
    expect(peer.finish(11)).toEqual(["release 4 x1", "return 11 canceled"]);
    peer.server.calls.at(-1)!.returns();
    peer.drain();
    end(peer, cap);
  });

  it("C-FLO-18: a call pipelined on a withheld one waits with it", () => {
    const { peer } = pressed({ incomingCallBytes: 200 }, 1);
    peer.call(5, answer(100), { method: 2, caps: [hosted(4)] });
    peer.call(6, answer(5, 0), { value: 9 });
    expect(peer.server.calls).toHaveLength(1);
    peer.server.calls[0]!.returns();
    expect(peer.drain()).toEqual([
      "return 0 results noFinish",
      "return 5 results caps=[receiverHosted 4]",
      "call 0 import 4 method=0 value=9",
    ]);
    peer.returns(0, { value: 9 });
    for (const id of [5, 100]) peer.finish(id);
    peer.drain();
    peer.done();
  });

  it("C-FLO-18: only when the reserve is spent must reading stop, and it may go on once there is room", () => {
    const { peer } = pressed({ incomingCallBytes: 3000, withheldCallBytes: 9000 }, 6);
    expect(peer.connection.readingExhausted).toBe(false);
    peer.call(7, answer(100), { method: 1, content: pressedBody });
    expect(peer.connection.readingExhausted).toBe(true);
    peer.server.calls[0]!.returns();
    peer.drain();
    expect(peer.connection.readingExhausted).toBe(false);
    peer.acts(() => peer.connection.close());
    expect(peer.connection.readingExhausted).toBe(false);
    for (const c of peer.server.calls) c.returns();
    peer.drain();
    peer.done();
  });
});

const pressedBody = ((): Content => {
  const all = new Uint8Array(1000);
  new DataView(all.buffer).setUint32(4, 124, true);
  return new Content(all);
})();

describe("C-FLO-19, C-FLO-20: what waits to be written", () => {
  it("C-FLO-19: bytes and messages written and not yet taken are known", () => {
    const { peer, hooks } = given(hosted(7));
    const before = peer.connection.stats();
    call(hooks[0]!, 0, 1).dropPipeline();
    call(hooks[0]!, 0, 2).dropPipeline();
    const after = peer.connection.stats();
    expect(after.messagesOut - before.messagesOut).toBe(2);
    expect(after.outboxBytes).toBeGreaterThan(200);
    peer.drain();
    expect(peer.connection.stats().outboxBytes).toBe(0);
    for (const id of [0, 1]) peer.returns(id);
    end(peer, hooks[0]!);
  });

  it("C-FLO-20: a peer that floods calls gets `overloaded` for those over the limit, and no more answers", () => {
    const peer = new RawPeer({ limits: limitsWith({ answers: 10 }), methods: { 1: () => {} } });
    peer.bootstrap(0);
    const lines: string[] = [];
    for (let i = 1; i < 1000; i++)
      lines.push(...peer.call(i, answer(0), { method: 1, caps: [hosted(i)] }));
    expect(peer.connection.stats().answers).toBe(10);
    expect(lines).toHaveLength(990);
    expect(lines[0]).toMatch(/^return 10 exception overloaded "limit answers: 10/);
    expect(lines[0]).toMatch(/releaseParams/);
    expect(peer.connection.stats().imports).toBe(9);
    for (const c of peer.server.calls) c.returns();
    peer.drain();
    peer.finish(0);
    peer.done();
  });
});

it("C-FLO-21: the accounts return to zero after errors, cancellations and the end of the connection", () => {
  let seed = 7;
  const random = (n: number): number => {
    seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
    return (seed >>> 8) % n;
  };
  for (let round = 0; round < 60; round++) {
    const peer = new RawPeer({
      limits: limitsWith({ incomingCallBytes: 1 + random(1500) }),
      methods: { 1: () => {}, 2: (c) => c.fails(boom), 3: (c) => void (c.cancelable = false) },
    });
    peer.bootstrap(0);
    const open = new Set<number>();
    for (let id = 1; id < 40; id++) {
      peer.call(id, answer(0), {
        method: random(4),
        value: id,
        flags: random(4) === 0 ? 4 : 0,
        caps: random(3) === 0 ? [hosted(id)] : [],
      });
      open.add(id);
      for (const old of open) {
        if (random(6) > 0) continue;
        peer.finish(old, random(2) === 0, random(2) === 0);
        open.delete(old);
      }
      const running = peer.server.calls[random(peer.server.calls.length)];
      if (random(3) === 0) running?.returns(payload(1));
      peer.drain();
    }
    if (round % 3 === 0) peer.acts(() => peer.connection.disconnected(null));
    else for (const id of [0, ...open]) peer.finish(id);
    for (let last = -1; last !== peer.server.calls.length;) {
      last = peer.server.calls.length;
      for (const c of peer.server.calls) c.returns();
      peer.drain();
    }
    expect(peer.connection.stats()).toMatchObject({
      incomingCallBytes: 0,
      withheldCallBytes: 0,
      withheldCalls: 0,
      heldResultBytes: 0,
    });
    peer.done();
  }
});
