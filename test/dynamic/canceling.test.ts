// The clauses of cancellation and of capability objects that need a peer, a promise or a membrane in the way, through stubs.

import { describe, expect, it } from "vitest";
import { callContext, RpcStub, RpcTarget, sameObject, serve } from "../../src/cap/dynamic/index.js";
import { nullHook } from "../../src/hook/results.js";
import { Membrane } from "../../src/index.js";
import { DEFAULT_LIMITS } from "../../src/base/limits.js";
import { MessageTag } from "../../src/wire/descriptors.js";
import { Frame, parseFrame } from "../../src/wire/frame.js";
import { MessageReader } from "../../src/wire/message-reader.js";
import { Counter, failure, Pair } from "./kit.js";
import { Consumer } from "./streams/kit.js";

const rest = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 0));

class Slow extends RpcTarget {
  readonly log: string[] = [];
  finish: () => void = () => {};

  /** Opts out at its beginning. */
  stubborn(): Promise<number> {
    callContext().cancelable = false;
    this.log.push("stubborn");
    return new Promise((resolve) => (this.finish = () => resolve(1)));
  }
}

class Api extends RpcTarget {
  readonly slow = new Slow();
  readonly counter = new Counter();
  readonly consumer = new Consumer(true);
  readonly log: string[] = [];
  kept: RpcStub<Counter> | null = null;
  release: () => void = () => {};

  /** Gives it when it is told to. */
  later(): Promise<Slow> {
    return new Promise((resolve) => (this.release = () => resolve(this.slow)));
  }
  laterCounter(): Promise<Counter> {
    return new Promise((resolve) => (this.release = () => resolve(this.counter)));
  }
  echo<V>(value: V): V {
    return value;
  }
  make(): Counter {
    return this.counter;
  }
  untidy(how: "throws" | "rejects"): Promise<never> {
    const { signal } = callContext();
    return new Promise((_, reject) => {
      signal.addEventListener("abort", () => {
        this.log.push(how);
        if (how === "rejects") reject(new Error("cleaning up went wrong"));
        else throw new Error("cleaning up went wrong");
      });
    });
  }
  sink(): WritableStream {
    return this.consumer.stream;
  }
  keep(counter: RpcStub<Counter>): void {
    this.kept = counter.dup();
  }
  /** What was kept, when it is told to. */
  given(): Promise<RpcStub<Counter>> {
    return new Promise((resolve) => (this.release = () => resolve(this.kept!)));
  }
  [Symbol.dispose](): void {
    this.kept?.[Symbol.dispose]();
  }
}

/** Looks at each Finish of the guest's, and has it ask for the workaround as long as `asks`. */
function finishes(pair: Pair<RpcTarget>): { asks: boolean; asked: boolean[] } {
  const seen = { asks: false, asked: [] as boolean[] };
  const frame = new Frame();
  const reader = new MessageReader(DEFAULT_LIMITS);
  pair.net.taps.push((message, from) => {
    parseFrame(message, frame, DEFAULT_LIMITS);
    reader.read(frame);
    if (from !== "guest" || reader.tag !== MessageTag.finish) return message;
    seen.asked.push(reader.requireEarlyCancellationWorkaround);
    if (!seen.asks) return message;
    const changed = message.slice();
    // The one struct behind the root and the Message; the bit is stored inverted, since its default is true.
    changed[36]! &= ~2;
    parseFrame(changed, frame, DEFAULT_LIMITS);
    reader.read(frame);
    expect(reader.requireEarlyCancellationWorkaround).toBe(true);
    return changed;
  });
  return seen;
}

describe("canceling", () => {
  it("C-CAN-06: a call that waits has its turn first where the Finish asks for it, and may opt out; else it has none", async () => {
    for (const asks of [true, false]) {
      const pair = new Pair(new Api());
      const { slow } = pair.target;
      const seen = finishes(pair);
      seen.asks = asks;
      const controller = new AbortController();
      const promise = pair.api.later();
      const failed = failure(promise.with({ signal: controller.signal }).stubborn());
      // It is there, and waits for what it is called on.
      await pair.rest();
      controller.abort();
      expect(await failed).toMatchObject({ code: "call-canceled" });
      await pair.rest();
      expect(slow.log).toEqual([]);
      pair.target.release();
      await pair.rest();
      expect(slow.log).toEqual(asks ? ["stubborn"] : []);
      pair.heard();
      slow.finish();
      await pair.rest();
      // Only now is it over, and so is answered.
      expect(pair.heard()).toEqual(asks ? ["host return"] : []);
      expect(seen.asked.length).toBeGreaterThan(0);
      promise[Symbol.dispose]();
      await pair.done();
    }
  });

  it("C-CAN-07: no Finish of a stub's asks for the workaround, however it came to be", async () => {
    const pair = new Pair(new Api());
    const seen = finishes(pair);
    const controller = new AbortController();
    const given = pair.api.with({ signal: controller.signal }).later();
    const failed = failure(given);
    const dropped = pair.api.later();
    await pair.rest();
    controller.abort();
    dropped[Symbol.dispose]();
    expect(await failed).toMatchObject({ code: "call-canceled" });
    using made = pair.api.make();
    expect(await pair.run(made.add(1))).toBe(1);
    made[Symbol.dispose]();
    await pair.rest();
    expect(seen.asked.length).toBeGreaterThanOrEqual(3);
    expect(seen.asked).not.toContain(true);
    await pair.done();
  });

  it("C-CAN-12, C-FLO-01, C-FLO-13: a write is a call of its own that nobody cancels, whatever is let go of", async () => {
    const pair = new Pair(new Api());
    const { consumer } = pair.target;
    const writer = (await pair.run(pair.api.sink())).getWriter();
    await pair.rest();
    pair.heard();
    const written = [0, 1, 2].map((n) => writer.write(n));
    await pair.run(Promise.all(written));
    // The caller has its promise, and keeps nothing else of the call.
    await pair.rest();
    expect(pair.heard()).toEqual(["guest call", "guest call", "guest call"]);
    pair.api[Symbol.dispose]();
    const closed = writer.close();
    await pair.rest();
    expect(pair.heard().filter((line) => line === "guest finish")).toEqual([]);
    for (let i = 0; i < 3; i++) {
      expect(consumer).toMatchObject({ chunks: [0, 1, 2].slice(0, i + 1), closed: false });
      consumer.take();
      await pair.rest();
    }
    await pair.run(closed);
    expect(consumer).toMatchObject({ closed: true, aborted: "not aborted" });
    await pair.done();
  });

  it("C-CAN-13: a method that comes to grief while it gives up harms neither the connection nor other calls", async () => {
    const uncaught: unknown[] = [];
    const listeners = process.listeners("uncaughtException");
    process.removeAllListeners("uncaughtException");
    process.on("uncaughtException", (error) => uncaught.push(error.message));
    const pair = new Pair(new Api());
    for (const how of ["throws", "rejects"] as const) {
      const controller = new AbortController();
      const failed = failure(pair.api.with({ signal: controller.signal }).untidy(how));
      const other = pair.api.echo(how);
      await pair.rest();
      pair.heard();
      controller.abort();
      expect(await failed).toMatchObject({ code: "call-canceled" });
      expect(await pair.run(other)).toBe(how);
      await pair.rest();
      expect(pair.heard()).toEqual(["guest finish", "host return"]);
    }
    expect(pair.target.log).toEqual(["throws", "rejects"]);
    expect(await pair.run(pair.api.echo(1))).toBe(1);
    await pair.done();
    process.removeAllListeners("uncaughtException");
    for (const listener of listeners) process.on("uncaughtException", listener);
    // Node reports what a listener threw as if nobody had called it.
    expect(uncaught).toEqual(["cleaning up went wrong"]);
  });
});

describe("what a stub stands for", () => {
  it("C-LOC-05: a promise that became our own object is called directly, but not before its earlier calls arrived", async () => {
    const pair = new Pair(new Api());
    const mine = new Counter();
    using stub = new RpcStub(mine, { scheduler: pair.guest.scheduler });
    using promise = pair.api.echo(stub) as unknown as RpcStub<Counter> &
      PromiseLike<RpcStub<Counter>>;
    const first = [promise.add(1), promise.add(2)];
    // The promise is settled while these are still on their way round through the host.
    using got = await pair.run(promise);
    const then = [got.add(3), promise.add(4)];
    await pair.rest();
    await pair.run(Promise.all([...first, ...then]));
    expect(mine.log).toEqual([1, 2, 3, 4]);
    expect(sameObject(got, stub)).toBe("same");
    // And now nothing leaves this vat.
    pair.heard();
    expect(await pair.run(Promise.all([got.add(5), promise.add(6)]))).toEqual([15, 21]);
    expect(pair.heard()).toEqual([]);
    for (const one of [got, promise, stub]) one[Symbol.dispose]();
    await pair.done();
  });

  it("C-LOC-05: in its own vat, too, calls on a promise come before those on what it became", async () => {
    const target = new Api();
    using api = new RpcStub(target);
    using promise = api.laterCounter();
    const early = [1, 2, 3].map((n) => promise.add(n));
    await rest();
    target.release();
    using got = await promise;
    const late = [got.add(4), promise.add(5)];
    await Promise.all([...early, ...late]);
    expect(target.counter.log).toEqual([1, 2, 3, 4, 5]);
  });

  it("C-LOC-06: a null capability fails each call, travels as null, and is no promise", async () => {
    const pair = new Pair(new Api());
    const nobody = (): RpcStub<Counter> =>
      new RpcStub<Counter>(nullHook(pair.guest.scheduler), { scheduler: pair.guest.scheduler });
    using here = nobody();
    expect(await failure(pair.run(here.add(1)))).toMatchObject({
      message: expect.stringContaining("null capability") as string,
    });
    // There and back it is one still, and no message is said about it meanwhile: no export, no Resolve.
    pair.heard();
    using back = (await pair.run(pair.api.echo(here))) as RpcStub<Counter>;
    expect(pair.heard().filter((line) => !/call|return|finish/.test(line))).toEqual([]);
    expect(await failure(pair.run(back.add(1)))).toMatchObject({
      message: expect.stringContaining("null capability") as string,
    });
    for (const one of [here, back]) one[Symbol.dispose]();
    await pair.done();
  });

  it("C-LOC-12: what a guarded promise became is one guarded object, whoever asks; what came from outside is itself again", async () => {
    const target = new Api();
    const hook = serve(target);
    const membrane = new Membrane({}, hook.scheduler);
    using api = new RpcStub<Api>(membrane.wrap(hook));
    hook.release();
    using promise = api.laterCounter();
    const early = promise.add(1);
    await rest();
    target.release();
    // Asked for twice at once, and once more directly.
    const [one, two] = (await Promise.all([promise, api.echo(promise as never)])) as [
      RpcStub<Counter>,
      RpcStub<Counter>,
    ];
    using direct = await api.make();
    for (const other of [two, direct]) expect(sameObject(one, other)).toBe("same");
    expect(await early).toBe(1);

    const mine = new Counter();
    using stub = new RpcStub(mine);
    await api.keep(stub);
    using given = api.given();
    const before = given.add(1);
    await rest();
    target.release();
    using home = await given;
    expect(sameObject(home, stub)).toBe("same");
    expect(await before).toBe(1);
    membrane.revoke();
    // It never was the membrane's to break.
    expect(await home.add(1)).toBe(2);
    expect(await failure(one.add(1))).toMatchObject({ code: "capability-revoked" });
    for (const stubs of [one, two]) stubs[Symbol.dispose]();
  });
});
