// Classes of a user's own, as the tests of values, errors and streams register them.

import { valueCodec, ValueTypes } from "../../src/cap/dynamic/values/types.js";

export class Money {
  readonly cents: bigint;
  constructor(cents: bigint) {
    this.cents = cents;
  }
}

export const MONEY = valueCodec({
  name: "Money",
  class: Money,
  encode: (m) => m.cents,
  decode: (c) => new Money(BigInt(String(c))),
});

/** Below a standard class, and with a member that only its class has. */
export class OutOfStock extends RangeError {
  declare item: string;
  declare left: unknown;
  constructor(item: string, rest: object = {}) {
    super(`no ${item} left`);
    Object.assign(this, { item }, rest);
  }
  get sorry(): string {
    return `sorry: ${this.message}`;
  }
}

export const TYPES = new ValueTypes({
  codecs: [MONEY],
  errors: [{ name: "OutOfStock", class: OutOfStock }],
});
