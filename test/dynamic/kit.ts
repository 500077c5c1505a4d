// Two vats with an object of each kind at one, a stub of it at the other, and a look at what goes over the wire.

import { expect } from "vitest";
import { RpcStub, RpcTarget, serve, type StubOptions } from "../../src/cap/dynamic/index.js";
import type { RpcError } from "../../src/base/errors.js";
import { DEFAULT_LIMITS } from "../../src/base/limits.js";
import { type MeshVat, type TestVatOptions, TestVats } from "../../src/testing.js";
import { MessageTag } from "../../src/wire/descriptors.js";
import { Frame, parseFrame } from "../../src/wire/frame.js";
import { MessageReader } from "../../src/wire/message-reader.js";

const NAMES = new Map(Object.entries(MessageTag).map(([name, tag]) => [tag as number, name]));

/** How the two sides of a {@link Pair} are made. */
export interface PairOptions {
  readonly guest?: TestVatOptions;
  readonly host?: TestVatOptions;
  /** Of the host's object. */
  readonly serve?: StubOptions;
}

/** Two vats, `guest` and `host`, 50 ms apart. */
export class Pair<T extends RpcTarget> {
  readonly net = new TestVats();
  /** The guest's stub of the host's object. */
  readonly api: RpcStub<T>;
  /** Every message, as who sent it and what it is. */
  readonly said: string[] = [];

  readonly target: T;
  readonly host: MeshVat;
  readonly guest: MeshVat;

  constructor(target: T, options: PairOptions = {}) {
    this.target = target;
    const host: MeshVat = this.net.vat("host", {
      ...options.host,
      bootstrap: () => serve(target, { ...options.serve, scheduler: host.scheduler }),
    });
    this.host = host;
    this.guest = this.net.vat("guest", options.guest);
    this.net.link("guest", "host", { delay: 50 });
    const frame = new Frame();
    const reader = new MessageReader(DEFAULT_LIMITS);
    this.net.taps.push((message, from) => {
      parseFrame(message, frame, DEFAULT_LIMITS);
      reader.read(frame);
      this.said.push(`${from} ${NAMES.get(reader.tag)}`);
      return message;
    });
    this.api = this.net.bootstrap("guest", "host", RpcStub<T>);
    this.net.advance(200);
    this.said.length = 0;
  }

  run<V>(promise: PromiseLike<V>): Promise<V> {
    return this.net.run(promise);
  }

  /** What was said since the last look. */
  heard(): string[] {
    return this.said.splice(0);
  }

  /** Lets everything arrive that is on its way, and the programs go on. */
  async rest(): Promise<void> {
    for (let i = 0; i < 5; i++) {
      await new Promise((resolve) => setTimeout(resolve, 0));
      this.net.advance(200);
    }
  }

  /** The end: nothing may be left, at either side. */
  async done(): Promise<void> {
    this.api[Symbol.dispose]();
    await this.rest();
    this.net.assertEmpty();
  }
}

/** The error that `promise` fails with. */
export async function failure(promise: PromiseLike<unknown>): Promise<RpcError> {
  try {
    await promise;
  } catch (error) {
    return error as RpcError;
  }
  return expect.fail("it did not fail");
}

export class Counter extends RpcTarget {
  readonly log: number[];
  disposed = 0;
  #count = 0;

  constructor(log: number[] = []) {
    super();
    this.log = log;
  }

  add(by = 1): number {
    this.log.push(by);
    return (this.#count += by);
  }

  get count(): number {
    return this.#count;
  }

  self(): this {
    return this;
  }

  [Symbol.dispose](): void {
    this.disposed++;
  }
}
