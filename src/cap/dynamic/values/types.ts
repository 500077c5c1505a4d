// Role: the classes of a user's own that go by value: codecs by name, and classes of errors by name.
// State: one frozen table per object; none for the process. Must not know: the format.

import { invalidArgument } from "../../../base/checks.js";
import { RpcError } from "../../../base/errors.js";

/** How the instances of one class are sent. Both peers have one with the same name. */
export interface ValueCodec<T extends object = object> {
  /** What stands for the class on the wire. */
  readonly name: string;
  /** Instances of exactly this class are sent with this codec, those of a subclass are not. */
  readonly class: abstract new (...args: never) => T;
  /** What to send instead: anything that can be sent, but not the object itself. */
  encode(value: T): unknown;
  /** Makes the object again. What it is given came from a peer, and may be anything. */
  decode(content: unknown): T;
}

/**
 * A codec for {@link ValueTypes}, its functions typed by its class.
 *
 * @example valueCodec({ name: "Money", class: Money, encode: (m) => m.cents, decode: (c) => new Money(BigInt(String(c))) })
 */
export function valueCodec<T extends object>(codec: ValueCodec<T>): ValueCodec {
  return codec;
}

/** A class of errors, kept as such across the wire. No constructor is called. */
export interface ErrorType {
  readonly name: string;
  readonly class: abstract new (...args: never) => Error;
}

/**
 * The classes that a vat sends by value beyond the standard ones.
 *
 * @example
 * class Money { constructor(readonly cents: bigint) {} }
 * class OutOfStock extends Error {}
 * const types = new ValueTypes({
 *   codecs: [valueCodec({ name: "Money", class: Money, encode: (m) => m.cents, decode: (c) => new Money(BigInt(String(c))) })],
 *   errors: [{ name: "OutOfStock", class: OutOfStock }],
 * });
 */
export class ValueTypes {
  private readonly byPrototype = new Map<object, ValueCodec>();
  private readonly byName = new Map<string, ValueCodec>();
  private readonly errorNames = new Map<object, string>();
  private readonly errorPrototypes = new Map<string, object>();

  /** @throws RpcError invalid-argument when a name or a class is there twice, or a class of errors is an RpcError. */
  constructor(types: {
    readonly codecs?: readonly ValueCodec[];
    readonly errors?: readonly ErrorType[];
  }) {
    for (const codec of types.codecs ?? []) {
      const prototype = codec.class.prototype as object;
      if (this.byName.has(codec.name) || this.byPrototype.has(prototype))
        throw twice("codec", codec.name);
      this.byName.set(codec.name, codec);
      this.byPrototype.set(prototype, codec);
    }
    for (const { name, class: type } of types.errors ?? []) {
      const prototype = type.prototype as object;
      if (RpcError.is(prototype))
        throw invalidArgument(
          `the class of errors ${JSON.stringify(name)} is an RpcError: extend Error`,
        );
      if (name === "" || this.errorPrototypes.has(name) || this.errorNames.has(prototype))
        throw twice("class of errors", name);
      this.errorPrototypes.set(name, prototype);
      this.errorNames.set(prototype, name);
    }
  }

  codecOf(prototype: object): ValueCodec | undefined {
    return this.byPrototype.get(prototype);
  }

  codecNamed(name: string): ValueCodec | undefined {
    return this.byName.get(name);
  }

  /** The registered name of a class of errors; "" for none. */
  errorName(prototype: object | null): string {
    return prototype === null ? "" : (this.errorNames.get(prototype) ?? "");
  }

  errorPrototype(name: string): object | undefined {
    return this.errorPrototypes.get(name);
  }
}

/** No classes beyond the standard ones. */
export const NO_TYPES = new ValueTypes({});

function twice(what: string, name: string): RpcError {
  const quoted = JSON.stringify(name);
  return invalidArgument(`the ${what} ${quoted} is registered twice, or without a name`);
}
