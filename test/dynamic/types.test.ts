// Classes of a user's own through stubs: by value, both ways, under the terms of the session, the object or the stub.

import { describe, expect, it } from "vitest";
import {
  RpcStub,
  RpcTarget,
  sameObject,
  serve,
  valueCodec,
  ValueTypes,
} from "../../src/cap/dynamic/index.js";
import { connect, listen } from "../../src/node.js";
import { Money, MONEY } from "./classes.js";
import { failure, Pair } from "./kit.js";

/** Holds something by reference. */
class Button {
  readonly label: string;
  readonly press: () => unknown;
  constructor(label: string, press: () => unknown) {
    this.label = label;
    this.press = press;
  }
}

const button = valueCodec({
  name: "Button",
  class: Button,
  encode: ({ label, press }) => [label, press],
  decode: (c) => new Button(...(c as [string, () => unknown])),
});
const TYPES = new ValueTypes({ codecs: [MONEY, button] });

type Callback = (m: Money) => Money | Promise<Money>;

class Shop extends RpcTarget {
  seen: unknown[] = [];
  held: RpcStub<Callback> | null = null;
  disposed = 0;
  twice(m: Money): Money {
    this.seen.push(m);
    return new Money(m.cents * 2n);
  }
  list(): { price: Money }[] {
    return [{ price: new Money(1n) }, { price: new Money(2n) }];
  }
  async ask(back: RpcStub<Callback>): Promise<bigint> {
    const answer = await back(new Money(5n));
    this.seen.push(answer);
    return answer.cents;
  }
  async press(b: Button): Promise<unknown> {
    this.seen.push(b);
    return b.press();
  }
  inner(): Shop {
    return this;
  }
  keep(back: RpcStub<Callback>): void {
    this.held = back.dup();
  }
  same(a: RpcStub<Callback>, b: RpcStub<Callback>): string {
    return sameObject(a, b);
  }
  [Symbol.dispose](): void {
    this.disposed++;
  }
}

/** A pair whose sides have these classes. */
function pairOf(guest: ValueTypes | undefined, host: ValueTypes | undefined): Pair<Shop> {
  return new Pair(new Shop(), {
    guest: guest === undefined ? {} : { types: guest },
    serve: host === undefined ? {} : { types: host },
  });
}

describe("a registered class", () => {
  it("goes by value in arguments and results, also of stubs that came of others", async () => {
    const pair = pairOf(TYPES, TYPES);
    const result = await pair.run(pair.api.twice(new Money(21n)));
    expect(result).toBeInstanceOf(Money);
    expect(result.cents).toBe(42n);
    expect(pair.target.seen[0]).toBeInstanceOf(Money);
    using inner = pair.api.inner();
    expect(await pair.run(inner.twice(new Money(1n)))).toEqual(new Money(2n));
    using got = await pair.run(inner);
    expect(await pair.run(got.twice(new Money(2n)))).toEqual(new Money(4n));
    inner[Symbol.dispose]();
    got[Symbol.dispose]();
    await pair.done();
  });

  it("goes through callbacks, and through properties and values that are called here", async () => {
    const pair = pairOf(TYPES, TYPES);
    expect(await pair.run(pair.api.ask((m) => new Money(m.cents + 1n)))).toBe(6n);
    expect(pair.target.seen[0]).toBeInstanceOf(Money);
    using list = pair.api.list();
    expect(await pair.run(list)).toEqual([{ price: new Money(1n) }, { price: new Money(2n) }]);
    // Settled: what is asked of it now is asked here.
    expect(await pair.run(list[0]!.price)).toEqual(new Money(1n));
    list[Symbol.dispose]();
    await pair.done();
  });

  it("goes through programs of map, and programs inside of them", async () => {
    const pair = pairOf(TYPES, TYPES);
    using list = pair.api.list();
    const doubled = list.map((one) => ({ twice: pair.api.twice(one.price), plus: new Money(7n) }));
    expect(await pair.run(doubled)).toEqual([
      { twice: new Money(2n), plus: new Money(7n) },
      { twice: new Money(4n), plus: new Money(7n) },
    ]);
    const nested = list.map((one) =>
      pair.api.list().map(() => [pair.api.twice(new Money(9n)), one.price] as const),
    );
    const got = await pair.run(nested);
    expect(got[1]![0]).toEqual([new Money(18n), new Money(2n)]);
    list[Symbol.dispose]();
    await pair.done();
  });

  it("goes through a local stub, and is a copy", async () => {
    const shop = new Shop();
    const sent = new Money(3n);
    using api = new RpcStub(shop, { types: TYPES });
    expect(await api.twice(sent)).toEqual(new Money(6n));
    expect(shop.seen[0]).toEqual(sent);
    expect(shop.seen[0]).not.toBe(sent);
    expect(await api.ask((m) => m)).toBe(5n);
    using other = api.dup();
    expect(await other.twice(sent)).toEqual(new Money(6n));
    using again = new RpcStub(api);
    expect(await again.twice(sent)).toEqual(new Money(6n));
  });

  it("may hold references", async () => {
    const pair = pairOf(TYPES, TYPES);
    expect(await pair.run(pair.api.press(new Button("ok", () => "pressed")))).toBe("pressed");
    expect(pair.target.seen[0]).toBeInstanceOf(Button);
    await pair.done();
  });

  it("goes over a real session, by its option", async () => {
    await using listener = await listen("tcp://127.0.0.1:0", {
      bootstrap: serve(new Shop(), { types: TYPES }),
    });
    await using session = await connect(listener.url, { types: TYPES });
    using api = session.bootstrap(RpcStub<Shop>);
    expect(await api.twice(new Money(1n))).toEqual(new Money(2n));
    expect(await api.ask((m) => m)).toBe(5n);
  });
});

describe("a class that only one side knows", () => {
  it("is refused where it is sent, with its path", async () => {
    const pair = pairOf(undefined, TYPES);
    expect(() => pair.api.twice(new Money(1n))).toThrow(
      expect.objectContaining({
        code: "unsendable-value",
        message: expect.stringMatching(/args\[0\].*Money.*register a codec/) as string,
      }),
    );
    await pair.done();
  });

  it("is refused where it arrives, by its name: at the callee", async () => {
    const pair = pairOf(TYPES, undefined);
    const error = await failure(pair.run(pair.api.twice(new Money(1n))));
    expect(error.message).toMatch(/no codec is registered here for "Money": both sides need one/);
    expect(error).toMatchObject({ code: "remote-exception", delivery: "started", method: "twice" });
    expect(pair.target.seen).toEqual([]);
    expect(await failure(pair.run(pair.api.list()))).toMatchObject({
      message: expect.stringMatching(/result\[0\]\.price.*Money/) as string,
    });
    await pair.done();
  });

  it("is refused where it arrives: at the caller", async () => {
    const pair = pairOf(undefined, TYPES);
    const error = await failure(pair.run(pair.api.list()));
    expect(error).toMatchObject({ code: "invalid-payload", method: "list" });
    expect(error.message).toMatch(/no codec is registered here for "Money"/);
    await pair.done();
  });

  it("with a codec that throws, fails that call alone", async () => {
    const odd = new ValueTypes({
      codecs: [
        valueCodec({
          name: "Money",
          class: Money,
          encode: () => "much",
          decode: () => new Money(0n),
        }),
      ],
    });
    const pair = pairOf(odd, TYPES);
    expect((await failure(pair.run(pair.api.twice(new Money(1n))))).message).toMatch(
      /the codec for "Money" refused its content/,
    );
    expect(
      await pair.run(
        pair.api.same(
          (m) => m,
          (m) => m,
        ),
      ),
    ).toBe("different");
    await pair.done();
  });
});

describe("an object that is passed under two terms", () => {
  it("speaks each, is one object, and is disposed once, with the last", async () => {
    const shop = new Shop();
    const plain = new RpcStub(shop);
    const rich = new RpcStub(shop, { types: TYPES });
    expect(sameObject(plain, rich)).toBe("same");
    expect(await rich.twice(new Money(1n))).toEqual(new Money(2n));
    expect(await failure(plain.list())).toMatchObject({ code: "unsendable-value" });
    rich[Symbol.dispose]();
    await new Promise((resolve) => setTimeout(resolve, 0));
    expect(shop.disposed).toBe(0);
    using again = new RpcStub(shop, { types: TYPES });
    plain[Symbol.dispose]();
    await new Promise((resolve) => setTimeout(resolve, 0));
    expect(shop.disposed).toBe(0);
    again[Symbol.dispose]();
    await new Promise((resolve) => setTimeout(resolve, 0));
    expect(shop.disposed).toBe(1);
  });
});
