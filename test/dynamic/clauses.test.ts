// Clauses of cancellation and of local capabilities, through stubs: what rpc/ and hook/ keep, users can rely on.

import { describe, expect, it } from "vitest";
import { callContext, RpcStub, RpcTarget, sameObject, serve } from "../../src/cap/dynamic/index.js";
import { Membrane } from "../../src/index.js";
import { TestVats } from "../../src/testing.js";
import { Counter, failure, Pair } from "./kit.js";
import { Consumer } from "./streams/kit.js";

class Api extends RpcTarget {
  readonly log: string[] = [];
  readonly counter = new Counter();
  kept: RpcStub<Counter> | null = null;
  release: () => void = () => {};
  dropped = 0;
  consumer = new Consumer(true);
  self: RpcStub<Api> | null = null;

  echo(value: unknown): unknown {
    this.log.push(`echo ${typeof value === "number" ? value : typeof value}`);
    return value;
  }
  make(): Counter {
    return this.counter;
  }
  /** Gives a counter when it is told to; says when its caller gives up. */
  later(...lent: unknown[]): Promise<Counter> {
    const { signal } = callContext();
    this.log.push(`later ${lent.length}`);
    return new Promise((resolve, reject) => {
      this.release = () => resolve(this.counter);
      signal.addEventListener("abort", () => {
        this.log.push("aborted");
        reject(signal.reason as Error);
      });
    });
  }
  stubborn(): Promise<number> {
    const context = callContext();
    context.cancelable = false;
    context.signal.addEventListener("abort", () => this.log.push("aborted"));
    return new Promise((resolve) => {
      this.release = () => {
        this.log.push("done");
        resolve(1);
      };
    });
  }
  fail(): never {
    throw new RangeError("no");
  }
  async again(depth: number): Promise<number> {
    this.log.push(`again ${depth}`);
    return depth === 0 ? 0 : 1 + (await this.self!.again(depth - 1));
  }
  sink(): WritableStream {
    return this.consumer.stream;
  }
  mutate(list: number[]): number[] {
    list.push(9);
    return list;
  }
  [Symbol.dispose](): void {
    this.dropped++;
  }
}

describe("canceling", () => {
  it("C-CAN-01, C-CAN-03: a disposed promise ends the call, its context hears of it, and nothing is left", async () => {
    const pair = new Pair(new Api());
    const promise = pair.api.later();
    const failed = failure(promise);
    await pair.rest();
    pair.heard();
    promise[Symbol.dispose]();
    expect(await failed).toMatchObject({ code: "call-canceled" });
    await pair.rest();
    expect(pair.target.log).toEqual(["later 0", "aborted"]);
    expect(pair.heard()).toEqual(["guest finish", "host return"]);
    await pair.done();
  });

  it("C-CAN-02: not while what was called through it is awaited", async () => {
    const pair = new Pair(new Api());
    const promise = pair.api.later();
    const sum = promise.add(2);
    promise[Symbol.dispose]();
    await pair.rest();
    expect(pair.target.log).toEqual(["later 0"]);
    pair.target.release();
    expect(await pair.run(sum)).toBe(2);
    await pair.done();
  });

  it("C-CAN-04: a method that opts out runs to its end", async () => {
    const pair = new Pair(new Api());
    const controller = new AbortController();
    const failed = failure(pair.api.with({ signal: controller.signal }).stubborn());
    await pair.rest();
    controller.abort();
    expect(await failed).toMatchObject({ code: "call-canceled" });
    await pair.rest();
    expect(pair.target.log).toEqual([]);
    pair.target.release();
    await pair.rest();
    expect(pair.target.log).toEqual(["done"]);
    await pair.done();
  });

  it("C-CAN-02, C-CAN-05: what was called through it keeps it alive, and can be given up as well", async () => {
    const pair = new Pair(new Api());
    const controller = new AbortController();
    const promise = pair.api.with({ signal: controller.signal }).later();
    const failed = failure(promise);
    const other = new AbortController();
    const through = failure(promise.with({ signal: other.signal }).add(1));
    await pair.rest();
    controller.abort();
    expect(await failed).toMatchObject({ code: "call-canceled" });
    await pair.rest();
    expect(pair.target.log).toEqual(["later 0"]);
    other.abort();
    expect(await through).toMatchObject({ code: "call-canceled" });
    await pair.rest();
    expect(pair.target.log).toEqual(["later 0", "aborted"]);
    promise[Symbol.dispose]();
    await pair.done();
  });

  it("C-CAN-08, C-CAN-09: gives back what it was lent, also when it was never sent", async () => {
    const pair = new Pair(new Api());
    const mine = new Counter();
    for (const turns of [0, 1]) {
      const promise = pair.api.later(mine, () => 1);
      const failed = failure(promise);
      if (turns === 1) await pair.rest();
      promise[Symbol.dispose]();
      await failed;
      await pair.rest();
      expect(mine.disposed).toBe(1 + turns);
    }
    expect(pair.target.log).toEqual(["later 2", "aborted"]);
    await pair.done();
  });

  it("C-CAN-10, C-CAN-14: that crosses the answer, or comes twice, harms nobody", async () => {
    const pair = new Pair(new Api());
    const promise = pair.api.make();
    const settled = Promise.resolve(promise).then(
      () => "given",
      () => "failed",
    );
    // The answer is on its way.
    await new Promise((resolve) => setTimeout(resolve, 0));
    pair.net.advance(60);
    promise[Symbol.dispose]();
    promise[Symbol.dispose]();
    await pair.rest();
    expect(await settled).toBe("failed");
    expect(await pair.run(pair.api.echo(1))).toBe(1);
    await pair.done();
  });

  it("C-CAN-11: goes on through a vat that passes the call on", async () => {
    const net = new TestVats();
    const far = new Api();
    class Front extends RpcTarget {
      get far(): RpcStub<Api> {
        return inner;
      }
    }
    const host = net.vat("host", { bootstrap: () => serve(far, { scheduler: host.scheduler }) });
    const proxy = net.vat("proxy", {
      bootstrap: () => serve(new Front(), { scheduler: proxy.scheduler }),
    });
    net.vat("guest");
    net.link("guest", "proxy", { delay: 5 });
    net.link("proxy", "host", { delay: 5 });
    const inner = net.bootstrap("proxy", "host", RpcStub<Api>);
    const api = net.bootstrap("guest", "proxy", RpcStub<Front>);
    const rest = async (): Promise<void> => {
      for (let i = 0; i < 5; i++) {
        await new Promise((resolve) => setTimeout(resolve, 0));
        net.advance(50);
      }
    };
    const controller = new AbortController();
    const failed = failure(api.with({ signal: controller.signal }).far.later());
    await rest();
    expect(far.log).toEqual(["later 0"]);
    controller.abort();
    expect(await failed).toMatchObject({ code: "call-canceled" });
    await rest();
    expect(far.log).toEqual(["later 0", "aborted"]);
    api[Symbol.dispose]();
    inner[Symbol.dispose]();
    await rest();
    net.assertEmpty();
  });
});

describe("a stub in its own vat", () => {
  it("C-LOC-01: never runs a method inside of the call, and keeps the order", async () => {
    const target = new Api();
    using api = new RpcStub(target);
    const calls = [1, 2, 3].map((n) => api.echo(n));
    expect(target.log).toEqual([]);
    await Promise.all(calls);
    expect(target.log).toEqual(["echo 1", "echo 2", "echo 3"]);
  });

  it("C-LOC-02: copies arguments and results", async () => {
    using api = new RpcStub(new Api());
    const list = [1];
    const got = await api.mutate(list);
    expect(list).toEqual([1]);
    expect(got).toEqual([1, 9]);
    expect(got).not.toBe(list);
  });

  it("C-LOC-03, C-LOC-07: fails as from afar, and so does what is called through the failure", async () => {
    using api = new RpcStub(new Api());
    const loose = api as unknown as { missing(): PromiseLike<unknown> };
    expect(await failure(loose.missing())).toMatchObject({ type: "unimplemented" });
    using failed = api.fail() as unknown as RpcStub<Counter> & PromiseLike<unknown>;
    const through = failed.add(1);
    for (const one of [await failure(failed), await failure(through)])
      expect(one).toMatchObject({ type: "failed", message: "no" });
  });

  it("C-LOC-08, C-LOC-13: one object is one object, wherever it stands", async () => {
    const pair = new Pair(new Api());
    const mine = new Counter();
    using stub = new RpcStub(mine, { scheduler: pair.guest.scheduler });
    const got = (await pair.run(pair.api.echo({ deep: [mine, new Map([["m", stub]])] }))) as {
      deep: [RpcStub<Counter>, Map<string, RpcStub<Counter>>];
    } & Disposable;
    const [one, map] = got.deep;
    expect(sameObject(one, map.get("m")!)).toBe("same");
    expect(sameObject(one, stub)).toBe("same");
    got[Symbol.dispose]();
    stub[Symbol.dispose]();
    await pair.done();
  });

  it("C-LOC-09: the object is let go of once, behind its last stub and its last call", async () => {
    const target = new Api();
    const api = new RpcStub(target);
    const dup = api.dup();
    const underWay = api.later();
    const given = Promise.resolve(underWay);
    await new Promise((resolve) => setTimeout(resolve, 0));
    api[Symbol.dispose]();
    dup[Symbol.dispose]();
    await new Promise((resolve) => setTimeout(resolve, 0));
    expect(target.dropped).toBe(0);
    target.release();
    (await given)[Symbol.dispose]();
    await new Promise((resolve) => setTimeout(resolve, 0));
    expect(target.dropped).toBe(1);
  });

  it("C-LOC-10, C-LOC-11: a guarded object comes home as itself, and is cut off with its calls under way", async () => {
    const target = new Api();
    const hook = serve(target);
    const membrane = new Membrane({}, hook.scheduler);
    using api = new RpcStub<Api>(membrane.wrap(hook));
    hook.release();
    using counter = await api.make();
    expect(await counter.add(1)).toBe(1);
    using back = (await api.echo(counter)) as RpcStub<Counter>;
    expect(sameObject(back, counter)).toBe("same");
    const underWay = failure(api.later());
    await new Promise((resolve) => setTimeout(resolve, 0));
    membrane.revoke();
    for (const error of [await underWay, await failure(api.echo(1)), await failure(counter.add(1))])
      expect(error).toMatchObject({ code: "capability-revoked" });
  });

  it("C-LOC-14: may call itself, and let go of itself, inside of a call", async () => {
    const target = new Api();
    const api = new RpcStub(target);
    target.self = api.dup();
    expect(await api.again(3)).toBe(3);
    expect(target.log).toEqual(["again 3", "again 2", "again 1", "again 0"]);
    target.self[Symbol.dispose]();
    api[Symbol.dispose]();
    await new Promise((resolve) => setTimeout(resolve, 0));
    expect(target.dropped).toBe(1);
  });
});

describe("a stream of a stub", () => {
  it("C-FLO-02, C-FLO-11: takes more before what was written is taken, and ends behind all of it", async () => {
    const pair = new Pair(new Api());
    const writer = (await pair.run(pair.api.sink())).getWriter();
    for (let i = 0; i < 5; i++) await pair.run(writer.write(i));
    await pair.rest();
    expect(pair.target.consumer.chunks).toEqual([0]);
    const closed = writer.close();
    for (let i = 0; i < 5; i++) {
      expect(pair.target.consumer.closed).toBe(false);
      await pair.rest();
      pair.target.consumer.take();
    }
    await pair.run(closed);
    expect(pair.target.consumer).toMatchObject({ chunks: [0, 1, 2, 3, 4], closed: true });
    await pair.done();
  });

  it("C-FLO-07, C-FLO-08: whose owner fails, fails all that is written later and its end, with one reason, in silence", async () => {
    const heard: unknown[] = [];
    const listen = (reason: unknown): void => void heard.push(reason);
    process.on("unhandledRejection", listen);
    const pair = new Pair(new Api());
    const writer = (await pair.run(pair.api.sink())).getWriter();
    writer.closed.catch(() => {});
    await pair.run(writer.write(1));
    pair.target.consumer.fail(new RangeError("full"));
    pair.target.consumer.take();
    await pair.rest();
    const late = [writer.write(2), writer.write(3), writer.closed].map((one) => failure(one));
    for (const error of await pair.run(Promise.all(late)))
      expect(error).toMatchObject({ message: "full" });
    await pair.rest();
    expect(heard).toEqual([]);
    process.off("unhandledRejection", listen);
    await pair.done();
  });

  it("C-FLO-14: in its own vat keeps the same rules: it ends behind what was taken", async () => {
    const target = new Api();
    using api = new RpcStub(target);
    const writer = (await api.sink()).getWriter();
    const first = writer.write({ n: 1 });
    const second = writer.write({ n: 2 });
    const closed = writer.close();
    const rest = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 0));
    await rest();
    expect(target.consumer.chunks).toEqual([{ n: 1 }]);
    expect(await Promise.race([first, Promise.resolve("not taken")])).toBe("not taken");
    for (let i = 0; i < 2; i++) {
      expect(target.consumer.closed).toBe(false);
      target.consumer.take();
      await rest();
    }
    await Promise.all([first, second, closed]);
    expect(target.consumer).toMatchObject({ chunks: [{ n: 1 }, { n: 2 }], closed: true });
  });
});
