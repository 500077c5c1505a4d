import { expect, it } from "vitest";
import type { Hook } from "../../src/hook/hook.js";
import { TestVats } from "../../src/testing.js";
import { call, outcome, payload, Recorder, tell } from "../support/objects.js";

/** Stands for a client class. */
class Bare {
  readonly hook: Hook;
  constructor(hook: Hook) {
    this.hook = hook;
  }
}

function pair(server: Recorder, delay = 50) {
  const net = new TestVats();
  const host = net.vat("host", { bootstrap: (): Hook => hook.addRef() });
  const hook: Hook = server.hook(host.scheduler);
  net.vat("guest");
  net.link("guest", "host", { delay });
  const { hook: remote } = net.bootstrap("guest", "host", Bare);
  const end = (): void => {
    remote.release();
    net.advance(1000);
    hook.release();
    net.assertEmpty();
  };
  return { net, remote, hook, end };
}

it("a call takes two delays of virtual time, and pipelined ones no more", () => {
  const { net, remote, end } = pair(new Recorder());
  const one = tell(remote, 1);
  const two = tell(remote, 2);
  net.advance(99);
  expect([one.settled, two.settled]).toEqual([false, false]);
  net.advance(1);
  expect([one.value, two.value]).toEqual([1, 2]);
  expect(net.now).toBe(100);
  end();
});

it("run lets servers use timers and promises, and says when nothing can settle", async () => {
  const server = new Recorder({
    1: (c) => void net.sleep(30).then(() => c.returns(payload(7))),
    2: () => {},
  });
  const { net, remote, end } = pair(server);
  const settled = (results: ReturnType<typeof call>) =>
    new Promise<number | undefined>((resolve) => {
      const seen = outcome(results);
      const look = (): void => (seen.settled ? resolve(seen.value) : net.after(1, look));
      look();
    });
  expect(await net.run(settled(call(remote, 1, 0)))).toBe(7);
  // There, 30 of its own, and back; and one until the next look.
  expect(net.now).toBe(131);
  const never = call(remote, 2, 0);
  await expect(net.run(new Promise(() => {}))).rejects.toThrow(
    /no timer is set.*guest to host: connection: open\nquestion/s,
  );
  never.cancel();
  end();
});

it("a lost message never arrives, a cut link breaks, and a line keeps its order when its delay falls", () => {
  const server = new Recorder();
  const { net, remote, hook } = pair(server);
  net.advance(200);
  net.lose("guest", "host");
  const lost = tell(remote, 1);
  net.setDelay("guest", "host", 500);
  const slow = tell(remote, 2);
  net.drain();
  net.setDelay("guest", "host", 1);
  const fast = tell(remote, 3);
  net.advance(2000);
  expect(server.seen).toEqual([2, 3]);
  expect([lost.settled, slow.value, fast.value]).toEqual([false, 2, 3]);
  net.cut("guest", "host");
  expect(lost.error).toMatchObject({ type: "disconnected", delivery: "unknown" });
  remote.release();
  hook.release();
  net.assertEmpty();
});

it("names a link that is not there", () => {
  const net = new TestVats();
  net.vat("a");
  expect(() => net.bootstrap("a", "b", Bare)).toThrow("there is no link from a to b");
});

it("a link with a bandwidth makes messages wait in line, and tells how many bytes wait", () => {
  const net = new TestVats();
  const host = net.vat("host", { bootstrap: (): Hook => hook.addRef() });
  const server = new Recorder();
  const hook: Hook = server.hook(host.scheduler);
  net.vat("guest");
  net.link("guest", "host", { delay: 10, bandwidth: 2, weigh: () => 100 });
  const { hook: remote } = net.bootstrap("guest", "host", Bare);
  net.advance(200);
  const start = net.now;
  net.load("guest", "host");
  const told = [1, 2, 3].map((value) => tell(remote, value));
  net.drain();
  expect(net.load("guest", "host")).toEqual({ queued: 300, mostQueued: 300, bytes: 500 });
  net.advance(59.9);
  expect(server.seen).toEqual([]);
  net.advance(0.2);
  expect(server.seen).toEqual([1]); // 50 ms on its way into the line, 10 through it
  net.advance(14.9);
  expect(net.load("guest", "host").queued).toBeCloseTo(150);
  net.setBandwidth("guest", "host", 10);
  expect(net.load("guest", "host").queued).toBeCloseTo(150);
  net.advance(15);
  expect(net.load("guest", "host")).toMatchObject({ queued: 0, bytes: 500 });
  net.advance(1000);
  expect(told.map(({ value }) => value)).toEqual([1, 2, 3]);
  const fast = tell(remote, 4);
  net.drain();
  net.advance(10 + 10 + 0.1);
  expect([server.seen.at(-1), fast.settled]).toEqual([4, false]);
  expect(net.now - start).toBeLessThan(1200);
  // What is lost with the link waits for it no more.
  tell(remote, 5);
  net.drain();
  net.cut("guest", "host");
  expect(net.load("guest", "host").queued).toBe(0);
  remote.release();
  hook.release();
  net.assertEmpty();
});
