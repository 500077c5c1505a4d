import { expect, it } from "vitest";
import { CallRequest } from "../../src/hook/hook.js";
import { PromiseHook } from "../../src/hook/promise.js";
import { Mesh } from "../../src/vat/mesh.js";
import { call, outcome, payload, Recorder, tell } from "../support/objects.js";

function pair(server: Recorder) {
  const mesh = new Mesh();
  const b = mesh.vat("b");
  const hook = server.hook(b.scheduler);
  Object.assign(b.options, { bootstrap: hook });
  const a = mesh.vat("a");
  mesh.link("a", "b");
  return { mesh, a, b, hook };
}

it("bootstraps, calls, returns, finishes, and leaves nothing", () => {
  const server = new Recorder();
  const { mesh, a } = pair(server);
  const cap = a.to("b").bootstrap();
  const one = tell(cap, 1);
  const two = tell(cap, 2);
  mesh.settle();
  const three = tell(cap, 3);
  mesh.settle();
  expect(server.seen).toEqual([1, 2, 3]);
  expect([one.value, two.value, three.value]).toEqual([1, 2, 3]);
  cap.release();
  mesh.settle();
  mesh.assertEmpty();
});

it("pipelines on results and embargoes a promise that comes home", () => {
  const home = new Recorder();
  const server = new Recorder({ 1: (c) => c.returns(payload(0, c.params.caps[0]!.addRef())) });
  const { mesh, a } = pair(server);
  const cap = a.to("b").bootstrap();
  const results = call(cap, 1, 10, home.hook(a.scheduler));
  const back = results.pipeline([0]);
  const r = outcome(results);
  tell(back, 1);
  tell(back, 2);
  mesh.drain();
  let lifted = 0;
  mesh.taps.push((m) => {
    if (m[16] === 13) lifted++;
    return m;
  });
  while (!r.settled) {
    mesh.drain();
    mesh.deliver(mesh.deliverable()[0]!);
  }
  tell(back, 3);
  tell(r.caps[0]!, 4);
  mesh.settle();
  expect(home.seen).toEqual([1, 2, 3, 4]);
  expect(lifted).toBe(2);
  back.release();
  r.release();
  cap.release();
  mesh.settle();
  mesh.assertEmpty();
});

it("resolves an exported promise", () => {
  const server = new Recorder({ 1: (c) => c.returns(payload(0, promise.addRef())) });
  const { mesh, a, b } = pair(server);
  const promise = new PromiseHook(b.scheduler);
  const end = new Recorder();
  const cap = a.to("b").bootstrap();
  const r = outcome(call(cap, 1, 0));
  mesh.settle();
  const p = r.caps[0]!;
  expect(p.isPromise).toBe(true);
  tell(p, 1);
  promise.resolve(end.hook(b.scheduler));
  tell(p, 2);
  mesh.settle();
  expect(p.isPromise).toBe(false);
  tell(p, 3);
  mesh.settle();
  expect(end.seen).toEqual([1, 2, 3]);
  r.release();
  cap.release();
  promise.release();
  mesh.settle();
  mesh.assertEmpty();
  expect(end.droppedTimes).toBe(1);
});

it("answers a reflected call by a tail call", () => {
  const home = new Recorder();
  const server = new Recorder({
    1: (c) => {
      const target = c.params.caps[0]!.addRef();
      c.tailCall(target, new CallRequest(0, 0x7e57, 0, payload(77)));
      target.release();
    },
  });
  const { mesh, a } = pair(server);
  const cap = a.to("b").bootstrap();
  const r = outcome(call(cap, 1, 10, home.hook(a.scheduler)));
  mesh.settle();
  expect(r.error).toBe(null);
  expect(r.value).toBe(77);
  expect(home.seen).toEqual([77]);
  cap.release();
  mesh.settle();
  mesh.assertEmpty();
});

it("cuts cleanly", () => {
  const server = new Recorder({ 1: () => {} });
  const { mesh, a } = pair(server);
  const cap = a.to("b").bootstrap();
  mesh.settle();
  const r = outcome(call(cap, 1, 10));
  mesh.settle();
  mesh.cut("a", "b");
  expect(r.error?.type).toBe("disconnected");
  expect(r.error?.delivery).toBe("unknown");
  expect(server.calls[0]!.canceled).toBe(true);
  const late = tell(cap, 3);
  mesh.drain();
  expect(late.error?.delivery).toBe("not-sent");
  cap.release();
  mesh.assertEmpty();
});
