// AbortSignals as arguments and results: lent and given like everything else.

import { expect, it } from "vitest";
import { RpcStub, RpcTarget } from "../../src/cap/dynamic/index.js";
import { failure, Pair } from "./kit.js";

class Api extends RpcTarget {
  signal: AbortSignal | null = null;
  readonly controller = new AbortController();
  release: () => void = () => {};
  async work(options: { signal: AbortSignal }): Promise<string> {
    this.signal = options.signal;
    return new Promise((resolve, reject) => {
      this.release = () => resolve("done");
      options.signal.addEventListener("abort", () => reject(options.signal.reason as Error));
    });
  }
  look(signal: AbortSignal): unknown {
    this.signal = signal;
    return signal.aborted ? (signal.reason as unknown) : "not aborted";
  }
  ends(): { signal: AbortSignal } {
    return { signal: this.controller.signal };
  }
}

/** Counts the listeners of a signal. */
function counted(signal: AbortSignal): { listeners: number } {
  const count = { listeners: 0 };
  const add = signal.addEventListener.bind(signal);
  const remove = signal.removeEventListener.bind(signal);
  signal.addEventListener = (...args: Parameters<typeof add>): void => {
    count.listeners++;
    add(...args);
  };
  signal.removeEventListener = (...args: Parameters<typeof remove>): void => {
    count.listeners--;
    remove(...args);
  };
  return count;
}

it("aborts at the other side, with its reason", async () => {
  const pair = new Pair(new Api());
  const controller = new AbortController();
  const count = counted(controller.signal);
  const failed = failure(pair.api.work({ signal: controller.signal }));
  await pair.rest();
  expect(pair.target.signal!.aborted).toBe(false);
  expect(count.listeners).toBe(1);
  controller.abort(new RangeError("enough"));
  await pair.rest();
  expect(await failed).toMatchObject({ message: "enough" });
  expect(pair.target.signal!.reason).toBeInstanceOf(RangeError);
  expect(count.listeners).toBe(0);
  await pair.done();
});

it("is lent: it follows no longer than the call, and leaves no listener", async () => {
  const pair = new Pair(new Api());
  const controller = new AbortController();
  const count = counted(controller.signal);
  const working = pair.run(pair.api.work({ signal: controller.signal }));
  await pair.rest();
  pair.target.release();
  expect(await working).toBe("done");
  await pair.rest();
  expect(count.listeners).toBe(0);
  controller.abort();
  await pair.rest();
  expect(pair.target.signal!.aborted).toBe(false);
  await pair.done();
});

it("that has aborted arrives aborted", async () => {
  const pair = new Pair(new Api());
  expect(await pair.run(pair.api.look(AbortSignal.abort("why")))).toBe("why");
  expect(await pair.run(pair.api.look(AbortSignal.abort()))).toMatchObject({ name: "AbortError" });
  await pair.done();
});

it("that aborted, or aborts, for what cannot travel aborts with an error that says so", async () => {
  class Own {}
  const why = {
    code: "remote-exception",
    message: expect.stringMatching(/an instance of Own/) as string,
  };
  const pair = new Pair(new Api());
  await pair.run(pair.api.look(AbortSignal.abort(new Own())));
  expect(pair.target.signal!.reason).toMatchObject(why);
  const controller = new AbortController();
  const failed = failure(pair.api.work({ signal: controller.signal }));
  await pair.rest();
  controller.abort(new Own());
  await pair.rest();
  await failed;
  expect(pair.target.signal!.reason).toMatchObject(why);
  // In one vat nothing is kept of it either.
  using local = new RpcStub(pair.target);
  await pair.run(local.look(AbortSignal.abort(new Own())));
  expect(pair.target.signal!.reason).toMatchObject({ code: "unsendable-value" });
  local[Symbol.dispose]();
  await pair.done();
});

it("is given in a result, until that is disposed", async () => {
  const target = new Api();
  const count = counted(target.controller.signal);
  const pair = new Pair(target);
  const first = await pair.run(pair.api.ends());
  const second = await pair.run(pair.api.ends());
  await pair.rest();
  expect(count.listeners).toBe(2);
  second[Symbol.dispose]();
  await pair.rest();
  expect(count.listeners).toBe(1);
  target.controller.abort("over");
  await pair.rest();
  expect(first.signal.reason).toBe("over");
  expect(second.signal.aborted).toBe(false);
  first[Symbol.dispose]();
  await pair.done();
});

it("aborts when the connection is lost: nobody can say any more whether it does", async () => {
  const pair = new Pair(new Api());
  const failed = failure(pair.api.work({ signal: new AbortController().signal }));
  await pair.rest();
  pair.net.cut("guest", "host");
  await pair.rest();
  expect(pair.target.signal!.reason).toMatchObject({ type: "disconnected" });
  expect(await failed).toMatchObject({ type: "disconnected" });
  pair.api[Symbol.dispose]();
});
