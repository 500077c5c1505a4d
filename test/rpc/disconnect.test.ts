// Section 13, C-DIS: how a connection ends, and what its end means to everything that went through it.

import { describe, expect, it } from "vitest";
import { RpcError } from "../../src/base/errors.js";
import { limitsWith } from "../../src/base/limits.js";
import type { Hook } from "../../src/hook/hook.js";
import type { LocalCall } from "../../src/hook/local.js";
import { PromiseHook } from "../../src/hook/promise.js";
import { unwrap } from "../../src/hook/unwrap.js";
import { Mesh } from "../../src/vat/mesh.js";
import { Framer } from "../../src/wire/framer.js";
import { call, outcome, payload, Recorder, request, tell } from "../support/objects.js";
import { answer, given, hosted, promised, RawPeer, yours } from "../support/raw-peer.js";

const lost = (): RpcError => new RpcError("disconnected", "connection-lost", "the wire broke");

it("C-DIS-01: a protocol error sends an Abort that names it and ends this connection, no other", () => {
  const mesh = new Mesh();
  const server = new Recorder({ 1: () => {} });
  const v = mesh.vat("v");
  const hook = server.hook(v.scheduler);
  Object.assign(v.options, { bootstrap: hook });
  for (const name of ["bad", "good"]) {
    mesh.vat(name);
    mesh.link(name, "v");
  }
  const bad = mesh.vats.get("bad")!.to("v").bootstrap();
  const good = mesh.vats.get("good")!.to("v").bootstrap();
  const doomed = outcome(call(bad, 1, 1));
  const running = outcome(call(good, 1, 2));
  mesh.settle();
  mesh.vats.get("bad")!.to("v").state.writer.release(77, 1);
  mesh.settle();
  expect(v.to("bad").error).toMatchObject({ type: "disconnected", code: "protocol-error" });
  expect(doomed.error).toMatchObject({ code: "peer-aborted", type: "disconnected" });
  expect(doomed.error?.message).toMatch(/Release of export 77, which the peer does not hold/);
  expect(v.to("good").error).toBe(null);
  server.calls[1]!.returns(payload(5));
  mesh.settle();
  expect(running.value).toBe(5);
  const late = outcome(call(bad, 1, 1));
  mesh.drain();
  expect(late.error?.code).toBe("peer-aborted");
  for (const h of [bad, good, hook]) h.release();
  server.calls[0]!.returns();
  mesh.settle();
  mesh.assertEmpty();
  v.to("good").close();
  mesh.drain();
  expect(server.droppedTimes).toBe(1);
});

it("C-DIS-01: nothing that comes after a protocol error is looked at", () => {
  const peer = new RawPeer();
  peer.bootstrap(0);
  const lines = peer.release(5);
  expect(peer.call(1, 0)).toEqual([]);
  expect(peer.server.seen).toEqual([]);
  peer.aborted(lines, /export 5/);
});

it("C-DIS-02: an Abort ends the connection with the peer's words, and is not answered", () => {
  const { peer, hooks } = given(hosted(7));
  const r = outcome(call(hooks[0]!, 0, 1));
  peer.drain();
  const details = [{ id: 5n, data: new Uint8Array([1, 2]) }];
  expect(
    peer.abort(
      new RpcError("overloaded", "limit-exceeded", "too much", { trace: "at x", details }),
    ),
  ).toEqual([]);
  expect(r.error).toMatchObject({ type: "disconnected", code: "peer-aborted", trace: "at x" });
  expect(r.error!.message).toContain("too much");
  expect(r.error!.details).toEqual(details);
  expect(peer.over?.cause).toMatchObject({ type: "overloaded", message: "too much" });
  hooks[0]!.release();
  peer.done();
});

it("C-DIS-03: everything that went through the connection ends with it", () => {
  const { peer, hooks } = given(hosted(7), promised(8), promised(9));
  const [object, promise, home] = hooks as [Hook, Hook, Hook];
  const own = new Recorder();
  const ownHook = own.hook(peer.scheduler);
  // a question, a pipelined one, a promise, an embargo, a flow, a running answer, exports
  const results = call(object, 0, 1, ownHook.addRef());
  const field = results.pipeline([0]);
  const question = outcome(results);
  const piped = tell(field, 2);
  tell(promise, 3);
  tell(home, 4);
  peer.drain();
  peer.resolve(9, yours(1));
  const embargoed = tell(home, 5);
  const flow = object.flow!;
  for (let i = 0; i < 3; i++) flow.sent(50_000, object.call(request(0, 6)));
  const waits: (RpcError | null)[] = [];
  flow.whenReady((error) => waits.push(error));
  flow.whenIdle((error) => waits.push(error));
  const found: unknown[] = [];
  unwrap(promise, (server) => found.push(server));
  peer.call(2, answer(0), { method: 3, caps: [hosted(11)] });
  let told = 0;
  peer.server.calls.at(-1)!.onCancel = () => told++;
  peer.drain();
  peer.acts(() => peer.connection.disconnected(lost()));
  for (const { error } of [question, piped, embargoed])
    expect(error).toMatchObject({ type: "disconnected", code: "connection-lost" });
  expect([promise.brokenBy?.code, home.brokenBy?.code]).toEqual([
    "connection-lost",
    "connection-lost",
  ]);
  expect(waits.map((e) => e?.code)).toEqual(["connection-lost", "connection-lost"]);
  expect(found).toEqual([null]);
  expect(told).toBe(1);
  expect(own.seen).toEqual([]);
  for (const h of [field, object, promise, home, ownHook]) h.release();
  peer.server.calls.at(-1)!.returns();
  peer.drain();
  expect(own.droppedTimes).toBe(1);
  peer.done();
});

it("C-DIS-04: later calls fail with the stored error, later, and are known not to have been sent", () => {
  const { peer, hooks } = given(hosted(7), promised(8));
  peer.acts(() => peer.connection.disconnected(lost()));
  for (const hook of hooks) {
    const results = call(hook, 0, 1);
    expect(results.settled).toBe(false);
    const r = outcome(results);
    const piped = tell(results.pipeline([0]), 2);
    peer.drain();
    for (const { error } of [r, piped])
      expect(error).toMatchObject({
        type: "disconnected",
        code: "connection-lost",
        message: "the wire broke",
      });
    hook.release();
  }
  const again = peer.connection.bootstrap();
  const r = tell(again, 1);
  peer.drain();
  expect(r.error).toMatchObject({ type: "disconnected", delivery: "not-sent" });
  peer.done();
});

it("C-DIS-04: so are calls on promises that broke with it, and on what a failed call would have given", () => {
  const { peer, hooks } = given(hosted(7), promised(8), promised(9));
  const [object, promise, home] = hooks as [Hook, Hook, Hook];
  const asked = call(object, 0, 1, new Recorder().hook(peer.scheduler));
  const field = asked.pipeline([0]);
  const refused = call(object, 0, 2);
  const none = refused.pipeline([0]);
  tell(home, 3);
  peer.drain();
  peer.send((w) =>
    w.returnException(1, true, false, new RpcError("failed", "method-failed", "no")),
  );
  expect(refused.error).toMatchObject({ message: "no", delivery: "started" });
  peer.resolve(9, yours(1));
  const embargoed = tell(home, 4);
  const onRefused = tell(none, 5);
  peer.acts(() => peer.connection.disconnected(null));
  const late = [promise, home, field, none].map((hook) => tell(hook, 6));
  peer.drain();
  expect(asked.error).toMatchObject({ type: "disconnected", delivery: "unknown" });
  for (const one of [embargoed, onRefused, ...late]) expect(one.error?.delivery).toBe("not-sent");
  expect(onRefused.error?.message).toBe("no");
  for (const results of [asked, refused]) results.cancel();
  for (const hook of [...hooks, field, none]) hook.release();
  peer.drain();
  peer.done();
});

it("C-DIS-05: the connection is dead before anybody hears of it; drop hooks run once; a throw is contained", () => {
  const { peer, hooks } = given(hosted(7));
  const errors: string[] = [];
  peer.scheduler.onError = (error) => errors.push(error.message);
  const seen: string[] = [];
  class Dropping extends Recorder {
    override dropped(): void {
      super.dropped();
      seen.push(`dropped on a ${peer.connection.error === null ? "live" : "dead"} connection`);
      throw new Error("dropped threw");
    }
  }
  const exported = new Dropping();
  const results = call(hooks[0]!, 0, 1, exported.hook(peer.scheduler));
  results.observe({
    immediate: false,
    resultsSettled(r) {
      r.cancel();
      // From inside the failure: calls, closes, releases.
      call(hooks[0]!, 0, 2).cancel();
      peer.connection.close();
      peer.connection.disconnected(null);
      peer.connection.bootstrap().release();
      seen.push("rejected");
      throw new Error("handler threw");
    },
  });
  peer.call(2, answer(0), { method: 3 });
  peer.server.calls.at(-1)!.onCancel = () => {
    seen.push("canceled");
    throw new Error("cancel threw");
  };
  peer.drain();
  let shutdowns = 0;
  const before = peer.over;
  peer.acts(() => {
    peer.connection.disconnected(lost());
    shutdowns++;
  });
  expect(before).toBe(null);
  expect(peer.over?.message).toBe("the wire broke");
  expect(seen.sort()).toEqual(["canceled", "dropped on a dead connection", "rejected"]);
  expect(errors.sort()).toEqual(["dropped threw", "handler threw"]);
  expect([exported.droppedTimes, shutdowns]).toEqual([1, 1]);
  hooks[0]!.release();
  peer.server.calls.at(-1)!.returns();
  peer.done();
});

it("C-DIS-06: at the end cancelable methods are told; the others run on, and their results are dropped", () => {
  const inner = new Recorder();
  const peer = new RawPeer({ methods: { 1: () => {}, 2: (c) => void (c.cancelable = false) } });
  peer.bootstrap(0);
  peer.call(1, answer(0), { method: 1 });
  peer.call(2, answer(0), { method: 2, caps: [hosted(4)] });
  const [soft, hard] = peer.server.calls as [LocalCall, LocalCall];
  peer.acts(() => peer.connection.disconnected(lost()));
  expect([soft.canceled, hard.canceled]).toEqual([true, false]);
  expect(hard.params.caps).toHaveLength(1); // still its own
  hard.returns(payload(1, inner.hook(peer.scheduler)));
  soft.returns();
  expect(peer.drain()).toEqual([]);
  expect(inner.droppedTimes).toBe(1);
  peer.done();
});

it("C-DIS-07: closing here fails what is pending and tells the peer; an idle connection ends without a word", () => {
  const { peer, hooks } = given(hosted(7));
  const r = outcome(call(hooks[0]!, 0, 1));
  peer.drain();
  expect(peer.acts(() => peer.connection.close())).toEqual([
    'abort disconnected "the connection was closed here"',
  ]);
  expect(peer.acts(() => peer.connection.close())).toEqual([]);
  expect(r.error).toMatchObject({ type: "disconnected", code: "connection-closed" });
  expect(peer.over?.code).toBe("connection-closed");
  hooks[0]!.release();
  peer.done();
  const idle = new RawPeer();
  expect(idle.acts(() => idle.connection.close())).toEqual([]);
  expect(idle.over?.code).toBe("connection-closed");
  idle.done();
});

it("C-DIS-07: a call's delivery says whether its bytes had left", () => {
  const { peer, hooks } = given(hosted(7));
  const sent = outcome(call(hooks[0]!, 0, 1));
  peer.drain(); // the transport has taken it
  const unsent = outcome(call(hooks[0]!, 0, 2));
  peer.connection.disconnected(lost());
  peer.drain();
  expect([sent.error?.delivery, unsent.error?.delivery]).toEqual(["unknown", "not-sent"]);
  hooks[0]!.release();
  peer.done();
});

it("C-DIS-08: a transport that dies, with or without a reason, means disconnected", () => {
  for (const cause of [null, lost(), new RpcError("failed", "malformed-frame", "cut off")]) {
    const { peer, hooks } = given(hosted(7));
    const r = outcome(call(hooks[0]!, 0, 1));
    peer.drain();
    expect(peer.acts(() => peer.connection.disconnected(cause))).toEqual([]);
    expect(r.error?.type).toBe("disconnected");
    if (cause !== null) expect(r.error?.message).toBe(cause.message);
    hooks[0]!.release();
    peer.done();
  }
});

it("C-DIS-09: what was received before the end is handled before the end is told", () => {
  const { peer, hooks } = given(hosted(7));
  const one = outcome(call(hooks[0]!, 0, 1));
  const two = outcome(call(hooks[0]!, 0, 2));
  peer.drain();
  const log: string[] = [];
  const answers = [0, 1].map((id) =>
    peer.encode((w) =>
      w.returnException(id, false, true, new RpcError("failed", "method-failed", `no ${id}`)),
    ),
  );
  const stream = new Uint8Array(answers[0]!.length + answers[1]!.length + 4);
  stream.set(answers[0]!);
  stream.set(answers[1]!, answers[0]!.length);
  const framer = new Framer(peer.limits);
  framer.push(stream, (frame) => {
    peer.connection.handle(frame, 1);
    peer.scheduler.drain();
    log.push(`${one.error?.message} ${two.error?.message}`);
  });
  peer.connection.disconnected(framer.end());
  peer.drain();
  expect(log).toEqual(["no 0 undefined", "no 0 no 1"]);
  expect(peer.over?.message).toMatch(/premature end/);
  hooks[0]!.release();
  peer.done();
});

describe("C-DIS-10: the type of an exception", () => {
  for (const type of ["failed", "overloaded", "disconnected", "unimplemented"] as const)
    it(`C-DIS-10: ${type} arrives as it was sent`, () => {
      const mesh = chain({ 1: (c) => c.fails(new RpcError(type, "method-failed", "why")) });
      const r = outcome(call(mesh.cap, 1, 0));
      mesh.mesh.settle();
      expect(r.error).toMatchObject({ type, message: "why", code: "remote-exception" });
      mesh.end();
    });

  it("C-DIS-10: one that nobody knows is `failed` here and keeps its number through a proxy", () => {
    const mesh = chain({
      1: (c) => c.fails(new RpcError("failed", "method-failed", "new", { wireType: 9 })),
    });
    const r = outcome(call(mesh.cap, 1, 0));
    mesh.mesh.settle();
    expect(r.error).toMatchObject({ type: "failed", wireType: 9 });
    mesh.end();
  });
});

/** a calls an object of c through b. */
function chain(methods: ConstructorParameters<typeof Recorder>[0], sendTrace = false) {
  const mesh = new Mesh();
  const server = new Recorder(methods);
  const c = mesh.vat("c", { sendTrace });
  Object.assign(c.options, { bootstrap: server.hook(c.scheduler) });
  const b = mesh.vat("b", { sendTrace });
  const a = mesh.vat("a");
  mesh.link("b", "c");
  Object.assign(b.options, { bootstrap: () => b.to("c").bootstrap() });
  mesh.link("a", "b");
  const cap = a.to("b").bootstrap();
  mesh.settle();
  const end = (): void => {
    cap.release();
    mesh.settle();
    mesh.assertEmpty();
  };
  return { mesh, cap, server, end, a, b, c };
}

it("C-DIS-11: a reason may be absent, empty, no UTF-8, or far too long", () => {
  const { peer, hooks } = given(hosted(7));
  const fails = (message: string, harm?: (m: Uint8Array) => void): RpcError => {
    const r = outcome(call(hooks[0]!, 0, 1));
    peer.drain();
    const id = peer.connection.state.questions.values()[0]!.id;
    peer.send(
      (w) => w.returnException(id, false, true, new RpcError("failed", "method-failed", message)),
      harm,
    );
    return r.error!;
  };
  expect(fails("").message).toBe(""); // a null pointer
  expect(fails("abcd", (m) => m.fill(0xff, m.length - 8, m.length - 4)).message).toBe(
    "\ufffd\ufffd\ufffd\ufffd",
  );
  expect(fails("x".repeat(100_000)).message.length).toBe(peer.limits.reasonLength + 1);
  expect(peer.connection.error).toBe(null);
  hooks[0]!.release();
  peer.finish(0);
  peer.drain();
  peer.done();
});

it("C-DIS-12: no prefix is put before a reason, over any number of hops", () => {
  const mesh = chain({
    1: (c) => c.fails(new RpcError("failed", "method-failed", "remote exception: x")),
  });
  const r = outcome(call(mesh.cap, 1, 0));
  mesh.mesh.settle();
  expect(r.error?.message).toBe("remote exception: x");
  mesh.end();
});

describe("C-DIS-13: traces", () => {
  const throws = {
    1: (c: LocalCall) => c.fails(new RpcError("failed", "method-failed", "x", { trace: "secret" })),
    2: () => {
      throw new Error("y");
    },
  };

  it("C-DIS-13: none is sent or passed on unless asked for", () => {
    const mesh = chain(throws);
    const r = [outcome(call(mesh.cap, 1, 0)), outcome(call(mesh.cap, 2, 0))];
    mesh.mesh.settle();
    expect(r.map((o) => o.error?.trace)).toEqual(["", ""]);
    mesh.end();
  });

  it("C-DIS-13: a received one is kept, but not passed on by a proxy that was not asked to", () => {
    const mesh = chain(throws, true);
    Object.assign(mesh.b.to("a").state.writer, {
      errors: { sendTrace: false, redact: null },
    });
    const r = outcome(call(mesh.cap, 1, 0));
    const direct = mesh.b.to("c").bootstrap();
    const kept = outcome(call(direct, 1, 0));
    mesh.mesh.settle();
    expect([r.error?.trace, kept.error?.trace]).toEqual(["", "secret"]);
    direct.release();
    mesh.end();
  });

  it("C-DIS-13: with sendTrace the error's trace is sent, or the stack of what was thrown", () => {
    const mesh = chain(throws, true);
    const r = [outcome(call(mesh.cap, 1, 0)), outcome(call(mesh.cap, 2, 0))];
    mesh.mesh.settle();
    expect(r[0]!.error?.trace).toBe("secret");
    expect(r[1]!.error?.trace).toMatch(/disconnect\.test/);
    mesh.end();
  });
});

it("C-DIS-14: details pass through proxies, local calls and the end of a connection", () => {
  const details = [
    { id: 0xfedc_ba98_7654_3210n, data: new Uint8Array([9, 8, 7]) },
    { id: 1n, data: new Uint8Array() },
  ];
  const mesh = chain({
    1: (c) => c.fails(new RpcError("failed", "method-failed", "x", { details })),
  });
  const r = outcome(call(mesh.cap, 1, 0));
  const promise = new PromiseHook(mesh.a.scheduler);
  const local = outcome(call(promise, 1, 0));
  promise.resolve(mesh.cap.addRef());
  mesh.mesh.settle();
  expect(r.error?.details).toEqual(details);
  expect(local.error?.details).toEqual(details);
  promise.release();
  mesh.b.to("c").close(new RpcError("failed", "method-failed", "going", { details }));
  mesh.mesh.settle();
  const after = outcome(call(mesh.cap, 1, 0));
  mesh.mesh.settle();
  expect(after.error?.type).toBe("disconnected");
  expect(after.error?.details).toEqual(details);
  mesh.mesh.sweep();
  mesh.end();
});

it("C-DIS-15: whatever a method throws is `failed`, with its message and without its stack", () => {
  const hostile = {
    get message(): string {
      throw new Error("getter");
    },
  };
  const thrown: [unknown, RegExp][] = [
    ["text", /text/],
    [new TypeError("bad type"), /^bad type$/],
    [undefined, /undefined/],
    [null, /threw/],
    [{}, /an object that is no Error/],
    [Object.setPrototypeOf(hostile, Error.prototype), /cannot be described/],
    [new Error(""), /without a message/],
    [Symbol("s"), /Symbol/],
  ];
  for (const [value, message] of thrown) {
    const peer = new RawPeer({
      methods: {
        1: () => {
          throw value;
        },
      },
    });
    peer.bootstrap(0);
    const [line] = peer.call(1, answer(0), { method: 1 });
    expect(line).toMatch(/^return 1 exception failed "/);
    expect(line!.slice(27, -1)).toMatch(message);
    expect(line).not.toMatch(/\.test\.ts|\n/);
    peer.finish(0);
    peer.finish(1);
    peer.done();
  }
});

it("C-DIS-16: a method that fails as `disconnected` fails its call and nothing else", () => {
  const peer = new RawPeer({ methods: { 1: (c) => c.fails(lost()) } });
  peer.bootstrap(0);
  expect(peer.call(1, answer(0), { method: 1 })).toEqual([
    'return 1 exception disconnected "the wire broke"',
  ]);
  expect(peer.call(2, answer(0), { value: 3 })).toEqual(["return 2 results value=3 noFinish"]);
  peer.finish(0);
  peer.finish(1);
  peer.done();
});

it("C-DIS-16: an answer of type `disconnected` to a call of ours leaves the connection alone", () => {
  const { peer, hooks } = given(hosted(7));
  const r = outcome(call(hooks[0]!, 0, 1));
  peer.drain();
  peer.fails(0, lost());
  expect(r.error?.type).toBe("disconnected");
  expect(peer.connection.error).toBe(null);
  hooks[0]!.release();
  peer.finish(0);
  peer.drain();
  peer.done();
});

it("C-DIS-17: an error too large for a message is cut, first its trace and details, then its reason", () => {
  const limits = limitsWith({ messageWords: 100 });
  const details = [{ id: 1n, data: new Uint8Array(2000) }];
  const peer = new RawPeer({
    limits,
    sendTrace: true,
    methods: {
      1: (c) =>
        c.fails(
          new RpcError("failed", "method-failed", "short", { details, trace: "t".repeat(900) }),
        ),
      2: (c) => c.fails(new RpcError("overloaded", "method-failed", "é".repeat(5000))),
    },
  });
  peer.bootstrap(0);
  expect(peer.call(1, answer(0), { method: 1 })).toEqual(['return 1 exception failed "short"']);
  const [line] = peer.call(2, answer(0), { method: 2 });
  expect(line).toMatch(/^return 2 exception overloaded "é{300,}"$/);
  for (const id of [0, 1, 2]) peer.finish(id);
  peer.done();
});

it("C-DIS-19: failures that nobody looks at are silent", async () => {
  const silent: unknown[] = [];
  const listen = (reason: unknown): void => void silent.push(reason);
  process.on("unhandledRejection", listen);
  const { peer, hooks } = given(hosted(7), promised(8));
  const [object, promise] = hooks as [Hook, Hook];
  const dropped = call(object, 0, 1);
  dropped.dropResponse();
  const field = dropped.pipeline([0]);
  call(field, 0, 2).cancel();
  call(promise, 0, 3).dropPipeline(); // nobody observes it
  peer.drain();
  peer.fails(0, "no");
  peer.acts(() => peer.connection.disconnected(lost()));
  for (const h of [object, promise, field]) h.release();
  peer.done();
  await new Promise((resolve) => {
    setTimeout(resolve, 5);
  });
  process.off("unhandledRejection", listen);
  expect(silent).toEqual([]);
});
