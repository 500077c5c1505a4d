import { expect, it } from "vitest";
import "../support/stand-in-codec.js";
import { RpcStub, RpcTarget, serve } from "../../src/cap/dynamic/index.js";
import { TestVats } from "../../src/testing.js";

class Counter extends RpcTarget {
  count = 0;
  increment(by = 1): number {
    return (this.count += by);
  }
  get total(): number {
    return this.count;
  }
}

class Api extends RpcTarget {
  made = 0;
  counter(): Counter {
    this.made++;
    return new Counter();
  }
  pair(): { a: Counter; n: number } {
    return { a: new Counter(), n: 4 };
  }
  square(x: number): number {
    return x * x;
  }
  async later(x: number): Promise<number> {
    await Promise.resolve();
    return x + 1;
  }
  async apply(f: (x: number) => number, x: number): Promise<number> {
    return f(x);
  }
}

it("calls", async () => {
  const net = new TestVats();
  const host = net.vat("host", { bootstrap: () => serve(new Api(), { scheduler: host.scheduler }) });
  net.vat("guest");
  net.link("guest", "host", { delay: 50 });
  const api = net.bootstrap("guest", "host", RpcStub<Api>);
  expect(await net.run(api.square(5))).toBe(25);
  expect(net.now).toBe(100);
  expect(await net.run(api.later(5))).toBe(6);
  expect(await net.run(api.counter().increment(4))).toBe(4);
  expect(net.now).toBe(300);
  expect(await net.run(api.pair().a.increment(api.square(3)))).toBe(9);
  expect(await net.run(api.pair().n)).toBe(4);
  expect(net.now).toBe(500);
  expect(await net.run(api.apply((x) => x + 100, 7))).toBe(107);
  using c = await net.run(api.counter());
  expect(await net.run(c.increment())).toBe(1);
  expect(await net.run(c.total)).toBe(1);
  api[Symbol.dispose]();
  net.advance(1000);
  console.log(net.ends.map((e) => e.connection.dump()).join("\n"));
});
