// Role: classes that go by value, and the object whose methods give and take them.
// State: none. Must not know: scenarios, runtimes.

import { RpcTarget, valueCodec, ValueTypes } from "../../src/index.js";

export class Money {
  readonly cents: number;
  constructor(cents: number) {
    this.cents = cents;
  }
}

export class OutOfStock extends Error {
  declare readonly item: string;
  constructor(item: string) {
    super(`no ${item} left`);
    this.item = item;
  }
}

/** Both sides have them, under these names. */
export const TYPES = new ValueTypes({
  errors: [{ name: "OutOfStock", class: OutOfStock }],
  codecs: [
    valueCodec({
      name: "Money",
      class: Money,
      encode: (money) => money.cents,
      decode: (cents) => new Money(Number(cents)),
    }),
  ],
});

export class Shop extends RpcTarget {
  price(): Money {
    return new Money(250);
  }
  sum(...prices: Money[]): Money {
    return new Money(prices.reduce((sum, { cents }) => sum + cents, 0));
  }
  buy(item: string): never {
    throw new OutOfStock(item);
  }
  failing(item: string): ReadableStream<Money> {
    let asked = 0;
    return new ReadableStream({
      pull(controller) {
        if (asked++ === 0) controller.enqueue(new Money(1));
        else controller.error(new OutOfStock(item));
      },
    });
  }
}
